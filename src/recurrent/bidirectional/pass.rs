//! What a pass in both directions keeps.

use ndarray::{Array3, ArrayView3};

use super::Merge;
use crate::recurrent::lengths::Lengths;
use crate::recurrent::{Directions, Trace, Working};

/// What a [`Bidirectional`](super::Bidirectional) layer keeps of a forward pass.
///
/// # Examples
///
/// ```
/// use ndarray::Array3;
/// use steadygrad::recurrent::{Bidirectional, BidirectionalPass, Layer, Rnn, RnnPass};
///
/// fn width(pass: &BidirectionalPass<RnnPass<f32>>) -> usize {
///     pass.outputs().dim().2
/// }
///
/// let rnn = Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?;
/// let net = Bidirectional::new(rnn.clone(), rnn);
/// assert_eq!(width(&net.forward(Array3::ones((9, 3, 2)).view(), &net.zero_state(3))?), 10);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BidirectionalPass<P: Trace> {
    pub(super) passes: Directions<P>,
    pub(super) outputs: Array3<P::Elem>,
    pub(super) merge: Merge,
    pub(super) lengths: Lengths,
    pub(super) turned: Working<[Option<Array3<P::Elem>>; 2]>,
}

impl<P: Trace> BidirectionalPass<P> {
    /// The outputs of both directions, put together: `[time, batch, outputs]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::{Bidirectional, Layer, Rnn};
    ///
    /// let rnn = Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?;
    /// let net = Bidirectional::new(rnn.clone(), rnn);
    /// let pass = net.forward(Array3::ones((9, 3, 2)).view(), &net.zero_state(3))?;
    /// assert_eq!(pass.outputs().dim(), (9, 3, 10));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn outputs(&self) -> ArrayView3<'_, P::Elem> {
        self.outputs.view()
    }

    /// The state of each direction after its last step: of the reverse one, after the first input.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::{Bidirectional, Layer, Rnn};
    ///
    /// let rnn = Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?;
    /// let net = Bidirectional::new(rnn.clone(), rnn);
    /// let state = net.forward(Array3::ones((9, 3, 2)).view(), &net.zero_state(3))?.final_state();
    /// assert_eq!(state.forwards, state.reverse);   // the inputs read the same from both ends
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn final_state(&self) -> Directions<P::State> {
        Directions {
            forwards: self.passes.forwards.final_state(),
            reverse: self.passes.reverse.final_state(),
        }
    }
}

impl<P: Trace> Trace for BidirectionalPass<P> {
    type Elem = P::Elem;
    type State = Directions<P::State>;

    fn outputs(&self) -> ArrayView3<'_, P::Elem> {
        self.outputs()
    }

    fn final_state(&self) -> Directions<P::State> {
        self.final_state()
    }

    fn final_state_into(&self, state: &mut Directions<P::State>) {
        let Directions { forwards, reverse } = &self.passes;
        forwards.final_state_into(&mut state.forwards);
        reverse.final_state_into(&mut state.reverse);
    }
}
