//! Detectors in detectors: one that is heard less.

use super::for_steps::Row;
use super::{After, Alarms, Detector, Every, ForSteps};
use crate::{Needs, Outcome, Result, State, StepView, Verdict};

impl<D: Detector> Detector for ForSteps<D> {
    fn name(&self) -> &'static str {
        self.detector.name()
    }

    fn needs(&self) -> Needs {
        self.detector.needs()
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        let from = alarms.len();
        let is_held = alarms.beside(|alarms| self.detector.observe(step, alarms));
        if is_held && alarms.len() == from {
            alarms.hold();
        } else {
            self.hear(alarms, from);
        }
    }

    fn settle(&mut self, outcome: &Outcome<'_>) {
        self.detector.settle(outcome);
        if outcome.verdict == Verdict::Rollback {
            // Back where no row had begun.
            self.rows.clear();
        }
    }

    fn save(&self, state: &mut State) {
        let mut inner = State::default();
        self.detector.save(&mut inner);
        state.put("detector", inner);
        Row::save_all(&self.rows, state);
    }

    fn load(&mut self, state: &State) -> Result<()> {
        let inner: State = state.get("detector")?;
        let rows = Row::load_all(state)?;
        self.detector.load(&inner)?;
        self.rows = rows;
        Ok(())
    }
}

/// What hears what the detector inside learns, and remembers nothing itself.
macro_rules! passes_on {
    () => {
        fn name(&self) -> &'static str {
            self.detector.name()
        }

        fn needs(&self) -> Needs {
            self.detector.needs()
        }

        fn settle(&mut self, outcome: &Outcome<'_>) {
            self.detector.settle(outcome);
        }

        fn save(&self, state: &mut State) {
            self.detector.save(state);
        }

        fn load(&mut self, state: &State) -> Result<()> {
            self.detector.load(state)
        }
    };
}

impl<D: Detector> Detector for After<D> {
    passes_on!();

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        let from = alarms.len();
        if alarms.beside(|alarms| self.detector.observe(step, alarms)) {
            alarms.hold();
        }
        if step.number <= self.steps {
            alarms.keep(from, |_| false);
        }
    }
}

impl<D: Detector> Detector for Every<D> {
    passes_on!();

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        if step.number.is_multiple_of(self.steps) {
            self.detector.observe(step, alarms);
        } else {
            alarms.hold();
        }
    }
}
