//! However a model lies on ranks, what is decided of it is the same.

use steadygrad::detect::{NonFinite, NormThreshold, PersistentNorm, Plateau, WeightGrowth};
use steadygrad::penalty::{ElasticNet, Penalty};
use steadygrad::reduce::{Owner, Shards, Threads};
use steadygrad::{
    Element, Factor, Guard, Norm, OnNonFinite, Pen, Step, StepView, Verdict, Verdicts, clip,
    clip::Clipper, detect::Detector,
};

use crate::on_ranks;

/// `SplitMix64` (Steele, Lea and Flood, 2014).
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A number of either sign, now and then far from 1.
    fn number(&mut self) -> f64 {
        let x = self.next() as f64 / 2_f64.powi(63) - 1.0;
        match self.below(12) {
            0 => x * 1e6,
            1 => x * 1e-6,
            2 => 0.0,
            _ => x,
        }
    }
}

/// A set of tensors by name, of which some have no gradient.
type Model<E> = Vec<(String, Option<Vec<E>>)>;

const NAMES: [&str; 4] = ["a.w", "a.b", "b.w", "c"];

fn model<E: Element>(dice: &mut Dice, to: fn(f64) -> E) -> Model<E> {
    let tensors = dice.below(5);
    let tensor = |index: usize| {
        let tie = if dice.one_in(3) { "tied." } else { "" };
        let name = format!("{tie}{}{index}", NAMES[dice.below(4)]);
        let len = dice.below(9);
        let elements = (0..len).map(|_| to(dice.number())).collect();
        (name, (!dice.one_in(7)).then_some(elements))
    };
    (0..tensors).map(tensor).collect()
}

/// Grows gradients past what their type holds, if they are of an even step.
#[derive(Debug)]
struct Grow;

impl Clipper for Grow {
    fn name(&self) -> &'static str {
        "grow"
    }

    fn plan(&mut self, step: &StepView<'_>, pen: &mut Pen<'_>) {
        if step.number.is_multiple_of(2) && step.grads.total().l2() > 1.0 {
            pen.scale_all(Factor::new(1e38).unwrap());
        }
    }
}

/// The rules of a guard, in so many numbers.
#[derive(Clone, Debug)]
struct Chain {
    rules: Vec<(usize, f64)>,
    policy: usize,
    scale: f64,
}

impl Chain {
    fn roll(dice: &mut Dice) -> Self {
        let bounds = [0.0, 0.1, 0.5, 1.0, 2.0, 1e3];
        let len = dice.below(5);
        let rules = (0..len).map(|_| (dice.below(19), bounds[dice.below(6)]));
        Self {
            rules: rules.collect(),
            policy: dice.below(8),
            scale: if dice.one_in(4) { 3.0 } else { 1.0 },
        }
    }

    fn guard(&self) -> Guard {
        let policy = match self.policy {
            0 => OnNonFinite::Error,
            1 => OnNonFinite::ZeroTensor,
            2 => OnNonFinite::ZeroAll,
            3 => OnNonFinite::Propagate,
            _ => OnNonFinite::Skip,
        };
        let guard = Guard::new().on_non_finite(policy).max_skips(2);
        let rules = self.rules.iter();
        rules.fold(guard, |guard, &(kind, bound)| rule(guard, kind, bound))
    }
}

fn rule(guard: Guard, kind: usize, bound: f64) -> Guard {
    let norm = || clip::GlobalNorm::new(bound).unwrap();
    let threshold = || NormThreshold::new(bound).unwrap();
    match kind {
        0 => guard.clip(norm()),
        1 => guard.clip(norm().norm(Norm::Max).unwrap()),
        2 => guard.clip(norm().norm(Norm::L1).unwrap()),
        3 => guard.clip(norm().norm(Norm::P(3.0)).unwrap()),
        4 => guard.clip(norm().on("a.")),
        5 => guard.clip(norm().on("a.").on(|name: &str| name.contains(".w"))),
        6 => guard.clip(clip::TensorNorm::new(bound).unwrap()),
        7 => guard.clip(clip::TensorNorm::new(bound).unwrap().on("b.")),
        8 => guard.clip(clip::Value::new(bound).unwrap()),
        9 => guard.clip(clip::Value::between(-bound, 0.7 + bound).unwrap()),
        10 => guard.detect_with(Verdict::Skip, threshold()),
        11 => guard.detect_with(Verdict::Stop, threshold().per_tensor()),
        12 => guard.detect_with(Verdict::Rollback, threshold().on("a.")),
        13 => guard.detect_with(Verdict::Skip, PersistentNorm::new(bound, 2).unwrap()),
        14 => guard.detect_with(Verdict::Stop, WeightGrowth::new(1.5).unwrap()),
        15 => guard.detect_with(Verdict::Skip, Plateau::new(0.0, 2).unwrap()),
        16 => guard.detect(NonFinite),
        17 => guard.clip(Grow),
        _ => guard.detect_with(
            Verdicts::default().warning(Verdict::Skip),
            threshold().on("b.").for_steps(2).unwrap(),
        ),
    }
}

/// What is to be the same, and what the tensors hold then.
#[derive(Clone, Debug, PartialEq)]
struct Came {
    /// Unless the step was an error.
    decided: Option<Decided>,
    edits: Vec<(String, String)>,
    grads: Vec<(String, Vec<u64>)>,
}

/// The numbers by their bits.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Decided {
    verdict: Verdict,
    before: u64,
    after: u64,
    of_params: u64,
    loss: Option<u64>,
    has_fault: bool,
    skips: u32,
}

/// NaN of whatever bits is NaN.
fn bits(x: f64) -> u64 {
    if x.is_nan() { f64::NAN } else { x }.to_bits()
}

fn came<E: Element + Into<f64>>(
    guard: &mut Guard,
    grads: &mut Model<E>,
    params: Option<&Model<E>>,
    loss: Option<f64>,
    scale: f64,
) -> Came {
    let step = Step::new(&mut *grads).scaled_by(scale);
    let stepped = match (params, loss) {
        (Some(params), Some(loss)) => guard.step(step.params(params).loss(loss)),
        (Some(params), None) => guard.step(step.params(params)),
        (None, Some(loss)) => guard.step(step.loss(loss)),
        (None, None) => guard.step(step),
    };
    let mut edits = vec![];
    let decided = match stepped {
        Err(_) => None,
        Ok(report) => {
            for tensor in report.tensors() {
                let ops: Vec<_> = tensor.edit.ops().collect();
                edits.push((tensor.name.to_string(), format!("{ops:?}")));
            }
            let of_params = report.params().map_or(0.0, |params| params.total().l2());
            Some(Decided {
                verdict: report.verdict(),
                before: bits(report.before()),
                after: bits(report.after()),
                of_params: bits(of_params),
                loss: report.loss().map(bits),
                has_fault: report.non_finite().is_some(),
                skips: report.skips(),
            })
        }
    };
    let tensor = |(name, tensor): &(String, Option<Vec<E>>)| {
        let elements = tensor.iter().flatten().map(|&x| bits(x.into()));
        (name.clone(), elements.collect())
    };
    let grads = grads.iter().map(tensor).collect();
    Came {
        decided,
        edits,
        grads,
    }
}

/// How a model lies on ranks: of each tensor, who holds it, or where it is cut.
struct Split {
    ranks: usize,
    is_cut: bool,
    owner: usize,
    holders: Vec<Vec<bool>>,
    cuts: Vec<Vec<f64>>,
}

impl Split {
    fn roll(dice: &mut Dice, tensors: &[bool]) -> Self {
        let ranks = 1 + dice.below(8);
        let (is_cut, owner) = (dice.one_in(2), dice.below(ranks));
        let holders = tensors.iter().map(|&is_tied| {
            let mut holders = vec![false; ranks];
            if is_tied {
                holders.fill_with(|| dice.one_in(2));
                holders[owner] = true;
            } else {
                holders[dice.below(ranks)] = true;
            }
            holders
        });
        let holders: Vec<_> = holders.collect();
        let cuts = tensors.iter().map(|_| {
            let mut cuts: Vec<f64> = (1..ranks)
                .map(|_| dice.below(1000) as f64 / 999.0)
                .collect();
            cuts.sort_by(f64::total_cmp);
            [&[0.0], &cuts[..], &[1.0]].concat()
        });
        let cuts = cuts.collect();
        Self {
            ranks,
            is_cut,
            owner,
            holders,
            cuts,
        }
    }

    fn shards(&self) -> Shards {
        let shards = if self.is_cut {
            Shards::elements()
        } else {
            Shards::tensors()
        };
        shards.tied("tied.", Owner(self.owner))
    }

    fn range(&self, index: usize, rank: usize, len: usize) -> std::ops::Range<usize> {
        let at = |share: f64| (share * len as f64).round() as usize;
        at(self.cuts[index][rank])..at(self.cuts[index][rank + 1])
    }

    fn of_rank<E: Element>(&self, model: &Model<E>, rank: usize) -> Model<E> {
        let mut part = vec![];
        for (index, (name, tensor)) in model.iter().enumerate() {
            if !self.is_cut {
                if self.holders[index][rank] {
                    part.push((name.clone(), tensor.clone()));
                }
                continue;
            }
            let cut = |tensor: &Vec<E>| {
                if name.starts_with("tied.") {
                    return tensor.clone();
                }
                tensor[self.range(index, rank, tensor.len())].to_vec()
            };
            part.push((name.clone(), tensor.as_ref().map(cut)));
        }
        part
    }

    /// What one process came to, as this rank is to see it.
    fn came(&self, whole: &Came, rank: usize) -> Came {
        let mut came = whole.clone();
        if self.is_cut {
            for (index, (name, bits)) in came.grads.iter_mut().enumerate() {
                if !name.starts_with("tied.") {
                    *bits = bits[self.range(index, rank, bits.len())].to_vec();
                }
            }
            return came;
        }
        let mut holders = self.holders.iter();
        came.grads.retain(|_| holders.next().unwrap()[rank]);
        let mut holders = self.holders.iter();
        came.edits.retain(|_| holders.next().unwrap()[rank]);
        came
    }
}

/// One random model on random ranks under random rules for three steps.
fn try_case<E: Element + Into<f64> + Send + Sync>(seed: u64, to: fn(f64) -> E) {
    let mut dice = Dice(seed);
    let grads = model(&mut dice, to);
    let tied: Vec<bool> = grads
        .iter()
        .map(|(name, _)| name.starts_with("tied."))
        .collect();
    let (chain, split) = (Chain::roll(&mut dice), Split::roll(&mut dice, &tied));
    let has_params = !dice.one_in(3);
    let mut steps = vec![];
    for number in 0..3 {
        let mut grads = grads.clone();
        let factor = [1.0, 0.25, 40.0][dice.below(3)];
        for (_, tensor) in &mut grads {
            if dice.one_in(12) {
                *tensor = None;
            }
            for x in tensor.iter_mut().flatten() {
                *x = to(Into::<f64>::into(*x) * factor);
                if dice.one_in(150) {
                    *x = to([f64::NAN, f64::INFINITY, f64::NEG_INFINITY][dice.below(3)]);
                }
            }
        }
        let mut params = grads.clone();
        for (_, tensor) in &mut params {
            for x in tensor.iter_mut().flatten() {
                *x = to(0.75 + f64::from(number));
            }
        }
        // Losses of the ranks, whose mean is that of one process.
        let mean = f64::from(dice.number() as f32);
        let mut losses = vec![None; split.ranks];
        for pair in losses.chunks_exact_mut(2) {
            if dice.one_in(2) {
                let off = mean * [0.0, 0.5, 2.0, 4096.0][dice.below(4)];
                pair.copy_from_slice(&[Some(mean + off), Some(mean - off)]);
            }
        }
        let mut loss = losses.iter().any(Option::is_some).then_some(mean);
        if dice.one_in(20) {
            (losses[split.ranks - 1], loss) = (Some(f64::NAN), Some(f64::NAN));
        }
        steps.push((grads, params, losses, loss));
    }
    let alone = Threads::ranks_of(1).pop().unwrap();
    let mut guard = chain.guard().reduced_by(alone, split.shards());
    let mut plain = chain.guard();
    let mut whole = vec![];
    for (grads, params, _, loss) in &steps {
        let params = Some(params).filter(|_| has_params);
        let came_of = came(&mut guard, &mut grads.clone(), params, *loss, chain.scale);
        let plainly = came(&mut plain, &mut grads.clone(), params, *loss, chain.scale);
        if !split.is_cut {
            // Without any wire too, but that it reads all tensors again where a clamp bites in one.
            let clamps = chain.rules.iter().any(|rule| matches!(rule.0, 8 | 9));
            let key = |came: &Came| {
                came.decided
                    .map(|all| (all.verdict, all.before, all.has_fault))
            };
            assert_eq!(key(&came_of), key(&plainly), "seed {seed}: {chain:?}");
            assert!(
                clamps || came_of.edits == plainly.edits,
                "seed {seed}: {chain:?}"
            );
            assert!(
                clamps || came_of.grads == plainly.grads,
                "seed {seed}: {chain:?}"
            );
        }
        whole.push(came_of);
    }
    let all = on_ranks(split.ranks, |rank, wire| {
        let mut guard = chain.guard().reduced_by(wire, split.shards());
        let mut all = vec![];
        for (grads, params, losses, _) in &steps {
            let params = has_params.then(|| split.of_rank(params, rank));
            let mut grads = split.of_rank(grads, rank);
            all.push(came(
                &mut guard,
                &mut grads,
                params.as_ref(),
                losses[rank],
                chain.scale,
            ));
        }
        all
    });
    for (rank, all) in all.iter().enumerate() {
        for (step, (here, whole)) in all.iter().zip(&whole).enumerate() {
            let expected = split.came(whole, rank);
            assert_eq!(
                *here, expected,
                "seed {seed}, rank {rank} of {}, cut {}, step {step}: {chain:?}",
                split.ranks, split.is_cut
            );
        }
    }
}

#[test]
fn any_split_decides_as_one_process_does() {
    for seed in 0..5000 {
        try_case::<f32>(seed, |x| x as f32);
        try_case::<f64>(seed, |x| x * 1.000_000_000_7);
    }
}

#[test]
fn a_penalty_is_that_of_one_process() {
    for seed in 0..1000 {
        let mut dice = Dice(seed);
        let weights = model(&mut dice, |x| x * 1.000_000_000_7);
        let tied: Vec<bool> = weights
            .iter()
            .map(|(name, _)| name.starts_with("tied."))
            .collect();
        let split = Split::roll(&mut dice, &tied);
        let penalty = ElasticNet::new(0.3, 0.7).unwrap().on(|_: &str| true);
        let value = |guard: &mut Guard, weights: &Model<f64>| {
            let value = guard.penalty_value(&penalty, weights).unwrap();
            (value.to_bits(), guard.reduce_value(0.1).unwrap())
        };
        let alone = Threads::ranks_of(1).pop().unwrap();
        let whole = value(
            &mut Guard::new().reduced_by(alone, split.shards()),
            &weights,
        );
        let plain = penalty.value(&weights).unwrap();
        assert!((f64::from_bits(whole.0) - plain).abs() <= 1e-15 * plain);
        let all = on_ranks(split.ranks, |rank, wire| {
            let mut guard = Guard::new().reduced_by(wire, split.shards());
            value(&mut guard, &split.of_rank(&weights, rank))
        });
        // A tenth of each rank, rounded once.
        let tenths = 0.1 * split.ranks as f64;
        assert_eq!(all, vec![(whole.0, tenths); split.ranks], "seed {seed}");
    }
}
