//! A clipper of your own: it sees measurements, pushes edits, and works on every kind of tensor.
//!
//! This one clips to the norm that gradients have had so far, a moving average times a factor: large
//! gradients early on are normal, the same ones later are not.

use std::io::Write;
use std::process::ExitCode;

use steadygrad::clip::Clipper;
use steadygrad::{Factor, Guard, Norm, Outcome, Pen, StepView, Wide, detect};
use tell::{Told, tell};

mod tell;

#[derive(Debug)]
struct Usual {
    times: f64,
    average: Option<f64>,
    /// The norm of the step that is being decided.
    noted: Option<f64>,
}

impl Clipper for Usual {
    fn name(&self) -> &'static str {
        "usual"
    }

    fn plan(&mut self, step: &StepView<'_>, pen: &mut Pen<'_>) {
        let norm = step.grads.total().norm(Norm::L2);
        self.noted = None;
        if !norm.is_finite() {
            return pen.abstain("the norm is not finite");
        }
        let max = self
            .average
            .map_or(f64::INFINITY, |average| self.times * average);
        if norm > Wide::from(max) {
            pen.scale_all(Factor::ratio(Wide::from(max), norm));
        }
        // What is left, so that one spike does not raise the bar.
        self.noted = Some(norm.to_f64().min(max));
    }

    /// Only what was taken says what is usual.
    fn settle(&mut self, outcome: &Outcome<'_>) {
        if let Some(left) = self.noted.filter(|_| outcome.is_taken()) {
            let average = |average| 0.9 * average + 0.1 * left;
            self.average = Some(self.average.map_or(left, average));
        }
    }
}

fn main() -> ExitCode {
    tell(program)
}

fn program(out: &mut dyn Write) -> Told {
    let mut guard = Guard::new()
        .clip(Usual {
            times: 2.0,
            average: None,
            noted: None,
        })
        .detect(detect::NormThreshold::new(2.5)?);
    // A spike at the fourth step, and a NaN at the sixth, which the guard skips.
    for norm in [1.0_f32, 1.2, 0.9, 50.0, 1.1, f32::NAN, 1.0] {
        let mut grads = [norm, 0.0];
        writeln!(out, "{}", guard.step(&mut grads)?)?;
    }
    Ok(())
}
