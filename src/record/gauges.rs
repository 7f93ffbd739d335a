//! Steps as numbers of `metrics`.

use alloc::string::ToString;

use metrics::{counter, gauge};

use crate::Report;

/// Tells the recorder of [`metrics`] of a step.
///
/// | name | kind | labels |
/// |---|---|---|
/// | `steadygrad_loss`, `steadygrad_grad_norm`, `steadygrad_clipped_norm`, `steadygrad_factor`, `steadygrad_weight_norm`, `steadygrad_update_norm` | gauge, left as it is where nothing was given | |
/// | `steadygrad_steps` | counter | `verdict` |
/// | `steadygrad_clipped_steps` | counter | |
/// | `steadygrad_alarms`, of those that begin | counter | `detector`, `severity` |
///
/// # Examples
///
/// ```
/// use steadygrad::{record, Guard};
///
/// let mut guard = Guard::new();
/// let report = guard.step(&mut [3.0, 4.0])?;
/// record::gauges(&report);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub fn gauges(report: &Report) {
    let norm = |of: Option<&crate::Measurement>| of.map(|of| of.total().l2());
    for (name, x) in [
        ("steadygrad_loss", report.loss()),
        ("steadygrad_grad_norm", Some(report.before())),
        ("steadygrad_clipped_norm", Some(report.after())),
        ("steadygrad_factor", Some(report.factor())),
        ("steadygrad_weight_norm", norm(report.params())),
        ("steadygrad_update_norm", norm(report.updates())),
    ] {
        if let Some(x) = x {
            gauge!(name).set(x);
        }
    }
    counter!("steadygrad_steps", "verdict" => report.verdict().to_string()).increment(1);
    if report.is_clipped() {
        counter!("steadygrad_clipped_steps").increment(1);
    }
    for alarm in report.alarms().iter().filter(|alarm| alarm.is_new()) {
        let severity = alarm.how_severe().to_string();
        counter!("steadygrad_alarms", "detector" => alarm.detector(), "severity" => severity)
            .increment(1);
    }
}
