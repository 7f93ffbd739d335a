//! What a rule is shown of a step.

use crate::Measurement;

/// What rules and detectors see of a training step.
///
/// # Examples
///
/// ```
/// use steadygrad::{detect::{Detector, NormThreshold}, StepView, Measurement};
///
/// let grads = Measurement::of(&vec![3.0, 4.0])?;
/// let step = StepView { number: 7, grads: &grads, params: None, loss: None };
/// let alarm = NormThreshold::new(2.0)?.observe(&step).unwrap();
/// assert_eq!(alarm.to_string(), "step 7: the norm of the gradients is 5.000, above 2.000 (norm threshold)");
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepView<'a> {
    /// The number of the step, from 1.
    pub number: u64,
    /// The gradients, as the rules before this one would leave them.
    pub grads: &'a Measurement,
    /// The parameters, if they were given.
    pub params: Option<&'a Measurement>,
    /// The loss, if it was given.
    pub loss: Option<f64>,
}
