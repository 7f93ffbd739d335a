//! Examples of an adapter, asked as the README asks them, and what they answer.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

/// The program of the README's command, as fast as this test was compiled. Adapters have examples of one
/// name and cargo puts them in one place, so it is asked for each of them once.
fn command(example: &'static str, options: &[&str]) -> Command {
    static BUILT: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap();
    let program = built.entry(example).or_insert_with(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let (profile, folder) = if cfg!(debug_assertions) {
            ("test", "debug")
        } else {
            ("release", "release")
        };
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--profile", profile, "--target-dir"])
            .arg(target)
            .args(["-p", env!("CARGO_PKG_NAME"), "--example", example])
            .status();
        assert!(status.unwrap().success());
        let program = target.join(folder).join("examples").join(example);
        program.with_extension(std::env::consts::EXE_EXTENSION)
    });
    let mut command = Command::new(program);
    command.args(options);
    command
}

/// What an example prints, if it ends well and complains of nothing.
pub(crate) fn printed(example: &'static str, options: &[&str]) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command(example, options).output().unwrap();
    let complaint = String::from_utf8(stderr).unwrap();
    assert!(status.success() && complaint.is_empty(), "{complaint}");
    String::from_utf8(stdout).unwrap()
}

/// The sentence with which options are refused.
pub(crate) fn refused(example: &'static str, options: &[&str]) -> String {
    let output = command(example, options).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{options:?}: {said}");
    assert!(output.stdout.is_empty(), "{options:?}");
    said.lines().next().unwrap().to_owned()
}

pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(env!("CARGO_PKG_NAME"))
        .join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The cells of the lines of the tables that begin with these words.
pub(crate) fn cells<'t>(table: &'t str, first: &str) -> Vec<&'t str> {
    let line = table
        .lines()
        .find(|line| line.starts_with(&format!("| {first} |")));
    let line = line.unwrap_or_else(|| panic!("no {first} in {table}"));
    line.trim_matches('|').split('|').map(str::trim).collect()
}

/// A closed pipe ends it quietly, a full disk with a sentence.
#[cfg(target_os = "linux")]
pub(crate) fn is_heard_by_nobody(example: &'static str, options: &[&str]) {
    let ended = |stdout: Stdio| {
        let output = command(example, options).stdout(stdout).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    };
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    assert_eq!(ended(writer.into()), (Some(0), String::new()), "{example}");
    let (code, said) = ended(fs::File::create("/dev/full").unwrap().into());
    assert!(
        code == Some(2) && said.starts_with("error: cannot write"),
        "{example}: {said}"
    );
}

/// Every piece of code in a README that asks a guard for its verdict says what becomes of a stop.
pub(crate) fn hears_a_stop(readme: &str) {
    let pieces = readme.split("```").skip(1).step_by(2);
    let asking: Vec<&str> = pieces.filter(|code| code.contains("verdict()")).collect();
    assert!(!asking.is_empty());
    for code in asking {
        assert!(code.contains("Verdict::Stop"), "{code}");
    }
}
