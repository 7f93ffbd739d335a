//! Runs the examples that cargo built beside this test, and reads what they print.

#[cfg(feature = "ndarray")]
mod pictures;
mod speaking;
#[cfg(feature = "ndarray")]
mod sunspots;
#[cfg(feature = "ndarray")]
mod words;

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
