//! Keep gradients steady in any training loop.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod clip;
pub mod detect;
mod edit;
mod element;
mod error;
mod exact;
mod guard;
mod kernel;
mod math;
mod measurement;
#[cfg(feature = "ndarray")]
mod ndarray;
pub mod penalty;
#[cfg(feature = "ndarray")]
pub mod recurrent;
mod report;
#[doc(hidden)]
pub mod set;
mod stats;
mod tensor;
mod wide;

pub use edit::{Edit, Edits, Factor, Op};
pub use element::Element;
pub use error::{Error, Result};
pub use guard::{Guard, OnNonFinite, Plan, Step, Watch};
pub use measurement::{Measurement, Total};
pub use report::{Report, TensorReport, Verdict};
pub use set::{Member, MemberMut, Name, TensorRef, TensorSet, TensorSetMut, Visitor, VisitorMut};
pub use stats::{Norm, Stats};
pub use tensor::{Ask, Needs, SliceMut, SliceRef, Tensor, TensorMut};
pub use wide::Wide;
