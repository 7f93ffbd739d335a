//! A model whose tensors live on different processes.
//!
//! ```text
//! mpirun -n 4 cargo run --release -p steadygrad-mpi --example sharded
//! ```
//!
//! Twelve tensors of a linear model lie on the ranks in turn, and its bias on all of them. What each tensor adds to a
//! prediction is rounded to a multiple of 2^-40 and summed as an integer, so predictions are the same for any number of
//! ranks; so are the norm, the clip, the penalty and the verdict, which the guard agrees on, and by them every loss, to the
//! bit.

mod common;

use std::process::ExitCode;

use mpi::topology::{Communicator, SimpleCommunicator};
use steadygrad::penalty::{L2, Penalty};
use steadygrad::reduce::{Owner, Shards};
use steadygrad::{Guard, Step, clip, detect, set};
use steadygrad_mpi::World;

use common::{Fixed, Told, Trouble};

const TENSORS: usize = 12;
const LEN: usize = 5;
const CASES: usize = 16;
const STEPS: u64 = 60;
const RATE: f64 = 0.05;

fn main() -> ExitCode {
    common::main(train)
}

/// A number from -1 to 1 that is made of its place.
fn number(a: usize, b: usize, c: u64) -> f64 {
    let x = (a as u64 * 1_000_003 + b as u64 * 10_007 + c).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / 8_388_608.0 - 1.0
}

fn train(world: &SimpleCommunicator, trouble: Option<&Trouble>) -> Told<()> {
    let (rank, ranks) = (world.rank() as usize, world.size() as usize);
    let mine: Vec<usize> = (rank..TENSORS).step_by(ranks).collect();
    let mut weights: Vec<(String, Vec<f64>)> = mine
        .iter()
        .map(|tensor| (format!("w{tensor}"), vec![0.1; LEN]))
        .collect();
    weights.push(("tied.bias".into(), vec![0.0]));
    let mut guard = Guard::new()
        .detect(detect::Spike::of_loss())
        .clip(clip::TensorNorm::new(0.8)?)
        .clip(clip::GlobalNorm::new(0.5)?)
        .detect(detect::WeightGrowth::new(100.0)?)
        .reduced_by(
            World::new(),
            Shards::tensors().tied("tied.", Owner(0)).checked(),
        );
    let l2 = L2::new(1e-3)?;
    for step in 1..=STEPS {
        let trouble = Trouble::now(trouble, rank as i32, step)?;
        let x = |tensor, case, i| number(tensor * LEN + i, case, step);
        let mut sums = Fixed::zeros(CASES);
        for (&tensor, (_, w)) in mine.iter().zip(&weights) {
            for case in 0..CASES {
                let dot = w.iter().enumerate().map(|(i, w)| w * x(tensor, case, i));
                sums.add(case, dot.sum());
            }
        }
        let bias = weights.last().map_or(0.0, |(_, bias)| bias[0]);
        let outputs = sums.over_ranks(world);
        let errors: Vec<f64> = (0..CASES)
            .map(|case| outputs[case] + bias - (0.5 + 2.0 * x(3, case, 1)))
            .collect();
        let penalty = guard.penalty_value(&l2, &weights)?;
        if trouble == "fail" {
            // In place of the step, which is the next call that the others make.
            return Err(guard.fail("the disk is full").into());
        }
        let mut grads = weights.clone();
        for (&tensor, (_, grad)) in mine.iter().zip(&mut grads) {
            for (i, grad) in grad.iter_mut().enumerate() {
                let slopes = errors.iter().enumerate();
                *grad = slopes.map(|(case, e)| e * x(tensor, case, i)).sum::<f64>() / CASES as f64;
            }
        }
        if let Some((_, grad)) = grads.last_mut() {
            grad[0] = errors.iter().sum::<f64>() / CASES as f64;
        }
        if let Some((_, grad)) = grads.first_mut().filter(|_| trouble == "nan") {
            grad[0] = f64::NAN;
        }
        l2.apply(&weights, &mut grads)?;
        let squares = errors.iter().map(|e| 0.5 * e * e);
        let loss = squares.sum::<f64>() / CASES as f64 + penalty;
        let report = guard.step(Step::new(&mut grads).params(&weights).loss(loss))?;
        if rank == 0 {
            println!(
                "step {step}: {}, norm {:?}, loss {loss:?}",
                report.verdict(),
                report.before()
            );
        }
        if report.verdict().is_apply() {
            set::axpy(-RATE, &grads, &mut weights)?;
        }
    }
    Ok(())
}
