#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(unsafe_code)]

mod global_norm;
#[cfg(feature = "cube")]
mod kernels;
#[cfg(feature = "cube")]
mod operations;

pub use global_norm::global_norm;
pub use steadygrad_burn::{self, Deferred, steadygrad};
