//! The words on the command line.

use crate::cells::{CELLS, case};
use crate::sets;
use crate::work::{WORKS, Work};

pub(crate) const USAGE: &str = "\
peers [recurrent|facts] [OPTIONS]

  recurrent        forward and backward passes of recurrent cells, and their memory
  facts            what each peer makes of inputs that overflow, vanish or are not finite
  --rounds N       rounds, in each of which every peer runs in turn (default 5)
  --quick          one short round
  --only A,B       only these of measure, keep, clip, value, l1, l2, sgd;
                   of cells rnn, lstm, gru
  --set A,B        only these of gpt2, lstm, tiny, many, 512MiB, 5MB, 256KiB;
                   of cells T100, T35, T200, T1000
  --threads N      only this number of threads (default 1 and 2)
  --peers A,B      only these of ours, guard, ndarray, candle, steadygrad-candle,
                   burn, steadygrad-burn, torch, optax;
                   of cells ours, checkpointed, torch, burn, candle, rust-lstm";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// What a training step does with its gradients.
    Gradients,
    Facts,
    /// Passes of recurrent cells.
    Recurrent,
}

impl Job {
    fn works(self) -> Vec<String> {
        match self {
            Self::Recurrent => CELLS.map(|cell| cell.name().to_owned()).to_vec(),
            _ => WORKS.map(Work::name).to_vec(),
        }
    }

    fn sets(self) -> Vec<String> {
        match self {
            Self::Recurrent => case::shapes().map(|shape| shape.name()).to_vec(),
            _ => [sets::nets(), sets::buffers()]
                .concat()
                .into_iter()
                .map(|set| set.name)
                .collect(),
        }
    }

    /// All of its peers, in the order in which they run.
    pub(crate) fn peers(self) -> &'static [&'static str] {
        match self {
            Self::Recurrent => &[
                "ours",
                "checkpointed",
                "torch",
                "burn",
                "candle",
                "rust-lstm",
            ],
            _ => &[
                "ours",
                "guard",
                "ndarray",
                "candle",
                "steadygrad-candle",
                "burn",
                "steadygrad-burn",
                "torch",
                "optax",
            ],
        }
    }
}

/// What to run.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) job: Job,
    pub(crate) rounds: usize,
    pub(crate) budget_ms: u32,
    pub(crate) threads: Vec<usize>,
    only: Option<Vec<String>>,
    sets: Option<Vec<String>>,
    peers: Option<Vec<String>>,
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let job = match words {
            _ if words.contains(&"recurrent") => Job::Recurrent,
            _ if words.contains(&"facts") => Job::Facts,
            _ => Job::Gradients,
        };
        let mut options = Self {
            job,
            rounds: 5,
            budget_ms: 200,
            only: None,
            sets: None,
            threads: vec![1, 2],
            peers: None,
        };
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .copied()
                    .ok_or(format!("expected a value after {word}"))
            };
            let number = |text: &str| match text.parse() {
                Ok(n) if n > 0 => Ok(n),
                _ => Err(format!("expected a positive number, found {text}")),
            };
            match word {
                "facts" | "recurrent" => {}
                "--quick" => (options.rounds, options.budget_ms) = (1, 20),
                "--rounds" => options.rounds = number(value()?)?,
                "--threads" => options.threads = vec![number(value()?)?],
                "--set" => options.sets = Some(names(word, value()?, &job.sets())?),
                "--peers" => options.peers = Some(names(word, value()?, job.peers())?),
                "--only" => options.only = Some(names(word, value()?, &job.works())?),
                _ => return Err(format!("found {word}; --help lists the options")),
            }
        }
        Ok(options)
    }

    pub(crate) fn wants_peer(&self, name: &str) -> bool {
        wants(self.peers.as_ref(), name)
    }

    pub(crate) fn wants_set(&self, name: &str) -> bool {
        wants(self.sets.as_ref(), name)
    }

    pub(crate) fn wants_work(&self, name: &str) -> bool {
        wants(self.only.as_ref(), name)
    }
}

fn wants(chosen: Option<&Vec<String>>, name: &str) -> bool {
    chosen.is_none_or(|names| names.iter().any(|chosen| chosen == name))
}

/// The names of a list, if all of them are known.
fn names(option: &str, text: &str, known: &[impl AsRef<str>]) -> Result<Vec<String>, String> {
    let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    match text.split(',').find(|name| !known.contains(name)) {
        Some(name) => Err(format!(
            "expected {option} of {}; found {name}",
            known.join(", ")
        )),
        None => Ok(text.split(',').map(str::to_owned).collect()),
    }
}
