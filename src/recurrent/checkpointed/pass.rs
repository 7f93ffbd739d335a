//! What a pass with checkpoints keeps.

use alloc::vec::Vec;
use core::fmt;

use ndarray::{Array3, ArrayView3};

use crate::recurrent::lengths::Lengths;
use crate::recurrent::{Layer, Trace, Working};

/// What a [`Checkpointed`](super::Checkpointed) layer keeps of a forward pass.
///
/// # Examples
///
/// ```
/// use ndarray::Array3;
/// use steadygrad::recurrent::{Checkpointed, CheckpointedPass, Layer, Rnn};
///
/// fn kept(pass: &CheckpointedPass<Rnn<f64>>) -> usize {
///     pass.states().len()
/// }
///
/// let sparing = Checkpointed::new(Rnn::<f64>::builder(2, 5).build(&mut || 0.75)?).every(4)?;
/// assert_eq!(kept(&sparing.forward(Array3::ones((9, 3, 2)).view(), &sparing.zero_state(3))?), 3);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct CheckpointedPass<L: Layer> {
    pub(super) xs: Array3<L::Elem>,
    pub(super) lengths: Lengths,
    pub(super) every: usize,
    pub(super) states: Vec<L::State>,
    pub(super) outputs: Array3<L::Elem>,
    /// What the layer keeps of the last segment, which the way back need not compute again.
    pub(super) last: L::Pass,
    /// What it kept of the one before: memory for the next pass. The last one has its own, since it may be shorter.
    pub(super) segment: Working<Option<L::Pass>>,
}

impl<L: Layer> fmt::Debug for CheckpointedPass<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckpointedPass")
            .field("every", &self.every)
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

impl<L: Layer> CheckpointedPass<L> {
    /// The outputs of all steps: `[time, batch, outputs]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::{Checkpointed, Layer, Rnn};
    ///
    /// let sparing = Checkpointed::new(Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?);
    /// let pass = sparing.forward(Array3::ones((9, 3, 2)).view(), &sparing.zero_state(3))?;
    /// assert_eq!(pass.outputs().dim(), (9, 3, 5));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn outputs(&self) -> ArrayView3<'_, L::Elem> {
        self.outputs.view()
    }

    /// The state after the last step.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, Axis};
    /// use steadygrad::recurrent::{Checkpointed, Layer, Rnn};
    ///
    /// let sparing = Checkpointed::new(Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?);
    /// let pass = sparing.forward(Array3::ones((9, 3, 2)).view(), &sparing.zero_state(3))?;
    /// assert_eq!(pass.final_state().h, pass.outputs().index_axis(Axis(0), 8));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn final_state(&self) -> L::State {
        self.last.final_state()
    }

    /// The states that were kept: the initial one, and each k-th after it but the final one.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, Axis};
    /// use steadygrad::recurrent::{Checkpointed, Layer, Rnn};
    ///
    /// let sparing = Checkpointed::new(Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?).every(4)?;
    /// let pass = sparing.forward(Array3::ones((8, 3, 2)).view(), &sparing.zero_state(3))?;
    /// assert_eq!(pass.states().len(), 2);
    /// assert_eq!(pass.states()[1].h, pass.outputs().index_axis(Axis(0), 3));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn states(&self) -> &[L::State] {
        &self.states
    }
}

impl<L: Layer> Trace for CheckpointedPass<L> {
    type Elem = L::Elem;
    type State = L::State;

    fn outputs(&self) -> ArrayView3<'_, L::Elem> {
        self.outputs()
    }

    fn final_state(&self) -> L::State {
        self.final_state()
    }

    fn final_state_into(&self, state: &mut L::State) {
        self.last.final_state_into(state);
    }
}
