//! The gradients that a way back begins with.

use ndarray::ArrayView3;

use super::Layer;
use super::linear::check;
use crate::Result;

/// The gradients of the loss with respect to what came out of a forward pass: its outputs, its final state, or both.
///
/// What is not given is zero. Where a backward pass takes one, the view of the outputs' gradients will do.
///
/// # Examples
///
/// A long sequence in two segments, of which only one is kept at a time. The gradient of the early segment's final
/// state is what the late one finds for its initial state:
///
/// ```
/// use ndarray::{Array3, Axis};
/// use steadygrad::recurrent::{Layer, Rnn, Upstream};
///
/// let rnn = Rnn::<f64>::builder(2, 3).build(&mut || 0.75)?;
/// let (xs, d_outputs) = (Array3::ones((10, 4, 2)), Array3::ones((10, 4, 3)));
/// let (early, late) = xs.view().split_at(Axis(0), 6);
/// let (d_early, d_late) = d_outputs.view().split_at(Axis(0), 6);
///
/// let first = rnn.forward(early, &rnn.zero_state(4))?;
/// let second = rnn.forward(late, &first.final_state())?;
/// let back = rnn.backward(&second, d_late)?;
/// let back = rnn.backward(&first, Upstream::outputs(d_early).final_state(&back.d_state0))?;
///
/// let pass = rnn.forward(xs.view(), &rnn.zero_state(4))?;
/// assert_eq!(back.d_state0, rnn.backward(&pass, d_outputs.view())?.d_state0);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Upstream<'a, L: Layer> {
    /// With respect to the outputs: `[time, batch, outputs]`.
    pub outputs: Option<ArrayView3<'a, L::Elem>>,
    /// With respect to the state after the last step.
    pub final_state: Option<&'a L::State>,
}

impl<'a, L: Layer> Upstream<'a, L> {
    /// The gradients of the outputs.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::{Layer, Rnn, Upstream};
    ///
    /// let rnn = Rnn::<f64>::builder(2, 3).build(&mut || 0.75)?;
    /// let pass = rnn.forward(Array3::ones((5, 1, 2)).view(), &rnn.zero_state(1))?;
    /// let d_outputs = Array3::ones((5, 1, 3));
    /// assert_eq!(
    ///     rnn.backward(&pass, Upstream::outputs(d_outputs.view()))?,
    ///     rnn.backward(&pass, d_outputs.view())?,
    /// );
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "a view is kept as it is")]
    pub fn outputs(outputs: ArrayView3<'a, L::Elem>) -> Self {
        Self {
            outputs: Some(outputs),
            final_state: None,
        }
    }

    /// Besides, or alone, those of the final state.
    ///
    /// # Examples
    ///
    /// An encoder, of whose outputs nobody makes anything but the last state:
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, Layer, Rnn, RnnState, Upstream};
    ///
    /// let rnn = Rnn::new(array![[1.0]], array![[2.0]], array![0.0], Activation::Identity)?;
    /// let pass = rnn.forward(Array3::ones((3, 1, 1)).view(), &rnn.zero_state(1))?;
    /// let back = rnn.backward(&pass, Upstream::default().final_state(&RnnState { h: array![[1.0]] }))?;
    /// assert_eq!(back.d_inputs, array![[[4.0]], [[2.0]], [[1.0]]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn final_state(self, final_state: &'a L::State) -> Self {
        Self {
            final_state: Some(final_state),
            ..self
        }
    }

    /// Refuses gradients of outputs of another shape.
    pub(super) fn check_outputs(&self, shape: &[usize]) -> Result<()> {
        match &self.outputs {
            Some(outputs) => check("output gradients", outputs.shape(), shape),
            None => Ok(()),
        }
    }
}

// Derived, these would ask the layer to be cloned as well.
impl<L: Layer> Clone for Upstream<'_, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L: Layer> Copy for Upstream<'_, L> {}

/// No gradients at all.
impl<L: Layer> Default for Upstream<'_, L> {
    fn default() -> Self {
        Self {
            outputs: None,
            final_state: None,
        }
    }
}

impl<'a, L: Layer> From<ArrayView3<'a, L::Elem>> for Upstream<'a, L> {
    fn from(outputs: ArrayView3<'a, L::Elem>) -> Self {
        Self::outputs(outputs)
    }
}
