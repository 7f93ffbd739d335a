//! [steadygrad](https://docs.rs/steadygrad) for [candle](https://docs.rs/candle-core): exact gradient
//! clipping, a policy for NaN and infinities, detectors and reports, in one line of a training loop.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use candle_nn::{Linear, Module, Optimizer, SGD, VarBuilder, VarMap};
//! use steadygrad::clip;
//! use steadygrad_candle::CandleGrads;
//!
//! let vars = VarMap::new();
//! let model = candle_nn::linear(4, 1, VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu))?;
//! let mut opt = SGD::new(vars.all_vars(), 0.1)?;
//! let x = Tensor::randn(0f32, 1.0, (8, 4), &Device::Cpu)?;
//!
//! let loss = model.forward(&x)?.sqr()?.sum_all()?;
//! let mut grads = loss.backward()?;
//! let clipped = clip::global_norm(&mut CandleGrads::new(&mut grads, &vars), 1.0)?;   // the new line
//! opt.step(&grads)?;
//! println!("{} -> {}", clipped.before(), clipped.after());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`CandleGrads`] makes the gradients of a `GradStore` a set that every rule of steadygrad can
//!   measure and edit, [`CandleParams`] the variables one that it can watch.
//! - [`Guarded`] is an optimiser that guards its own steps, for code that takes an `Optimizer`:
//!   `AdamW::new(vars.all_vars(), params)?.guarded(guard, &vars)`.
//! - [`GuardedStep::guarded_backward_step`] is candle's `backward_step` with a guard in it, and
//!   [`guarded_backward`] the same for several optimisers under one norm.
//! - [`Vars`] are lists of variables under names, such as `[("policy", &policy), ("value", &value)]` of two `VarMap`s.
//! - [`IntoCandle::candle`] is `?` for steadygrad's results in functions that return candle's.
//! - [`l1`], [`l2`] and [`elastic_net`] are penalties for candle's autograd.
//!
//! On the host, tensors are read and edited where they lie, by steadygrad's own kernels: the bits are
//! those that the same numbers in a slice would give. On a device they stay there: a measurement
//! makes one transfer of a few numbers for all tensors together, an edit none.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod engine;
mod error;
mod grads;
mod guarded;
mod host;
mod loss;
mod params;
mod penalty;
mod places;
mod shared;
mod step;
mod vars;

use error::storage;

pub use error::IntoCandle;
pub use grads::{CandleGrads, Deferred};
pub use guarded::Guarded;
pub use params::CandleParams;
pub use penalty::{elastic_net, elastic_net_where, l1, l2};
#[doc(no_inline)]
pub use steadygrad;
pub use step::{GuardedStep, guarded_backward};
pub use vars::{Filtered, Vars};

/// The programs of the README compile and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
