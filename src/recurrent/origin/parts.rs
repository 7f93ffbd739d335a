//! What can be said of a number that is not finite.

use core::fmt;

/// One of the two ways through a net.
///
/// # Examples
///
/// ```
/// use steadygrad::recurrent::origin::Way;
/// assert_eq!(Way::Backward.to_string(), "the backward pass");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the inputs to the outputs.
    Forward,
    /// From the gradients of the outputs to all others.
    Backward,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Forward => "the forward pass",
            Self::Backward => "the backward pass",
        })
    }
}

/// A part of a layer's work. On the way back the gradient with respect to it is meant.
///
/// # Examples
///
/// What a [`Gru`](crate::recurrent::Gru) closes its reset gate on is no more than 0·∞:
///
/// ```
/// use ndarray::{Array2, Array3, array};
/// use steadygrad::recurrent::origin::Part;
/// use steadygrad::recurrent::{Gru, Layer, RnnState};
///
/// let w_rec = array![[-1e30], [0.0], [1e30]]; // r is closed, and q overflows
/// let gru = Gru::<f32>::new(Array2::zeros((3, 1)), w_rec, array![0.0, 0.0, 0.0], array![0.0])?;
/// let pass = gru.forward(Array3::zeros((1, 1, 1)).view(), &RnnState { h: array![[1e30]] })?;
/// let origin = gru.forward_origin(&pass)?;
/// assert_eq!(origin.map(|origin| (origin.part, origin.name)), Some((Part::Inner, "q".to_string())));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// A parameter; its gradient is a sum over steps and sequences, of which one step's share may be meant.
    Parameter,
    /// What a layer gets.
    Input,
    /// The state before the first step.
    InitialState,
    /// A gate; its gradient is that with respect to the sum which the gate is taken of.
    Gate,
    /// A number inside of a step that is neither gate nor state, by the letter that it has in the cell's formulas.
    Inner,
    /// The state after a step.
    State,
    /// What a layer gives, where it is not its state.
    Output,
    /// The state after the last step.
    FinalState,
}

/// What a number is that is not finite.
///
/// # Examples
///
/// ```
/// use steadygrad::recurrent::origin::NotFinite;
/// assert_eq!(NotFinite::NegativeInfinity.to_string(), "-inf");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotFinite {
    /// Not a number.
    Nan,
    /// +∞.
    Infinity,
    /// −∞.
    NegativeInfinity,
}

impl NotFinite {
    /// Of a number that is not finite.
    pub(in crate::recurrent) fn of(x: f64) -> Self {
        if x.is_nan() {
            Self::Nan
        } else if x > 0.0 {
            Self::Infinity
        } else {
            Self::NegativeInfinity
        }
    }
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nan => "NaN",
            Self::Infinity => "+inf",
            Self::NegativeInfinity => "-inf",
        })
    }
}

/// How a number came to be not finite.
///
/// # Examples
///
/// ```
/// use steadygrad::recurrent::origin::Cause;
/// assert_eq!(Cause::Opposites.to_string(), "inf - inf");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// It came in so.
    Given,
    /// A product of finite numbers overflows.
    Product,
    /// A sum of finite numbers overflows, and no product in it.
    Sum,
    /// A sum of finite numbers overflows to both sides: ∞ − ∞.
    Opposites,
    /// A number that overflows is taken times 0: 0·∞.
    ZeroTimesInfinity,
    /// Nobody knows, nor whether all that it was computed from is finite: a layer or cell of one's own does not tell.
    Unknown,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Given => "given",
            Self::Product => "a product overflows",
            Self::Sum => "a sum overflows",
            Self::Opposites => "inf - inf",
            Self::ZeroTimesInfinity => "0·inf",
            Self::Unknown => "unknown",
        })
    }
}
