//! What became of a step.

use crate::detect::alarm::Alarm;
use crate::verdict::Verdict;

/// What became of a step, told to every rule once the step is over: taken, refused, in error, or planned and dropped.
///
/// A rule decides in `plan` or `observe`, and learns here, from steps that were taken alone.
///
/// # Examples
///
/// ```
/// use steadygrad::{Outcome, Verdict};
/// assert!(Outcome::new(7, Verdict::Apply).is_taken());
/// assert!(!Outcome::new(8, Verdict::Rollback).is_taken());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outcome<'a> {
    /// The number of the step, from 1.
    pub step: u64,
    /// What the training loop was told to do. A step that ended in an error, or in a plan that was dropped, is at
    /// least [`Verdict::Skip`].
    pub verdict: Verdict,
    /// What was not finite, if the policy acted on it.
    pub fault: Option<&'a Alarm>,
    /// What the detectors found.
    pub alarms: &'a [Alarm],
}

impl Outcome<'_> {
    /// Without a fault and without alarms.
    ///
    /// ```
    /// use steadygrad::{clip::{Clipper, GlobalNorm}, Outcome, Verdict};
    /// let mut rule = GlobalNorm::new(1.0)?;
    /// rule.settle(&Outcome::new(1, Verdict::Apply));   // in a test of a rule of one's own
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn new(step: u64, verdict: Verdict) -> Self {
        Self {
            step,
            verdict,
            fault: None,
            alarms: &[],
        }
    }

    /// Whether the step was taken.
    ///
    /// ```
    /// use steadygrad::{Outcome, Verdict};
    /// assert!(!Outcome::new(1, Verdict::Skip).is_taken());
    /// ```
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.verdict.is_apply()
    }
}
