//! What it is told, and how it answers.

use std::path::Path;

use crate::run::printed;
use crate::{EXPLODED, PROGRAM, file, piped, run, said};

/// The sentence with which it is refused.
fn refusal(arguments: &[&str]) -> String {
    let (out, error, code) = said(run(arguments));
    assert_eq!(
        (code, out.as_str()),
        (Some(2), ""),
        "{arguments:?}: {error}"
    );
    assert_eq!(error.lines().count(), 1, "{error}");
    error.strip_prefix("error: ").unwrap().trim_end().into()
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = env!("CARGO_TARGET_TMPDIR");
    let said = refusal(&[folder]);
    assert!(
        said.starts_with(&format!("{folder}: cannot read it: ")),
        "{said}"
    );
    let said = refusal(&["no/such/file.csv"]);
    assert!(
        said.starts_with("no/such/file.csv: cannot read it: "),
        "{said}"
    );
}

#[test]
fn a_log_that_is_none_is_refused_with_its_line() {
    for (name, log, why) in [
        ("empty.csv", &b""[..], "expected a log, found nothing"),
        (
            "text.csv",
            b"loss\n1\n2\nepoch 3 begins\n",
            "line 4: expected a number for the loss, found \"epoch 3 begins\"",
        ),
        (
            "cut.jsonl",
            b"{\"loss\": 1}\n{\"lo",
            "line 2: this is no JSON: EOF while parsing a string",
        ),
        (
            "bytes.csv",
            b"loss\n\xff\n",
            "line 2: expected a number for the loss, found \"\u{fffd}\"",
        ),
        (
            "fields.csv",
            b"step,loss\n1,2\n3\n",
            "line 3: expected 2 columns, found 1",
        ),
    ] {
        let file = file(name, log);
        let said = refusal(&[file.to_str().unwrap()]);
        assert_eq!(said, format!("{}: {why}", file.display()));
    }
    let (_, error, code) = said(piped(b"1\n2\n", &["-"]));
    assert!(
        error.starts_with("error: standard input: line 1: expected a header with "),
        "{error}"
    );
    assert_eq!(code, Some(2));
}

/// What was found before the bad row is told, and then that it is bad.
#[test]
fn what_came_before_a_bad_row_is_told() {
    let (out, error, code) = said(piped(
        b"gnorm\n1\n5\nx\n",
        &["--detectors", "norm-threshold=2", "-"],
    ));
    assert!(
        out.starts_with("step 2: ") && out.lines().count() == 1,
        "{out}"
    );
    assert!(
        error.contains("line 4: expected a number for the grad_norm"),
        "{error}"
    );
    assert_eq!(code, Some(2));
}

#[test]
fn options_that_are_not_known_or_lack_something_are_refused() {
    for (arguments, why) in [
        (
            &[][..],
            "expected a file, or - for standard input; --help tells more",
        ),
        (
            &["a.csv", "b.csv"],
            "expected one file, found 'b.csv' as well",
        ),
        (
            &["--colour", "a.csv"],
            "unexpected option '--colour'; --help lists them all",
        ),
        (
            &["-x", "a.csv"],
            "unexpected option '-x'; --help lists them all",
        ),
        (
            &["a.csv", "--columns"],
            "missing argument for option '--columns'",
        ),
        (
            &["--detectors", "luck", "a.csv"],
            "expected detectors out of ",
        ),
        (
            &["--json=yes", "a.csv"],
            "unexpected argument for option '--json': \"yes\"",
        ),
    ] {
        let said = refusal(arguments);
        assert!(said.starts_with(why), "{arguments:?}: {said}");
    }
}

#[test]
fn help_names_every_option_and_detector() {
    let out = printed(Path::new(PROGRAM), &["--help"]);
    for word in [
        "--columns <NAMES>",
        "--detectors <LIST>",
        "--json",
        "plateau=DELTA:STEPS",
    ] {
        assert!(out.contains(word), "{word}");
    }
    assert!(out.lines().all(|line| line.chars().count() <= 120), "{out}");
}

/// As `head` does with a long log.
#[test]
fn whoever_reads_no_further_ends_it_quietly() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(PROGRAM)
        .args([EXPLODED, "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}
