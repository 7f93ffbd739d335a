//! What a forward pass tells.

use ndarray::ArrayView3;

/// What a forward pass keeps for the way back, and tells of what came out.
///
/// # Examples
///
/// ```
/// use ndarray::Array3;
/// use steadygrad::recurrent::{Layer, Lstm, Trace};
///
/// fn largest<T: Trace<Elem = f64>>(pass: &T) -> f64 {
///     pass.outputs().fold(0.0, |max, h| max.max(h.abs()))
/// }
///
/// let lstm = Lstm::<f64>::builder(1, 1).build(&mut || 0.75)?;
/// let pass = lstm.forward(Array3::ones((3, 1, 1)).view(), &lstm.zero_state(1))?;
/// assert_eq!(largest(&pass), pass.final_state().h[[0, 0]]);   // it grows from step to step
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait Trace {
    /// The numbers it is made of.
    type Elem;
    /// What was carried from step to step.
    type State;

    /// The outputs of all steps: `[time, batch, outputs]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, Layer, Rnn, Trace};
    ///
    /// let rnn = Rnn::new(array![[1.0]], array![[2.0]], array![0.0], Activation::Identity)?;
    /// let pass = rnn.forward(Array3::ones((3, 1, 1)).view(), &rnn.zero_state(1))?;
    /// assert_eq!(Trace::outputs(&pass), array![[[1.0]], [[3.0]], [[7.0]]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn outputs(&self) -> ArrayView3<'_, Self::Elem>;

    /// The state after the last step; after none, the initial one.
    ///
    /// # Examples
    ///
    /// A stream in windows, each of which begins where the last one ended:
    ///
    /// ```
    /// use ndarray::{Array3, Axis};
    /// use steadygrad::recurrent::{Layer, Lstm, Trace};
    ///
    /// fn last<L: Layer>(layer: &L, stream: &Array3<L::Elem>, window: usize) -> steadygrad::Result<L::State> {
    ///     let mut state = layer.zero_state(stream.dim().1);
    ///     for xs in stream.axis_chunks_iter(Axis(0), window) {
    ///         state = layer.forward(xs, &state)?.final_state();
    ///     }
    ///     Ok(state)
    /// }
    ///
    /// let lstm = Lstm::<f64>::builder(1, 2).build(&mut || 0.75)?;
    /// let stream = Array3::ones((10, 3, 1));
    /// assert_eq!(last(&lstm, &stream, 4)?, last(&lstm, &stream, 10)?);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn final_state(&self) -> Self::State;
}
