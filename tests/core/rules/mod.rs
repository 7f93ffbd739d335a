//! What rules may count on: they learn once, from what was taken; they see what they are for; they are saved whole.

mod events;
mod groups;
mod learn;
mod state;
mod steps;

use std::sync::{Arc, Mutex};

use steadygrad::clip::Clipper;
use steadygrad::detect::{Alarms, Detector};
use steadygrad::{Needs, Outcome, Pen, StepView, Verdict};

/// What a rule was told, step by step.
pub(super) type Told = Arc<Mutex<Vec<(u64, Verdict)>>>;

/// A rule that writes down what it is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Witness(pub(super) Told);

impl Witness {
    pub(super) fn take(&self) -> Vec<(u64, Verdict)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Clipper for Witness {
    fn name(&self) -> &'static str {
        "witness"
    }

    fn plan(&mut self, _: &StepView<'_>, _: &mut Pen<'_>) {}

    fn settle(&mut self, outcome: &Outcome<'_>) {
        let told = (outcome.step, outcome.verdict);
        self.0.lock().unwrap().push(told);
    }
}

impl Detector for Witness {
    fn name(&self) -> &'static str {
        "witness"
    }

    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn observe(&mut self, _: &StepView<'_>, _: &mut Alarms) {}

    fn settle(&mut self, outcome: &Outcome<'_>) {
        Clipper::settle(self, outcome);
    }
}
