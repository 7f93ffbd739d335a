//! Keep gradients steady in any training loop.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

extern crate alloc;

mod element;
mod error;
#[cfg(feature = "ndarray")]
pub mod recurrent;

pub use element::Element;
pub use error::{Error, Result};
