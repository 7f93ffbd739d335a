//! What a guarded step costs beside the loop that candle users write by hand.
//!
//! ```text
//! cargo run --release -p steadygrad-candle --example cost
//! ```
//!
//! Both clip the same gradients in turn, round by round; the table gives medians and the fastest rounds. "By hand" is the loop
//! pasted in candle's issue 2962: a square, a sum and one scalar read per tensor, then a product. A second table is of whole
//! loops, with their lines and with how far the worst element is from the exact result.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use clap::Parser;
use steadygrad::{Edits, Factor, Guard, clip};
use steadygrad_candle::CandleGrads;

mod loops;
#[path = "../../../../examples/tell/mod.rs"]
mod tell;

use tell::{Told, tell};

#[derive(Parser)]
#[command(about = "Measures a guarded step beside the loop that candle users write by hand")]
struct Options {
    /// How often each is measured
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Leave out the large set
    #[arg(long)]
    small: bool,
}

/// 148 tensors, 124,439,808 elements.
fn gpt2_small() -> Vec<Vec<usize>> {
    const WIDTH: usize = 768;
    let norm = || [vec![WIDTH], vec![WIDTH]];
    let linear = |rows: usize, columns: usize| [vec![rows, columns], vec![columns]];
    let mut shapes = vec![vec![50_257, WIDTH], vec![1_024, WIDTH]];
    for _ in 0..12 {
        shapes.extend(norm());
        shapes.extend(linear(WIDTH, 3 * WIDTH));
        shapes.extend(linear(WIDTH, WIDTH));
        shapes.extend(norm());
        shapes.extend(linear(WIDTH, 4 * WIDTH));
        shapes.extend(linear(4 * WIDTH, WIDTH));
    }
    shapes.extend(norm());
    shapes
}

/// Two layers of an LSTM with two biases each.
fn lstm(inputs: usize, hidden: usize) -> Vec<Vec<usize>> {
    let layer = |inputs: usize| {
        [
            vec![4 * hidden, inputs],
            vec![4 * hidden, hidden],
            vec![4 * hidden],
            vec![4 * hidden],
        ]
    };
    [layer(inputs), layer(hidden)].concat()
}

fn by_hand(grads: &mut GradStore, vars: &[(String, Var)], max: f64) -> candle_core::Result<()> {
    // by hand: clip
    let mut sum = 0f32;
    for (_, var) in vars {
        if let Some(grad) = grads.get(var) {
            sum += grad.sqr()?.sum_all()?.to_scalar::<f32>()?;
        }
    }
    let factor = max / (f64::from(sum).sqrt() + 1e-6);
    if factor < 1.0 {
        for (_, var) in vars {
            if let Some(grad) = grads.remove(var) {
                grads.insert(var, (grad * factor)?);
            }
        }
    }
    // end
    Ok(())
}

/// The median and the least, in milliseconds: on a busy machine the least tells more.
fn summary(times: &mut [Duration]) -> [f64; 2] {
    times.sort_unstable();
    [times[times.len() / 2], times[0]].map(|time| time.as_secs_f64() * 1e3)
}

fn measure(
    out: &mut dyn Write,
    name: &str,
    shapes: &[Vec<usize>],
    rounds: u32,
    repeat: usize,
) -> Told {
    let mut grads = GradStore::default();
    let mut vars = vec![];
    let mut elements = 0;
    for (index, shape) in shapes.iter().enumerate() {
        let var = Var::zeros(shape.as_slice(), DType::F32, &Device::Cpu)?;
        grads.insert(
            &var,
            Tensor::randn(0f32, 1.0, shape.as_slice(), &Device::Cpu)?,
        );
        elements += var.elem_count();
        vars.push((format!("tensor.{index}"), var));
    }
    let norm = (elements as f64).sqrt();
    let mut twice = Edits::for_count(vars.len());
    twice.scale_all(Factor::new(2.0)?);
    writeln!(out, "\n{name}: {} tensors, {elements} elements", vars.len())?;
    writeln!(
        out,
        "| step | by hand, ms | guard.step, ms | ratio | fastest by hand | fastest guard.step | ratio |"
    )?;
    writeln!(out, "|---|---:|---:|---:|---:|---:|---:|")?;
    for (label, max) in [
        ("clipped to half", norm / 2.0),
        ("under the bound", norm * 2.0),
    ] {
        let mut guard = Guard::new().clip(clip::GlobalNorm::new(max)?);
        let (mut hand, mut ours) = (vec![], vec![]);
        for round in 0..=rounds {
            for _ in 0..repeat {
                let start = Instant::now();
                by_hand(&mut grads, &vars, max)?;
                let elapsed = start.elapsed();
                if max < norm {
                    twice.apply(&mut CandleGrads::new(&mut grads, &vars))?;
                }
                let start = Instant::now();
                let report = guard.step(&mut CandleGrads::new(&mut grads, &vars))?;
                let clipped = report.is_clipped();
                let took = start.elapsed();
                assert_eq!(clipped, max < norm, "{report}");
                if clipped {
                    twice.apply(&mut CandleGrads::new(&mut grads, &vars))?;
                }
                // The first round warms up.
                if round > 0 {
                    hand.push(elapsed);
                    ours.push(took);
                }
            }
        }
        let ([hand, hand_least], [ours, ours_least]) = (summary(&mut hand), summary(&mut ours));
        writeln!(
            out,
            "| {label} | {hand:.3} | {ours:.3} | {:.2} | {hand_least:.3} | {ours_least:.3} | {:.2} |",
            ours / hand,
            ours_least / hand_least,
        )?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let options = Options::parse();
    tell(|out| {
        if !options.small {
            measure(out, "GPT-2 small", &gpt2_small(), options.rounds, 1)?;
        }
        measure(out, "small LSTM", &lstm(256, 288), options.rounds, 20)?;
        loops::measure(out, options.rounds)
    })
}
