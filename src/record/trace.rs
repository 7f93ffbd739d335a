//! Steps as events of `tracing`.

use tracing::{debug, error, info, warn};

use crate::detect::{Alarm, Severity};
use crate::{Report, Verdict};

/// Tells [`tracing`] of a step, under the target `steadygrad`.
///
/// | what | level | fields |
/// |---|---|---|
/// | each step | debug | `step`, `loss`, `grad_norm`, `clipped_norm`, `factor`, `weight_norm`, `update_norm` |
/// | an alarm begins | info, warn or error, as grave as it is | `step`, `detector`, `value`, `bound`; the message is its sentence |
/// | an alarm has ended | info | `step`, `detector`, `since`; the message is its sentence |
/// | a step is not to be taken | warn, error for a stop | `step`, `verdict`; the message is the report's line |
///
/// # Examples
///
/// ```
/// use steadygrad::{detect, record, Guard};
///
/// let mut guard = Guard::new().detect(detect::NormThreshold::new(1.0)?);
/// for x in [0.5, 4.0, 3.0, f64::NAN] {
///     let report = guard.step(&mut [x])?;
///     record::trace(&report);        // 4 × debug; warn at 2; warn and info at 4: skipped, and the norm is no longer above
/// }
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub fn trace(report: &Report) {
    let norm = |of: Option<&crate::Measurement>| of.map(|of| of.total().l2());
    let step = report.step();
    debug!(
        target: "steadygrad",
        step,
        loss = report.loss(),
        grad_norm = report.before(),
        clipped_norm = report.after(),
        factor = report.factor(),
        weight_norm = norm(report.params()),
        update_norm = norm(report.updates()),
    );
    for alarm in report.alarms().iter().filter(|alarm| alarm.is_new()) {
        begun(step, alarm);
    }
    for alarm in report.ended() {
        let (detector, since) = (alarm.detector(), alarm.since());
        info!(target: "steadygrad", step, detector, since, "ended: {}", alarm.finding());
    }
    let verdict = tracing::field::display(report.verdict());
    match report.verdict() {
        Verdict::Apply => (),
        Verdict::Stop => error!(target: "steadygrad", step, verdict, "{report}"),
        _ => warn!(target: "steadygrad", step, verdict, "{report}"),
    }
}

fn begun(step: u64, alarm: &Alarm) {
    // The level of an event is a constant of the place where it stands.
    macro_rules! tell {
        ($level:ident) => {
            $level!(
                target: "steadygrad",
                step,
                detector = alarm.detector(),
                value = alarm.value(),
                bound = alarm.bound(),
                "{}",
                alarm.finding(),
            )
        };
    }
    match alarm.how_severe() {
        Severity::Note => tell!(info),
        Severity::Warning => tell!(warn),
        Severity::Grave => tell!(error),
    }
}
