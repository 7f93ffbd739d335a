//! One run: a guarded training loop, and what came of it.

use std::time::Duration;

use steadygrad::detect::Alarm;
use steadygrad::penalty::{L2, Penalty};
use steadygrad::record::{Log, Recorder};
use steadygrad::recurrent::{Init, Layer, Lstm, Profile, Rnn};
use steadygrad::{Measurement, Result, Step, Tensor, TensorSet, TensorSetMut, Verdict};

use crate::data::{Random, Series, WINDOW};
use crate::model::{Flow, Net};
use crate::runs::{
    BATCH, Cell, FORGET_BIAS, LEARNING_RATE, MOMENTUM, REPORTED, RUNS, Run, SPECTRAL_RADIUS,
};

/// A run has diverged once its loss is this many times the first one.
pub(crate) const DIVERGED: f64 = 100.0;
/// So often in a run its flow is looked at.
const PROFILES: u64 = 50;

/// What the user may set.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) steps: u64,
    pub(crate) hidden: usize,
}

impl Plan {
    /// How long training takes, near enough to decide whether to wait: a passage of a window through an RNN
    /// multiplies its matrix once a month on the way there and twice on the way back, an LSTM has four, and the first
    /// step is preceded by a picture of the flow.
    pub(crate) fn about(&self) -> Duration {
        /// Of both threads, a processor of 2023.
        const OPERATIONS_A_SECOND: f64 = 2e10;
        let matrices: usize = RUNS
            .map(|run| if run.cell == Cell::Lstm { 4 } else { 1 })
            .iter()
            .sum();
        let passages = 3.0 * (self.steps + 1) as f64 * matrices as f64;
        let product = (2 * BATCH * WINDOW) as f64 * (self.hidden as f64).powi(2);
        Duration::from_secs_f64(passages * product / OPERATIONS_A_SECOND)
    }
}

/// What a run came to.
#[derive(Default)]
pub(crate) struct Outcome {
    /// The norm of the gradients at each step, before any clipping.
    pub(crate) norms: Vec<f64>,
    /// The first alarm of each detector, in the order of time.
    pub(crate) alarms: Vec<Alarm>,
    pub(crate) clipped: u64,
    /// The loss of the last step taken.
    pub(crate) final_loss: f64,
    /// The first step at which the loss or a parameter was not finite, or the loss above
    /// [`DIVERGED`] times the first one.
    pub(crate) diverged_at: Option<u64>,
    /// The step at which the guard stopped the run.
    pub(crate) stopped_at: Option<u64>,
    pub(crate) predictions: Vec<f64>,
    pub(crate) flow: Vec<Flow>,
    /// What the guard said, step by step.
    pub(crate) log: Log,
    /// How the error flows back as training goes on, and at which steps that was looked at; of the reported run alone.
    pub(crate) profiles: Vec<(u64, Profile)>,
}

impl Outcome {
    /// NaN once there was one.
    pub(crate) fn max_norm(&self) -> f64 {
        self.norms.iter().fold(0.0, |max, &norm| {
            if norm > max || norm.is_nan() {
                norm
            } else {
                max
            }
        })
    }

    pub(crate) fn clipped_share(&self) -> f64 {
        self.clipped as f64 / self.norms.len() as f64
    }
}

/// Builds the network of a run and trains it. `tick` is called at each step.
pub(crate) fn run(run: &Run, plan: &Plan, series: &Series, tick: &dyn Fn()) -> Result<Outcome> {
    let mut random = Random(plan.seed);
    let mut uniform = || random.uniform();
    if run.cell == Cell::Lstm {
        let cell = Lstm::builder(1, plan.hidden)
            .forget_bias(FORGET_BIAS)
            .build(&mut uniform)?;
        train(
            run,
            plan,
            Net::new(cell, plan.hidden, &mut random)?,
            series,
            tick,
        )
    } else {
        let w_rec = Init::Scaled {
            radius: SPECTRAL_RADIUS,
        };
        let cell = Rnn::builder(1, plan.hidden)
            .w_rec(w_rec)
            .build(&mut uniform)?;
        train(
            run,
            plan,
            Net::new(cell, plan.hidden, &mut random)?,
            series,
            tick,
        )
    }
}

fn train<C>(
    run: &Run,
    plan: &Plan,
    mut net: Net<C>,
    series: &Series,
    tick: &dyn Fn(),
) -> Result<Outcome>
where
    C: Layer<Elem = f64>,
{
    let mut guard = run.guard(series.persistence_loss())?;
    let mut sgd = Sgd::default();
    let mut outcome = Outcome::default();
    let mut recorder = Recorder::new();
    // The order of the data has a generator of its own, so that it is the same for every network.
    let mut order = Random(!plan.seed);
    let mut first_loss = None;
    for step in 1..=plan.steps {
        tick();
        let (xs, targets) = series.batch(BATCH, &mut order);
        if step == 1 {
            outcome.flow = net.gradient_flow(&xs, &targets)?;
        }
        if run.name == RUNS[REPORTED].name && (step - 1) % plan.steps.div_ceil(PROFILES) == 0 {
            let profile = net.profile(&xs, &targets)?;
            outcome.profiles.push((step, profile));
        }
        let (loss, mut grads) = net.loss(&xs, &targets)?;
        if let Some(strength) = run.l2 {
            // What makes gradients explode: the weights of the cell.
            let decay = L2::new(strength)?.on(|name: &str| name.starts_with("cell.w"));
            decay.apply(&net, &mut grads)?;
        }
        let step_taken = Step::new(&mut grads).params(&net).loss(loss);
        let report = guard.step(match sgd.velocity[..] {
            [] => step_taken,
            _ => step_taken.updates(&sgd.velocity),
        })?;

        recorder.record(&report);
        outcome.final_loss = loss;
        outcome.norms.push(report.before());
        outcome.clipped += u64::from(report.is_clipped());
        for alarm in report.alarms() {
            if outcome
                .alarms
                .iter()
                .all(|known| known.detector() != alarm.detector())
            {
                outcome.alarms.push(alarm.clone());
            }
        }
        let verdict = report.verdict();
        let bound = DIVERGED * *first_loss.get_or_insert(loss);
        let is_finite = loss.is_finite() && Measurement::of(&net)?.total().is_finite();
        outcome.diverged_at = (loss > bound || !is_finite).then_some(step);
        outcome.stopped_at = (verdict == Verdict::Stop).then_some(step);
        if outcome.diverged_at.or(outcome.stopped_at).is_some() {
            break;
        }
        if verdict.is_apply() {
            // The rate falls in a straight line to zero.
            let rest = 1.0 - (step - 1) as f64 / plan.steps as f64;
            sgd.step(&mut net, &grads, LEARNING_RATE * rest)?;
        }
    }
    outcome.log = recorder.log();
    outcome.predictions = net.predict(series, series.judged.clone())?;
    Ok(outcome)
}

/// Gradient descent with momentum. It rescales nothing, so what it does to an exploding gradient is to
/// follow it.
#[derive(Default)]
struct Sgd {
    /// Of each parameter, under its name: what it was moved by last.
    velocity: Vec<(String, Vec<f64>)>,
}

impl Sgd {
    fn step(
        &mut self,
        params: &mut dyn TensorSetMut,
        grads: &dyn TensorSet,
        rate: f64,
    ) -> Result<()> {
        let mut index = 0;
        grads.visit(&mut |name, grad| {
            if self.velocity.len() == index {
                self.velocity.push((name.into(), vec![0.0; grad.len()]));
            }
            let mut given = vec![0.0; grad.len()];
            grad.read(0, &mut given)?;
            for (velocity, grad) in self.velocity[index].1.iter_mut().zip(given) {
                *velocity = MOMENTUM * *velocity - rate * grad;
            }
            index += 1;
            Ok(())
        })?;
        let mut moved = self.velocity.iter();
        params.visit_mut(&mut |_name, param| match moved.next() {
            Some((_, velocity)) => param.add(0, velocity),
            None => Ok(()),
        })
    }
}
