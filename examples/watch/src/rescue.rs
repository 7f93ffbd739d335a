//! The same nets with a guard: which of those that are lost are saved, and what the others pay for it.

use steadygrad::detect::Watchdog;
use steadygrad::keep::Keep;
use steadygrad::{Action, Guard, Recovery, Result, Step, TensorSetMut, Verdict};

use crate::median::median;
use crate::net;
use crate::optimiser::Optimiser;
use crate::random::Random;
use crate::replay::Run;
use crate::setup::Setup;
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
    pub(crate) rollbacks: u64,
    pub(crate) is_stopped: bool,
}

/// Trains with a [`Watchdog`] whose every alarm is answered by going back and halving the rate.
pub(crate) fn train(setup: &Setup, series: &Series) -> Result<Guarded> {
    let mut net = net::build(setup)?;
    let mut optimiser = Optimiser::new(setup.optimiser, net.params())?;
    let mut random = Random::new(setup.seed, 1);
    let terms = setup.task.terms(setup);
    let mut guard = Guard::new().detect_with(Verdict::Rollback, Watchdog::default());
    let env = |name: &str, or: f64| std::env::var(name).ok().and_then(|x| x.parse().ok()).unwrap_or(or);
    let mut recovery = Recovery::new(Keep::after(env("W_KEEP", HEALTHY as f64) as u64)?).cut(env("W_CUT", 0.5), env("W_WAIT", 100.0) as u64)?;
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

impl Guarded {
    pub(crate) fn debug(&self, run: &Run) -> String {
        let losses: Vec<f64> = run.rows.iter().map(|row| row.loss).collect();
        let before = run.onset.map_or(
            f64::NAN,
            |onset| end(&losses[..(onset as usize - 1).max(1)]),
        );
        format!(
            "{},{},{},{}",
            median(&losses[..20.min(losses.len())]),
            before,
            end(&losses),
            end(&self.losses)
        )
    }
}

fn end(losses: &[f64]) -> f64 {
    median(&losses[losses.len().saturating_sub(LOSSES)..])
}

/// What guards came to over several runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rescue {
    diverged: u64,
    /// Ended at or below their losses before the onset.
    pub(crate) saved: u64,
    /// And those that ended above them by at most a twentieth.
    pub(crate) nearly: u64,
    pub(crate) stopped: u64,
    pub(crate) rollbacks: u64,
    /// Of the healthy runs, the final loss with a guard as a multiple of that without.
    costs: Vec<f64>,
}

impl Rescue {
    pub(crate) fn count(&mut self, run: &Run, guarded: &Guarded) {
        let losses: Vec<f64> = run.rows.iter().map(|row| row.loss).collect();
        let Some(onset) = run.onset else {
            self.costs.push(end(&guarded.losses) / end(&losses));
            return;
        };
        // Of a run that is lost at its first step, that step's.
        let before = end(&losses[..(onset as usize - 1).max(1)]);
        let after = end(&guarded.losses);
        self.diverged += 1;
        self.saved += u64::from(after <= before);
        self.nearly += u64::from(after <= (1.0 + CLOSE) * before);
        self.stopped += u64::from(guarded.is_stopped);
        self.rollbacks += guarded.rollbacks;
    }
}
