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

pub(crate) mod non_finite;
mod norm_threshold;
mod persistent_norm;
mod plateau;
mod weight_growth;

pub use non_finite::NonFinite;
pub use norm_threshold::NormThreshold;
pub use persistent_norm::PersistentNorm;
pub use plateau::Plateau;
pub use weight_growth::WeightGrowth;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt::{self, Debug};

use crate::figures::{Figures, Number};
use crate::names::Names;
use crate::{Error, Measurement, Needs, Result, Wide};

/// What rules and detectors see of a training step.
///
/// # Examples
///
/// ```
/// use steadygrad::{detect::{Detector, NormThreshold, StepView}, Measurement};
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

/// Watches steps and says when one is wrong.
///
/// # Examples
///
/// A loss that is suspiciously good:
///
/// ```
/// use steadygrad::detect::{Alarm, Detector, StepView, Subject};
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
    /// What must be measured: the usual, unless said otherwise. [`Needs::LEAST`] is cheaper in cache.
    ///
    /// ```
    /// use steadygrad::{detect::{Detector, PersistentNorm}, Needs};
    /// assert_eq!(PersistentNorm::default().needs(), Needs::LEAST);   // the L2 norm is enough
    /// ```
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Scores the step, then learns from it.
    ///
    /// ```
    /// use steadygrad::{detect::{Detector, PersistentNorm, StepView}, Measurement};
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

/// What an alarm is about.
///
/// # Examples
///
/// ```
/// use steadygrad::{detect::Subject, Guard, OnNonFinite, Step};
///
/// let params = [("w", vec![1.0_f32, f32::INFINITY])];
/// let mut guard = Guard::new().on_non_finite(OnNonFinite::Propagate);
/// let report = guard.step(Step::new(&mut [("w", [0.5_f32, 0.0])]).params(&params))?;
/// assert_eq!(report.non_finite().unwrap().subject(), Subject::Parameter(0));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subject {
    /// The loss.
    Loss,
    /// All gradients together.
    Gradients,
    /// The gradient tensor with this index.
    Gradient(usize),
    /// All parameters together.
    Parameters,
    /// The parameter tensor with this index.
    Parameter(usize),
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Found {
    /// Elements that are not finite.
    NonFinite {
        nan: u64,
        inf: u64,
        index: Option<u64>,
    },
    /// A quantity on the wrong side of a bound.
    Bound {
        quantity: &'static str,
        value: Number,
        relation: &'static str,
        bound: Number,
    },
}

/// What a detector found, as one readable sentence.
///
/// # Examples
///
/// ```
/// use steadygrad::{detect, Guard};
///
/// let mut grads = [("w_rec", vec![1.0_f32, f32::NAN])];
/// let mut guard = Guard::new().detect(detect::NonFinite);
/// let report = guard.step(&mut grads)?;
/// let alarm = &report.alarms()[0];
/// assert_eq!(
///     alarm.to_string(),
///     "step 1: gradient w_rec has 1 NaN and 0 infinite elements, the first at index 1 (non-finite)",
/// );
/// assert_eq!((alarm.detector(), alarm.step(), alarm.tensor()), ("non-finite", 1, Some("w_rec")));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    detector: &'static str,
    step: u64,
    subject: Subject,
    found: Found,
    steps: u64,
    names: Option<Arc<Names>>,
    /// What else was found of it on the same step, and for how many steps. Here, not on the heap: a step allocates
    /// nothing.
    also: Option<(Found, u64)>,
}

impl Alarm {
    /// The alarm "the `quantity` of `subject` is `value`, `relation` `bound`".
    ///
    /// ```
    /// use steadygrad::{detect::{Alarm, StepView, Subject}, Measurement};
    /// let grads = Measurement::of(&[("w_rec", [0.0, 1e-9])])?;
    /// let step = StepView { number: 3, grads: &grads, params: None, loss: None };
    /// let value = grads.tensor(0).max_abs();
    /// let alarm = Alarm::new("vanished", &step, Subject::Gradient(0), "largest element", value, "below", 1e-6);
    /// assert_eq!(
    ///     alarm.to_string(),
    ///     "step 3: the largest element of gradient w_rec is 1.000e-9, below 1.000e-6 (vanished)",
    /// );
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn new(
        detector: &'static str,
        step: &StepView<'_>,
        subject: Subject,
        quantity: &'static str,
        value: f64,
        relation: &'static str,
        bound: f64,
    ) -> Self {
        Self::about(
            detector,
            step,
            subject,
            Found::Bound {
                quantity,
                value: value.into(),
                relation,
                bound: bound.into(),
            },
        )
    }

    /// That a quantity, which no `f64` need hold, is above a bound.
    fn above(
        detector: &'static str,
        step: &StepView<'_>,
        subject: Subject,
        quantity: &'static str,
        value: Wide,
        bound: Wide,
    ) -> Self {
        let found = Found::Bound {
            quantity,
            value: value.into(),
            relation: "above",
            bound: bound.into(),
        };
        Self::about(detector, step, subject, found)
    }

    fn about(detector: &'static str, step: &StepView<'_>, subject: Subject, found: Found) -> Self {
        let names = match subject {
            Subject::Gradient(_) => Some(step.grads.names()),
            Subject::Parameter(_) => step.params.map(Measurement::names),
            _ => None,
        };
        Self {
            detector,
            step: step.number,
            subject,
            found,
            steps: 1,
            names: names.cloned(),
            also: None,
        }
    }

    /// Says that it has been so for this many steps.
    ///
    /// ```
    /// # use steadygrad::{detect::{Alarm, StepView, Subject}, Measurement};
    /// # let grads = Measurement::of(&[3.0, 4.0])?;
    /// # let step = StepView { number: 9, grads: &grads, params: None, loss: None };
    /// let alarm = Alarm::new("high norm", &step, Subject::Gradients, "norm", 5.0, "above", 1.0).lasting(4);
    /// assert_eq!(
    ///     alarm.to_string(),
    ///     "step 9: the norm of the gradients is 5.000, above 1.000 for 4 steps in a row (high norm)",
    /// );
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn lasting(self, steps: u64) -> Self {
        Self { steps, ..self }
    }

    /// With a second finding of the same detector about the same thing, which becomes an alarm of its own.
    fn and(self, other: &Self) -> Self {
        debug_assert_eq!((self.subject, other.also), (other.subject, None));
        Self {
            also: Some((other.found, other.steps)),
            ..self
        }
    }

    /// The first finding, and the second if there is one, each as an alarm.
    pub(crate) fn one_by_one(mut self) -> impl Iterator<Item = Self> {
        let second = self.also.take().map(|(found, steps)| Self {
            found,
            steps,
            ..self.clone()
        });
        core::iter::once(self).chain(second)
    }

    /// The detector's name.
    ///
    /// ```
    /// use steadygrad::{detect::NormThreshold, Guard};
    /// let mut guard = Guard::new().detect(NormThreshold::new(1.0)?);
    /// assert_eq!(guard.step(&mut [2.0_f32])?.alarms()[0].detector(), "norm threshold");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn detector(&self) -> &'static str {
        self.detector
    }

    /// The number of the step.
    ///
    /// ```
    /// use steadygrad::{detect::NormThreshold, Guard};
    /// let mut guard = Guard::new().detect(NormThreshold::new(1.0)?);
    /// assert!(guard.step(&mut [0.5_f32])?.alarms().is_empty());
    /// assert_eq!(guard.step(&mut [2.0_f32])?.alarms()[0].step(), 2);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn step(&self) -> u64 {
        self.step
    }

    /// What it is about.
    ///
    /// ```
    /// use steadygrad::{detect::{NormThreshold, Subject}, Guard};
    /// let threshold = NormThreshold::new(1.0)?;
    /// let mut guard = Guard::new().detect(threshold).detect(threshold.per_tensor());
    /// let report = guard.step(&mut [[0.5_f32], [2.0]])?;
    /// assert_eq!(report.alarms()[0].subject(), Subject::Gradients);
    /// assert_eq!(report.alarms()[1].subject(), Subject::Gradient(1));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// The name of the tensor it is about, if it is about one.
    ///
    /// ```
    /// use steadygrad::{detect::NormThreshold, Guard};
    /// let threshold = NormThreshold::new(1.0)?;
    /// let mut guard = Guard::new().detect(threshold).detect(threshold.per_tensor());
    /// let report = guard.step(&mut [("w", [0.5_f32]), ("b", [2.0])])?;
    /// assert_eq!((report.alarms()[0].tensor(), report.alarms()[1].tensor()), (None, Some("b")));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn tensor(&self) -> Option<&str> {
        match self.subject {
            Subject::Gradient(index) | Subject::Parameter(index) => self.names.as_ref()?.get(index),
            _ => None,
        }
    }

    /// The quantity that was out of bounds, or how many elements are not finite.
    ///
    /// ```
    /// use steadygrad::{detect, Guard};
    /// let mut guard = Guard::new().detect(detect::NonFinite).detect(detect::NormThreshold::new(1.0)?);
    /// assert_eq!(guard.step(&mut [3.0_f32, 4.0])?.alarms()[0].value(), 5.0);
    /// assert_eq!(guard.step(&mut [f32::NAN, f32::INFINITY])?.alarms()[0].value(), 2.0);   // so many elements
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn value(&self) -> f64 {
        match self.found {
            Found::NonFinite { nan, inf, .. } => (nan + inf) as f64,
            Found::Bound { value, .. } => value.to_f64(),
        }
    }

    /// The bound.
    ///
    /// ```
    /// use steadygrad::{detect, Guard, Step};
    /// let mut guard = Guard::new().detect(detect::WeightGrowth::new(10.0)?);
    /// assert!(guard.step(Step::new(&mut [0.0_f32]).params(&[2.0_f32]))?.alarms().is_empty());
    /// let report = guard.step(Step::new(&mut [0.0_f32]).params(&[30.0_f32]))?;
    /// assert_eq!((report.alarms()[0].value(), report.alarms()[0].bound()), (30.0, 20.0));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn bound(&self) -> f64 {
        match self.found {
            Found::NonFinite { .. } => 0.0,
            Found::Bound { bound, .. } => bound.to_f64(),
        }
    }

    /// The same, found by another.
    pub(crate) fn by(self, detector: &'static str) -> Self {
        Self { detector, ..self }
    }

    /// The sentence without the step.
    pub(crate) fn finding(&self) -> Finding<'_> {
        Finding(self)
    }

    /// Whether two alarms say the same of the same thing.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.subject == other.subject && self.found == other.found
    }

    /// As the error of a policy that refuses it.
    pub(crate) fn to_error(&self) -> Error {
        let (nan, inf, index) = match self.found {
            Found::NonFinite { nan, inf, index } => (nan, inf, index.unwrap_or(0)),
            Found::Bound { .. } => (0, 0, 0),
        };
        Error::NonFinite {
            what: alloc::format!("{}", Thing(self)),
            nan,
            inf,
            index,
        }
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}", self.step)?;
        for (i, alarm) in self.clone().one_by_one().enumerate() {
            write!(f, "{} {}", if i == 0 { ":" } else { ";" }, alarm.finding())?;
        }
        Ok(())
    }
}

/// "gradient `w_rec`", "the loss".
struct Thing<'a>(&'a Alarm);

impl fmt::Display for Thing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, part) = match self.0.subject {
            Subject::Loss => return f.write_str("the loss"),
            Subject::Gradients => return f.write_str("the gradients"),
            Subject::Parameters => return f.write_str("the parameters"),
            Subject::Gradient(index) => (index, "gradient"),
            Subject::Parameter(index) => (index, "parameter"),
        };
        match self.0.tensor() {
            Some(name) if !name.is_empty() => write!(f, "{part} {name}")?,
            _ => write!(f, "the {part}")?,
        }
        // Several tensors of one name, or of none.
        match &self.0.names {
            Some(names) if names.share(index) => write!(f, " (tensor {index})"),
            _ => Ok(()),
        }
    }
}

pub(crate) struct Finding<'a>(&'a Alarm);

impl fmt::Display for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thing = Thing(self.0);
        match self.0.found {
            Found::NonFinite { nan, inf, .. } if self.0.subject == Subject::Loss => {
                let what = if nan > 0 { "NaN" } else { "infinite" };
                debug_assert_eq!(nan + inf, 1);
                write!(f, "{thing} is {what}")?;
            }
            Found::NonFinite { nan, inf, index } => {
                write!(f, "{thing} has {nan} NaN and {inf} infinite elements")?;
                if let Some(index) = index {
                    write!(f, ", the first at index {index}")?;
                }
            }
            Found::Bound {
                quantity,
                value,
                relation,
                bound,
            } => {
                // So that nothing is said to be 1.000, above 1.000; and NaN is above nothing.
                let relation = if value.to_f64().is_nan() {
                    "where there is a bound of"
                } else {
                    relation
                };
                let [value, bound] = Figures::apart(value, bound);
                write!(
                    f,
                    "the {quantity} of {thing} is {value}, {relation} {bound}"
                )?;
            }
        }
        if self.0.steps > 1 {
            write!(f, " for {} steps in a row", self.0.steps)?;
        }
        write!(f, " ({})", self.0.detector)
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
