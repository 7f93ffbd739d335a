//! Programs end quietly when nobody reads on, and say so in one sentence when nothing can be written.

use std::io;
use std::process::{Command, Stdio};

use crate::{folder, program};

/// The programs that need no more than they are built with, and the options that make them short.
fn short() -> Vec<(&'static str, Vec<String>)> {
    let mut programs = vec!["slices", "custom_clipper", "custom_detector", "wall"];
    if cfg!(feature = "ndarray") {
        programs.push("struct_of_arrays");
    }
    let mut programs: Vec<_> = programs.into_iter().map(|name| (name, vec![])).collect();
    if cfg!(feature = "ndarray") {
        let out = folder("speaking").display().to_string();
        let options = ["--steps", "1", "--hidden", "2", "--out", &out].map(str::to_owned);
        programs.push(("sunspots", options.to_vec()));
        programs.push(("sunspots", [&options[..], &["--json".into()]].concat()));
        programs.push(("sunspots", vec!["--help".into()]));
    }
    programs
}

/// The exit code and what is said on standard error.
fn ended(name: &str, options: &[String], stdout: Stdio) -> (Option<i32>, String) {
    let mut command = Command::new(program(name));
    let output = command.args(options).stdout(stdout).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said)
}

#[test]
fn a_closed_pipe_ends_a_program_quietly() {
    for (name, options) in short() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let ended = ended(name, &options, writer.into());
        assert_eq!(ended, (Some(0), String::new()), "{name} {options:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_one_sentence_and_code_2() {
    let full = || std::fs::File::options().write(true).open("/dev/full");
    for (name, options) in short() {
        let (code, said) = ended(name, &options, full().unwrap().into());
        assert_eq!(code, Some(2), "{name} {options:?}: {said}");
        assert!(said.starts_with("error: cannot write to standard output: "));
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    // And where not even that can be said, the code says it.
    #[cfg(feature = "ndarray")]
    {
        let mut command = Command::new(program("sunspots"));
        let ended = command.arg("--colour").stderr(full().unwrap()).status();
        assert_eq!(ended.unwrap().code(), Some(2));
    }
}
