//! The same nets with a guard: which of those that are lost are saved, and what the others pay for it.

use std::fmt;

use steadygrad::detect::Watchdog;
use steadygrad::keep::Keep;
use steadygrad::{Action, Guard, Recovery, Result, Step, TensorSetMut, Verdict};

use crate::median::median;
use crate::net;
use crate::optimiser::Optimiser;
use crate::random::Random;
use crate::replay::Run;
use crate::setup::Setup;
use crate::table::share;
use crate::tasks::Series;

/// So many losses say where a run is.
const LOSSES: usize = 20;
/// A loss that is higher by less than this part is that of other batches.
const CLOSE: f64 = 0.05;
/// So many healthy steps confirm what is gone back to.
const HEALTHY: u64 = 20;

/// What became of a guarded run.
pub(crate) struct Guarded {
    /// Of the steps that led to the parameters it ended with.
    losses: Vec<f64>,
    rollbacks: u64,
    is_stopped: bool,
}

/// Trains with a [`Watchdog`], of which every alarm is answered by going back and cutting the rate.
pub(crate) fn train(setup: &Setup, series: &Series) -> Result<Guarded> {
    let mut net = net::build(setup)?;
    let mut optimiser = Optimiser::new(setup.optimiser, net.params())?;
    let mut random = Random::new(setup.seed, 1);
    let terms = setup.task.terms(setup);
    let mut guard = Guard::new().detect_with(Verdict::Rollback, Watchdog::default());
    let mut recovery = Recovery::new(Keep::after(HEALTHY)?);
    let (mut losses, mut is_stopped) = (vec![], false);
    while guard.report().step() < setup.steps && !is_stopped {
        let batch = setup.task.batch(setup, series, &mut random);
        let (loss, mut grads) = net.loss(setup, &batch)?;
        let step = guard.step(Step::new(&mut grads).loss(loss))?;
        let mut kept: [(&str, &mut dyn TensorSetMut); 2] =
            [("net", net.params()), ("optimiser", &mut optimiser)];
        match recovery.act(step, &mut kept)? {
            Action::Apply => {
                let rate = setup.rate(guard.report().step(), terms) * recovery.rate();
                optimiser.step(&grads, rate, net.params())?;
                losses.push(loss);
            }
            Action::Skip => (),
            action => {
                let next = recovery.keep().step().unwrap_or(1);
                losses.truncate(next as usize - 1);
                is_stopped = action == Action::Stop;
            }
        }
    }
    Ok(Guarded {
        losses,
        rollbacks: recovery.rollbacks(),
        is_stopped,
    })
}

/// The median of the last losses.
fn end(losses: &[f64]) -> f64 {
    median(&losses[losses.len().saturating_sub(LOSSES)..])
}

/// What guards came to over several runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rescue {
    diverged: u64,
    /// Ended at or below their losses before the onset.
    saved: u64,
    /// These, and those that ended above them by at most a twentieth.
    close: u64,
    stopped: u64,
    rollbacks: u64,
    healthy: u64,
    /// Of the healthy runs in which something was done, the final loss as a multiple of that without a guard.
    costs: Vec<f64>,
}

impl Rescue {
    /// Counts one more run in; one of which the guard has nothing to say is the same with it.
    pub(crate) fn count(&mut self, run: &Run, guarded: Option<&Guarded>) {
        let losses: Vec<f64> = run.rows.iter().map(|row| row.loss).collect();
        let Some(onset) = run.onset else {
            self.healthy += 1;
            self.costs
                .extend(guarded.map(|guarded| end(&guarded.losses) / end(&losses)));
            return;
        };
        self.diverged += 1;
        let Some(guarded) = guarded else { return };
        // Of a run that is lost at its first step, that step's.
        let before = end(&losses[..(onset as usize - 1).max(1)]);
        let after = end(&guarded.losses);
        self.saved += u64::from(after <= before);
        self.close += u64::from(after <= (1.0 + CLOSE) * before);
        self.stopped += u64::from(guarded.is_stopped);
        self.rollbacks += guarded.rollbacks;
    }
}

impl fmt::Display for Rescue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let worse = self.costs.iter().filter(|&&cost| cost > 1.0 + CLOSE);
        let mut costs = self.costs.clone();
        costs.resize(self.healthy as usize, 1.0);
        writeln!(
            f,
            "Guarded by Watchdog and Recovery\n\n\
             saved: at or below the loss before the onset          {}\n\
             at most 5 % above it                                  {}\n\
             stopped                                               {}\n\
             rollbacks of a run that diverged                      {:.1}\n\
             healthy runs that were rolled back                    {}\n\
             their final loss beside that without a guard, median  {:.3}\n\
             worse by more than 5 %                                {}\n\
             the median of all healthy runs                        {:.3}",
            share(self.saved, self.diverged),
            share(self.close, self.diverged),
            share(self.stopped, self.diverged),
            self.rollbacks as f64 / self.diverged as f64,
            share(self.costs.len() as u64, self.healthy),
            median(&self.costs),
            share(worse.count() as u64, self.healthy),
            median(&costs),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::Ramp;
    use crate::train::{Row, record};

    fn run(losses: &[f64]) -> Run {
        let rows = losses.iter().map(|&loss| Row {
            loss,
            grad_norm: 1.0,
            weight_norm: 1.0,
            update_norm: None,
        });
        Run::new(rows.collect())
    }

    fn guarded(losses: &[f64], is_stopped: bool) -> Guarded {
        Guarded {
            losses: losses.to_vec(),
            rollbacks: 2,
            is_stopped,
        }
    }

    #[test]
    fn what_is_not_told_of_is_the_same_and_what_diverges_is_not() {
        let series = Series::sunspots().unwrap();
        let setup = Setup {
            steps: 60,
            ramp: None,
            rate: 1e-3,
            ..Setup::draw(3, 0, true)
        };
        let losses = |setup: &Setup| -> Vec<f64> {
            let rows = record(setup, &series).unwrap();
            rows.iter().map(|row| row.loss).collect()
        };
        let calm = train(&setup, &series).unwrap();
        assert_eq!((&calm.losses, calm.rollbacks), (&losses(&setup), 0));
        let ramp = Some(Ramp {
            from: 30,
            over: 1,
            times: 1e6,
        });
        let ramped = Setup { ramp, ..setup };
        let lost = Run::new(record(&ramped, &series).unwrap());
        let onset = lost.onset.unwrap();
        let saved = train(&ramped, &series).unwrap();
        assert!(saved.rollbacks > 0);
        assert!(end(&saved.losses) < 3.0 * end(&losses(&ramped)[..onset as usize - 1]));
    }

    #[test]
    fn saved_is_at_or_below_the_loss_before() {
        let lost = run(&[vec![1.0; 30], vec![9.0; 60]].concat());
        let mut rescue = Rescue::default();
        rescue.count(&lost, Some(&guarded(&[1.0; 90], false)));
        rescue.count(&lost, Some(&guarded(&[1.04; 90], false)));
        rescue.count(&lost, Some(&guarded(&[1.06; 90], true)));
        rescue.count(&lost, None);
        assert_eq!(
            (rescue.diverged, rescue.saved, rescue.close, rescue.stopped),
            (4, 1, 2, 1)
        );
    }

    #[test]
    fn healthy_runs_that_nothing_was_done_to_cost_nothing() {
        let calm = run(&[1.0; 90]);
        let mut rescue = Rescue::default();
        rescue.count(&calm, None);
        rescue.count(&calm, None);
        rescue.count(&calm, Some(&guarded(&[1.2; 90], false)));
        assert_eq!((rescue.healthy, rescue.costs.as_slice()), (3, &[1.2][..]));
        let text = rescue.to_string();
        assert!(text.contains("were rolled back                    1 (33.3 %)"));
        assert!(text.contains("worse by more than 5 %                                1 (33.3 %)"));
        assert!(text.contains("the median of all healthy runs                        1.000"));
    }
}
