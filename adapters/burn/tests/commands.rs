//! The commands of the README in a short form, and what they print.

use std::fs;

#[path = "../../asked.rs"]
mod asked;

#[cfg(target_os = "linux")]
use asked::is_heard_by_nobody;
use asked::{cells, folder, hears_a_stop, printed, refused};

#[test]
fn char_lm_reads_steadygrads_sources() {
    let out = folder("char_lm");
    let text = printed("char_lm", &["--steps", "3", "--out", out.to_str().unwrap()]);
    let read: usize = text.split(' ').next().unwrap().parse().unwrap();
    assert!(read > 300_000, "{read}");
    assert!(text.contains("| last 3 steps |"), "{text}");
    let picture = fs::read_to_string(out.join("char_lm.svg")).unwrap();
    assert!(text.ends_with(&format!("{}\n", out.join("char_lm.svg").display())));
    for name in ["without guard", "with guard"] {
        let cells = cells(&text, name);
        // Knowing nothing is where both begin.
        assert!(
            (cells[1].parse::<f64>().unwrap() - 4.9).abs() < 0.3,
            "{cells:?}"
        );
        assert_eq!(cells[8], "3", "{cells:?}");
        assert!(picture.contains(&format!("\n{name}\n")));
    }
    for words in [
        "step",
        "loss, nats per letter",
        "norm before clipping",
        "knowing nothing",
    ] {
        assert!(picture.contains(&format!("\n{words}\n")), "{words}");
    }
    assert!(picture.contains("the guard clips to 0.05"));
    assert!(picture.starts_with("<svg width=\"800\""));
    for size in picture.split("font-size=\"").skip(1) {
        assert!(size.split('"').next().unwrap().parse::<f64>().unwrap() >= 11.0);
    }
}

#[test]
fn the_readmes_loops_hear_a_stop() {
    hears_a_stop(include_str!("../README.md"));
}

#[test]
fn numbers_that_train_nothing_are_refused() {
    for option in ["--rate", "--max-norm"] {
        for number in ["nan", "inf", "0", "-1", "much"] {
            let said = refused("char_lm", &["--steps=1", &format!("{option}={number}")]);
            assert!(said.ends_with("expected a finite number above 0"), "{said}");
        }
    }
    refused("char_lm", &["--steps=0"]);
    refused("ppo", &["--updates=0"]);
    refused("ppo", &["--seeds=0"]);
    refused("cost", &["--rounds=2"]);
}

#[test]
fn a_bad_folder_or_text_is_found_before_the_training() {
    let file = folder("before").join("same.txt");
    fs::write(&file, "a".repeat(2000)).unwrap();
    let file = file.to_str().unwrap();
    for (option, value, expected) in [
        ("--out", file, "cannot write to"),
        ("--text", file, "no two different characters"),
        ("--text", "src", "cannot read src"),
    ] {
        let said = refused("char_lm", &["--steps", "1", option, value]);
        assert!(
            said.starts_with("error: ") && said.contains(expected),
            "{said}"
        );
    }
    let said = refused("ppo", &["--updates", "1", "--out", file]);
    assert!(said.starts_with("error: cannot write to"), "{said}");
}

/// As the README's table has it.
#[test]
fn burn_clips_each_tensor_by_itself() {
    let text = printed("facts", &[]);
    let after = |title: &str| {
        let (_, rest) = text.split_once(&format!("{title}\n")).unwrap();
        let mut lines = rest.lines().map(|line| line[16..].to_owned());
        [lines.next().unwrap(), lines.next().unwrap()]
    };
    let [burn, ours] = after("f32 [3] [4], max 1.0");
    assert_eq!(burn, "[1.00000] [1.00000]");
    assert!(ours.starts_with("[0.60000] [0.80000] "), "{ours}");
    let [burn, ours] = after("f32 [1e25, 1e25, 1] [0], max 1.0");
    assert_eq!(burn, "[0.00000, 0.00000, 0.00000] [0.00000]");
    assert!(
        ours.starts_with("[0.70711, 0.70711, 7.07107e-26] [0.00000] "),
        "{ours}"
    );
    let [burn, ours] = after("f32 [1, NaN, 2] [0.5], max 1.0");
    assert_eq!(burn, "[NaN, NaN, NaN] [0.50000]");
    assert!(
        ours.ends_with("found 1 NaN and 0 infinite, the first at index 1"),
        "{ours}"
    );
}

#[test]
fn the_pole_is_learnt_and_a_broken_reward_breaks_nothing_guarded() {
    let out = folder("ppo");
    let out = out.to_str().unwrap();
    let text = printed("ppo", &["--updates", "1", "--seeds", "5", "--out", out]);
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.contains("| with"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 10, "{text}");
    for row in &rows {
        let stood: f64 = row[2].parse().unwrap();
        assert!((8.0..=500.0).contains(&stood), "{text}");
    }
    for row in &rows[..8] {
        assert!(row[4].parse::<f64>().unwrap() > 0.5, "{text}");
        assert_eq!(row[1] == "with guard", row[5] != "0 of 16", "{text}");
        assert_eq!(row[6], "0", "{text}");
    }
    // A reward is NaN in the first update already, and NaN is in each of its mini-batches.
    assert!(rows[8..].iter().all(|row| row[0] == "5, reward broken"));
    assert_eq!(rows[8][4..], ["NaN", "0 of 16", "0"]);
    assert_eq!(rows[9][4..], ["0", "0 of 0", "16"]);
    let picture = fs::read_to_string(format!("{out}/ppo.svg")).unwrap();
    assert!(picture.contains("steps the pole stood") && text.ends_with("ppo.svg\n"));
}

#[test]
fn costs_are_finite() {
    let text = printed("cost", &["--small", "--rounds", "3"]);
    for cell in &cells(&text, "LSTM, 8 tensors, 1.3 M f32")[2..] {
        assert!(cell.parse::<f64>().unwrap() > 0.0, "{text}");
    }
    for row in [
        "policy + value, 12 tensors, 9 k",
        "accumulation of 4 micro-batches, LSTM, 8 tensors, 1.3 M",
        "LSTM with `AdamW`, clip and step",
    ] {
        let cells: Vec<f64> = cells(&text, row)[1..]
            .iter()
            .map(|cell| cell.parse().unwrap())
            .collect();
        assert!(cells[0] > cells[1] && cells[1] >= 1.0, "{text}");
        assert!(cells[2] > 0.0 && cells[3] > 0.0, "{text}");
        assert!(cells[4] > 0.0 && cells[5] == 0.0, "{text}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_closed_pipe_is_quiet_and_a_full_disk_a_sentence() {
    let out = folder("speaking");
    for (example, options) in [
        (
            "char_lm",
            &["--steps", "1", "--out", out.to_str().unwrap()][..],
        ),
        ("facts", &[]),
        (
            "ppo",
            &[
                "--updates",
                "1",
                "--seeds",
                "1",
                "--out",
                out.to_str().unwrap(),
            ],
        ),
        ("cost", &["--small", "--rounds", "3"]),
    ] {
        is_heard_by_nobody(example, options);
    }
}
