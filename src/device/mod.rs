//! Tensors on devices: what an adapter for a tensor library has to write, and all that follows from it.
//!
//! An adapter says what its device can do ([`Engine`]: a dozen small operations on arrays) and how tensors in host
//! memory are borrowed. The rest stands here once: which sums are taken and how far they may be off ([`Remote`]), when
//! to look a second time, units, edits in order, and that all tensors of a set travel together ([`Places`]).
//! [`conformance`] tests an engine against the same numbers in host memory.
//!
//! ```text
//! your library ─► Engine ─► Remote   one tensor: TensorMut
//!                              └──► Places   named tensors, on devices and in host memory: TensorSetMut ─► Guard
//! ```

mod conformance;
mod edited;
mod engine;
mod found;
mod global_norm;
#[cfg(feature = "ndarray")]
mod host;
mod measure;
mod places;
mod remote;
mod sums;

pub use conformance::conformance;
pub use engine::{Axes, Engine, Fold, Kind, Map, Zip};
pub use global_norm::{Deferred, global_norm};
#[cfg(feature = "ndarray")]
pub use host::{InHost, Lend};
pub use places::{Place, Places};
pub use remote::Remote;
