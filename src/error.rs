//! What can go wrong.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::course::Off;
use crate::figures::AsGiven;

/// The crate's `Result`.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, Result};
///
/// fn shrink(grads: &mut [f32]) -> Result<f64> {
///     Ok(clip::global_norm(grads, 1.0)?.factor())
/// }
///
/// assert_eq!(shrink(&mut [0.0, 4.0])?, 0.25);
/// assert!(shrink(&mut [f32::NAN]).is_err());
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// What can go wrong, saying what was expected and what was found.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, Error};
///
/// let error = clip::GlobalNorm::new(-1.0).unwrap_err();
/// assert!(matches!(error, Error::Setting { .. }));
/// assert_eq!(error.to_string(), "max norm: expected a number ≥ 0, found -1");
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A number given to a constructor lies outside what it takes.
    #[error("{what}: expected {expected}, found {}", AsGiven(*found))]
    Setting {
        /// Which number.
        what: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it got.
        found: f64,
    },
    /// An array does not have the shape that its place asks for.
    #[error("{what}: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// Which array.
        what: &'static str,
        /// The shape its place asks for.
        expected: Vec<usize>,
        /// The shape it has.
        found: Vec<usize>,
    },
    /// An array that no memory holds.
    #[error("{what}: expected a shape that fits into memory, found {found:?}")]
    TooLarge {
        /// Which array.
        what: &'static str,
        /// The shape asked for.
        found: Vec<usize>,
    },
    /// Two things that go together differ in number.
    #[error("{what}: expected {expected}, found {found}")]
    Count {
        /// What was counted.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Two sets that are paired by position carry different names at one place.
    #[error("tensor {index}: expected the name {expected:?}, found {found:?}")]
    Name {
        /// The place.
        index: usize,
        /// The name in the first set.
        expected: String,
        /// The name in the second.
        found: String,
    },
    /// NaN or an infinity where a decision needs finite numbers; nothing was changed.
    #[error(
        "{what}: expected finite numbers, found {nan} NaN and {inf} infinite, the first at index {index}"
    )]
    NonFinite {
        /// Which tensor, or `loss`.
        what: String,
        /// How many NaN.
        nan: u64,
        /// How many infinities.
        inf: u64,
        /// The row-major index of the first of them.
        index: u64,
    },
    /// An axis that the tensor does not have.
    #[error("axis: expected one below {axes}, found {axis}")]
    Axis {
        /// How many axes the tensor has.
        axes: usize,
        /// The axis asked for.
        axis: usize,
    },
    /// Gradients without a single element, where a guard was told to require some
    /// ([`Guard::require_gradients`](crate::Guard::require_gradients)).
    #[error("gradients: expected at least one element, found none in {tensors} tensors")]
    NothingSeen {
        /// How many tensors the set has, each of them missing or empty.
        tensors: usize,
    },
    /// Gradients of which none belongs to the set, as when those of one model are given with the variables of another.
    /// A set that [counts](crate::Reading::unmatched) what it does not know has it from every step and every clip by
    /// norm; where nothing is measured before it is written, as in [`clip::value`](crate::clip::value()), the set's
    /// [`carry_out`](crate::TensorSetMut::carry_out) is to give it.
    #[error("expected gradients of the given parameters, found {found} gradients of others")]
    Unmatched {
        /// How many there are.
        found: usize,
    },
    /// As many steps in a row could not be taken as the guard allows: the end of the training.
    #[error("{cause}; stop: {in_a_row} steps in a row were refused")]
    Stop {
        /// How many.
        in_a_row: u32,
        /// Why the last of them was.
        cause: Box<Error>,
    },
    /// A verdict that cannot be given, since the step came without what the rule goes by.
    #[error("{rule}: expected {what} with the step, found none")]
    #[non_exhaustive]
    Unfed {
        /// The rule.
        rule: &'static str,
        /// What it goes by.
        what: &'static str,
    },
    /// What was saved is not what these rules remember.
    #[error("state: expected {expected}, found {found}")]
    #[non_exhaustive]
    State {
        /// What should have been there.
        expected: String,
        /// What was.
        found: String,
    },
    /// A file of weights, or a tensor in it, is not what a model takes.
    #[error("weights: {what}: expected {expected}, found {found}")]
    #[non_exhaustive]
    Weights {
        /// The file, or which tensor of it.
        what: String,
        /// What should have been there.
        expected: String,
        /// What was.
        found: String,
    },
    /// A line of a log is not what it should be.
    #[error("log, line {line}: expected {expected}, found {found}")]
    #[non_exhaustive]
    Log {
        /// The line, from 1.
        line: u64,
        /// What should have been there.
        expected: String,
        /// What was.
        found: String,
    },
    /// A run that goes on from a checkpoint does not go on as it was.
    #[error("resumed: in the first {steps} steps the {off}")]
    #[non_exhaustive]
    Discontinued {
        /// Over how many steps it was looked at.
        steps: usize,
        /// What is off, and by how much.
        off: Off,
    },
    /// A checkpoint could not be saved, found or read.
    #[error("checkpoint {path}: {what}")]
    #[non_exhaustive]
    Checkpoint {
        /// The file or directory.
        path: String,
        /// Why.
        what: String,
    },
    /// A picture could not be written.
    #[error("picture {what}: expected {expected}, found {found}")]
    #[non_exhaustive]
    Picture {
        /// Which.
        what: String,
        /// What it takes.
        expected: &'static str,
        /// What there was.
        found: String,
    },
    /// Ranks that share one gradient do not go together, or one of them could not go on.
    #[error("across ranks: {0}")]
    Wire(String),
    /// A tensor of somebody else's could not be read or written.
    #[error("tensor storage: {0}")]
    Storage(String),
}
