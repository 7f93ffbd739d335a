//! One factor for all gradients, from their common norm.

use super::{Clipped, Clipper, Limit, NO_NORM, Shrink};
use crate::pen::Pen;
use crate::rule::apply_by;
use crate::{Bound, Needs, Norm, Result, StepView, TensorSetMut};

/// Scales all gradients by one factor so that their common norm is at most `max`.
///
/// ```text
/// g ← g · max/‖g‖   if ‖g‖ > max,   ‖g‖ over all elements of all tensors
/// ```
///
/// **`max = 0` zeroes every gradient**; `None` and +∞ never clip. The direction stays; equality is not above; there
/// is no ε. The norm is exact over the whole float range, and so is every scaled element to its
/// last place, also where the norm is past [`f64::MAX`].
///
/// # Examples
///
/// ```
/// use steadygrad::{clip::{Clipper, GlobalNorm}, Guard, Norm};
///
/// let mut grads = vec![vec![3.0_f32, 4.0], vec![12.0]];
/// let clipped = GlobalNorm::new(6.5)?.apply(&mut grads)?;
/// assert_eq!((clipped.before(), clipped.after()), (13.0, 6.5));
/// assert_eq!(grads, [vec![1.5, 2.0], vec![6.0]]);
///
/// let mut guard = Guard::new().clip(GlobalNorm::new(1.0)?.norm(Norm::Max)?);
/// assert_eq!(guard.step(&mut grads)?.factor(), 1.0 / 6.0);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// Pascanu, Mikolov and Bengio, 2013, arXiv:1211.5063.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GlobalNorm {
    limit: Limit,
}

impl GlobalNorm {
    /// Clips the L2 norm. A bound of 0 zeroes every gradient; `None` and +∞ are off.
    ///
    /// ```
    /// use steadygrad::clip::{Clipper, GlobalNorm};
    /// let mut grads = [3.0_f32, 4.0];
    /// let max_grad_norm: Option<f64> = None;   // of a configuration
    /// assert!(!GlobalNorm::new(max_grad_norm)?.apply(&mut grads)?.is_clipped());
    /// assert!(!GlobalNorm::new(f32::INFINITY)?.apply(&mut grads)?.is_clipped());
    /// assert_eq!(GlobalNorm::new(-1.0).unwrap_err().to_string(), "max norm: expected a number ≥ 0, found -1");
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
    /// use steadygrad::{clip::{Clipper, GlobalNorm}, Norm};
    /// let mut grads = [[3.0_f32], [-5.0]];
    /// let clipped = GlobalNorm::new(4.0)?.norm(Norm::L1)?.apply(&mut grads)?;
    /// assert_eq!((clipped.before(), grads), (8.0, [[1.5], [-2.5]]));
    /// assert!(GlobalNorm::new(4.0)?.norm(Norm::P(0.5)).is_err());
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

impl Clipper for GlobalNorm {
    fn needs(&self) -> Needs {
        self.limit.needs()
    }

    fn name(&self) -> &'static str {
        "global norm clip"
    }

    fn apply<G: TensorSetMut + ?Sized>(&mut self, grads: &mut G) -> Result<Clipped> {
        apply_by(self, self.limit.norm, grads)
    }

    fn plan(&mut self, step: &StepView<'_>, pen: &mut Pen<'_>) {
        match self.limit.shrink(step.grads.total()) {
            Shrink::Keep => (),
            Shrink::Zero => {
                pen.zero_all();
                pen.zeroed_by_bound();
            }
            Shrink::Scale(factor) => pen.scale_all(factor),
            Shrink::Unknown => return pen.abstain(NO_NORM),
        }
        self.limit.hold(false, pen);
    }
}

/// Scales all gradients by one factor so that their common L2 norm is at most `max`. A bound of 0 zeroes every
/// gradient; `None` and +∞ are off.
///
/// `grads` is any set: `Vec<f32>`, `&mut [f64]`, an ndarray array or view, a struct of
/// [`tensor_set!`](crate::tensor_set), a list, a named list, a map.
///
/// # Examples
///
/// ```
/// use steadygrad::clip;
///
/// let mut grads = [1e25_f32, 1e25, 1.0];   // the norm is finite, its square is no f32
/// let clipped = clip::global_norm(&mut grads, 1.0)?;
/// assert_eq!(format!("{grads:?}"), "[0.70710677, 0.70710677, 7.071068e-26]");
/// assert_eq!(clipped.to_string(), "norm 1.414e25 -> 1.000");
/// let clipped = clip::global_norm(&mut grads, 0.0)?;
/// assert_eq!(clipped.to_string(), "norm 1.000 -> 0, zeroed by a bound of 0");
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Setting`](crate::Error::Setting) if `max` is negative or NaN,
/// [`Error::NonFinite`](crate::Error::NonFinite) if an element is NaN or infinite; nothing is changed.
pub fn global_norm<G: TensorSetMut + ?Sized>(
    grads: &mut G,
    max: impl Into<Bound>,
) -> Result<Clipped> {
    GlobalNorm::new(max)?.apply(grads)
}
