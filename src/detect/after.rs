//! What is not to be heard at the beginning.

/// A detector that is not heard in the first steps of a run: [`Detector::after`](super::Detector::after).
///
/// It sees them and learns from them all the same.
///
/// # Examples
///
/// ```
/// use steadygrad::{prelude::*, detect::NormThreshold, Guard};
///
/// let mut guard = Guard::new().detect(NormThreshold::new(1.0)?.after(2));
/// let mut fired = vec![];
/// for norm in [9.0, 5.0, 2.0, 0.5] {
///     fired.push(!guard.step(&mut [norm])?.alarms().is_empty());
/// }
/// assert_eq!(fired, [false, false, true, false]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct After<D> {
    pub(super) detector: D,
    pub(super) steps: u64,
}

impl<D> After<D> {
    pub(crate) fn new(detector: D, steps: u64) -> Self {
        Self { detector, steps }
    }
}
