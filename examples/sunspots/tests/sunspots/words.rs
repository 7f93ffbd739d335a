//! What the comparison is told, and the words it answers with.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::{PROGRAM, folder, printed, run};

/// The sentence with which a series is refused.
fn refusal(name: &str, series: &str) -> String {
    let file = folder(name).join("series.csv");
    std::fs::write(&file, series).unwrap();
    let output = run(&["--data", file.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    said
}

fn rows(separator: &str) -> String {
    let row = |n: u32| format!("{n}{separator}{}\n", n % 11);
    (0..600).map(row).collect()
}

#[test]
fn a_validation_is_not_called_a_test() {
    let out = folder("validate");
    let options = ["--validate", "--steps", "1", "--hidden", "2", "--out"];
    let options = [&options[..], &[out.to_str().unwrap()]].concat();
    let table = printed(&options);
    let header = table.lines().next().unwrap();
    assert!(header.ends_with(" validation RMSE"), "{header}");
    let json = printed(&[&options[..], &["--json"]].concat());
    assert!(json.contains("\"validation_rmse\":"), "{json}");
    let picture = std::fs::read_to_string(out.join("predictions.svg")).unwrap();
    assert!(picture.contains("in the validation months"));
    for text in [table, json, picture] {
        assert!(!text.contains("test"), "{text}");
    }
}

/// Of "7;5,25" the last column would be 25.
#[test]
fn foreign_separators_are_named() {
    for (name, separator, marks) in [
        ("semicolons", ";", "found semicolons"),
        ("tabs", "\t", "found tabs"),
        ("spaces", " ", "columns are separated by commas"),
    ] {
        let text = format!("month{separator}value\n{}", rows(separator));
        let said = refusal(name, &text);
        assert!(said.contains(marks), "{said}");
    }
    let said = refusal("decimals", &rows(";5,"));
    assert!(
        said.contains("line 1: ") && said.contains("semicolons"),
        "{said}"
    );
}

#[test]
fn an_empty_line_between_values_is_a_missing_value() {
    let text = rows(",");
    let said = refusal("gap", &text.replacen("300,", "\n300,", 1));
    assert!(
        said.contains("line 301: expected a value, found an empty line"),
        "{said}"
    );
    // Around the values it says nothing.
    let file = folder("around").join("series.csv");
    std::fs::write(&file, format!("\n\nn,value\n\n{text}\n\n")).unwrap();
    let out = folder("around");
    let options = [
        "--steps",
        "1",
        "--hidden",
        "2",
        "--out",
        out.to_str().unwrap(),
    ];
    printed(&[&options[..], &["--data", file.to_str().unwrap()]].concat());
}

#[test]
fn a_picture_that_cannot_be_written_is_found_before_the_training() {
    let out = folder("taken");
    std::fs::create_dir_all(out.join("flow.svg")).unwrap();
    // So many steps would take hours.
    let options = ["--steps", "1000000", "--out", out.to_str().unwrap()];
    let output = run(&options);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.starts_with("error: cannot write to ") && said.contains("flow.svg: "),
        "{said}"
    );
}

/// Where not even a sentence can be said, the code says it.
#[test]
#[cfg(target_os = "linux")]
fn a_bad_option_is_code_2_without_words() {
    let full = std::fs::File::options().write(true).open("/dev/full");
    let mut command = Command::new(PROGRAM);
    let ended = command.arg("--colour").stderr(full.unwrap()).status();
    assert_eq!(ended.unwrap().code(), Some(2));
}

#[test]
fn a_long_training_says_how_long_at_once() {
    let out = folder("long");
    let mut child = Command::new(PROGRAM)
        .args(["--hidden", "4096", "--steps", "1", "--out"])
        .arg(out)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let (sender, first) = mpsc::channel();
    let reader = thread::spawn(move || sender.send(lines.next()));
    let said = first.recv_timeout(Duration::from_secs(20));
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap().ok();
    let said = said.ok().flatten().expect("nothing in 20 seconds").unwrap();
    assert!(
        said.contains("4096 units") && said.contains("about 3 minutes"),
        "{said}"
    );
}
