//! Gradients that have all but gone.

use super::level::Level;
use super::robust::Robust;
use super::tracks::Tracks;
use super::{Alarms, Detector, Relation, Subject};
use crate::{Bound, Error, Needs, Norm, Outcome, Result, State, Stats, StepView, Verdict};

/// Fires when a norm was small on each of `n` steps in a row: a small part of its own running median, or below a floor.
///
/// ```text
/// ‖g_t‖ < fraction · median of the last norms      told once; theirs is the usual size from then on
/// ‖g_t‖ < max(below, below_total · ‖all g_t‖)      told on every further step
/// ```
///
/// By default it watches the norm of all gradients, for a thousandth of the median of the last 64, on 10 steps in a row.
/// The floor is the smallest normal `f64`, so that zeros are told. Norms that are not finite, and tensors that have no
/// gradient, neither count nor break the row. As in [`Spike`](super::Spike), a norm is compared before it is learnt, the
/// small ones are not learnt before they are told, and after a rollback the row begins anew.
///
/// A small norm is no fault in itself: a net that has learnt its task has one too. Ask for a poor loss beside it, by
/// [`all`](super::all()) with a [`Plateau`](super::Plateau) that has a baseline.
///
/// # Examples
///
/// ```
/// use steadygrad::{detect::Vanishing, Guard};
///
/// let mut guard = Guard::new().detect(Vanishing::per_tensor().below_total(1e-6)?.steps(3)?);
/// let mut told = vec![];
/// for step in 1..=20 {
///     let encoder = if step > 15 { 1e-7 } else { 0.5 };
///     let report = guard.step(&mut [("encoder", [encoder]), ("head", [2.0])])?;
///     told.extend(report.alarms().iter().filter(|alarm| alarm.is_new()).map(|alarm| alarm.to_string()));
/// }
/// assert_eq!(
///     told,
///     ["step 18: the norm of gradient encoder is 1.000e-7, below 2.000e-6 for 3 steps in a row (vanishing)"],
/// );
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// Bengio, Simard and Frasconi, 1994, IEEE Transactions on Neural Networks 5(2). Glorot and Bengio, 2010, AISTATS.
/// Pascanu, Mikolov and Bengio, 2013, arXiv:1211.5063.
#[derive(Clone, Debug, PartialEq)]
pub struct Vanishing {
    of: Of,
    fraction: f64,
    below: f64,
    below_total: f64,
    window: usize,
    steps: usize,
    whole: Track,
    tensors: Tracks<Track>,
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Of {
    Norm,
    Tensors,
    Signal(&'static str),
}

/// What is remembered of one norm.
#[derive(Clone, Debug, PartialEq)]
struct Track {
    level: Level,
    /// The steps in a row that were below the floor.
    row: u64,
}

/// What is wrong with one norm.
struct Low {
    bound: f64,
    row: u64,
    is_once: bool,
}

impl Default for Vanishing {
    /// The norm of all gradients.
    fn default() -> Self {
        Self::of(Of::Norm)
    }
}

impl Vanishing {
    fn of(of: Of) -> Self {
        let (window, steps) = (64, 10);
        Self {
            of,
            fraction: 1e-3,
            below: f64::MIN_POSITIVE,
            below_total: 0.0,
            window,
            steps,
            whole: Track::new(window, steps),
            tensors: Tracks::default(),
        }
    }

    /// Watches the norm of each tensor's gradient.
    ///
    /// ```
    /// use steadygrad::{detect::Vanishing, Guard};
    /// let mut guard = Guard::new().detect(Vanishing::default()).detect(Vanishing::per_tensor());
    /// for _ in 0..20 {
    ///     assert!(guard.step(&mut [("w", [1e-9]), ("head", [2.0])])?.alarms().is_empty());   // as it always was
    /// }
    /// for _ in 0..9 {
    ///     assert!(guard.step(&mut [("w", [1e-13]), ("head", [2.0])])?.alarms().is_empty());
    /// }
    /// let report = guard.step(&mut [("w", [1e-13]), ("head", [2.0])])?;
    /// assert_eq!((report.alarms().len(), report.alarms()[0].tensor()), (1, Some("w")));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn per_tensor() -> Self {
        Self::of(Of::Tensors)
    }

    /// Watches a number of 0 or above that the loop tells under this name ([`Step::signal`](crate::Step::signal)).
    ///
    #[cfg_attr(
        feature = "ndarray",
        doc = "The share of a gradient that flows back to the first step of a sequence is one",
        doc = "([`Profile::arrived`](crate::recurrent::Profile::arrived)):",
        doc = "",
        doc = "```"
    )]
    #[cfg_attr(
        not(feature = "ndarray"),
        doc = "The share of a gradient that flows back to the first step of a sequence is one:",
        doc = "",
        doc = "```ignore"
    )]
    /// use ndarray::{array, Array3};
    /// use steadygrad::recurrent::{Activation, Layer, Profile, Rnn};
    /// use steadygrad::{detect::Vanishing, Guard, Step};
    ///
    /// let mut guard = Guard::new().detect(Vanishing::of_signal("flow").below(1e-3)?.steps(2)?);
    /// let (xs, mut d_outputs) = (Array3::ones((21, 1, 1)), Array3::zeros((21, 1, 1)));
    /// d_outputs[[20, 0, 0]] = 1.0;                       // the loss looks at the last step only
    /// let (mut profile, mut told) = (Profile::new(), vec![]);
    /// for w in [0.9, 0.8, 0.7, 0.6] {                    // 0.7^20 is 8e-4
    ///     let rnn = Rnn::new(array![[1.0]], array![[w]], array![0.0], Activation::Identity)?;
    ///     let pass = rnn.forward(xs.view(), &rnn.zero_state(1))?;
    ///     let mut back = rnn.backward_with(&pass, d_outputs.view(), &mut profile.hook(&rnn))?;
    ///     let flow = profile.arrived(0, false).unwrap_or(f64::NAN);
    ///     let report = guard.step(Step::new(&mut back.grads).signal("flow", flow))?;
    ///     told.extend(report.alarms().iter().map(|alarm| alarm.to_string()));
    /// }
    /// assert_eq!(
    ///     told,
    ///     ["step 4: the flow of the gradients is 3.656e-5, below 0.001000 for 2 steps in a row (vanishing)"],
    /// );
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn of_signal(name: &'static str) -> Self {
        Self::of(Of::Signal(name))
    }

    /// Fires below this part of the running median. 0 is off.
    ///
    /// ```
    /// use steadygrad::{detect::Vanishing, Guard};
    /// let mut guard = Guard::new().detect(Vanishing::default().fraction(0.5)?.steps(1)?);
    /// for _ in 0..10 {
    ///     assert!(guard.step(&mut [4.0])?.alarms().is_empty());
    /// }
    /// assert!(guard.step(&mut [2.0])?.alarms().is_empty());
    /// assert_eq!(guard.step(&mut [1.9])?.alarms().len(), 1);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if it is not in 0 to 1.
    pub fn fraction(self, fraction: f64) -> Result<Self> {
        Ok(Self {
            fraction: part("fraction of a norm that vanishes", fraction)?,
            ..self
        })
    }

    /// Also fires below this. 0 is off, and then a gradient that has been zero from the beginning is not told.
    ///
    /// ```
    /// use steadygrad::{detect::Vanishing, Guard};
    /// let mut guard = Guard::new().detect(Vanishing::default().below(1e-4)?.steps(2)?);
    /// assert!(guard.step(&mut [1e-5])?.alarms().is_empty());
    /// assert_eq!(guard.step(&mut [1e-6])?.alarms()[0].bound(), 1e-4);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if it is negative or NaN.
    pub fn below(self, norm: f64) -> Result<Self> {
        Ok(Self {
            below: Bound::from(norm).of_size("floor of a norm that vanishes")?,
            ..self
        })
    }

    /// Watched tensor by tensor, also fires below this part of the norm of all gradients together: where layers near the
    /// inputs get next to nothing. 0, the default, is off.
    ///
    /// ```
    /// use steadygrad::{detect::Vanishing, Guard};
    /// let mut guard = Guard::new().detect(Vanishing::per_tensor().below_total(0.01)?.steps(1)?);
    /// assert!(guard.step(&mut [("w", [0.02]), ("head", [1.0])])?.alarms().is_empty());
    /// assert_eq!(guard.step(&mut [("w", [0.02]), ("head", [3.0])])?.alarms()[0].tensor(), Some("w"));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if it is not in 0 to 1.
    pub fn below_total(self, fraction: f64) -> Result<Self> {
        Ok(Self {
            below_total: part("part of all gradients that vanishes", fraction)?,
            ..self
        })
    }

    /// Fires after so many steps in a row.
    ///
    /// ```
    /// use steadygrad::{detect::Vanishing, Guard};
    /// let mut guard = Guard::new().detect(Vanishing::default().steps(2)?);
    /// assert!(guard.step(&mut [0.0])?.alarms().is_empty());
    /// assert_eq!(guard.step(&mut [0.0])?.alarms().len(), 1);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if it is 0 or above 10 thousand.
    pub fn steps(self, n: usize) -> Result<Self> {
        Robust::checked("steps of a norm that vanishes", n)?;
        Ok(Self {
            steps: n,
            whole: Track::new(self.window, n),
            ..self
        })
    }

    /// Takes the median of the last `n` norms.
    ///
    /// ```
    /// use steadygrad::detect::Vanishing;
    /// assert!(Vanishing::per_tensor().window(20).is_ok() && Vanishing::per_tensor().window(0).is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if it is 0 or above 10 thousand.
    pub fn window(self, n: usize) -> Result<Self> {
        Robust::checked("window of a norm that vanishes", n)?;
        Ok(Self {
            window: n,
            whole: Track::new(n, self.steps),
            ..self
        })
    }
}

fn part(what: &'static str, found: f64) -> Result<f64> {
    if (0.0..=1.0).contains(&found) {
        Ok(found)
    } else {
        Err(Error::Setting {
            what,
            expected: "a number in 0 to 1",
            found,
        })
    }
}

impl Track {
    fn new(window: usize, steps: usize) -> Self {
        Self {
            level: Level::new(window, [steps, steps]),
            row: 0,
        }
    }

    /// Compares a value with what is usual and with the floor.
    fn look(&mut self, value: f64, fraction: f64, floor: f64, steps: usize) -> Option<Low> {
        let usual = self.level.median().map_or(0.0, |median| fraction * median);
        let away = self.level.note(value, value < usual);
        self.row = if value < floor { self.row + 1 } else { 0 };
        if self.row >= steps as u64 {
            return Some(Low {
                bound: floor,
                row: self.row,
                is_once: false,
            });
        }
        away.filter(|away| away.is_shift).map(|away| Low {
            bound: usual,
            row: away.row,
            is_once: true,
        })
    }

    fn settle(&mut self, outcome: &Outcome<'_>) {
        self.level.settle(outcome);
        if outcome.verdict == Verdict::Rollback {
            self.row = 0;
        }
    }

    fn save(&self, state: &mut State) {
        self.level.save(state);
        state.put("below", self.row);
    }

    fn loaded(&self, state: &State) -> Result<Self> {
        Ok(Self {
            level: self.level.loaded(state)?,
            row: state.get("below")?,
        })
    }
}

/// The norm of what is there and finite.
fn norm(stats: &Stats) -> Option<f64> {
    let norm = stats.norm(Norm::L2);
    (!stats.is_empty() && norm.is_finite()).then(|| norm.to_f64())
}

impl Detector for Vanishing {
    fn name(&self) -> &'static str {
        "vanishing"
    }

    fn needs(&self) -> Needs {
        match self.of {
            Of::Tensors => Needs::norms().of_tensors(),
            Of::Norm | Of::Signal(_) => Needs::norms(),
        }
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        let total = norm(step.grads.total());
        let (fraction, steps) = (self.fraction, self.steps);
        let alarm = |subject, quantity, value, low: Low| {
            let alarm = step.alarm("vanishing", subject);
            let alarm = alarm.bounded(quantity, value, Relation::Below, low.bound);
            let alarm = alarm.lasting(low.row);
            if low.is_once { alarm.once() } else { alarm }
        };
        let (value, quantity) = match self.of {
            Of::Norm => (total, "norm"),
            Of::Signal(name) => match step.signal(name) {
                None => return alarms.abstain("its signal was not given"),
                Some(value) => (Some(value).filter(|value| value.is_finite()), name),
            },
            Of::Tensors => {
                let make = || Track::new(self.window, steps);
                if let Some(all) = self.tensors.meet(step.grads, |_, _| true, make) {
                    alarms.reserve(all);
                }
                let mut judged = 0;
                for (index, track) in self.tensors.watched() {
                    let Some(value) = norm(step.grads.tensor(index)) else {
                        continue;
                    };
                    judged += 1;
                    let floor = self.below.max(self.below_total * total.unwrap_or(0.0));
                    if let Some(low) = track.look(value, fraction, floor, steps) {
                        alarms.raise(alarm(Subject::Gradient(index), "norm", value, low));
                    }
                }
                if judged == 0 {
                    alarms.hold();
                }
                return;
            }
        };
        match value {
            None => alarms.hold(),
            Some(value) => {
                if let Some(low) = self.whole.look(value, fraction, self.below, steps) {
                    alarms.raise(alarm(Subject::Gradients, quantity, value, low));
                }
            }
        }
    }

    fn settle(&mut self, outcome: &Outcome<'_>) {
        self.whole.settle(outcome);
        self.tensors
            .watched()
            .for_each(|(_, track)| track.settle(outcome));
    }

    fn save(&self, state: &mut State) {
        match self.of {
            Of::Norm | Of::Signal(_) => self.whole.save(state),
            Of::Tensors => self.tensors.save(state, Track::save),
        }
    }

    fn load(&mut self, state: &State) -> Result<()> {
        match self.of {
            Of::Norm | Of::Signal(_) => self.whole = self.whole.loaded(state)?,
            Of::Tensors => {
                self.tensors = Tracks::loaded(state, |state| self.whole.loaded(state))?;
            }
        }
        Ok(())
    }
}
