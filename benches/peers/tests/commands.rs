//! The commands of the README in a short form, and what they print.

use std::process::Command;

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
