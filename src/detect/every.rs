//! What is looked at now and then.

use super::at_least_one;
use crate::Result;

/// A detector that sees every n-th step alone, as if there were no others: [`Detector::every`](super::Detector::every).
///
/// What it said last [stands](super::Alarms::hold) until it looks again: the event goes on, and decides nothing.
///
/// # Examples
///
/// A loss that has not improved in three epochs of a hundred steps:
///
/// ```
/// use steadygrad::{prelude::*, detect::Plateau, Guard, Step};
///
/// let mut guard = Guard::new().detect(Plateau::relative(0.01, 3)?.every(100)?);
/// let mut fired = vec![];
/// for step in 1..=600 {
///     let epoch = (step + 99) / 100;                               // the mean loss of one, say
///     let loss = if epoch < 3 { 1.0 / f64::from(epoch) } else { 0.5 };
///     let report = guard.step(Step::new(&mut [0.5]).loss(loss))?;
///     fired.extend((!report.alarms().is_empty()).then_some(step));
/// }
/// assert_eq!(fired, [500]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Every<D> {
    pub(super) detector: D,
    pub(super) steps: u64,
}

impl<D> Every<D> {
    pub(crate) fn new(detector: D, steps: u64) -> Result<Self> {
        Ok(Self {
            detector,
            steps: at_least_one("steps between looks", steps)?,
        })
    }
}
