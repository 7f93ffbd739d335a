//! Tensors of any back end, measured and edited with burn's own operations.
//!
//! Sums are taken where the tensor is, in `f64` if its device has that and in `f32` if not, along rows
//! of a bounded length, so that no sum has many roundings. What reaches the host is one list of numbers
//! for each tensor, all tensors' lists in one transfer.

mod measure;
mod ranked;
mod remote;
mod rows;
mod transfer;

pub(crate) use measure::{Answer, Request, clamp_of, count, measure};
pub(crate) use ranked::OnDevice;
pub(crate) use ranked::Ranked;
pub(crate) use remote::Remote;
pub(crate) use rows::fold;
pub(crate) use transfer::Transfers;
