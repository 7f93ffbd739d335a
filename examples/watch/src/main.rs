//! Hundreds of recurrent nets that nobody tuned, and which detectors see in time that one is being lost.
//!
//! ```text
//! cargo run --release -p watch
//! cargo run --release -p watch -- --quick
//! ```
//!
//! Nets and their settings are drawn ([`setup`]), trained without any clipping ([`train`]) and labelled from their own
//! losses ([`divergence`]). Every detector is then shown the rows that were written down ([`replay`]). What the constants of the
//! detectors were set by, and what is only reported, are told apart.

mod detectors;
#[path = "../../replay/src/divergence.rs"]
mod divergence;
mod median;
mod net;
mod optimiser;
mod options;
mod random;
mod replay;
mod rescue;
mod setup;
mod table;
mod tasks;
#[path = "../../tell/mod.rs"]
mod tell;
mod train;

use std::env;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use rayon::prelude::*;

use options::{HELP, Options};
use replay::{Run, Tally};
use setup::{Half, Setup};
use table::Table;
use tasks::Series;
use tell::{Told, tell};

fn main() -> ExitCode {
    tell(|out| {
        let words = env::args_os()
            .skip(1)
            .map(|word| word.to_string_lossy().into_owned());
        match Options::parse(words)? {
            Some(options) => watch(&options, out),
            None => Ok(write!(out, "{HELP}")?),
        }
    })
}

fn watch(options: &Options, out: &mut dyn Write) -> Told {
    let series = Series::sunspots()?;
    let setups = (0..options.nets).map(|index| Setup::draw(options.seed, index, options.is_quick));
    let setups: Vec<Setup> = setups.collect();
    // In the order of the setups, whichever thread trains which net.
    let only: Vec<u64> = std::fs::read_to_string("target/only.txt").unwrap_or_default().split_whitespace().map(|x| x.parse().unwrap()).collect();
    let runs: Vec<Run> = setups
        .par_iter()
        .map(|s| if only.is_empty() || only.contains(&s.index) { s.clone() } else { Setup { steps: 1, ..s.clone() } })
        .map(|setup| Ok(Run::new(train::record(&setup, &series)?)))
        .collect::<steadygrad::Result<_>>()?;
    if let Some(path) = &options.rows {
        write_rows(path, &runs).map_err(|why| format!("{}: {why}", path.display()))?;
    }
    if let Some(path) = std::env::var_os("WATCH_DEBUG") {
        let guarded: Vec<rescue::Guarded> = setups
            .par_iter()
            .map(|setup| rescue::train(setup, &series))
            .collect::<steadygrad::Result<_>>()?;
        let mut file = File::create(path)?;
        for ((setup, run), guarded) in setups.iter().zip(&runs).zip(&guarded) {
            writeln!(
                file,
                "{},{},{:?},{:?},{},{},{}",
                setup.index,
                run.rows.len(),
                run.onset,
                run.broken,
                guarded.debug(run),
                guarded.rollbacks,
                guarded.is_stopped
            )?;
        }
    }
    for (half, title) in [
        (Half::Setting, "Nets that set the constants"),
        (Half::Reported, "Nets that are only reported"),
    ] {
        let of_half = setups
            .iter()
            .zip(&runs)
            .filter(|(setup, _)| setup.half() == half);
        let of_half: Vec<&Run> = of_half.map(|(_, run)| run).collect();
        writeln!(out, "{}", table_of(title, &of_half)?)?;
    }
    Ok(())
}

/// What every detector says of some of the runs.
fn table_of(title: &str, runs: &[&Run]) -> steadygrad::Result<Table> {
    let mut lines = vec![];
    for entry in detectors::all() {
        let mut tally = Tally::default();
        for run in runs {
            tally.count(run, &run.alarms(&mut (entry.make)()?, entry.least)?);
        }
        lines.push((entry.name, tally));
    }
    let title = title.to_owned();
    Ok(Table { title, lines })
}

fn write_rows(path: &Path, runs: &[Run]) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "run,step,loss,grad_norm,weight_norm,update_norm")?;
    for (index, run) in runs.iter().enumerate() {
        for (step, row) in (1..).zip(&run.rows) {
            let (loss, grads, weights) = (row.loss, row.grad_norm, row.weight_norm);
            let update = row.update_norm.unwrap_or(f64::NAN);
            writeln!(
                file,
                "{index},{step},{loss:e},{grads:e},{weights:e},{update:e}"
            )?;
        }
    }
    file.flush()
}
