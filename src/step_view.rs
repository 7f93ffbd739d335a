//! What a rule is shown of a step.

use crate::measurement::Measurement;

/// What rules and detectors see of a training step.
///
/// # Examples
///
/// ```
/// use steadygrad::{detect::{Alarms, Detector, NormThreshold}, Measurement, StepView};
///
/// let (grads, mut alarms) = (Measurement::of(&vec![3.0, 4.0])?, Alarms::default());
/// NormThreshold::new(2.0)?.observe(&StepView::new(7, &grads).loss(0.5), &mut alarms);
/// assert_eq!(alarms[0].to_string(), "step 7: the norm of the gradients is 5.000, above 2.000 (norm threshold)");
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct StepView<'a> {
    /// The number of the step, from 1.
    pub number: u64,
    /// The gradients, as the rules before this one would leave them.
    pub grads: &'a Measurement,
    /// The parameters, if they were given.
    pub params: Option<&'a Measurement>,
    /// What was added to the parameters in the step before, if it was given.
    pub updates: Option<&'a Measurement>,
    /// The loss, if it was given.
    pub loss: Option<f64>,
    /// What the loop tells under names of its own.
    pub signals: &'a [(&'static str, f64)],
}

impl<'a> StepView<'a> {
    /// Of gradients alone.
    ///
    /// ```
    /// use steadygrad::{Measurement, StepView};
    /// let grads = Measurement::of(&[3.0, 4.0])?;
    /// assert_eq!(StepView::new(1, &grads).grads.total().l2(), 5.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn new(number: u64, grads: &'a Measurement) -> Self {
        Self {
            number,
            grads,
            params: None,
            updates: None,
            loss: None,
            signals: &[],
        }
    }

    /// And parameters.
    ///
    /// ```
    /// use steadygrad::{Measurement, StepView};
    /// let (grads, params) = (Measurement::of(&[3.0, 4.0])?, Measurement::of(&[1.0, 0.0])?);
    /// assert_eq!(StepView::new(1, &grads).params(&params).params.unwrap().total().l2(), 1.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn params(self, params: &'a Measurement) -> Self {
        Self {
            params: Some(params),
            ..self
        }
    }

    /// And updates.
    #[must_use]
    pub fn updates(self, updates: &'a Measurement) -> Self {
        Self {
            updates: Some(updates),
            ..self
        }
    }

    /// And the loss.
    #[must_use]
    pub fn loss(self, loss: f64) -> Self {
        Self {
            loss: Some(loss),
            ..self
        }
    }

    /// And signals.
    #[must_use]
    pub fn signals(self, signals: &'a [(&'static str, f64)]) -> Self {
        Self { signals, ..self }
    }

    /// The signal of this name.
    ///
    /// ```
    /// use steadygrad::{Measurement, StepView};
    /// let grads = Measurement::default();
    /// let step = StepView::new(1, &grads).signals(&[("alignment", 0.5)]);
    /// assert_eq!((step.signal("alignment"), step.signal("other")), (Some(0.5), None));
    /// ```
    #[must_use]
    pub fn signal(&self, name: &str) -> Option<f64> {
        let found = self.signals.iter().find(|signal| signal.0 == name);
        found.map(|signal| signal.1)
    }
}
