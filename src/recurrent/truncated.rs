//! Streams without an end, in windows.

use core::fmt;

use super::checkpointed::one_direction;
use super::layer::nothing;
use super::rows::zero_rows;
use super::{Layer, Sequence, Trace};
use crate::{Error, Result, Tensor, TensorSet};

/// Truncated backpropagation through time over a stream: window after window, each from the state in which the last one
/// ended, while gradients end at its first step.
///
/// ```text
/// … ─► s ─►│ window ─► s ─►│ window ─► s ─►│ …      states are carried
///          │◄── gradients  │◄── gradients  │         gradients are cut
/// ```
///
/// The layer may be stepped between two windows. A stream holds the state and the memory of one pass, which windows of
/// the same shape use again and again.
///
/// # Examples
///
/// ```
/// use ndarray::Array3;
/// use steadygrad::{recurrent::{Layer, Lstm, Truncated}, set};
///
/// let mut lstm = Lstm::<f32>::builder(2, 5).build(&mut || 0.75)?;
/// let mut stream = Truncated::new(&lstm, 35, 3)?;      // 3 streams side by side
/// let mut windows = 0;
/// for chunk in [Array3::ones((100, 3, 2)), Array3::ones((40, 3, 2))] {   // as it comes in
///     for xs in stream.windows(chunk.view()) {
///         let pass = stream.forward(&lstm, xs)?;
///         let back = lstm.backward(pass, pass.outputs())?;                // of the loss ½·Σh²
///         set::axpy(-0.01, &back.grads, &mut lstm)?;
///         windows += 1;
///     }
/// }
/// assert_eq!(windows, 3 + 2);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// - Williams and Peng, "An efficient gradient-based algorithm for on-line training of recurrent network trajectories",
///   1990.
pub struct Truncated<L: Layer> {
    window: usize,
    /// The state in which the next window begins.
    pub carry: L::State,
    pass: Option<L::Pass>,
}

impl<L: Layer> Truncated<L> {
    /// Streams that begin in the state of all zeros; `batch` of them, side by side.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::{Bidirectional, Rnn, Truncated};
    ///
    /// let rnn = Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?;
    /// assert_eq!(Truncated::new(&rnn, 35, 3)?.carry.h.dim(), (3, 5));
    /// let error = Truncated::new(&rnn, 0, 3).err();
    /// assert_eq!(error.map(|e| e.to_string()).as_deref(), Some("steps of a window: expected at least 1, found 0"));
    /// assert!(Truncated::new(&Bidirectional::new(rnn.clone(), rnn), 35, 3).is_err());   // it begins at the end
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if a window has no steps, [`Error::Count`] if the layer runs in two directions.
    pub fn new(layer: &L, window: usize, batch: usize) -> Result<Self> {
        one_direction(layer)?;
        if window == 0 {
            return Err(Error::Setting {
                what: "steps of a window",
                expected: "at least 1",
                found: 0.0,
            });
        }
        Ok(Self {
            window,
            carry: layer.zero_state(batch),
            pass: None,
        })
    }

    /// What has come in, cut into windows; the last one has what is left.
    ///
    /// Sequences of different [lengths](Sequence::lengths) have in each window what is left of them, and past their end
    /// their state stays.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::{Rnn, Truncated};
    ///
    /// let rnn = Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?;
    /// let stream = Truncated::new(&rnn, 35, 3)?;
    /// let steps: Vec<usize> = stream.windows(Array3::ones((80, 3, 2)).view()).map(|xs| xs.xs().dim().0).collect();
    /// assert_eq!(steps, [35, 35, 10]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn windows<'a, X: Into<Sequence<'a, L::Elem>>>(
        &self,
        xs: X,
    ) -> impl Iterator<Item = Sequence<'a, L::Elem>> + use<'a, L, X> {
        let (xs, window) = (xs.into(), self.window);
        let starts = (0..xs.xs().dim().0).step_by(window);
        starts.map(move |start| xs.steps(start..start.saturating_add(window)))
    }

    /// The pass over a window, from the carried state; its final state is the one carried on.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::{Layer, Rnn, Truncated};
    ///
    /// let rnn = Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?;
    /// let (xs, mut stream) = (Array3::ones((80, 3, 2)), Truncated::new(&rnn, 35, 3)?);
    /// for window in stream.windows(xs.view()) {
    ///     stream.forward(&rnn, window)?;
    /// }
    /// assert_eq!(stream.carry, rnn.forward(xs.view(), &rnn.zero_state(3))?.final_state());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Layer::forward`]; the carried state stays then. [`Error::Setting`] if these are more steps than a window
    /// has.
    pub fn forward<'a>(
        &mut self,
        layer: &L,
        xs: impl Into<Sequence<'a, L::Elem>>,
    ) -> Result<&L::Pass> {
        let xs = xs.into();
        let time = xs.xs().dim().0;
        if time > self.window {
            return Err(Error::Setting {
                what: "steps of a window",
                expected: "at most those that it was made for",
                found: time as f64,
            });
        }
        layer.forward_into(xs, &self.carry, &mut self.pass)?;
        let pass = self.pass.as_ref();
        let pass = pass.ok_or_else(|| nothing("passes that a layer made"))?;
        pass.final_state_into(&mut self.carry);
        Ok(pass)
    }

    /// Begins stream b of the batch anew, from a state of zeros: where a text ends and another follows.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, Rnn, Truncated};
    ///
    /// let rnn = Rnn::new(array![[1.0]], array![[1.0]], array![0.0], Activation::Identity)?;
    /// let mut stream = Truncated::new(&rnn, 2, 3)?;
    /// stream.forward(&rnn, Array3::ones((2, 3, 1)).view())?;
    /// stream.restart(1)?;
    /// assert_eq!(stream.carry.h, array![[2.0], [0.0], [2.0]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Count`] if there are not so many streams.
    pub fn restart(&mut self, b: usize) -> Result<()> {
        let batch = rows(&self.carry)?;
        if b >= batch {
            return Err(Error::Count {
                what: "streams",
                expected: b + 1,
                found: batch,
            });
        }
        zero_rows(&mut self.carry, batch, &core::iter::once(b))
    }
}

/// How many rows the parts of a state have, by the first that tells.
fn rows<S: TensorSet>(state: &S) -> Result<usize> {
    let mut rows = None;
    state.visit(&mut |_, tensor| {
        let first = tensor.dims().and_then(|dims| dims.first().copied());
        rows = rows.or(first);
        Ok(())
    })?;
    Ok(rows.unwrap_or_default())
}

impl<L: Layer> fmt::Debug for Truncated<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Truncated")
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}
