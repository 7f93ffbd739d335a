//! Layers on layers.

mod list;
mod two;

pub use list::StackedPass;

use ndarray::{Array2, ArrayRef2, Axis};

use super::layer::nothing;
use super::{Layer, Trace};
use crate::set::{Visitor, VisitorMut};
use crate::{Reading, Result, TensorSet, TensorSetMut, Writing};

/// Layers that lie on each other: the outputs of each are the inputs of the next.
///
/// `Stacked(vec![…])` takes layers of one kind, `Stacked(Two(a, b))` two of any kind, nested for more. Either is a layer
/// itself, whose outputs are those of the last. The names of its tensors are those of what it holds: `0.w_in`, `1.w_in`
/// of a list, `1.0.w_in` in a nest; states and gradients go by the same numbers.
///
/// A hook sees [`At::layer`](super::At::layer) counted from the inputs, through nests. Of a list it gets what it gets of
/// the layers themselves; of two kinds, a `&mut dyn TensorSetMut`, which a hook measures and edits in the same words as
/// the state of a cell. A break ends the way back in its layer; those below go on, with gradients of zero where nothing
/// came down. [`stopped_at`](super::Backward::stopped_at) tells of the first break on the way.
///
/// For dropout between the layers see [`Dropout`](super::Dropout).
///
/// # Examples
///
/// PyTorch's `nn.LSTM(2, 5, num_layers=2)`:
///
/// ```
/// use ndarray::Array3;
/// use steadygrad::recurrent::{Layer, Lstm, Stacked};
///
/// let uniform = &mut || 0.75;
/// let stack = Stacked(vec![Lstm::<f32>::builder(2, 5).build(uniform)?, Lstm::builder(5, 5).build(uniform)?]);
/// let pass = stack.forward(Array3::ones((9, 3, 2)).view(), &stack.zero_state(3))?;
/// let back = stack.backward(&pass, pass.outputs())?;
/// assert_eq!((back.grads[0].w_in.dim(), back.grads[1].w_in.dim()), ((20, 2), (20, 5)));
/// assert_eq!(pass.final_state()[1].h, pass.outputs().index_axis(ndarray::Axis(0), 8));
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// A mix, and one hook for all of it:
///
/// ```
/// use core::ops::ControlFlow;
/// use ndarray::Array3;
/// use steadygrad::recurrent::{Layer, Lstm, Rnn, Stacked, Trace};
/// use steadygrad::{Measurement, set::Two};
///
/// let uniform = &mut || 0.75;
/// let stack = Stacked(Two(Lstm::<f32>::builder(2, 5).build(uniform)?, Rnn::builder(5, 4).build(uniform)?));
/// let pass = stack.forward(Array3::ones((9, 3, 2)).view(), &stack.zero_state(3))?;
/// let mut norms = [0.0; 2];
/// let back = stack.backward_with(&pass, pass.outputs(), &mut |at, d_state| {
///     norms[at.layer] = Measurement::of(d_state)?.total().l2();   // at last, that of the first step
///     Ok(ControlFlow::Continue(()))
/// })?;
/// assert!(norms[0] > 0.0 && norms[1] > 0.0);
/// assert_eq!(Measurement::of(&stack)?.name(3), "1.w_in");
/// assert_eq!(back.grads.1.w_in.dim(), (4, 5));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stacked<T>(
    /// The layers, from the inputs on: a list of one kind, or [`Two`](crate::set::Two) of any.
    pub T,
);

impl<T: TensorSet> TensorSet for Stacked<T> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.0.visit(f)
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        self.0.measure(reading)
    }
}

impl<T: TensorSetMut> TensorSetMut for Stacked<T> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        self.0.visit_mut(f)
    }

    fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        self.0.carry_out(writing)
    }
}

/// One step of a layer with its output, which the state alone does not tell: a sequence of one step.
fn step_with_output<L: Layer>(
    layer: &L,
    x: &ArrayRef2<L::Elem>,
    s: &L::State,
) -> Result<(Array2<L::Elem>, L::State)> {
    let pass = layer.forward(x.view().insert_axis(Axis(0)), s)?;
    let output = pass.outputs().outer_iter().next().map(|y| y.to_owned());
    let output = output.ok_or_else(|| nothing("outputs of a step"))?;
    Ok((output, pass.final_state()))
}
