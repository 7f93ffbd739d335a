//! Three loops that people have, written by hand and with the adapter: how many lines, how long, how exact.

use std::io::Write;
use std::mem;
use std::time::Duration;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{AdamWConfig, GradientsAccumulator, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Tensor};
use steadygrad::{Guard, Result, Step, Verdict, clip};
use steadygrad_burn::BurnGrads;

use crate::tell::Told;
use crate::{Shapes, timed};

const MICRO_BATCHES: usize = 4;
/// Of the steps behind a clip.
const RATE: f64 = 1e-3;

/// Modules that have one norm.
type Model = Vec<Shapes>;

// by hand: visitors
struct Squares<'g>(&'g GradientsParams, Vec<Tensor<1>>);

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.0.get::<D>(param.id) {
            self.1.push(grad.square().sum());
        }
    }
}

struct Scale<'g>(&'g mut GradientsParams, f32);

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.0.remove::<D>(param.id) {
            self.0.register(param.id, grad * self.1);
        }
    }
}
// end

/// Clips the mean of as many gradients as there are `parts` in their sum.
fn by_hand(grads: &mut GradientsParams, model: &Model, max: f32, parts: f32) {
    // by hand: clip
    let mut squares = Squares(grads, vec![]);
    model.visit(&mut squares);
    let norm = Tensor::cat(squares.1, 0).sum().into_scalar::<f32>().sqrt() / parts;
    let factor = (max / (norm + 1e-6)).min(1.0) / parts;
    if factor < 1.0 {
        model.visit(&mut Scale(grads, factor));
    }
    // end
}

/// Gradients of some modules, from one backward pass or several.
struct Case {
    model: Model,
    passes: Vec<GradientsParams>,
    max: f64,
}

/// One way to write a loop.
type Way<'w, R> = &'w mut dyn FnMut(Vec<GradientsParams>) -> R;

impl Case {
    fn new(model: Model, passes: usize, max: f64) -> Self {
        Device::flex().seed(1);
        let pass = |_| {
            let mut grads = GradientsParams::new();
            model.iter().for_each(|part| part.draw(&mut grads));
            grads
        };
        let passes = (0..passes).map(pass).collect();
        Self { model, passes, max }
    }

    /// Copies, since a step uses them up.
    fn grads(&self) -> Vec<GradientsParams> {
        struct Copied<'g>(&'g GradientsParams, GradientsParams);

        impl ModuleVisitor for Copied<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if let Some(grad) = self.0.get::<D>(param.id) {
                    self.1.register(param.id, grad * 1.0);
                }
            }
        }

        let copied = |grads| {
            let mut copied = Copied(grads, GradientsParams::new());
            self.model.visit(&mut copied);
            copied.1
        };
        self.passes.iter().map(copied).collect()
    }

    /// The mean of the passes, as burn sums them, clipped in `f64`.
    fn exact(&self) -> Vec<f32> {
        let passes = self.passes.iter();
        let passes = passes.map(|grads| values(&self.model, Some(grads)));
        let add = |sum: Vec<f32>, grads| sum.iter().zip(grads).map(|(x, y)| x + y).collect();
        let sums: Vec<f32> = passes.reduce(add).unwrap_or_default();
        let mean = |x: f32| f64::from(x) / self.passes.len() as f64;
        let norm = sum(sums.iter().map(|&x| mean(x) * mean(x))).sqrt();
        let clipped = |x| (mean(x) * self.max / norm) as f32;
        sums.into_iter().map(clipped).collect()
    }

    /// How many numbers of their type lie between the worst element and what it should be.
    fn off(&self, found: &[f32]) -> u32 {
        let exact = self.exact();
        assert_eq!(found.len(), exact.len());
        let pairs = found.iter().zip(exact);
        pairs
            .map(|(x, y)| x.to_bits().abs_diff(y.to_bits()))
            .max()
            .unwrap_or(0)
    }

    /// The fastest of some rounds, in microseconds; each way comes first in every other.
    fn fastest<R>(&self, rounds: u32, mut ways: [Way<R>; 2]) -> [f64; 2] {
        let mut least = [Duration::MAX; 2];
        for round in 0..rounds as usize {
            for at in [round % 2, 1 - round % 2] {
                let (grads, mut left) = (self.grads(), None);
                let time = timed(|| left = Some(ways[at](grads)));
                least[at] = time.min(least[at]);
            }
        }
        least.map(|time| time.as_secs_f64() * 1e6)
    }
}

/// Of the gradients, or of the weights.
fn values(model: &Model, grads: Option<&GradientsParams>) -> Vec<f32> {
    struct Values<'g>(Option<&'g GradientsParams>, Vec<f32>);

    impl ModuleVisitor for Values<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let tensor = match self.0 {
                Some(grads) => grads.get::<D>(param.id),
                None => Some(param.val()),
            };
            let data = tensor.map(Tensor::into_data);
            self.1
                .extend(data.iter().flat_map(|data| data.iter::<f32>()));
        }
    }

    let mut values = Values(grads, vec![]);
    model.visit(&mut values);
    values.1
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

/// The lines between a comment that says so and the next that says "end".
fn lines(parts: &[&str]) -> usize {
    let count = |part: &&str| {
        let begin = format!("// {part}");
        let lines = include_str!("loops.rs").lines().map(str::trim);
        lines
            .skip_while(|line| *line != begin)
            .skip(1)
            .take_while(|line| *line != "// end")
            .filter(|line| !line.is_empty())
            .count()
    };
    parts.iter().map(count).sum()
}

fn mean_by_hand(passes: Vec<GradientsParams>, model: &Model, max: f32) -> GradientsParams {
    let parts = passes.len() as f32;
    // by hand: accumulate
    let mut sum = GradientsAccumulator::new();
    for grads in passes {
        sum.accumulate(model, grads);
    }
    let mut grads = sum.grads();
    by_hand(&mut grads, model, max, parts);
    // end
    grads
}

fn mean_guarded(passes: Vec<GradientsParams>, model: &Model, guard: &mut Guard) -> GradientsParams {
    let parts = passes.len() as f64;
    // adapter: accumulate
    let mut sum = GradientsAccumulator::new();
    for grads in passes {
        sum.accumulate(model, grads);
    }
    let mut grads = sum.grads();
    let report = guard.step(Step::new(&mut BurnGrads::new(&mut grads, model)).scaled_by(parts));
    // end
    assert_eq!(report.map(|report| report.verdict()), Ok(Verdict::Apply));
    grads
}

/// Clips the gradients of one pass, and steps.
fn step_by_hand(
    passes: Vec<GradientsParams>,
    model: Model,
    (optim, rate): (&mut ModuleOptimizer, f64),
    max: f32,
) -> Model {
    let mut grads = first(passes);
    by_hand(&mut grads, &model, max, 1.0);
    // by hand: step
    let model = optim.step(rate, model, grads);
    // end
    model
}

fn step_guarded(
    passes: Vec<GradientsParams>,
    model: Model,
    (optim, rate): (&mut ModuleOptimizer, f64),
    guard: &mut Guard,
) -> Result<Model> {
    let mut grads = first(passes);
    // adapter: step
    let report = guard.step(&mut BurnGrads::new(&mut grads, &model))?;
    let model = match report.verdict() {
        Verdict::Apply => optim.step(rate, model, grads),
        Verdict::Skip => model,
        Verdict::Rollback | Verdict::Stop => panic!("{report}"),
    };
    // end
    Ok(model)
}

fn first(passes: Vec<GradientsParams>) -> GradientsParams {
    passes.into_iter().next().unwrap_or_default()
}

/// Writes the line of a loop.
fn row(
    out: &mut dyn Write,
    name: &str,
    parts: [&[&str]; 2],
    [hand, ours]: [f64; 2],
    [hand_off, our_off]: [u32; 2],
) -> Told {
    let [hand_lines, our_lines] = parts.map(lines);
    writeln!(
        out,
        "| {name} | {hand_lines} | {our_lines} | {hand:.0} | {ours:.0} | {hand_off} | {our_off} |"
    )?;
    Ok(())
}

pub(crate) fn measure(out: &mut dyn Write, rounds: u32) -> Told {
    writeln!(
        out,
        "\nfastest rounds:\n\n| loop | lines by hand | with the adapter | µs by hand | with the adapter | worst ulp by hand | with the adapter |"
    )?;
    writeln!(out, "|---|---:|---:|---:|---:|---:|---:|")?;

    let case = Case::new(vec![Shapes::mlp(2), Shapes::mlp(1)], 1, 0.5);
    let (model, max) = (&case.model, case.max);
    let mut hand = |passes| {
        let mut grads = first(passes);
        by_hand(&mut grads, model, max as f32, 1.0);
        grads
    };
    let mut ours = |passes| {
        let mut grads = first(passes);
        // adapter: clip
        let clipped = clip::global_norm(&mut BurnGrads::new(&mut grads, model), max);
        // end
        assert!(clipped.is_ok_and(|clipped| clipped.before() > max));
        grads
    };
    let offs = [hand(case.grads()), ours(case.grads())];
    row(
        out,
        "policy + value, 12 tensors, 9 k",
        [&["by hand: visitors", "by hand: clip"], &["adapter: clip"]],
        case.fastest(20 * rounds, [&mut hand, &mut ours]),
        offs.map(|grads| case.off(&values(model, Some(&grads)))),
    )?;

    let case = Case::new(vec![Shapes::lstm()], MICRO_BATCHES, 0.25);
    let (model, max) = (&case.model, case.max);
    // adapter: guard
    let mut guard = Guard::new().clip(clip::GlobalNorm::new(max)?);
    // end
    let mut hand = |passes| mean_by_hand(passes, model, max as f32);
    let mut ours = |passes| mean_guarded(passes, model, &mut guard);
    let offs = [hand(case.grads()), ours(case.grads())];
    row(
        out,
        "accumulation of 4 micro-batches, LSTM, 8 tensors, 1.3 M",
        [
            &["by hand: visitors", "by hand: clip", "by hand: accumulate"],
            &["adapter: guard", "adapter: accumulate"],
        ],
        case.fastest(rounds, [&mut hand, &mut ours]),
        offs.map(|grads| case.off(&values(model, Some(&grads)))),
    )?;

    let case = Case::new(vec![Shapes::lstm()], 1, 0.25);
    let max = case.max;
    let mut guard = Guard::new().clip(clip::GlobalNorm::new(max)?);
    // A step of this rate from 0 leaves the clipped gradients as weights.
    let zeros = || (SgdConfig::new().init(), -1.0, case.model.clone());
    let ((mut sgd, rate, model), (mut other, _, same)) = (zeros(), zeros());
    let offs = [
        step_by_hand(case.grads(), model, (&mut sgd, rate), max as f32),
        step_guarded(case.grads(), same, (&mut other, rate), &mut guard)?,
    ];
    let adam = || (AdamWConfig::new().init(), case.model.clone());
    let ((mut hands, mut by_hand), (mut guards, mut guarded)) = (adam(), adam());
    let mut hand = |passes| {
        let model = mem::take(&mut by_hand);
        by_hand = step_by_hand(passes, model, (&mut hands, RATE), max as f32);
    };
    let mut ours = |passes| {
        let model = mem::take(&mut guarded);
        let stepped = step_guarded(passes, model, (&mut guards, RATE), &mut guard);
        guarded = stepped.expect("gradients that are finite");
    };
    row(
        out,
        "LSTM with `AdamW`, clip and step",
        [
            &["by hand: visitors", "by hand: clip", "by hand: step"],
            &["adapter: guard", "adapter: step"],
        ],
        case.fastest(rounds, [&mut hand, &mut ours]),
        offs.map(|model| case.off(&values(&model, None))),
    )
}
