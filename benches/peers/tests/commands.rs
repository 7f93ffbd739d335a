//! The commands of the README in a short form, and what they print.

use std::io::Write;
use std::process::{Command, Stdio};

/// The exit code, and what is said on standard output and standard error.
fn ended(options: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_peers"))
        .args(options)
        .output()
        .unwrap();
    let [said, complaint] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code().unwrap(), said, complaint)
}

const OURS: [&str; 2] = ["--peers", "ours,guard,ndarray"];

#[test]
fn the_table_has_a_line_for_each_work() {
    let (code, table, _) = ended(&[&["--quick", "--set", "tiny"], &OURS[..]].concat());
    assert_eq!(code, 0);
    let rows: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("| tiny"))
        .collect();
    // Seven works on one thread and on two.
    assert_eq!(rows.len(), 14, "{table}");
    for row in rows {
        // Set, work, threads, the limit and our share of it, ours.
        let ours = row.split('|').nth(6).unwrap();
        assert!(ours.contains("**") && !ours.contains("NaN"), "{row}");
    }
}

#[test]
fn the_table_of_cells_has_a_line_for_each_number_of_threads() {
    let options = ["recurrent", "--quick", "--set", "T200", "--peers", "ours"];
    let (code, table, _) = ended(&options);
    assert_eq!(code, 0);
    for cell in ["RNN", "LSTM", "GRU"] {
        for threads in [1, 2] {
            let begin = format!("| {cell} | 200, 1, 2, 50 | {threads} | ");
            let row = table.lines().find(|line| line.starts_with(&begin));
            let row = row.unwrap_or_else(|| panic!("no {begin} in {table}"));
            // The peak, our share of it, ours.
            let ours = row.split('|').nth(6).unwrap();
            assert!(ours.contains("**") && !row.contains("NaN"), "{row}");
        }
    }
}

#[test]
fn a_child_tells_the_gradients_of_its_cell_and_its_memory() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_peers"))
        .args(["cell-child", "ours", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut requests = child.stdin.take().unwrap();
    requests
        .write_all(b"train 0\ncell lstm 7 2 3 4\ntrain 0\nmemory\n")
        .unwrap();
    drop(requests);
    let output = child.wait_with_output().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!(answers[..2], ["ready steadygrad", "no"]);
    let names = ["w_in", "w_rec", "bias", "inputs", "initial_h", "initial_c"];
    let norms: Vec<&str> = answers[2].split(' ').collect();
    assert_eq!(norms.len(), 1 + names.len(), "{}", answers[2]);
    for (norm, name) in norms[1..].iter().zip(names) {
        let number = norm.strip_prefix(name).unwrap().strip_prefix('=').unwrap();
        assert!(number.parse::<f64>().unwrap() > 0.0, "{norm}");
    }
    let number = |answer: &str| answer.strip_prefix("ok ").unwrap().parse::<f64>().unwrap();
    assert!(number(answers[3]) > 0.0);
    if cfg!(target_os = "linux") {
        assert!((1.0..1000.0).contains(&number(answers[4])));
    }
}

#[test]
fn facts_tell_what_becomes_of_a_norm_that_overflows() {
    let (code, table, _) = ended(&[&["facts"], &OURS[..]].concat());
    assert_eq!(code, 0);
    let row = table.lines().find(|line| line.contains("1e25")).unwrap();
    assert!(
        row.contains("[0.70710677, 0.70710677, 7.071068e-26]"),
        "{row}"
    );
}

#[test]
fn help_is_an_answer_and_a_bad_name_is_not() {
    let (code, said, complaint) = ended(&["--help"]);
    assert_eq!((code, complaint.as_str()), (0, ""));
    assert!(said.contains("--quick"));
    for (options, expected) in [
        (&["--peers", "numpy"][..], "expected --peers of ours, "),
        (&["--set", "small"], "expected --set of gpt2, "),
        (&["--only", "speed"], "expected --only of measure, "),
        (&["--rounds", "0"], "expected a positive number, found 0"),
        (&["--rounds"], "expected a value after --rounds"),
        (&["--fast"], "found --fast"),
        (
            &["recurrent", "--set", "gpt2"],
            "expected --set of T100, T35, ",
        ),
        (
            &["recurrent", "--only", "measure"],
            "expected --only of rnn, lstm, ",
        ),
        (
            &["recurrent", "--peers", "optax"],
            "expected --peers of ours, checkpointed, ",
        ),
    ] {
        let (code, said, complaint) = ended(options);
        assert_eq!((code, said.as_str()), (2, ""), "{complaint}");
        assert!(
            complaint.starts_with("error: ") && complaint.contains(expected),
            "{complaint}"
        );
        assert_eq!(complaint.lines().count(), 1);
    }
}
