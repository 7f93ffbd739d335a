//! What a panic is to the other ranks.

use mpi::environment::{is_finalized, is_initialized};
use mpi::topology::{Communicator, SimpleCommunicator};

/// Has a panic end the job, once it was told as ever. Without this a rank that panics waits in `MPI_Finalize` for the others,
/// and they for its next call.
///
/// ```
/// let universe = mpi::initialize().ok_or("MPI is initialised already")?;
/// steadygrad_mpi::abort_on_panic();
/// # drop(universe);
/// # Ok::<(), &'static str>(())
/// ```
pub fn abort_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        before(info);
        if is_initialized() && !is_finalized() {
            SimpleCommunicator::world().abort(101);
        }
    }));
}
