//! The same bits for any number of threads, within a tensor and over many.

use steadygrad::penalty::{L2, Penalty};
use steadygrad::{
    Ask, Clamped, Edits, Factor, Measurement, Stats, Tell, Tensor, TensorMut, TensorSetMut, clip,
};

/// Elements whose sums one thread takes.
const CHUNK: usize = 1 << 16;

/// More elements than stay on one thread, in batches of this many tensors too.
fn many() -> Vec<Vec<f32>> {
    let member = |i: usize| {
        let xs = (0..3 * (i % 1000)).map(|j| ((i * 31 + j * 17) % 1009) as f32 - 500.0);
        xs.collect()
    };
    (0..1500).map(member).collect()
}

#[test]
fn many_small_tensors_share_the_threads() {
    let grads = many();
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
    assert_eq!(totals[0].len(), 3 * (999 * 500 + 499 * 250));
}

/// Edits of each kind for the members of a list.
fn edits(len: usize) -> Edits {
    let mut edits = Edits::for_count(len);
    for i in (0..len).filter(|i| i % 4 > 0) {
        match i % 4 {
            1 => edits.scale(i, Factor::new(0.3).unwrap()),
            2 => edits.clamp(i, -1.5, 200.0),
            _ => edits.zero(i),
        }
    }
    edits
}

/// What a clip by value counts and leaves of a list, and what edits leave.
fn edited<T: TensorSetMut + Clone + Sync + Send>(
    threads: usize,
    list: &[T],
) -> (Clamped, Vec<T>, Vec<T>) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.unwrap().install(|| {
        let (mut by_value, mut each) = (list.to_vec(), list.to_vec());
        let counts = clip::value(&mut by_value, 300.0).unwrap();
        edits(list.len()).apply(&mut each).unwrap();
        (counts, by_value, each)
    })
}

#[test]
fn members_of_a_list_are_edited_side_by_side() {
    let mut grads = many();
    grads[777][5] = f32::INFINITY;
    let (mut counts, mut by_value, mut each) = (Clamped::default(), grads.clone(), grads.clone());
    let edits = edits(grads.len());
    for (i, (clamped, edited)) in by_value.iter_mut().zip(&mut each).enumerate() {
        counts += clip::value(clamped, 300.0).unwrap();
        edited.edit(&edits.get(i), Tell::nothing()).unwrap();
    }
    let expected = (counts, by_value, each);
    assert_eq!((counts.inf(), counts.is_clipped()), (1, true));
    for threads in [1, 2, 3, 8] {
        assert!(edited(threads, &grads) == expected, "{threads} threads");
    }
    #[cfg(feature = "ndarray")]
    {
        use ndarray::Array2;
        let array = |xs: Vec<f32>| Array2::from_shape_vec((3, xs.len() / 3), xs).unwrap();
        let arrays = |list: Vec<Vec<f32>>| list.into_iter().map(array).collect::<Vec<_>>();
        let mut list = arrays(grads);
        // In the order of the columns, and a member that is no slice.
        list[701] = list[701]
            .t()
            .as_standard_layout()
            .into_owned()
            .reversed_axes();
        list[702] = Array2::zeros((3, 2 * list[702].ncols()));
        list[702].slice_collapse(ndarray::s![.., ..;2]);
        let [by_value, each] = [expected.1, expected.2].map(arrays);
        let found = edited(2, &list);
        for (i, (a, b)) in found.1.iter().zip(&by_value).enumerate() {
            assert!(i == 702 || a == b, "{i}");
        }
        for (i, (a, b)) in found.2.iter().zip(&each).enumerate() {
            assert!(i == 702 || a == b, "{i}");
        }
        assert!(found.1[702].iter().chain(&found.2[702]).all(|x| *x == 0.0));
    }
}

/// Everything that runs on several threads.
fn all(threads: usize) -> (Stats, Vec<f32>, Stats, Option<f64>, Vec<f32>) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.unwrap().install(|| {
        let mut xs: Vec<f32> = (0..17 * CHUNK + 77)
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
