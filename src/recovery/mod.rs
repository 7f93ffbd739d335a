//! What a loop does with verdicts: leave a step out, go back, end.

mod cap;
mod told;

use alloc::vec::Vec;
use core::fmt;

use self::cap::Cap;
use self::told::{Told, Why};
use crate::course::Course;
use crate::guard::{Guard, Stepped};
use crate::keep::{Health, Keep, Memory, Tensors};
use crate::{Error, Result, State, Verdict};

/// What is left for the loop to do.
///
/// # Examples
///
/// ```
/// use steadygrad::Action;
/// assert_eq!(Action::RolledBack.to_string(), "rolled back");
/// assert!(Action::Apply.is_apply() && !Action::Skip.is_apply());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[must_use = "it says whether to update the parameters"]
pub enum Action {
    /// Update the parameters, with the rate times [`Recovery::rate`].
    #[default]
    Apply,
    /// Leave the step out.
    Skip,
    /// Go on with the next batch: parameters, optimiser state and rules are those of a healthy step again.
    RolledBack,
    /// End the loop. Parameters, optimiser state and rules are the last good ones here too.
    Stop,
}

impl Action {
    /// Whether to update the parameters.
    #[must_use]
    pub fn is_apply(self) -> bool {
        self == Self::Apply
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Apply => "applied",
            Self::Skip => "skipped",
            Self::RolledBack => "rolled back",
            Self::Stop => "stopped",
        })
    }
}

/// Does what a guard says: lets a step be taken or leaves it out, goes back to the last good parameters with a lower
/// rate, ends the loop. Every one of these is capped, so that nothing loops for ever.
///
/// | the guard says | what is done | until |
/// |---|---|---|
/// | apply | [`Action::Apply`]; on a healthy step what is [kept](Keep) moves on | |
/// | skip | [`Action::Skip`] | 5 in a row, or 50 within 500 steps: the next one is a rollback |
/// | roll back | [`Action::RolledBack`]: parameters and rules as they were on a healthy step, the rate cut to a tenth | 10 while the run gets less than 1000 steps further, or the rate is below 1e-4: the next one is a stop |
/// | stop | [`Action::Stop`], with the last good parameters | |
///
/// After 100 good steps the rate is ten times as high again, up to 1. If the run is lost once more, twice as many good steps are
/// waited for, and so on, so that a rate that is too high is tried ever more rarely.
///
/// A tenth is what saved most of the nets that the repository's package `watch` lost and went back with; half of the rate
/// saved fewer.
///
/// The guard counts on through a rollback, and has its own caps of what is not taken in a row
/// ([`Guard::max_skips`], [`Guard::max_rollbacks`]). Steps get their numbers anew: after a rollback to step 80 the next
/// one is step 80 once more. A step that is an error, as under [`OnNonFinite::Error`](crate::OnNonFinite::Error), never
/// comes here. What is counted here goes by the furthest step that was ever applied, so a loop that
/// ends at a certain step ends.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, detect, keep::Keep, Action, Guard, Recovery, Step, Verdict};
///
/// let mut guard = Guard::new()
///     .detect_with(Verdict::Rollback, detect::NormThreshold::new(100.0)?)
///     .clip(clip::GlobalNorm::new(50.0)?);
/// let mut recovery = Recovery::new(Keep::after(10)?);
/// let (mut w, mut velocity, mut told) = (vec![3.0_f32, -4.0], vec![0.0_f32; 2], vec![]);
/// while guard.report().step() < 60 {
///     let rate = if guard.report().step() < 30 { 0.1 } else { 2.5 };      // somebody's mistake
///     let loss: f32 = w.iter().map(|w| w * w).sum();
///     let mut grads: Vec<f32> = w.iter().map(|w| 2.0 * w).collect();
///     let step = guard.step(Step::new(&mut grads).params(&w).loss(loss))?;
///     let action = recovery.act(step, &mut [("w", &mut w), ("velocity", &mut velocity)])?;
///     match action {
///         Action::Apply => for ((w, v), g) in w.iter_mut().zip(&mut velocity).zip(&grads) {
///             *v = 0.5 * *v + g;
///             *w -= rate * recovery.rate() as f32 * *v;
///         },
///         Action::Skip => continue,
///         Action::RolledBack => told.push(recovery.to_string()),
///         Action::Stop => break,
///     }
/// }
/// assert!(w.iter().all(|w| w.abs() < 1e-3));
/// assert_eq!(told[0], "step 43: rolled back to step 32, rate cut to 0.1000; the guard says roll back");
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Recovery<K = Tensors> {
    keep: Keep<K>,
    cut: f64,
    wait: u64,
    max_skips: u32,
    skips: Cap,
    rollbacks: Cap,
    count: Count,
    course: Course,
    told: Told,
}

/// What is remembered between steps, besides the caps.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Count {
    rate: f64,
    /// Good steps since the rate last changed.
    good: u64,
    /// How often the steps that are waited for are doubled.
    doubled: u32,
    steps: u64,
    /// The last step that was applied, had there been no rollback.
    furthest: u64,
    skips_in_a_row: u32,
    skipped: u64,
    rolled_back: u64,
}

/// A rate below is no rate any more.
const LEAST_RATE: f64 = 1e-4;

impl<K> Recovery<K> {
    /// With what is kept, and the caps that stand above.
    ///
    /// ```
    /// use steadygrad::{keep::Keep, Recovery};
    /// let recovery = Recovery::new(Keep::after(20)?);
    /// assert_eq!((recovery.rate(), recovery.rollbacks()), (1.0, 0));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn new(keep: Keep<K>) -> Self {
        Self {
            keep,
            cut: 0.1,
            wait: 100,
            max_skips: 5,
            skips: Cap::new(50, 500),
            rollbacks: Cap::new(10, 1000),
            count: Count {
                rate: 1.0,
                good: 0,
                doubled: 0,
                steps: 0,
                furthest: 0,
                skips_in_a_row: 0,
                skipped: 0,
                rolled_back: 0,
            },
            course: Course::default(),
            told: Told::default(),
        }
    }

    /// Sets what the rate is multiplied by at each rollback, and divided by after so many good steps in all. 0.1 and 100
    /// by default; with a factor of 1 the rate stays, and with `u64::MAX` steps it never rises again.
    ///
    /// ```
    /// use steadygrad::{keep::Keep, Recovery};
    /// let recovery = Recovery::new(Keep::after(20)?).cut(0.1, 500)?;
    /// assert!(recovery.clone().cut(0.0, 500).is_err() && recovery.cut(1.5, 500).is_err());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the factor is not above 0 and at most 1, or the steps are 0.
    pub fn cut(self, factor: f64, good_steps: u64) -> Result<Self> {
        if !(factor > 0.0 && factor <= 1.0) {
            return Err(Error::Setting {
                what: "factor of the rate",
                expected: "a number above 0 and at most 1",
                found: factor,
            });
        }
        if good_steps == 0 {
            return Err(Error::Setting {
                what: "good steps",
                expected: "at least 1",
                found: 0.0,
            });
        }
        Ok(Self {
            cut: factor,
            wait: good_steps,
            ..self
        })
    }

    /// Sets how many steps may be skipped in a row; the next one is rolled back. 5 by default. Below
    /// [`Guard::max_skips`], or the guard stops the loop before.
    ///
    /// ```
    /// use steadygrad::{keep::Keep, Action, Guard, Recovery};
    /// let (mut guard, mut w) = (Guard::new(), [1.0_f32]);
    /// let mut recovery = Recovery::new(Keep::after(20)?).max_skips(1);
    /// assert_eq!(recovery.act(guard.step(&mut [f32::NAN])?, &mut w)?, Action::Skip);
    /// assert_eq!(recovery.act(guard.step(&mut [f32::NAN])?, &mut w)?, Action::RolledBack);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn max_skips(self, in_a_row: u32) -> Self {
        Self {
            max_skips: in_a_row,
            ..self
        }
    }

    /// Sets how many of so many steps may be skipped; the next one is rolled back. 50 of 500 by default.
    ///
    /// ```
    /// use steadygrad::{keep::Keep, Action, Guard, Recovery};
    /// let (mut guard, mut w) = (Guard::new(), [1.0_f32]);
    /// let mut recovery = Recovery::new(Keep::after(20)?).skips_within(1, 100);
    /// let mut actions = vec![];
    /// for grad in [f32::NAN, 0.5, f32::NAN] {
    ///     actions.push(recovery.act(guard.step(&mut [grad])?, &mut w)?);
    /// }
    /// assert_eq!(actions, [Action::Skip, Action::Apply, Action::RolledBack]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn skips_within(self, most: u32, steps: u64) -> Self {
        Self {
            skips: Cap::new(most, steps),
            ..self
        }
    }

    /// Sets how many rollbacks there may be while the run gets less than so many steps further than it ever was; the
    /// next one is a stop. 10 and 1000 by default.
    ///
    /// ```
    /// use steadygrad::{detect, keep::Keep, Action, Guard, Recovery, Verdict};
    /// let mut guard = Guard::new().detect_with(Verdict::Rollback, detect::NormThreshold::new(10.0)?);
    /// let mut recovery = Recovery::new(Keep::after(20)?).rollbacks_within(1, 50);
    /// let mut w = [1.0_f32];
    /// assert_eq!(recovery.act(guard.step(&mut [99.0_f32])?, &mut w)?, Action::RolledBack);
    /// assert_eq!(recovery.act(guard.step(&mut [1.0_f32])?, &mut w)?, Action::Apply);
    /// assert_eq!(recovery.act(guard.step(&mut [99.0_f32])?, &mut w)?, Action::Stop);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn rollbacks_within(self, most: u32, steps: u64) -> Self {
        Self {
            rollbacks: Cap::new(most, steps),
            ..self
        }
    }

    /// Keeps what the loop begins with, as [`Keep::start`] does. Only a loop that goes on from a checkpoint needs it.
    ///
    /// ```
    /// use steadygrad::{keep::Keep, Guard, Recovery};
    /// let (mut guard, mut recovery, mut w) = (Guard::new(), Recovery::new(Keep::after(20)?).max_skips(0), [0.25_f32]);
    /// recovery.start(&mut guard, &w)?;
    /// w[0] = f32::NAN;
    /// let action = recovery.act(guard.step(&mut [f32::NAN])?, &mut w)?;
    /// assert_eq!((action.to_string(), w), ("rolled back".to_string(), [0.25]));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keep::start`].
    pub fn start<S: ?Sized>(&mut self, guard: &mut Guard, set: &S) -> Result<()>
    where
        K: Memory<S>,
    {
        self.keep.start(guard, set)
    }

    /// Does what the step that was just guarded calls for, to `set`: all that is to come back together, such as
    /// parameters and optimiser state. Before anything is updated.
    ///
    /// ```
    /// use steadygrad::{keep::Keep, Action, Guard, Recovery};
    /// let (mut guard, mut recovery) = (Guard::new(), Recovery::new(Keep::after(20)?));
    /// let (mut w, mut m, mut steps) = (vec![1.0_f32], vec![0.0_f32], 0.0_f64);
    /// let mut set: [(&str, &mut dyn steadygrad::TensorSetMut); 3] =
    ///     [("w", &mut w), ("m", &mut m), ("steps", &mut steps)];     // counts go along as f64
    /// assert_eq!(recovery.act(guard.step(&mut [0.5_f32])?, &mut set)?, Action::Apply);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keep::note`] and [`Keep::bring_back`].
    pub fn act<S: ?Sized>(&mut self, mut step: Stepped<'_>, set: &mut S) -> Result<Action>
    where
        K: Memory<S>,
    {
        let (number, verdict, health) = (step.step(), step.verdict(), Health::of(&step));
        self.keep.note(&mut step, &*set)?;
        self.course.note(&step);
        let count = &mut self.count;
        count.steps = count.steps.saturating_add(1);
        self.told = Told {
            step: number,
            rate: count.rate,
            ..Told::default()
        };
        if verdict != Verdict::Skip {
            count.skips_in_a_row = 0;
        }
        let guard = step.guard();
        match verdict {
            Verdict::Apply => {
                count.furthest = count.furthest.max(number);
                if health == Health::Good {
                    self.let_up();
                }
                Ok(Action::Apply)
            }
            Verdict::Skip => {
                count.skips_in_a_row = count.skips_in_a_row.saturating_add(1);
                count.skipped = count.skipped.saturating_add(1);
                let why = if count.skips_in_a_row > self.max_skips {
                    Why::SkipsInARow(self.max_skips)
                } else if !self.skips.allows(count.steps) {
                    Why::Skips(self.skips.most, self.skips.within)
                } else {
                    self.told.action = Action::Skip;
                    return Ok(Action::Skip);
                };
                self.roll_back(why, guard, set)
            }
            Verdict::Rollback => self.roll_back(Why::Verdict, guard, set),
            Verdict::Stop => self.stop(Why::Verdict, guard, set),
        }
    }

    /// One more good step.
    fn let_up(&mut self) {
        let count = &mut self.count;
        count.good = count.good.saturating_add(1);
        let wait =
            u64::checked_pow(2, count.doubled).and_then(|times| self.wait.checked_mul(times));
        if wait.is_none_or(|wait| count.good < wait) {
            return;
        }
        count.good = 0;
        if count.rate < 1.0 {
            count.rate = (count.rate / self.cut).min(1.0);
            (self.told.rate, self.told.raised) = (count.rate, true);
        } else {
            // It has held at the full rate for as long as was waited for.
            count.doubled = 0;
        }
    }

    fn roll_back<S: ?Sized>(&mut self, why: Why, guard: &mut Guard, set: &mut S) -> Result<Action>
    where
        K: Memory<S>,
    {
        let rate = self.count.rate * self.cut;
        if rate < LEAST_RATE {
            return self.stop(Why::Rate(LEAST_RATE), guard, set);
        }
        if !self.rollbacks.allows(self.count.furthest) {
            let Cap { most, within, .. } = self.rollbacks;
            return self.stop(Why::Rollbacks(most, within), guard, set);
        }
        self.bring_back(guard, set)?;
        let count = &mut self.count;
        if count.rolled_back > 0 {
            count.doubled = count.doubled.saturating_add(1);
        }
        (count.rate, count.good, count.skips_in_a_row) = (rate, 0, 0);
        count.rolled_back = count.rolled_back.saturating_add(1);
        self.skips.clear();
        (self.told.action, self.told.why) = (Action::RolledBack, why);
        self.told.rate = rate;
        Ok(Action::RolledBack)
    }

    fn stop<S: ?Sized>(&mut self, why: Why, guard: &mut Guard, set: &mut S) -> Result<Action>
    where
        K: Memory<S>,
    {
        self.bring_back(guard, set)?;
        (self.told.action, self.told.why) = (Action::Stop, why);
        Ok(Action::Stop)
    }

    fn bring_back<S: ?Sized>(&mut self, guard: &mut Guard, set: &mut S) -> Result<()>
    where
        K: Memory<S>,
    {
        self.keep.bring_back(guard, set)?;
        self.course.lose();
        self.told.back_to = self.keep.step().map(|step| (step, self.keep.is_first()));
        Ok(())
    }

    /// What the loop's own rate is to be multiplied by: 1 until a rollback cuts it.
    ///
    /// ```
    /// use steadygrad::{keep::Keep, Guard, Recovery};
    /// let (mut guard, mut w) = (Guard::new(), [1.0_f32]);
    /// let mut recovery = Recovery::new(Keep::after(20)?).max_skips(0);
    /// let action = recovery.act(guard.step(&mut [f32::NAN])?, &mut w)?;
    /// assert!(!action.is_apply());
    /// assert_eq!((recovery.rate(), recovery.rollbacks(), recovery.skips()), (0.1, 1, 1));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.count.rate
    }

    /// How many rollbacks there were.
    #[must_use]
    pub fn rollbacks(&self) -> u64 {
        self.count.rolled_back
    }

    /// How many steps the guard said to skip.
    #[must_use]
    pub fn skips(&self) -> u64 {
        self.count.skipped
    }

    /// What is kept.
    ///
    /// ```
    /// use steadygrad::{keep::Keep, Guard, Recovery};
    /// let (mut guard, mut recovery) = (Guard::new(), Recovery::new(Keep::after(20)?));
    /// assert!(recovery.act(guard.step(&mut [0.5])?, &mut [1.0])?.is_apply());
    /// assert_eq!((recovery.keep().step(), recovery.keep().is_first()), (Some(1), true));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn keep(&self) -> &Keep<K> {
        &self.keep
    }

    /// How the run has been going: for [checkpoints](crate::checkpoint), and for people.
    ///
    /// ```
    /// use steadygrad::{keep::Keep, Guard, Recovery};
    /// let (mut guard, mut recovery) = (Guard::new(), Recovery::new(Keep::after(20)?));
    /// let action = recovery.act(guard.step(&mut [3.0, 4.0])?, &mut [1.0])?;
    /// assert!(action.is_apply());
    /// assert_eq!((recovery.course().healthy_steps(), recovery.course().usual_norm()), (1, Some(5.0)));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn course(&self) -> &Course {
        &self.course
    }

    /// What it remembers: the rate, the run's course and what the caps count, beside the guard's own
    /// [state](Guard::state). What is kept is no part of it: a loop that goes on begins with
    /// [`Recovery::start`].
    ///
    #[cfg_attr(feature = "serde", doc = "```")]
    #[cfg_attr(not(feature = "serde"), doc = "```ignore")]
    /// use steadygrad::{keep::Keep, Guard, Recovery};
    ///
    /// let (mut guard, mut w) = (Guard::new(), [1.0_f32]);
    /// let mut recovery = Recovery::new(Keep::after(20)?).max_skips(0);
    /// let action = recovery.act(guard.step(&mut [f32::NAN])?, &mut w)?;
    /// let text = serde_json::to_string(&(guard.state(), recovery.state(), w))?;
    ///
    /// let (saved, recovered, mut w): (_, _, [f32; 1]) = serde_json::from_str(&text)?;
    /// let (mut guard, mut again) = (Guard::new(), Recovery::new(Keep::after(20)?).max_skips(0));
    /// guard.restore(&saved)?;
    /// again.restore(&recovered)?;
    /// again.start(&mut guard, &w)?;
    /// assert_eq!((again.rate(), again.rollbacks()), (0.1, 1));
    /// # let _ = (action, &mut w);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn state(&self) -> State {
        let (mut state, count) = (State::default(), &self.count);
        state.put("rate", count.rate);
        let counts = [
            count.good,
            count.doubled.into(),
            count.steps,
            count.furthest,
            count.skips_in_a_row.into(),
            count.skipped,
            count.rolled_back,
        ];
        state.put("counts", &counts[..]);
        self.skips.save("skips", &mut state);
        self.rollbacks.save("rollbacks", &mut state);
        let mut course = State::default();
        self.course.save(&mut course);
        state.put("course", course);
        state
    }

    /// Goes on from where another one was.
    ///
    /// ```
    /// use steadygrad::{keep::Keep, Recovery, State};
    /// let (one, mut other) = (Recovery::new(Keep::after(20)?), Recovery::new(Keep::after(20)?));
    /// other.restore(&one.state())?;
    /// assert_eq!(other.state(), one.state());
    /// assert!(other.restore(&State::default()).is_err());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::State`] if this is no state of a recovery; nothing is changed then.
    pub fn restore(&mut self, state: &State) -> Result<()> {
        let rate: f64 = state.get("rate")?;
        let counts: Vec<u64> = state.get("counts")?;
        let differs = |expected: &str, found| {
            let expected = expected.into();
            Err(Error::State { expected, found })
        };
        if !(rate > 0.0 && rate <= 1.0) {
            return differs("a rate above 0 and at most 1", alloc::format!("{rate}"));
        }
        let [
            good,
            doubled,
            steps,
            furthest,
            skips_in_a_row,
            skipped,
            rolled_back,
        ] = counts[..]
        else {
            return differs("seven counts", alloc::format!("{}", counts.len()));
        };
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let (skips, rollbacks) = (
            self.skips.load("skips", state)?,
            self.rollbacks.load("rollbacks", state)?,
        );
        self.course = Course::loaded(&state.get("course")?)?;
        (self.skips, self.rollbacks) = (skips, rollbacks);
        self.count = Count {
            rate,
            good,
            doubled: small(doubled),
            steps,
            furthest,
            skips_in_a_row: small(skips_in_a_row),
            skipped,
            rolled_back,
        };
        Ok(())
    }
}

/// What was done last, in one line.
///
/// ```
/// use steadygrad::{detect, keep::Keep, Guard, Recovery, Verdict};
/// let mut guard = Guard::new().detect_with(Verdict::Rollback, detect::NormThreshold::new(10.0)?);
/// let mut recovery = Recovery::new(Keep::after(20)?);
/// let action = recovery.act(guard.step(&mut [99.0_f32])?, &mut [1.0_f32])?;
/// assert_eq!(
///     recovery.to_string(),
///     "step 1: rolled back to step 1, what the run began with, since nothing else is kept yet, rate cut to 0.1000; \
///      the guard says roll back",
/// );
/// # let _ = action;
/// # Ok::<(), steadygrad::Error>(())
/// ```
impl<K> fmt::Display for Recovery<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.told.fmt(f)
    }
}
