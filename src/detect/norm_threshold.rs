//! A norm above a bound.

use super::{Alarms, Detector, Relation, Subject};
use crate::{Bound, Needs, Norm, Result, Stats, StepView, Wide};

/// Fires when the norm of all gradients is above a bound, or for each tensor whose own norm is.
///
/// Elements that are not finite make no norm, and what becomes of them is the policy's to say
/// ([`OnNonFinite`](crate::OnNonFinite)): the detector abstains, and watched tensor by tensor it leaves out those
/// that hold them. A norm of finite elements that is not known, since a device's own sum overflowed, is within no
/// bound.
///
/// **There is no bound that is right for every net**, and so no default: the norm goes with the loss, with how many
/// weights there are and with how many examples are summed. Over 296 recorded runs of recurrent nets a bound of 10 fired
/// in time for 78 of the 79 that diverged and in 71 of the 217 that did not, one of 100 for 67 and in 46. Take one from
/// norms that you have measured, or watch for what is unusual ([`Spike`](super::Spike)).
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
    /// Watches the L2 norm of all gradients. A bound of 0 fires for all that is not zero; `None` and +∞ are off.
    ///
    /// ```
    /// use steadygrad::{detect::NormThreshold, Guard};
    /// let mut guard = Guard::new().detect(NormThreshold::new(5.0)?);
    /// assert!(guard.step(&mut [3.0_f32, 4.0])?.alarms().is_empty());   // equality is not above
    /// assert_eq!(guard.step(&mut [3.1_f32, 4.0])?.alarms().len(), 1);
    /// assert!(guard.step(&mut [f32::NAN])?.alarms().is_empty());       // skipped, as the policy says
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if `max` is negative or NaN.
    pub fn new(max: impl Into<Bound>) -> Result<Self> {
        Ok(Self {
            max: max.into().of_size("norm threshold")?,
            per_tensor: false,
        })
    }

    /// Watches the norm of each tensor instead, and tells of all that are above the bound.
    ///
    /// ```
    /// use steadygrad::{detect::{Alarm, NormThreshold}, Guard};
    /// let mut guard = Guard::new().detect(NormThreshold::new(4.5)?.per_tensor());
    /// assert!(guard.step(&mut [[3.0_f32], [4.0]])?.alarms().is_empty());   // together they are above
    /// let report = guard.step(&mut [[6.0_f32], [3.0], [5.0]])?;
    /// assert_eq!(report.alarms().iter().map(Alarm::value).collect::<Vec<_>>(), [6.0, 5.0]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn per_tensor(self) -> Self {
        Self {
            per_tensor: true,
            ..self
        }
    }

    /// The norm, if it is one and not within the bound.
    fn above(&self, stats: &Stats) -> Option<Wide> {
        let norm = stats.norm(Norm::L2);
        let within = norm <= Wide::from(self.max);
        (stats.is_finite() && !within).then_some(norm)
    }
}

impl Detector for NormThreshold {
    fn name(&self) -> &'static str {
        "norm threshold"
    }

    fn needs(&self) -> Needs {
        let needs = Needs::norms();
        if self.per_tensor {
            needs.of_tensors()
        } else {
            needs
        }
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        if self.per_tensor {
            alarms.reserve(step.grads.len());
        }
        let mut look = |subject, stats| {
            if let Some(norm) = self.above(stats) {
                let alarm = step.alarm(Detector::name(self), subject);
                let bound = Wide::from(self.max);
                alarms.raise(alarm.bounded("norm", norm, Relation::Above, bound));
            }
        };
        if self.per_tensor {
            for (index, stats) in step.grads.tensors().iter().enumerate() {
                look(Subject::Gradient(index), stats);
            }
        } else {
            look(Subject::Gradients, step.grads.total());
        }
        let has_none = || !step.grads.tensors().iter().any(Stats::is_finite);
        if !step.grads.total().is_finite() && (!self.per_tensor || has_none()) {
            alarms.hold();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::fires_on_norms;
    use super::*;
    use crate::{Edits, Error, Measurement};

    #[test]
    fn above_is_not_equal_and_what_is_not_finite_is_the_policys() {
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
            [3, 4]
        );
        assert_eq!(
            fires_on_norms(&mut NormThreshold::new(2.0).unwrap().per_tensor(), &norms),
            [3, 4]
        );
        assert_eq!(
            fires_on_norms(&mut NormThreshold::new(f64::INFINITY).unwrap(), &norms),
            [0_u64; 0]
        );
    }

    #[test]
    fn a_norm_that_a_device_could_not_sum_is_within_no_bound() {
        let mut grads = Measurement::default();
        let too_large = Stats::from_sums(4, 1e30, Wide::INFINITY, Wide::INFINITY);
        let read = grads.fill(&Needs::norms(), &Edits::default(), |reading| {
            reading.push("w", None, too_large, &[])
        });
        assert_eq!(read, Ok(()));
        let mut threshold = NormThreshold::new(1e300).unwrap().per_tensor();
        let mut alarms = Alarms::default();
        threshold.observe(&StepView::new(1, &grads), &mut alarms);
        assert_eq!(alarms.len(), 1);
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
