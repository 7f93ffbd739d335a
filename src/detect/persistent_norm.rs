//! A norm that stays high.

use super::{Alarms, Detector, Relation, Subject, at_least_one};
use crate::{Bound, Needs, Norm, Outcome, Result, State, StepView, Verdict, Wide};

/// Fires when the norm of all gradients was above a bound on each of the last `steps` steps.
///
/// While it stays above, every further step fires. A step without gradients, or whose gradients are not all finite, has
/// no norm: it neither counts nor breaks the row.
///
/// # Examples
///
/// ```
/// use steadygrad::{detect::PersistentNorm, Guard};
///
/// let mut guard = Guard::new().detect(PersistentNorm::new(1.0, 3)?);
/// let mut fired = vec![];
/// for norm in [2.0, 3.0, 0.5, 2.0, 2.0, 2.0, 2.0, 0.1] {
///     fired.push(!guard.step(&mut [norm])?.alarms().is_empty());
/// }
/// assert_eq!(fired, [false, false, false, false, false, true, true, false]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PersistentNorm {
    max: f64,
    steps: u64,
    row: u64,
}

impl Default for PersistentNorm {
    /// Above 1.0 on 10 steps in a row.
    fn default() -> Self {
        Self {
            max: 1.0,
            steps: 10,
            row: 0,
        }
    }
}

impl PersistentNorm {
    /// Watches for norms above `max` on `steps` steps in a row. A bound of 0 is one; `None` and +∞ are off.
    ///
    /// ```
    /// use steadygrad::{detect::PersistentNorm, Guard};
    /// let mut guard = Guard::new().detect(PersistentNorm::new(1.0, 2)?);
    /// assert!(guard.step(&mut [2.0_f32])?.alarms().is_empty());
    /// assert_eq!(guard.step(&mut [3.0_f32])?.alarms().len(), 1);
    /// assert!(PersistentNorm::new(1.0, 0).is_err());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if `max` is negative or NaN, or `steps` is 0.
    pub fn new(max: impl Into<Bound>, steps: u64) -> Result<Self> {
        Ok(Self {
            max: max.into().of_size("norm that stays")?,
            steps: at_least_one("steps in a row", steps)?,
            row: 0,
        })
    }
}

impl Detector for PersistentNorm {
    fn name(&self) -> &'static str {
        "persistent norm"
    }

    fn settle(&mut self, outcome: &Outcome<'_>) {
        // Back where the row had not begun.
        if outcome.verdict == Verdict::Rollback {
            self.row = 0;
        }
    }

    fn save(&self, state: &mut State) {
        state.put("row", self.row);
    }

    fn load(&mut self, state: &State) -> Result<()> {
        self.row = state.get("row")?;
        Ok(())
    }

    fn needs(&self) -> Needs {
        Needs::norms()
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        let total = step.grads.total();
        let norm = total.norm(Norm::L2);
        if total.is_empty() || !norm.is_finite() {
            return alarms.hold();
        }
        let max = Wide::from(self.max);
        self.row = if norm > max { self.row + 1 } else { 0 };
        if self.row >= self.steps {
            let alarm = step.alarm(Detector::name(self), Subject::Gradients);
            let alarm = alarm.bounded("norm", norm, Relation::Above, max);
            alarms.raise(alarm.lasting(self.row));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::fires_on_norms;
    use super::*;
    use crate::Measurement;
    use alloc::vec::Vec;

    #[test]
    fn a_missing_norm_is_not_a_small_one() {
        let mut detector = PersistentNorm::new(1.0, 2).unwrap();
        assert_eq!(fires_on_norms(&mut detector, &[2.0]), [0_u64; 0]);
        let (nothing, mut alarms) = (Measurement::default(), Alarms::default());
        detector.observe(&StepView::new(2, &nothing), &mut alarms);
        assert!(alarms.is_empty());
        assert_eq!(fires_on_norms(&mut detector, &[2.0]), [1]);
    }

    #[test]
    fn ten_in_a_row_by_default() {
        let mut norms = [1.5; 25];
        norms[3] = 1.0;
        // Gradients without a norm neither count nor break the row.
        norms[8] = f64::NAN;
        norms[9] = f64::INFINITY;
        assert_eq!(
            fires_on_norms(&mut PersistentNorm::default(), &norms[..15]),
            [0_u64; 0]
        );
        let fired: Vec<u64> = (16..=25).collect();
        assert_eq!(
            fires_on_norms(&mut PersistentNorm::default(), &norms),
            fired
        );
        assert!(PersistentNorm::new(1.0, 0).is_err());
        assert!(PersistentNorm::new(f64::NAN, 1).is_err());
    }
}
