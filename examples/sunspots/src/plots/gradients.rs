//! The norm of the gradients of each run, step by step.

use std::ops::Range;

use steadygrad::plot::{self, Page, Picture};

use super::title;
use crate::runs::{CRITICAL_NORM, Clip, RUNS};
use crate::train::{Outcome, Plan};

/// One chart a run, all on the same axes.
pub(super) fn picture(plan: &Plan, outcomes: &[Outcome]) -> Picture<Page> {
    let norms = outcomes.iter().flat_map(|outcome| &outcome.norms);
    let range = decades(norms.copied().chain([0.1, 1e3]), 1e-4, 1e14);
    let mut page = plot::page("Norm of the gradients, step by step").columns(2);
    for (run, outcome) in RUNS.iter().zip(outcomes) {
        let norms = plot::norms(&outcome.log).title(title(run));
        let mut chart = match run.clip {
            Clip::Norm(max) => norms.threshold(max).chart(),
            _ => norms.chart(),
        };
        chart = chart
            .bound("alarm above", CRITICAL_NORM)
            .x_range(1.0..plan.steps.max(2) as f64)
            .y_range(range.clone())
            .log_x();
        for (at, what) in [
            (outcome.diverged_at, "diverged"),
            (outcome.stopped_at, "stopped"),
        ] {
            if let Some(step) = at {
                chart = chart.note(format!("{what} at step {step}"));
            }
        }
        page = page.chart(chart);
    }
    page
}

/// Whole powers of ten around all that is finite and above 0, within a floor and a ceiling.
fn decades(norms: impl Iterator<Item = f64>, floor: f64, ceiling: f64) -> Range<f64> {
    let usual = norms.filter(|norm| (floor..ceiling).contains(norm));
    let (low, high) = usual.fold((1.0_f64, 1.0_f64), |(low, high), norm| {
        (low.min(norm), high.max(norm))
    });
    10_f64.powf(low.log10().floor())..10_f64.powf((1.5 * high).log10().ceil())
}
