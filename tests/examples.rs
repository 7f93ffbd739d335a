//! Runs the examples that cargo built beside this test, and reads what they print.

use std::env;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

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

/// Runs an example, which has two minutes for what takes it a second.
fn run(name: &str, arguments: &[&str]) -> Output {
    fn reader(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
        thread::spawn(move || {
            let mut all = Vec::new();
            pipe.read_to_end(&mut all).unwrap();
            all
        })
    }
    let mut child = Command::new(program(name))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = reader(child.stdout.take().unwrap());
    let stderr = reader(child.stderr.take().unwrap());
    let end = Instant::now() + Duration::from_secs(120);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > end {
            child.kill().unwrap();
            panic!("{name} {arguments:?} does not end");
        }
        thread::sleep(Duration::from_millis(5));
    };
    Output {
        status,
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
    }
}

/// What an example prints, if it ends well and complains of nothing.
fn printed(name: &str, arguments: &[&str]) -> String {
    let output = run(name, arguments);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && complaint.is_empty(),
        "{name}: {complaint}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The number that follows `word` in `text`.
fn number_after(text: &str, word: &str) -> f64 {
    let (_, rest) = text
        .split_once(word)
        .unwrap_or_else(|| panic!("no {word:?} in {text:?}"));
    let end = |c: char| c.is_whitespace() || c == ',' || c == ';';
    rest.trim_start()
        .split(end)
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn slices() {
    let text = printed("slices", &[]);
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
    let text = printed("struct_of_arrays", &[]);
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
fn custom_clipper() {
    let text = printed("custom_clipper", &[]);
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
    let text = printed("custom_detector", &[]);
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

/// The figures are the exact ones of the surface, found in another program with 50 digits.
#[test]
fn wall() {
    let text = printed("wall", &[]);
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

#[cfg(feature = "ndarray")]
mod sunspots {
    use super::{folder, printed, run};
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
        serde_json::from_str(&printed("sunspots", &arguments)).unwrap()
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
        assert_eq!(pictures.len(), 3);
        for picture in pictures {
            let text = std::fs::read_to_string(picture.as_str().unwrap()).unwrap();
            assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
            assert!(!text.contains("NaN") && text.contains("<polyline"));
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
        let picture = std::fs::read_to_string(json["pictures"][2].as_str().unwrap()).unwrap();
        assert!(!picture.contains("NaN") && !picture.contains("inf,") && picture.contains("e307"));
        // The truth, too, stays on a sheet of 1200 by 860.
        for polygon in picture.split("<polygon").skip(1) {
            let (_, points) = polygon.split_once("points=\"").unwrap();
            for point in points.split('"').next().unwrap().split_whitespace() {
                let (x, y) = point.split_once(',').unwrap();
                let inside = |at: &str, end| (0..=end).contains(&at.parse::<i32>().unwrap());
                assert!(inside(x, 1200) && inside(y, 860), "{point}");
            }
        }
    }

    #[test]
    fn the_table_has_every_run_and_both_baselines() {
        let out = folder("table");
        let text = printed(
            "sunspots",
            &[
                "--steps",
                "2",
                "--hidden",
                "3",
                "--out",
                out.to_str().unwrap(),
            ],
        );
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
        assert_eq!(text.lines().filter(|line| line.contains(".svg")).count(), 3);
        let help = printed("sunspots", &["--help"]);
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
            let output = run("sunspots", arguments);
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(output.stdout.is_empty());
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(
                said.starts_with("error: ") && said.contains(expected),
                "{said}"
            );
        };
        let of_file =
            |text: &str, expected: &str| refused(text, &["--json", "--data", path], expected);
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
}
