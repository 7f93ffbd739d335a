//! The commands of the README in a short form, and what they print.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

/// The program of the README's command, as fast as this test was compiled. Both adapters have examples of these
/// names and cargo puts them in one place, so it is asked for each of them once.
fn command(example: &'static str, options: &[&str]) -> Command {
    static BUILT: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap();
    let program = built.entry(example).or_insert_with(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let (profile, folder) = if cfg!(debug_assertions) {
            ("test", "debug")
        } else {
            ("release", "release")
        };
        // With the features that this test has, so that nothing is compiled again.
        let train = if cfg!(feature = "train") { "train" } else { "" };
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--profile", profile, "--target-dir"])
            .arg(target)
            .args(["-p", env!("CARGO_PKG_NAME"), "--features", train])
            .args(["--example", example])
            .status();
        assert!(status.unwrap().success());
        let program = target.join(folder).join("examples").join(example);
        program.with_extension(std::env::consts::EXE_EXTENSION)
    });
    let mut command = Command::new(program);
    command.args(options);
    command
}

/// What an example prints, if it ends well and complains of nothing.
fn printed(example: &'static str, options: &[&str]) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command(example, options).output().unwrap();
    let complaint = String::from_utf8(stderr).unwrap();
    assert!(status.success() && complaint.is_empty(), "{complaint}");
    String::from_utf8(stdout).unwrap()
}

/// The sentence with which options are refused.
fn refused(example: &'static str, options: &[&str]) -> String {
    let output = command(example, options).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{options:?}: {said}");
    assert!(output.stdout.is_empty(), "{options:?}");
    said.lines().next().unwrap().to_owned()
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("burn")
        .join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The cells of the lines of the tables that begin with these words.
fn cells<'t>(table: &'t str, first: &str) -> Vec<&'t str> {
    let line = table
        .lines()
        .find(|line| line.starts_with(&format!("| {first} |")));
    let line = line.unwrap_or_else(|| panic!("no {first} in {table}"));
    line.trim_matches('|').split('|').map(str::trim).collect()
}

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

/// Where the batches have no broken reading, the guard changes nothing but by its bound.
#[test]
#[cfg(feature = "train")]
fn supervised_trains_by_burns_trainer() {
    let out = folder("supervised");
    let short = ["--epochs=2", "--batches=3", "--out", out.to_str().unwrap()];
    let text = printed(
        "supervised",
        &[&short[..], &["--broken=0", "--max-norm=1e9"]].concat(),
    );
    let [without, with] = ["without guard", "with guard"].map(|run| cells(&text, run));
    assert_eq!(without[1..], with[1..], "{text}");
    assert_eq!(with[7..], ["0.0", "0.00", "the last epoch"], "{text}");
    assert!(
        with[1..7]
            .iter()
            .all(|cell| cell.parse::<f64>().unwrap() > 0.0),
        "{text}"
    );
    assert!(out.join("with-guard/checkpoint/scheduler-2.bpk").exists());
    assert!(
        out.join("with-guard/train/epoch-2/Gradient_Norm.log")
            .exists()
    );

    // Where every one is broken, the model is as it was, and the guard says stop at the eleventh.
    let text = printed(
        "supervised",
        &[&["--batches=20"], &short[2..], &["--broken=1"]].concat(),
    );
    let with = cells(&text, "with guard");
    assert_eq!(with[8], "100.00", "{text}");
    assert!(
        with[9].starts_with("step 11: ") && with[9].contains("stop"),
        "{text}"
    );
    assert!(
        with[4].parse::<f64>().unwrap().is_nan() && with[1] == "NaN",
        "{text}"
    );

    for option in [
        "--rate=1.5",
        "--rate=0",
        "--max-norm=nan",
        "--epochs=0",
        "--batches=0",
    ] {
        refused("supervised", &[option]);
    }
    let file = out.join("file");
    fs::write(&file, "").unwrap();
    let said = refused(
        "supervised",
        &["--epochs=1", "--out", file.to_str().unwrap()],
    );
    assert!(said.starts_with("error: cannot write to"), "{said}");
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
        #[cfg(feature = "train")]
        (
            "supervised",
            &["--epochs=1", "--batches=1", "--out", out.to_str().unwrap()],
        ),
    ] {
        let ended = |stdout: Stdio| {
            let output = command(example, options).stdout(stdout).output().unwrap();
            (
                output.status.code(),
                String::from_utf8(output.stderr).unwrap(),
            )
        };
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        assert_eq!(ended(writer.into()), (Some(0), String::new()), "{example}");
        let (code, said) = ended(fs::File::create("/dev/full").unwrap().into());
        assert!(
            code == Some(2) && said.starts_with("error: cannot write"),
            "{example}: {said}"
        );
    }
}
