//! Proximal policy optimisation of a pole on a cart: a policy and a value network, each with an Adam of its own, and
//! one guard that clips their common norm to 0.5. Trained without and with the guard from the same seeds; in the last
//! of them a sensor fails now and then, and the reward is NaN.
//!
//! ```text
//! cargo run --release -p steadygrad-candle --example ppo
//! cargo run --release -p steadygrad-candle --example ppo -- --updates 100 --seeds 3
//! ```
//!
//! The method is that of Schulman and others (2017, arXiv:1707.06347) with advantages after Schulman and others (2016,
//! arXiv:1506.02438), the pole that of Barto, Sutton and Anderson (1983).

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::{AdamW, Linear, Module, Optimizer, ParamsAdamW, VarBuilder, VarMap, ops};
use clap::Parser;
use steadygrad::{Guard, OnNonFinite, Verdict, Wide, clip};
use steadygrad_candle::{Vars, guarded_backward};

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

#[derive(Parser)]
#[command(
    about = "Trains a pole on a cart by PPO, without and with a guard",
    version
)]
struct Options {
    /// Updates of each training, of 1024 steps of the cart each
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    updates: u32,
    /// How many seeds; the reward of the last is broken
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Where the picture goes
    #[arg(long, value_name = "DIR", default_value = "target")]
    out: PathBuf,
}

struct Mlp {
    vars: VarMap,
    layers: [Linear; 3],
}

impl Mlp {
    /// Weights uniform within ±1/√inputs, those of the last layer a hundredth of that; no biases to begin with.
    fn new(outputs: usize, random: &mut Random) -> Result<Self> {
        let vars = VarMap::new();
        let vb = VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu);
        let layers = [
            candle_nn::linear(4, 64, vb.pp("0"))?,
            candle_nn::linear(64, 64, vb.pp("1"))?,
            candle_nn::linear(64, outputs, vb.pp("2"))?,
        ];
        for (place, var) in vars.list().iter().enumerate() {
            let size = if place < 4 { 1.0 } else { 0.01 };
            let bound = match var.dims() {
                [_, inputs] => size / (*inputs as f32).sqrt(),
                _ => 0.0,
            };
            let weight = |_| bound * (2.0 * random.uniform() - 1.0);
            let weights: Vec<f32> = (0..var.elem_count()).map(weight).collect();
            var.set(&Tensor::from_vec(weights, var.shape(), &Device::Cpu)?)?;
        }
        Ok(Self { vars, layers })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [first, second, last] = &self.layers;
        last.forward(&second.forward(&first.forward(x)?.tanh()?)?.tanh()?)
    }
}

/// One step of one cart.
struct Sample {
    state: [f32; 4],
    action: u32,
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

/// What a training came to.
#[derive(Default)]
struct Course {
    /// For how many steps the pole stood in the episodes that ended, update by update.
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

/// States, one in each row.
fn matrix(states: impl Iterator<Item = [f32; 4]>) -> Result<Tensor> {
    let flat: Vec<f32> = states.flatten().collect();
    let rows = flat.len() / 4;
    Tensor::from_vec(flat, (rows, 4), &Device::Cpu)
}

struct Trainer {
    random: Random,
    breaks: bool,
    policy: Mlp,
    value: Mlp,
    optimizers: [AdamW; 2],
    carts: Vec<CartPole>,
    guard: Guard,
    course: Course,
}

impl Trainer {
    fn new(seed: u64, breaks: bool, guard: Guard) -> Result<Self> {
        let mut random = Random(seed);
        let policy = Mlp::new(2, &mut random)?;
        let value = Mlp::new(1, &mut random)?;
        let adam = |net: &Mlp| {
            let params = ParamsAdamW {
                lr: RATE,
                eps: 1e-5,
                weight_decay: 0.0,
                ..ParamsAdamW::default()
            };
            AdamW::new(net.vars.list(), params)
        };
        Ok(Self {
            optimizers: [adam(&policy)?, adam(&value)?],
            carts: (0..ENVS).map(|_| CartPole::new(&mut random)).collect(),
            random,
            breaks,
            policy,
            value,
            guard,
            course: Course::default(),
        })
    }

    /// Where the carts are, the logarithms of what the policy would do, and what the value network foresees.
    fn look(&self) -> Result<(Tensor, Vec<f32>)> {
        let states = matrix(self.carts.iter().map(|cart| cart.state))?;
        let log_probs = ops::log_softmax(&self.policy.forward(&states)?, D::Minus1)?;
        let values = self.value.forward(&states)?.flatten_all()?.to_vec1()?;
        Ok((log_probs, values))
    }

    /// Samples, and what is foreseen behind the last of them.
    fn roll_out(&mut self) -> Result<(Vec<Sample>, Vec<f32>)> {
        let (mut samples, mut stood) = (vec![], vec![]);
        for _ in 0..HORIZON {
            let (log_probs, values) = self.look()?;
            let foreseen = log_probs.to_vec2::<f32>()?.into_iter().zip(values);
            for (cart, (log_probs, value)) in self.carts.iter_mut().zip(foreseen) {
                let action = usize::from(self.random.uniform() >= log_probs[0].exp());
                let state = cart.state;
                let ends = !cart.push([-10.0, 10.0][action]);
                let fails = self.random.below(FAILS) == 0 && self.breaks;
                samples.push(Sample {
                    state,
                    action: action as u32,
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
        self.course.returns.push(mean(&stood));
        Ok((samples, self.look()?.1))
    }

    fn train(mut self, updates: u32) -> Result<Course> {
        for update in 0..updates {
            let left = 1.0 - f64::from(update) / f64::from(updates);
            for optimizer in &mut self.optimizers {
                optimizer.set_learning_rate(RATE * left);
            }
            self.update()?;
            if !self.course.end.is_empty() {
                break;
            }
        }
        Ok(self.course)
    }

    /// Learns from a rollout.
    fn update(&mut self) -> Result<()> {
        let (samples, last_values) = self.roll_out()?;
        let advantages = advantages(&samples, &last_values);
        let mut order: Vec<usize> = (0..SAMPLES).collect();
        for _ in 0..EPOCHS {
            (1..SAMPLES).for_each(|i| order.swap(i, self.random.below(i + 1)));
            for batch in order.chunks(MINIBATCH) {
                let pick = |of: &dyn Fn(usize) -> f32| {
                    let picked: Vec<f32> = batch.iter().map(|&i| of(i)).collect();
                    Tensor::new(picked, &Device::Cpu)
                };
                let old = pick(&|i| samples[i].log_prob)?;
                let returns = pick(&|i| advantages[i] + samples[i].value)?;
                let advantages = pick(&|i| advantages[i])?;
                let states = matrix(batch.iter().map(|&i| samples[i].state))?;
                let actions: Vec<u32> = batch.iter().map(|&i| samples[i].action).collect();
                let actions = Tensor::new(actions, &Device::Cpu)?.unsqueeze(1)?;

                let centred = advantages.broadcast_sub(&advantages.mean_all()?)?;
                let spread = (centred.sqr()?.mean_all()?.sqrt()? + 1e-8)?;
                let advantages = centred.broadcast_div(&spread)?;
                let log_probs = ops::log_softmax(&self.policy.forward(&states)?, D::Minus1)?;
                let ratio = (log_probs.gather(&actions, 1)?.squeeze(1)? - old)?.exp()?;
                let bounded = ratio.clamp(1.0 - RATIO, 1.0 + RATIO)?;
                let gain = (ratio * &advantages)?.minimum(&(bounded * &advantages)?)?;
                let entropy = (log_probs.exp()? * &log_probs)?.sum(1)?.mean_all()?.neg()?;
                let miss = (self.value.forward(&states)?.squeeze(1)? - returns)?.sqr()?;
                let loss = ((miss.mean_all()? * 0.5)? - gain.mean_all()?)?;
                self.step(&(loss - (entropy * 0.01)?)?)?;
                if !self.course.end.is_empty() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, loss: &Tensor) -> Result<()> {
        let vars = [("policy", &self.policy.vars), ("value", &self.value.vars)];
        let [of_policy, of_value] = &mut self.optimizers;
        let report = guarded_backward(loss, &mut self.guard, &vars, |grads| {
            of_policy.step(grads)?;
            of_value.step(grads)
        })?;
        let course = &mut self.course;
        match report.verdict() {
            Verdict::Apply => {
                course.steps += 1;
                course.clipped += usize::from(report.is_clipped());
                // The norm before clipping, logged.
                if report.before() > course.largest_norm || report.before().is_nan() {
                    course.largest_norm = report.before();
                }
            }
            Verdict::Skip => course.skipped += 1,
            Verdict::Rollback | Verdict::Stop => course.end = format!(" {report}"),
        }
        Ok(())
    }
}

fn program(options: &Options, out: &mut dyn Write) -> Told {
    let path = options.out.join("ppo.svg");
    // Better to know before the training.
    std::fs::create_dir_all(&options.out)
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
    for (seed, guarded) in (1..=options.seeds).flat_map(|seed| [(seed, false), (seed, true)]) {
        let guard = if guarded {
            // Whole updates may be lost, each of 16 steps.
            let clip = clip::GlobalNorm::new(MAX_NORM)?;
            Guard::new().clip(clip).max_skips(100)
        } else {
            // It only looks.
            Guard::new().on_non_finite(OnNonFinite::Propagate)
        };
        let breaks = seed == options.seeds;
        let course = Trainer::new(seed, breaks, guard)?.train(options.updates)?;
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
    picture::draw(&path, &courses, options.updates)?;
    writeln!(out, "\nthe picture is {}", path.display())?;
    Ok(())
}

fn main() -> ExitCode {
    let options = Options::parse();
    tell(|out| program(&options, out))
}
