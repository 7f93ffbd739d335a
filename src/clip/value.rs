//! Each element on its own.

use super::Clipper;
use crate::edit::Alone;
use crate::writing::Writing;
use crate::{Bound, Clamped, Error, Needs, Pen, Result, StepView, TensorSetMut};

/// Clamps each element into `[min, max]`.
///
/// ```text
/// x ← min if x < min,  max if x > max
/// ```
///
/// **Two bounds of 0 zero every gradient**; a bound that is `None` or infinite is off. By comparison: ±∞ become the bounds and NaN stays NaN. The bounds are rounded toward zero to the
/// element type. This changes the direction of the gradient.
///
/// # Examples
///
/// ```
/// use steadygrad::clip::Value;
///
/// let mut grads = [0.5_f32, -7.0, f32::INFINITY];
/// let clipped = Value::new(5.0)?.apply(&mut grads)?;
/// assert_eq!(grads, [0.5, -5.0, 5.0]);
/// assert_eq!((clipped.clipped(), clipped.inf()), (2, 1));
///
/// let mut grads = [0.5_f32, -7.0];
/// Value::between(0.0, 0.25)?.apply(&mut grads)?;
/// assert_eq!(grads, [0.25, 0.0]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// Mikolov, "Statistical language models based on neural networks", 2012.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    min: f64,
    max: f64,
}

impl Value {
    /// Clamps into `[-bound, bound]`. A bound of 0 zeroes every gradient; `None` and +∞ are off.
    ///
    /// ```
    /// use steadygrad::clip::Value;
    /// let mut grads = [0.5_f32, -7.0];
    /// Value::new(1.0)?.apply(&mut grads)?;
    /// assert_eq!(grads, [0.5, -1.0]);
    /// assert!(Value::new(-1.0).is_err());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `bound` is negative or NaN.
    pub fn new(bound: impl Into<Bound>) -> Result<Self> {
        let max = bound.into().of_size("clip value")?;
        // Not −0, which would give zeros of both signs.
        let min = 0.0 - max;
        Ok(Self { min, max })
    }

    /// Clamps into `[min, max]`. Two bounds of 0 zero every gradient; a bound that is `None` or infinite is off.
    ///
    /// ```
    /// use steadygrad::clip::Value;
    /// let (mut grads, least) = ([-3.0_f32, 0.5, 9.0], None::<f64>);
    /// Value::between(least, 1.0)?.apply(&mut grads)?;   // from above only
    /// assert_eq!(grads, [-3.0, 0.5, 1.0]);
    /// Value::between(f64::NEG_INFINITY, 0.75)?.apply(&mut grads)?;
    /// assert_eq!(grads, [-3.0, 0.5, 0.75]);
    /// assert!(Value::between(1.0, 0.0).is_err());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if a bound is NaN, `min` is above `max`, or both are the same infinity, which would make
    /// every element infinite.
    pub fn between(min: impl Into<Bound>, max: impl Into<Bound>) -> Result<Self> {
        let min = min.into().or(f64::NEG_INFINITY);
        let max = max.into().or(f64::INFINITY);
        if min <= max && min < f64::INFINITY && max > f64::NEG_INFINITY {
            Ok(Self { min, max })
        } else if min == max {
            Err(Error::Setting {
                what: "clip value",
                expected: "bounds that are not both the same infinity",
                found: min,
            })
        } else if min.is_nan() || max.is_nan() {
            Err(Error::Setting {
                what: "clip value",
                expected: "a number",
                found: f64::NAN,
            })
        } else {
            Err(Error::Setting {
                what: "lower clip value",
                expected: "at most the upper one",
                found: min,
            })
        }
    }

    /// Clips once, without a guard, in one pass that measures no norm. Tensors without an element outside are not
    /// written.
    ///
    /// ```
    /// use steadygrad::clip::Value;
    /// let mut grads = [f32::NEG_INFINITY, 0.5];
    /// let clipped = Value::new(1.0)?.apply(&mut grads)?;
    /// assert_eq!((grads, clipped.is_clipped()), ([-1.0, 0.5], true));
    /// assert_eq!((clipped.clipped(), clipped.len()), (1, 2));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the tensors give.
    pub fn apply<G: TensorSetMut + ?Sized>(self, grads: &mut G) -> Result<Clamped> {
        let mut counts = Clamped::default();
        let clamp = Alone::clamp(self.min, self.max);
        grads.carry_out(&mut Writing::clamping(clamp.edit(), &mut counts))?;
        counts.zeroed = self.zeroes() && counts.is_clipped();
        Ok(counts)
    }

    /// Whether its bounds leave nothing.
    fn zeroes(self) -> bool {
        (self.min, self.max) == (0.0, 0.0)
    }
}

impl Clipper for Value {
    fn needs(&self) -> Needs {
        if self.min == -self.max {
            Needs::norms().of_tensors().of_largest()
        } else {
            Needs::norms().of_tensors().of_range()
        }
    }

    fn name(&self) -> &'static str {
        "value clip"
    }

    fn plan(&mut self, step: &StepView<'_>, pen: &mut Pen<'_>) {
        for (i, stats) in step.grads.tensors().iter().enumerate() {
            if !stats.lies_within(self.min, self.max) {
                pen.clamp(i, self.min, self.max);
                if self.zeroes() {
                    pen.zeroed_by_bound();
                }
            }
        }
    }
}

/// Clamps each element into `[-bound, bound]`. A bound of 0 zeroes every gradient; `None` and +∞ are off.
///
/// # Examples
///
/// ```
/// use steadygrad::clip;
///
/// let mut grads = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2.0, -2.0];
/// let clipped = clip::value(&mut grads, 1.0)?;
/// assert_eq!(format!("{grads:?}"), "[NaN, 1.0, -1.0, 1.0, -1.0]");
/// assert_eq!((clipped.nan(), clipped.inf()), (1, 2));
/// assert!(!clip::value(&mut grads, None::<f32>)?.is_clipped());
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Setting`] if `bound` is negative or NaN.
pub fn value<G: TensorSetMut + ?Sized>(grads: &mut G, bound: impl Into<Bound>) -> Result<Clamped> {
    Value::new(bound)?.apply(grads)
}
