//! One or the other.

use super::pair::Pair;
use super::{Alarms, Detector};
use crate::{Needs, Outcome, Result, State, StepView};

/// Speaks whenever one of two detectors does, or both: [`any()`].
#[derive(Clone, Debug, PartialEq)]
pub struct Any<A, B>(Pair<A, B>);

/// A detector that speaks whenever one of two does, or both. More than two nest.
///
/// In a guard two detectors do the same, each with a verdict of its own. As one they share the verdicts, the
/// [steps in a row](Detector::for_steps) and whatever else is wrapped around them. Together they need what each of them
/// needs: without a loss that one of them goes by, neither is asked. While one speaks of a step that the other cannot judge,
/// what the other said before counts as over.
///
/// # Examples
///
/// ```
/// use steadygrad::{prelude::*, detect::{any, NormThreshold, Spike}, Guard, Step, Verdict};
///
/// let lost = any(Spike::of_loss(), NormThreshold::new(1e3)?).for_steps(2)?;
/// let mut guard = Guard::new().detect_with(Verdict::Rollback, lost);
/// let mut decided = vec![];
/// for (norm, loss) in [[(1.0, 1.0); 12].as_slice(), &[(1.0, 9.0), (1e4, 9.0), (1.0, 1.0)]].concat() {
///     decided.push(guard.step(Step::new(&mut [norm]).loss(loss))?.verdict());
/// }
/// assert_eq!(decided[12..], [Verdict::Apply, Verdict::Rollback, Verdict::Apply]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[must_use]
pub fn any<A: Detector, B: Detector>(a: A, b: B) -> Any<A, B> {
    Any(Pair::new(a, b))
}

impl<A: Detector, B: Detector> Detector for Any<A, B> {
    fn name(&self) -> &'static str {
        "any"
    }

    fn needs(&self) -> Needs {
        self.0.needs()
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        let said = self.0.observe(step, alarms);
        if said.iter().all(|said| said.is_held) {
            alarms.hold();
        }
    }

    fn settle(&mut self, outcome: &Outcome<'_>) {
        self.0.settle(outcome);
    }

    fn save(&self, state: &mut State) {
        self.0.save(state);
    }

    fn load(&mut self, state: &State) -> Result<()> {
        self.0.load(state)
    }
}
