//! Six ways to train a recurrent network on 260 years of sunspots, and which of them survive.
//!
//! ```text
//! cargo run --release -p sunspots
//! cargo run --release -p sunspots -- --help
//! ```
//!
//! Backpropagation through time over a solar cycle of 132 months multiplies 132 Jacobians. All runs begin
//! with the same seed, see the same data in the same order and are watched by the same detectors;
//! they differ in what is done about the gradients ([`runs`]). At the end they predict months that none of them
//! has seen, beside two baselines that need no network.

mod baselines;
mod data;
mod model;
mod options;
mod output;
mod plots;
mod runs;
#[path = "../../tell/mod.rs"]
mod tell;
mod train;

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use data::Series;
use options::{HELP, Options};
use runs::RUNS;
use tell::{Told, tell};
use train::{Outcome, Plan};

fn main() -> ExitCode {
    tell(|out| {
        let words = env::args_os()
            .skip(1)
            .map(|word| word.to_string_lossy().into_owned());
        match Options::parse(words)? {
            Some(options) => compare(&options, out),
            None => Ok(write!(out, "{HELP}")?),
        }
    })
}

fn compare(options: &Options, out: &mut dyn Write) -> Told {
    let mut series = match &options.data {
        None => Series::sunspots()?,
        Some(path) => read(path).map_err(|why| format!("{}: {why}", path.display()))?,
    };
    if options.validate {
        series = series.validated();
    }
    let pictures = plots::prepare(&options.out)?;
    let plan = Plan {
        seed: options.seed,
        steps: options.steps,
        hidden: options.hidden,
    };
    let wait = plan.about();
    if wait > Duration::from_secs(20) {
        let text = format!(
            "{} nets of {} units, steps of each: {}; this takes about {}",
            RUNS.len(),
            plan.hidden,
            plan.steps,
            output::coarse(wait)
        );
        // Standard error may be closed, and the training is none the worse for that.
        let _ = writeln!(io::stderr(), "{text}");
    }
    let outcomes = train_all(&plan, &series)?;
    plots::draw_all(&pictures, &plan, &series, &outcomes)?;
    if options.json {
        writeln!(out, "{}", output::json(&series, &outcomes, &pictures))?;
    } else {
        write!(out, "{}", output::table(&series, &outcomes, &pictures))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Series, String> {
    let text = fs::read_to_string(path).map_err(|why| format!("cannot read it: {why}"))?;
    Series::new(&data::parse(&text)?, None)
}

/// Trains in two threads; which thread takes which run changes no number.
fn train_all(plan: &Plan, series: &Series) -> steadygrad::Result<Vec<Outcome>> {
    let bar = ProgressBar::new(RUNS.len() as u64 * plan.steps);
    let style =
        ProgressStyle::with_template("{msg:28} {bar:40} {percent:>3} %, {elapsed}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    // A step of large nets takes minutes.
    bar.enable_steady_tick(Duration::from_secs(1));

    // The LSTM takes longest, so it is taken first.
    let waiting = Mutex::new((0..RUNS.len()).collect::<Vec<_>>());
    let next = || waiting.lock().ok().and_then(|mut runs| runs.pop());
    let work = || {
        let mut done = Vec::new();
        while let Some(index) = next() {
            let run = &RUNS[index];
            bar.set_message(format!("({}) {}", run.name, run.title));
            let outcome = train::run(run, plan, series, &|| bar.inc(1));
            // What a run that ended early did not need.
            let taken = outcome
                .as_ref()
                .map_or(0, |outcome| outcome.norms.len() as u64);
            bar.inc(plan.steps - taken);
            done.push((index, outcome));
        }
        done
    };
    let mut all = thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut all = work();
        all.extend(
            other
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        );
        all
    });
    bar.finish_and_clear();
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, outcome)| outcome).collect()
}
