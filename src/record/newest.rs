//! A report as rows are made of it.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::row::{AlarmRow, Phase, Row, TensorRow};
use crate::detect::Alarm;
use crate::names::Names;
use crate::{Measurement, Norm, Report, Verdict, Wide};

/// The numbers of a step, and how much of what is beside them is its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// How many were recorded before.
    pub(super) place: u64,
    step: u64,
    loss: Option<f64>,
    pub(super) grad_norm: f64,
    pub(super) clipped_norm: f64,
    pub(super) factor: f64,
    weight_norm: Option<f64>,
    update_norm: Option<f64>,
    pub(super) verdict: Verdict,
    pub(super) tensors: u32,
    pub(super) alarms: u32,
}

/// An alarm as it was told at a step. Its clone needs no heap, but for what made a NaN.
#[derive(Clone, Debug)]
pub(super) struct Told {
    alarm: Alarm,
    pub(super) phase: Phase,
    origin: Option<String>,
}

/// The last report that was read, in memory of its own that is used again.
#[derive(Clone, Debug)]
pub(super) struct Newest {
    pub(super) line: Line,
    taken: u64,
    pub(super) tensors: Vec<TensorRow>,
    pub(super) told: Vec<Told>,
    /// Those of the first report that had tensors.
    names: Option<Arc<Names>>,
    /// Of how many tensors there are rows at most.
    pub(super) limit: usize,
    /// What the policy met in the step before, which no detector told.
    fault: Option<Alarm>,
}

impl Newest {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            line: Line {
                place: 0,
                step: 0,
                loss: None,
                grad_norm: f64::NAN,
                clipped_norm: f64::NAN,
                factor: 1.0,
                weight_norm: None,
                update_norm: None,
                verdict: Verdict::Apply,
                tensors: 0,
                alarms: 0,
            },
            taken: 0,
            tensors: Vec::new(),
            told: Vec::with_capacity(8),
            names: None,
            limit,
            fault: None,
        }
    }

    /// Takes in a report.
    pub(super) fn read(&mut self, report: &Report) {
        let norm = |of: Option<&Measurement>| of.map(|of| of.total().l2());
        self.read_tensors(report);
        self.read_alarms(report);
        self.line = Line {
            place: self.taken,
            step: report.step(),
            loss: report.loss(),
            grad_norm: report.before(),
            clipped_norm: report.after(),
            factor: report.factor(),
            weight_norm: norm(report.params()),
            update_norm: norm(report.updates()),
            verdict: report.verdict(),
            tensors: self.tensors.len() as u32,
            alarms: self.told.len() as u32,
        };
        self.taken += 1;
    }

    /// Those of the first set that had any; of a set of other names there is nothing to put into their columns.
    fn read_tensors(&mut self, report: &Report) {
        self.tensors.clear();
        let grads = report.measurement();
        let (now, width) = (grads.names(), grads.len().min(self.limit));
        if width == 0 {
            return;
        }
        let names = self.names.get_or_insert_with(|| Arc::clone(now));
        if !Arc::ptr_eq(names, now) {
            if **names != **now {
                return;
            }
            // Which is faster to compare with from now on.
            *names = Arc::clone(now);
        }
        let (mut weights, mut updates) =
            (Beside::new(report.params()), Beside::new(report.updates()));
        self.tensors.reserve_exact(width);
        for index in 0..width {
            let name = grads.name(index);
            let (weight, update) = (weights.norm(name), updates.norm(name));
            self.tensors.push(TensorRow {
                grad_norm: grads.tensor(index).l2(),
                weight_norm: weight.map(Wide::to_f64),
                update_ratio: update
                    .zip(weight)
                    .filter(|&both| both != (Wide::ZERO, Wide::ZERO))
                    .map(|(update, weight)| (update / weight).to_f64()),
            });
        }
    }

    fn read_alarms(&mut self, report: &Report) {
        self.told.clear();
        let mut tell = |alarm: &Alarm, phase, origin: Option<&str>| {
            self.told.push(Told {
                alarm: alarm.clone(),
                phase,
                origin: origin.map(String::from),
            });
        };
        let before = self.fault.take();
        let untold = |fault: &&Alarm| !report.alarms().iter().any(|alarm| alarm.same_as(fault));
        let fault = report.non_finite().filter(untold);
        let goes_on = |before: &&Alarm| fault.is_some_and(|fault| fault.goes_on_from(before));
        let old = before.as_ref().filter(goes_on);
        if let Some(fault) = fault {
            let since = old.map_or(report.step(), Alarm::since);
            let fault = fault.clone().begun(since);
            tell(&fault, Phase::of(&fault), report.origin());
            self.fault = Some(fault);
        }
        for alarm in report.alarms() {
            let fault = report.non_finite().filter(|fault| alarm.same_as(fault));
            tell(alarm, Phase::of(alarm), fault.and_then(|_| report.origin()));
        }
        let gone = before.as_ref().filter(|_| old.is_none());
        for alarm in report.ended().iter().chain(gone) {
            tell(alarm, Phase::Ended, None);
        }
    }

    /// Whether something begins or ends here, or the step was not to be taken.
    pub(super) fn is_event(&self) -> bool {
        self.line.verdict != Verdict::Apply
            || self.told.iter().any(|told| told.phase != Phase::GoesOn)
    }

    /// What the tensors are called.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.names.as_deref();
        let count = names.map_or(0, |names| names.len().min(self.limit));
        (0..count).filter_map(move |index| names?.get(index))
    }

    pub(super) fn row(&self) -> Row {
        self.line.row(self.tensors.iter(), self.told.iter())
    }
}

impl Line {
    /// With what is beside it.
    pub(super) fn row<'a>(
        &self,
        tensors: impl Iterator<Item = &'a TensorRow>,
        told: impl Iterator<Item = &'a Told>,
    ) -> Row {
        Row {
            step: self.step,
            loss: self.loss,
            grad_norm: self.grad_norm,
            clipped_norm: self.clipped_norm,
            factor: self.factor,
            weight_norm: self.weight_norm,
            update_norm: self.update_norm,
            tensors: tensors.copied().collect(),
            alarms: told.map(Told::row).collect(),
            verdict: self.verdict,
        }
    }
}

impl Phase {
    fn of(alarm: &Alarm) -> Self {
        if alarm.is_new() {
            Self::Began
        } else {
            Self::GoesOn
        }
    }
}

impl Told {
    fn row(&self) -> AlarmRow {
        let alarm = &self.alarm;
        let mut said = alloc::format!("{}", alarm.finding());
        if let Some(origin) = &self.origin {
            said.push_str(", made by ");
            said.push_str(origin);
        }
        AlarmRow {
            severity: alarm.how_severe(),
            value: alarm.value(),
            bound: alarm.bound(),
            said,
            phase: self.phase,
            ..AlarmRow::new(alarm.detector(), alarm.thing().to_string(), alarm.since())
        }
    }
}

/// A set that is walked beside the gradients, in their order.
struct Beside<'a> {
    of: Option<&'a Measurement>,
    next: usize,
}

impl<'a> Beside<'a> {
    fn new(of: Option<&'a Measurement>) -> Self {
        Self { of, next: 0 }
    }

    /// The norm of the next tensor of this name. Parameters may have more tensors than gradients, of which a whole
    /// set may be missing.
    fn norm(&mut self, name: &str) -> Option<Wide> {
        let of = self.of?;
        let index = (self.next..of.len()).find(|&index| of.name(index) == name)?;
        self.next = index + 1;
        let tensor = of.tensor(index);
        // What has no elements, such as a bias that is left out, is not a parameter of zero.
        (!tensor.is_empty()).then(|| tensor.norm(Norm::L2))
    }
}
