//! Losses over sequences, and their gradients.
//!
//! | | outputs are | targets | mean over |
//! |---|---|---|---|
//! | [`squared_error`] | numbers | numbers | elements |
//! | [`cross_entropy`] | logits of classes | a class for each step | steps |
//! | [`bernoulli`] | logits of yes or no | 0, 1 or between | elements |
//!
//! Each gives the loss as an `f64` and its gradient with respect to the outputs, which is what
//! [`ReadOut::backward`](super::ReadOut::backward) and [`Layer::backward`](super::Layer::backward) take. The twins
//! that end in `_into` write the gradient into an array that is used again.
//!
//! # What counts
//!
//! Outputs are `[time, batch, features]`. Where sequences differ in length ([`Sequence::lengths`](super::Sequence::lengths)),
//! steps past a sequence's end count for nothing: whatever stands there, NaN included, they add nothing to the mean
//! and their gradients are zero. [`Counted::weights`] does the same for single steps, and for shares.
//!
//! Padding at the end with zero output gradients is exact: the states up to a sequence's end do not depend on
//! what comes after, and a gradient that is zero past the end stays zero on its way back to it, so a cell that knows
//! nothing of lengths gives the gradients it would give for each sequence alone. (Its *final* state is another matter,
//! and so is a layer that runs backwards.)
//!
//! A mean over nothing, of sequences that all have no steps or steps that all weigh nothing, is an error.
//!
//! # Examples
//!
//! ```
//! use ndarray::{Array3, array};
//! use steadygrad::recurrent::{Sequence, loss};
//!
//! let outputs = array![[[1.0], [5.0]], [[2.0], [f64::NAN]]]; // two steps of two sequences
//! let padded = Sequence::new(outputs.view()).lengths(&[2, 1])?;
//! let (loss, d_outputs) = loss::squared_error(padded, Array3::zeros((2, 2, 1)).view())?;
//! assert_eq!(loss, (1.0 + 25.0 + 4.0) / 3.0);
//! assert_eq!(d_outputs[[1, 1, 0]], 0.0);
//! # Ok::<(), steadygrad::Error>(())
//! ```

mod bernoulli;
mod counted;
mod cross_entropy;
mod squared_error;

pub use bernoulli::{bernoulli, bernoulli_into};
pub use counted::Counted;
pub use cross_entropy::{cross_entropy, cross_entropy_into};
pub use squared_error::{squared_error, squared_error_into};
