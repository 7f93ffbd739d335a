//! What a detector found.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use super::sentence::Thing;
use super::severity::Severity;
use super::subject::Subject;
use crate::Error;
use crate::figures::Number;
use crate::measurement::Measurement;
use crate::names::Names;
use crate::step_view::StepView;
use crate::verdict::Verdict;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Found {
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
        relation: Relation,
        bound: Number,
    },
    /// More was not said.
    Something,
}

/// How a value stands to a bound.
///
/// # Examples
///
/// ```
/// use steadygrad::detect::Relation;
/// assert_eq!(Relation::Above.to_string(), "above");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Relation {
    /// Above it.
    Above,
    /// Below it.
    Below,
    /// Not below it, where it should be.
    NotBelow,
    /// Worse than a baseline.
    Worse,
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Above => "above",
            Self::Below => "below",
            Self::NotBelow => "not below",
            Self::Worse => "worse than the baseline",
        })
    }
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
    pub(super) detector: &'static str,
    step: u64,
    pub(super) subject: Subject,
    pub(super) found: Found,
    /// On so many of the last so many steps.
    pub(super) steps: [u64; 2],
    since: u64,
    severity: Severity,
    is_once: bool,
    verdict: Verdict,
    pub(super) names: Option<Arc<Names>>,
    /// On which other rank, and what it is called there.
    pub(super) elsewhere: Option<Arc<(usize, String)>>,
}

impl Alarm {
    /// Of a step, about something in it. [`StepView::alarm`](crate::StepView::alarm) is the way to it.
    pub(crate) fn begin(detector: &'static str, step: &StepView<'_>, subject: Subject) -> Self {
        Self::about(detector, step, subject, Found::Something)
    }

    /// Says that the `quantity` of its subject is above `bound`.
    ///
    /// ```
    /// use steadygrad::{detect::{Relation, Subject}, Measurement, StepView};
    /// let grads = Measurement::of(&[("w_rec", [0.0, 1e9])])?;
    /// let alarm = StepView::new(3, &grads).alarm("spread", Subject::Gradient(0)).above("largest element", 1e9, 1e6);
    /// assert_eq!(
    ///     alarm.to_string(),
    ///     "step 3: the largest element of gradient w_rec is 1.000e9, above 1.000e6 (spread)",
    /// );
    /// assert_eq!((alarm.relation(), alarm.bound()), (Some(Relation::Above), 1e6));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn above(self, quantity: &'static str, value: f64, bound: f64) -> Self {
        self.bounded(quantity, value, Relation::Above, bound)
    }

    /// Says that the `quantity` of its subject is below `bound`.
    ///
    /// ```
    /// use steadygrad::{detect::Subject, Measurement, StepView};
    /// let grads = Measurement::default();
    /// let alarm = StepView::new(3, &grads).alarm("vanished", Subject::Gradients).below("norm", 1e-9, 1e-6);
    /// assert!(alarm.to_string().contains("the norm of the gradients is 1.000e-9, below 1.000e-6"));
    /// ```
    #[must_use]
    pub fn below(self, quantity: &'static str, value: f64, bound: f64) -> Self {
        self.bounded(quantity, value, Relation::Below, bound)
    }

    /// Says how a quantity, which no `f64` need hold, stands to a bound.
    pub(super) fn bounded(
        self,
        quantity: &'static str,
        value: impl Into<Number>,
        relation: Relation,
        bound: impl Into<Number>,
    ) -> Self {
        Self {
            found: Found::Bound {
                quantity,
                value: value.into(),
                relation,
                bound: bound.into(),
            },
            ..self
        }
    }

    /// Says how grave it is; a [warning](Severity::Warning) unless told.
    ///
    /// ```
    /// use steadygrad::{detect::{Severity, Subject}, Measurement, StepView};
    /// let grads = Measurement::default();
    /// let alarm = StepView::new(3, &grads).alarm("lost", Subject::Loss).severity(Severity::Grave);
    /// assert_eq!(alarm.how_severe(), Severity::Grave);
    /// ```
    #[must_use]
    pub fn severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    /// How grave it is.
    #[must_use]
    pub fn how_severe(&self) -> Severity {
        self.severity
    }

    /// How the value stands to the bound, if that is what it is about.
    #[must_use]
    pub fn relation(&self) -> Option<Relation> {
        match self.found {
            Found::Bound { relation, .. } => Some(relation),
            _ => None,
        }
    }

    /// Says that it is over as soon as it is said: the event has no end that anybody would want to hear of, and said
    /// again it is another.
    ///
    /// ```
    /// use steadygrad::{detect::Plateau, Guard, Step};
    /// let mut guard = Guard::new().detect(Plateau::new(0.0, 1)?);   // begins anew after each alarm
    /// let mut told = vec![];
    /// for loss in [1.0, 1.0, 1.0, 0.5] {
    ///     let report = guard.step(Step::new(&mut [0.0]).loss(loss))?;
    ///     told.push((report.alarms().iter().filter(|alarm| alarm.is_new()).count(), report.ended().len()));
    /// }
    /// assert_eq!(told, [(0, 0), (1, 0), (1, 0), (0, 0)]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn once(self) -> Self {
        Self {
            is_once: true,
            ..self
        }
    }

    /// The step at which the same detector began to say the same of the same thing, on every step since that it could
    /// judge. Of two tensors it is never the same.
    ///
    /// ```
    /// use steadygrad::{detect::NormThreshold, Guard};
    /// let mut guard = Guard::new().detect(NormThreshold::new(1.0)?);
    /// let mut began = vec![];
    /// for norm in [2.0, 3.0, 0.5, 4.0] {
    ///     began.extend(guard.step(&mut [norm])?.alarms().iter().map(|alarm| (alarm.since(), alarm.is_new())));
    /// }
    /// assert_eq!(began, [(1, true), (1, false), (4, true)]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn since(&self) -> u64 {
        self.since
    }

    /// Whether it begins at this step, and does not only go on.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.since == self.step
    }

    /// How many steps the event has lasted, with that of this alarm.
    ///
    /// ```
    /// use steadygrad::{detect::NormThreshold, Guard};
    /// let mut guard = Guard::new().detect(NormThreshold::new(1.0)?);
    /// for norm in [2.0, 3.0] {
    ///     assert_eq!(guard.step(&mut [norm])?.alarms().len(), 1);
    /// }
    /// assert_eq!(guard.step(&mut [0.5])?.ended()[0].lasted(), 2);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn lasted(&self) -> u64 {
        self.step.saturating_sub(self.since) + 1
    }

    /// What its detector was [added](crate::Guard::detect_with) to decide when it says this:
    /// [`Verdict::Apply`] unless told.
    ///
    /// ```
    /// use steadygrad::{detect::NormThreshold, Guard, Verdict};
    /// let mut guard = Guard::new()
    ///     .detect(NormThreshold::new(1.0)?)
    ///     .detect_with(Verdict::Skip, NormThreshold::new(2.0)?);
    /// let report = guard.step(&mut [3.0])?;
    /// assert_eq!((report.alarms()[0].verdict(), report.alarms()[1].verdict()), (Verdict::Apply, Verdict::Skip));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    pub(super) fn about(
        detector: &'static str,
        step: &StepView<'_>,
        subject: Subject,
        found: Found,
    ) -> Self {
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
            steps: [1; 2],
            since: step.number,
            severity: Severity::default(),
            is_once: false,
            verdict: Verdict::Apply,
            names: names.cloned(),
            elsewhere: None,
        }
    }

    /// How many numbers tell of what is not finite to other ranks.
    pub(crate) const NUMBERS: usize = 5;

    /// Of the loss, of a gradient, of a parameter: what is looked at first.
    pub(crate) fn kind(&self) -> u8 {
        match self.subject {
            Subject::Loss => 0,
            Subject::Gradients | Subject::Gradient(_) => 1,
            Subject::Parameters | Subject::Parameter(_) => 2,
        }
    }

    /// What is not finite, for other ranks.
    pub(crate) fn numbers(&self) -> [i64; Self::NUMBERS] {
        let [kind, index] = self.subject.code();
        let (nan, inf, first) = match self.found {
            Found::NonFinite { nan, inf, index } => (nan, inf, index.map_or(0, |index| index + 1)),
            Found::Bound { .. } | Found::Something => (0, 0, 0),
        };
        [kind, index, nan, inf, first].map(u64::cast_signed)
    }

    /// What is not finite on another rank.
    pub(crate) fn of_rank(rank: usize, step: u64, numbers: &[i64], name: String) -> Self {
        let number = |i: usize| numbers.get(i).copied().unwrap_or_default().cast_unsigned();
        let subject = Subject::from_code([number(0), number(1)]).unwrap_or(Subject::Gradients);
        let nothing = Measurement::default();
        let found = Found::NonFinite {
            nan: number(2),
            inf: number(3),
            index: number(4).checked_sub(1),
        };
        Self {
            names: None,
            elsewhere: Some(Arc::new((rank, name))),
            ..Self::about("non-finite", &StepView::new(step, &nothing), subject, found)
        }
    }

    /// Says that it has been so for this many steps.
    ///
    /// ```
    /// # use steadygrad::{detect::Subject, StepView, Measurement};
    /// # let grads = Measurement::of(&[3.0, 4.0])?;
    /// # let step = StepView::new(9, &grads);
    /// let alarm = step.alarm("high norm", Subject::Gradients).above("norm", 5.0, 1.0).lasting(4);
    /// assert_eq!(
    ///     alarm.to_string(),
    ///     "step 9: the norm of the gradients is 5.000, above 1.000 for 4 steps in a row (high norm)",
    /// );
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn lasting(self, steps: u64) -> Self {
        self.among(steps, steps)
    }

    /// Says that it was so on this many of the last steps.
    ///
    /// ```
    /// # use steadygrad::{detect::Subject, StepView, Measurement};
    /// # let grads = Measurement::of(&[3.0, 4.0])?;
    /// # let step = StepView::new(9, &grads);
    /// let alarm = step.alarm("high norm", Subject::Gradients).above("norm", 5.0, 1.0).among(4, 6);
    /// assert_eq!(
    ///     alarm.to_string(),
    ///     "step 9: the norm of the gradients is 5.000, above 1.000 on 4 of the last 6 steps (high norm)",
    /// );
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn among(self, steps: u64, last: u64) -> Self {
        Self {
            steps: [steps, last],
            ..self
        }
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
        match (self.subject, &self.elsewhere) {
            (Subject::Gradient(_) | Subject::Parameter(_), Some(there)) => Some(&there.1),
            (Subject::Gradient(index) | Subject::Parameter(index), None) => {
                self.names.as_ref()?.get(index)
            }
            _ => None,
        }
    }

    /// The rank on which it was found, if that is another one ([`reduce`](crate::reduce)).
    #[must_use]
    pub fn rank(&self) -> Option<usize> {
        self.elsewhere.as_ref().map(|there| there.0)
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
            Found::Something => f64::NAN,
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
            Found::Something => f64::NAN,
        }
    }

    /// The same, found by another.
    pub(crate) fn by(self, detector: &'static str) -> Self {
        Self { detector, ..self }
    }

    /// Whether another alarm of the same rule is about the same.
    pub(crate) fn goes_on_from(&self, other: &Self) -> bool {
        let kind = |alarm: &Self| match alarm.found {
            Found::Bound {
                quantity, relation, ..
            } => Some((quantity, relation)),
            _ => None,
        };
        let same_names = || match (&self.names, &other.names) {
            (Some(a), Some(b)) if Arc::ptr_eq(a, b) => true,
            _ => self.tensor() == other.tensor(),
        };
        self.subject == other.subject
            && self.detector == other.detector
            && kind(self) == kind(other)
            && same_names()
    }

    /// Says that it has been so for this many steps, where its detector said nothing of steps.
    pub(super) fn at_least(&mut self, steps: u64) {
        if self.steps[1] <= 1 {
            self.steps = [steps; 2];
        }
    }

    /// Whether it is no event that goes on and ends.
    pub(crate) fn is_once(&self) -> bool {
        self.is_once
    }

    /// The same, since then.
    pub(crate) fn begun(self, since: u64) -> Self {
        Self { since, ..self }
    }

    /// The same, by a detector that was to decide this.
    pub(crate) fn deciding(self, verdict: Verdict) -> Self {
        Self { verdict, ..self }
    }

    /// Whether two alarms say the same of the same thing.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.subject == other.subject && self.found == other.found
    }

    /// As the error of a policy that refuses it.
    pub(crate) fn to_error(&self) -> Error {
        let (nan, inf, index) = match self.found {
            Found::NonFinite { nan, inf, index } => (nan, inf, index.unwrap_or(0)),
            Found::Bound { .. } | Found::Something => (0, 0, 0),
        };
        Error::NonFinite {
            what: alloc::format!("{}", Thing(self)),
            nan,
            inf,
            index,
        }
    }
}

impl StepView<'_> {
    /// The beginning of an alarm about something in this step.
    ///
    /// ```
    /// use steadygrad::{detect::Subject, Measurement, StepView};
    /// let grads = Measurement::default();
    /// let step = StepView::new(3, &grads).loss(1e-9);
    /// let alarm = step.alarm("too good", Subject::Loss).below("value", 1e-9, 1e-6);
    /// assert_eq!(alarm.to_string(), "step 3: the value of the loss is 1.000e-9, below 1.000e-6 (too good)");
    /// ```
    #[must_use]
    pub fn alarm(&self, detector: &'static str, subject: Subject) -> Alarm {
        Alarm::begin(detector, self, subject)
    }
}
