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

    /// The state after the last step, of each sequence its own; after none, the initial one.
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

    /// Writes the [final state](Self::final_state) over another state: for whoever carries it on and on. What a layer
    /// keeps can often be copied without asking for memory; where nothing better is known, a new one is made.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::{Layer, Lstm, Trace};
    ///
    /// let lstm = Lstm::<f64>::builder(1, 2).build(&mut || 0.75)?;
    /// let (xs, mut state, mut pass) = (Array3::ones((10, 3, 1)), lstm.zero_state(3), None);
    /// for _ in 0..3 {
    ///     lstm.forward_into(xs.view(), &state, &mut pass)?;
    ///     pass.iter().for_each(|pass| pass.final_state_into(&mut state));
    /// }
    /// assert_eq!(pass.map(|pass| pass.final_state()), Some(state));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn final_state_into(&self, state: &mut Self::State) {
        *state = self.final_state();
    }
}
