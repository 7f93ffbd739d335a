//! One peer's cells in a process of its own.
//!
//! ```text
//! <- ready NAME VERSION                   | missing WHAT AND HOW TO GET IT
//! -> cell CELL TIME BATCH INPUTS HIDDEN   <- ok NAME=NORM ...    | no
//! -> train MILLISECONDS                   <- ok MEDIAN_MS        | no
//! -> memory                               <- ok PEAK_MIB         | no
//! ```
//! `cells.py` speaks the same. The norms are those of the gradients, under the names that ours has for them.

use std::io::{self, BufRead, Write};
use std::time::{Duration, Instant};

use super::case::Case;
use crate::child::median;
use crate::tell::Told;

/// One cell of a library, with its inputs and the gradients of its outputs.
pub(crate) trait Trainer {
    /// A forward pass from a state of zeros, and a backward pass to weights, inputs and initial state.
    fn train(&mut self) -> Told;

    /// The norms of the last gradients; none of what the library does not tell.
    fn norms(&self) -> Result<Vec<(String, f64)>, Box<dyn std::error::Error>>;
}

/// A cell that is ready to run; `None` if the library has no such cell.
pub(crate) type Made = Result<Option<Box<dyn Trainer>>, Box<dyn std::error::Error>>;

/// A library.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) about: &'static str,
    pub(crate) make: fn(&Case) -> Made,
}

/// Answers requests until standard input ends.
pub(crate) fn serve(peer: &Peer, out: &mut dyn Write) -> Told {
    writeln!(out, "ready {}", peer.about)?;
    out.flush()?;
    let mut current = None;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match (&words[..], &mut current) {
            (["cell", words @ ..], current) => {
                // Two at a time would need more memory than a user does.
                *current = None;
                match Case::from_words(words) {
                    Some(case) => *current = (peer.make)(&case)?,
                    None => return Err(format!("found {line}").into()),
                }
                match current {
                    Some(trainer) => Some(first(&mut **trainer)?),
                    None => None,
                }
            }
            (["train", budget], Some(trainer)) => {
                let budget = Duration::from_millis(budget.parse()?);
                Some(format!("{:e}", time(&mut **trainer, budget)?))
            }
            (["memory"], _) => peak_mib().map(|mib| mib.to_string()),
            _ => None,
        };
        match answer {
            Some(answer) => writeln!(out, "ok {answer}")?,
            None => writeln!(out, "no")?,
        }
        out.flush()?;
    }
    Ok(())
}

/// Trains once, which finds the memory that later passes use again, and tells the norms.
fn first(trainer: &mut dyn Trainer) -> Result<String, Box<dyn std::error::Error>> {
    trainer.train()?;
    let norms = trainer.norms()?.into_iter();
    Ok(norms
        .map(|(name, norm)| format!("{name}={norm:e}"))
        .collect::<Vec<_>>()
        .join(" "))
}

/// The median milliseconds of a pass to and fro, of as many as fit into the budget.
fn time(trainer: &mut dyn Trainer, budget: Duration) -> Result<f64, Box<dyn std::error::Error>> {
    let start = Instant::now();
    let mut samples = Vec::new();
    while samples.is_empty() || start.elapsed() < budget {
        let begun = Instant::now();
        trainer.train()?;
        samples.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(&mut samples))
}

/// The most memory this process ever had, where Linux tells it.
fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

/// The Euclidean norm.
#[cfg(any(feature = "burn", feature = "candle", feature = "rust-lstm"))]
pub(crate) fn norm(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().map(|x| x * x).sum::<f64>().sqrt()
}
