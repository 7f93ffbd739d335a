//! [steadygrad](https://docs.rs/steadygrad) for [DLPack](https://dmlc.github.io/dlpack/latest/): exact gradient
//! clipping, a policy for NaN and infinities, detectors and reports, on memory that another framework owns: PyTorch's,
//! NumPy's, a C program's.
//!
//! ```
//! use dlpark::versioned::Dlpack;
//! use steadygrad::clip;
//! use steadygrad_dlpack::DlpackGrads;
//!
//! /// Clips gradients where they lie, and returns their norm before.
//! ///
//! /// # Safety
//! ///
//! /// That of [`DlpackGrads::new`]: the memory is there, and nobody else touches it.
//! unsafe fn clip_global_norm(grads: &[(String, Dlpack)], max_norm: f64) -> steadygrad::Result<f64> {
//!     // SAFETY: what is asked of the caller.
//!     let mut grads = unsafe { DlpackGrads::new(grads.iter().map(|(name, grad)| (name, grad))) }?;
//!     Ok(clip::global_norm(&mut grads, max_norm)?.before())
//! }
//! # use dlpark::allocation::dynamic;
//! # let made: dynamic::Initialized<_> = Box::new(ndarray::arr1(&[6.0_f32, 8.0])).try_into()?;
//! # let grads = [("w".to_string(), unsafe { made.finish() })];
//! # assert_eq!(unsafe { clip_global_norm(&grads, 1.0) }?, 10.0);
//! # assert_eq!(unsafe { grads[0].1.validate()?.cpu_slice::<f32>() }?, [0.6, 0.8]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`DlpackGrads`] makes tensors in DLPack form a set that every rule of steadygrad can measure and edit,
//!   [`DlpackParams`] one that it can watch.
//! - [`DlpackTensor`] is what they are made of: a borrowed tensor of [`dlpark`]'s, or a bare `DLTensor`.
//!
//! Elements are read and edited where they lie, by steadygrad's own kernels: the bits are those that the same numbers
//! in a slice, or strided in an array of ndarray's, would give.
//!
//! # Safety
//!
//! DLPack hands over a pointer and says neither how much memory lies behind it nor who else uses it. What it does say
//! is checked; the rest is what the constructors of the two sets ask of the caller, and they alone. Unsafe code is in
//! one module of this package, `memory`; beside it there are the constructors, which pass its contract on. What touches
//! memory is tested under Miri.
#![deny(unsafe_code, unsafe_op_in_unsafe_fn)]
#![warn(clippy::undocumented_unsafe_blocks)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod grads;
mod layout;
#[expect(unsafe_code, reason = "this is where borrowed pointers become views")]
mod memory;
mod overlap;
mod params;
mod places;
mod tensor;

pub use dlpark;
pub use grads::DlpackGrads;
pub use params::DlpackParams;
pub use tensor::DlpackTensor;

/// The programs of the README compile and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
