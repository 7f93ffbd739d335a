//! Reads the log of a training run, whichever framework wrote it, and says what steadygrad's detectors would have said
//! and when.
//!
//! ```text
//! cargo run --release -p replay -- --help
//! ```
//!
//! Rows stream from the log ([`log`]) through a guard that holds the detectors ([`watch`]) to whoever reads
//! ([`output`]), in memory that does not grow with the log.

mod detectors;
mod divergence;
mod log;
mod names;
mod options;
mod output;
#[path = "../../tell/mod.rs"]
mod tell;
mod watch;

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use log::Ended;
use options::Options;
use tell::tell;
use watch::Watch;

fn main() -> ExitCode {
    let mut is_trouble = false;
    let code = tell(|out| {
        match Options::parse(env::args_os().skip(1))? {
            Some(options) => is_trouble = replay(options, out)?,
            None => write!(out, "{}", options::help())?,
        }
        Ok(())
    });
    if is_trouble && code == ExitCode::SUCCESS {
        return ExitCode::from(1);
    }
    code
}

/// Whether anything grave happened in the run.
fn replay(options: Options, out: &mut dyn Write) -> Result<bool, Box<dyn Error>> {
    let name = options
        .file
        .as_ref()
        .map_or("standard input".into(), |file| file.display().to_string());
    let input: Box<dyn Read> = match &options.file {
        Some(file) => {
            Box::new(File::open(file).map_err(|why| format!("{name}: cannot read it: {why}"))?)
        }
        None => Box::new(io::stdin().lock()),
    };
    let form = options.form;
    let mut watch = Watch::new(options.detectors);
    let read = log::read(input, options.columns.as_deref(), &mut |row| {
        watch.row(row, &mut |news| Ok(form.news(news, out)?))
    });
    match read {
        Ok(()) => (),
        Err(Ended::Log(why)) => return Err(format!("{name}: {why}").into()),
        Err(Ended::Taker(why)) => return Err(why),
    }
    let summary = watch.end(&mut |news| Ok(form.news(news, out)?))?;
    form.summary(&summary, out)?;
    Ok(summary.is_trouble())
}
