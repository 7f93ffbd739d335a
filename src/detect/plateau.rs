//! A loss that does not get better.

use alloc::vec::Vec;

use super::{Alarms, Detector, Relation, Subject, at_least_one};
use crate::{Bound, Error, Needs, Outcome, Result, State, StepView, Verdict};

/// Fires when the loss has not improved by more than `delta` over `steps` steps, or was worse than a given
/// baseline on each of them.
///
/// ```text
/// L_t ≥ best − delta on each of `steps` steps,   an improvement by exactly delta being none
/// L_t > baseline on each of `steps` steps,       where one was given
/// ```
///
/// or with `part · |best|` for delta ([`Plateau::relative`]), which goes with the unit of the loss.
///
/// Either is an alarm of its own, also on the same step.
///
/// After an alarm the count begins anew from the loss as it is then, so a loss that moved to a higher
/// level and falls from there is not held to a level that is gone. A loss that is NaN or infinite, and a
/// step without a loss, teach nothing.
///
/// **Losses of single batches are noisy**: the best of them is a lucky one, and the next better one may be long in
/// coming while all is well. Of 217 recorded healthy runs of recurrent nets `Plateau::new(0.0, 50)` fired in 216, and it
/// was in time for 33 of 79 that diverged: it says that training is slow, not that it is being lost. Feed it the loss of
/// an epoch or of held-out data ([`every`](Detector::every)), or give it many steps.
///
/// # Examples
///
/// ```
/// use steadygrad::{detect::Plateau, Guard, Step};
///
/// let mut guard = Guard::new().detect(Plateau::new(0.01, 3)?.baseline(1.0)?);
/// let mut fired = vec![];
/// for loss in [5.0, 4.0, 3.0, 2.0, 0.5, 0.5, 0.5, 0.5] {
///     fired.push(!guard.step(Step::new(&mut [0.0]).loss(loss))?.alarms().is_empty());
/// }
/// // Worse than the baseline on 3 steps; without improvement on 3 steps.
/// assert_eq!(fired, [false, false, true, false, false, false, false, true]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plateau {
    delta: f64,
    steps: u64,
    /// Whether delta is a part of the best loss.
    is_part: bool,
    baseline: Option<f64>,
    best: Option<f64>,
    without_improvement: u64,
    above_baseline: u64,
}

impl Default for Plateau {
    /// By 1 % within a thousand steps.
    fn default() -> Self {
        Self {
            delta: 0.01,
            is_part: true,
            steps: 1000,
            baseline: None,
            best: None,
            without_improvement: 0,
            above_baseline: 0,
        }
    }
}

impl Plateau {
    /// Watches for an improvement by more than `delta` within `steps` steps.
    ///
    /// ```
    /// use steadygrad::{detect::Plateau, Guard, Step};
    /// let mut guard = Guard::new().detect(Plateau::new(0.25, 2)?);
    /// for (loss, fires) in [(1.0, false), (0.875, false), (0.75, true), (0.25, false)] {   // by 0.25 is not by more
    ///     assert_eq!(!guard.step(Step::new(&mut [0.0_f32]).loss(loss))?.alarms().is_empty(), fires);
    /// }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `delta` is negative or NaN, or `steps` is 0.
    pub fn new(delta: f64, steps: u64) -> Result<Self> {
        Ok(Self {
            delta: Bound::from(delta).of_size("improvement of the loss")?,
            is_part: false,
            steps: at_least_one("steps of a plateau", steps)?,
            ..Self::default()
        })
    }

    /// Watches for an improvement by more than this part of the best loss within `steps` steps.
    ///
    /// ```
    /// use steadygrad::{detect::Plateau, Guard, Step};
    /// let mut guard = Guard::new().detect(Plateau::relative(0.25, 2)?);
    /// // By a quarter is not by more.
    /// for (loss, fires) in [(400.0, false), (350.0, false), (300.0, true), (200.0, false)] {
    ///     assert_eq!(!guard.step(Step::new(&mut [0.0_f32]).loss(loss))?.alarms().is_empty(), fires);
    /// }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `part` is negative or not finite, or `steps` is 0.
    pub fn relative(part: f64, steps: u64) -> Result<Self> {
        if !part.is_finite() {
            return Err(Error::Setting {
                what: "improvement of the loss",
                expected: "a finite number ≥ 0",
                found: part,
            });
        }
        Ok(Self {
            is_part: true,
            ..Self::new(part, steps)?
        })
    }

    /// What is to be reached to be better than `best`.
    fn enough(&self, best: f64) -> f64 {
        let unit = if self.is_part { best.abs() } else { 1.0 };
        best - self.delta * unit
    }

    /// Also watches for a loss above that of a trivial predictor on each of `steps` steps.
    ///
    /// ```
    /// use steadygrad::{detect::Plateau, Guard, Step};
    /// // Whoever guesses the mean of the targets gets their variance, 2, for a loss.
    /// let mut guard = Guard::new().detect(Plateau::new(0.0, 3)?.baseline(2.0)?);
    /// for (loss, fires) in [(9.0, false), (7.0, false), (5.0, true)] {
    ///     assert_eq!(!guard.step(Step::new(&mut [0.0_f32]).loss(loss))?.alarms().is_empty(), fires);
    /// }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `loss` is not finite.
    pub fn baseline(self, loss: f64) -> Result<Self> {
        if loss.is_finite() {
            Ok(Self {
                baseline: Some(loss),
                ..self
            })
        } else {
            Err(Error::Setting {
                what: "baseline of the loss",
                expected: "a finite number",
                found: loss,
            })
        }
    }
}

impl Detector for Plateau {
    fn name(&self) -> &'static str {
        "plateau"
    }

    fn needs(&self) -> Needs {
        Needs::norms().of_loss()
    }

    fn settle(&mut self, outcome: &Outcome<'_>) {
        // The losses that come now are those of older parameters.
        if outcome.verdict == Verdict::Rollback {
            (self.without_improvement, self.above_baseline) = (0, 0);
        }
    }

    fn save(&self, state: &mut State) {
        let best: Vec<f64> = self.best.into_iter().collect();
        state.put("best", &best[..]);
        state.put("without improvement", self.without_improvement);
        state.put("above baseline", self.above_baseline);
    }

    fn load(&mut self, state: &State) -> Result<()> {
        let best: Vec<f64> = state.get("best")?;
        let without_improvement = state.get("without improvement")?;
        self.above_baseline = state.get("above baseline")?;
        (self.best, self.without_improvement) = (best.first().copied(), without_improvement);
        Ok(())
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        let Some(loss) = step.loss.filter(|loss| loss.is_finite()) else {
            return;
        };
        let steps = self.steps;
        let mut raise = |relation, bound| {
            let alarm = step.alarm("plateau", Subject::Loss);
            let alarm = alarm.bounded("value", loss, relation, bound);
            alarms.raise(alarm.lasting(steps).once());
        };

        match self.best.map(|best| self.enough(best)) {
            Some(enough) if loss >= enough => {
                self.without_improvement += 1;
                // A slow descent by less than delta at a time still counts from where it began.
                if self.without_improvement >= steps {
                    raise(Relation::NotBelow, enough);
                    (self.best, self.without_improvement) = (Some(loss), 0);
                }
            }
            _ => (self.best, self.without_improvement) = (Some(loss), 0),
        }

        if let Some(baseline) = self.baseline {
            self.above_baseline = if loss > baseline {
                self.above_baseline + 1
            } else {
                0
            };
            if self.above_baseline >= steps {
                raise(Relation::Worse, baseline);
                self.above_baseline = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::fires_on_losses;
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn a_constant_loss_fires_again_and_again() {
        assert_eq!(
            fires_on_losses(&mut Plateau::new(0.0, 3).unwrap(), &[1.0; 11]),
            [4, 7, 10]
        );
    }

    #[test]
    fn many_small_steps_down_are_an_improvement_in_sum() {
        let slow: Vec<f64> = (0..40).map(|i| 1.0 - 0.01 * f64::from(i)).collect();
        assert_eq!(
            fires_on_losses(&mut Plateau::new(0.025, 4).unwrap(), &slow),
            [0_u64; 0]
        );
        assert_ne!(
            fires_on_losses(&mut Plateau::new(0.05, 4).unwrap(), &slow),
            [0_u64; 0]
        );
    }

    #[test]
    fn after_a_shift_the_old_best_no_longer_counts() {
        let mut losses = [[0.1; 3].as_slice(), &[5.0; 4]].concat();
        losses.extend((0..20).map(|i| 5.0 - 0.1 * f64::from(i)));
        // One alarm for the shift; the descent from the new level gives none.
        assert_eq!(
            fires_on_losses(&mut Plateau::new(0.01, 5).unwrap(), &losses),
            [6]
        );
    }

    #[test]
    fn what_is_not_finite_teaches_nothing() {
        let losses = [1.0, f64::NAN, f64::NEG_INFINITY, 0.9, f64::NAN, 0.8, 0.7];
        assert_eq!(
            fires_on_losses(&mut Plateau::new(0.05, 2).unwrap(), &losses),
            [0_u64; 0]
        );
        assert!(Plateau::new(f64::NAN, 2).is_err());
        assert!(Plateau::new(0.1, 0).is_err());
        assert!(Plateau::new(0.1, 1).unwrap().baseline(f64::NAN).is_err());
    }
}
