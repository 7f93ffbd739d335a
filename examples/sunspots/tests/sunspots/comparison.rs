//! The comparison of six ways to train on sunspots.

use crate::{folder, printed, run};
use serde_json::Value;
use std::f64::consts::PI;

/// A short run of a small net, as JSON, in a folder of its own.
fn short(name: &str, more: &[&str]) -> Value {
    let out = folder(name);
    let mut arguments = vec![
        "--json",
        "--steps",
        "6",
        "--hidden",
        "4",
        "--out",
        out.to_str().unwrap(),
    ];
    arguments.extend(more);
    // It parses only if there is nothing else on standard output.
    serde_json::from_str(&printed(&arguments)).unwrap()
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// No figure is negative, so "-inf" is none of them.
fn is_number(value: &Value) -> bool {
    value.is_f64() || ["NaN", "inf"].iter().any(|word| value == word)
}

#[test]
fn json_has_the_promised_form() {
    let json = short("form", &[]);
    assert_eq!(keys(&json), ["baselines", "runs", "pictures"]);
    // From a trial in another framework: 19.5 and 17.8.
    assert!((json["baselines"]["persistence"].as_f64().unwrap() - 19.5).abs() < 0.05);
    assert!((json["baselines"]["ar9"].as_f64().unwrap() - 17.8).abs() < 0.05);

    let runs = json["runs"].as_array().unwrap();
    let names: Vec<&str> = runs
        .iter()
        .map(|run| run["run"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["a", "b", "c", "d", "e", "f"]);
    for run in runs {
        assert_eq!(
            keys(run),
            [
                "run",
                "first_alarm",
                "max_grad_norm",
                "clipped_share",
                "final_loss",
                "diverged_at",
                "test_rmse"
            ]
        );
        let alarm = &run["first_alarm"];
        assert!(alarm.is_null() || alarm["detector"].is_string() && alarm["step"].is_u64());
        assert!(run["diverged_at"].is_null() || run["diverged_at"].is_u64());
        for key in ["max_grad_norm", "clipped_share", "final_loss", "test_rmse"] {
            assert!(is_number(&run[key]), "{key}: {}", run[key]);
        }
    }
    // What is not protected is not clipped, and the first step is the same without and with a clip.
    assert_eq!(
        (&runs[0]["clipped_share"], &runs[4]["clipped_share"]),
        (&0.0.into(), &0.0.into())
    );
    assert!(runs[2]["clipped_share"].as_f64().unwrap() > 0.0);

    let pictures = json["pictures"].as_array().unwrap();
    assert_eq!(pictures.len(), 4);
    for picture in pictures {
        let text = std::fs::read_to_string(picture.as_str().unwrap()).unwrap();
        assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
        assert!(!text.contains("=\"NaN") && text.contains("<polyline"));
    }
}

#[test]
fn the_seed_decides_everything() {
    let [first, again, other] = [("once", "7"), ("once", "7"), ("other", "8")]
        .map(|(name, seed)| short(name, &["--seed", seed]));
    assert_eq!(first, again);
    assert_ne!(first["runs"], other["runs"]);
    assert_eq!(first["baselines"], other["baselines"]);
}

#[test]
fn a_series_of_ones_own() {
    let file = folder("series").join("sine.csv");
    let values = (0..600).map(|t| format!("{}\n", (f64::from(t) * PI / 20.0).sin()));
    let text = format!("# a pure tone\n\nheight\n{}", values.collect::<String>());
    std::fs::write(&file, text).unwrap();
    let json = short("series", &["--data", file.to_str().unwrap()]);
    // A sine is a linear recurrence of order 2, and the test months hold three whole waves.
    assert!(json["baselines"]["ar9"].as_f64().unwrap() < 1e-3);
    let step = 2.0 * (PI / 40.0).sin() / 2_f64.sqrt();
    assert!((json["baselines"]["persistence"].as_f64().unwrap() / step - 1.0).abs() < 1e-9);
}

/// A sine, and over the test months values that swing between ± `size`.
fn ends_in_a_swing(name: &str, size: f64) -> String {
    let file = folder(name).join("swing.csv");
    let value = |t: u32| match (t < 480, t % 2) {
        (true, _) => (f64::from(t) * PI / 20.0).sin(),
        (false, 0) => size,
        (false, _) => -size,
    };
    let lines: Vec<String> = (0..600).map(|t| value(t).to_string()).collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    file.to_str().unwrap().into()
}

/// JSON has no number for what is not finite, and `null` would not tell which it was.
#[test]
fn what_is_not_finite_is_a_word_in_json() {
    // The squares of these errors overflow; the sums over scaled values of the second series do so with
    // both signs.
    let far = short("far", &["--data", &ends_in_a_swing("far", 1e200)]);
    let largest = short("words", &["--data", &ends_in_a_swing("words", f64::MAX)]);
    assert_eq!(
        far["baselines"],
        serde_json::json!({"persistence": "inf", "ar9": "inf"})
    );
    assert_eq!(
        largest["baselines"],
        serde_json::json!({"persistence": "inf", "ar9": "NaN"})
    );
    for json in [far, largest] {
        for run in json["runs"].as_array().unwrap() {
            let error = &run["test_rmse"];
            assert!(is_number(error) && error.is_string(), "{error}");
            // The training months are a plain sine.
            for key in ["max_grad_norm", "clipped_share", "final_loss"] {
                assert!(run[key].as_f64().is_some_and(f64::is_finite), "{key}");
            }
        }
    }
}

/// An axis as long as these values are far apart has no finite length, and its marks had no end.
#[test]
fn the_largest_numbers_are_drawn() {
    let file = ends_in_a_swing("largest", f64::MAX);
    let json = short("largest", &["--data", &file]);
    let picture = std::fs::read_to_string(json["pictures"][3].as_str().unwrap()).unwrap();
    assert!(!picture.contains("=\"NaN") && !picture.contains("inf,") && picture.contains("e308"));
    // The truth, too, stays on the sheet.
    let (_, size) = picture.split_once("viewBox=\"0 0 ").unwrap();
    let size = size.split('"').next().unwrap().split_once(' ').unwrap();
    let [width, height]: [i32; 2] = [size.0, size.1].map(|side| side.parse().unwrap());
    for polygon in picture.split("<polygon").skip(1) {
        let (_, points) = polygon.split_once("points=\"").unwrap();
        for point in points.split('"').next().unwrap().split_whitespace() {
            let (x, y) = point.split_once(',').unwrap();
            let inside = |at: &str, end| (0..=end).contains(&at.parse::<i32>().unwrap());
            assert!(inside(x, width) && inside(y, height), "{point}");
        }
    }
}

#[test]
fn the_table_has_every_run_and_both_baselines() {
    let out = folder("table");
    let text = printed(&[
        "--steps",
        "2",
        "--hidden",
        "3",
        "--out",
        out.to_str().unwrap(),
    ]);
    for start in [
        "run ",
        "(a) ",
        "(b) ",
        "(c) ",
        "(d) ",
        "(e) ",
        "(f) ",
        "persistence ",
        "AR(9) ",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(start)),
            "{start}: {text}"
        );
    }
    assert_eq!(text.lines().filter(|line| line.contains(".svg")).count(), 4);
    let help = printed(&["--help"]);
    for option in ["--seed", "--steps", "--hidden", "--data", "--out", "--json"] {
        assert!(help.contains(option));
    }
}

#[test]
fn a_bad_option_or_file_gives_one_sentence_and_code_2() {
    let file = folder("bad").join("bad.csv");
    let path = file.to_str().unwrap();
    let long = |line: &str| format!("x\n{}{line}\n", "1\n2\n".repeat(300));
    let refused = |text: &str, arguments: &[&str], expected: &str| {
        std::fs::write(&file, text).unwrap();
        let output = run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(output.stdout.is_empty());
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(
            said.starts_with("error: ") && said.contains(expected),
            "{said}"
        );
    };
    let of_file = |text: &str, expected: &str| refused(text, &["--json", "--data", path], expected);
    of_file(
        &long("three"),
        "line 602: expected a finite number, found \"three\"",
    );
    of_file(
        &long("inf"),
        "line 602: expected a finite number, found \"inf\"",
    );
    of_file(
        &long("1,2"),
        "line 602: found 2 columns where the lines above have 1",
    );
    of_file("a\nb\n", "line 2: expected a finite number, found \"b\"");
    of_file("1\n2\n3\n", "expected at least 528 values, found 3");
    of_file(
        &"5\n".repeat(600),
        "expected a series that varies over its first 70 %, by 1e-150 to 1e150; found a standard deviation of 0e0",
    );
    of_file(
        &"1e200\n-1e200\n".repeat(300),
        "found a standard deviation of inf",
    );
    refused(
        "",
        &["--data", "/nowhere/at/all.csv"],
        "/nowhere/at/all.csv: cannot read it",
    );
    refused("", &["--steps", "0"], "'0'");
    refused("", &["--hidden", "many"], "'many'");
    refused("", &["--colour"], "'--colour'");
    refused("", &["--steps", "1", "--out", path], "cannot write to");
}
