//! The commands of the README in a short form, and what they print.

use std::fs;

#[path = "../../asked.rs"]
mod asked;

#[cfg(target_os = "linux")]
use asked::is_heard_by_nobody;
use asked::{cells, folder, hears_a_stop, printed, refused};

#[test]
fn char_lm_reads_its_own_sources() {
    let out = folder("char_lm");
    let text = printed("char_lm", &["--steps", "3", "--out", out.to_str().unwrap()]);
    let read: usize = text.split(' ').next().unwrap().parse().unwrap();
    assert!(read > 100_000, "{read}");
    assert!(text.contains("| last 3 steps |"), "{text}");
    let picture = fs::read_to_string(out.join("char_lm.svg")).unwrap();
    assert!(text.ends_with(&format!("{}\n", out.join("char_lm.svg").display())));
    // Guessing blindly is where both begin, and three steps are no divergence.
    for name in ["without", "with guard"] {
        let cells = cells(&text, name);
        assert!(
            (cells[1].parse::<f64>().unwrap() - 4.6).abs() < 0.3,
            "{cells:?}"
        );
        assert!(cells[6].starts_with("too few steps"), "{cells:?}");
    }
    for words in [
        "without\n",
        "with guard\n",
        "step\n",
        "loss, nats per letter\n",
        "norm before clipping\n",
    ] {
        assert!(picture.contains(words), "{words}");
    }
    for words in [
        "blind guessing",
        "letter frequencies",
        "the guard clips to 0.25",
    ] {
        assert!(picture.contains(words), "{words}");
    }
    assert!(picture.starts_with("<svg width=\"800\""));
    for size in picture.split("font-size=\"").skip(1) {
        assert!(size.split('"').next().unwrap().parse::<f64>().unwrap() >= 11.0);
    }
}

#[test]
fn one_step_is_not_called_diverged() {
    let out = folder("one");
    let text = printed("char_lm", &["--steps", "1", "--out", out.to_str().unwrap()]);
    assert!(
        text.contains("| last step |") && !text.contains("diverged"),
        "{text}"
    );
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
    refused("cost", &["--rounds=0"]);
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

#[test]
fn what_candle_does_is_what_the_readme_says() {
    let readme = include_str!("../README.md");
    let text = printed("facts", &[]);
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("| f"))
        .collect();
    assert_eq!(rows.len(), 8);
    for row in rows {
        assert!(readme.contains(row), "{row}");
    }
    assert!(
        text.contains("candle is off by 7.5e-3, steadygrad_candle::l2 by 3.0e-8"),
        "{text}"
    );
    assert!(
        text.contains("candle +1, steadygrad_candle::l1 +0"),
        "{text}"
    );
}

#[test]
fn a_classifier_learns() {
    let text = printed("train", &[]);
    let last = text.lines().find(|line| line.starts_with("  20 ")).unwrap();
    let (_, right) = last.split_once("acc: ").unwrap();
    assert!(
        right.trim_end_matches('%').trim().parse::<f64>().unwrap() > 90.0,
        "{last}"
    );
    assert!(text.lines().last().unwrap().starts_with("step 800: norm "));
}

#[test]
fn the_pole_is_learnt_and_a_broken_reward_breaks_nothing_guarded() {
    let out = folder("ppo");
    let out = out.to_str().unwrap();
    let text = printed("ppo", &["--updates", "2", "--seeds", "2", "--out", out]);
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.contains("| with"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 4, "{text}");
    for row in &rows {
        let stood: f64 = row[2].parse().unwrap();
        assert!((8.0..=500.0).contains(&stood), "{text}");
        assert_eq!(
            row[1] == "with guard",
            row[4] != "NaN" && row[5] != "0 of 32"
        );
    }
    assert_eq!(rows[2][0], "2, reward broken");
    let picture = fs::read_to_string(format!("{out}/ppo.svg")).unwrap();
    assert!(picture.contains("steps the pole stood") && text.ends_with("ppo.svg\n"));
}

#[test]
fn costs_are_finite() {
    let text = printed("cost", &["--small", "--rounds", "1"]);
    for row in ["clipped to half", "under the bound"] {
        for cell in &cells(&text, row)[1..] {
            assert!(cell.parse::<f64>().unwrap() > 0.0, "{text}");
        }
    }
    for row in [
        "policy + value, 12 tensors, 9 k",
        "accumulation of 4 micro-batches, LSTM, 8 tensors, 1.3 M",
        "LSTM with AdamW, clip and step",
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
        ("train", &[]),
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
        ("cost", &["--small", "--rounds", "1"]),
    ] {
        is_heard_by_nobody(example, options);
    }
}
