//! What both examples have: words, sums that know no order, and an end in order.

use std::fmt::Display;
use std::process::{Command, ExitCode};

use mpi::collective::SystemOperation;
use mpi::topology::{Communicator, SimpleCommunicator};
use mpi::traits::CommunicatorCollectives;
use steadygrad_mpi::abort_on_panic;

pub(crate) type Told<T> = Result<T, Box<dyn std::error::Error>>;

/// What goes wrong, where and when: `nan 1 20` gives rank 1 a NaN in step 20, `fail` an error, `panic` a panic, and `kill`
/// kills it.
pub(crate) struct Trouble {
    what: String,
    rank: i32,
    step: u64,
}

impl Trouble {
    fn parse() -> Told<Option<Self>> {
        let words: Vec<String> = std::env::args().skip(1).collect();
        match &words[..] {
            [] => Ok(None),
            [what, rank, step] if ["nan", "fail", "panic", "kill"].contains(&&**what) => {
                Ok(Some(Self {
                    what: what.clone(),
                    rank: rank.parse()?,
                    step: step.parse()?,
                }))
            }
            _ => Err("expected nothing, or nan, fail, panic or kill with a rank and a step".into()),
        }
    }

    /// What goes wrong on this rank in this step.
    pub(crate) fn now(trouble: Option<&Self>, rank: i32, step: u64) -> Told<&str> {
        let now = trouble.filter(|it| (it.rank, it.step) == (rank, step));
        let what = now.map_or("", |it| &it.what);
        match what {
            "panic" => panic!("asked for in step {step}"),
            "kill" => {
                let id = std::process::id().to_string();
                Command::new("kill").args(["-9", &id]).status()?;
            }
            _ => (),
        }
        Ok(what)
    }
}

/// Runs on every rank, and ends in order on all or on none.
pub(crate) fn main(
    train: impl FnOnce(&SimpleCommunicator, Option<&Trouble>) -> Told<()>,
) -> ExitCode {
    let Some(universe) = mpi::initialize() else {
        return fail("MPI is initialised already");
    };
    abort_on_panic();
    let world = universe.world();
    match Trouble::parse().and_then(|trouble| train(&world, trouble.as_ref())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(format!("rank {}: {why}", world.rank())),
    }
}

fn fail(why: impl Display) -> ExitCode {
    eprintln!("{why}");
    ExitCode::FAILURE
}

/// Sums over ranks that are the same bits for any number of them and any order: each number becomes a multiple of 2^-40,
/// and what MPI adds are integers.
pub(crate) struct Fixed(Vec<i64>);

const ONE: f64 = (1_u64 << 40) as f64;

impl Fixed {
    pub(crate) fn zeros(len: usize) -> Self {
        Self(vec![0; len])
    }

    /// Adds what is finite, below 2^20 in magnitude.
    pub(crate) fn add(&mut self, index: usize, x: f64) {
        self.0[index] += (x * ONE).round_ties_even() as i64;
    }

    pub(crate) fn over_ranks(self, world: &SimpleCommunicator) -> Vec<f64> {
        // Of the type that is sent: nobody compares them.
        let mut sums = vec![0_i64; self.0.len()];
        world.all_reduce_into(&self.0[..], &mut sums[..], SystemOperation::sum());
        sums.into_iter().map(|sum| sum as f64 / ONE).collect()
    }
}
