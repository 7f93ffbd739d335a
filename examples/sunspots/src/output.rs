//! The table for people and the JSON for programs.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::baselines::{autoregression, persistence};
use crate::data::Series;
use crate::runs::RUNS;
use crate::train::{DIVERGED, Outcome};

/// The table, what the alarms said, and where the pictures are.
pub(crate) fn table(series: &Series, outcomes: &[Outcome], pictures: &[PathBuf]) -> String {
    let error = format!("{} RMSE", series.judged_as);
    let width = error.len();
    let mut text = format!(
        "{:24} {:24} {:>12} {:>8} {:>10} {error}\n",
        "run", "first alarm", "largest norm", "clipped", "final loss",
    );
    for (run, outcome) in RUNS.iter().zip(outcomes) {
        let alarm = outcome.alarms.first().map_or("none".into(), |alarm| {
            format!("{} @ {}", alarm.detector(), alarm.step())
        });
        let _ = writeln!(
            text,
            "{:24} {alarm:24} {:>12} {:>6.1} % {:>10} {:>width$}",
            format!("({}) {}", run.name, run.title),
            short(outcome.max_norm()),
            100.0 * outcome.clipped_share(),
            short(outcome.final_loss),
            short(judged_rmse(series, &outcome.predictions)),
        );
    }
    for (name, predictions) in [
        ("persistence", persistence(series)),
        ("AR(9)", autoregression(series)),
    ] {
        let _ = writeln!(
            text,
            "{name:82} {:>width$}",
            short(judged_rmse(series, &predictions))
        );
    }

    text.push('\n');
    for (run, outcome) in RUNS.iter().zip(outcomes) {
        if let Some(step) = outcome.diverged_at {
            let _ = writeln!(
                text,
                "({}) diverged at step {step}: its loss was not finite, or above {DIVERGED} times the first one.",
                run.name
            );
        }
        if let Some(step) = outcome.stopped_at {
            let alarm = outcome.alarms.iter().find(|alarm| alarm.step() == step);
            let why = alarm.map_or(format!("step {step}: too many skips"), ToString::to_string);
            let _ = writeln!(text, "({}) was stopped by its guard at {why}.", run.name);
        }
    }
    for picture in pictures {
        let _ = writeln!(text, "{}", picture.display());
    }
    text
}

/// One JSON object.
pub(crate) fn json(series: &Series, outcomes: &[Outcome], pictures: &[PathBuf]) -> Value {
    let rmse = |predictions: &[f64]| number(judged_rmse(series, predictions));
    let error = format!("{}_rmse", series.judged_as);
    let runs = RUNS.iter().zip(outcomes).map(|(run, outcome)| {
        let alarm = outcome.alarms.first();
        json!({
            "run": run.name,
            "first_alarm": alarm.map(|alarm| json!({"detector": alarm.detector(), "step": alarm.step()})),
            "max_grad_norm": number(outcome.max_norm()),
            "clipped_share": number(outcome.clipped_share()),
            "final_loss": number(outcome.final_loss),
            "diverged_at": outcome.diverged_at,
            (&error): rmse(&outcome.predictions),
        })
    });
    json!({
        "baselines": {"persistence": rmse(&persistence(series)), "ar9": rmse(&autoregression(series))},
        "runs": runs.collect::<Vec<_>>(),
        "pictures": pictures.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
    })
}

fn judged_rmse(series: &Series, predictions: &[f64]) -> f64 {
    series.rmse(series.judged.clone(), predictions)
}

/// JSON has no word for what is not finite.
fn number(x: f64) -> Value {
    if x.is_finite() {
        x.into()
    } else {
        x.to_string().into()
    }
}

/// Four figures.
pub(crate) fn short(x: f64) -> String {
    let size = x.abs();
    if x.is_finite() && size != 0.0 && !(1e-3..1e4).contains(&size) {
        format!("{x:.2e}")
    } else if size >= 100.0 {
        format!("{x:.0}")
    } else if size >= 10.0 {
        format!("{x:.2}")
    } else {
        format!("{x:.4}")
    }
}

/// A time as one says it.
pub(crate) fn coarse(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let units = [
        (365.25 * 86_400.0, "years"),
        (86_400.0, "days"),
        (3_600.0, "hours"),
        (60.0, "minutes"),
    ];
    let (unit, name) = units
        .into_iter()
        .find(|(unit, _)| seconds > 1.5 * unit)
        .unwrap_or((1.0, "seconds"));
    format!("{:.0} {name}", seconds / unit)
}
