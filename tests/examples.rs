//! The examples run and say what they are meant to say.
#![cfg(feature = "ndarray")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The example's program, which `cargo test` builds beside this one; built here if only this test was asked for.
fn program(name: &str) -> PathBuf {
    let this = env::current_exe().unwrap();
    let profile = this.parent().and_then(Path::parent).unwrap();
    let path = profile
        .join("examples")
        .join(format!("{name}{}", env::consts::EXE_SUFFIX));
    if !path.exists() {
        let target = profile.parent().unwrap();
        let built = Command::new(env!("CARGO"))
            .args(["build", "--example", name, "--target-dir"])
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.unwrap().success());
    }
    path
}

fn run(name: &str, arguments: &[&str]) -> Output {
    Command::new(program(name))
        .args(arguments)
        .output()
        .unwrap()
}

/// What a small example prints.
fn prints(name: &str) -> String {
    let output = run(name, &[]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn slices_clips_skips_and_learns() {
    assert_says(
        &prints("slices"),
        &[
            "[0.70710677, 0.70710677, 7.071068e-26]: norm 1.414e25 -> 1.000",
            "gradient b has 1 NaN and 0 infinite elements, the first at index 0",
            "a = 3.00, b = 0.8",
        ],
    );
}

#[test]
fn struct_of_arrays_names_every_tensor() {
    assert_says(
        &prints("struct_of_arrays"),
        &[
            "layers.0.w    5.0000 -> 2.4963",
            "scale        84.0000 -> 4.2437",
            "gradient layers.1.w has 0 NaN and 1 infinite",
        ],
    );
}

#[test]
fn custom_clipper_clips_the_outlier_alone() {
    let text = prints("custom_clipper");
    let clipped: Vec<&str> = text.lines().filter(|line| line.contains("->")).collect();
    assert_eq!(clipped.len(), 1, "{text}");
    assert_says(clipped[0], &["step 4: norm 50.00 ->"]);
}

#[test]
fn custom_detector_goes_back_and_still_learns() {
    let text = prints("custom_detector");
    assert_says(&text, &["; roll back; the value of the loss is"]);
    let last: f64 = text
        .rsplit("w is ")
        .next()
        .and_then(|rest| rest.split(',').next()?.parse().ok())
        .unwrap();
    assert!(last.abs() < 0.5, "from 2 it ends at {last}");
}

#[test]
fn wall_has_the_gradients_of_the_paper_and_only_the_clipped_descent_stays() {
    let text = prints("wall");
    assert_says(
        &text,
        &[
            "at w = 4.69, b = -2.42 the gradient has norm 439.964",
            "at w = 5, b = -2 the gradient has norm 0.0554957",
        ],
    );
    // Where each descent is after its first step, from (4.69, −2.42).
    let first_steps: Vec<f64> = text
        .lines()
        .filter_map(|line| {
            line.split("step  1: w")
                .nth(1)?
                .split(',')
                .next()?
                .trim()
                .parse()
                .ok()
        })
        .collect();
    let [plain, clipped] = first_steps[..] else {
        panic!("two descents expected in\n{text}")
    };
    assert!((plain - 4.69).abs() > 1.0, "the plain one jumps: {plain}");
    assert!(
        (clipped - 4.69).abs() < 0.011,
        "the clipped one stays: {clipped}"
    );
}

/// A folder of this test's own under the target folder.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A number of the JSON, which is a string if it is not finite.
fn is_number(value: &Value) -> bool {
    value.is_number() || matches!(value.as_str(), Some("NaN" | "inf" | "-inf"))
}

#[test]
fn sunspots_prints_json_and_nothing_else_and_writes_the_pictures() {
    let out = folder("sunspots");
    let output = run(
        "sunspots",
        &[
            "--json",
            "--steps",
            "3",
            "--hidden",
            "4",
            "--seed",
            "2",
            "--out",
            out.to_str().unwrap(),
        ],
    );
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    for baseline in ["persistence", "ar9"] {
        let error = json["baselines"][baseline].as_f64().unwrap();
        assert!((15.0..22.0).contains(&error), "{baseline} {error}");
    }
    let runs = json["runs"].as_array().unwrap();
    let names: Vec<&str> = runs.iter().filter_map(|run| run["run"].as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e", "f"]);
    for run in runs {
        for field in ["max_grad_norm", "clipped_share", "final_loss", "test_rmse"] {
            assert!(is_number(&run[field]), "{field} of {run}");
        }
        let alarm = &run["first_alarm"];
        assert!(
            alarm.is_null() || alarm["detector"].is_string() && alarm["step"].is_u64(),
            "{run}"
        );
        assert!(
            run["diverged_at"].is_null() || run["diverged_at"].is_u64(),
            "{run}"
        );
    }
    let pictures = json["pictures"].as_array().unwrap();
    assert_eq!(pictures.len(), 3);
    for picture in pictures {
        let svg = fs::read_to_string(picture.as_str().unwrap()).unwrap();
        assert!(
            svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"),
            "{picture}"
        );
    }
}

#[test]
fn sunspots_says_what_is_wrong_in_one_sentence_and_exits_with_2() {
    let bad = folder("bad-data").join("words.csv");
    fs::write(&bad, "value\n1.0\nmany\n").unwrap();
    let short = folder("bad-data").join("short.csv");
    fs::write(&short, "1\n2\n3\n").unwrap();
    let nowhere = folder("bad-data").join("nowhere.csv");
    let data = [&bad, &short, &nowhere].map(|path| ["--data", path.to_str().unwrap()]);
    let options = [["--steps", "0"], ["--hidden", "many"], ["--sead", "1"]];
    for arguments in data.iter().chain(&options) {
        let output = run("sunspots", arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let sentences = said
            .lines()
            .filter(|line| line.starts_with("error:"))
            .count();
        assert_eq!(sentences, 1, "{arguments:?}: {said}");
    }
    let output = run("sunspots", &["--help"]);
    assert!(output.status.success());
    assert_says(
        &String::from_utf8(output.stdout).unwrap(),
        &["--seed", "--steps", "--hidden", "--data", "--out", "--json"],
    );
}
