//! What a step of guards that agree takes, beside one sum of a squared norm as an `f64`, which is all that a norm by floats
//! needs, and which gives other bits for other numbers of ranks.
//!
//! ```text
//! mpirun -n 4 cargo run --release -p steadygrad-mpi --example cost
//! ```

use std::hint::black_box;
use std::time::Instant;

use mpi::collective::SystemOperation;
use mpi::topology::{Communicator, SimpleCommunicator};
use mpi::traits::CommunicatorCollectives;
use steadygrad::reduce::Shards;
use steadygrad::{Guard, Result, clip, detect};
use steadygrad_mpi::World;

const STEPS: u32 = 2000;

fn main() -> Result<()> {
    let universe = mpi::initialize();
    let world = SimpleCommunicator::world();
    let mut grads = [(format!("w{}", world.rank()), vec![0.01_f32; 64])];
    let clipped = || {
        let guard = Guard::new().clip(clip::GlobalNorm::new(1e3)?);
        Ok::<_, steadygrad::Error>(guard.detect(detect::NormThreshold::new(1e3)?))
    };
    let mut alone = clipped()?;
    let mut together = clipped()?.reduced_by(World::new(), Shards::tensors());
    let alone = time(&world, || alone.step(&mut grads).map(|r| r.before()))?;
    let together = time(&world, || together.step(&mut grads).map(|r| r.before()))?;
    let sum = time(&world, || {
        let mut sum = 0.0;
        world.all_reduce_into(&black_box(0.5_f64), &mut sum, SystemOperation::sum());
        Ok(sum)
    })?;
    if world.rank() == 0 {
        println!(
            "{} ranks: a step alone {alone:.2} us, together {together:.2} us, one sum of an f64 {sum:.2} us",
            world.size()
        );
    }
    drop(universe);
    Ok(())
}

/// The median of many, in microseconds.
fn time(world: &SimpleCommunicator, mut f: impl FnMut() -> Result<f64>) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..STEPS {
        world.barrier();
        let begin = Instant::now();
        black_box(f()?);
        times.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
