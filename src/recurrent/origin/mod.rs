//! Who made what is not finite: where in a pass the first such number appears, told apart from where it passes through.
//!
//! A NaN in a gradient has gone through every step on its way. [`Layer::origin`](super::Layer::origin) looks for the place
//! where it began: the number that is not finite although all that it was computed from is, or that came in so, as a
//! parameter, an input, an initial state or a gradient of the loss. It goes by what the forward pass kept, and walks the way
//! back once more, step by step; so it costs nothing until it is asked, and a loop has it asked when there is a fault:
//!
//! ```
//! use ndarray::{Array3, array};
//! use steadygrad::recurrent::{Activation, Layer, Rnn};
//! use steadygrad::{Guard, Step};
//!
//! // h doubles in every step: 2^128 is more than an f32 holds.
//! let rnn = Rnn::<f32>::new(array![[1.0]], array![[2.0]], array![0.0], Activation::Identity)?;
//! let mut xs = Array3::zeros((150, 1, 1));
//! xs[[0, 0, 0]] = 1.0;
//! let mut guard = Guard::new();
//!
//! let pass = rnn.forward(xs.view(), &rnn.zero_state(1))?;
//! let d_outputs = pass.outputs().to_owned(); // the gradient of the loss ½·Σh²
//! let mut back = rnn.backward(&pass, d_outputs.view())?;
//! let step = Step::new(&mut back.grads).params(&rnn);
//! let report = guard.step(step.explained_by(&|| rnn.origin(&pass, d_outputs.view())))?;
//! assert_eq!(
//!     report.origin(),
//!     Some(
//!         "the forward pass: the state h of layer 0 at time 128 (sequence 0, unit 0) is +inf, \
//!          from finite numbers (a product overflows)"
//!     ),
//! );
//! # Ok::<(), steadygrad::Error>(())
//! ```
//!
//! Ask before the parameters are stepped: the explanation goes by what they are when it is asked.
//!
//! # What is the first
//!
//! - The first in the order in which a pass computes: the forward pass before the way back; layers from the inputs up, and
//!   on the way back from the outputs down; in both directions the forward one first; the steps of a layer in its own order;
//!   in a step the parts in the order of the cell's formulas, of a part the sequences, of a sequence the units.
//! - Only what comes to something. A sum of +inf opens a gate and is gone: it is an origin if, and where, something
//!   that is not finite came of it in gates, states or gradients.
//! - What is given is named before what is made of it: parameters first, then the initial state, then inputs.
//! - Padding does not count.
//! - Where each step's share of a parameter's gradient is finite and only their sum is not, that sum is named.

mod any;
mod back;
mod find;
mod gru;
mod lstm;
mod parts;
mod rnn;
mod sentence;
mod sum;
mod unrolled;
mod variant;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ndarray::ArrayView2;

pub(super) use any::{backward as backward_of_any, forward as forward_of_any, parameter};
pub(super) use back::backward as backward_of_cell;
use find::Found;
pub(super) use find::{first, first_row, last_step};
pub(super) use gru::forward as forward_of_gru;
pub(super) use lstm::forward as forward_of_lstm;
pub use parts::{Cause, NotFinite, Part, Way};
pub(super) use rnn::forward as forward_of_rnn;
pub(super) use unrolled::{backward as backward_of_steps, forward as forward_of_steps};
pub(super) use variant::{backward as backward_of_variant, forward as forward_of_variant};

use super::{At, Real};

/// Where a number that is not finite comes from, as one readable sentence.
///
/// # Examples
///
/// ```
/// use ndarray::{Array3, array};
/// use steadygrad::recurrent::origin::{Cause, NotFinite, Part, Way};
/// use steadygrad::recurrent::{Activation, At, Layer, Rnn};
///
/// let rnn = Rnn::new(array![[1.0]], array![[0.5]], array![0.0], Activation::Tanh)?;
/// let mut xs = Array3::zeros((9, 4, 1));
/// xs[[3, 2, 0]] = f64::NAN;
/// let pass = rnn.forward(xs.view(), &rnn.zero_state(4))?;
/// let Some(origin) = rnn.origin(&pass, pass.outputs())? else { panic!("there is a NaN") };
/// assert_eq!((origin.way, origin.part, origin.name.as_str()), (Way::Forward, Part::Input, "x"));
/// assert_eq!((origin.at, origin.sequence, origin.index.as_slice()), (Some(At::time(3)), Some(2), &[0][..]));
/// assert_eq!((origin.value, origin.cause), (NotFinite::Nan, Cause::Given));
/// assert_eq!(origin.to_string(), "the input x, which is NaN at time 3 (sequence 2, feature 0)");
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Origin {
    /// In which pass it appears, or comes in.
    pub way: Way,
    /// What it is a number of; on the way back, a number of the gradient with respect to that.
    pub part: Part,
    /// The name of that: of a parameter as in the layer's set, else the letter of the cell's formulas.
    pub name: String,
    /// The step and the layer, counted as for a [hook](super::Hook), but that the time is that of its own sequence, whatever
    /// the direction. None for what belongs to no step: parameters, and sums over all steps.
    pub at: Option<At>,
    /// Which sequence of the batch, if it is of one.
    pub sequence: Option<usize>,
    /// Where in it: the unit or the feature, and of a parameter the index along each of its axes.
    pub index: Vec<usize>,
    /// What it is.
    pub value: NotFinite,
    /// How it came to be that.
    pub cause: Cause,
}

impl Origin {
    /// A number of one sequence in one step, of which it is not known how it came to be.
    pub(super) fn of_step<A: Real>(
        way: Way,
        part: Part,
        name: &str,
        t: usize,
        (b, k, value): Found<A>,
    ) -> Self {
        Self {
            way,
            part,
            name: name.to_string(),
            at: Some(At::time(t)),
            sequence: Some(b),
            index: Vec::from([k]),
            value: NotFinite::of(value.widen()),
            cause: Cause::Unknown,
        }
    }

    /// A number that came in with the forward pass.
    pub(super) fn given<A: Real>(part: Part, name: &str, t: usize, found: Found<A>) -> Self {
        Self::of_step(Way::Forward, part, name, t, found).because(Cause::Given)
    }

    /// A parameter.
    pub(super) fn parameter(name: &str, index: Vec<usize>, value: NotFinite) -> Self {
        Self {
            way: Way::Forward,
            part: Part::Parameter,
            name: name.to_string(),
            at: None,
            sequence: None,
            index,
            value,
            cause: Cause::Given,
        }
    }

    /// The same, made in this way.
    ///
    /// # Examples
    ///
    /// See [`StepCell::forward_origin`](super::StepCell::forward_origin).
    ///
    /// ```
    /// use steadygrad::recurrent::origin::{Cause, Origin};
    ///
    /// /// What a cell says that adds nothing but numbers of up to 1 to its state.
    /// fn overflow(seen: &Origin) -> Origin {
    ///     seen.clone().because(Cause::Sum)
    /// }
    /// ```
    #[must_use]
    pub fn because(self, cause: Cause) -> Self {
        Self { cause, ..self }
    }

    /// The first number that is not finite among those of another part in the same step: `[batch, …]`, of which only the
    /// row of this sequence counts, if it is of one.
    ///
    /// # Examples
    ///
    /// See [`StepCell::forward_origin`](super::StepCell::forward_origin).
    ///
    /// ```
    /// use ndarray::Array2;
    /// use steadygrad::recurrent::origin::{Origin, Part};
    ///
    /// /// What a cell says that keeps its input and its gates.
    /// fn explain(seen: &Origin, x: &Array2<f32>, gates: &Array2<f32>) -> Option<Origin> {
    ///     let input = seen.among(Part::Input, "x", x.view());
    ///     input.or_else(|| seen.among(Part::Gate, "g", gates.view()))
    /// }
    /// ```
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "views are given as they are")]
    pub fn among<A: Real>(&self, part: Part, name: &str, rows: ArrayView2<'_, A>) -> Option<Self> {
        let (b, k, value) = first_row(&rows, |b| self.sequence.is_none_or(|own| own == b))?;
        let is_given = matches!(part, Part::Input | Part::InitialState);
        Some(Self {
            part,
            name: name.to_string(),
            sequence: Some(b),
            index: Vec::from([k]),
            value: NotFinite::of(value.widen()),
            cause: if is_given && self.way == Way::Forward {
                Cause::Given
            } else {
                Cause::Unknown
            },
            ..self.clone()
        })
    }

    /// As a layer tells it that lies on so many others.
    pub(super) fn raised(mut self, layers: usize) -> Self {
        if let Some(at) = &mut self.at {
            at.layer += layers;
        }
        self
    }

    /// As a layer tells it of one that it holds under this name.
    pub(super) fn under(mut self, name: impl core::fmt::Display) -> Self {
        if self.part == Part::Parameter {
            self.name = format!("{name}.{}", self.name);
        }
        self
    }

    /// As it is to a sequence of which this part begins with that step.
    pub(super) fn later(mut self, start: usize) -> Self {
        if let Some(at) = &mut self.at {
            at.time += start;
            if self.part == Part::InitialState && start > 0 {
                self.part = Part::State;
                at.time -= 1;
            }
        }
        self
    }
}
