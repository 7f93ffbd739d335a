//! The four pictures.

mod flow;
mod gradients;
mod predictions;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use steadygrad::plot;

use crate::data::Series;
use crate::runs::{Clip, REPORTED, RUNS, Run};
use crate::train::{Outcome, Plan};

/// The paths of the pictures in a directory, once each of them can be written: better to know before the training.
pub(crate) fn prepare(dir: &Path) -> Result<[PathBuf; 4], String> {
    let names = ["report.svg", "gradients.svg", "flow.svg", "predictions.svg"];
    let paths = names.map(|name| dir.join(name));
    let made = fs::create_dir_all(dir);
    made.map_err(|why| format!("cannot write to {}: {why}", dir.display()))?;
    for path in &paths {
        // What was drawn before stays until there is something to take its place.
        let opened = File::options().append(true).create(true).open(path);
        opened.map_err(|why| format!("cannot write to {}: {why}", path.display()))?;
    }
    Ok(paths)
}

/// Draws everything.
pub(crate) fn draw_all(
    paths: &[PathBuf; 4],
    plan: &Plan,
    series: &Series,
    outcomes: &[Outcome],
) -> steadygrad::Result<()> {
    let [report, gradients, flow, predictions] = paths;
    draw_report(report, &outcomes[REPORTED])?;
    gradients::picture(plan, outcomes).svg(gradients)?;
    flow::picture(outcomes).svg(flow)?;
    predictions::picture(series, outcomes).svg(predictions)
}

/// One run on one page.
fn draw_report(path: &Path, outcome: &Outcome) -> steadygrad::Result<()> {
    let run = &RUNS[REPORTED];
    let profiles = outcome.profiles.iter();
    let picture = plot::report(&outcome.log)
        .title(format!("Sunspots, run {}", title(run)))
        .loss("mean squared error, in variances of the training months")
        .flow(profiles.map(|(step, profile)| (*step, profile)));
    match run.clip {
        Clip::Norm(max) => picture.threshold(max).svg(path),
        _ => picture.svg(path),
    }
}

fn title(run: &Run) -> String {
    format!("({}) {}", run.name, run.title)
}
