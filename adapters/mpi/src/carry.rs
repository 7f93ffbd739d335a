//! The two calls.

use mpi::collective::SystemOperation;
use mpi::environment::{is_finalized, is_initialized, threading_support};
use mpi::traits::CommunicatorCollectives;
use mpi::{Count, Threading};
use steadygrad::{Error, Result};

/// Whether MPI can be called here and now.
pub(crate) fn ready() -> Result<()> {
    if !is_initialized() || is_finalized() {
        let what = "expected MPI to be initialised and not finalised";
        return Err(Error::Wire(what.into()));
    }
    if threading_support() == Threading::Multiple || is_main_thread() {
        return Ok(());
    }
    Err(Error::Wire(format!(
        "expected a call on the main thread, or MPI with thread support Multiple, found {:?}",
        threading_support()
    )))
}

/// Whether this is the thread that initialised MPI.
fn is_main_thread() -> bool {
    let mut is_main = 0;
    // SAFETY: MPI is initialised, any thread may ask this, and what is written is an integer of this function.
    unsafe { mpi::ffi::MPI_Is_thread_main(&raw mut is_main) };
    is_main != 0
}

/// So many numbers as one call carries.
const MOST: usize = 1 << 28;
const _: () = assert!(MOST <= Count::MAX as usize);

pub(crate) fn sum(comm: &impl CommunicatorCollectives, limbs: &mut [i64]) -> Result<()> {
    ready()?;
    for limbs in limbs.chunks_mut(MOST) {
        let mine = limbs.to_vec();
        comm.all_reduce_into(&mine[..], limbs, SystemOperation::sum());
    }
    Ok(())
}

pub(crate) fn max(comm: &impl CommunicatorCollectives, values: &mut [f64]) -> Result<()> {
    ready()?;
    for values in values.chunks_mut(MOST) {
        let mine = values.to_vec();
        comm.all_reduce_into(&mine[..], values, SystemOperation::max());
    }
    Ok(())
}
