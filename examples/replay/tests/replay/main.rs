//! Runs the program on logs, and reads what it says of them.

#[path = "../../examples/explode.rs"]
#[expect(dead_code, reason = "a test has a beginning of its own")]
mod explode;
mod logs;
#[path = "../../../../tests/examples/run.rs"]
mod run;
mod size;
#[path = "../../../../tests/examples/speaking.rs"]
mod speaking;
mod words;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use run::Short;

const PROGRAM: &str = env!("CARGO_BIN_EXE_replay");

/// The log of a net whose rate was raised until it exploded.
const EXPLODED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/exploded.csv");

fn run(arguments: &[&str]) -> Output {
    run::run(Path::new(PROGRAM), arguments)
}

/// What is said on standard output and standard error, and the exit code.
fn said(output: Output) -> (String, String, Option<i32>) {
    let [out, error] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (out, error, output.status.code())
}

/// Runs it on what standard input holds.
fn piped(log: &[u8], arguments: &[&str]) -> Output {
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let log = log.to_vec();
    // One that ends early does not read it all.
    let writer = std::thread::spawn(move || input.write_all(&log));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    output
}

fn file(name: &str, log: impl AsRef<[u8]>) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, log).unwrap();
    file
}

/// How it is run where what it prints is not the point.
fn short() -> Vec<Short> {
    let options = [&[EXPLODED][..], &["--json", EXPLODED], &["--help"]];
    let strings = |options: &[&str]| options.iter().map(ToString::to_string).collect();
    options
        .map(|options| (PROGRAM.into(), strings(options)))
        .to_vec()
}
