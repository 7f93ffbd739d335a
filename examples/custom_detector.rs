//! A detector of your own: it scores a step, then learns from it, and may decide what becomes of it.
//!
//! This one compares the loss with the best so far, and has the training go back to the weights that gave it.

use std::io::Write;
use std::process::ExitCode;

use steadygrad::detect::{Alarms, Detector, Subject};
use steadygrad::{Guard, Needs, Step, StepView, Verdict};
use tell::{Told, tell};

mod tell;

#[derive(Debug)]
struct Worse {
    times: f64,
    best: f64,
}

impl Detector for Worse {
    fn name(&self) -> &'static str {
        "worse"
    }

    fn needs(&self) -> Needs {
        Needs::norms().of_loss()
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        let Some(loss) = step.loss else { return };
        let bound = self.times * self.best;
        // `loss > bound` alone is false for NaN.
        if loss > bound || loss.is_nan() {
            let alarm = step.alarm("worse", Subject::Loss);
            alarms.raise(alarm.above("value", loss, bound));
        }
        self.best = self.best.min(loss); // `min` passes over NaN
    }
}

fn main() -> ExitCode {
    tell(program)
}

fn program(out: &mut dyn Write) -> Told {
    let worse = Worse {
        times: 1.0,
        best: f64::INFINITY,
    };
    let mut guard = Guard::new().detect_with(Verdict::Rollback, worse);

    // Descent on w⁴/4 with a bold driver: faster while it goes well, back and slower when it does not.
    let (mut w, mut rate) = (2.0_f64, 0.4);
    let mut last_good = w;
    for _ in 0..10 {
        let (loss, mut grad) = (w.powi(4) / 4.0, [w.powi(3)]);
        let report = guard.step(Step::new(&mut grad).loss(loss))?;
        writeln!(out, "w {w:7.4}; {report}")?;
        if report.verdict() == Verdict::Rollback {
            (w, rate) = (last_good, 0.5 * rate);
        } else {
            (last_good, rate) = (w, 1.6 * rate);
            w -= rate * grad[0];
        }
    }
    writeln!(out, "w is {w:.4}, the rate {rate:.3}")?;
    Ok(())
}
