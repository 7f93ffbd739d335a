//! Programs end quietly when nobody reads on, and say so in one sentence when nothing can be written. Which programs,
//! the crate above says.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::short;

/// The exit code and what is said on standard error.
fn ended(program: &Path, options: &[String], stdout: Stdio) -> (Option<i32>, String) {
    let mut command = Command::new(program);
    let output = command.args(options).stdout(stdout).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said)
}

#[test]
fn a_closed_pipe_ends_a_program_quietly() {
    for (program, options) in short() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let ended = ended(&program, &options, writer.into());
        assert_eq!(ended, (Some(0), String::new()), "{program:?} {options:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_one_sentence_and_code_2() {
    for (program, options) in short() {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let (code, said) = ended(&program, &options, full.unwrap().into());
        assert_eq!(code, Some(2), "{program:?} {options:?}: {said}");
        assert!(said.starts_with("error: cannot write to standard output: "));
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
