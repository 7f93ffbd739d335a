//! Everything composed into one line per training step.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::clip::Clipper;
use crate::detect::{Alarm, Detector, StepView, Subject, non_finite};
use crate::{
    Edits, Error, Factor, Measurement, Needs, Report, Result, Tensor, TensorSet, TensorSetMut,
    Verdict,
};

/// What to do about NaN and infinities.
///
/// Only gradients can be zeroed: on a loss or a parameter that is not finite, the two zeroing policies
/// skip.
///
/// # Examples
///
/// ```
/// use steadygrad::{Guard, OnNonFinite};
///
/// let grads = || vec![vec![1.0_f32, f32::NAN], vec![2.0]];
/// let mut result = vec![];
/// for policy in [OnNonFinite::Skip, OnNonFinite::ZeroTensor, OnNonFinite::ZeroAll] {
///     let mut grads = grads();
///     let verdict = Guard::new().on_non_finite(policy).step(&mut grads)?.verdict();
///     result.push(format!("{verdict}: {grads:?}"));
/// }
/// assert_eq!(result, [
///     "skip: [[1.0, NaN], [2.0]]",
///     "apply: [[0.0, 0.0], [2.0]]",
///     "apply: [[0.0, 0.0], [0.0]]",
/// ]);
/// assert!(Guard::new().on_non_finite(OnNonFinite::Error).step(&mut grads()).is_err());
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnNonFinite {
    /// Leave the gradients untouched and skip the step.
    #[default]
    Skip,
    /// Leave the gradients untouched and return [`Error::NonFinite`](crate::Error::NonFinite).
    Error,
    /// Zero the tensors that hold it, then go on with the rules.
    ZeroTensor,
    /// Zero all gradients.
    ZeroAll,
    /// Go on with the rules as if nothing were wrong. A norm rule leaves the gradients as they are and
    /// says so.
    Propagate,
}

/// Gradients to be guarded, and what else there is to watch.
///
/// # Examples
///
/// ```
/// use steadygrad::{Guard, Step};
///
/// let (mut grads, params) = (vec![0.1_f32, 0.2], vec![1.0_f32, 2.0]);
/// let mut guard = Guard::new();
/// let report = guard.step(Step::new(&mut grads).params(&params).loss(0.7_f32))?;
/// assert!(report.verdict().is_apply());
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[must_use = "a step does nothing until a guard takes it"]
pub struct Step<'s, G: ?Sized> {
    grads: &'s mut G,
    params: Option<&'s dyn TensorSet>,
    loss: Option<f64>,
}

/// Gradients to be watched without being changed, and what else there is to watch.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, Guard, Watch};
///
/// let grads = vec![3.0_f32, 4.0];
/// let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
/// let plan = guard.plan(Watch::new(&grads).loss(0.7))?;
/// assert_eq!(plan.factor(0), Some(0.2));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[must_use = "nothing is watched until a guard takes it"]
pub struct Watch<'w, G: ?Sized> {
    grads: &'w G,
    params: Option<&'w dyn TensorSet>,
    loss: Option<f64>,
}

macro_rules! with_more {
    ($name:ident, $l:lifetime, $grads:ty) => {
        impl<$l, G: ?Sized> $name<$l, G> {
            /// The gradients alone.
            ///
            /// ```
            /// use steadygrad::{Guard, Step, Watch};
            /// let mut grads = vec![3.0_f32, 4.0];
            /// assert_eq!(Guard::new().plan(Watch::new(&grads))?.report().before(), 5.0);
            /// assert_eq!(Guard::new().step(Step::new(&mut grads))?.before(), 5.0);
            /// # Ok::<(), steadygrad::Error>(())
            /// ```
            pub fn new(grads: $grads) -> Self {
                Self { grads, params: None, loss: None }
            }

            /// The parameters that the gradients belong to, as they are before the step.
            ///
            /// ```
            /// use steadygrad::{detect::Subject, Guard, Step, Watch};
            /// let (mut grads, params) = ([0.5_f32], [("w", [f32::NAN])]);
            /// let mut guard = Guard::new();
            /// let plan = guard.plan(Watch::new(&grads).params(&params))?;
            /// assert_eq!(plan.report().non_finite().unwrap().subject(), Subject::Parameter(0));
            /// let report = guard.step(Step::new(&mut grads).params(&params))?;
            /// assert_eq!(report.non_finite().unwrap().tensor(), Some("w"));
            /// # Ok::<(), steadygrad::Error>(())
            /// ```
            pub fn params<P: TensorSet>(self, params: &$l P) -> Self {
                Self { params: Some(params), ..self }
            }

            /// The loss.
            ///
            /// ```
            /// use steadygrad::{Guard, Step, Verdict, Watch};
            /// let (mut grads, mut guard) = ([0.5_f32], Guard::new());
            /// assert_eq!(guard.step(Step::new(&mut grads).loss(0.7_f32))?.verdict(), Verdict::Apply);
            /// assert_eq!(guard.plan(Watch::new(&grads).loss(f32::NAN))?.verdict(), Verdict::Skip);
            /// # Ok::<(), steadygrad::Error>(())
            /// ```
            pub fn loss(self, loss: impl Into<f64>) -> Self {
                Self { loss: Some(loss.into()), ..self }
            }
        }

        impl<$l, G: ?Sized> From<$grads> for $name<$l, G> {
            fn from(grads: $grads) -> Self {
                Self::new(grads)
            }
        }

        impl<G: ?Sized> core::fmt::Debug for $name<'_, G> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($name)).field("loss", &self.loss).finish_non_exhaustive()
            }
        }
    };
}

with_more!(Step, 's, &'s mut G);
with_more!(Watch, 'w, &'w G);

/// A clipper or a detector, in the place that the user gave it.
#[derive(Debug)]
enum Rule {
    Clip(Box<dyn Clipper>),
    /// With the verdict that its alarm carries.
    Detect(Verdict, Box<dyn Detector>),
}

impl Rule {
    fn needs(&self) -> Needs {
        match self {
            Self::Clip(clipper) => clipper.needs(),
            Self::Detect(_, detector) => detector.needs(),
        }
    }
}

/// Clippers and detectors in the order given, and a policy for what is not finite: one call per step.
///
/// Rules run in order. Each sees the gradients as those before it would leave them, so a detector in
/// front of a clipper watches what comes in, and one behind it what goes out. The gradients are read once,
/// and once more for each rule that follows a clamp that bites; they are written at most once.
/// After the first call a step allocates nothing (for arrays of up to four axes).
///
/// Anything that is not finite is met by the policy first ([`OnNonFinite`], by default
/// [`OnNonFinite::Skip`]). Skips are counted: after [`Guard::max_skips`] in a row (10) the next one is
/// [`Verdict::Stop`].
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, detect, Guard, OnNonFinite, Verdict};
///
/// let mut guard = Guard::new()
///     .detect(detect::PersistentNorm::default())
///     .clip(clip::Value::new(5.0)?)
///     .clip(clip::GlobalNorm::new(1.0)?)
///     .on_non_finite(OnNonFinite::Skip);
///
/// let mut grads = vec![vec![300.0_f32, 4.0], vec![0.0]];
/// let report = guard.step(&mut grads)?;
/// assert_eq!(report.verdict(), Verdict::Apply);
/// assert_eq!(report.before(), 90_016_f64.sqrt());
/// assert!((report.after() - 1.0).abs() < 1e-7);   // after rounding to f32
///
/// grads[1][0] = f32::NAN;
/// assert_eq!(guard.step(&mut grads)?.verdict(), Verdict::Skip);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Debug)]
pub struct Guard {
    rules: Vec<Rule>,
    needs: Needs,
    on_non_finite: OnNonFinite,
    max_skips: u32,
    params: Measurement,
    /// The gradients as the edits planned so far would leave them.
    now: Measurement,
    report: Report,
}

impl Default for Guard {
    fn default() -> Self {
        Self::new()
    }
}

impl Guard {
    /// A guard without rules: it watches for what is not finite.
    ///
    /// ```
    /// use steadygrad::{Guard, Verdict};
    /// let mut guard = Guard::new();
    /// assert_eq!(guard.step(&mut [1e30_f32])?.verdict(), Verdict::Apply);
    /// assert_eq!(guard.step(&mut [f32::INFINITY])?.verdict(), Verdict::Skip);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        let mut report = Report::default();
        // The policy may zero.
        report.edits.make_room(1);
        Self {
            rules: Vec::new(),
            needs: Needs::LEAST,
            on_non_finite: OnNonFinite::default(),
            max_skips: 10,
            params: Measurement::default(),
            now: Measurement::default(),
            report,
        }
    }

    /// Adds a clipper behind the rules there are.
    ///
    /// ```
    /// use steadygrad::{clip, Guard};
    /// let mut guard = Guard::new().clip(clip::Value::new(0.5)?).clip(clip::GlobalNorm::new(0.5)?);
    /// let mut grads = [[3.0_f64], [0.0]];
    /// assert_eq!(guard.step(&mut grads)?.after(), 0.5);
    /// assert_eq!(grads, [[0.5], [0.0]]);   // the clamp left nothing for the norm to do
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn clip(self, clipper: impl Clipper + 'static) -> Self {
        self.push(Rule::Clip(Box::new(clipper)))
    }

    /// Adds a detector behind the rules there are. Its alarms are reported and change nothing.
    ///
    /// ```
    /// use steadygrad::{clip, detect::NormThreshold, Guard};
    /// let mut guard = Guard::new()
    ///     .detect(NormThreshold::new(2.0)?)
    ///     .clip(clip::GlobalNorm::new(1.0)?)
    ///     .detect(NormThreshold::new(0.5)?);
    /// let report = guard.step(&mut [3.0_f32, 4.0])?;
    /// assert_eq!(report.alarms()[0].value(), 5.0);   // what came in
    /// assert_eq!(report.alarms()[1].value(), 1.0);   // what goes out
    /// assert!(report.verdict().is_apply());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn detect(self, detector: impl Detector + 'static) -> Self {
        self.detect_with(Verdict::Apply, detector)
    }

    /// Adds a detector whose alarms decide: the gravest verdict of a step counts.
    ///
    /// ```
    /// use steadygrad::{detect, Guard, Verdict};
    /// let mut guard = Guard::new().detect_with(Verdict::Stop, detect::NormThreshold::new(100.0)?);
    /// assert_eq!(guard.step(&mut [99.0_f32])?.verdict(), Verdict::Apply);
    /// assert_eq!(guard.step(&mut [101.0_f32])?.verdict(), Verdict::Stop);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn detect_with(self, verdict: Verdict, detector: impl Detector + 'static) -> Self {
        self.push(Rule::Detect(verdict, Box::new(detector)))
    }

    /// Measures more of the gradients than the rules need, for the report.
    ///
    /// ```
    /// use steadygrad::{Guard, Needs};
    /// let mut guard = Guard::new();
    /// assert!(guard.step(&mut [3.0, -4.0])?.measurement().total().l1().is_nan());   // nobody asked
    /// let mut guard = guard.measure(Needs::default());
    /// assert_eq!(guard.step(&mut [3.0, -4.0])?.measurement().total().l1(), 7.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn measure(self, needs: Needs) -> Self {
        Self {
            needs: self.needs.or(needs),
            ..self
        }
    }

    fn push(mut self, rule: Rule) -> Self {
        self.needs = self.needs.or(rule.needs());
        self.rules.push(rule);
        // Room for every rule to speak, so that no step has to make it.
        self.report.alarms.reserve(self.rules.len());
        self.report.abstained.reserve(self.rules.len());
        self.report.edits.make_room(1);
        self
    }

    /// Sets what to do about NaN and infinities.
    ///
    /// ```
    /// use steadygrad::{Guard, OnNonFinite};
    /// let mut grads = [("w", [1.0_f32]), ("b", [f32::NAN])];
    /// let mut guard = Guard::new().on_non_finite(OnNonFinite::ZeroTensor);
    /// assert!(guard.step(&mut grads)?.verdict().is_apply());
    /// assert_eq!(grads, [("w", [1.0]), ("b", [0.0])]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn on_non_finite(self, policy: OnNonFinite) -> Self {
        Self {
            on_non_finite: policy,
            ..self
        }
    }

    /// Sets how many steps may be skipped in a row, for whatever reason; the next one is to
    /// [`Verdict::Stop`]. 10 by default.
    ///
    /// ```
    /// use steadygrad::{Guard, Verdict};
    /// let mut guard = Guard::new().max_skips(2);
    /// let mut bad = [f32::NAN];
    /// assert_eq!(guard.step(&mut bad)?.verdict(), Verdict::Skip);
    /// assert_eq!(guard.step(&mut bad)?.verdict(), Verdict::Skip);
    /// assert_eq!(guard.step(&mut bad)?.verdict(), Verdict::Stop);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn max_skips(self, in_a_row: u32) -> Self {
        Self {
            max_skips: in_a_row,
            ..self
        }
    }

    /// Measures, decides, and carries it out.
    ///
    /// A `&mut G` variable is moved by the conversion: pass `&mut *grads` to keep it.
    ///
    /// ```
    /// use steadygrad::{clip, Guard};
    /// fn train(guard: &mut Guard, grads: &mut Vec<f32>) -> steadygrad::Result<f32> {
    ///     let report = guard.step(&mut *grads)?;
    ///     Ok(if report.verdict().is_apply() { grads[0] } else { 0.0 })
    /// }
    /// let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
    /// assert_eq!(train(&mut guard, &mut vec![8.0])?, 1.0);
    /// assert_eq!(train(&mut guard, &mut vec![f32::NAN])?, 0.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NonFinite`](crate::Error::NonFinite) under [`OnNonFinite::Error`], and what the tensors give.
    pub fn step<'s, G: TensorSetMut + ?Sized + 's>(
        &mut self,
        step: impl Into<Step<'s, G>>,
    ) -> Result<&Report> {
        let Step {
            grads,
            params,
            loss,
        } = step.into();
        self.decide(&*grads, params, loss)?;
        Plan { guard: self }.carry_out(grads)
    }

    /// Measures and decides; writes nothing.
    ///
    /// The plan can be carried out with [`Plan::apply`], or its factors can be folded into an optimiser's
    /// own loop: a clipped step then costs one read and no extra write.
    ///
    /// ```
    /// use steadygrad::{clip, Guard};
    ///
    /// let (mut w, g) = (vec![10.0_f32, 10.0], vec![3.0_f32, 4.0]);
    /// let mut guard = Guard::new().clip(clip::GlobalNorm::new(2.5)?);
    /// let plan = guard.plan(&g)?;
    /// if let (true, Some(factor)) = (plan.verdict().is_apply(), plan.factor(0)) {
    ///     let rate = 0.5 * factor as f32;
    ///     w.iter_mut().zip(&g).for_each(|(w, g)| *w -= rate * g);
    /// }
    /// assert_eq!(w, [9.25, 9.0]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Guard::step`].
    pub fn plan<'w, G: TensorSet + ?Sized + 'w>(
        &mut self,
        watch: impl Into<Watch<'w, G>>,
    ) -> Result<Plan<'_>> {
        let Watch {
            grads,
            params,
            loss,
        } = watch.into();
        self.decide(grads, params, loss)?;
        Ok(Plan { guard: self })
    }

    /// The report of the last step.
    ///
    /// ```
    /// use steadygrad::{Guard, OnNonFinite, Verdict};
    /// let mut guard = Guard::new().on_non_finite(OnNonFinite::Error);
    /// assert!(guard.step(&mut [f32::NAN]).is_err());
    /// assert_eq!((guard.report().step(), guard.report().verdict()), (1, Verdict::Skip));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn report(&self) -> &Report {
        &self.report
    }

    fn decide<G>(
        &mut self,
        grads: &G,
        params: Option<&dyn TensorSet>,
        loss: Option<f64>,
    ) -> Result<()>
    where
        G: TensorSet + ?Sized,
    {
        let report = &mut self.report;
        report.before.read(grads, self.needs, &Edits::default())?;
        if let Some(params) = params {
            self.params.read(
                params,
                // Norms of parameters are plain ones.
                Needs {
                    p: self.needs.p.filter(|_| Needs::LEAST.covers(self.needs)),
                    ..self.needs
                },
                &Edits::default(),
            )?;
        }
        report.step += 1;
        report.loss = loss;
        report.alarms.clear();
        report.abstained.clear();
        report
            .edits
            .reset(report.before.len(), Some(report.before.names()));
        report.after.same(&report.before);
        self.now.make_room(&report.before);

        let view = StepView {
            number: report.step,
            grads: &report.before,
            params: params.map(|_| &self.params),
            loss,
        };
        report.fault = non_finite::find(&view);
        report.verdict = match &report.fault {
            None => Verdict::Apply,
            Some(fault) => match meet(self.on_non_finite, fault, &view, &mut report.edits) {
                Ok(verdict) => verdict,
                Err(error) => {
                    // Whoever reads the report all the same may not find the last step's verdict in it.
                    report.verdict = Verdict::Skip;
                    report.skips = report.skips.saturating_add(1);
                    return Err(error);
                }
            },
        };
        let clips = report.verdict.is_apply();
        let mut chain = Chain {
            grads,
            view,
            now: &mut self.now,
            valid: Valid::Before,
            edits: &mut report.edits,
        };
        for rule in &mut self.rules {
            let needs = rule.needs();
            match rule {
                Rule::Clip(clipper) if clips && report.verdict.is_apply() => {
                    let (view, edits) = chain.look(needs)?;
                    clipper.plan(&view, edits);
                    if edits.take_abstained() {
                        report.abstained.push(clipper.name());
                    }
                }
                // A step that is not taken is not clipped, and no clipper learns from it.
                Rule::Clip(_) => (),
                Rule::Detect(verdict, detector) => {
                    if let Some(alarm) = detector.observe(&chain.look(needs)?.0) {
                        report.verdict = report.verdict.max(*verdict);
                        report.alarms.push(alarm);
                    }
                }
            }
        }

        report.skips = if report.verdict == Verdict::Skip {
            report.skips.saturating_add(1)
        } else {
            0
        };
        if report.skips > self.max_skips {
            report.verdict = Verdict::Stop;
        }
        if report.verdict.is_apply() {
            report.after.foresee(&report.before, &report.edits);
        } else {
            report
                .edits
                .reset(report.before.len(), Some(report.before.names()));
        }
        Ok(())
    }
}

/// What the policy makes of something that is not finite.
fn meet(
    policy: OnNonFinite,
    fault: &Alarm,
    step: &StepView<'_>,
    edits: &mut Edits,
) -> Result<Verdict> {
    // The fault is the first one found: behind it a parameter may be wrong too, which no zero mends.
    let in_gradients = matches!(fault.subject(), Subject::Gradient(_))
        && step.params.is_none_or(|params| params.total().is_finite());
    match policy {
        OnNonFinite::Error => return Err(fault.to_error()),
        OnNonFinite::Propagate => (),
        OnNonFinite::ZeroTensor if in_gradients => {
            let bad = step
                .grads
                .tensors()
                .iter()
                .enumerate()
                .filter(|(_, stats)| !stats.is_finite());
            bad.for_each(|(i, _)| edits.zero(i));
        }
        OnNonFinite::ZeroAll if in_gradients => edits.zero_all(),
        OnNonFinite::Skip | OnNonFinite::ZeroTensor | OnNonFinite::ZeroAll => {
            return Ok(Verdict::Skip);
        }
    }
    Ok(Verdict::Apply)
}

/// Which measurement shows the gradients as the edits so far leave them.
#[derive(Clone, Copy, PartialEq)]
enum Valid {
    /// The one of the gradients as they came.
    Before,
    /// `now`, made when so many operations had been pushed.
    Now(u64),
}

/// The way through the rules.
struct Chain<'c, G: ?Sized> {
    grads: &'c G,
    view: StepView<'c>,
    now: &'c mut Measurement,
    valid: Valid,
    edits: &'c mut Edits,
}

impl<G: TensorSet + ?Sized> Chain<'_, G> {
    /// The step as the next rule is to see it, by arithmetic where that tells, else by one more read;
    /// and where it may write.
    fn look(&mut self, needs: Needs) -> Result<(StepView<'_>, &mut Edits)> {
        let pushed = self.edits.pushed();
        let fresh = match self.valid {
            Valid::Before => pushed == 0 && self.view.grads.needs().covers(needs),
            Valid::Now(at) => pushed == at && self.now.needs().covers(needs),
        };
        if !fresh {
            let told = self.view.grads.needs().covers(needs)
                && needs.units.is_none()
                && self.now.follow(self.view.grads, self.edits).is_some();
            if !told {
                self.now.read(self.grads, needs, self.edits)?;
            }
            self.valid = Valid::Now(pushed);
        }
        let grads = if self.valid == Valid::Before {
            self.view.grads
        } else {
            &*self.now
        };
        Ok((StepView { grads, ..self.view }, self.edits))
    }
}

/// What a guard decided, before anything is written.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, Guard};
///
/// let mut grads = vec![vec![3.0_f32, 4.0], vec![0.0]];
/// let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
/// let plan = guard.plan(&grads)?;
/// assert_eq!((plan.factor(0), plan.factor(1)), (Some(0.2), Some(0.2)));
/// let report = plan.apply(&mut grads)?;
/// assert_eq!(report.after(), 1.0);
/// assert_eq!(grads, [vec![0.6, 0.8], vec![0.0]]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is written until the plan is applied or its factors are used"]
pub struct Plan<'g> {
    guard: &'g mut Guard,
}

impl<'g> Plan<'g> {
    /// What the training loop should do.
    ///
    /// ```
    /// use steadygrad::{Guard, Verdict};
    /// assert_eq!(Guard::new().plan(&[1.0_f32])?.verdict(), Verdict::Apply);
    /// assert_eq!(Guard::new().plan(&[f32::NAN])?.verdict(), Verdict::Skip);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.guard.report.verdict
    }

    /// The factor for tensor `index`: 1 to keep it, `None` if more than scaling is to be done, or if no
    /// normal `f64` holds the factor.
    ///
    /// ```
    /// use steadygrad::{clip, Guard};
    /// let grads = [[8.0_f32], [1.0]];
    /// let mut guard = Guard::new().clip(clip::TensorNorm::new(2.0)?);
    /// let plan = guard.plan(&grads)?;
    /// assert_eq!((plan.factor(0), plan.factor(1)), (Some(0.25), Some(1.0)));
    /// let mut guard = Guard::new().clip(clip::Value::new(2.0)?);
    /// assert_eq!(guard.plan(&grads)?.factor(0), None);   // a clamp is no factor
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn factor(&self, index: usize) -> Option<f64> {
        self.guard
            .report
            .edits
            .get(index)
            .factor()
            .map(Factor::to_f64)
            .filter(|factor| factor.is_normal())
    }

    /// Everything measured and decided.
    ///
    /// ```
    /// use steadygrad::{clip, Guard};
    /// let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
    /// let plan = guard.plan(&[3.0_f32, 4.0])?;
    /// assert_eq!(plan.report().to_string(), "step 1: norm 5.000 -> 1.000, scaled by 0.2000; apply");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn report(&self) -> &Report {
        &self.guard.report
    }

    /// Carries it out on the gradients it was made for.
    ///
    /// ```
    /// use steadygrad::{clip, Guard};
    /// let (mut grads, mut others) = ([("w", [4.0_f32])], [("b", [4.0_f32])]);
    /// let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
    /// assert!(guard.plan(&grads)?.apply(&mut others).is_err());
    /// assert_eq!(guard.plan(&grads)?.apply(&mut grads)?.after(), 1.0);
    /// assert_eq!((grads, others), ([("w", [1.0])], [("b", [4.0])]));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Name`](crate::Error::Name) or [`Error::Count`](crate::Error::Count) if these are other
    /// gradients, by their names, number or sizes; nothing is changed then. And what the tensors give.
    pub fn apply<G: TensorSetMut + ?Sized>(self, grads: &mut G) -> Result<&'g Report> {
        fits(&self.guard.report.before, &*grads)?;
        self.carry_out(grads)
    }

    fn carry_out<G: TensorSetMut + ?Sized>(self, grads: &mut G) -> Result<&'g Report> {
        let report = &mut self.guard.report;
        report
            .after
            .carry_out(grads, &report.before, &report.edits)?;
        Ok(report)
    }
}

/// Whether `grads` are those that `seen` tells of, by names, number and sizes.
fn fits<G: TensorSet + ?Sized>(seen: &Measurement, grads: &G) -> Result<()> {
    let mut index = 0;
    grads.visit(&mut |name, tensor| {
        if index < seen.len() {
            let (expected, len) = (seen.name(index), seen.tensor(index).len() as usize);
            if name != expected {
                return Err(Error::Name {
                    index,
                    expected: expected.into(),
                    found: name.into(),
                });
            }
            if tensor.len() != len {
                return Err(Error::Count {
                    what: "elements of a gradient",
                    expected: len,
                    found: tensor.len(),
                });
            }
        }
        index += 1;
        Ok(())
    })?;
    if index == seen.len() {
        Ok(())
    } else {
        Err(Error::Count {
            what: "tensors of the set",
            expected: seen.len(),
            found: index,
        })
    }
}
