//! Hundreds of recurrent nets that nobody tuned, and which detectors see in time that one is being lost.
//!
//! ```text
//! cargo run --release -p watch
//! cargo run --release -p watch -- --quick
//! ```
//!
//! Nets and their settings are drawn ([`setup`]), trained without any clipping ([`train`]) and labelled from their own
//! losses ([`divergence`]). Every detector is then shown the rows that were written down ([`replay`]), those of runs that
//! PyTorch logged too ([`torch`]). The nets of which the watchdog has something to say are then trained once more, with a
//! guard ([`rescue`]). What the constants of the detectors were set by, and what is only reported, are told apart.

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
mod torch;
mod train;

use std::env;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use rayon::prelude::*;
use steadygrad::detect::{Severity, Watchdog};

use options::{HELP, Options};
use replay::{Run, Tally};
use rescue::{Guarded, Rescue};
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
    let runs: Vec<Run> = setups
        .par_iter()
        .map(|setup| Ok(Run::new(train::record(setup, &series)?)))
        .collect::<steadygrad::Result<_>>()?;
    if let Some(path) = &options.rows {
        write_rows(path, &runs).map_err(|why| format!("{}: {why}", path.display()))?;
    }
    // A net of which the watchdog says nothing is the same with a guard.
    let guarded: Vec<Option<Guarded>> = setups
        .par_iter()
        .zip(&runs)
        .map(|(setup, run)| {
            let alarms = run.alarms(&mut Watchdog::default(), Severity::Note)?;
            let is_told = !alarms.is_empty();
            is_told.then(|| rescue::train(setup, &series)).transpose()
        })
        .collect::<steadygrad::Result<_>>()?;
    for (half, title) in [
        (Half::Setting, "Nets that set the constants"),
        (Half::Reported, "Nets that are only reported"),
    ] {
        let is_of_half = |(setup, _): &(&Setup, _)| setup.half() == half;
        let nets = setups.iter().zip(runs.iter().zip(&guarded));
        let (of_half, guarded): (Vec<&Run>, Vec<_>) =
            nets.filter(is_of_half).map(|(_, net)| net).unzip();
        writeln!(out, "{}", table_of(title, &of_half)?)?;
        let mut rescue = Rescue::default();
        for (run, guarded) in of_half.into_iter().zip(guarded) {
            rescue.count(run, guarded.as_ref());
        }
        writeln!(out, "{rescue}")?;
    }
    let logged = torch::runs()?;
    let logged: Vec<&Run> = logged.iter().collect();
    let table = table_of("Runs that PyTorch logged, only reported", &logged)?;
    writeln!(out, "{table}")?;
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
