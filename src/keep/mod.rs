//! The last good parameters, kept while a run is healthy and brought back when it is not.
//!
//! [`Keep`] copies parameters, optimiser state and the rules' own state while steps are healthy;
//! [`Recovery`](crate::Recovery) decides when to go back to them.

mod clones;
mod tensors;

use core::mem;

use crate::detect::Severity;
use crate::guard::{Guard, Stepped};
use crate::{Error, GuardState, Report, Result};

pub use clones::Clones;
pub use tensors::Tensors;

/// Where something is copied to, and comes back from as it was.
///
/// [`Tensors`] is one for every set of tensors, [`Clones`] for every value that can be cloned. One of your own lets
/// [`Keep`] hold what neither can.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use steadygrad::{keep::{Keep, Memory}, Guard, Result};
///
/// /// Of a counter, its value.
/// #[derive(Debug, Default)]
/// struct Count(u64);
///
/// impl Memory<AtomicU64> for Count {
///     fn take(&mut self, from: &AtomicU64) -> Result<()> {
///         self.0 = from.load(Ordering::Relaxed);
///         Ok(())
///     }
///     fn give(&mut self, to: &mut AtomicU64) -> Result<()> {
///         *to.get_mut() = self.0;
///         Ok(())
///     }
/// }
///
/// let (mut guard, mut count) = (Guard::new(), AtomicU64::new(7));
/// let mut keep = Keep::<Count>::in_memory_after(1)?;
/// keep.note(&mut guard.step(&mut [0.5_f32])?, &count)?;
/// *count.get_mut() = 8;
/// keep.bring_back(&mut guard, &mut count)?;
/// assert_eq!(count.into_inner(), 7);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait Memory<S: ?Sized>: Default {
    /// Copies what there is, into the memory of the copy before.
    ///
    /// # Errors
    ///
    /// [`Error::NonFinite`] for what is not to be kept; any other is one of the storage. What is held then is nothing
    /// whole.
    fn take(&mut self, from: &S) -> Result<()>;

    /// Whether the copy can be given to `to`.
    ///
    /// # Errors
    ///
    /// What differs.
    fn fits(&self, to: &S) -> Result<()> {
        let _ = to;
        Ok(())
    }

    /// Puts the copy back.
    ///
    /// # Errors
    ///
    /// As [`Memory::fits`], and then nothing is changed; and what the storage gives.
    fn give(&mut self, to: &mut S) -> Result<()>;
}

/// Holds the last parameters that passed `k` healthy steps, and the guard's rules as they were then.
///
/// Any set will do: parameters alone, or a named list of parameters, an optimiser's moments and its counter as one. It
/// comes back bit for bit ([`Tensors`] says how). A step is healthy if its verdict is to apply it, nothing in it is NaN
/// or infinite, and no alarm is [grave](Severity::Grave).
///
/// Two copies are held. What is seen on a healthy step becomes the candidate; when so many healthy steps have been taken
/// since, it is confirmed, and the next one begins. So what is gone back to is between `k` and `2k` healthy steps old,
/// and a run that went wrong up to `k` steps before anybody noticed is still saved. A step that is skipped does not
/// count. One that is to be rolled back, or of which an alarm is grave, ends the candidate. Until one is confirmed, what is
/// kept is what there was on the first step.
///
/// The copy is of parameters as they are *before* they are updated, those that the loss and the gradients of the step
/// belong to, beside the rules as they were before that step. Going back leads to the moment between two steps: with the
/// same batches every later decision and every later bit is the same.
///
/// Every tensor has its size from the first step on: moments that an optimiser only makes later are another set.
///
/// The copies take their memory once; the rules' state, a few numbers each, is taken anew for every candidate.
///
/// # Examples
///
/// [`Recovery`](crate::Recovery) does this for a whole loop. By hand:
///
/// ```
/// use steadygrad::{detect, keep::Keep, Guard, Step, Verdict};
///
/// let mut guard = Guard::new().detect_with(Verdict::Rollback, detect::NormThreshold::new(100.0)?);
/// let (mut keep, mut w, mut rate) = (Keep::after(3)?, vec![4.0_f32], 0.1);
/// for step in 0..40 {
///     if step == 20 { rate = 5.0 }                            // somebody's mistake
///     let mut grads: Vec<f32> = w.iter().map(|w| 2.0 * w).collect();
///     let mut stepped = guard.step(Step::new(&mut grads).params(&w))?;
///     keep.note(&mut stepped, &w)?;
///     match stepped.verdict() {
///         Verdict::Apply => w.iter_mut().zip(&grads).for_each(|(w, g)| *w -= rate * g),
///         Verdict::Rollback => { keep.bring_back(&mut guard, &mut w)?; rate = 0.1 }
///         Verdict::Skip | Verdict::Stop => break,
///     }
/// }
/// assert!(w[0].abs() < 1e-2);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Keep<K = Tensors> {
    after: u64,
    kept: Slot<K>,
    candidate: Slot<K>,
    /// How many healthy steps the candidate has seen, if there is one.
    survived: Option<u64>,
    /// The rules as they were behind the last step, if what comes with the next may be a candidate.
    rules: Option<GuardState>,
}

/// A copy, and what belongs to it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Slot<K> {
    memory: K,
    rules: Option<GuardState>,
    /// The step that it was seen on.
    step: u64,
    is_first: bool,
}

impl Keep {
    /// Of a set of tensors, confirmed on so many healthy steps.
    ///
    /// More steps go further back, and save a run of which the fault shows late; 20 is a good beginning.
    ///
    /// ```
    /// use steadygrad::keep::Keep;
    /// assert_eq!(Keep::after(20)?.steps(), 20);
    /// assert_eq!(Keep::after(0).unwrap_err().to_string(), "healthy steps: expected at least 1, found 0");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if it is 0.
    pub fn after(steps: u64) -> Result<Self> {
        Self::in_memory_after(steps)
    }
}

impl<T: Clone> Keep<Clones<T>> {
    /// Of any value that can be cloned, for models and optimisers that change by value.
    ///
    /// ```
    /// use steadygrad::{keep::Keep, Guard};
    /// let (mut guard, mut keep) = (Guard::new(), Keep::clones_after(1)?);
    /// let mut run = (vec![1.0_f32], "the optimiser's moments".to_string());
    /// keep.note(&mut guard.step(&mut [0.5_f32])?, &run)?;
    /// run = (vec![f32::NAN], String::new());
    /// keep.bring_back(&mut guard, &mut run)?;
    /// assert_eq!(run.0, [1.0]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `steps` is 0.
    pub fn clones_after(steps: u64) -> Result<Self> {
        Self::in_memory_after(steps)
    }
}

impl<K: Default> Keep<K> {
    /// In a [`Memory`] of one's own.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `steps` is 0.
    pub fn in_memory_after(steps: u64) -> Result<Self> {
        if steps == 0 {
            return Err(Error::Setting {
                what: "healthy steps",
                expected: "at least 1",
                found: 0.0,
            });
        }
        Ok(Self {
            after: steps,
            kept: Slot::default(),
            candidate: Slot::default(),
            survived: None,
            rules: None,
        })
    }
}

impl<K> Keep<K> {
    /// Looks at a step that was just guarded, and at what it was taken with: to be called once for each, before
    /// anything is updated.
    ///
    /// ```
    /// use steadygrad::{keep::Keep, Guard};
    /// let (mut guard, mut keep) = (Guard::new(), Keep::after(2)?);
    /// for step in 1..=4 {
    ///     keep.note(&mut guard.step(&mut [0.5_f32])?, &[step as f32])?;
    /// }
    /// // What came on the second step has seen two more healthy ones.
    /// assert_eq!((keep.step(), keep.is_first()), (Some(2), false));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NonFinite`] if there is NaN in `set` on the first step, so that there is nothing to go back to. And what
    /// the tensors give; what was kept before is still there.
    pub fn note<S: ?Sized>(&mut self, step: &mut Stepped<'_>, set: &S) -> Result<()>
    where
        K: Memory<S>,
    {
        let health = Health::of(step);
        let number = step.step();
        if self.step().is_none() {
            let guard = step.guard();
            // A guard that was used before is known only as it is behind this step.
            let rules = if number <= 1 {
                guard.state_at_first()
            } else {
                guard.state()
            };
            self.begin(rules, number, set)?;
        }
        match health {
            Health::Unknown => {
                // Nothing was updated, so this moment is as good as the one before the step.
                if self.rules.is_some() {
                    self.rules = Some(step.guard().state());
                }
                return Ok(());
            }
            Health::Bad => {
                self.forget_candidate();
                return Ok(());
            }
            Health::Good => (),
        }
        if let Some(survived) = &mut self.survived {
            *survived += 1;
        } else if let Some(rules) = self.rules.take() {
            match self.candidate.memory.take(set) {
                Ok(()) => self.survived = Some(1),
                // Not to be kept, and no fault of anybody who could do something about it now.
                Err(Error::NonFinite { .. }) => return Ok(()),
                Err(error) => return Err(error),
            }
            (self.candidate.rules, self.candidate.step) = (Some(rules), number);
        }
        if self.survived.is_some_and(|survived| survived >= self.after) {
            mem::swap(&mut self.kept, &mut self.candidate);
            self.kept.is_first = false;
            self.survived = None;
        }
        if self.survived.is_none() {
            self.rules = Some(step.guard().state());
        }
        Ok(())
    }

    /// Keeps what a loop begins with, before its first step. [`Keep::note`] does so by itself on the first step it is
    /// told of; behind a guard that goes on from somewhere this one is exact.
    ///
    /// ```
    /// use steadygrad::{keep::Keep, Guard};
    /// let (mut guard, mut keep, mut w) = (Guard::new(), Keep::after(20)?, [0.25_f32]);
    /// keep.start(&mut guard, &w)?;
    /// w[0] = f32::NAN;
    /// assert!(!guard.step(&mut [f32::NAN])?.verdict().is_apply());
    /// keep.bring_back(&mut guard, &mut w)?;
    /// assert_eq!((w, guard.state().step), ([0.25], 0));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NonFinite`] if there is NaN in it, and what the tensors give.
    pub fn start<S: ?Sized>(&mut self, guard: &mut Guard, set: &S) -> Result<()>
    where
        K: Memory<S>,
    {
        let rules = guard.state();
        let next = rules.step + 1;
        self.begin(rules, next, set)
    }

    fn begin<S: ?Sized>(&mut self, rules: GuardState, step: u64, set: &S) -> Result<()>
    where
        K: Memory<S>,
    {
        self.kept.rules = None;
        self.kept.memory.take(set)?;
        (self.kept.step, self.kept.is_first) = (step, true);
        self.kept.rules = Some(rules);
        self.forget_candidate();
        Ok(())
    }

    /// Puts back what is kept, and the guard's rules as they were with it: the next step has the number
    /// [`Keep::step`] once more. How many steps in a row were not taken the guard goes on counting, so that a loop that
    /// fails over and over is stopped.
    ///
    /// ```
    /// use steadygrad::{keep::Keep, Guard};
    /// let (mut guard, mut keep, mut w) = (Guard::new(), Keep::after(20)?, [1.0_f32]);
    /// assert!(keep.bring_back(&mut guard, &mut w).is_err());          // nothing is kept yet
    /// keep.note(&mut guard.step(&mut [0.5_f32])?, &w)?;
    /// w = [f32::NAN];
    /// keep.bring_back(&mut guard, &mut w)?;
    /// assert_eq!((w, guard.step(&mut [0.5_f32])?.step()), ([1.0], 1));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::State`] if nothing is kept yet, or the guard has other rules by now; [`Error::Name`], [`Error::Count`]
    /// or [`Error::State`] if `set` is one of other tensors. Nothing is changed then. And what the tensors give: if
    /// a storage fails half-way, some of it is what was kept and some is not, and there is nothing to train on until a
    /// second call succeeds.
    pub fn bring_back<S: ?Sized>(&mut self, guard: &mut Guard, set: &mut S) -> Result<()>
    where
        K: Memory<S>,
    {
        let Slot { memory, rules, .. } = &mut self.kept;
        let rules = rules.as_ref().ok_or_else(|| Error::State {
            expected: "something kept".into(),
            found: "nothing".into(),
        })?;
        memory.fits(set)?;
        guard.rewind(rules)?;
        memory.give(set)?;
        self.forget_candidate();
        Ok(())
    }

    fn forget_candidate(&mut self) {
        (self.survived, self.rules) = (None, None);
    }

    /// How many healthy steps confirm what is kept.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.after
    }

    /// The number of the step that [`Keep::bring_back`] leads to; `None` before there is any.
    ///
    /// ```
    /// use steadygrad::{keep::Keep, Guard};
    /// let (mut guard, mut keep, w) = (Guard::new(), Keep::after(2)?, [0.5_f32]);
    /// let mut steps = vec![keep.step()];
    /// for _ in 0..5 {
    ///     keep.note(&mut guard.step(&mut [0.5_f32])?, &w)?;
    ///     steps.push(keep.step());
    /// }
    /// assert_eq!(steps, [None, Some(1), Some(1), Some(2), Some(2), Some(4)]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn step(&self) -> Option<u64> {
        self.kept.rules.as_ref().map(|_| self.kept.step)
    }

    /// Whether that is what the loop began with, since nothing is confirmed yet.
    ///
    /// ```
    /// use steadygrad::{keep::Keep, Guard};
    /// let (mut guard, mut keep, w) = (Guard::new(), Keep::after(1)?, [0.5_f32]);
    /// keep.note(&mut guard.step(&mut [0.5_f32])?, &w)?;
    /// assert!(keep.is_first());
    /// keep.note(&mut guard.step(&mut [0.5_f32])?, &w)?;
    /// assert!(!keep.is_first());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.kept.is_first
    }
}

/// What a step says of the parameters it was taken with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Health {
    Good,
    /// It was left out.
    Unknown,
    Bad,
}

impl Health {
    pub(crate) fn of(report: &Report) -> Self {
        use crate::Verdict::{Apply, Rollback, Skip, Stop};
        let is_grave = || {
            let mut alarms = report.alarms().iter();
            alarms.any(|alarm| alarm.how_severe() >= Severity::Grave)
        };
        match report.verdict() {
            Apply if report.non_finite().is_some() || is_grave() => Self::Bad,
            Apply => Self::Good,
            Skip => Self::Unknown,
            Rollback | Stop => Self::Bad,
        }
    }
}
