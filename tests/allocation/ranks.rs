//! What ranks say to each other is written where it was written before.

use steadygrad::prelude::*;
use steadygrad::reduce::{Owner, Shards, Threads};
use steadygrad::{Guard, Step, clip, detect};

use super::allocations;

#[test]
fn ranks_agree_without_the_heap_once_warm() {
    for shards in [Shards::tensors(), Shards::elements()] {
        let made = std::thread::scope(|scope| {
            let ranks = Threads::ranks_of(2).into_iter().map(|wire| {
                let shards = shards.clone().tied("b", Owner(0)).checked();
                scope.spawn(move || rank(wire, shards))
            });
            let ranks: Vec<_> = ranks.collect();
            let made = ranks.into_iter().map(|rank| rank.join().unwrap());
            made.collect::<Vec<_>>()
        });
        assert_eq!(made, [[0; 5]; 2], "{shards:?}");
    }
}

/// What each step makes of the heap, after two.
fn rank(wire: Threads, shards: Shards) -> [u64; 5] {
    let name = if format!("{shards:?}").contains("is_cut: true") {
        "w"
    } else {
        ["w", "v"][steadygrad::reduce::AllReduce::rank(&wire)]
    };
    let mut guard = Guard::new()
        .detect(detect::NormThreshold::new(5.0).unwrap())
        .clip(clip::Value::new(3.0).unwrap())
        .clip(clip::TensorNorm::new(4.0).unwrap())
        .clip(clip::GlobalNorm::new(2.0).unwrap().on("w"))
        .detect(detect::PersistentNorm::new(1.0, 1).unwrap())
        .detect(detect::WeightGrowth::new(10.0).unwrap())
        .reduced_by(wire, shards);
    let params = [(name, vec![1.0_f32; 40]), ("b", vec![0.0; 3])];
    let mut step = |x: f32| {
        let mut grads = [(name, vec![x; 40]), ("b", vec![x; 3])];
        allocations(|| {
            let step = Step::new(&mut grads).params(&params).loss(x);
            assert!(guard.step(step).unwrap().verdict().is_apply());
        })
    };
    step(9.0);
    step(0.01);
    [0.1, 50.0, 0.001, 1e9, 0.5].map(step)
}
