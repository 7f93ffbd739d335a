//! Recurrent cells, forwards and backwards: their time, their share of what the processor can do, their memory.

pub(crate) mod case;
pub(crate) mod child;
mod ours;
mod peak;
mod table;

#[cfg(feature = "burn")]
mod burn;
#[cfg(feature = "candle")]
mod candle;
#[cfg(feature = "rust-lstm")]
mod rust_lstm;

use std::io::Write;

use crate::options::Options;
use crate::orchestra::report;
use crate::process::{self, Ensemble, Process, progress};
use crate::tell::Told;
use case::{Case, shapes};
use child::Peer;
use peak::Peak;
use table::{MemoryRow, Row};

pub(crate) use case::CELLS;

/// The peer of this name, or what is missing.
pub(crate) fn peer(name: &str) -> Result<Peer, String> {
    match name {
        "ours" => Ok(Peer {
            about: "steadygrad",
            make: ours::plain,
        }),
        "checkpointed" => Ok(Peer {
            about: "steadygrad, `Checkpointed`",
            make: ours::checkpointed,
        }),
        #[cfg(feature = "burn")]
        "burn" => Ok(Peer {
            about: "burn 0.22 (flex)",
            make: |case| Ok(Some(burn::make(case))),
        }),
        #[cfg(feature = "candle")]
        "candle" => Ok(Peer {
            about: "candle 0.11",
            make: candle::make,
        }),
        #[cfg(feature = "rust-lstm")]
        "rust-lstm" => Ok(Peer {
            about: "rust-lstm 0.10",
            make: |case| Ok(rust_lstm::make(case)),
        }),
        _ => Err(format!(
            "{name}: build with --features burn,candle,rust-lstm"
        )),
    }
}

/// A peer that takes longer than this is measured in the first rounds only.
const SLOW_MS: f64 = 2e3;
const ROUNDS_OF_SLOW: usize = 3;

/// Runs everything and prints the tables.
pub(crate) fn play(options: &Options, out: &mut dyn Write) -> Told {
    let (mut missing, mut wrong) = (Vec::new(), Vec::new());
    let mut about = Vec::new();
    let mut rows = Vec::new();
    let mut memory = Vec::new();
    for &threads in &options.threads {
        let mut ensemble =
            Ensemble::start(process::CELLS, wanted_peers(options), threads, &mut missing);
        about = ensemble.0.iter().map(|peer| peer.about.clone()).collect();
        for case in wanted_cases(options) {
            rows.push(play_case(
                options,
                &mut ensemble,
                case,
                threads,
                &mut wrong,
            )?);
        }
    }
    // In processes of their own, on one thread: the first that was asked for.
    let threads = options.threads.first().copied().unwrap_or(1);
    for case in wanted_cases(options).filter(|case| case.shape.is_longest()) {
        memory.push(measure_memory(options, case, threads)?);
    }
    writeln!(out, "{}", table::header(options.rounds, &about, &rows))?;
    writeln!(out, "{}", table::render(&mut rows))?;
    if !memory.is_empty() {
        writeln!(out, "\n{}", table::render_memory(&memory))?;
    }
    // A line for each number of threads would say no more.
    let mut told = Vec::new();
    for what in wrong {
        if !told.contains(&what) {
            writeln!(out, "\nDiffers: {what}")?;
            told.push(what);
        }
    }
    report(&missing, out)
}

fn wanted_peers(options: &Options) -> impl Iterator<Item = &'static str> {
    let peers = options.job.peers().iter().copied();
    peers.filter(|name| options.wants_peer(name))
}

fn wanted_cases(options: &Options) -> impl Iterator<Item = Case> {
    let shapes = shapes().into_iter();
    let shapes = shapes.filter(|shape| options.wants_set(&shape.name()));
    shapes.flat_map(|shape| {
        let cells = CELLS.into_iter();
        let cells = cells.filter(|cell| options.wants_work(cell.name()));
        cells.map(move |cell| Case { cell, shape })
    })
}

fn play_case(
    options: &Options,
    ensemble: &mut Ensemble,
    case: Case,
    threads: usize,
    wrong: &mut Vec<String>,
) -> Result<Row, String> {
    let (cell, shape) = (case.cell.title(), case.shape.title());
    progress(format_args!("{cell} ({shape}), {threads} thread(s):"));
    let mut row = Row::new(case, threads);
    let mut expected: Vec<(String, f64)> = Vec::new();
    for process in &mut ensemble.0 {
        let Some(norms) = load(process, case)? else {
            continue;
        };
        // Ours comes first, unless it has no such cell.
        if expected.is_empty() {
            expected = norms;
        } else {
            wrong.extend(
                differences(&expected, &norms)
                    .map(|what| format!("{} on {cell} ({shape}): {what}", process.name)),
            );
        }
    }
    for round in 1..=options.rounds {
        progress(format_args!(" {round}"));
        row.peak.push(Peak::measure(threads));
        for (i, name) in options.job.peers().iter().enumerate() {
            let is_slow = row.times[i]
                .last()
                .is_none_or(|&ms| ms > SLOW_MS || ms.is_nan());
            let time = match ensemble.get(name) {
                Some(process) if round <= ROUNDS_OF_SLOW || !is_slow => {
                    train(process, options.budget_ms)?
                }
                _ => f64::NAN,
            };
            row.times[i].push(time);
        }
    }
    progress(format_args!("\n"));
    Ok(row)
}

/// Lets a peer make a cell and train it once. The norms of its gradients; `None` if it has no such cell.
fn load(process: &mut Process, case: Case) -> Result<Option<Vec<(String, f64)>>, String> {
    let answer = process.ask(&format!("cell {}", case.as_text()))?;
    let Some(norms) = answer.strip_prefix("ok") else {
        return Ok(None);
    };
    let norms = norms.split_whitespace().filter_map(|word| {
        let (name, norm) = word.split_once('=')?;
        Some((name.to_owned(), norm.parse().ok()?))
    });
    Ok(Some(norms.collect()))
}

/// What of a peer's gradients is not ours. Peers that do not find the same gradients do not do the same work.
fn differences(
    expected: &[(String, f64)],
    found: &[(String, f64)],
) -> impl Iterator<Item = String> {
    expected.iter().filter_map(|(name, expected)| {
        let (_, norm) = found.iter().find(|(found, _)| found == name)?;
        let apart = (norm / expected - 1.0).abs();
        (apart.is_nan() || apart > 1e-3).then(|| {
            format!("expected norm {expected:.6e} of the gradient of {name}, found {norm:.6e}")
        })
    })
}

/// Milliseconds; NaN if the peer has no such cell.
fn train(process: &mut Process, budget_ms: u32) -> Result<f64, String> {
    let answer = process.ask(&format!("train {budget_ms}"))?;
    let ms = answer.strip_prefix("ok ");
    Ok(ms.and_then(|ms| ms.parse().ok()).unwrap_or(f64::NAN))
}

/// The most memory of a process that does nothing else, before and after three passes to and fro.
fn measure_memory(options: &Options, case: Case, threads: usize) -> Result<MemoryRow, String> {
    let mut row = MemoryRow::new(case);
    for (i, name) in options.job.peers().iter().enumerate() {
        if !options.wants_peer(name) {
            continue;
        }
        // What is missing has been told already.
        let Ok(mut process) = Process::start(process::CELLS, name, threads) else {
            continue;
        };
        let before = memory(&mut process)?;
        if load(&mut process, case)?.is_some() {
            train(&mut process, 0)?;
            train(&mut process, 0)?;
            row.mib[i] = before.zip(memory(&mut process)?);
        }
    }
    Ok(row)
}

fn memory(process: &mut Process) -> Result<Option<f64>, String> {
    let answer = process.ask("memory")?;
    Ok(answer.strip_prefix("ok ").and_then(|mib| mib.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gradient_that_differs_is_told_and_one_that_is_missing_is_not() {
        let norms = |w_in: f64| vec![("w_in".to_owned(), w_in), ("bias".to_owned(), 2.0)];
        let told = |found: &[(String, f64)]| differences(&norms(1.0), found).collect::<Vec<_>>();
        assert!(told(&norms(1.0005)).is_empty());
        assert!(told(&norms(1.0)[1..]).is_empty());
        assert_eq!(
            told(&norms(1.002)),
            ["expected norm 1.000000e0 of the gradient of w_in, found 1.002000e0"]
        );
        assert_eq!(told(&norms(f64::NAN)).len(), 1);
    }
}
