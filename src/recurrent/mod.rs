//! Recurrent cells with exact backpropagation through time.
//!
//! A recurrent net applies one function over and over, so the gradient of a late loss with respect to
//! an early state is a product of as many Jacobians as there are steps between them:
//!
//! ```text
//! ∂L/∂h_t = ∂L/∂h_T · ∏_{k=t+1..T} ∂h_k/∂h_{k−1}
//! ```
//!
//! Factors above one make it explode, factors below one make it vanish. [`Rnn`] shows both in their
//! purest form, [`Lstm`] and [`Gru`] carry a state past the product, [`Init`] sets the factors at the start, and
//! the hook of [`Layer::backward_with`] shows the gradient at every step, to be measured, edited or cut off.
//! A cell of one's own, written as a [`StepCell`], gets all of that from [`Unrolled`], and [`gradcheck`] says whether its
//! gradients are right. The LSTM with options, [`LstmVariant`], is one of them (coupled gates, clips, layer normalisation,
//! projection).
//!
//! ```text
//! Sequence, State ─► Layer::forward ─► Pass (a Trace: outputs, final state)
//! Upstream, Pass  ─► Layer::backward ─► Backward (gradients of parameters, inputs and initial state)
//! input, State    ─► RecurrentCell::step ─► State
//! ```
//!
//! Arrays are `[time, batch, features]`. Formulas, gate order and weight shapes are PyTorch's; [`coming_from`] says what
//! that, Keras, burn and ONNX call what is here, and [`Gates`] makes this crate's weights of theirs.
//!
//! A [`ReadOut`] makes predictions of states, [`loss`] has losses with their gradients, and [`RecurrentCell::run`] goes
//! over a sequence without keeping anything for a way back.
//!
//! | layer of layers | is |
//! |---|---|
//! | [`Stacked`] | layers on each other: a list of one kind, or two of any, nested for more |
//! | [`Bidirectional`] | one from the start of the sequence, one from its end |
//! | [`Dropout`] | a layer some of whose inputs are left out: between the layers of a stack |
//! | [`Checkpointed`] | a layer that keeps every k-th state and computes the rest again |
//!
//! Each is a [`Layer`], with gradients of everything that went in and a hook at every step of every layer; they go into
//! each other. Sequences of different lengths in one batch are a [`Sequence`] with lengths, streams without an end are
//! [`Truncated`] into windows, and a [`Profile`] takes down ‖∂`L/∂h_t`‖.
//!
//! # Who made a NaN
//!
//! [`Layer::origin`] finds the first number that is not finite though all that it was computed from is: in which pass, at
//! which step of which layer, in which gate or state of which sequence, and how (a product or a sum that overflows, ∞ − ∞,
//! 0·∞); or what came in so. It works from what a pass keeps anyway, so it costs nothing until it is asked, which
//! [`Step::explained_by`](crate::Step::explained_by) does on a fault. [`origin`](mod@origin) has the rules.
//!
//! # Speed, threads and bits
//!
//! A cell projects the inputs of many steps in one product, packs its recurrent weights once for all steps, goes over the
//! gates in one pass per step, and sums weight gradients over many steps in one product. Its products are the crate's own,
//! with AVX-512 or AVX2 where the processor has them; they add in a fixed order, with one rounding for a product and its sum
//! where the processor can do so (with the feature `std`, which finds it out), and with two elsewhere: that alone makes bits
//! depend on the processor.
//!
//! With the feature `rayon` the sequences of a batch are shared out over the threads for all steps, and the rows of weight
//! gradients after them. No sequence knows of another, so the bits are the same for any number of threads; and a sequence
//! has the same bits in any batch of at least two. A hook sees all sequences at each step, so with one the steps
//! of the way back are not shared out.
//!
//! # Examples
//!
//! How much of a gradient arrives a hundred steps earlier, for a linear net of one unit:
//!
//! ```
//! use ndarray::{Array3, array};
//! use steadygrad::recurrent::{Activation, Layer, Rnn};
//!
//! for (w, expected) in [(0.9, 2.656e-5), (1.0, 1.0), (1.1, 13_780.6)] {
//!     let rnn = Rnn::new(array![[0.0]], array![[w]], array![0.0], Activation::Identity)?;
//!     let pass = rnn.forward(Array3::zeros((100, 1, 1)).view(), &rnn.zero_state(1))?;
//!
//!     let mut d_outputs = Array3::zeros((100, 1, 1));
//!     d_outputs[[99, 0, 0]] = 1.0; // the loss looks at the last step only
//!     let back = rnn.backward(&pass, d_outputs.view())?;
//!     let arrived: f64 = back.d_state0.h[[0, 0]];
//!     assert!((arrived / expected - 1.0).abs() < 1e-4);
//! }
//! # Ok::<(), steadygrad::Error>(())
//! ```
//!
//! The gradient-flow profile ‖∂`L/∂h_t`‖, and clipping at every step on the way:
//!
//! ```
//! use core::ops::ControlFlow;
//! use ndarray::{Array3, array};
//! use steadygrad::recurrent::{Activation, Layer, Rnn};
//! use steadygrad::{Edits, Factor, Measurement};
//!
//! let rnn = Rnn::new(array![[1.0]], array![[2.0]], array![0.0], Activation::Identity)?;
//! let pass = rnn.forward(Array3::ones((4, 1, 1)).view(), &rnn.zero_state(1))?;
//! let mut d_outputs = Array3::zeros((4, 1, 1));
//! d_outputs[[3, 0, 0]] = 1.0;
//!
//! let mut profile = vec![];
//! let back = rnn.backward_with(&pass, d_outputs.view(), &mut |_, d_state| {
//!     let norm = Measurement::of(d_state)?.total().l2();
//!     profile.push(norm);
//!     if norm > 3.0 {
//!         let mut edits = Edits::for_count(1);
//!         edits.scale_all(Factor::new(3.0 / norm)?);
//!         edits.apply(d_state)?;
//!     }
//!     Ok(ControlFlow::Continue(()))
//! })?;
//! assert_eq!(profile, [1.0, 2.0, 4.0, 6.0]);
//! assert_eq!(back.d_state0.h, array![[6.0]]); // without the clipping, 16
//! # Ok::<(), steadygrad::Error>(())
//! ```
//!
//! A training loop with everything in it: a penalty, a clip, a detector, a way back.
//!
//! ```
//! use ndarray::{Array3, ArrayView3};
//! use steadygrad::penalty::{L2, Penalty};
//! use steadygrad::recurrent::{Activation, Init, Layer, Rnn};
//! use steadygrad::{clip, detect, set, Guard, Step, Verdict};
//!
//! fn mse(outputs: ArrayView3<f32>, targets: &Array3<f32>) -> (f64, Array3<f32>) {
//!     let (apart, count) = (&outputs - targets, targets.len() as f32);
//!     (f64::from(apart.iter().map(|x| x * x).sum::<f32>() / count), apart * (2.0 / count))
//! }
//!
//! let mut seed = 1_u64; // any source of numbers in [0, 1) will do
//! let mut uniform = move || {
//!     seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
//!     (seed >> 11) as f64 / (1_u64 << 53) as f64
//! };
//! let (inputs, hidden, batch, time) = (2, 5, 3, 4);
//! let mut rnn = Rnn::<f32>::builder(inputs, hidden)
//!     .activation(Activation::Tanh)
//!     .w_rec(Init::Orthogonal)
//!     .build(&mut uniform)?;
//! let decay = L2::new(1e-4)?;
//! let mut guard = Guard::new()
//!     .detect_with(Verdict::Rollback, detect::WeightGrowth::new(10.0)?)
//!     .clip(clip::GlobalNorm::new(1.0)?);
//! let mut last_good = rnn.clone();
//! let mut losses = vec![];
//! for epoch in 0..200 {
//!     let xs = Array3::from_shape_simple_fn((time, batch, inputs), || uniform() as f32);
//!     let targets = Array3::from_shape_fn((time, batch, hidden), |(t, b, _)| xs[[t, b, 0]] - xs[[t, b, 1]]);
//!     let pass = rnn.forward(xs.view(), &rnn.zero_state(batch))?;
//!     let (loss, d_outputs) = mse(pass.outputs(), &targets);
//!     let mut back = rnn.backward(&pass, d_outputs.view())?;
//!     let loss = loss + decay.apply(&rnn, &mut back.grads)?;     // its value, and its gradient added in place
//!     losses.push(loss);
//!     let report = guard.step(Step::new(&mut back.grads).params(&rnn).loss(loss))?;
//!     match report.verdict() {
//!         Verdict::Apply => set::axpy(-0.1, &back.grads, &mut rnn)?,
//!         Verdict::Skip => continue,
//!         Verdict::Rollback => rnn = last_good.clone(),
//!         Verdict::Stop => { eprintln!("{report}"); break }
//!     }
//!     if epoch % 50 == 0 {
//!         last_good = rnn.clone();
//!     }
//! }
//! assert!(losses[199] < losses[0] / 2.0);
//! # Ok::<(), steadygrad::Error>(())
//! ```
//!
//! # References
//!
//! - Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013, arXiv:1211.5063.
//! - Werbos, "Backpropagation through time: what it does and how to do it", 1990.

mod activation;
mod at;
mod bidirectional;
mod builder;
mod cell;
mod checkpointed;
mod directions;
mod dropout;
mod functions;
mod gradcheck;
#[doc = include_str!("coming_from.md")]
pub mod coming_from {}
mod gates;
mod grads;
mod gru;
mod gru_builder;
mod gru_parts;
mod init;
mod layer;
mod layer_norm;
mod lengths;
mod linear;
pub mod loss;
mod lstm;
mod lstm_options;
mod lstm_parts;
mod lstm_steps;
mod lstm_variant;
pub mod origin;
mod orthogonal;
mod profile;
mod read_out;
mod real;
mod recurrence;
mod rnn;
mod rnn_parts;
mod rows;
mod scratch;
mod sequence;
mod space;
mod stacked;
#[cfg(feature = "safetensors")]
mod state_dict;
mod trace;
mod truncated;
mod unrolled;
mod upstream;
mod working;

pub use activation::Activation;
pub use at::At;
pub use bidirectional::{Bidirectional, BidirectionalPass, Merge};
pub use builder::{LstmBuilder, RnnBuilder};
pub use cell::RecurrentCell;
pub use checkpointed::{Checkpointed, CheckpointedPass};
pub use directions::Directions;
pub use dropout::{Dropout, DropoutPass};
pub use functions::{exp, sigmoid, tanh};
pub use gates::{BurnGate, Gates};
pub use gradcheck::{Deviation, GradCheck, gradcheck};
pub use grads::CellGrads;
pub use gru::{Gru, GruGrads, GruPass};
pub use gru_builder::GruBuilder;
pub use init::Init;
pub use layer::{Backward, Hook, Layer};
pub use lstm::{Lstm, LstmPass, LstmState};
pub use lstm_options::LstmOptions;
pub use lstm_steps::LstmVariantTape;
pub use lstm_variant::{LstmNorm, LstmVariant, LstmVariantGrads};
pub use origin::Origin;
pub use profile::Profile;
pub use read_out::{ReadOut, ReadOutBackward, ReadOutBuilder, ReadOutGrads};
pub use real::Real;
pub use rnn::{Rnn, RnnPass, RnnState};
pub use sequence::Sequence;
pub use space::CellSpace;
pub use stacked::{Stacked, StackedPass};
#[cfg(feature = "safetensors")]
pub use state_dict::{Pytorch, StateDict};
pub use trace::Trace;
pub use truncated::Truncated;
pub use unrolled::{StepCell, Unrolled, UnrolledPass};
pub use upstream::Upstream;
pub use working::Working;
