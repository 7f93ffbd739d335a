//! A norm above a bound.

use super::{Alarm, Detector, StepView, Subject, threshold};
use crate::{Needs, Norm, Result, Wide};

/// Fires when the norm of all gradients, or of one tensor, is above a bound.
///
/// A norm that is NaN is not within any bound, so it fires too.
///
/// # Examples
///
/// ```
/// use steadygrad::{detect::NormThreshold, Guard};
///
/// let mut grads = [("w", vec![30.0_f32]), ("b", vec![40.0])];
/// let mut guard = Guard::new()
///     .detect(NormThreshold::new(49.0)?)
///     .detect(NormThreshold::new(35.0)?.per_tensor());
/// let report = guard.step(&mut grads)?;
/// assert_eq!(report.alarms()[0].value(), 50.0);
/// assert_eq!(report.alarms()[1].tensor(), Some("b"));
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// Pascanu, Mikolov and Bengio, 2013, arXiv:1211.5063.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormThreshold {
    max: f64,
    per_tensor: bool,
}

impl NormThreshold {
    /// Watches the L2 norm of all gradients.
    ///
    /// ```
    /// use steadygrad::{detect::NormThreshold, Guard};
    /// let mut guard = Guard::new().detect(NormThreshold::new(5.0)?);
    /// assert!(guard.step(&mut [3.0_f32, 4.0])?.alarms().is_empty());   // equality is not above
    /// assert_eq!(guard.step(&mut [f32::NAN])?.alarms().len(), 1);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if `max` is negative or NaN.
    pub fn new(max: f64) -> Result<Self> {
        Ok(Self {
            max: threshold("norm threshold", max)?,
            per_tensor: false,
        })
    }

    /// Watches the norm of each tensor instead; the alarm names the one with the largest.
    ///
    /// ```
    /// use steadygrad::{detect::NormThreshold, Guard};
    /// let mut guard = Guard::new().detect(NormThreshold::new(4.5)?.per_tensor());
    /// assert!(guard.step(&mut [[3.0_f32], [4.0]])?.alarms().is_empty());   // together they are above
    /// assert_eq!(guard.step(&mut [[3.0_f32], [5.0]])?.alarms()[0].value(), 5.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn per_tensor(self) -> Self {
        Self {
            per_tensor: true,
            ..self
        }
    }

    fn above(&self, norm: Wide) -> bool {
        !matches!(
            norm.partial_cmp(&Wide::from(self.max)),
            Some(core::cmp::Ordering::Less | core::cmp::Ordering::Equal)
        )
    }
}

impl Detector for NormThreshold {
    fn needs(&self) -> Needs {
        Needs::LEAST
    }

    fn observe(&mut self, step: &StepView<'_>) -> Option<Alarm> {
        let (subject, norm) = if self.per_tensor {
            let norms = step
                .grads
                .tensors()
                .iter()
                .map(|stats| stats.norm(Norm::L2));
            // A NaN is not within any bound, so it counts as the largest.
            let worse = |norm: Wide, than: Wide| {
                norm > than || norm.to_f64().is_nan() && !than.to_f64().is_nan()
            };
            let worst = norms
                .enumerate()
                .reduce(|worst, next| if worse(next.1, worst.1) { next } else { worst })?;
            (Subject::Gradient(worst.0), worst.1)
        } else {
            (Subject::Gradients, step.grads.total().norm(Norm::L2))
        };
        let alarm = || {
            Alarm::new(
                "norm threshold",
                step,
                subject,
                "norm",
                norm.to_f64(),
                "above",
                self.max,
            )
        };
        self.above(norm).then(alarm)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::fires_on_norms;
    use super::*;
    use crate::Error;

    #[test]
    fn above_is_not_equal_and_nan_is_above() {
        let norms = [
            0.0,
            2.0,
            2.0 + 1e-15,
            f64::MAX,
            f64::INFINITY,
            f64::NAN,
            1.0,
        ];
        assert_eq!(
            fires_on_norms(&mut NormThreshold::new(2.0).unwrap(), &norms),
            [3, 4, 5, 6]
        );
        assert_eq!(
            fires_on_norms(&mut NormThreshold::new(2.0).unwrap().per_tensor(), &norms),
            [3, 4, 5, 6]
        );
        assert_eq!(
            fires_on_norms(&mut NormThreshold::new(f64::INFINITY).unwrap(), &norms),
            [6]
        );
    }

    #[test]
    fn bounds_are_checked() {
        for max in [-1.0, f64::NAN] {
            assert!(matches!(
                NormThreshold::new(max),
                Err(Error::Setting {
                    what: "norm threshold",
                    ..
                })
            ));
        }
    }
}
