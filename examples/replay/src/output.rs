//! What is said, as lines for people or as JSON for programs.

use std::io::{self, Write};

use serde_json::{Value, json};
use steadygrad::detect::{Alarm, Severity};

use crate::watch::{News, Summary, Track};

/// How it is said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    /// For people.
    Lines,
    /// An object on a line for each thing that is said.
    Json,
}

impl Form {
    pub(crate) fn news(self, news: &News<'_>, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Lines => lines_of_news(news, out),
            Self::Json => writeln!(out, "{}", json_of_news(news)),
        }
    }

    pub(crate) fn summary(self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Lines => lines_of_summary(summary, out),
            Self::Json => writeln!(out, "{}", json_of_summary(summary)),
        }
    }
}

/// What an alarm says, without the number of the step, which is the guard's and not the log's.
pub(crate) fn sentence(alarm: &Alarm) -> String {
    let text = alarm.to_string();
    match text.split_once(": ") {
        Some((_, finding)) => finding.into(),
        None => text,
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Grave => "grave",
        _ => "warning",
    }
}

fn lines_of_news(news: &News<'_>, out: &mut dyn Write) -> io::Result<()> {
    match news {
        News::Alarm {
            step,
            alarm,
            is_new,
        } => {
            let now = if *is_new { "" } else { "now " };
            let how = severity(alarm.how_severe());
            writeln!(out, "step {step}: {now}{how}: {}", sentence(alarm))
        }
        News::Over { event } => {
            let (first, last) = (event.first.step, event.last.step);
            let detector = event.alarm.detector();
            write!(out, "step {last}: ")?;
            match (event.goes_on, event.alarms) {
                (true, _) => write!(out, "not over where the log ends, ")?,
                (false, 1) => return writeln!(out, "over at once ({detector})"),
                (false, _) => write!(out, "over, ")?,
            }
            let s = if event.alarms == 1 { "" } else { "s" };
            writeln!(
                out,
                "{} step{s} in alarm since step {first} ({detector})",
                event.alarms
            )
        }
    }
}

fn lines_of_summary(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    if summary.tracks.iter().any(|track| track.events > 0) {
        writeln!(out)?;
    }
    let [first, last] = summary.steps;
    let told = summary.told.iter().filter(|(_, told)| *told > 0);
    let told: Vec<_> = told
        .map(|(quantity, told)| format!("{told} of {quantity}"))
        .collect();
    writeln!(
        out,
        "{} rows, steps {first} to {last}: {}",
        summary.rows,
        told.join(", ")
    )?;
    writeln!(
        out,
        "{:18} {:>8} {:>12} {:>15}",
        "detector", "events", "first step", "steps in alarm"
    )?;
    for track in &summary.tracks {
        line_of_track(track, summary.rows, out)?;
    }
    if let Some(found) = &summary.not_finite {
        writeln!(
            out,
            "not finite from step {} on: the {} is {}",
            found.step, found.quantity, found.value
        )?;
    }
    match summary.came {
        None => writeln!(out, "no loss, so nothing tells whether it diverged"),
        Some(came) if !came.diverged => writeln!(out, "did not diverge"),
        Some(came) => {
            write!(out, "diverged")?;
            if let Some(onset) = came.onset {
                write!(out, ", onset at step {onset}")?;
            }
            match came.bound {
                Some(bound) => writeln!(
                    out,
                    "; the loss is above {bound:.4}, three times the median of its first, or not finite"
                ),
                None => writeln!(out, "; the loss is not finite"),
            }
        }
    }
}

fn line_of_track(track: &Track, rows: u64, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{:18} ", track.detector)?;
    match (track.first, track.abstained) {
        (Some(first), _) => {
            write!(
                out,
                "{:>8} {:>12} {:>15}",
                track.events, first, track.alarms
            )?;
        }
        (None, Some((times, why))) if times == rows => return writeln!(out, "abstained: {why}"),
        (None, _) => write!(out, "{:>8} {:>12} {:>15}", 0, "", 0)?,
    }
    match track.abstained {
        Some((times, why)) => writeln!(out, "  abstained on {times}: {why}"),
        None => writeln!(out),
    }
}

fn json_of_news(news: &News<'_>) -> Value {
    match news {
        News::Alarm {
            step,
            alarm,
            is_new,
        } => json!({
            "event": if *is_new { "begins" } else { "graver" },
            "step": number(*step),
            "detector": alarm.detector(),
            "severity": severity(alarm.how_severe()),
            "sentence": sentence(alarm),
        }),
        News::Over { event } => json!({
            "event": if event.goes_on { "goes on" } else { "ends" },
            "step": number(event.last.step),
            "detector": event.alarm.detector(),
            "since": number(event.first.step),
            "steps_in_alarm": event.alarms,
        }),
    }
}

fn json_of_summary(summary: &Summary) -> Value {
    let detectors = summary.tracks.iter().map(|track| {
        json!({
            "detector": track.detector,
            "events": track.events,
            "first_step": track.first.map(number),
            "steps_in_alarm": track.alarms,
            "severity": track.severity.map(severity),
            "abstained": track.abstained.map_or(0, |(times, _)| times),
        })
    });
    let told = summary
        .told
        .iter()
        .map(|(quantity, told)| ((*quantity).to_owned(), Value::from(*told)));
    json!({
        "summary": {
            "rows": summary.rows,
            "steps": summary.steps.map(number),
            "values": told.collect::<serde_json::Map<_, _>>(),
            "detectors": detectors.collect::<Vec<_>>(),
            "not_finite": summary.not_finite.map(|found| json!({
                "step": number(found.step),
                "quantity": found.quantity,
                "value": found.value.to_string(),
            })),
            "diverged": summary.came.map(|came| came.diverged),
            "onset": summary.came.and_then(|came| came.onset).map(number),
            "loss_bound": summary.came.and_then(|came| came.bound).map(number),
            "trouble": summary.is_trouble(),
        }
    })
}

/// A number, whole where it is.
fn number(x: f64) -> Value {
    let whole = x as i64;
    if whole as f64 == x && whole.unsigned_abs() < 1 << 53 {
        Value::from(whole)
    } else {
        Value::from(x)
    }
}
