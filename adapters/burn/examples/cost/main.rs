//! What a guarded step costs beside burn's own per-tensor clipping, and beside loops written by hand.
//!
//! ```sh
//! cargo run --release -p steadygrad-burn --example cost
//! ```
//!
//! Gradients in the shapes of GPT-2 small (148 tensors, 124 million `f32`) and of a small LSTM
//! (8 tensors, 1.3 million). All that is compared runs in turn in every round; medians over rounds.
//! A second table is of whole loops written by hand, with their lines and with how far the worst element is from the exact result.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use burn::grad_clipping::GradientClippingConfig;
use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor};
use clap::Parser;
use steadygrad::StepView;
use steadygrad::clip::{self, Clipper};
use steadygrad::{Guard, Measurement, Pen};
use steadygrad_burn::BurnGrads;

mod loops;
#[path = "../../../../examples/tell/mod.rs"]
mod tell;

use tell::{Told, tell};

/// Measures a guarded step on burn's gradients beside burn's own clipping and loops written by hand.
#[derive(Parser)]
struct Args {
    /// Rounds, each running everything once
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(3..))]
    rounds: u32,
    /// Leave out the large set
    #[arg(long)]
    small: bool,
}

#[derive(Module, Debug)]
struct Shapes {
    matrices: Vec<Param<Tensor<2>>>,
    vectors: Vec<Param<Tensor<1>>>,
}

fn param<const D: usize>(shape: [usize; D]) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::zeros(shape, &Device::flex().autodiff()))
}

impl Shapes {
    fn new(matrices: &[[usize; 2]], vectors: &[usize]) -> Self {
        Self {
            matrices: matrices.iter().map(|&shape| param(shape)).collect(),
            vectors: vectors.iter().map(|&len| param([len])).collect(),
        }
    }

    fn gpt2() -> Self {
        let (mut matrices, mut vectors) = (vec![[50_257, 768], [1024, 768]], vec![768, 768]);
        for _layer in 0..12 {
            matrices.extend([[768, 2304], [768, 768], [768, 3072], [3072, 768]]);
            vectors.extend([768, 768, 2304, 768, 768, 768, 3072, 768]);
        }
        Self::new(&matrices, &vectors)
    }

    fn lstm() -> Self {
        let (inputs, hidden) = (256, 288);
        let [gates, recurrent] = [[4 * hidden, inputs], [4 * hidden, hidden]];
        let upper = recurrent;
        Self::new(&[gates, recurrent, upper, recurrent], &[4 * hidden; 4])
    }

    fn mlp(outputs: usize) -> Self {
        Self::new(&[[4, 64], [64, 64], [64, outputs]], &[64, 64, outputs])
    }

    fn grads(&self) -> GradientsParams {
        let mut grads = GradientsParams::new();
        Device::flex().seed(1);
        self.draw(&mut grads);
        grads
    }

    /// A gradient of norm 1 for each tensor, near enough.
    fn draw(&self, grads: &mut GradientsParams) {
        let device = Device::flex();
        for matrix in &self.matrices {
            let [rows, columns] = matrix.dims();
            let deviation = 1.0 / ((rows * columns) as f64).sqrt();
            let grad = Tensor::<2>::random(
                [rows, columns],
                Distribution::Normal(0.0, deviation),
                &device,
            );
            grads.register(matrix.id, grad);
        }
        for vector in &self.vectors {
            let [len] = vector.dims();
            let deviation = 1.0 / (len as f64).sqrt();
            grads.register(
                vector.id,
                Tensor::<1>::random([len], Distribution::Normal(0.0, deviation), &device),
            );
        }
    }

    /// What an optimizer with `GradientClippingConfig::Norm(max)` does before it steps.
    fn clip_each(&self, grads: &mut GradientsParams, max: f32) {
        let clipping = GradientClippingConfig::Norm(max).init();
        for matrix in &self.matrices {
            if let Some(grad) = grads.remove::<2>(matrix.id) {
                grads.register(matrix.id, clipping.clip_gradient(grad));
            }
        }
        for vector in &self.vectors {
            if let Some(grad) = grads.remove::<1>(vector.id) {
                grads.register(vector.id, clipping.clip_gradient(grad));
            }
        }
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// A global norm clip whose bound shrinks with every step, so that every step clips.
#[derive(Debug)]
struct Tightening(f64);

impl Clipper for Tightening {
    fn name(&self) -> &'static str {
        "tightening"
    }

    fn plan(&mut self, step: &StepView<'_>, pen: &mut Pen<'_>) {
        self.0 *= SHRINK;
        if let Ok(mut rule) = clip::GlobalNorm::new(self.0) {
            rule.plan(step, pen);
        }
    }
}

const SHRINK: f64 = 0.999;

fn compare(out: &mut dyn Write, name: &str, model: &Shapes, rounds: u32, repeats: u32) -> Told {
    for clips in [true, false] {
        let (mut ours, mut theirs) = (model.grads(), model.grads());
        let norm = Measurement::of(&BurnGrads::new(&mut ours, model))?
            .total()
            .l2();
        let (mut guard, mut bound) = if clips {
            (Guard::new().clip(Tightening(norm)), 1.0)
        } else {
            (Guard::new().clip(clip::GlobalNorm::new(1e6)?), 1e6)
        };
        let mut our_step = || {
            let clipped = guard
                .step(&mut BurnGrads::new(&mut ours, model))
                .map(|report| report.is_clipped());
            assert_eq!(clipped, Ok(clips));
        };
        let mut their_step = || {
            bound *= if clips { SHRINK as f32 } else { 1.0 };
            model.clip_each(&mut theirs, bound);
        };
        let (mut us, mut them) = (vec![], vec![]);
        for _round in 0..rounds {
            us.push(timed(|| (0..repeats).for_each(|_| our_step())));
            them.push(timed(|| (0..repeats).for_each(|_| their_step())));
        }
        let [us, them] = [us, them].map(|times| median(times) / f64::from(repeats));
        let what = if clips { "clips" } else { "does not clip" };
        writeln!(
            out,
            "| {name} | {what} | {us:.3} | {them:.3} | {:.2} |",
            us / them
        )?;
    }
    Ok(())
}

fn program(args: &Args, out: &mut dyn Write) -> Told {
    writeln!(
        out,
        "| gradients | step | guard.step ms | burn's GradientClipping ms | ratio |"
    )?;
    writeln!(out, "|---|---|---|---|---|")?;
    if !args.small {
        let name = "GPT-2 small, 148 tensors, 124 M f32";
        compare(out, name, &Shapes::gpt2(), args.rounds, 1)?;
    }
    compare(
        out,
        "LSTM, 8 tensors, 1.3 M f32",
        &Shapes::lstm(),
        args.rounds,
        20,
    )?;
    loops::measure(out, args.rounds)
}

fn main() -> ExitCode {
    let args = Args::parse();
    tell(|out| program(&args, out))
}
