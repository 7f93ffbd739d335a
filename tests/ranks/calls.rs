//! How often ranks call for each other, and what they send: it follows from the rules alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use steadygrad::clip::{Clipper, GlobalNorm, TensorNorm, Value};
use steadygrad::detect::{Detector, NormThreshold};
use steadygrad::reduce::{AllReduce, Shards, Threads};
use steadygrad::{Guard, Result, Step, Verdict};

use crate::on_ranks;

/// Counts calls, and the numbers in them.
#[derive(Clone, Debug, Default)]
struct Counts(Arc<[AtomicUsize; 4]>);

impl Counts {
    fn add(&self, kind: usize, numbers: usize) {
        self.0[2 * kind].fetch_add(1, Ordering::Relaxed);
        self.0[2 * kind + 1].fetch_add(numbers, Ordering::Relaxed);
    }

    /// Of sums and of maxima how many there were since the last time, and of how many bytes together.
    fn take(&self) -> ([usize; 2], usize) {
        let [sums, limbs, maxima, values] =
            [0, 1, 2, 3].map(|i| self.0[i].swap(0, Ordering::Relaxed));
        ([sums, maxima], 8 * (limbs + values))
    }
}

#[derive(Debug)]
struct Counted(Threads, Counts);

impl AllReduce for Counted {
    fn rank(&self) -> usize {
        self.0.rank()
    }

    fn ranks(&self) -> usize {
        self.0.ranks()
    }

    fn sum(&mut self, limbs: &mut [i64]) -> Result<()> {
        self.1.add(0, limbs.len());
        self.0.sum(limbs)
    }

    fn max(&mut self, values: &mut [f64]) -> Result<()> {
        self.1.add(1, values.len());
        self.0.max(values)
    }
}

/// Numbers over the whole range of an `f32`.
fn wide(len: u32, rank: usize) -> Vec<f32> {
    (0..len)
        .map(|i| f32::from_bits((i * 0x0123_4567 + rank as u32) % 0x7f00_0000))
        .collect()
}

#[test]
fn a_norm_clip_and_a_threshold_cost_three_records_and_one_value_whatever_happens() {
    let counted = on_ranks(3, |rank, wire| {
        let counts = Counts::default();
        let mut guard = Guard::new()
            .clip(GlobalNorm::new(1.0).unwrap())
            .detect_with(Verdict::Skip, NormThreshold::new(2.0).unwrap())
            .reduced_by(Counted(wire, counts.clone()), Shards::tensors());
        let mut counted = vec![];
        for step in 0..6 {
            let len = match step {
                // A rank without gradients, then none with any.
                2 if rank == 1 => 0,
                3 => 0,
                _ => 100,
            };
            let mut grads = vec![("w", wide(len, rank)), ("b", wide(len / 2, rank))];
            grads.truncate(if step == 4 { rank } else { 2 });
            let verdict = guard.step(&mut grads).unwrap().verdict();
            assert_eq!(verdict, Verdict::Apply);
            counted.push(counts.take());
        }
        counted
    });
    for counted in counted {
        // One more to meet.
        assert_eq!(counted[0].0, [3, 5]);
        for (calls, bytes) in &counted[1..] {
            assert_eq!(*calls, [3, 4]);
            assert!(*bytes <= 3 * 600, "{bytes} bytes");
        }
    }
}

#[test]
fn nothing_but_the_rules_makes_calls() {
    type Rules = fn(Guard) -> Guard;
    let chains: [(Rules, [usize; 2]); 6] = [
        // What came, the verdict, what is left.
        (|guard| guard, [2, 3]),
        (|guard| guard.clip(TensorNorm::new(1.0).unwrap()), [2, 3]),
        (
            |guard| {
                guard
                    .clip(Value::new(1.0).unwrap())
                    .clip(GlobalNorm::new(1.0).unwrap())
            },
            [3, 4],
        ),
        // Rules that nothing comes between see the same.
        (
            |guard| {
                let rule = || NormThreshold::new(1.0).unwrap();
                guard
                    .clip(GlobalNorm::new(1.0).unwrap())
                    .detect(rule())
                    .detect(rule().on("w"))
                    .detect(rule())
            },
            [3, 4],
        ),
        // What decides is agreed on before anything is clipped.
        (
            |guard| {
                let rule = NormThreshold::new(1.0).unwrap().per_tensor();
                guard
                    .detect_with(Verdict::Skip, rule)
                    .clip(GlobalNorm::new(1.0).unwrap())
            },
            [2, 4],
        ),
        (
            |guard| {
                guard
                    .clip(GlobalNorm::new(1.0).unwrap().on("w"))
                    .clip(GlobalNorm::new(1.0).unwrap())
            },
            [3, 4],
        ),
    ];
    for (place, (rules, expected)) in chains.into_iter().enumerate() {
        for is_cut in [false, true] {
            let counted = on_ranks(2, |rank, wire| {
                let shards = if is_cut {
                    Shards::elements()
                } else {
                    Shards::tensors()
                };
                let counts = Counts::default();
                let mut guard =
                    rules(Guard::new()).reduced_by(Counted(wire, counts.clone()), shards);
                let mut counted = vec![];
                for step in 0..4_u8 {
                    let x = f32::from(step) * 2.0 * (rank as f32 - 0.3);
                    let (mut grads, params) =
                        ([("w", [x]), ("b", [0.1])], [("w", [1.0]), ("b", [0.0])]);
                    let step = Step::new(&mut grads).params(&params).loss(x);
                    let verdict = guard.step(step).unwrap().verdict();
                    assert!(verdict <= Verdict::Skip);
                    counted.push(counts.take().0);
                }
                counted
            });
            // Tensors that are cut and looked at one by one are a record more: of gradients and parameters, and of
            // gradients wherever these are looked at again.
            let looks = [0, 2 + 1, 2 + 2, 0, 2 + 1, 0][place];
            let more = if is_cut { looks } else { 0 };
            let [sums, maxima] = expected;
            for counted in counted {
                assert_eq!(
                    counted[1..],
                    [[sums + more, maxima + more]; 3],
                    "{place} {is_cut}"
                );
            }
        }
    }
}
