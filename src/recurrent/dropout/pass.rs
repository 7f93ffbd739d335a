//! What dropout keeps of a pass.

use ndarray::{Array3, ArrayView3};

use crate::recurrent::{Trace, Working};

/// What a [`Dropout`](super::Dropout) layer keeps of a forward pass: what its layer does, and the mask.
///
/// # Examples
///
/// ```
/// use ndarray::Array3;
/// use steadygrad::recurrent::{Dropout, DropoutPass, Layer, Rnn, RnnPass};
///
/// fn time(pass: &DropoutPass<RnnPass<f32>>) -> usize {
///     pass.outputs().dim().0
/// }
///
/// let layer = Dropout::new(Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?, 0.5)?;
/// assert_eq!(time(&layer.forward(Array3::ones((9, 3, 2)).view(), &layer.zero_state(3))?), 9);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DropoutPass<P: Trace> {
    pub(super) layer: P,
    pub(super) mask: Option<Array3<P::Elem>>,
    /// The inputs times the mask, or the memory of a mask.
    pub(super) masked: Working<[Option<Array3<P::Elem>>; 2]>,
}

impl<P: Trace> DropoutPass<P> {
    /// The outputs of the layer: `[time, batch, outputs]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::{Dropout, Layer, Rnn};
    ///
    /// let layer = Dropout::new(Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?, 0.5)?;
    /// let pass = layer.forward(Array3::ones((9, 3, 2)).view(), &layer.zero_state(3))?;
    /// assert_eq!(pass.outputs().dim(), (9, 3, 5));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn outputs(&self) -> ArrayView3<'_, P::Elem> {
        self.layer.outputs()
    }

    /// The layer's state after the last step.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::{Dropout, Layer, Rnn};
    ///
    /// let layer = Dropout::new(Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?, 0.5)?;
    /// let pass = layer.forward(Array3::ones((9, 3, 2)).view(), &layer.zero_state(3))?;
    /// assert_eq!(pass.final_state().h.dim(), (3, 5));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn final_state(&self) -> P::State {
        self.layer.final_state()
    }

    /// What the layer keeps of its inputs times the mask.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::{Dropout, Layer, Rnn};
    ///
    /// let layer = Dropout::new(Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?, 0.5)?;
    /// let pass = layer.forward(Array3::ones((9, 3, 2)).view(), &layer.zero_state(3))?;
    /// assert_eq!(pass.layer().hidden().dim(), (10, 3, 5));
    /// assert_eq!(pass.layer().outputs(), pass.outputs());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn layer(&self) -> &P {
        &self.layer
    }
}

impl<P: Trace> Trace for DropoutPass<P> {
    type Elem = P::Elem;
    type State = P::State;

    fn outputs(&self) -> ArrayView3<'_, P::Elem> {
        self.layer.outputs()
    }

    fn final_state(&self) -> P::State {
        self.layer.final_state()
    }

    fn final_state_into(&self, state: &mut P::State) {
        self.layer.final_state_into(state);
    }
}
