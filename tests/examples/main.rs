//! Runs the examples that cargo built beside this test, and reads what they print.

mod run;
mod speaking;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use run::{Short, number_after};

/// The example's program, which `cargo test` builds before any test runs; built here if only this test
/// was asked for.
fn program(name: &str) -> PathBuf {
    // target/debug/deps/examples-0123 → target/debug/examples/name
    let test = env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let program = profile
        .join("examples")
        .join(name)
        .with_extension(env::consts::EXE_EXTENSION);
    if !program.exists() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--example", name, "--target-dir"])
            .arg(profile.parent().unwrap())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.unwrap().success());
    }
    program
}

fn printed(name: &str) -> String {
    run::printed(&program(name), &[])
}

/// The programs that need no more than they are built with.
fn short() -> Vec<Short> {
    let mut names = vec!["slices", "custom_clipper", "custom_detector", "wall"];
    if cfg!(feature = "std") {
        names.push("engine");
    }
    if cfg!(feature = "ndarray") {
        names.extend(["struct_of_arrays", "peephole"]);
    }
    if cfg!(all(
        feature = "csv",
        feature = "json",
        feature = "tensorboard"
    )) {
        names.push("record");
    }
    let program = |name| (program(name), vec![]);
    names.into_iter().map(program).collect()
}

#[test]
fn slices() {
    let text = printed("slices");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("[0.70710677, 0.70710677, 7.071068e-26]: norm 1.414e25 -> 1.00"));
    assert!(lines[1].starts_with("step 1: norm 220.0 -> 1.000, scaled by 0.004545"));
    assert!(lines[1].ends_with("the norm of the gradients is 220.0, above 100.0 (norm threshold)"));
    assert!(lines[3].contains("skip (1 in a row); gradient b has 1 NaN and 0 infinite elements"));
    // The line through the data is 3·x + 1.
    assert!((number_after(lines[5], "a =") - 3.0).abs() < 0.02);
    assert!((number_after(lines[5], "b =") - 1.0).abs() < 0.25);
}

#[test]
#[cfg(feature = "ndarray")]
fn struct_of_arrays() {
    let text = printed("struct_of_arrays");
    // 5, 12 and 84 clipped to 8.5 each leave 5, 8.5, 8.5; these have norm 13.02, which goes to 6.5.
    assert!(text.starts_with("step 1: norm 85.00 -> 6.500, 5 of 5 tensors edited"));
    assert!(text.contains("the norm of gradient scale is 84.00, above 50.00"));
    let scale = 6.5 / (25.0 + 2.0 * 8.5_f64.powi(2)).sqrt();
    for (name, after) in [("layers.0.w", 5.0), ("layers.1.w", 8.5), ("scale ", 8.5)] {
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with(name))
            .unwrap();
        assert!(
            (number_after(line, "->") - after * scale).abs() < 1e-4,
            "{line}"
        );
    }
    assert!(
        text.contains(
            "gradient layers.1.w has 0 NaN and 1 infinite elements, the first at index 1"
        )
    );
    assert!(text.ends_with("layers.1.w is now [[0],\n [0]]\n"));
}

#[test]
#[cfg(feature = "ndarray")]
fn peephole() {
    let text = printed("peephole");
    let lines: Vec<&str> = text.lines().collect();
    let parameters = ["w_in ", "w_rec ", "bias ", "peep_i ", "peep_f ", "peep_o "];
    let names = parameters.into_iter().chain(["inputs ", ".h ", ".c "]);
    for (line, name) in lines[1..10].iter().zip(names) {
        assert!(number_after(line, name) < 1e-7, "{line}");
    }
    // Silence alone would have a loss of 0.7²/16 = 0.0306.
    assert!(number_after(lines[11], "loss") > 0.02);
    assert!(number_after(lines[16], "loss") < 1e-3);
}

#[test]
fn custom_clipper() {
    let text = printed("custom_clipper");
    let lines: Vec<&str> = text.lines().collect();
    // Averages 1, 1.02, 1.008: the spike is cut to twice the last.
    assert!(lines[3].starts_with("step 4: norm 50.00 -> 2.016, scaled by 0.04032; apply"));
    assert!(lines[5].starts_with("step 6: norm NaN; skip"));
    for step in [0, 1, 2, 4, 6] {
        assert!(
            !lines[step].contains("->") && lines[step].ends_with("apply"),
            "{}",
            lines[step]
        );
    }
}

#[test]
fn custom_detector() {
    let text = printed("custom_detector");
    let losses: Vec<f64> = text
        .lines()
        .filter(|line| line.contains("; step"))
        .map(|line| number_after(line, "loss"))
        .collect();
    let back: Vec<bool> = text
        .lines()
        .map(|line| line.contains("roll back; the value of the loss is"))
        .collect();
    for step in 1..losses.len() {
        assert_eq!(
            back[step],
            losses[step] > losses[..step].iter().copied().fold(f64::INFINITY, f64::min)
        );
        // After going back the loss is again the best so far.
        assert!(!back[step - 1] || losses[step] == losses[step - 2]);
    }
    assert!(back.contains(&true) && losses.last() < Some(&1e-4));
}

#[test]
#[cfg(feature = "std")]
fn engine() {
    let text = printed("engine");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "the device conforms");
    assert!(lines[1].starts_with("step 1: norm 3.000 -> 1.000, scaled by 0.3333; apply"));
    assert_eq!(lines[2], "1 transfer");
    assert!(lines[3].starts_with("step 2: norm 3.000e25 -> 1.000, scaled by 3.333e-26; apply"));
    assert_eq!(lines[4], "3 transfers");
    assert!(lines[5].starts_with("0 transfers before norm and factor are (5.0, 0.2"));
}

#[test]
#[cfg(all(feature = "csv", feature = "json", feature = "tensorboard"))]
fn record() {
    let folder = env::temp_dir().join(format!("steadygrad-record-{}", std::process::id()));
    let text = run::printed(&program("record"), &[folder.to_str().unwrap()]);
    let file = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let [kept, all] = [
        steadygrad::record::csv::read(&file("kept.csv")[..]).unwrap(),
        steadygrad::record::json::read(&file("run.jsonl")[..]).unwrap(),
    ];
    std::fs::remove_dir_all(folder).unwrap();
    let told = |step: u64, what: &str| {
        text.lines()
            .any(|line| line.starts_with(&format!("step {step}: {what}")))
    };
    assert!(told(1, "began: ") && told(200, "began: ") && told(320, "began: the loss is NaN"));
    assert!(told(321, "ended: the loss is NaN"));
    let count = |log: &steadygrad::record::Log| log.rows.len();
    assert!(text.contains(&format!("\n{} of 500 steps kept", count(&kept))));
    assert!((60..150).contains(&count(&kept)) && count(&all) == 500);
    assert_eq!((&kept.rows[0], &kept.names), (&all.rows[0], &all.names));
}

/// The figures are the exact ones of the surface, found in another program with 50 digits.
#[test]
fn wall() {
    let text = printed("wall");
    assert!(text.contains("at w = 4.69, b = -2.42 the gradient has norm 439.964\n"));
    assert!(text.contains("at w = 5, b = -2 the gradient has norm 0.0554957\n"));
    let (plain, clipped) = text.split_once("clipped").unwrap();
    let [plain, clipped] = [plain, clipped].map(|part| part.lines().last().unwrap());
    // Thrown far off to where it is flat; and down the wall to its foot.
    assert!((number_after(plain, "w ") - 4.69).hypot(number_after(plain, "b ") + 2.42) > 4.0);
    assert!(number_after(plain, "error") > 0.08 && number_after(plain, "norm") < 1e-3);
    assert!((number_after(clipped, "w ") - 4.69).hypot(number_after(clipped, "b ") + 2.42) < 0.01);
    assert!(number_after(clipped, "error") < 1e-3);
}
