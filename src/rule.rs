//! What every rule keeps to: it decides from numbers, and learns once the step is over.

use alloc::boxed::Box;
use core::fmt::Debug;

use crate::clip::once::{Clipped, once};
use crate::covers::Covers;
use crate::detect::{After, Alarms, Every, ForSteps};
use crate::group::On;
use crate::needs::Needs;
use crate::outcome::Outcome;
use crate::pen::Pen;
use crate::set::TensorSetMut;
use crate::state::State;
use crate::stats::Norm;
use crate::step_view::StepView;
use crate::{Result, Verdict};

/// A rule that turns a measurement into edits.
///
/// # Examples
///
/// Halve every gradient while the loss is above 1:
///
/// ```
/// use steadygrad::{clip::Clipper, Factor, Guard, Needs, Pen, Step, StepView};
///
/// #[derive(Debug)]
/// struct Careful { half: Factor }
///
/// impl Clipper for Careful {
///     fn name(&self) -> &'static str { "careful clip" }
///     fn needs(&self) -> Needs { Needs::norms().of_loss() }
///     fn plan(&mut self, step: &StepView<'_>, pen: &mut Pen<'_>) {
///         if step.loss.is_some_and(|loss| loss > 1.0) {
///             pen.scale_all(self.half);
///         }
///     }
/// }
///
/// let mut grads = [8.0_f32];
/// let mut guard = Guard::new().clip(Careful { half: Factor::new(0.5)? });
/// assert_eq!(guard.step(Step::new(&mut grads).loss(3.0))?.after(), 4.0);
/// assert_eq!(guard.step(Step::new(&mut grads).loss(0.3))?.after(), 4.0);
/// assert_eq!(grads, [4.0]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// A bound that follows the norms it sees notes them in `plan` and learns in `settle`, so that a step which a detector
/// behind it refuses teaches nothing:
///
/// ```
/// use steadygrad::{clip::Clipper, detect::NormThreshold, Factor, Guard, Outcome, Pen, Result, State, StepView, Verdict, Wide};
///
/// /// To twice the mean of the norms so far.
/// #[derive(Debug, Default)]
/// struct TwiceTheMean { sum: f64, count: u64, noted: f64 }
///
/// impl Clipper for TwiceTheMean {
///     fn name(&self) -> &'static str { "twice the mean" }
///     fn plan(&mut self, step: &StepView<'_>, pen: &mut Pen<'_>) {
///         self.noted = step.grads.total().l2();
///         let bound = 2.0 * self.sum / self.count as f64;
///         if self.count > 0 && self.noted > bound {
///             pen.scale_all(Factor::ratio(Wide::from(bound), Wide::from(self.noted)));
///         }
///     }
///     fn settle(&mut self, outcome: &Outcome<'_>) {
///         if outcome.is_taken() && self.noted.is_finite() {
///             self.sum += self.noted;
///             self.count += 1;
///         }
///     }
///     fn save(&self, state: &mut State) {
///         state.put("sum", self.sum);
///         state.put("count", self.count);
///     }
///     fn load(&mut self, state: &State) -> Result<()> {
///         (self.sum, self.count) = (state.get("sum")?, state.get("count")?);
///         Ok(())
///     }
/// }
///
/// let mut guard = Guard::new()
///     .detect_with(Verdict::Skip, NormThreshold::new(1e3)?)
///     .clip(TwiceTheMean::default());
/// assert_eq!(guard.step(&mut [1.0])?.after(), 1.0);
/// assert_eq!(guard.step(&mut [1e6])?.verdict(), Verdict::Skip);   // nothing is learnt from it
/// assert_eq!(guard.step(&mut [5.0])?.after(), 2.0);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait Clipper: Send + Sync + Debug {
    /// What reports call this rule, and under what its state is saved.
    ///
    /// ```
    /// use steadygrad::clip::{Clipper, TensorNorm, Value};
    /// assert_eq!((Value::new(1.0)?.name(), TensorNorm::new(1.0)?.name()), ("value clip", "tensor norm clip"));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn name(&self) -> &'static str;

    /// What must be measured and given: the norms, unless said otherwise. Asked once, when the rule is added.
    ///
    /// ```
    /// use steadygrad::{clip::{Clipper, GlobalNorm, Value}, Needs, Norm};
    /// assert_eq!(GlobalNorm::new(1.0)?.norm(Norm::P(3.0))?.needs().power, Some(3.0));
    /// assert_eq!(Value::new(1.0)?.needs(), Needs::norms().of_tensors().of_largest());   // that is enough
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Writes what is to be done to the gradients that `step` describes. It may note what it sees; it learns in
    /// [`settle`](Clipper::settle). A rule that cannot decide, because what it looks at is not finite, says so
    /// ([`Pen::abstain`]).
    ///
    /// A rule is tried without any tensor:
    ///
    /// ```
    /// use steadygrad::{clip::{Clipper, GlobalNorm}, Edits, Factor, Measurement, StepView};
    ///
    /// let (grads, mut edits) = (Measurement::of(&[3.0, 4.0])?, Edits::for_count(1));
    /// GlobalNorm::new(2.5)?.plan(&StepView::new(1, &grads), &mut edits.pen(&grads));
    /// assert_eq!(edits.common_factor(), Some(Factor::new(0.5)?));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn plan(&mut self, step: &StepView<'_>, pen: &mut Pen<'_>);

    /// Learns what became of the step: called once for each, however it ended, and also when
    /// [`plan`](Clipper::plan) was not called, since the policy refused it.
    fn settle(&mut self, outcome: &Outcome<'_>) {
        let _ = outcome;
    }

    /// Writes down what it remembers.
    fn save(&self, state: &mut State) {
        let _ = state;
    }

    /// Takes up what was written down.
    ///
    /// # Errors
    ///
    /// [`Error::State`](crate::Error::State) if it is not what it would write; nothing is changed then.
    fn load(&mut self, state: &State) -> Result<()> {
        let _ = state;
        Ok(())
    }

    /// Clips once, without a guard.
    ///
    /// ```
    /// use steadygrad::{clip::{Clipper, GlobalNorm}, Error};
    /// let mut grads = [300.0_f32, f32::NAN];
    /// let error = GlobalNorm::new(1.0)?.apply(&mut grads).unwrap_err();
    /// assert!(matches!(error, Error::NonFinite { nan: 1, index: 1, .. }));
    /// assert_eq!(grads[0], 300.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NonFinite`](crate::Error::NonFinite) if an element is NaN or infinite, and
    /// [`Error::Unfed`](crate::Error::Unfed) if the rule needs parameters or a loss; nothing is changed then. And what
    /// the tensors give.
    fn apply<G: TensorSetMut + ?Sized>(&mut self, grads: &mut G) -> Result<Clipped>
    where
        Self: Sized,
    {
        apply_by(self, Norm::L2, grads)
    }

    /// The same for some tensors only, as if there were no others.
    ///
    /// ```
    /// use steadygrad::{clip::{Clipper, GlobalNorm}, Guard};
    /// let mut guard = Guard::new().clip(GlobalNorm::new(1.0)?.on("encoder."));
    /// let mut grads = [("encoder.w", [5.0]), ("head.w", [7.0])];
    /// assert_eq!(guard.step(&mut grads)?.before(), 74_f64.sqrt());
    /// assert_eq!(grads, [("encoder.w", [1.0]), ("head.w", [7.0])]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn on(self, covers: impl Into<Covers>) -> On<Self>
    where
        Self: Sized,
    {
        let needs = self.needs();
        On::new(self, covers.into(), &needs)
    }
}

/// [`Clipper::apply`], told in this norm.
pub(crate) fn apply_by<C: Clipper, G: TensorSetMut + ?Sized>(
    rule: &mut C,
    norm: Norm,
    grads: &mut G,
) -> Result<Clipped> {
    let needs = rule.needs();
    let clipped = once(rule.name(), &needs, norm, grads, |step, pen| {
        rule.plan(step, pen);
    });
    let verdict = if clipped.is_ok() {
        Verdict::Apply
    } else {
        Verdict::Skip
    };
    rule.settle(&Outcome::new(1, verdict));
    clipped
}

/// A boxed rule is the rule: what a training run uses may be chosen when it starts.
///
/// ```
/// use steadygrad::{clip::{Clipper, GlobalNorm, Value}, Guard};
/// let by_value = std::env::args().any(|flag| flag == "--by-value");
/// let clipper: Box<dyn Clipper> =
///     if by_value { Box::new(Value::new(1.0)?) } else { Box::new(GlobalNorm::new(1.0)?) };
/// assert_eq!(Guard::new().clip(clipper).step(&mut [3.0_f32, 4.0])?.after(), 1.0);
/// # Ok::<(), steadygrad::Error>(())
/// ```
impl<C: Clipper + ?Sized> Clipper for Box<C> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn needs(&self) -> Needs {
        (**self).needs()
    }

    fn plan(&mut self, step: &StepView<'_>, pen: &mut Pen<'_>) {
        (**self).plan(step, pen);
    }

    fn settle(&mut self, outcome: &Outcome<'_>) {
        (**self).settle(outcome);
    }

    fn save(&self, state: &mut State) {
        (**self).save(state);
    }

    fn load(&mut self, state: &State) -> Result<()> {
        (**self).load(state)
    }
}

/// Watches steps and says when one is wrong.
///
/// # Examples
///
/// A loss that is suspiciously good:
///
/// ```
/// use steadygrad::detect::{Alarms, Detector, Subject};
/// use steadygrad::{Guard, Needs, Step, StepView};
///
/// #[derive(Debug)]
/// struct TooGood;
///
/// impl Detector for TooGood {
///     fn name(&self) -> &'static str { "too good" }
///     fn needs(&self) -> Needs { Needs::norms().of_loss() }
///     fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
///         if let Some(loss) = step.loss.filter(|&loss| loss < 1e-6) {
///             alarms.raise(step.alarm("too good", Subject::Loss).below("value", loss, 1e-6));
///         }
///     }
/// }
///
/// let mut guard = Guard::new().detect(TooGood);
/// let report = guard.step(Step::new(&mut [0.5_f32]).loss(1e-9))?;
/// assert_eq!(
///     report.alarms()[0].to_string(),
///     "step 1: the value of the loss is 1.000e-9, below 1.000e-6 (too good)",
/// );
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// Every tensor that holds nothing but zeros, each an event of its own:
///
/// ```
/// use steadygrad::detect::{Alarm, Alarms, Detector, Subject};
/// use steadygrad::{Guard, StepView};
///
/// #[derive(Debug)]
/// struct Dead;
///
/// impl Detector for Dead {
///     fn name(&self) -> &'static str { "dead" }
///     fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
///         for (i, stats) in step.grads.tensors().iter().enumerate() {
///             if stats.max_abs() == 0.0 {
///                 alarms.raise(step.alarm("dead", Subject::Gradient(i)).below("largest element", 0.0, f64::MIN_POSITIVE));
///             }
///         }
///     }
/// }
///
/// let mut guard = Guard::new().detect(Dead);
/// let told = |alarms: &[Alarm]| alarms.iter().map(|alarm| (alarm.tensor().unwrap().to_string(), alarm.since())).collect::<Vec<_>>();
/// let report = guard.step(&mut [("a", [0.0]), ("b", [1.0]), ("c", [0.0])])?;
/// assert_eq!(told(report.alarms()), [("a".into(), 1), ("c".into(), 1)]);
/// let report = guard.step(&mut [("a", [2.0]), ("b", [0.0]), ("c", [0.0])])?;
/// assert_eq!(told(report.alarms()), [("b".into(), 2), ("c".into(), 1)]);
/// assert_eq!(told(report.ended()), [("a".into(), 1)]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait Detector: Send + Sync + Debug {
    /// What reports call this rule, and under what its state is saved.
    ///
    /// ```
    /// use steadygrad::detect::{Detector, NonFinite};
    /// assert_eq!(NonFinite.name(), "non-finite");
    /// ```
    fn name(&self) -> &'static str;

    /// What must be measured and given: the norms, unless said otherwise. Asked once, when the rule is added.
    ///
    /// ```
    /// use steadygrad::{detect::{Detector, Plateau}, Needs};
    /// assert_eq!(Plateau::new(0.0, 10)?.needs(), Needs::norms().of_loss());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Scores the step: raises an alarm for each thing that is wrong, on every step on which it is; the guard tells which
    /// alarms are new. It may count steps and note what it sees. What is usual it learns in
    /// [`settle`](Detector::settle), so that a step which was refused teaches nothing. A step that it cannot judge it
    /// [holds](Alarms::hold) or [abstains](Alarms::abstain) from.
    ///
    /// A detector is tried without any guard:
    ///
    /// ```
    /// use steadygrad::{detect::{Alarms, Detector, PersistentNorm}, Measurement, StepView};
    /// let grads = Measurement::of(&[3.0, 4.0])?;
    /// let (step, mut detector) = (StepView::new(1, &grads), PersistentNorm::new(1.0, 2)?);
    /// let mut alarms = Alarms::default();
    /// detector.observe(&step, &mut alarms);
    /// assert_eq!(alarms.len(), 0);
    /// detector.observe(&step, &mut alarms);
    /// assert_eq!(alarms.len(), 1);   // it remembers
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms);

    /// Learns what became of the step, as [`Clipper::settle`], from what it noted. After a rollback a row begins anew.
    fn settle(&mut self, outcome: &Outcome<'_>) {
        let _ = outcome;
    }

    /// Writes down what it remembers.
    fn save(&self, state: &mut State) {
        let _ = state;
    }

    /// Takes up what was written down.
    ///
    /// # Errors
    ///
    /// [`Error::State`](crate::Error::State) if it is not what it would write; nothing is changed then.
    fn load(&mut self, state: &State) -> Result<()> {
        let _ = state;
        Ok(())
    }

    /// Heard only once it has spoken of the same thing on `n` steps in a row.
    ///
    /// ```
    /// use steadygrad::{detect::{Detector, NormThreshold}, Guard};
    /// let mut guard = Guard::new().detect(NormThreshold::new(1.0)?.for_steps(2)?);
    /// assert!(guard.step(&mut [2.0])?.alarms().is_empty());
    /// assert_eq!(guard.step(&mut [3.0])?.alarms().len(), 1);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if `n` is 0.
    fn for_steps(self, n: u64) -> Result<ForSteps<Self>>
    where
        Self: Sized,
    {
        ForSteps::new(self, n)
    }

    /// Not heard in the first `n` steps, of which it learns all the same.
    ///
    /// ```
    /// use steadygrad::{detect::{Detector, NormThreshold}, Guard};
    /// let mut guard = Guard::new().detect(NormThreshold::new(1.0)?.after(1));
    /// assert!(guard.step(&mut [2.0])?.alarms().is_empty());
    /// assert_eq!(guard.step(&mut [2.0])?.alarms().len(), 1);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn after(self, n: u64) -> After<Self>
    where
        Self: Sized,
    {
        After::new(self, n)
    }

    /// Shown every `n`-th step alone, as if there were no others.
    ///
    /// ```
    /// use steadygrad::{detect::{Detector, NormThreshold}, Guard};
    /// let mut guard = Guard::new().detect(NormThreshold::new(1.0)?.every(2)?);
    /// assert!(guard.step(&mut [2.0])?.alarms().is_empty());
    /// assert_eq!(guard.step(&mut [2.0])?.alarms().len(), 1);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if `n` is 0.
    fn every(self, n: u64) -> Result<Every<Self>>
    where
        Self: Sized,
    {
        Every::new(self, n)
    }

    /// The same for some tensors only, as if there were no others.
    ///
    /// ```
    /// use steadygrad::{detect::{Detector, NormThreshold}, Guard};
    /// let mut guard = Guard::new().detect(NormThreshold::new(1.0)?.on("head."));
    /// assert!(guard.step(&mut [("encoder.w", [5.0]), ("head.w", [0.5])])?.alarms().is_empty());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn on(self, covers: impl Into<Covers>) -> On<Self>
    where
        Self: Sized,
    {
        let needs = self.needs();
        On::new(self, covers.into(), &needs)
    }
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
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn needs(&self) -> Needs {
        (**self).needs()
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        (**self).observe(step, alarms);
    }

    fn settle(&mut self, outcome: &Outcome<'_>) {
        (**self).settle(outcome);
    }

    fn save(&self, state: &mut State) {
        (**self).save(state);
    }

    fn load(&mut self, state: &State) -> Result<()> {
        (**self).load(state)
    }
}

impl<R: Clipper> Clipper for On<R> {
    fn name(&self) -> &'static str {
        self.rule.name()
    }

    fn needs(&self) -> Needs {
        self.asks(self.rule.needs())
    }

    fn plan(&mut self, step: &StepView<'_>, pen: &mut Pen<'_>) {
        let (rule, view, mut inner) = self.open(step, pen);
        rule.plan(&view, &mut inner);
        let said = inner.said();
        pen.say(said);
    }

    fn settle(&mut self, outcome: &Outcome<'_>) {
        self.rule.settle(outcome);
    }

    fn save(&self, state: &mut State) {
        self.rule.save(state);
    }

    fn load(&mut self, state: &State) -> Result<()> {
        self.rule.load(state)
    }
}

impl<R: Detector> Detector for On<R> {
    fn name(&self) -> &'static str {
        self.rule.name()
    }

    fn needs(&self) -> Needs {
        self.asks(self.rule.needs())
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        let (rule, view) = self.view(step);
        rule.observe(&view, alarms);
    }

    fn settle(&mut self, outcome: &Outcome<'_>) {
        self.rule.settle(outcome);
    }

    fn save(&self, state: &mut State) {
        self.rule.save(state);
    }

    fn load(&mut self, state: &State) -> Result<()> {
        self.rule.load(state)
    }
}
