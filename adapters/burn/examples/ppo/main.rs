//! Proximal policy optimisation of a pole on a cart: a policy and a value network in one module, and a guard that clips
//! their common norm to 0.5. Trained without and with the guard from the same seeds; in the last of them a sensor
//! fails now and then, and the reward is NaN.
//!
//! ```sh
//! cargo run --release -p steadygrad-burn --example ppo
//! cargo run --release -p steadygrad-burn --example ppo -- --updates 100 --seeds 3
//! ```
//!
//! The method is that of Schulman and others (2017, arXiv:1707.06347) with advantages after Schulman and others (2016,
//! arXiv:1506.02438), the pole that of Barto, Sutton and Anderson (1983).

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use burn::module::Module;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use clap::Parser;
use steadygrad::{Guard, OnNonFinite, Step, Verdict, Wide, clip};
use steadygrad_burn::BurnGrads;

#[path = "../../../ppo/cart.rs"]
mod cart;
#[path = "../../../ppo/picture.rs"]
mod picture;
#[path = "../../../../examples/tell/mod.rs"]
mod tell;

use cart::{CartPole, Random};
use tell::{Told, tell};

const ENVS: usize = 8;
const HORIZON: usize = 128;
const SAMPLES: usize = ENVS * HORIZON;
const EPOCHS: usize = 4;
const MINIBATCH: usize = 256;
const DISCOUNT: f32 = 0.99;
const LAMBDA: f32 = 0.95;
const RATIO: f64 = 0.2;
/// To begin with; it falls to 0.
const RATE: f64 = 3e-3;
/// Updates over which returns are averaged.
const TAIL: usize = 10;
const MAX_NORM: f64 = 0.5;
/// The broken reward is NaN once in so many steps.
const FAILS: usize = 5_000;

/// Trains a pole on a cart by PPO, without and with a guard.
#[derive(Parser)]
struct Args {
    /// Updates of each training, of 1024 steps of the cart each
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    updates: u32,
    /// How many seeds; the reward of the last is broken
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Where the picture goes
    #[arg(long, value_name = "DIR", default_value = "target/ppo")]
    out: PathBuf,
}

#[derive(Module, Debug)]
struct Mlp {
    layers: [Linear; 3],
}

impl Mlp {
    /// As burn's `Linear` begins, and the last layer with a hundredth of that.
    fn new(outputs: usize, device: &Device) -> Self {
        let small = Initializer::KaimingUniform {
            gain: 0.01 / 3.0_f64.sqrt(),
            fan_out_only: false,
        };
        let last = LinearConfig::new(64, outputs).with_initializer(small);
        let layers = [LinearConfig::new(4, 64), LinearConfig::new(64, 64), last];
        Self {
            layers: layers.map(|layer| layer.init(device)),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [first, second, last] = &self.layers;
        last.forward(second.forward(first.forward(x).tanh()).tanh())
    }
}

/// Both networks: what is guarded as one, from `policy.layers.0.weight` to `value.layers.2.bias`.
#[derive(Module, Debug)]
struct Agent {
    policy: Mlp,
    value: Mlp,
}

impl Agent {
    fn new(device: &Device) -> Self {
        Self {
            policy: Mlp::new(2, device),
            value: Mlp::new(1, device),
        }
    }

    /// The logarithms of what the policy would do, and what the value network foresees.
    fn look(&self, states: Tensor<2>) -> (Tensor<2>, Tensor<1>) {
        let log_probs = log_softmax(self.policy.forward(states.clone()), 1);
        (log_probs, self.value.forward(states).squeeze_dim(1))
    }

    fn loss(&self, batch: Batch) -> Tensor<1> {
        let centred = batch.advantages.clone() - batch.advantages.mean();
        let advantages = centred.clone() / (centred.square().mean().sqrt() + 1e-8);
        let (log_probs, values) = self.look(batch.states);
        let taken: Tensor<1> = log_probs.clone().gather(1, batch.actions).squeeze_dim(1);
        let ratio = (taken - batch.log_probs).exp();
        let bounded = ratio.clone().clamp(1.0 - RATIO, 1.0 + RATIO);
        let gain = (ratio * advantages.clone()).min_pair(bounded * advantages);
        let entropy = -(log_probs.clone().exp() * log_probs).sum_dim(1).mean();
        let miss = (values - batch.returns).square();
        miss.mean() * 0.5 - gain.mean() - entropy * 0.01
    }
}

/// One step of one cart.
struct Sample {
    state: [f32; 4],
    action: i32,
    log_prob: f32,
    value: f32,
    reward: f32,
    ends: bool,
}

/// Generalised advantage estimation, over samples that come step after step, each of all carts.
fn advantages(samples: &[Sample], last_values: &[f32]) -> Vec<f32> {
    let mut advantages = vec![0.0; SAMPLES];
    for (at, sample) in samples.iter().enumerate().rev() {
        let goes_on = if sample.ends { 0.0 } else { 1.0 };
        let (next_value, next) = match at + ENVS {
            next if next < SAMPLES => (samples[next].value, advantages[next]),
            next => (last_values[next - SAMPLES], 0.0),
        };
        let error = sample.reward + DISCOUNT * goes_on * next_value - sample.value;
        advantages[at] = error + DISCOUNT * LAMBDA * goes_on * next;
    }
    advantages
}

/// States, one in each row.
fn matrix(states: impl Iterator<Item = [f32; 4]>, device: &Device) -> Tensor<2> {
    let flat: Vec<f32> = states.flatten().collect();
    let rows = flat.len() / 4;
    Tensor::from_data(TensorData::new(flat, [rows, 4]), device)
}

/// `[batch, 4]`, `[batch, 1]` and, of the others, `[batch]`.
struct Batch {
    states: Tensor<2>,
    actions: Tensor<2, Int>,
    log_probs: Tensor<1>,
    advantages: Tensor<1>,
    returns: Tensor<1>,
}

/// What the carts did under one policy.
struct Rollout {
    samples: Vec<Sample>,
    advantages: Vec<f32>,
    /// For how many steps the pole stood in the episodes that ended, or if none did, so far.
    stood: f64,
}

impl Rollout {
    fn batch(&self, picked: &[usize], device: &Device) -> Batch {
        let samples = || picked.iter().map(|&i| &self.samples[i]);
        let vector = |values: Vec<f32>| Tensor::from_floats(values.as_slice(), device);
        let actions: Vec<i32> = samples().map(|sample| sample.action).collect();
        let returns = picked
            .iter()
            .map(|&i| self.advantages[i] + self.samples[i].value);
        Batch {
            states: matrix(samples().map(|sample| sample.state), device),
            actions: Tensor::from_data(TensorData::new(actions, [picked.len(), 1]), device),
            log_probs: vector(samples().map(|sample| sample.log_prob).collect()),
            advantages: vector(picked.iter().map(|&i| self.advantages[i]).collect()),
            returns: vector(returns.collect()),
        }
    }
}

struct World {
    carts: Vec<CartPole>,
    random: Random,
    /// Whether the reward breaks.
    breaks: bool,
}

impl World {
    fn new(seed: u64, breaks: bool) -> Self {
        let mut random = Random(seed);
        Self {
            carts: (0..ENVS).map(|_| CartPole::new(&mut random)).collect(),
            random,
            breaks,
        }
    }

    fn roll_out(&mut self, agent: &Agent, device: &Device) -> Rollout {
        let look = |carts: &[CartPole]| {
            let states = matrix(carts.iter().map(|cart| cart.state), device);
            let (log_probs, values) = agent.look(states);
            let values: Vec<f32> = values.into_data().iter().collect();
            (log_probs.into_data().iter().collect::<Vec<f32>>(), values)
        };
        let (mut samples, mut stood) = (vec![], vec![]);
        for _ in 0..HORIZON {
            let (log_probs, values) = look(&self.carts);
            let foreseen = log_probs.chunks(2).zip(values);
            for (cart, (log_probs, value)) in self.carts.iter_mut().zip(foreseen) {
                let action = usize::from(self.random.uniform() >= log_probs[0].exp());
                let state = cart.state;
                let ends = !cart.push([-10.0, 10.0][action]);
                let fails = self.random.below(FAILS) == 0 && self.breaks;
                samples.push(Sample {
                    state,
                    action: action as i32,
                    log_prob: log_probs[action],
                    value,
                    reward: if fails { f32::NAN } else { 1.0 },
                    ends,
                });
                if ends {
                    stood.push(f64::from(cart.steps));
                    *cart = CartPole::new(&mut self.random);
                }
            }
        }
        if stood.is_empty() {
            stood = self.carts.iter().map(|cart| cart.steps.into()).collect();
        }
        Rollout {
            advantages: advantages(&samples, &look(&self.carts).1),
            samples,
            stood: mean(&stood),
        }
    }

    /// All samples in an order of chance, `EPOCHS` times over.
    fn order(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..SAMPLES).collect();
        let mut shuffled = || {
            (1..SAMPLES).for_each(|i| order.swap(i, self.random.below(i + 1)));
            order.clone()
        };
        (0..EPOCHS).flat_map(|_| shuffled()).collect()
    }
}

/// What a training came to.
#[derive(Default)]
struct Course {
    /// For how many steps the pole stood, update by update.
    returns: Vec<f64>,
    steps: usize,
    largest_norm: f64,
    clipped: usize,
    skipped: usize,
    /// Why the guard ended it, if it did.
    end: String,
}

fn mean(returns: &[f64]) -> f64 {
    returns.iter().sum::<f64>() / returns.len() as f64
}

fn train(seed: u64, breaks: bool, mut guard: Guard, updates: u32) -> steadygrad::Result<Course> {
    let device = Device::flex().autodiff();
    device.seed(seed);
    let mut agent = Agent::new(&device);
    let mut optimizer = AdamConfig::new().init();
    let mut world = World::new(seed, breaks);
    let mut course = Course::default();
    for update in 0..updates {
        let rate = RATE * (1.0 - f64::from(update) / f64::from(updates));
        let last_good = (agent.clone(), optimizer.clone());
        let rollout = world.roll_out(&agent.valid(), &device.clone().inner());
        course.returns.push(rollout.stood);
        for picked in world.order().chunks(MINIBATCH) {
            let loss = agent.loss(rollout.batch(picked, &device));
            let value = loss.clone().into_scalar::<f32>();
            let mut grads = GradientsParams::from_grads(loss.backward(), &agent);
            let report =
                guard.step(Step::new(&mut BurnGrads::new(&mut grads, &agent)).loss(value))?;
            match report.verdict() {
                Verdict::Apply => {
                    course.steps += 1;
                    course.clipped += usize::from(report.is_clipped());
                    // The norm before clipping, logged.
                    if report.before() > course.largest_norm || report.before().is_nan() {
                        course.largest_norm = report.before();
                    }
                    agent = optimizer.step(rate, agent, grads);
                }
                Verdict::Skip => course.skipped += 1,
                Verdict::Rollback => {
                    (agent, optimizer) = last_good;
                    break;
                }
                Verdict::Stop => {
                    course.end = format!(" {report}");
                    return Ok(course);
                }
            }
        }
    }
    Ok(course)
}

fn program(args: &Args, out: &mut dyn Write) -> Told {
    let path = args.out.join("ppo.svg");
    // Better to know before the training.
    std::fs::create_dir_all(&args.out)
        .and_then(|()| {
            std::fs::File::options()
                .append(true)
                .create(true)
                .open(&path)
        })
        .map_err(|why| format!("cannot write to {}: {why}", path.display()))?;
    writeln!(
        out,
        "| seed | run | stood, first {TAIL} updates | last {TAIL} | largest norm | clipped | skipped |"
    )?;
    writeln!(out, "|---|---|---:|---:|---:|---:|---:|")?;
    let mut courses = vec![];
    for (seed, guarded) in (1..=args.seeds).flat_map(|seed| [(seed, false), (seed, true)]) {
        let guard = if guarded {
            // Whole updates may be lost, each of 16 steps.
            let clip = clip::GlobalNorm::new(MAX_NORM)?;
            Guard::new().clip(clip).max_skips(100)
        } else {
            // It only looks.
            Guard::new().on_non_finite(OnNonFinite::Propagate)
        };
        let breaks = seed == args.seeds;
        let course = train(seed, breaks, guard, args.updates)?;
        let returns = &course.returns;
        let tail = TAIL.min(returns.len());
        writeln!(
            out,
            "| {seed}{} | {} | {:.0} | {:.0} | {} | {} of {} | {} |{}",
            if breaks { ", reward broken" } else { "" },
            if guarded { "with guard" } else { "without" },
            mean(&returns[..tail]),
            mean(&returns[returns.len() - tail..]),
            Wide::from(course.largest_norm),
            course.clipped,
            course.steps,
            course.skipped,
            course.end,
        )?;
        out.flush()?;
        courses.push((guarded, breaks, course.returns));
    }
    picture::draw(&path, &courses, args.updates)?;
    writeln!(out, "\nthe picture is {}", path.display())?;
    Ok(())
}

fn main() -> ExitCode {
    let args = Args::parse();
    tell(|out| program(&args, out))
}
