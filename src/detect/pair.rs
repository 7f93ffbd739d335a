//! Two detectors that are one.

use super::{Alarms, Detector};
use crate::{Needs, Outcome, Result, State, StepView};

/// Two detectors that see the same steps.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pair<A, B> {
    a: A,
    b: B,
    /// Whether one read gives what both need.
    is_whole: bool,
}

/// What one of two said of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Said {
    pub(super) something: bool,
    /// It did not judge the step.
    pub(super) is_held: bool,
}

impl<A: Detector, B: Detector> Pair<A, B> {
    pub(super) fn new(a: A, b: B) -> Self {
        let of_b = b.needs();
        let is_whole = a.needs().or(&of_b).covers(&of_b);
        Self { a, b, is_whole }
    }

    pub(super) fn needs(&self) -> Needs {
        self.a.needs().or(&self.b.needs())
    }

    /// Has both look at the step, and tells what each said.
    pub(super) fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) -> [Said; 2] {
        let mut speak = |detector: &mut dyn Detector, is_shown: bool| {
            let from = alarms.len();
            let is_held = alarms.beside(|alarms| {
                if is_shown {
                    detector.observe(step, alarms);
                } else {
                    alarms.abstain(
                        "it needs another power or other units than the detector beside it",
                    );
                }
            });
            Said {
                something: alarms.len() > from,
                is_held,
            }
        };
        [speak(&mut self.a, true), speak(&mut self.b, self.is_whole)]
    }

    pub(super) fn settle(&mut self, outcome: &Outcome<'_>) {
        self.a.settle(outcome);
        self.b.settle(outcome);
    }

    pub(super) fn save(&self, state: &mut State) {
        let [mut a, mut b] = [State::default(), State::default()];
        self.a.save(&mut a);
        self.b.save(&mut b);
        state.put("first", a);
        state.put("second", b);
    }

    pub(super) fn load(&mut self, state: &State) -> Result<()> {
        let (a, b): (State, State) = (state.get("first")?, state.get("second")?);
        let mut before = State::default();
        self.a.save(&mut before);
        self.a.load(&a)?;
        let loaded = self.b.load(&b);
        if loaded.is_err() {
            self.a.load(&before)?;
        }
        loaded
    }
}
