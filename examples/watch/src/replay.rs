//! What a detector would have said of a run that is written down.

use ndarray::arr2;
use steadygrad::detect::{Alarms, Detector, Severity};
use steadygrad::{Measurement, Outcome, Result, StepView, Verdict};

use crate::divergence::Divergence;
use crate::train::Row;

/// Alarms less than this many steps apart are one event.
const APART: u64 = 20;
/// An alarm so many steps after the onset is in time.
const DELAY: u64 = 3;

/// A run that is written down, and what became of it.
pub(crate) struct Run {
    pub(crate) rows: Vec<Row>,
    /// The step at which it began to be lost.
    pub(crate) onset: Option<u64>,
    /// The first step at which something was not finite.
    pub(crate) broken: Option<u64>,
    /// Above which a loss is lost, if there is such.
    bound: Option<f64>,
}

impl Run {
    pub(crate) fn new(rows: Vec<Row>) -> Self {
        let mut divergence = Divergence::default();
        for (step, row) in (1..).zip(&rows) {
            divergence.push(f64::from(step), row.loss);
        }
        let came = divergence.end();
        let onset = came.and_then(|came| came.onset);
        let broken = rows.iter().position(|row| !row.is_finite());
        Self {
            onset: onset.map(|step| step as u64),
            broken: broken.map(|row| row as u64 + 1),
            bound: came.and_then(|came| came.bound),
            rows,
        }
    }

    /// Whether at least half of the losses from a step on, over the steps of an event, are lost.
    fn is_lost_for_a_while(&self, step: u64) -> bool {
        let rows = self.rows.iter().skip(step as usize - 1);
        let rows: Vec<&Row> = rows.take(APART as usize).collect();
        let is_lost = |loss: f64| !loss.is_finite() || self.bound.is_some_and(|bound| loss > bound);
        let lost = rows.iter().filter(|row| is_lost(row.loss)).count();
        2 * lost >= rows.len()
    }

    /// The steps on which a detector raises an alarm at least so severe. It sees every step taken.
    pub(crate) fn alarms(&self, detector: &mut dyn Detector, least: Severity) -> Result<Vec<u64>> {
        let mut steps = vec![];
        let mut last_update = None;
        for (number, row) in (1..).zip(&self.rows) {
            let grads = Measurement::of(&[row.grad_norm])?;
            // Of two axes, or it would pass for a bias.
            let params = Measurement::of(&[("w", arr2(&[[row.weight_norm]]))])?;
            let updates = last_update.map(|norm| Measurement::of(&[("w", arr2(&[[norm]]))]));
            let updates = updates.transpose()?;
            let mut view = StepView::new(number, &grads).params(&params).loss(row.loss);
            if let Some(updates) = &updates {
                view = view.updates(updates);
            }
            let mut alarms = Alarms::default();
            detector.observe(&view, &mut alarms);
            detector.settle(&Outcome::new(number, Verdict::Apply));
            if alarms.iter().any(|alarm| alarm.how_severe() >= least) {
                steps.push(number);
            }
            last_update = row.update_norm;
        }
        Ok(steps)
    }
}

/// What a detector came to over several runs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) diverged: u64,
    /// Of these, with an alarm at most three steps after the onset and before anything was not finite.
    pub(crate) in_time: u64,
    /// With one at or before the onset.
    pub(crate) early: u64,
    pub(crate) healthy: u64,
    pub(crate) healthy_steps: u64,
    pub(crate) false_events: u64,
    /// Healthy runs with an event.
    pub(crate) touched: u64,
    /// Of these, with an alarm behind which half of the losses were lost: the run diverged, and came back.
    pub(crate) came_back: u64,
}

impl Tally {
    /// Counts one more run in, given the steps with an alarm.
    pub(crate) fn count(&mut self, run: &Run, alarms: &[u64]) {
        let Some(onset) = run.onset else {
            self.healthy += 1;
            self.healthy_steps += run.rows.len() as u64;
            self.false_events += events(alarms);
            self.touched += u64::from(!alarms.is_empty());
            let came_back = alarms.iter().any(|&step| run.is_lost_for_a_while(step));
            self.came_back += u64::from(came_back);
            return;
        };
        let first = alarms
            .first()
            .filter(|&&step| run.broken.is_none_or(|broken| step < broken));
        let by = |last| u64::from(first.is_some_and(|&first| first <= last));
        self.diverged += 1;
        self.in_time += by(onset + DELAY);
        self.early += by(onset);
    }

    /// False events in 10,000 healthy steps.
    pub(crate) fn false_rate(&self) -> f64 {
        1e4 * self.false_events as f64 / self.healthy_steps as f64
    }
}

/// How many rows of alarms there are.
fn events(alarms: &[u64]) -> u64 {
    let gaps = alarms.windows(2).filter(|pair| pair[1] - pair[0] >= APART);
    gaps.count() as u64 + u64::from(!alarms.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use steadygrad::detect::{NonFinite, NormThreshold, WeightGrowth};

    fn run(norms: &[f64], losses: &[f64]) -> Run {
        let rows = norms.iter().zip(losses).map(|(&norm, &loss)| Row {
            loss,
            grad_norm: norm,
            weight_norm: norm,
            update_norm: None,
        });
        Run::new(rows.collect())
    }

    #[test]
    fn alarms_less_than_twenty_steps_apart_are_one_event() {
        assert_eq!(events(&[]), 0);
        assert_eq!(events(&[7]), 1);
        assert_eq!(events(&[7, 8, 27, 46]), 1);
        assert_eq!(events(&[7, 27, 48]), 3);
    }

    #[test]
    fn detectors_see_the_norms_of_the_rows() {
        let run = run(&[1.0, 9.0, 1.0, f64::NAN], &[1.0; 4]);
        let alarms = |detector: &mut dyn Detector| run.alarms(detector, Severity::Note).unwrap();
        assert_eq!(alarms(&mut NormThreshold::new(5.0).unwrap()), [2]);
        assert_eq!(alarms(&mut WeightGrowth::new(5.0).unwrap()), [2]);
        assert_eq!(alarms(&mut NonFinite), [4]);
        assert_eq!(run.broken, Some(4));
        assert_eq!(run.alarms(&mut NonFinite, Severity::Grave).unwrap(), [0; 0]);
    }

    #[test]
    fn in_time_is_three_steps_after_and_before_nan() {
        let losses = [vec![1.0; 30], vec![9.0; 60]].concat();
        let late = run(&[1.0; 90], &losses);
        assert_eq!(late.onset, Some(31));
        let tally = |run: &Run, alarms: &[u64]| {
            let mut tally = Tally::default();
            tally.count(run, alarms);
            (tally.in_time, tally.early)
        };
        assert_eq!(tally(&late, &[31, 40]), (1, 1));
        assert_eq!(tally(&late, &[34]), (1, 0));
        assert_eq!(tally(&late, &[35]), (0, 0));
        assert_eq!(tally(&late, &[]), (0, 0));
        let broken = run(&[1.0; 32], &[vec![1.0; 30], vec![9.0, f64::NAN]].concat());
        assert_eq!(tally(&broken, &[31]), (1, 1));
        assert_eq!(tally(&broken, &[32]), (0, 0));
    }

    #[test]
    fn a_run_may_be_lost_for_a_while() {
        let mut losses = vec![1.0; 200];
        losses[100..110].fill(9.0);
        losses[150..159].fill(9.0);
        let run = run(&[1.0; 200], &losses);
        assert_eq!(run.onset, None);
        let came_back = |alarms: &[u64]| {
            let mut tally = Tally::default();
            tally.count(&run, alarms);
            (tally.touched, tally.came_back)
        };
        assert_eq!(came_back(&[101]), (1, 1));
        assert_eq!(came_back(&[102]), (1, 0));
        assert_eq!(came_back(&[151]), (1, 0));
        assert_eq!(came_back(&[]), (0, 0));
    }

    #[test]
    fn healthy_runs_give_false_events_by_their_steps() {
        let mut tally = Tally::default();
        tally.count(&run(&[1.0; 100], &[1.0; 100]), &[3, 4, 50]);
        tally.count(&run(&[1.0; 100], &[1.0; 100]), &[]);
        assert_eq!(
            (tally.healthy, tally.touched, tally.false_rate()),
            (2, 1, 100.0)
        );
    }
}
