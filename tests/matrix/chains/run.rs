//! One step of a guard, and all that it comes to.

use steadygrad::{Error, Guard, Report, TensorSetMut, Verdict};

use super::random::Step;
use crate::container::Number;
use crate::numbers::bits;

pub(crate) const NAMES: [&str; 5] = ["w_in", "w_rec", "w_out", "scale", "shift"];

/// What a step came to, but for the gradients.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// The report in words; where tensors stand in another order it may name another first.
    pub(crate) text: String,
    pub(crate) told: Told,
}

/// What no order of the tensors may change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    /// None for an error.
    pub(crate) verdict: Option<Verdict>,
    /// Norms before and after, and the smallest factor.
    numbers: Vec<u64>,
    /// Value and bound of each alarm, smallest first, since each detector tells of tensors in their order.
    alarms: Vec<[u64; 2]>,
    skips: u32,
}

impl Outcome {
    fn of(report: &Report, error: Option<&Error>) -> Self {
        let totals = [report.before(), report.after(), report.factor()];
        let number = |x: f64| if x.is_nan() { f64::NAN } else { x }.to_bits();
        let alarms = report.alarms().iter();
        let alarms = alarms.map(|alarm| [alarm.value(), alarm.bound()].map(number));
        let mut alarms: Vec<[u64; 2]> = alarms.collect();
        alarms.sort_unstable();
        Self {
            text: error.map_or_else(|| report.to_string(), ToString::to_string),
            told: Told {
                verdict: error.is_none().then(|| report.verdict()),
                numbers: totals.map(number).into(),
                alarms,
                skips: report.skips(),
            },
        }
    }
}

/// Has `guard` take `step` on `grads`, which hold its gradients.
pub(crate) fn take<E: Number>(
    guard: &mut Guard,
    step: &Step<E>,
    names: &[&str],
    grads: &mut dyn TensorSetMut,
) -> Outcome {
    let params: Option<Vec<(&str, &Vec<E>)>> = step
        .params
        .as_ref()
        .map(|params| names.iter().copied().zip(params).collect());
    let mut watched = steadygrad::Step::new(grads);
    if let Some(loss) = step.loss {
        watched = watched.loss(loss);
    }
    let error = match &params {
        Some(params) => guard.step(watched.params(params)).err(),
        None => guard.step(watched).err(),
    };
    Outcome::of(guard.report(), error.as_ref())
}

/// The gradients as a named list.
pub(crate) fn named<'n, E: Number>(names: &[&'n str], grads: &[Vec<E>]) -> Vec<(&'n str, Vec<E>)> {
    names.iter().copied().zip(grads.iter().cloned()).collect()
}

pub(crate) fn bits_of<E: Number>(list: &[(&str, Vec<E>)]) -> Vec<Vec<u64>> {
    list.iter().map(|(_, xs)| bits(xs)).collect()
}
