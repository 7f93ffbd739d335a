//! Everything composed into one line per training step.

mod agree;
mod brief;
mod chain;
mod events;
mod judge;
mod memory;
mod paired;
mod plan;
mod policy;
mod step;
mod stepped;
mod units;

use alloc::boxed::Box;
use alloc::vec::Vec;

use self::chain::{Link, Rule, Tap};
use self::events::{Events, reserve};
use self::paired::Paired;
use crate::clip::Clipper;
use crate::detect::{Alarms, Detector};
use crate::penalty::Penalty;
use crate::reduce::{AllReduce, Shards, Signed, Wire};
use crate::{Error, Measurement, Needs, Report, Result, StepView, TensorSet, Verdict, Verdicts};

pub use plan::Plan;
pub use policy::OnNonFinite;
pub use step::{Explanation, Step};
pub use stepped::Stepped;

/// Clippers and detectors in the order given, and a policy for what is not finite: one call per step.
///
/// Rules run in order. Each sees the gradients as those before it would leave them, so a detector in
/// front of a clipper watches what comes in, and one behind it what goes out. The gradients are read once,
/// and once more for each rule that follows a clamp that bites; they are written at most once.
/// After the first call a step allocates nothing (for arrays of up to four axes).
///
/// Anything that is not finite is met by the policy first ([`OnNonFinite`], by default
/// [`OnNonFinite::Skip`]). A norm rule has nothing to say of it and abstains. Skips are counted: after
/// [`Guard::max_skips`] in a row (10) the next one is [`Verdict::Stop`], and so it is for rollbacks
/// ([`Guard::max_rollbacks`], 3). A step that ends in an error is not taken either and counts as a skip. What
/// ends a row is a step that is taken.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, detect, Guard, OnNonFinite, Verdict};
///
/// let mut guard = Guard::new()
///     .detect(detect::Spike::of_norm())
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
pub struct Guard {
    links: Vec<Link>,
    /// What the report is to have whatever the rules need.
    asked: Needs,
    /// That two things were asked for of which one read gives one.
    unmet: Option<Error>,
    needs: Needs,
    /// Of parameters and updates.
    beside: Needs,
    /// Of what is left of the gradients, where ranks agree on it.
    left: Needs,
    on_non_finite: OnNonFinite,
    max_skips: u32,
    max_rollbacks: u32,
    requires_gradients: bool,
    /// How many steps there were, which is what the last one is called.
    at: u64,
    /// The skips and the rollbacks of the row that the next step may go on with.
    in_a_row: [u32; 2],
    /// Those that the last step could go on with.
    row: [u32; 2],
    /// Parameters and updates.
    paired: [Paired; 2],
    /// The gradients as the edits planned so far would leave them.
    now: Measurement,
    /// What the detector whose turn it is says.
    alarms: Alarms,
    events: Events,
    /// Whether there was a step of which the rules were not told what became of it.
    open: bool,
    report: Report,
    /// To the guards of other ranks.
    wire: Option<Box<Wire>>,
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
            links: Vec::new(),
            asked: Needs::default(),
            unmet: None,
            needs: Needs::default(),
            beside: Needs::default(),
            left: Needs::default(),
            on_non_finite: OnNonFinite::default(),
            max_skips: 10,
            max_rollbacks: 3,
            requires_gradients: false,
            at: 0,
            in_a_row: [0; 2],
            row: [0; 2],
            paired: Default::default(),
            now: Measurement::default(),
            alarms: Alarms::default(),
            events: Events::default(),
            open: false,
            report,
            wire: None,
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

    /// Adds a detector whose alarms decide: the gravest verdict of a step counts. One [`Verdict`] is for all of its
    /// alarms, [`Verdicts`] are by how grave they are.
    ///
    /// ```
    /// use steadygrad::{detect, Guard, Verdict, Verdicts};
    /// let mut guard = Guard::new()
    ///     .detect_with(Verdict::Stop, detect::NormThreshold::new(100.0)?)
    ///     .detect_with(Verdicts::default().grave(Verdict::Rollback), detect::Spike::of_norm());
    /// for _ in 0..10 {
    ///     assert_eq!(guard.step(&mut [1.0_f32])?.verdict(), Verdict::Apply);
    /// }
    /// let verdicts = [9.0_f32; 5].map(|norm| guard.step(&mut [norm]).map(|report| report.verdict()));
    /// assert_eq!(verdicts[..4], [const { Ok(Verdict::Apply) }; 4]);    // spikes are only told
    /// assert_eq!(verdicts[4], Ok(Verdict::Rollback));                  // a shift is more
    /// assert_eq!(guard.step(&mut [101.0_f32])?.verdict(), Verdict::Stop);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn detect_with(
        self,
        verdicts: impl Into<Verdicts>,
        detector: impl Detector + 'static,
    ) -> Self {
        self.push(Rule::Detect(verdicts.into(), Box::new(detector)))
    }

    /// Lets somebody look at each step from this place in the chain.
    ///
    /// ```
    /// use std::sync::mpsc::channel;
    /// use steadygrad::{clip, Guard};
    /// let (sender, norms) = channel();
    /// let after = sender.clone();
    /// let mut guard = Guard::new()
    ///     .tap(move |step| drop(sender.send(step.grads.total().l2())))
    ///     .clip(clip::GlobalNorm::new(1.0)?)
    ///     .tap(move |step| drop(after.send(step.grads.total().l2())));
    /// assert!(guard.step(&mut [3.0, 4.0])?.verdict().is_apply());
    /// assert_eq!(norms.try_iter().collect::<Vec<_>>(), [5.0, 1.0]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn tap(self, f: impl FnMut(&StepView<'_>) + Send + Sync + 'static) -> Self {
        self.push(Rule::Tap(Tap(Box::new(f))))
    }

    /// Measures more of the gradients than the rules need, for the report. One read sums the powers of one p and
    /// the units of one kind: to ask for a second is an error of every step. Rules may differ; each sees its own.
    ///
    /// ```
    /// use steadygrad::{Guard, Needs};
    /// let mut guard = Guard::new();
    /// assert!(guard.step(&mut [3.0, -4.0])?.measurement().total().l1().is_nan());   // nobody asked
    /// let mut guard = guard.also_measure(&Needs::norms().of_magnitudes());
    /// assert_eq!(guard.step(&mut [3.0, -4.0])?.measurement().total().l1(), 7.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn also_measure(mut self, needs: &Needs) -> Self {
        let asked = self.asked.or(needs);
        let contradiction = (!asked.covers(needs)).then(|| {
            let (what, found) = match needs.power.filter(|_| asked.power != needs.power) {
                Some(p) => ("p of a norm for the report", p),
                None => ("units for the report", f64::NAN),
            };
            Error::Setting {
                what,
                expected: "the one that was asked for before",
                found,
            }
        });
        let needs = asked.clone().or(&self.needs);
        self.unmet = self.unmet.or(contradiction);
        self.asked = asked;
        self.need(needs);
        self
    }

    /// Every read is to find the same groups, so that none has to ask again who is in them.
    fn need(&mut self, needs: Needs) {
        for link in &mut self.links {
            link.needs.groups.clone_from(&needs.groups);
        }
        self.beside = needs.beside();
        if let Some(wire) = &mut self.wire {
            wire.part();
        }
        self.needs = needs;
    }

    fn push(mut self, rule: Rule) -> Self {
        let link = Link::new(rule);
        let needs = self.needs.clone().or(&link.needs);
        self.links.push(link);
        self.need(needs);
        self.make_room();
        reserve(&mut self.report.abstained, self.links.len());
        reserve(&mut self.report.zeroed, self.links.len());
        self.report.edits.make_room(1);
        self
    }

    /// Makes room for every rule to say all that it may, so that no step has to.
    fn make_room(&mut self) {
        let room = self.links.iter().map(|link| link.room).sum();
        self.alarms.reserve(room);
        self.events.make_room(room);
        reserve(&mut self.report.alarms, room);
        reserve(&mut self.report.ended, room);
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
    /// [`Verdict::Stop`]. 10 by default. Steps refused by an error count too, and the error that ends the row is
    /// [`Error::Stop`].
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

    /// Sets how many steps in a row may be answered by [`Verdict::Rollback`]; the next one is to
    /// [`Verdict::Stop`]. 3 by default: going back once more to where a run goes wrong each time leads nowhere.
    ///
    /// ```
    /// use steadygrad::{detect, Guard, Verdict};
    /// let mut guard = Guard::new()
    ///     .detect_with(Verdict::Rollback, detect::NormThreshold::new(10.0)?)
    ///     .max_rollbacks(1);
    /// assert_eq!(guard.step(&mut [99.0_f32])?.verdict(), Verdict::Rollback);
    /// assert_eq!(guard.step(&mut [99.0_f32])?.verdict(), Verdict::Stop);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn max_rollbacks(self, in_a_row: u32) -> Self {
        Self {
            max_rollbacks: in_a_row,
            ..self
        }
    }

    /// Refuses a step in which there is nothing to be seen: an empty set, or one none of whose tensors has a
    /// gradient. Without this it is an ordinary step of norm 0, of which the report says so
    /// ([`Report::nothing_seen`]).
    ///
    /// ```
    /// use steadygrad::{Error, Guard};
    /// let mut grads = [("w", None::<Vec<f32>>), ("b", None)];   // was backward forgotten?
    /// assert!(Guard::new().step(&mut grads)?.nothing_seen());
    /// let error = Guard::new().require_gradients().step(&mut grads).unwrap_err();
    /// assert_eq!(error, Error::NothingSeen { tensors: 2 });
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn require_gradients(self) -> Self {
        Self {
            requires_gradients: true,
            ..self
        }
    }

    /// Goes with the guards of other ranks, which have the same rules and hold other shards of the same gradient
    /// ([`reduce`](crate::reduce)): norms are those of all shards, and factors and verdicts are the same bits on every
    /// rank. An error of one rank is an error of all.
    ///
    /// Each rank makes every step, one without gradients too. What a rule looks at tensor by tensor, it is told of those
    /// on its own rank; what it decides holds on all.
    ///
    /// ```
    /// use steadygrad::reduce::{Shards, Threads};
    /// use steadygrad::{Guard, Verdict};
    ///
    /// let shards = [vec![("w", vec![3.0_f32])], vec![("v", vec![4.0]), ("b", vec![f32::NAN])], vec![]];
    /// std::thread::scope(|scope| {
    ///     for (wire, mut grads) in Threads::ranks_of(3).into_iter().zip(shards) {
    ///         scope.spawn(move || {
    ///             let mut guard = Guard::new().reduced_by(wire, Shards::tensors());
    ///             let report = guard.step(&mut grads).unwrap();
    ///             assert_eq!(report.verdict(), Verdict::Skip);
    ///             assert_eq!(report.non_finite().and_then(|fault| fault.tensor()), Some("b"));   // on every rank
    ///         });
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn reduced_by(self, wire: impl AllReduce + 'static, shards: Shards) -> Self {
        let wire = Some(Box::new(Wire::new(Box::new(wire), shards)));
        Self { wire, ..self }
    }

    /// The exact sum of what each rank gives, rounded once: the same on all of them. Every rank has to call for it. What is
    /// not finite makes it so. Without other ranks it is what was given.
    ///
    /// ```
    /// use steadygrad::reduce::{Shards, Threads};
    /// use steadygrad::Guard;
    /// std::thread::scope(|scope| {
    ///     for (wire, x) in Threads::ranks_of(3).into_iter().zip([1e300, 1.0, -1e300]) {
    ///         scope.spawn(move || {
    ///             let mut guard = Guard::new().reduced_by(wire, Shards::tensors());
    ///             assert_eq!(guard.reduce_value(x), Ok(1.0));
    ///         });
    ///     }
    /// });
    /// assert_eq!(Guard::new().reduce_value(0.5), Ok(0.5));
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Wire`] if a rank is gone or makes another call.
    pub fn reduce_value(&mut self, x: f64) -> Result<f64> {
        match &mut self.wire {
            None => Ok(x),
            Some(wire) => {
                let mut sum = Signed::default();
                sum.add(x);
                wire.sum_up(&Ok(()), sum)
            }
        }
    }

    /// The value of a penalty over the weights of all ranks, the same on each: the exact sum over tensors, or, where they
    /// are [cut](Shards::elements), over elements, rounded once, of which those that are tied count on their owner. Every
    /// rank has to call for it. The gradient of a penalty needs no other rank: add it with
    /// [`Penalty::apply`](crate::penalty::Penalty::apply) on each, whose value is this rank's.
    ///
    /// ```
    /// use steadygrad::penalty::{L2, Penalty};
    /// use steadygrad::reduce::{Owner, Shards, Threads};
    /// use steadygrad::Guard;
    ///
    /// let weights = [[("w", [3.0]), ("tied", [1.0])], [("v", [4.0]), ("tied", [1.0])]];
    /// std::thread::scope(|scope| {
    ///     for (wire, weights) in Threads::ranks_of(2).into_iter().zip(weights) {
    ///         scope.spawn(move || {
    ///             let mut guard = Guard::new().reduced_by(wire, Shards::tensors().tied("tied", Owner(0)));
    ///             let mut grads = weights.map(|(name, _)| (name, [0.0]));
    ///             let l2 = L2::new(1.0).unwrap();
    ///             assert!(l2.apply(&weights, &mut grads).is_ok());
    ///             assert_eq!(guard.penalty_value(&l2, &weights), Ok(13.0));   // (9 + 16 + 1)/2
    ///         });
    ///     }
    /// });
    /// assert_eq!(Guard::new().penalty_value(&L2::new(1.0)?, &[3.0, 4.0])?, 12.5);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the tensors of any rank give, and [`Error::Wire`] if a rank is gone or makes another call.
    pub fn penalty_value<P: Penalty, W: TensorSet + ?Sized>(
        &mut self,
        penalty: &P,
        weights: &W,
    ) -> Result<f64> {
        match &mut self.wire {
            None => penalty.value(weights),
            Some(wire) => wire.penalty(penalty, weights),
        }
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
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }
}
