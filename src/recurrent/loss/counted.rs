//! Which steps count, and the mean over them.

#![expect(clippy::needless_pass_by_value, reason = "views are given as they are")]

use ndarray::{Array3, ArrayView1, ArrayView2, ArrayView3, ArrayViewMut1, Axis};

use crate::recurrent::linear::{check, make_room};
use crate::recurrent::{Real, Sequence};
use crate::{Error, Result};

/// The outputs of a net, `[time, batch, features]`, and how much each of their steps counts.
///
/// Where a loss takes one, the view of an array will do, or a [`Sequence`] with its lengths: then every step up to
/// a sequence's end counts alike.
///
/// # Examples
///
/// A loss that looks at the last step only:
///
/// ```
/// use ndarray::{Array2, array};
/// use steadygrad::recurrent::loss::{self, Counted};
///
/// let outputs = array![[[1.0]], [[2.0]], [[3.0]]];
/// let mut last = Array2::zeros((3, 1));
/// last[[2, 0]] = 1.0;
/// let counted = Counted::new(outputs.view()).weights(last.view())?;
/// let (loss, d_outputs) = loss::squared_error(counted, array![[[0.0]], [[0.0]], [[2.5]]].view())?;
/// assert_eq!((loss, d_outputs), (0.25, array![[[0.0]], [[0.0]], [[1.0]]]));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counted<'a, A> {
    outputs: Sequence<'a, A>,
    weights: Option<ArrayView2<'a, A>>,
}

impl<'a, A: Real> Counted<'a, A> {
    /// Outputs of which every step counts alike, up to the end of its sequence.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::loss::{self, Counted};
    ///
    /// let outputs = array![[[1.0, 3.0]]];
    /// let (loss, _) = loss::squared_error(Counted::new(outputs.view()), array![[[0.0, 0.0]]].view())?;
    /// assert_eq!(loss, 5.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn new(outputs: impl Into<Sequence<'a, A>>) -> Self {
        Self {
            outputs: outputs.into(),
            weights: None,
        }
    }

    /// How much each step counts, `[time, batch]`: the mean is Σ w·l / Σ w. One that weighs nothing is not looked at.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::loss::{self, Counted};
    ///
    /// let (outputs, weights) = (array![[[1.0]], [[2.0]]], array![[3.0], [1.0]]);
    /// let counted = Counted::new(outputs.view()).weights(weights.view())?;
    /// let (loss, _) = loss::squared_error(counted, array![[[0.0]], [[0.0]]].view())?;
    /// assert_eq!(loss, (3.0 * 1.0 + 1.0 * 4.0) / 4.0);
    ///
    /// let error = Counted::new(outputs.view()).weights(array![[-1.0], [1.0]].view()).unwrap_err();
    /// assert_eq!(error.to_string(), "weight of a step: expected a finite number ≥ 0, found -1");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if there is not one for each step, [`Error::Setting`] if one is negative or not finite.
    pub fn weights(self, weights: ArrayView2<'a, A>) -> Result<Self> {
        let (time, batch, _) = self.outputs.xs().dim();
        check("weights of steps", weights.shape(), &[time, batch])?;
        match weights.iter().find(|w| !w.is_finite() || **w < A::zero()) {
            Some(w) => Err(Error::Setting {
                what: "weight of a step",
                expected: "a finite number ≥ 0",
                found: w.widen(),
            }),
            None => Ok(Self {
                weights: Some(weights),
                ..self
            }),
        }
    }

    pub(super) fn outputs(&self) -> ArrayView3<'a, A> {
        self.outputs.xs()
    }

    fn weight(&self, t: usize, b: usize) -> f64 {
        if t >= self.outputs.length(b) {
            return 0.0;
        }
        self.weights.map_or(1.0, |weights| weights[[t, b]].widen())
    }

    /// The mean of a loss over what counts, and its gradient.
    ///
    /// `of_step` gets a step's place, its outputs, the factor by which the derivatives of its loss enter the gradient,
    /// and where that goes; it gives the loss of the step, the sum of `parts` losses.
    pub(super) fn mean(
        &self,
        parts: usize,
        d_outputs: &mut Array3<A>,
        mut of_step: impl FnMut(Step<'_, A>, ArrayViewMut1<'_, A>) -> Result<f64>,
    ) -> Result<f64> {
        let outputs = self.outputs();
        let (time, batch, _) = outputs.dim();
        let places = || (0..time).flat_map(move |t| (0..batch).map(move |b| (t, b)));
        let count = places().map(|(t, b)| self.weight(t, b)).sum::<f64>() * parts as f64;
        if count <= 0.0 {
            return Err(Error::Setting {
                what: "steps that count",
                expected: "at least one",
                found: 0.0,
            });
        }
        make_room(d_outputs, "output gradients", outputs.raw_dim())?;
        let mut sum = 0.0;
        let lanes = outputs.lanes(Axis(2)).into_iter();
        let d_lanes = d_outputs.lanes_mut(Axis(2)).into_iter();
        for (at, (outputs, mut d_outputs)) in places().zip(lanes.zip(d_lanes)) {
            let weight = self.weight(at.0, at.1);
            if weight == 0.0 {
                d_outputs.fill(A::zero());
                continue;
            }
            let step = Step {
                at,
                outputs,
                scale: weight / count,
            };
            sum += weight * of_step(step, d_outputs)?;
        }
        Ok(sum / count)
    }
}

/// One step of one sequence.
pub(super) struct Step<'a, A> {
    /// Which step, and of which sequence of the batch.
    pub(super) at: (usize, usize),
    pub(super) outputs: ArrayView1<'a, A>,
    /// By what the derivatives of its loss enter the gradient.
    pub(super) scale: f64,
}

impl<'a, A: Real> From<ArrayView3<'a, A>> for Counted<'a, A> {
    fn from(outputs: ArrayView3<'a, A>) -> Self {
        Self::new(outputs)
    }
}

impl<'a, A: Real> From<Sequence<'a, A>> for Counted<'a, A> {
    fn from(outputs: Sequence<'a, A>) -> Self {
        Self::new(outputs)
    }
}
