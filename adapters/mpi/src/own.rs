//! Some of the processes.

use mpi::Threading;
use mpi::environment::threading_support;
use mpi::topology::SimpleCommunicator;
use mpi::traits::Communicator;
use steadygrad::reduce::AllReduce;
use steadygrad::{Error, Result};

use crate::carry;

/// A communicator of one's own: the processes of one data-parallel group, of one pipeline, of one half of a split.
///
/// It is freed when it is dropped, which has to be before MPI is finalised. Give a guard a duplicate of a communicator that
/// others use, so that its calls meet no others.
///
/// # Examples
///
/// ```
/// use mpi::{Threading, topology::Color, traits::Communicator};
/// use steadygrad::{reduce::Shards, Guard};
/// use steadygrad_mpi::Own;
///
/// let (universe, _) = mpi::initialize_with_threading(Threading::Multiple).ok_or("MPI is initialised already")?;
/// let world = universe.world();
/// let half = world.split_by_color(Color::with_value(world.rank() % 2)).ok_or("no half")?;
/// let mut guard = Guard::new().reduced_by(Own::new(half)?, Shards::tensors());
/// assert!(guard.step(&mut [3.0])?.verdict().is_apply());
/// # drop(guard);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Own(Handle);

/// A communicator that may be used on any thread.
struct Handle(SimpleCommunicator);

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rank {} of {}", self.0.rank(), self.0.size())
    }
}

// SAFETY: a handle names a communicator to MPI, whatever thread does. `Own::new` is the only way to one, and refuses
// unless MPI was initialised with `MPI_THREAD_MULTIPLE`, which lets every thread call it at any time. A communicator may not
// be in two collective calls at once: those of `Own` take `&mut self`.
unsafe impl Send for Handle {}
// SAFETY: as above; through `&self` only its rank and size are asked, which are local calls.
unsafe impl Sync for Handle {}

impl Own {
    /// Takes a communicator.
    ///
    /// # Errors
    ///
    /// [`Error::Wire`] unless MPI was initialised with [`Threading::Multiple`]: a guard may be sent to another thread.
    pub fn new(comm: SimpleCommunicator) -> Result<Self> {
        match threading_support() {
            Threading::Multiple => Ok(Self(Handle(comm))),
            found => Err(Error::Wire(format!(
                "expected MPI with thread support Multiple, found {found:?}"
            ))),
        }
    }
}

impl AllReduce for Own {
    fn rank(&self) -> usize {
        self.0.0.rank() as usize
    }

    fn ranks(&self) -> usize {
        self.0.0.size() as usize
    }

    fn sum(&mut self, limbs: &mut [i64]) -> Result<()> {
        carry::sum(&self.0.0, limbs)
    }

    fn max(&mut self, values: &mut [f64]) -> Result<()> {
        carry::max(&self.0.0, values)
    }
}
