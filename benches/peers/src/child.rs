//! One peer in a process of its own: reads requests from standard input, answers on standard output.
//!
//! ```text
//! <- ready NAME VERSION        | missing WHAT AND HOW TO GET IT
//! -> set NAME SHAPES           <- ok
//! -> run WORK MILLISECONDS     <- ok MEDIAN_MS VALUE | no
//! -> facts                     <- ok RESULT|RESULT|...
//! ```
//! `peers.py` speaks the same.

use std::io::{self, BufRead, Write};
use std::time::{Duration, Instant};

use crate::facts::{self, Fact};
use crate::sets::Set;
use crate::work::Work;

/// One way to do the works.
pub(crate) trait Peer {
    /// The name and version of the library.
    fn about(&self) -> String;

    /// Makes the weights and the gradients of a set, and forgets those of the set before.
    fn load(&mut self, set: &Set);

    /// Gives the gradients the values they were loaded with.
    fn refill(&mut self);

    /// The norm from which this peer's thresholds are taken: of all gradients, if it clips globally.
    fn loaded_norm(&self) -> f64;

    /// Does the work once, with this bound or maximum, and returns the norm, the penalty or the count it found.
    /// `None` if the library has no such thing.
    fn run(&mut self, work: Work, bound: f64) -> Option<f64>;

    /// The median milliseconds of one repetition, and what the first repetition returned.
    fn time(&mut self, work: Work, budget: Duration) -> Option<(f64, f64)> {
        time(self, work, budget)
    }

    /// What must be done before each repetition, untimed. `true` if there is such a thing.
    fn prepare(&mut self, _work: Work) -> bool {
        false
    }

    /// The gradient after a clip, as text.
    fn fact(&mut self, fact: &Fact) -> String;
}

/// Answers requests until standard input ends.
pub(crate) fn serve(peer: &mut dyn Peer, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "ready {}", peer.about())?;
    out.flush()?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match words[..] {
            ["set", name, shapes] => Set::from_text(name, shapes).map(|set| {
                peer.load(&set);
                "ok".to_owned()
            }),
            ["run", work, budget] => Work::from_name(work)
                .zip(budget.parse().ok())
                .and_then(|(work, budget)| peer.time(work, Duration::from_millis(budget)))
                .map(|(ms, value)| format!("ok {ms:e} {value:e}")),
            ["facts"] => {
                let results: Vec<_> = facts::FACTS.iter().map(|fact| peer.fact(fact)).collect();
                Some(format!("ok {}", results.join("|")))
            }
            _ => None,
        };
        writeln!(out, "{}", answer.as_deref().unwrap_or("no"))?;
        out.flush()?;
    }
    Ok(())
}

/// Repeats the work in batches long enough for the clock, until the budget is spent.
fn time<P: Peer + ?Sized>(peer: &mut P, work: Work, budget: Duration) -> Option<(f64, f64)> {
    const BATCH: Duration = Duration::from_micros(20);
    const FEWEST_BATCHES: usize = 3;

    let first_bound = work.first_bound(peer.loaded_norm());
    let mut bound = first_bound;
    if work.next_bound(bound) < bound {
        peer.refill();
    }
    let one_at_a_time = peer.prepare(work);
    let start = Instant::now();
    let value = peer.run(work, bound)?;
    let once = start.elapsed();
    let fill_batch = || (BATCH.as_nanos() / once.as_nanos().max(1)).clamp(1, 100) as usize;
    let batch = if one_at_a_time { 1 } else { fill_batch() };

    let mut samples = Vec::new();
    let start = Instant::now();
    while samples.len() < FEWEST_BATCHES || start.elapsed() < budget {
        if bound < 0.5 * first_bound {
            peer.refill();
            bound = first_bound;
        }
        peer.prepare(work);
        let batch_start = Instant::now();
        for _ in 0..batch {
            bound = work.next_bound(bound);
            peer.run(work, bound)?;
        }
        samples.push(batch_start.elapsed().as_secs_f64() * 1e3 / batch as f64);
    }
    Some((median(&mut samples), value))
}

/// The middle value; of an even number, the mean of the middle two.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&mut []).is_nan());
    }

    /// Remembers the bounds it was run with; a clip brings the norm down to the bound.
    struct Recorder {
        norm: f64,
        needed: bool,
    }

    impl Peer for Recorder {
        fn about(&self) -> String {
            "recorder".to_owned()
        }
        fn load(&mut self, _set: &Set) {}
        fn refill(&mut self) {
            self.norm = 10.0;
        }
        fn loaded_norm(&self) -> f64 {
            10.0
        }
        fn run(&mut self, _work: Work, bound: f64) -> Option<f64> {
            self.needed &= bound < self.norm;
            self.norm = bound;
            Some(bound)
        }
        fn fact(&mut self, _fact: &Fact) -> String {
            String::new()
        }
    }

    #[test]
    fn clipping_is_needed_in_every_repetition() {
        let mut peer = Recorder {
            norm: 1.0,
            needed: true,
        };
        let (_, value) = time(&mut peer, Work::Clip, Duration::from_millis(2)).expect("a time");
        assert!(peer.needed);
        assert_eq!(value, 9.0);
        assert!(peer.norm > 4.0);
    }
}
