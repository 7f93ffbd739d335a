//! An LSTM learns sunspots on several processes, each of which has a part of every batch.
//!
//! ```text
//! mpirun -n 4 cargo run --release -p steadygrad-mpi --example data_parallel
//! ```
//!
//! Each window of a batch has a gradient of its own, rounded to multiples of 2^-40; MPI adds these as integers, and so the
//! losses, too. That is what makes every loss the same, to the bit, for 1, 2, 3, 4, 6 or 12 processes: no sum of floats
//! crosses a border between windows. The guard sees a whole gradient on every rank, tied to rank 0, and agrees on its norm,
//! the clip and the verdict; a NaN in what one rank computed stays on that rank, and all skip.

mod common;
#[path = "../../../examples/sunspots/src/data.rs"]
#[allow(dead_code, unreachable_pub)]
mod data;
#[path = "../../../examples/sunspots/src/model.rs"]
#[allow(dead_code, unreachable_pub)]
mod model;

use std::process::ExitCode;

use mpi::topology::{Communicator, SimpleCommunicator};
use ndarray::{Array3, Axis, Slice};
use steadygrad::recurrent::Lstm;
use steadygrad::reduce::{Owner, Shards};
use steadygrad::{Guard, Step, Tensor, TensorSet, TensorSetMut, clip, detect, set};
use steadygrad_mpi::World;

use common::{Fixed, Told, Trouble};
use data::{Random, Series};
use model::Net;

const BATCH: usize = 12;
const STEPS: u64 = 60;
const RATE: f64 = 1.0;

fn main() -> ExitCode {
    common::main(train)
}

fn train(world: &SimpleCommunicator, trouble: Option<&Trouble>) -> Told<()> {
    let (rank, ranks) = (world.rank(), world.size());
    let series = Series::sunspots()?;
    let mut random = Random(7);
    let cell = Lstm::builder(1, 8).build(&mut || random.uniform())?;
    let mut net = Net::new(cell, 8, &mut random)?;
    let mut order = Random(8);
    let mut guard = Guard::new()
        .detect(detect::Spike::of_loss())
        .clip(clip::GlobalNorm::new(0.02)?)
        .detect(detect::NormThreshold::new(1.0)?)
        .reduced_by(World::new(), Shards::tensors().tied("", Owner(0)).checked());
    for step in 1..=STEPS {
        let (xs, targets) = series.batch(BATCH, &mut order);
        let trouble = Trouble::now(trouble, rank, step)?;
        // This rank's windows, each with a gradient of its own.
        let mut sums = Fixed::zeros(1 + elements(&net)?);
        let mut grads = None;
        let mut is_finite = true;
        for window in (rank as usize..BATCH).step_by(ranks as usize) {
            let (loss, mut window_grads) = net.loss(&of(&xs, window), &of(&targets, window))?;
            if trouble == "nan" {
                set::scale(&mut window_grads, f64::NAN)?;
            }
            let mut at = 1;
            sums.add(0, loss);
            window_grads.visit(&mut |_, grad| {
                let mut elements = vec![0.0; grad.len()];
                grad.read(0, &mut elements)?;
                for x in elements {
                    is_finite &= x.is_finite();
                    sums.add(at, x);
                    at += 1;
                }
                Ok(())
            })?;
            grads = Some(window_grads);
        }
        let means: Vec<f64> = sums
            .over_ranks(world)
            .into_iter()
            .map(|sum| sum / BATCH as f64)
            .collect();
        if trouble == "fail" {
            // In place of the step, which the others are about to make.
            return Err(guard.fail("the disk is full").into());
        }
        // A rank without a window has a gradient all the same, once it is summed.
        let mut grads = match grads {
            Some(grads) => grads,
            None => net.loss(&of(&xs, 0), &of(&targets, 0))?.1,
        };
        put(&mut grads, &means[1..], is_finite)?;
        let report = guard.step(Step::new(&mut grads).params(&net).loss(means[0]))?;
        if rank == 0 {
            println!("{report}, loss {:?}", means[0]);
        }
        if report.verdict().is_apply() {
            set::axpy(-RATE, &grads, &mut net)?;
        }
    }
    Ok(())
}

/// One window of a batch.
fn of(batch: &Array3<f64>, window: usize) -> Array3<f64> {
    let one = Slice::from(window..=window);
    batch.slice_axis(Axis(1), one).to_owned()
}

fn elements(set: &dyn TensorSet) -> steadygrad::Result<usize> {
    let mut all = 0;
    set.visit(&mut |_, tensor| {
        all += tensor.len();
        Ok(())
    })?;
    Ok(all)
}

/// Writes the mean over the batch, of which a rank that had a NaN knows that it is none.
fn put(grads: &mut dyn TensorSetMut, means: &[f64], is_finite: bool) -> steadygrad::Result<()> {
    let mut rest = means;
    grads.visit_mut(&mut |_, grad| {
        let (mine, others) = rest.split_at(grad.len());
        rest = others;
        if is_finite {
            grad.write(0, mine)
        } else {
            grad.write(0, &vec![f64::NAN; mine.len()])
        }
    })
}
