//! NaN and infinities.

use super::alarm::Found;
use super::{Alarm, Alarms, Detector, Subject};
use crate::{Needs, StepView};

/// Fires when the loss, a gradient or a parameter has an element that is NaN or infinite.
///
/// The alarm is about the first of them in this order, and for a tensor gives the counts and the
/// row-major index of the first such element.
///
/// # Examples
///
/// ```
/// use steadygrad::{detect::NonFinite, Guard, OnNonFinite, Step};
///
/// let mut grads = vec![1.0_f32];
/// let mut guard = Guard::new().detect(NonFinite).on_non_finite(OnNonFinite::Propagate);
/// let report = guard.step(Step::new(&mut grads).loss(f64::NAN))?;
/// assert_eq!(report.alarms()[0].to_string(), "step 1: the loss is NaN (non-finite)");
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NonFinite;

impl Detector for NonFinite {
    fn name(&self) -> &'static str {
        "non-finite"
    }

    fn needs(&self) -> Needs {
        Needs::norms()
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        if let Some(alarm) = find(step) {
            alarms.raise(alarm);
        }
    }
}

/// The first thing in `step` that is not finite.
pub(crate) fn find(step: &StepView<'_>) -> Option<Alarm> {
    let about = |subject, found| Some(Alarm::about("non-finite", step, subject, found));
    if let Some(loss) = step.loss.filter(|loss| !loss.is_finite()) {
        let (nan, inf) = (u64::from(loss.is_nan()), u64::from(loss.is_infinite()));
        return about(
            Subject::Loss,
            Found::NonFinite {
                nan,
                inf,
                index: None,
            },
        );
    }
    if let Some(index) = step.grads.first_non_finite() {
        return about(Subject::Gradient(index), counts(step.grads.tensor(index)));
    }
    let params = step.params?;
    let index = params.first_non_finite()?;
    about(Subject::Parameter(index), counts(params.tensor(index)))
}

fn counts(stats: &crate::Stats) -> Found {
    Found::NonFinite {
        nan: stats.nan(),
        inf: stats.inf(),
        index: stats.first_non_finite(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Measurement;
    use alloc::string::ToString;

    #[test]
    fn loss_then_gradients_then_parameters() {
        let bad = Measurement::of(&[("a", [1.0]), ("b", [f64::INFINITY])]).unwrap();
        let good = Measurement::of(&[("a", [1.0]), ("b", [2.0])]).unwrap();
        let say = |grads, params, loss| {
            let view = StepView::new(3, grads).params(params);
            let mut alarms = Alarms::default();
            NonFinite.observe(&StepView { loss, ..view }, &mut alarms);
            assert!(alarms.len() < 2);
            alarms.first().map(ToString::to_string)
        };
        assert_eq!(say(&good, &good, Some(1.0)), None);
        assert_eq!(
            say(&bad, &bad, Some(f64::INFINITY)).unwrap(),
            "step 3: the loss is infinite (non-finite)"
        );
        let sentence = "b has 0 NaN and 1 infinite elements, the first at index 0 (non-finite)";
        assert_eq!(
            say(&bad, &bad, None).unwrap(),
            ["step 3: gradient ", sentence].concat()
        );
        assert_eq!(
            say(&good, &bad, Some(1.0)).unwrap(),
            ["step 3: parameter ", sentence].concat()
        );
    }
}
