//! A factor for each tensor, from its own norm.

use super::{Clipped, Clipper, Limit, NO_NORM, Shrink};
use crate::pen::Pen;
use crate::rule::apply_by;
use crate::{Bound, Needs, Norm, Result, StepView, TensorSetMut};

/// Scales each tensor by a factor of its own so that its norm is at most `max`.
///
/// ```text
/// g_i ← g_i · max/‖g_i‖   if ‖g_i‖ > max,   for each tensor i
/// ```
///
/// **`max = 0` zeroes every gradient**; `None` and +∞ never clip. This changes the direction of the whole gradient; [`GlobalNorm`](super::GlobalNorm) does not.
///
/// # Examples
///
/// ```
/// use steadygrad::clip::{Clipper, TensorNorm};
///
/// let mut grads = vec![vec![3.0_f32, 4.0], vec![0.5]];
/// let clipped = TensorNorm::new(1.0)?.apply(&mut grads)?;
/// assert_eq!(grads, [vec![0.6, 0.8], vec![0.5]]);
/// assert_eq!(clipped.factor(), 0.2);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorNorm {
    limit: Limit,
}

impl TensorNorm {
    /// Clips the L2 norm of each tensor. A bound of 0 zeroes every gradient; `None` and +∞ are off.
    ///
    /// ```
    /// use steadygrad::clip::{Clipper, TensorNorm};
    /// let mut grads = [[3.0_f32], [-0.25]];
    /// TensorNorm::new(0.5)?.apply(&mut grads)?;
    /// assert_eq!(grads, [[0.5], [-0.25]]);   // each on its own
    /// assert!(TensorNorm::new(f64::NAN).is_err());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if `max` is negative or NaN.
    pub fn new(max: impl Into<Bound>) -> Result<Self> {
        Ok(Self {
            limit: Limit::l2(max.into())?,
        })
    }

    /// Clips another norm.
    ///
    /// ```
    /// use steadygrad::{clip::{Clipper, TensorNorm}, Norm};
    /// let mut grads = [[3.0_f32, -1.0], [0.5, 0.5]];
    /// TensorNorm::new(1.0)?.norm(Norm::L1)?.apply(&mut grads)?;
    /// assert_eq!(grads, [[0.75, -0.25], [0.5, 0.5]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if it is a [`Norm::P`] with a `p` that is NaN or below 1.
    pub fn norm(self, norm: Norm) -> Result<Self> {
        Ok(Self {
            limit: self.limit.by(norm)?,
        })
    }
}

impl Clipper for TensorNorm {
    fn needs(&self) -> Needs {
        self.limit.needs().of_tensors()
    }

    fn name(&self) -> &'static str {
        "tensor norm clip"
    }

    fn apply<G: TensorSetMut + ?Sized>(&mut self, grads: &mut G) -> Result<Clipped> {
        apply_by(self, self.limit.norm, grads)
    }

    fn plan(&mut self, step: &StepView<'_>, pen: &mut Pen<'_>) {
        for (i, stats) in step.grads.tensors().iter().enumerate() {
            match self.limit.shrink(stats) {
                Shrink::Keep => (),
                Shrink::Zero => {
                    pen.zero(i);
                    pen.zeroed_by_bound();
                }
                Shrink::Scale(factor) => pen.scale(i, factor),
                Shrink::Unknown => pen.abstain(NO_NORM),
            }
        }
        self.limit.hold(true, pen);
    }
}

/// Scales each tensor by a factor of its own so that its L2 norm is at most `max`. A bound of 0 zeroes every gradient;
/// `None` and +∞ are off.
///
/// # Examples
///
/// ```
/// use steadygrad::clip;
///
/// let mut grads = [("w", vec![6.0_f64, 8.0]), ("b", vec![0.25])];
/// let clipped = clip::tensor_norm(&mut grads, 5.0)?;
/// assert_eq!(grads, [("w", vec![3.0, 4.0]), ("b", vec![0.25])]);
/// assert!(clipped.is_clipped());
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Setting`](crate::Error::Setting) if `max` is negative or NaN,
/// [`Error::NonFinite`](crate::Error::NonFinite) if an element is NaN or infinite; nothing is changed.
pub fn tensor_norm<G: TensorSetMut + ?Sized>(
    grads: &mut G,
    max: impl Into<Bound>,
) -> Result<Clipped> {
    TensorNorm::new(max)?.apply(grads)
}
