//! Runs the program, and reads what it prints and draws.

mod comparison;
mod pictures;
#[path = "../../../../tests/examples/run.rs"]
mod run;
#[path = "../../../../tests/examples/speaking.rs"]
mod speaking;
mod words;

use std::path::{Path, PathBuf};
use std::process::Output;

use run::{Short, number_after};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sunspots");

fn run(arguments: &[&str]) -> Output {
    run::run(Path::new(PROGRAM), arguments)
}

fn printed(arguments: &[&str]) -> String {
    run::printed(Path::new(PROGRAM), arguments)
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn short() -> Vec<Short> {
    let out = folder("speaking").display().to_string();
    let options = ["--steps", "1", "--hidden", "2", "--out", &out].map(str::to_owned);
    let json = [&options[..], &["--json".into()]].concat();
    [options.to_vec(), json, vec!["--help".into()]]
        .map(|options| (PROGRAM.into(), options))
        .into()
}
