//! How far one step moves the weights.

use super::tracks::Tracks;
use super::{Alarms, Detector, Relation, Subject};
use crate::biases::Choice;
use crate::{Covers, Error, Measurement, Needs, Norm, Result, StepView, Wide};

/// Fires for each parameter tensor whose last update was too large or too small beside it.
///
/// ```text
/// ‖Δw‖/‖w‖ < least   or   ‖Δw‖/‖w‖ > most
/// ```
///
/// About a thousandth at each step is the usual advice; far more tears down what was learnt, far less teaches nothing.
/// The [default](UpdateRatio::default) leaves two powers of ten on either side of it. Warm-up, decayed rates and the
/// first steps of Adam leave that range for good reasons: ask for [several steps in a row](Detector::for_steps), or for
/// [some tensors](UpdateRatio::on).
///
/// The step must carry the parameters ([`Step::params`](crate::Step::params)) and what was added to them in the step
/// before ([`Step::updates`](crate::Step::updates)); without updates, as in the first step and after one that was not
/// taken, the detector abstains. An update of zero is none: the tensor is frozen, or the step was not taken. Weights of
/// zero have no ratio, and what is not finite neither. Biases, gains and shifts are not watched unless they are
/// [chosen](UpdateRatio::on), since many start at zero. It remembers nothing from step to step.
///
/// # Examples
///
/// ```
/// use steadygrad::{detect::UpdateRatio, Guard, Step};
///
/// let mut guard = Guard::new().detect(UpdateRatio::default());
/// let params = [("w_in", [2.0]), ("w_rec", [1.0])];
/// let updates = [("w_in", [0.002]), ("w_rec", [0.3])];
/// let mut grads = [("w_in", [0.1]), ("w_rec", [0.1])];
/// let report = guard.step(Step::new(&mut grads).params(&params).updates(&updates))?;
/// assert_eq!(
///     report.alarms()[0].to_string(),
///     "step 1: the update ratio of parameter w_rec is 0.3000, above 0.1000 (update ratio)",
/// );
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// Bottou, 2012, Stochastic gradient descent tricks, in *Neural Networks: Tricks of the Trade*. You, Gitman and
/// Ginsburg, 2017, arXiv:1708.03888, on how far the ratio differs from layer to layer.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateRatio {
    least: f64,
    most: f64,
    choice: Choice,
    tensors: Tracks<()>,
}

impl Default for UpdateRatio {
    /// Between 1e-5 and 1e-1.
    fn default() -> Self {
        Self {
            least: 1e-5,
            most: 1e-1,
            choice: Choice::default(),
            tensors: Tracks::default(),
        }
    }
}

impl UpdateRatio {
    /// Fires below `least` and above `most`. A `least` of 0 and a `most` of +∞ are off.
    ///
    /// ```
    /// use steadygrad::{detect::UpdateRatio, Guard, Step};
    /// let mut guard = Guard::new().detect(UpdateRatio::between(1e-4, 1e-2)?);
    /// for (update, fires) in [(1e-4, false), (0.9e-4, true), (1e-2, false), (1.1e-2, true), (0.0, false)] {
    ///     let report = guard.step(Step::new(&mut [0.5]).params(&[1.0]).updates(&[update]))?;
    ///     assert_eq!(!report.alarms().is_empty(), fires);
    /// }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `least` is negative or NaN, or `most` is not above it.
    pub fn between(least: f64, most: f64) -> Result<Self> {
        let what = "bounds of the update ratio";
        if least.is_nan() || least < 0.0 {
            return Err(Error::Setting {
                what,
                expected: "a number ≥ 0",
                found: least,
            });
        }
        if most > least {
            Ok(Self {
                least,
                most,
                ..Self::default()
            })
        } else {
            Err(Error::Setting {
                what,
                expected: "an upper one above the lower one",
                found: most,
            })
        }
    }

    /// Chooses the tensors by their names: by a function, which may capture, or by how they begin.
    ///
    /// ```
    /// use steadygrad::{detect::UpdateRatio, Guard, Step};
    /// let (mut grads, params, updates) = ([("bias", [0.1])], [("bias", [1.0])], [("bias", [0.5])]);
    /// let mut guard = Guard::new()
    ///     .detect(UpdateRatio::default())
    ///     .detect(UpdateRatio::default().on(|name: &str| name == "bias"));
    /// let report = guard.step(Step::new(&mut grads).params(&params).updates(&updates))?;
    /// assert_eq!(report.abstained(), [("update ratio", "no weight is watched")]);
    /// assert_eq!(report.alarms().len(), 1);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn on(self, covers: impl Into<Covers>) -> Self {
        Self {
            choice: Choice(Some(covers.into())),
            tensors: Tracks::default(),
            ..self
        }
    }
}

/// The norm of the update of a parameter, which has the same place unless a set is missing.
fn update(updates: &Measurement, params: &Measurement, index: usize) -> Wide {
    let name = params.name(index);
    let place = if updates.name(index) == name {
        Some(index)
    } else {
        (0..updates.len()).find(|&place| updates.name(place) == name)
    };
    place.map_or(Wide::ZERO, |place| updates.tensor(place).norm(Norm::L2))
}

impl Detector for UpdateRatio {
    fn name(&self) -> &'static str {
        "update ratio"
    }

    fn needs(&self) -> Needs {
        Needs::norms().of_tensors().of_params()
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        let Some(params) = step.params else {
            return;
        };
        let Some(updates) = step.updates else {
            return alarms.abstain("no updates were given");
        };
        let choice = &self.choice;
        let watches = |name: &str, dims: Option<&[usize]>| choice.covers(name, dims);
        if let Some(watched) = self.tensors.meet(params, watches, || ()) {
            alarms.reserve(watched);
        }
        let (least, most) = (Wide::from(self.least), Wide::from(self.most));
        let [mut watched, mut judged] = [0, 0];
        for (index, ()) in self.tensors.watched() {
            watched += 1;
            let norms = [
                params.tensor(index).norm(Norm::L2),
                update(updates, params, index),
            ];
            if norms
                .iter()
                .any(|&norm| norm == Wide::ZERO || !norm.is_finite())
            {
                continue;
            }
            judged += 1;
            let ratio = norms[1] / norms[0];
            let mut tell = |relation, bound| {
                let alarm = step.alarm("update ratio", Subject::Parameter(index));
                alarms.raise(alarm.bounded("update ratio", ratio, relation, bound));
            };
            if ratio < least {
                tell(Relation::Below, least);
            } else if ratio > most {
                tell(Relation::Above, most);
            }
        }
        if watched == 0 {
            alarms.abstain("no weight is watched");
        } else if judged == 0 {
            alarms.hold();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    fn told(params: &Measurement, updates: &Measurement) -> Vec<(usize, Relation, f64)> {
        let grads = Measurement::default();
        let view = StepView::new(1, &grads).params(params).updates(updates);
        let mut alarms = Alarms::default();
        UpdateRatio::default().observe(&view, &mut alarms);
        let mut told = vec![];
        for alarm in &alarms {
            let Subject::Parameter(index) = alarm.subject() else {
                panic!("{alarm}");
            };
            told.push((index, alarm.relation().unwrap(), alarm.value()));
        }
        told
    }

    #[test]
    fn strange_and_missing_ones_have_no_ratio() {
        let names = ["a", "v", "c", "d", "e", "f"];
        let set = |xs: [f64; 6]| {
            let set: Vec<_> = names.into_iter().zip(xs.map(|x| [x])).collect();
            Measurement::of(&set).unwrap()
        };
        let params = set([1.0, 0.0, f64::NAN, 1.0, f64::INFINITY, 1e-300]);
        let updates = set([0.5, 1.0, 1.0, f64::NAN, 1.0, 1e-306]);
        assert_eq!(
            told(&params, &updates),
            [(0, Relation::Above, 0.5), (5, Relation::Below, 1e-6)]
        );
        // Ratios past the range of f64 are compared all the same.
        let params = set([1e-200, 1e200, 1.0, 1.0, 1.0, 1.0]);
        let updates = set([1e200, 1e-200, 0.0, -0.0, 1e-3, -1e-3]);
        assert_eq!(
            told(&params, &updates),
            [
                (0, Relation::Above, f64::INFINITY),
                (1, Relation::Below, 0.0)
            ]
        );
    }

    #[test]
    fn updates_are_found_by_name_where_some_are_missing() {
        let params = Measurement::of(&[("a", [1.0]), ("v", [1.0]), ("c", [1.0])]).unwrap();
        let updates = Measurement::of(&[("v", [0.5]), ("c", [1e-3])]).unwrap();
        assert_eq!(told(&params, &updates), [(1, Relation::Above, 0.5)]);
    }

    #[test]
    fn bounds_are_checked() {
        for (least, most) in [(-1.0, 1.0), (f64::NAN, 1.0), (1.0, 1.0), (0.0, f64::NAN)] {
            assert!(UpdateRatio::between(least, most).is_err(), "{least} {most}");
        }
        assert!(UpdateRatio::between(0.0, f64::INFINITY).is_ok());
    }
}
