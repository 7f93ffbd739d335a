//! Both at once.

use super::pair::Pair;
use super::{Alarms, Detector};
use crate::{Needs, Outcome, Result, State, StepView};

/// Speaks of the steps of which two detectors both do: [`all()`].
#[derive(Clone, Debug, PartialEq)]
pub struct All<A, B>(Pair<A, B>);

/// A detector that speaks of the steps of which two both do, and then says what each of them says. More than two nest.
///
/// Together they need what each of them needs.
///
/// # Examples
///
/// A gradient that is small is one thing, and small while the loss is worse than that of a guess is another:
///
/// ```
/// use steadygrad::{detect::{all, Plateau, Vanishing}, Guard, Step};
///
/// let small = Vanishing::default().below(1e-4)?.steps(1)?;
/// let poor = Plateau::new(0.0, 1)?.baseline(2.0)?;
/// let mut guard = Guard::new().detect(all(small, poor));
/// let mut told = vec![];
/// for (norm, loss) in [(1e-5, 0.1), (1.0, 3.0), (1e-5, 3.0)] {
///     let report = guard.step(Step::new(&mut [norm]).loss(loss))?;
///     told.push(report.alarms().iter().map(|alarm| alarm.detector()).collect::<Vec<_>>());
/// }
/// assert_eq!(told, [vec![], vec![], vec!["vanishing", "plateau", "plateau"]]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[must_use]
pub fn all<A: Detector, B: Detector>(a: A, b: B) -> All<A, B> {
    All(Pair::new(a, b))
}

impl<A: Detector, B: Detector> Detector for All<A, B> {
    fn name(&self) -> &'static str {
        "all"
    }

    fn needs(&self) -> Needs {
        self.0.needs()
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        let from = alarms.len();
        let said = self.0.observe(step, alarms);
        if said.iter().all(|said| said.something) {
            return;
        }
        alarms.keep(from, |_| false);
        // If none of them denied it, nobody knows.
        if said.iter().all(|said| said.something || said.is_held) {
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
