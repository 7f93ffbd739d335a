//! Keep gradients steady in any training loop.
//!
//! Gradients that run back through many steps grow or die exponentially. Then the loss turns NaN, weights run
//! away, and hours are lost. This crate measures gradients, clips them, watches them and tells the loop what
//! to do, whatever the gradients live in: slices, `Vec`s, ndarray arrays and views, structs of them, lists and
//! maps. It is exact over the whole float range, reads every gradient once and writes it at most once.
//!
//! # In a training loop
//!
//! ```
//! use steadygrad::{clip, detect, Guard, OnNonFinite, Step, Verdict};
//!
//! let mut guard = Guard::new()
//!     .detect(detect::Watchdog::default())            // says so when the run is being lost
//!     .clip(clip::GlobalNorm::new(1.0)?)
//!     .on_non_finite(OnNonFinite::Skip);              // the default; 10 skips in a row are enough
//!
//! let mut w = vec![5.0_f32, -3.0];
//! for _ in 0..100 {
//!     let loss = w.iter().map(|w| w * w).sum::<f32>();
//!     let mut grads: Vec<f32> = w.iter().map(|w| 2.0 * w).collect();
//!     let report = guard.step(Step::new(&mut grads).params(&w).loss(loss))?;
//!     match report.verdict() {
//!         Verdict::Apply => w.iter_mut().zip(&grads).for_each(|(w, g)| *w -= 0.1 * g),
//!         Verdict::Skip => continue,
//!         Verdict::Rollback | Verdict::Stop => { eprintln!("{report}"); break }
//!     }
//! }
//! assert!(w.iter().all(|w| w.abs() < 1e-3));
//! # Ok::<(), steadygrad::Error>(())
//! ```
//!
//! Or one line, without a guard:
//!
//! ```
//! use steadygrad::clip;
//!
//! let mut grads = [1e25_f32, 1e25, 1.0];
//! let clipped = clip::global_norm(&mut grads, 1.0)?;
//! println!("norm {} -> {}", clipped.before(), clipped.after());
//! assert_eq!(grads, [0.70710677, 0.70710677, 7.071068e-26]);
//! # Ok::<(), steadygrad::Error>(())
//! ```
//!
//! # Why gradients explode and vanish
//!
//! A recurrent net applies one map over and over. In its simplest form, one linear unit with the recurrent weight
//! `w`, the state after `T` steps is `h_T = w^T · h_0`, and so is the gradient that arrives at the start:
//!
//! ```text
//! ∂h_T/∂h_0 = w^T        0.9^100 = 2.656e-5        1^100 = 1        1.1^100 = 13 780.6
//! ```
//!
//! With several units the factors are Jacobians, and what decides is the spectral radius of `w_rec`: below one the
//! gradient of what lies far back vanishes, above one it may explode. Here it is, watched on its way back:
//!
#![cfg_attr(feature = "ndarray", doc = "```")]
#![cfg_attr(not(feature = "ndarray"), doc = "```ignore")]
//! use ndarray::{array, Array3};
//! use std::ops::ControlFlow;
//! use steadygrad::recurrent::{Activation, Layer, Rnn};
//!
//! let mut arrived = vec![];
//! for w in [0.9, 1.0, 1.1] {
//!     let rnn = Rnn::new(array![[0.0]], array![[w]], array![0.0], Activation::Identity)?;
//!     let pass = rnn.forward(Array3::zeros((101, 1, 1)).view(), &rnn.zero_state(1))?;
//!     let mut d_outputs = Array3::zeros((101, 1, 1));
//!     d_outputs[[100, 0, 0]] = 1.0;                   // the loss looks at the last step only
//!     let mut profile = vec![];                       // |∂L/∂h_t| from the last step to the first
//!     rnn.backward_with(&pass, d_outputs.view(), &mut |_, d_state| {
//!         profile.push(d_state.h[[0, 0]]);
//!         Ok(ControlFlow::Continue(()))
//!     })?;
//!     arrived.push(format!("{:.4e}", profile[100]));
//! }
//! assert_eq!(arrived, ["2.6561e-5", "1.0000e0", "1.3781e4"]);
//! # Ok::<(), steadygrad::Error>(())
//! ```
//!
//! An LSTM carries its cell state past the product: with a forget gate of 1 a gradient arrives as it was sent.
//! That cures vanishing, not exploding, so LSTMs are clipped too.
//!
//! Clipping by the global norm is the answer to exploding (Pascanu, Mikolov and Bengio, 2013, arXiv:1211.5063):
//! at the foot of a steep wall the direction of the gradient is still good, only its length is absurd. The
//! example `wall` of this crate shows the wall of their figure 6.
//!
//! # The way through
//!
//! ```text
//! your backward pass ─► gradients ─► MEASURE ─► Measurement: Stats per tensor, exact Total
//!                           ▲                        │
//!                           │                        ▼
//!                           │           DECIDE   Clipper::plan      rules see numbers, never a tensor
//!                           │                    Detector::observe
//!                           │                        ▼
//!                         EDIT  ◄── one Edit per tensor (no pass at all when every Edit keeps)
//!                           ▼
//!                  Report: norms, edits, alarms, Verdict ─► your loop: apply, skip, roll back or stop
//! ```
//!
//! - A [`Tensor`] tells its [`Stats`] in one read, a [`TensorMut`] carries out an [`Edit`] in one write. A
//!   [`TensorSet`] is tensors with names; [`tensor_set!`] makes one of a struct.
//! - Rules turn a [`Measurement`] into [`Edits`] and alarms: [`clip::Clipper`], [`detect::Detector`]. Write your
//!   own in a few lines.
//! - The [`Guard`] runs them in the order you give, and answers with a [`Report`]. [`Guard::plan`] only decides,
//!   so that an optimiser can fold the factor into its own loop.
//! - [`keep::Keep`] holds the last good parameters, and [`Recovery`] goes back to them when a run is being lost.
//! - [`record::Recorder`] keeps what reports say of a run, in memory that does not grow with it.
#![cfg_attr(
    feature = "plot",
    doc = "- [`plot`] makes pictures of it: the norms, the weights, a report on one page."
)]
//! - [`reduce`] has guards on several machines decide as one.
//! - [`penalty`] adds L1, L2 and elastic net with their gradients.
#![cfg_attr(
    feature = "ndarray",
    doc = "- [`recurrent`] has the cells, with exact backpropagation through time that can be watched",
    doc = "  and edited step by step; [`spectral`] says whether a matrix lets gradients fade or grow."
)]
//!
//! # Promises
//!
//! 1. Right over the whole float range: each element of a gradient clipped by its norm is within one unit in the
//!    last place of the exact result (four for `f64`), also where squares or norms overflow or underflow.
//! 2. Under the threshold, equality included, not one bit changes and nothing is written.
//! 3. NaN and infinities never pass silently: a policy meets them, and the report names tensor, index and counts.
//! 4. The same bits for any number of threads, any order of the tensors and any split of the set into shards (parts
//!    of one gradient, not replicas of a model): totals are exact sums.
//! 5. One read, one more for each rule behind a clamp that bites, at most one write; no allocation once warm.
//! 6. Detectors fed NaN, infinities, zeros or constants go on working: they score before they learn, and learn only
//!    from finite values.
//! 7. No panic and no unsafe code: bad input gives an [`Error`] that says what was expected and what was found.
//!
//! # Features
//!
//! | feature | gives |
//! |---|---|
//! | `std` (default) | the standard library's floating-point functions, kernels chosen for the processor at run time |
//! | `ndarray` (default) | arrays and views as tensors, the recurrent cells; the root re-exports ndarray 0.17 |
//! | `half` | `f16` and `bf16` elements; the root re-exports half 2 |
//! | `csv`, `json` | what was [recorded](record) of a run, written as it comes and read back bit for bit |
//! | `tensorboard` | the same as TensorBoard's event files |
//! | `tracing`, `metrics` | steps as events of tracing, as gauges and counters of metrics |
//! | `plot` | pictures of a run as SVG: norms, flow, weights, a report on one page |
//! | `png` | the same pictures as PNG, with a font of their own |
//! | `safetensors` | weights of cells read from and written to PyTorch's files |
//! | `rayon` | large tensors by several threads, many small ones side by side, with the same bits for any number of them |
//!
//! With `default-features = false` the crate is `no_std` and needs `alloc`; `ndarray` and `half` can be added to that.
// Tests have the standard library in any case.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(attr(deny(unused_imports, unused_must_use))))]
#![forbid(unsafe_code)]

extern crate alloc;

mod after;
#[cfg(feature = "ndarray")]
mod arrays;
mod batch;
mod biases;
mod bound;
#[cfg(feature = "std")]
pub mod checkpoint;
pub mod clip;
mod course;
mod covers;
pub mod detect;
pub mod device;
mod edit;
mod edits;
mod element;
mod error;
mod exact;
mod factor;
mod figures;
mod group;
mod guard;
pub mod keep;
mod kernel;
mod line;
mod math;
mod measurement;
mod names;
mod needs;
mod number;
mod outcome;
mod pen;
pub mod penalty;
#[cfg(feature = "plot")]
pub mod plot;
pub mod prelude;
mod reading;
pub mod record;
mod recovery;
#[cfg(feature = "ndarray")]
pub mod recurrent;
pub mod reduce;
mod report;
mod rule;
pub mod set;
mod slice;
#[cfg(feature = "ndarray")]
pub mod spectral;
mod state;
mod stats;
mod step_view;
mod tell;
mod tensor;
mod total;
mod units;
mod verdict;
mod verdicts;
mod wide;
mod writing;

#[cfg(feature = "half")]
#[doc(no_inline)]
pub use half;
#[cfg(feature = "ndarray")]
#[doc(no_inline)]
pub use ndarray;

pub use bound::Bound;
pub use course::{Course, Doubt, Off};
pub use covers::Covers;
pub use edit::{Edit, Op};
pub use edits::Edits;
pub use element::Element;
pub use error::{Error, Result};
pub use factor::Factor;
pub use group::On;
pub use guard::{Explanation, Guard, OnNonFinite, Plan, Step, Stepped};
pub use measurement::Measurement;
pub use needs::Needs;
pub use outcome::Outcome;
pub use pen::Pen;
pub use reading::Reading;
pub use recovery::{Action, Recovery};
pub use report::{Report, TensorReport};
pub use set::{TensorSet, TensorSetMut, Visitor, VisitorMut};
pub use slice::{SliceMut, SliceRef};
pub use state::{Entry, FromEntry, GuardState, State};
pub use stats::{Norm, Stats};
pub use step_view::StepView;
pub use tell::{Clamped, Tell};
pub use tensor::{Ask, Tensor, TensorMut, TensorRef};
pub use total::Total;
pub use units::{Units, UnitsBy};
pub use verdict::Verdict;
pub use verdicts::Verdicts;
pub use wide::Wide;
pub use writing::Writing;

/// The README's examples, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
