//! Three loops that people have, written by hand and with the adapter: how many lines, how long, how exact.

use std::io::Write;
use std::time::{Duration, Instant};

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{AdamW, Optimizer};
use steadygrad::{Guard, Step, clip};
use steadygrad_candle::{CandleGrads, Guarded, GuardedStep, IntoCandle, Vars};

use crate::tell::Told;
use crate::{by_hand, lstm, summary};

type Named = Vec<(String, Var)>;

const MICRO_BATCHES: usize = 4;

/// Gradients of some variables, from one backward pass or several.
struct Case {
    vars: Named,
    grads: Vec<Vec<Tensor>>,
    max: f64,
}

/// How long a step took, and what it left of the gradients.
type Stepped = (Duration, Vec<Vec<f32>>);

impl Case {
    fn new(shapes: &[Vec<usize>], passes: usize, max: f64) -> Result<Self> {
        let random = |_| {
            let shapes = shapes.iter().map(Vec::as_slice);
            shapes
                .map(|shape| Tensor::randn(0f32, 1.0, shape, &Device::Cpu))
                .collect()
        };
        let var = |(index, shape): (usize, &Vec<usize>)| {
            let var = Var::zeros(shape.as_slice(), DType::F32, &Device::Cpu)?;
            Ok((format!("tensor.{index}"), var))
        };
        Ok(Self {
            vars: shapes.iter().enumerate().map(var).collect::<Result<_>>()?,
            grads: (0..passes).map(random).collect::<Result<_>>()?,
            max,
        })
    }

    /// Fresh ones, since a step edits them.
    fn stores(&self) -> Result<Vec<GradStore>> {
        let store = |grads: &Vec<Tensor>| {
            let mut store = GradStore::default();
            for ((_, var), grad) in self.vars.iter().zip(grads) {
                store.insert(var, grad.copy()?);
            }
            Ok(store)
        };
        self.grads.iter().map(store).collect()
    }

    fn run(&self, step: impl FnOnce(Vec<GradStore>) -> Result<GradStore>) -> Result<Stepped> {
        let stores = self.stores()?;
        let start = Instant::now();
        let left = step(stores)?;
        let took = start.elapsed();
        let values = |(_, var): &(String, Var)| match left.get(var) {
            Some(grad) => grad.flatten_all()?.to_vec1::<f32>(),
            None => Ok(vec![]),
        };
        Ok((took, self.vars.iter().map(values).collect::<Result<_>>()?))
    }

    /// The mean of the passes, as candle sums them, clipped in `f64`.
    fn exact(&self) -> Result<Vec<Vec<f32>>> {
        let passes = self.grads.len() as f64;
        let mean = |index: usize| {
            let mut sum = self.grads[0][index].clone();
            for grads in &self.grads[1..] {
                sum = (sum + &grads[index])?;
            }
            let values = sum.flatten_all()?.to_vec1::<f32>()?;
            Ok(values.into_iter().map(|x| f64::from(x) / passes).collect())
        };
        let all: Vec<Vec<f64>> = (0..self.vars.len()).map(mean).collect::<Result<_>>()?;
        let norm = sum(all.iter().flatten().map(|x| x * x)).sqrt();
        let clipped = |grad: &Vec<f64>| grad.iter().map(|x| (x * self.max / norm) as f32).collect();
        Ok(all.iter().map(clipped).collect())
    }
}

/// Neumaier's sum: a plain one of a million `f64`s would shift the last place of some `f32`.
fn sum(terms: impl Iterator<Item = f64>) -> f64 {
    let (sum, lost) = terms.fold((0.0_f64, 0.0), |(sum, lost), x| {
        let next = sum + x;
        let (large, small) = if sum.abs() >= x.abs() {
            (sum, x)
        } else {
            (x, sum)
        };
        (next, lost + ((large - next) + small))
    });
    sum + lost
}

/// How many numbers of its type lie between the worst element and what it should be.
fn worst(found: &[Vec<f32>], exact: &[Vec<f32>]) -> u32 {
    let pairs = found.iter().flatten().zip(exact.iter().flatten());
    pairs
        .map(|(x, y)| x.to_bits().abs_diff(y.to_bits()))
        .max()
        .unwrap_or(0)
}

/// The lines between a comment that says so and the next that says "end", here or where `by_hand` stands.
fn lines(parts: &[&str]) -> usize {
    let sources = [include_str!("main.rs"), include_str!("loops.rs")];
    let count = |part: &&str| {
        let lines = sources
            .iter()
            .flat_map(|source| source.lines().map(str::trim));
        let begin = format!("// {part}");
        lines
            .skip_while(|line| *line != begin)
            .skip(1)
            .take_while(|line| *line != "// end")
            .count()
    };
    parts.iter().map(count).sum()
}

fn mean_by_hand(stores: Vec<GradStore>, vars: &[(String, Var)], max: f64) -> Result<GradStore> {
    let n = stores.len() as f64;
    // by hand: accumulate
    let mut sum = GradStore::default();
    for grads in stores {
        sum.extend(grads)?;
    }
    for (_, var) in vars {
        if let Some(grad) = sum.remove(var) {
            sum.insert(var, (grad / n)?);
        }
    }
    by_hand(&mut sum, vars, max)?;
    // end
    Ok(sum)
}

fn mean_guarded(stores: Vec<GradStore>, vars: &Named, guard: &mut Guard) -> Result<GradStore> {
    let n = stores.len() as f64;
    // adapter: accumulate
    let mut sum = GradStore::default();
    for grads in stores {
        sum.extend(grads)?;
    }
    let step = guard.step(Step::new(&mut CandleGrads::new(&mut sum, vars)).scaled_by(n));
    // end
    step.candle()
        .map(|report| assert!(report.verdict().is_apply()))?;
    Ok(sum)
}

fn first(stores: Vec<GradStore>) -> GradStore {
    stores.into_iter().next().unwrap_or_default()
}

/// A net with two hidden layers of 64.
fn mlp(outputs: usize) -> Vec<Vec<usize>> {
    let layers = [[64, 4], [64, 64], [outputs, 64]];
    layers.map(|dims| [dims.to_vec(), vec![dims[0]]]).concat()
}

/// Measures one loop both ways, and writes its line of the table.
fn compare(
    out: &mut dyn Write,
    name: &str,
    case: &Case,
    rounds: u32,
    parts: [&[&str]; 2],
    mut ways: [&mut dyn FnMut(Vec<GradStore>) -> Result<GradStore>; 2],
) -> Told {
    let exact = case.exact()?;
    let (mut times, mut off) = ([vec![], vec![]], [0; 2]);
    for round in 0..=rounds {
        for (way, step) in ways.iter_mut().enumerate() {
            let (took, left) = case.run(&mut **step)?;
            off[way] = worst(&left, &exact).max(off[way]);
            // The first round warms up.
            if round > 0 {
                times[way].push(took);
            }
        }
    }
    let [hand, ours] = times.map(|mut times| 1e3 * summary(&mut times)[1]);
    let [hand_lines, our_lines] = parts.map(lines);
    writeln!(
        out,
        "| {name} | {hand_lines} | {our_lines} | {hand:.0} | {ours:.0} | {} | {} |",
        off[0], off[1]
    )?;
    Ok(())
}

pub(crate) fn measure(out: &mut dyn Write, rounds: u32) -> Told {
    writeln!(
        out,
        "\nfastest rounds:\n\n| loop | lines by hand | with the adapter | µs by hand | with the adapter | worst ulp by hand | with the adapter |"
    )?;
    writeln!(out, "|---|---:|---:|---:|---:|---:|---:|")?;

    let case = Case::new(&[mlp(2), mlp(1)].concat(), 1, 0.5)?;
    let (vars, max) = (&case.vars, case.max);
    let mut hand = |stores| {
        let mut grads = first(stores);
        by_hand(&mut grads, vars, max)?;
        Ok(grads)
    };
    let mut ours = |stores| {
        let mut grads = first(stores);
        // adapter: clip
        clip::global_norm(&mut CandleGrads::new(&mut grads, vars), max).candle()?;
        // end
        Ok(grads)
    };
    compare(
        out,
        "policy + value, 12 tensors, 9 k",
        &case,
        20 * rounds,
        [&["by hand: clip"], &["adapter: clip"]],
        [&mut hand, &mut ours],
    )?;

    let case = Case::new(&lstm(256, 288), MICRO_BATCHES, 0.25)?;
    let (vars, max) = (&case.vars, case.max);
    let mut guard = Guard::new().clip(clip::GlobalNorm::new(max)?);
    compare(
        out,
        "accumulation of 4 micro-batches, LSTM, 8 tensors, 1.3 M",
        &case,
        rounds,
        [
            &["by hand: accumulate", "by hand: clip"],
            &["adapter: accumulate"],
        ],
        [
            &mut |stores| mean_by_hand(stores, vars, max),
            &mut |stores| mean_guarded(stores, vars, &mut guard),
        ],
    )?;

    let case = Case::new(&lstm(256, 288), 1, 0.25)?;
    let (vars, max) = (&case.vars, case.max);
    let mut adam = AdamW::new_lr(vars.list(), 1e-3)?;
    let guard = Guard::new().clip(clip::GlobalNorm::new(max)?);
    let mut guarded: Guarded<AdamW> = AdamW::new_lr(vars.list(), 1e-3)?.guarded(guard, vars);
    compare(
        out,
        "LSTM with AdamW, clip and step",
        &case,
        rounds,
        [&["by hand: clip", "by hand: step"], &["adapter: step"]],
        [
            &mut |stores| {
                let mut grads = first(stores);
                by_hand(&mut grads, vars, max)?;
                // by hand: step
                adam.step(&grads)?;
                // end
                Ok(grads)
            },
            &mut |stores| {
                let mut grads = first(stores);
                // adapter: step
                guarded.step_in_place(&mut grads, None)?;
                // end
                Ok(grads)
            },
        ],
    )
}
