//! Logs of runs that never were.

use crate::Verdict;
use crate::record::{AlarmRow, Log, Phase, Row, TensorRow};

/// Noise between 0 and 1 that is the same for ever.
pub(crate) fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A run whose norms are these, clipped to 1.
pub(crate) fn of_norms(norms: impl IntoIterator<Item = f64>) -> Log {
    let rows = (1..).zip(norms).map(|(step, norm)| {
        let mut row = Row::new(step);
        row.grad_norm = norm;
        row.clipped_norm = norm.min(1.0);
        row.factor = row.clipped_norm / norm;
        if norm.is_nan() || norm.is_infinite() {
            (row.clipped_norm, row.factor, row.verdict) = (norm, 1.0, Verdict::Skip);
        }
        row.loss = Some(0.3 + 2.0 / (1.0 + step as f64 / 30.0) + 0.05 * (step as f64 * 0.7).sin());
        row
    });
    Log::new(vec![], rows.collect())
}

/// As many tensors as names, each of which goes its way.
pub(crate) fn with_tensors(log: Log, names: &[&str]) -> Log {
    let mut log = log;
    let mut random = noise(5);
    for row in &mut log.rows {
        let t = row.step as f64;
        row.tensors = (0..names.len())
            .map(|i| {
                let mut tensor = TensorRow::new(row.grad_norm / (1.0 + i as f64));
                let slope = (i as f64 - 2.0) * 0.001;
                tensor.weight_norm = Some((1.0 + i as f64) * (slope * t).exp());
                tensor.update_ratio =
                    Some(1e-3 * (0.5 + random()) / (1.0 + i as f64) / (1.0 + t / 200.0));
                tensor
            })
            .collect();
        row.weight_norm = Some(3.0);
    }
    log.names = names.iter().map(ToString::to_string).collect();
    log
}

/// Adds an event that lasts from one step to another.
pub(crate) fn with_event(mut log: Log, detector: &str, from: u64, to: u64) -> Log {
    for row in &mut log.rows {
        let mut alarm = AlarmRow::new(detector, "the gradients", from);
        alarm.said = format!(
            "the norm of the gradients is {:.1}, above 10.00 ({detector})",
            row.grad_norm
        );
        alarm.phase = match row.step {
            step if step == from => Phase::Began,
            step if step > from && step <= to => Phase::GoesOn,
            step if step == to + 1 => Phase::Ended,
            _ => continue,
        };
        row.alarms.push(alarm);
    }
    log
}

/// Norms around 1 that fall a little, with a spike here and there.
pub(crate) fn healthy(steps: usize) -> Vec<f64> {
    let mut random = noise(3);
    (0..steps)
        .map(|step| (1.5 * (random() - 0.5)).exp() * 2.0 / (1.0 + step as f64 / 400.0))
        .collect()
}

/// Healthy, then torn away, then NaN.
pub(crate) fn lost(steps: usize) -> Vec<f64> {
    let mut norms = healthy(steps);
    let onset = 4 * steps / 5;
    for (step, norm) in norms.iter_mut().enumerate().skip(onset) {
        *norm *= (0.6 * (step - onset) as f64).exp();
        if step > onset + 30 {
            *norm = f64::INFINITY;
        }
        if step > onset + 35 {
            *norm = f64::NAN;
        }
    }
    norms
}
