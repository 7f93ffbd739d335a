//! A layer that can be run one step at a time.

use ndarray::{Array3, ArrayView2, Axis, Ix3, Slice};

use super::linear::make_room;
use super::{Layer, Sequence, Trace};
use crate::Result;

/// Steps that [`RecurrentCell::run`] takes at a time: enough for large products, and little to keep.
const WINDOW: usize = 32;

/// A layer that can also be run one step at a time, for inputs that come one by one.
///
/// # Examples
///
/// ```
/// use ndarray::{Array2, array};
/// use steadygrad::recurrent::{Activation, RecurrentCell, Rnn, RnnState};
///
/// /// How a state fades or grows when nothing comes in any more.
/// fn free<C: RecurrentCell>(cell: &C, start: C::State, steps: usize) -> steadygrad::Result<C::State> {
///     let nothing = Array2::zeros((1, 1));
///     (0..steps).try_fold(start, |s, _| cell.step(nothing.view(), &s))
/// }
///
/// let rnn = Rnn::new(array![[1.0]], array![[0.5]], array![0.0], Activation::Identity)?;
/// let start = RnnState { h: array![[8.0]] };
/// assert_eq!(free(&rnn, start, 3)?.h, array![[1.0]]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait RecurrentCell: Layer {
    /// One step, keeping nothing: inference. Where steps come many at a time, [`run`](Self::run) prepares the weights once
    /// for many of them.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::{Activation, Layer, RecurrentCell, Rnn};
    ///
    /// let rnn = Rnn::new(array![[1.0]], array![[2.0]], array![0.0], Activation::Identity)?;
    /// let mut s = rnn.zero_state(1);
    /// for x in [1.0, 1.0, 1.0] {
    ///     s = rnn.step(array![[x]].view(), &s)?;
    /// }
    /// assert_eq!(s.h, array![[7.0]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) if the input or the state does not fit the cell.
    fn step(&self, x: ArrayView2<'_, Self::Elem>, s: &Self::State) -> Result<Self::State>;

    /// All steps of a sequence, keeping nothing for a way back: inference.
    ///
    /// The state is taken from `state` and left there as it is at the end, so that the next part of a stream goes on
    /// where this one ends; of a sequence that is shorter than the array it is the state at its own end. Outputs
    /// go into an array that is used again; one of another shape is replaced. What is kept meanwhile does not grow with
    /// the sequence. After an error the state is as it was, and the outputs mean nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, Layer, RecurrentCell, Rnn};
    ///
    /// let rnn = Rnn::new(array![[1.0]], array![[2.0]], array![0.0], Activation::Identity)?;
    /// let (mut state, mut outputs) = (rnn.zero_state(1), Array3::zeros((0, 0, 0)));
    /// rnn.run(Array3::ones((3, 1, 1)).view(), &mut state, &mut outputs)?;
    /// assert_eq!(outputs, array![[[1.0]], [[3.0]], [[7.0]]]);
    /// rnn.run(Array3::ones((1, 1, 1)).view(), &mut state, &mut outputs)?;
    /// assert_eq!((outputs, state.h), (array![[[15.0]]], array![[15.0]]));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Layer::forward`].
    fn run<'a>(
        &self,
        xs: impl Into<Sequence<'a, Self::Elem>>,
        state: &mut Self::State,
        outputs: &mut Array3<Self::Elem>,
    ) -> Result<()> {
        let xs = xs.into();
        let (time, batch, _) = xs.xs().dim();
        let (mut now, mut pass) = (state.clone(), None);
        let mut start = 0;
        loop {
            let end = time.min(start + WINDOW);
            self.forward_into(xs.steps(start..end), &now, &mut pass)?;
            if let Some(pass) = &pass {
                let part = pass.outputs();
                if start == 0 {
                    let features = part.dim().2;
                    make_room(outputs, "outputs", Ix3(time, batch, features))?;
                }
                let window = Slice::from(start..end);
                outputs.slice_axis_mut(Axis(0), window).assign(&part);
                pass.final_state_into(&mut now);
            }
            start = end;
            if start == time {
                break;
            }
        }
        *state = now;
        Ok(())
    }
}
