//! All processes of the job.

use mpi::topology::{Communicator, SimpleCommunicator};
use steadygrad::Result;
use steadygrad::reduce::AllReduce;

use crate::carry;

/// All processes of the job. It stores nothing and takes the world at each call, so a guard that has it can be sent to
/// another thread.
///
/// # Examples
///
/// ```
/// use steadygrad::reduce::AllReduce;
/// use steadygrad_mpi::World;
///
/// let mut world = World::new();
/// assert!(world.sum(&mut [1]).is_err());   // not yet
/// let universe = mpi::initialize().ok_or("MPI is initialised already")?;
/// let mut limbs = [1, world.rank() as i64];
/// world.sum(&mut limbs)?;
/// assert_eq!(limbs[0], world.ranks() as i64);
/// # drop(universe);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Calls are an error before MPI is initialised, once it is finalised, and on another thread than the main one unless MPI
/// has [`Threading::Multiple`](mpi::Threading::Multiple).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct World {}

impl World {
    /// The world, which has to be there at the first step.
    #[must_use]
    pub fn new() -> Self {
        Self {}
    }
}

impl AllReduce for World {
    fn rank(&self) -> usize {
        match carry::ready() {
            Ok(()) => SimpleCommunicator::world().rank() as usize,
            Err(_) => 0,
        }
    }

    fn ranks(&self) -> usize {
        match carry::ready() {
            Ok(()) => SimpleCommunicator::world().size() as usize,
            Err(_) => 1,
        }
    }

    fn sum(&mut self, limbs: &mut [i64]) -> Result<()> {
        carry::ready()?;
        carry::sum(&SimpleCommunicator::world(), limbs)
    }

    fn max(&mut self, values: &mut [f64]) -> Result<()> {
        carry::ready()?;
        carry::max(&SimpleCommunicator::world(), values)
    }
}
