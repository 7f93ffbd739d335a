//! Loops over slices: what one read says of a tensor, and one write that edits it. Kernels know
//! elements and edits, no tensor and no rule.

mod chunks;
mod clamp;
mod combine;
mod edit;
#[cfg(feature = "ndarray")]
pub(crate) mod gates;
#[cfg(feature = "half")]
mod half;
mod lanes;
mod measure;
mod pair;
#[cfg(feature = "ndarray")]
pub(crate) mod product;
mod scale;
#[cfg(feature = "ndarray")]
pub(crate) mod smooth;
mod stream;
mod unit;

#[cfg(feature = "rayon")]
pub(crate) use chunks::{change_side_by_side, share};
pub(crate) use clamp::clamp_and_count;
pub(crate) use combine::{combine, map};
pub(crate) use edit::{At, apply, preview};
pub(crate) use measure::Pair;
pub(crate) use pair::pair;
pub(crate) use stream::{edit_and_stats, stats, stats_of_slice, stats_of_slices};
