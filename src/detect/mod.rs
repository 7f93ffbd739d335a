//! What watches a training run and says when it goes wrong.
//!
//! A detector sees one [`StepView`](crate::StepView) after the other and raises an [`Alarm`] for each thing that is
//! wrong. It scores a step before it learns from it, and it learns only from finite values, so that no NaN can blind it.
//!
//! | detector | speaks when |
//! |---|---|
//! | [`Spike`] | the loss, or the norm, is far above its usual size; and when it stays there, which is graver |
//! | [`Vanishing`] | a norm, or what flows back to the first step, has all but gone |
//! | [`UpdateRatio`] | a step moved a tensor too far, or hardly |
//! | [`NonFinite`] | anything is NaN or infinite |
//! | [`NormThreshold`], [`PersistentNorm`] | the norm is above a bound, once or for some time |
//! | [`WeightGrowth`] | weights are many times what they were |
//! | [`Plateau`] | the loss gets no better |
//!
//! Those that go by what is usual fire alike whatever the unit of the loss; a bound that is given has to fit it. Detectors
//! compose: [`any()`] and [`all()`] of two, [`for_steps`](Detector::for_steps) in a row, [`after`](Detector::after) so
//! many, [`every`](Detector::every) so many, [`on`](Detector::on) some tensors. An alarm is a note, a warning or
//! [grave](Severity), and a guard may decide by that ([`Verdicts`](crate::Verdicts)). What goes on from step to step is one
//! event: a report's line tells of it when it begins and when it ends.
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

mod after;
pub(crate) mod alarm;
pub(crate) mod alarms;
mod all;
mod any;
mod every;
mod for_steps;
mod level;
pub(crate) mod non_finite;
mod norm_threshold;
mod pair;
mod persistent_norm;
mod plateau;
pub(crate) mod robust;
mod sentence;
pub(crate) mod severity;
mod spike;
mod subject;
mod tracks;
mod update_ratio;
mod usual;
mod vanishing;
mod watchdog;
mod weight_growth;
mod wrappers;

pub use after::After;
pub use alarm::{Alarm, Relation};
pub use alarms::Alarms;
pub use all::{All, all};
pub use any::{Any, any};
pub use every::Every;
pub use for_steps::ForSteps;
pub use non_finite::NonFinite;
pub use norm_threshold::NormThreshold;
pub use persistent_norm::PersistentNorm;
pub use plateau::Plateau;
pub use severity::Severity;
pub use spike::Spike;
pub use subject::Subject;
pub use update_ratio::UpdateRatio;
pub use vanishing::Vanishing;
pub use watchdog::Watchdog;
pub use weight_growth::WeightGrowth;

pub use crate::rule::Detector;

use crate::{Error, Result};

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
    use crate::{Measurement, Outcome, StepView, Verdict};
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
            let (mut alarms, view) = (Alarms::default(), StepView::new(number, &grads));
            detector.observe(&StepView { loss, ..view }, &mut alarms);
            detector.settle(&Outcome::new(number, Verdict::Apply));
            if !alarms.is_empty() {
                fired.push(number);
            }
        }
        fired
    }
}
