//! What a guarded step came to.

use alloc::string::String;
use alloc::vec::Vec;

use crate::after::{After, ToldBy};
use crate::detect::Alarm;
use crate::verdict::Verdict;
use crate::{Edit, Edits, Measurement, Stats};

/// One tensor of a [`Report`].
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, Guard};
///
/// let mut grads = [("w", vec![3.0_f32, 4.0]), ("b", vec![0.0])];
/// let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
/// let report = guard.step(&mut grads)?;
/// let w = report.tensors().next().unwrap();
/// assert_eq!((w.name, w.before.l2(), w.after.unwrap().l2()), ("w", 5.0, 1.0));
/// assert_eq!(w.edit.factor().unwrap().to_f64(), 0.2);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct TensorReport<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it was.
    pub before: &'a Stats,
    /// What it is now, by arithmetic where it was only scaled; `None` in a plan whose clamp bites and
    /// was not carried out yet.
    pub after: Option<Stats>,
    /// What was done.
    pub edit: Edit<'a>,
}

/// What the gradients were multiplied by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale(pub(crate) f64);

impl Scale {
    pub(crate) const ONE: Self = Self(1.0);

    /// What the tensors hold: the gradients themselves, or these times the scale.
    pub(crate) fn raw<'m>(
        self,
        grads: &'m Measurement,
        scaled: &'m Measurement,
    ) -> &'m Measurement {
        if self == Self::ONE { grads } else { scaled }
    }

    /// How many operations undo it, in a set of so many tensors.
    pub(crate) fn pushed(self, tensors: usize) -> u64 {
        if self == Self::ONE { 0 } else { tensors as u64 }
    }
}

impl Default for Scale {
    fn default() -> Self {
        Self::ONE
    }
}

/// What a guarded step came to: norms, edits, alarms and the verdict.
///
/// `Display` gives one line, which tells of an event when it begins and when it ends, and in between only where it
/// decides; [`Report::alarms`] has all. The report belongs to the guard, so nothing of it outlives the next step.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, detect, Guard};
///
/// let mut grads = [("w", vec![30.0_f32, 40.0]), ("b", vec![0.0])];
/// let mut guard = Guard::new().detect(detect::NormThreshold::new(10.0)?).clip(clip::GlobalNorm::new(1.0)?);
/// let report = guard.step(&mut grads)?;
/// assert!(report.verdict().is_apply());
/// assert_eq!(
///     report.to_string(),
///     "step 1: norm 50.00 -> 1.000, scaled by 0.02000; apply; \
///      the norm of the gradients is 50.00, above 10.00 (norm threshold)",
/// );
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub(crate) step: u64,
    pub(crate) loss: Option<f64>,
    pub(crate) before: Measurement,
    /// What the tensors held, if that is not the gradients but these times a loss scale.
    pub(crate) raw: Measurement,
    pub(crate) scale: Scale,
    pub(crate) params: Option<Measurement>,
    pub(crate) has_params: bool,
    pub(crate) updates: Option<Measurement>,
    pub(crate) has_updates: bool,
    pub(crate) signals: Vec<(&'static str, f64)>,
    pub(crate) after: After,
    pub(crate) edits: Edits,
    pub(crate) alarms: Vec<Alarm>,
    /// Non-finite numbers that the policy acted on.
    pub(crate) fault: Option<Alarm>,
    pub(crate) origin: Option<String>,
    /// Alarms of the step before that did not go on.
    pub(crate) ended: Vec<Alarm>,
    pub(crate) abstained: Vec<(&'static str, &'static str)>,
    /// The clippers whose bound of 0 left nothing.
    pub(crate) zeroed: Vec<&'static str>,
    pub(crate) verdict: Verdict,
    pub(crate) skips: u32,
    pub(crate) rollbacks: u32,
    /// On which other rank the verdict was come to, if on none before and not here.
    pub(crate) decided_on: Option<usize>,
}

/// Of the same step with the same numbers; one that holds NaN is equal to none.
impl PartialEq for Report {
    fn eq(&self, other: &Self) -> bool {
        (self.step, self.loss, self.verdict) == (other.step, other.loss, other.verdict)
            && (self.skips, self.rollbacks) == (other.skips, other.rollbacks)
            && self.before == other.before
            && self.before() == other.before()
            && self.after.total() == other.after.total()
            && self.tensors().eq(other.tensors())
            && self.alarms == other.alarms
            && self.fault == other.fault
            && self.origin == other.origin
            && self.ended == other.ended
            && self.signals == other.signals
            && self.params() == other.params()
            && self.updates() == other.updates()
            && self.abstained == other.abstained
            && self.zeroed == other.zeroed
    }
}

impl Report {
    /// Of a step of which nothing is known yet.
    pub(crate) fn begin(&mut self, step: u64, loss: Option<f64>) {
        self.step = step;
        self.loss = loss;
        self.verdict = Verdict::Apply;
        self.fault = None;
        self.origin = None;
        self.alarms.clear();
        self.ended.clear();
        self.abstained.clear();
        self.zeroed.clear();
        self.signals.clear();
        (self.has_params, self.has_updates) = (false, false);
        self.decided_on = None;
        (self.after.total, self.after.told_by) = (None, ToldBy::NoRead);
    }

    /// What the tensors hold.
    pub(crate) fn raw(&self) -> &Measurement {
        self.scale.raw(&self.before, &self.raw)
    }

    /// The number of the step, from 1.
    ///
    /// ```
    /// use steadygrad::Guard;
    /// let mut guard = Guard::new();
    /// assert_eq!(guard.step(&mut [f32::NAN])?.step(), 1);   // skipped, and counted all the same
    /// assert_eq!(guard.step(&mut [1.0_f32])?.step(), 2);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn step(&self) -> u64 {
        self.step
    }

    /// What the training loop should do.
    ///
    /// ```
    /// use steadygrad::{Guard, Verdict};
    /// assert_eq!(Guard::new().step(&mut [1.0_f32])?.verdict(), Verdict::Apply);
    /// assert_eq!(Guard::new().step(&mut [f32::NAN])?.verdict(), Verdict::Skip);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The loss, if it was given.
    ///
    /// ```
    /// use steadygrad::{Guard, Step};
    /// let mut guard = Guard::new();
    /// assert_eq!(guard.step(Step::new(&mut [1.0_f32]).loss(0.5_f32))?.loss(), Some(0.5));
    /// assert_eq!(guard.step(&mut [1.0_f32])?.loss(), None);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn loss(&self) -> Option<f64> {
        self.loss
    }

    /// The L2 norm of all gradients as they came; NaN or +∞ if an element is, +∞ past the range of `f64`.
    ///
    /// ```
    /// use steadygrad::{clip, Guard};
    /// let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
    /// assert_eq!(guard.step(&mut [3.0_f32, 4.0])?.before(), 5.0);
    /// assert_eq!(guard.step(&mut [f32::INFINITY])?.before(), f64::INFINITY);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn before(&self) -> f64 {
        self.before.total().l2()
    }

    /// The L2 norm of all gradients as they are left, by arithmetic where they were only scaled. NaN in a
    /// plan whose clamp bites and was not carried out yet.
    ///
    /// ```
    /// use steadygrad::{clip, Guard};
    /// let mut guard = Guard::new().clip(clip::Value::new(3.0)?);
    /// let mut grads = [3.0_f32, 9.0];
    /// assert!(guard.plan(&grads)?.report().after().is_nan());   // nobody knows yet
    /// assert_eq!(guard.step(&mut grads)?.after(), 18_f64.sqrt());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn after(&self) -> f64 {
        self.after.total().map_or(f64::NAN, |stats| stats.l2())
    }

    /// Everything measured of the gradients as they came. Σ|x| and powers are there if a rule needs them,
    /// or [`Guard::also_measure`](crate::Guard::also_measure) asks for them.
    ///
    /// ```
    /// use steadygrad::{Guard, Needs, Norm};
    /// let mut guard = Guard::new().also_measure(&Needs::norms().of_magnitudes());
    /// let report = guard.step(&mut [3.0_f32, -4.0])?;
    /// assert_eq!(report.measurement().total().norm(Norm::L1).to_f64(), 7.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn measurement(&self) -> &Measurement {
        &self.before
    }

    /// What is done to each tensor.
    ///
    /// ```
    /// use steadygrad::{clip, Guard};
    /// let mut guard = Guard::new().clip(clip::TensorNorm::new(1.0)?);
    /// let report = guard.step(&mut [[0.5_f32], [4.0]])?;
    /// assert!(report.edits().get(0).is_keep());
    /// assert_eq!(report.edits().get(1).factor().unwrap().to_f64(), 0.25);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn edits(&self) -> &Edits {
        &self.edits
    }

    /// Whether any gradient is changed.
    ///
    /// ```
    /// use steadygrad::{clip, Guard};
    /// let mut guard = Guard::new().clip(clip::GlobalNorm::new(5.0)?);
    /// assert!(!guard.step(&mut [3.0_f32, 4.0])?.is_clipped());   // equality is not above
    /// assert!(guard.step(&mut [3.0_f32, 4.1])?.is_clipped());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn is_clipped(&self) -> bool {
        // The first edit may be that by the loss scale.
        self.edits.pushed() > self.scale.pushed(self.before.len())
    }

    /// The smallest factor by which a tensor is scaled, with all rules together: 1 for one that is kept, 0
    /// for one that is zeroed. A clamp does not count, the scales beside it do. Where units have factors of
    /// their own, the smallest in magnitude counts.
    ///
    /// ```
    /// use steadygrad::{clip, Guard};
    /// let mut guard = Guard::new().clip(clip::Value::new(3.0)?).clip(clip::TensorNorm::new(1.5)?);
    /// assert_eq!(guard.step(&mut [[1.5_f32], [2.0], [9.0]])?.factor(), 0.5);   // clamped to 3, scaled to 1.5
    /// assert_eq!(guard.step(&mut [[0.5_f32]])?.factor(), 1.0);
    /// let mut guard = Guard::new().clip(clip::GlobalNorm::new(0.0)?);
    /// assert_eq!(guard.step(&mut [[0.5_f32]])?.factor(), 0.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn factor(&self) -> f64 {
        if self.edits.is_keep() {
            return 1.0;
        }
        self.edits.least_factor() * self.scale.0
    }

    /// Each tensor in order.
    ///
    /// ```
    /// use steadygrad::{clip, Guard};
    /// let mut guard = Guard::new().clip(clip::TensorNorm::new(1.0)?);
    /// let report = guard.step(&mut [("w", [4.0_f32]), ("b", [0.5])])?;
    /// let clipped: Vec<&str> = report.tensors().filter(|t| !t.edit.is_keep()).map(|t| t.name).collect();
    /// assert_eq!(clipped, ["w"]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn tensors(&self) -> impl Iterator<Item = TensorReport<'_>> {
        // What is not edited is left as it came, of which the true gradients are told.
        let from = if self.edits.is_keep() {
            &self.before
        } else {
            self.raw()
        };
        (0..self.before.len()).map(move |i| TensorReport {
            name: self.before.name(i),
            before: self.before.tensor(i),
            after: self.after.tensor(i, from, &self.edits),
            edit: self.edits.get(i),
        })
    }

    /// What the detectors found, in the order of the chain: what [begins](Alarm::is_new) with this step, and what goes
    /// on.
    ///
    /// ```
    /// use steadygrad::{detect::NormThreshold, Guard};
    /// let mut guard = Guard::new().detect(NormThreshold::new(2.0)?).detect(NormThreshold::new(4.0)?);
    /// let report = guard.step(&mut [3.0_f32])?;
    /// assert_eq!(report.alarms().len(), 1);
    /// assert_eq!(report.alarms()[0].bound(), 2.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn alarms(&self) -> &[Alarm] {
        &self.alarms
    }

    /// The first thing found that is not finite (loss, gradients, parameters, in this order), on which
    /// the policy acted.
    ///
    /// ```
    /// use steadygrad::Guard;
    /// let mut guard = Guard::new();
    /// let report = guard.step(&mut [("w", [1.0_f32]), ("b", [f32::NAN])])?;
    /// assert_eq!(report.non_finite().and_then(|fault| fault.tensor()), Some("b"));
    /// assert!(guard.step(&mut [1.0_f32])?.non_finite().is_none());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn non_finite(&self) -> Option<&Alarm> {
        self.fault.as_ref()
    }

    /// The alarms of the step before that do not go on, as they were last.
    ///
    /// ```
    /// use steadygrad::{detect::NormThreshold, Guard};
    /// let mut guard = Guard::new().detect(NormThreshold::new(1.0)?);
    /// assert!(guard.step(&mut [2.0_f32])?.ended().is_empty());
    /// let report = guard.step(&mut [0.5_f32])?;
    /// assert_eq!((report.ended()[0].since(), report.ended()[0].value()), (1, 2.0));
    /// assert_eq!(
    ///     report.to_string(),
    ///     "step 2: norm 0.5000; apply; over after 1 step: the norm of the gradients above 1.000 (norm threshold)",
    /// );
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn ended(&self) -> &[Alarm] {
        &self.ended
    }

    /// Who made what is not finite, if the step was told [whom to ask](crate::Step::explained_by) and there was an
    /// answer.
    ///
    /// ```
    /// use steadygrad::{Guard, Step};
    /// let mut guard = Guard::new();
    /// let origin = || Some("a division by the variance");
    /// let report = guard.step(Step::new(&mut [f32::NAN]).explained_by(&origin))?;
    /// assert_eq!(report.origin(), Some("a division by the variance"));
    /// assert!(report.to_string().ends_with(", made by a division by the variance"));
    /// assert_eq!(guard.step(Step::new(&mut [0.5_f32]).explained_by(&origin))?.origin(), None);   // nobody asks
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// What was measured of the parameters, if they were given.
    ///
    /// ```
    /// use steadygrad::{Guard, Step};
    /// let mut guard = Guard::new();
    /// let report = guard.step(Step::new(&mut [1.0_f32]).params(&[3.0_f32]))?;
    /// assert_eq!(report.params().map(|params| params.total().l2()), Some(3.0));
    /// assert!(guard.step(&mut [1.0_f32])?.params().is_none());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn params(&self) -> Option<&Measurement> {
        self.params.as_ref().filter(|_| self.has_params)
    }

    /// What was measured of the updates of the step before, if they were given.
    #[must_use]
    pub fn updates(&self) -> Option<&Measurement> {
        self.updates.as_ref().filter(|_| self.has_updates)
    }

    /// What the loop told under names of its own.
    #[must_use]
    pub fn signals(&self) -> &[(&'static str, f64)] {
        &self.signals
    }

    /// The rules that had nothing to say, and why: there was no finite norm to go by, or nothing that they go by was
    /// given.
    ///
    /// ```
    /// use steadygrad::{clip, detect, Guard, OnNonFinite};
    /// let mut guard = Guard::new()
    ///     .clip(clip::GlobalNorm::new(1.0)?)
    ///     .detect(detect::Plateau::new(0.0, 10)?)
    ///     .on_non_finite(OnNonFinite::Propagate);
    /// let report = guard.step(&mut [9.0_f32, f32::NAN])?;
    /// assert_eq!(report.abstained(), [
    ///     ("global norm clip", "the norm is not finite"),
    ///     ("plateau", "no loss was given"),
    /// ]);
    /// assert!(!report.is_clipped());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn abstained(&self) -> &[(&'static str, &'static str)] {
        &self.abstained
    }

    /// The clippers that zeroed gradients since their bound is 0, which may have been meant to switch them off.
    ///
    /// ```
    /// use steadygrad::{clip, Guard};
    /// let max_grad_norm = 0.0_f32;   // off, in many a configuration; here it is a bound
    /// let mut guard = Guard::new().clip(clip::GlobalNorm::new(max_grad_norm)?);
    /// let report = guard.step(&mut [3.0, 4.0])?;
    /// assert_eq!(report.zeroed_by(), ["global norm clip"]);
    /// assert_eq!(
    ///     report.to_string(),
    ///     "step 1: norm 5.000 -> 0, 1 of 1 tensors edited, zeroed by a bound of 0 (global norm clip); apply",
    /// );
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn zeroed_by(&self) -> &[&'static str] {
        &self.zeroed
    }

    /// Whether there was nothing to be seen: no tensor, or none that has a gradient. The norm is 0 then, and
    /// nothing is wrong with it; but a loop whose gradients never arrive looks just so.
    ///
    /// ```
    /// use steadygrad::Guard;
    /// let mut guard = Guard::new();
    /// let report = guard.step(&mut [("w", None::<Vec<f32>>)])?;
    /// assert!(report.nothing_seen());
    /// assert_eq!(report.to_string(), "step 1: nothing seen, none of 1 tensors has a gradient; apply");
    /// assert!(!guard.step(&mut [("w", Some(vec![0.0_f32]))])?.nothing_seen());   // a zero is something
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn nothing_seen(&self) -> bool {
        self.step > 0 && !self.unread() && self.before.total().is_empty()
    }

    /// How many gradients were found that belong to no tensor of the set, as far as the set
    /// [tells](crate::Reading::unmatched). If there are some and none belongs to it, the step is an
    /// [error](crate::Error::Unmatched).
    #[must_use]
    pub fn unmatched(&self) -> usize {
        self.before.unmatched
    }

    /// How many steps were skipped since one was taken, this one included.
    ///
    /// ```
    /// use steadygrad::Guard;
    /// let mut guard = Guard::new();
    /// assert_eq!(guard.step(&mut [f32::NAN])?.skips(), 1);
    /// assert_eq!(guard.step(&mut [f32::NAN])?.skips(), 2);
    /// assert_eq!(guard.step(&mut [1.0_f32])?.skips(), 0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn skips(&self) -> u32 {
        self.skips
    }

    /// How many steps were to be rolled back since one was taken, this one included.
    ///
    /// ```
    /// use steadygrad::{detect::NormThreshold, Guard, Verdict};
    /// let mut guard = Guard::new().detect_with(Verdict::Rollback, NormThreshold::new(1.0)?);
    /// assert_eq!(guard.step(&mut [2.0_f32])?.rollbacks(), 1);
    /// assert_eq!(guard.step(&mut [2.0_f32])?.rollbacks(), 2);
    /// assert_eq!(guard.step(&mut [1.0_f32])?.rollbacks(), 0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn rollbacks(&self) -> u32 {
        self.rollbacks
    }
}

impl Report {
    /// The first rank whose rules came to the [verdict](Report::verdict), if those of this rank did not
    /// ([`reduce`](crate::reduce)).
    #[must_use]
    pub fn decided_on(&self) -> Option<usize> {
        self.decided_on
    }

    /// Whether the gradients could not be read to the end.
    pub(crate) fn unread(&self) -> bool {
        self.after.told_by == ToldBy::NoRead
    }
}
