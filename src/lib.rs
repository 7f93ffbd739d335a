//! Keep gradients steady in any training loop.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

extern crate alloc;

mod edit;
mod element;
mod error;
mod exact;
mod kernel;
mod math;
mod measurement;
#[cfg(feature = "ndarray")]
mod ndarray;
#[doc(hidden)]
pub mod set;
mod stats;
mod tensor;
mod wide;

pub use edit::{Edit, Edits, Factor, Op};
pub use element::Element;
pub use error::{Error, Result};
pub use measurement::{Measurement, Total};
pub use set::{Member, MemberMut, Name, TensorRef, TensorSet, TensorSetMut, Visitor, VisitorMut};
pub use stats::{Norm, Stats};
pub use tensor::{Ask, Needs, SliceMut, SliceRef, Tensor, TensorMut};
pub use wide::Wide;
