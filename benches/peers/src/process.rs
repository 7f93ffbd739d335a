//! The processes of the peers.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What runs as a child: a word for this program, and a script for Python.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Programs {
    pub(crate) rust: &'static str,
    pub(crate) python: &'static str,
}

/// What clips, penalises and updates.
pub(crate) const GRADIENTS: Programs = Programs {
    rust: "child",
    python: "peers.py",
};

/// What runs recurrent cells.
pub(crate) const CELLS: Programs = Programs {
    rust: "cell-child",
    python: "cells.py",
};

/// A running peer.
pub(crate) struct Process {
    pub(crate) name: &'static str,
    pub(crate) about: String,
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Process {
    /// `Err` says what is missing and how to get it.
    pub(crate) fn start(
        programs: Programs,
        name: &'static str,
        threads: usize,
    ) -> Result<Self, String> {
        let mut command = if matches!(name, "torch" | "optax") {
            let mut python =
                Command::new(std::env::var("PEERS_PYTHON").unwrap_or("python3".to_owned()));
            python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(programs.python));
            python
        } else {
            let mut this =
                Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
            this.arg(programs.rust);
            this
        };
        for variable in [
            "RAYON_NUM_THREADS",
            "OMP_NUM_THREADS",
            "MKL_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
        ] {
            command.env(variable, threads.to_string());
        }
        command
            .args([name, &threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let failed = |error: io::Error| format!("{name}: {error}");
        let mut child = command.spawn().map_err(failed)?;
        let requests = child.stdin.take().expect("a piped input");
        let answers = BufReader::new(child.stdout.take().expect("a piped output"));
        let mut process = Self {
            name,
            about: String::new(),
            child,
            requests,
            answers,
        };
        match process.read()?.split_once(' ') {
            Some(("ready", about)) => about.clone_into(&mut process.about),
            Some(("missing", what)) => return Err(what.to_owned()),
            _ => return Err(format!("{name}: did not start")),
        }
        Ok(process)
    }

    fn read(&mut self) -> Result<String, String> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(n) if n > 0 => Ok(line.trim_end().to_owned()),
            _ => Err(format!("{} ended", self.name)),
        }
    }

    pub(crate) fn ask(&mut self, request: &str) -> Result<String, String> {
        let sent = writeln!(self.requests, "{request}").and_then(|()| self.requests.flush());
        sent.map_err(|error| format!("{}: {error}", self.name))?;
        self.read()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Whether it ended already or not, nothing is left to do about it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All peers of one number of threads.
pub(crate) struct Ensemble(pub(crate) Vec<Process>);

impl Ensemble {
    /// Starts them all; why one did not is added to what is missing.
    pub(crate) fn start(
        programs: Programs,
        names: impl Iterator<Item = &'static str>,
        threads: usize,
        missing: &mut Vec<String>,
    ) -> Self {
        let mut processes = Vec::new();
        for name in names {
            match Process::start(programs, name, threads) {
                Ok(process) => processes.push(process),
                Err(what) if missing.contains(&what) => {}
                Err(what) => missing.push(what),
            }
        }
        Self(processes)
    }

    pub(crate) fn get(&mut self, name: &str) -> Option<&mut Process> {
        self.0.iter_mut().find(|process| process.name == name)
    }
}

/// Tells on standard error how far it is. Where that is closed, it need not be told.
pub(crate) fn progress(text: fmt::Arguments<'_>) {
    let _ = io::stderr().write_fmt(text);
}
