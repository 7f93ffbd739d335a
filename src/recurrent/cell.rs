//! A layer that can be run one step at a time.

use ndarray::ArrayView2;

use super::Layer;
use crate::Result;

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
    /// One step, keeping nothing: inference.
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
}
