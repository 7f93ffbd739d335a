//! [steadygrad](https://docs.rs/steadygrad) over [MPI](https://docs.rs/mpi): the guards of all processes have one gradient
//! norm, one factor and one verdict, to the bit, however the model lies on them.
//!
//! ```
//! use steadygrad::{clip, reduce::Shards, Guard};
//! use steadygrad_mpi::World;
//!
//! let universe = mpi::initialize().ok_or("MPI is initialised already")?;
//! let mut guard = Guard::new()
//!     .clip(clip::GlobalNorm::new(1.0)?)
//!     .reduced_by(World::new(), Shards::tensors());
//! let mut my_shard = vec![("w", vec![3.0_f32, 4.0])];
//! assert!(guard.step(&mut my_shard)?.verdict().is_apply());   // on every rank, or on none
//! # drop(universe);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Two system operations are used: `MPI_SUM` of 64-bit integers and `MPI_MAX` of doubles, so that MPI may add in any order.
//! How many calls a step makes follows from the rules ([`steadygrad::reduce`]).
//!
//! # Threads
//!
//! [`World`] stores nothing. It may be called on the main thread at every level of thread support, and on another thread
//! where MPI gives [`Threading::Multiple`](mpi::Threading::Multiple); else a call is an error. A communicator of one's own
//! ([`Own`]) needs that level in any case.
//!
//! # Failing
//!
//! An error of a step is told on all ranks, each of which may end in order; so is one that a rank tells with
//! [`Guard::fail`](steadygrad::Guard::fail) in place of a step. What MPI cannot tell: a rank that returns from `main` without
//! a word leaves the others waiting in their next call, and in `MPI_Finalize`. A panic does not if [`abort_on_panic`] was
//! called: it ends the job. So does a process that is killed, by `mpirun`.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod carry;
mod own;
mod panic;
mod world;

pub use own::Own;
pub use panic::abort_on_panic;
#[doc(no_inline)]
pub use steadygrad;
pub use world::World;

/// The README's example, run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
