//! Loops over slices: what one read says of a tensor, and one write that edits it. Kernels know
//! elements and edits, no tensor and no rule.

mod edit;
mod measure;
mod pair;
mod stream;

#[cfg(feature = "ndarray")]
pub(crate) use edit::At;
pub(crate) use edit::{apply, preview};
pub(crate) use measure::Pair;
pub(crate) use pair::pair;
pub(crate) use stream::{stats, stats_of_slice};
