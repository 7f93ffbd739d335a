//! Runs a program and reads what it says.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Runs a program, which has two minutes for what takes it a second.
pub(crate) fn run(program: &Path, arguments: &[&str]) -> Output {
    fn reader(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
        thread::spawn(move || {
            let mut all = Vec::new();
            pipe.read_to_end(&mut all).unwrap();
            all
        })
    }
    let mut child = Command::new(program)
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
            panic!("{} {arguments:?} does not end", program.display());
        }
        thread::sleep(Duration::from_millis(5));
    };
    Output {
        status,
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
    }
}

/// What a program prints, if it ends well and complains of nothing.
pub(crate) fn printed(program: &Path, arguments: &[&str]) -> String {
    let output = run(program, arguments);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && complaint.is_empty(),
        "{}: {complaint}",
        program.display()
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The number that follows `word` in `text`.
pub(crate) fn number_after(text: &str, word: &str) -> f64 {
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

/// A program, and the options that make it short.
pub(crate) type Short = (PathBuf, Vec<String>);
