//! The same bits for any number of threads, within a tensor and over many.

use steadygrad::penalty::{L2, Penalty};
use steadygrad::{Ask, Edits, Factor, Measurement, Stats, Tell, Tensor, TensorMut};

/// Elements whose sums one thread takes.
const CHUNK: usize = 1 << 16;

#[test]
fn many_small_tensors_share_the_threads() {
    let grads: Vec<Vec<f32>> = (0..1500)
        .map(|i| {
            (0..i % 700)
                .map(|j| ((i * 31 + j * 17) % 1009) as f32 - 500.0)
                .collect()
        })
        .collect();
    let one_by_one: Vec<Stats> = grads
        .iter()
        .map(|grad| grad.stats(&mut Ask::default()).unwrap())
        .collect();
    let mut totals = Vec::new();
    for threads in [1, 2, 3, 8] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let seen = pool.unwrap().install(|| Measurement::of(&grads).unwrap());
        assert!(seen.tensors() == one_by_one, "{threads} threads");
        totals.push(*seen.total());
    }
    assert_eq!(totals, [totals[0]; 4]);
    assert_eq!(
        totals[0].len(),
        1500 / 700 * 244_650 + (0..100).sum::<u64>()
    );
}

/// Everything that runs on several threads.
fn all(threads: usize) -> (Stats, Vec<f32>, Stats, Option<f64>, Vec<f32>) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.unwrap().install(|| {
        let mut xs: Vec<f32> = (0..5 * CHUNK + 77)
            .map(|i| ((i * 7919) % 10_007) as f32 / 1e3 - 5.0)
            .collect();
        let before = xs.stats(&mut Ask::default()).unwrap();
        let mut edits = Edits::for_count(1);
        edits.scale_all(Factor::new(0.3).unwrap());
        xs.edit(&edits.get(0), Tell::nothing()).unwrap();
        edits.clamp(0, -1.0, 1.1);
        let mut after = Stats::EMPTY;
        let mut tell = Tell::after(&mut after);
        tell.magnitudes = true;
        xs.edit(&edits.get(0), tell).unwrap();
        let mut grads = xs.clone();
        let value = L2::new(0.1).unwrap().apply(&xs, &mut grads).ok();
        (before, xs, after, value, grads)
    })
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let one = all(1);
    assert_eq!(one.1.stats(&mut Ask::default()).unwrap(), one.2);
    for threads in [2, 3, 8] {
        assert!(all(threads) == one, "{threads} threads");
    }
    // Nor is there a difference to a tensor that is walked on one thread.
    #[cfg(feature = "ndarray")]
    {
        let beside = ndarray::Array2::from_shape_fn((one.1.len(), 2), |(i, j)| {
            if j == 0 { one.1[i] } else { f32::NAN }
        });
        let column = beside.column(0);
        assert_eq!(column.stats(&mut Ask::default()).unwrap(), one.2);
    }
}
