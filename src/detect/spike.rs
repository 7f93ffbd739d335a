//! A loss or a norm far above its usual size.

use super::level::Level;
use super::{Alarms, Detector, Relation, Severity, Subject};
use crate::{Bound, Needs, Norm, Outcome, Result, State, StepView, Wide, math};

/// Fires when the loss, or the norm of all gradients, is far above its usual size: above the running median by `k`
/// robust deviations of its logarithm.
///
/// ```text
/// x_t > median · 2^(k·d),   d = max(MAD of log₂ x, log₂(1 + floor))     both over the last n values
/// x_t > 10 · the largest                                                while there are fewer than 10 of them
/// ```
///
/// The MAD is the median of the distances from the median; for normal noise the standard deviation is 1.48 MAD. The
/// bound has the unit of what is watched, and goes with it: a loss that is summed and one that is averaged fire on the
/// same steps.
///
/// Two things are told apart. A **spike** is every step above the bound, a [warning](Severity::Warning): most come
/// back by themselves. A **shift** is `m` such steps among the last few, and [grave](Severity::Grave): it stays. It is
/// told once, since the values above the bound are the usual ones from then on.
///
/// A value is compared before it is learnt. Learnt are finite values, within the bound, of steps that were taken, so
/// that the spike does not move the bound it is held against. What is not finite says nothing here
/// ([`NonFinite`](super::NonFinite)): it neither counts nor breaks a row. After a rollback the row begins anew, and what
/// is usual remains.
///
/// **Losses of 0 and below** have no logarithm. As long as one is among the last n values, the loss itself is compared:
/// L > median + k · max(MAD of L, floor · |median|), which goes with the unit too. After nothing but zeros every loss
/// above 0 fires. The first few are compared only if all of them are above 0.
///
/// # Examples
///
/// ```
/// use steadygrad::{detect::Spike, Guard, Step};
///
/// let mut guard = Guard::new().detect(Spike::of_loss());
/// let noisy = |step: u32| 2.0 + 0.1 * f64::from(step % 3);
/// let mut told = vec![];
/// for step in 1..=40 {
///     let loss = match step {
///         20 => 9.0,                  // comes back
///         30.. => 20.0,               // stays
///         _ => noisy(step),
///     };
///     let report = guard.step(Step::new(&mut [0.5]).loss(loss))?;
///     told.extend(report.alarms().iter().filter(|alarm| alarm.is_new()).map(|alarm| alarm.to_string()));
/// }
/// assert_eq!(told, [
///     "step 20: the value of the loss is 9.000, above 3.720 (loss spike)",
///     "step 30: the value of the loss is 20.00, above 3.720 (loss spike)",
///     "step 34: the value of the loss is 20.00, above 3.720 on 5 of the last 8 steps (loss shift)",
/// ]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// Chowdhery et al., 2022, arXiv:2204.02311, section 5.1, on spikes that come back. Huber, 1981, *Robust
/// Statistics*, on the median and the MAD.
#[derive(Clone, Debug, PartialEq)]
pub struct Spike {
    of: Of,
    deviations: f64,
    floor: f64,
    level: Level,
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Of {
    Loss,
    Norm,
}

/// How far above the largest of a few values, where there are no more.
const FEW_RATIO: f64 = 10.0;

impl Spike {
    fn new(of: Of) -> Self {
        Self {
            of,
            deviations: 6.0,
            floor: 0.1,
            level: Level::new(64, [5, 8]),
        }
    }

    /// Watches the loss: the last 64, 6 deviations, each at least 10 %; 5 of 8 steps above are a shift.
    ///
    /// ```
    /// use steadygrad::{detect::Spike, Guard, Step};
    /// let mut guard = Guard::new().detect(Spike::of_loss());
    /// for _ in 0..20 {
    ///     assert!(guard.step(Step::new(&mut [1.0]).loss(0.5))?.alarms().is_empty());
    /// }
    /// assert_eq!(guard.step(Step::new(&mut [1.0]).loss(0.9))?.alarms().len(), 1);   // 0.5 · 1.1^6 = 0.886
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn of_loss() -> Self {
        Self::new(Of::Loss)
    }

    /// Watches the L2 norm of all gradients, by the same numbers.
    ///
    /// ```
    /// use steadygrad::{detect::Spike, Guard};
    /// let mut guard = Guard::new().detect(Spike::of_norm());
    /// for _ in 0..20 {
    ///     assert!(guard.step(&mut [300.0_f32, 400.0])?.alarms().is_empty());   // large is not unusual
    /// }
    /// let report = guard.step(&mut [3000.0_f32, 4000.0])?;
    /// assert_eq!(
    ///     report.alarms()[0].to_string(),
    ///     "step 21: the norm of the gradients is 5000, above 885.8 (norm spike)",
    /// );
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn of_norm() -> Self {
        Self::new(Of::Norm)
    }

    /// Goes by the last `n` values.
    ///
    /// ```
    /// use steadygrad::{detect::Spike, Guard};
    /// let fires = |spike: Spike| -> steadygrad::Result<bool> {
    ///     let mut guard = Guard::new().detect(spike);
    ///     let mut fired = false;
    ///     for norm in (1..=40).map(|step| 1.1_f64.powi(step)).chain([200.0]) {
    ///         fired = !guard.step(&mut [norm])?.alarms().is_empty();
    ///     }
    ///     Ok(fired)
    /// };
    /// assert!(fires(Spike::of_norm().window(10)?)?);    // where they grow by a tenth at each step
    /// assert!(!fires(Spike::of_norm().window(64)?)?);   // of norms from 1 to 45
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if `n` is 0 or above 10 thousand.
    pub fn window(self, n: usize) -> Result<Self> {
        Ok(Self {
            level: self.level.window("window of a spike", n)?,
            ..self
        })
    }

    /// Fires above the median by so many deviations.
    ///
    /// ```
    /// use steadygrad::{detect::Spike, Guard};
    /// let mut guard = Guard::new().detect(Spike::of_norm().deviations(2.0)?);
    /// for _ in 0..10 {
    ///     assert!(guard.step(&mut [1.0])?.alarms().is_empty());
    /// }
    /// assert!(guard.step(&mut [1.2])?.alarms().is_empty());
    /// assert_eq!(guard.step(&mut [1.22])?.alarms().len(), 1);   // above 1.1²
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if `k` is negative or NaN. Infinitely many are never exceeded.
    pub fn deviations(self, k: f64) -> Result<Self> {
        Ok(Self {
            deviations: Bound::from(k).of_size("deviations of a spike")?,
            ..self
        })
    }

    /// Takes no deviation for smaller than this part of the median, so that what is nearly constant may move a little.
    ///
    /// ```
    /// use steadygrad::{detect::Spike, Guard};
    /// let mut guard = Guard::new().detect(Spike::of_norm().deviations(1.0)?.floor(0.5)?);
    /// for _ in 0..10 {
    ///     assert!(guard.step(&mut [1.0])?.alarms().is_empty());
    /// }
    /// assert!(guard.step(&mut [1.5])?.alarms().is_empty());
    /// assert_eq!(guard.step(&mut [1.51])?.alarms().len(), 1);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if `part` is negative or NaN. With 0 whatever is above a constant fires.
    pub fn floor(self, part: f64) -> Result<Self> {
        Ok(Self {
            floor: Bound::from(part).of_size("floor of a spike's deviation")?,
            ..self
        })
    }

    /// Calls it a shift when `m` of the last `n` steps were above the bound.
    ///
    /// ```
    /// use steadygrad::{detect::{Severity, Spike}, Guard};
    /// let mut guard = Guard::new().detect(Spike::of_norm().shift(2, 3)?);
    /// let mut graves = vec![];
    /// for (step, norm) in (1..).zip([[1.0; 12].as_slice(), &[9.0, 1.0, 9.0, 9.0, 9.0]].concat()) {
    ///     let report = guard.step(&mut [norm])?;
    ///     graves.extend(report.alarms().iter().any(|alarm| alarm.how_severe() == Severity::Grave).then_some(step));
    /// }
    /// assert_eq!(graves, [15]);   // once
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if `m` is 0 or above `n`, or `n` is above 10 thousand.
    pub fn shift(self, m: usize, n: usize) -> Result<Self> {
        Ok(Self {
            level: self.level.shift("steps of a shift", [m, n])?,
            ..self
        })
    }

    /// The bound for the next value, as soon as there is one.
    fn bound(&self) -> Option<f64> {
        let usual = self.level.usual();
        let (least, largest) = (usual.least()?, usual.largest()?);
        let Some(median) = self.level.median() else {
            return (least > 0.0).then_some(FEW_RATIO * largest);
        };
        if least > 0.0 {
            let deviation = usual.deviation(math::log2)?;
            let deviation = deviation.max(math::log2(1.0 + self.floor));
            return Some(median * math::exp2(self.deviations * deviation));
        }
        let deviation = usual.deviation(|x| x)?;
        Some(median + self.deviations * deviation.max(self.floor * median.abs()))
    }
}

impl Detector for Spike {
    fn name(&self) -> &'static str {
        match self.of {
            Of::Loss => "loss spike",
            Of::Norm => "norm spike",
        }
    }

    fn needs(&self) -> Needs {
        match self.of {
            Of::Loss => Needs::norms().of_loss(),
            Of::Norm => Needs::norms(),
        }
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        let total = step.grads.total();
        let norm = total.norm(Norm::L2);
        let (value, is_finite) = match self.of {
            Of::Loss => (step.loss, step.loss.is_some_and(f64::is_finite)),
            // One of finite gradients that is past the range of `f64` is above every bound, and not learnt.
            Of::Norm => (Some(norm.to_f64()), norm.is_finite() && !total.is_empty()),
        };
        let Some(value) = value.filter(|_| is_finite) else {
            return alarms.hold();
        };
        let bound = self.bound().filter(|&bound| value > bound);
        let away = self.level.note(value, bound.is_some());
        let (Some(bound), Some(away)) = (bound, away) else {
            return;
        };
        let alarm = |name| match self.of {
            Of::Loss => step.alarm(name, Subject::Loss).above("value", value, bound),
            Of::Norm => {
                let alarm = step.alarm(name, Subject::Gradients);
                alarm.bounded("norm", norm, Relation::Above, Wide::from(bound))
            }
        };
        alarms.raise(alarm(self.name()).lasting(away.row));
        if away.is_shift {
            let shift = alarm(match self.of {
                Of::Loss => "loss shift",
                Of::Norm => "norm shift",
            });
            let [above, last] = away.among;
            alarms.raise(shift.among(above, last).severity(Severity::Grave).once());
        }
    }

    fn settle(&mut self, outcome: &Outcome<'_>) {
        self.level.settle(outcome);
    }

    fn save(&self, state: &mut State) {
        self.level.save(state);
    }

    fn load(&mut self, state: &State) -> Result<()> {
        self.level = self.level.loaded(state)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fires_on_losses, fires_on_norms};
    use super::*;
    use crate::{Measurement, Verdict};
    use alloc::vec;
    use alloc::vec::Vec;

    fn feed(spike: &mut Spike, losses: &[f64], verdict: Verdict) -> Vec<(Severity, f64)> {
        let (grads, mut told) = (Measurement::default(), vec![]);
        for (number, &loss) in (1..).zip(losses) {
            let mut alarms = Alarms::default();
            spike.observe(&StepView::new(number, &grads).loss(loss), &mut alarms);
            spike.settle(&Outcome::new(number, verdict));
            told.extend(
                alarms
                    .iter()
                    .map(|alarm| (alarm.how_severe(), alarm.bound())),
            );
        }
        told
    }

    #[test]
    fn the_bound_is_the_median_and_the_deviation_of_the_logarithms() {
        let mut spike = Spike::of_loss().deviations(3.0).unwrap();
        // Logarithms −2, −1, 0, 1, 2 in some order: the middle 0, distances 2, 1, 0, 1, 2, of which the middle is 1.
        let losses = [1.0, 4.0, 0.25, 2.0, 0.5].repeat(3);
        assert_eq!(feed(&mut spike, &losses, Verdict::Apply), []);
        assert_eq!(spike.bound(), Some(8.0));
        assert_eq!(
            feed(&mut spike, &[8.0, 8.000_001, 1.0], Verdict::Apply),
            [(Severity::Warning, 8.0)]
        );
        // With a loss of 0 among them, the losses themselves: median 1, distances 0, 0.5, 0.5, 1, 1.
        let mut plain = Spike::of_loss().deviations(3.0).unwrap();
        feed(
            &mut plain,
            &[1.0, 2.0, 0.0, 1.5, 0.5].repeat(3),
            Verdict::Apply,
        );
        assert_eq!(plain.bound(), Some(2.5));
    }

    #[test]
    fn a_scale_changes_nothing() {
        let losses: Vec<f64> = (0..200_u32)
            .map(|i| 1.0 + f64::from(i * i % 13) / 7.0 + if i % 50 == 49 { 30.0 } else { 0.0 })
            .collect();
        let shifted: Vec<f64> = losses.iter().map(|x| x - 1.5).collect();
        for losses in [losses, shifted] {
            let fired = fires_on_losses(&mut Spike::of_loss(), &losses);
            assert_eq!(fired, [50, 100, 150, 200]);
            for scale in [1e-200, 0.125, 1024.0] {
                let scaled: Vec<f64> = losses.iter().map(|x| x * scale).collect();
                assert_eq!(fires_on_losses(&mut Spike::of_loss(), &scaled), fired);
            }
        }
    }

    #[test]
    fn a_few_values_are_compared_with_the_largest() {
        let mut spike = Spike::of_norm();
        assert_eq!(fires_on_norms(&mut spike, &[5.0, 50.0, 51.0, 600.0]), [4]);
        // Zeros and losses below 0 have no size to speak of.
        assert_eq!(
            fires_on_losses(&mut Spike::of_loss(), &[-1.0, 5.0, 50.0]),
            [0; 0]
        );
        assert_eq!(
            fires_on_norms(&mut Spike::of_norm(), &[0.0, 0.0, 5.0]),
            [0; 0]
        );
        let zeros = [[0.0; 10].as_slice(), &[1e-300, 0.0, -0.0]].concat();
        assert_eq!(fires_on_norms(&mut Spike::of_norm(), &zeros), [11]);
        // No more than the window holds.
        let mut short = Spike::of_norm().window(2).unwrap();
        assert_eq!(fires_on_norms(&mut short, &[1.0, 1.0, 2.0]), [3]);
    }

    #[test]
    fn what_is_skipped_is_not_learnt_and_a_shift_is_learnt_all_the_same() {
        let mut spike = Spike::of_loss();
        feed(&mut spike, &[1.0; 20], Verdict::Apply);
        let before = spike.level.usual().clone();
        assert_eq!(feed(&mut spike, &[1.1; 20], Verdict::Skip), []);
        assert_eq!(*spike.level.usual(), before);
        let told = feed(&mut spike, &[9.0; 20], Verdict::Skip);
        let graves = told.iter().filter(|told| told.0 == Severity::Grave);
        assert_eq!((graves.count(), told.len()), (1, 6));
        // Rolled back, it never stays; and what is usual is what it was.
        let mut spike = Spike::of_loss();
        feed(&mut spike, &[1.0; 20], Verdict::Apply);
        let told = feed(&mut spike, &[9.0; 20], Verdict::Rollback);
        assert!(told.iter().all(|told| told.0 == Severity::Warning));
        assert_eq!((told.len(), spike.level.usual()), (20, &before));
    }

    #[test]
    fn settings_and_states_are_checked() {
        let spike = Spike::of_loss;
        assert!(spike().window(0).is_err() && spike().window(10_001).is_err());
        for strange in [-1.0, f64::NAN] {
            assert!(spike().deviations(strange).is_err() && spike().floor(strange).is_err());
        }
        for (m, n) in [(0, 3), (4, 3), (1, 0), (1, 10_001)] {
            assert!(spike().shift(m, n).is_err(), "{m} of {n}");
        }
        let mut long = Spike::of_loss().shift(9, 9).unwrap();
        feed(&mut long, &[1.0; 30], Verdict::Apply);
        let mut state = State::default();
        long.save(&mut state);
        let mut short = Spike::of_loss();
        let before = short.clone();
        assert!(short.load(&state).is_err());
        assert_eq!(short, before);
    }
}
