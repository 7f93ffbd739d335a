//! What watches a training run and says when it goes wrong.
//!
//! A detector sees one [`StepView`] after the other and may answer with an [`Alarm`]. It scores a step
//! before it learns from it, and it learns only from finite values, so that no NaN can blind it.
//!
//! # Examples
//!
//! ```
//! use steadygrad::{detect, Guard, Step, Verdict};
//!
//! let mut guard = Guard::new()
//!     .detect(detect::NormThreshold::new(1.0)?)                                // says so
//!     .detect_with(Verdict::Rollback, detect::WeightGrowth::new(10.0)?);       // decides
//! let mut verdicts = vec![];
//! for (grad, w) in [(0.5_f32, 1.0_f32), (1.5, 2.0), (0.5, 20.0)] {
//!     let report = guard.step(Step::new(&mut [grad]).params(&[w]))?;
//!     verdicts.push((report.alarms().len(), report.verdict()));
//! }
//! assert_eq!(verdicts, [(0, Verdict::Apply), (1, Verdict::Apply), (1, Verdict::Rollback)]);
//! # Ok::<(), steadygrad::Error>(())
//! ```

mod alarm;
pub(crate) mod non_finite;
mod norm_threshold;
mod persistent_norm;
mod plateau;
mod weight_growth;

pub use alarm::{Alarm, Subject};
pub use non_finite::NonFinite;
pub use norm_threshold::NormThreshold;
pub use persistent_norm::PersistentNorm;
pub use plateau::Plateau;
pub use weight_growth::WeightGrowth;

use alloc::boxed::Box;
use core::fmt::Debug;

use crate::{Error, Needs, Result, StepView};

/// Watches steps and says when one is wrong.
///
/// # Examples
///
/// A loss that is suspiciously good:
///
/// ```
/// use steadygrad::{StepView, detect::{Alarm, Detector, Subject}};
/// use steadygrad::{Guard, Step};
///
/// #[derive(Debug)]
/// struct TooGood;
///
/// impl Detector for TooGood {
///     fn observe(&mut self, step: &StepView<'_>) -> Option<Alarm> {
///         let loss = step.loss.filter(|&loss| loss < 1e-6)?;
///         Some(Alarm::new("too good", step, Subject::Loss, "value", loss, "below", 1e-6))
///     }
/// }
///
/// let mut guard = Guard::new().detect(TooGood);
/// let report = guard.step(Step::new(&mut [1.0_f32]).loss(1e-9))?;
/// assert_eq!(report.alarms()[0].to_string(), "step 1: the value of the loss is 1.000e-9, below 1.000e-6 (too good)");
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait Detector: Send + Sync + Debug {
    /// What must be measured: what every read gives, unless said otherwise.
    ///
    /// ```
    /// use steadygrad::{detect::{Detector, PersistentNorm}, Needs};
    /// assert_eq!(PersistentNorm::default().needs(), Needs::norms());   // the L2 norm is enough
    /// ```
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Scores the step, then learns from it.
    ///
    /// ```
    /// use steadygrad::{detect::{Detector, PersistentNorm}, StepView, Measurement};
    /// let grads = Measurement::of(&[3.0, 4.0])?;
    /// let step = StepView { number: 1, grads: &grads, params: None, loss: None };
    /// let mut detector = PersistentNorm::new(1.0, 2)?;
    /// assert!(detector.observe(&step).is_none());
    /// assert!(detector.observe(&step).is_some());   // it remembers
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn observe(&mut self, step: &StepView<'_>) -> Option<Alarm>;
}

/// A boxed detector is the detector.
///
/// ```
/// use steadygrad::{detect::{Detector, NormThreshold, PersistentNorm}, Guard};
/// let watch: Vec<Box<dyn Detector>> =
///     vec![Box::new(NormThreshold::new(4.0)?), Box::new(PersistentNorm::default())];
/// let mut guard = watch.into_iter().fold(Guard::new(), Guard::detect);
/// assert_eq!(guard.step(&mut [3.0_f32, 4.0])?.alarms().len(), 1);
/// # Ok::<(), steadygrad::Error>(())
/// ```
impl<D: Detector + ?Sized> Detector for Box<D> {
    fn needs(&self) -> Needs {
        (**self).needs()
    }

    fn observe(&mut self, step: &StepView<'_>) -> Option<Alarm> {
        (**self).observe(step)
    }
}

/// Checks a bound that a detector compares with.
fn threshold(what: &'static str, found: f64) -> Result<f64> {
    if found >= 0.0 {
        Ok(found)
    } else {
        Err(Error::Setting {
            what,
            expected: "a number ≥ 0",
            found,
        })
    }
}

/// Checks a number of steps.
fn at_least_one(what: &'static str, steps: u64) -> Result<u64> {
    if steps > 0 {
        Ok(steps)
    } else {
        Err(Error::Setting {
            what,
            expected: "at least 1",
            found: 0.0,
        })
    }
}

/// A view of a step for the tests of detectors.
#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Measurement;
    use alloc::vec::Vec;

    /// Feeds a detector a series of gradient norms and returns the steps on which it fired.
    pub(crate) fn fires_on_norms(detector: &mut dyn Detector, norms: &[f64]) -> Vec<u64> {
        fires(detector, norms, |norm| {
            (Measurement::of(&[norm]).unwrap(), None)
        })
    }

    /// The same for a series of losses.
    pub(crate) fn fires_on_losses(detector: &mut dyn Detector, losses: &[f64]) -> Vec<u64> {
        fires(detector, losses, |loss| {
            (Measurement::default(), Some(loss))
        })
    }

    fn fires(
        detector: &mut dyn Detector,
        series: &[f64],
        step: impl Fn(f64) -> (Measurement, Option<f64>),
    ) -> Vec<u64> {
        let mut fired = Vec::new();
        for (number, &x) in (1..).zip(series) {
            let (grads, loss) = step(x);
            if detector
                .observe(&StepView {
                    number,
                    grads: &grads,
                    params: None,
                    loss,
                })
                .is_some()
            {
                fired.push(number);
            }
        }
        fired
    }
}
