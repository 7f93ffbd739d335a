//! What an operation showed, as bits under names.

use std::fmt::{Display, Write};

use steadygrad::{Measurement, Norm, Report, Result, Stats};

/// What an operation showed.
#[derive(Default, PartialEq)]
pub(crate) struct Seen(Vec<(String, Value)>);

#[derive(Debug, PartialEq)]
enum Value {
    Text(String),
    Bits(Vec<u64>),
}

impl Seen {
    pub(crate) fn say(&mut self, what: impl Display, value: impl Display) {
        let value = Value::Text(value.to_string());
        self.0.push((what.to_string(), value));
    }

    /// To the last bit; one NaN is like another.
    pub(crate) fn number(&mut self, what: impl Display, x: f64) {
        self.numbers(what, &[x]);
    }

    pub(crate) fn numbers(&mut self, what: impl Display, xs: &[f64]) {
        let bits = |x: &f64| if x.is_nan() { f64::NAN } else { *x }.to_bits();
        let value = Value::Bits(xs.iter().map(bits).collect());
        self.0.push((what.to_string(), value));
    }

    pub(crate) fn result<T>(&mut self, what: &str, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.say(what, error);
                None
            }
        }
    }

    pub(crate) fn stats(&mut self, what: &str, stats: &Stats, norms: &[Norm]) {
        let counts = (stats.len(), stats.nan(), stats.pos_inf(), stats.neg_inf());
        self.say(
            what,
            format_args!("{counts:?} {:?}", stats.first_non_finite()),
        );
        for &norm in norms {
            let (m, e) = stats.norm(norm).parts();
            self.numbers(format_args!("{what}: {norm:?}"), &[m, e as f64]);
        }
    }

    pub(crate) fn measurement(&mut self, what: &str, seen: &Measurement, norms: &[Norm]) {
        for (i, stats) in seen.tensors().iter().enumerate() {
            self.stats(&format!("{what}: {i} {:?}", seen.name(i)), stats, norms);
        }
        self.stats(&format!("{what}: total"), seen.total(), norms);
    }

    pub(crate) fn report(&mut self, what: &str, report: &Report) {
        self.say(what, report);
        self.number(format_args!("{what}: before"), report.before());
        self.number(format_args!("{what}: after"), report.after());
        self.number(format_args!("{what}: factor"), report.factor());
        for tensor in report.tensors() {
            let after = tensor.after.map(|stats| stats.l2());
            self.number(
                format_args!("{what}: {} before", tensor.name),
                tensor.before.l2(),
            );
            self.number(
                format_args!("{what}: {} after", tensor.name),
                after.unwrap_or(-1.0),
            );
        }
        for alarm in report.alarms() {
            self.number(format_args!("{what}: {alarm}"), alarm.value());
        }
    }

    /// What differs, in words.
    pub(crate) fn differences(&self, expected: &Self) -> String {
        let mut text = String::new();
        for (found, expected) in self.0.iter().zip(&expected.0).filter(|(a, b)| a != b) {
            let _ = writeln!(text, "  {found:?}\n    expected {expected:?}");
        }
        if self.0.len() != expected.0.len() {
            let _ = writeln!(
                text,
                "  {} findings, expected {}",
                self.0.len(),
                expected.0.len()
            );
        }
        text
    }
}
