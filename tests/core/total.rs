//! The total over tensors: the same bits for any order and any split.

use proptest::prelude::*;
use steadygrad::{Error, Measurement, Needs, Norm, Stats, Tensor, Total, Wide};

use crate::numbers::{Format, Random, for_each_type};

/// Tensors whose sums differ in every order if they are rounded on the way.
fn tensors<T: Format>(random: &mut Random, count: usize) -> Vec<Vec<T>> {
    (0..count)
        .map(|i| {
            let e = random.between(T::SMALLEST, T::LARGEST);
            let len = if i % 7 == 3 { 0 } else { random.between(1, 40) };
            (0..len)
                .map(|_| T::make(random.unit(), e + random.between(-3, 0)))
                .collect()
        })
        .collect()
}

fn needs() -> Needs {
    Needs::norms().of_magnitudes().of_power(2.5)
}

fn total_of<T: Format>(set: &Vec<Vec<T>>) -> Total {
    Measurement::with_needs(set, &needs())
        .unwrap()
        .exact()
        .clone()
}

fn same(a: &Stats, b: &Stats) -> bool {
    a == b && a.norm(Norm::P(2.5)) == b.norm(Norm::P(2.5))
}

#[test]
fn any_order_of_the_tensors_gives_the_same_bits() {
    fn check<T: Format>() {
        let mut random = Random(31);
        for _ in 0..60 {
            let mut set = tensors::<T>(&mut random, 30);
            let whole = total_of(&set).stats();
            for _ in 0..10 {
                for i in (1..set.len()).rev() {
                    set.swap(i, random.between(0, i as i64) as usize);
                }
                assert!(same(&total_of(&set).stats(), &whole), "{}", T::NAME);
            }
        }
    }
    for_each_type!(check);
}

#[test]
fn any_split_into_shards_gives_the_same_bits() {
    fn check<T: Format>() {
        let mut random = Random(37);
        for round in 0..60 {
            let set = tensors::<T>(&mut random, 40);
            let whole = total_of(&set).stats();
            // Each tensor to one of some shards; a shard may stay empty.
            let count = random.between(1, 9) as usize;
            let mut shards = vec![vec![]; count];
            for tensor in set {
                shards[random.between(0, count as i64 - 1) as usize].push(tensor);
            }
            let totals: Vec<Total> = shards.iter().map(total_of).collect();

            let mut in_a_row = Total::default();
            totals.iter().for_each(|total| in_a_row.merge(total));
            assert!(same(&in_a_row.stats(), &whole), "{} {round}", T::NAME);
            let mut backwards = Total::default();
            totals.iter().rev().for_each(|total| backwards.merge(total));
            assert!(same(&backwards.stats(), &whole));
            let mut tree = totals.clone();
            while tree.len() > 1 {
                let last = tree.pop().unwrap();
                let place = tree.len() / 2;
                tree[place].merge(&last);
            }
            assert!(same(&tree[0].stats(), &whole));

            // Over a wire: maxima first, then sums of integers.
            let mut maxima = totals[0].maxima();
            for total in &totals[1..] {
                for (max, x) in maxima.iter_mut().zip(total.maxima()) {
                    *max = max.max(x);
                }
            }
            let mut limbs = vec![0_i64; Total::LIMBS];
            for total in &totals {
                let part = total.limbs(&maxima);
                assert_eq!(part.len(), Total::LIMBS);
                limbs.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
            }
            let rebuilt = Total::from_parts(&maxima, &limbs).unwrap();
            assert!(same(&rebuilt.stats(), &whole));
            // What came over the wire can be merged and sent again.
            let mut more = rebuilt.clone();
            more.merge(&totals[0]);
            let mut directly = in_a_row;
            directly.merge(&totals[0]);
            assert!(same(&more.stats(), &directly.stats()));
            let again =
                Total::from_parts(&rebuilt.maxima(), &rebuilt.limbs(&rebuilt.maxima())).unwrap();
            assert!(same(&again.stats(), &whole));
        }
    }
    for_each_type!(check);
}

#[test]
fn counts_of_what_is_not_finite_travel_too() {
    let shards = [
        vec![vec![1.0, f64::NAN], vec![f64::INFINITY]],
        vec![vec![f64::NEG_INFINITY, 2.0, f64::NAN]],
    ];
    let totals = [total_of(&shards[0]), total_of(&shards[1])];
    let maxima = core::array::from_fn(|i| totals[0].maxima()[i].max(totals[1].maxima()[i]));
    let limbs: Vec<i64> = totals[0]
        .limbs(&maxima)
        .iter()
        .zip(totals[1].limbs(&maxima))
        .map(|(a, b)| a + b)
        .collect();
    let stats = Total::from_parts(&maxima, &limbs).unwrap().stats();
    assert_eq!(
        (stats.len(), stats.nan(), stats.pos_inf(), stats.neg_inf()),
        (6, 2, 1, 1)
    );
    assert!(stats.l2().is_nan());
    assert_eq!(stats.first_non_finite(), None);
}

#[test]
fn a_total_without_powers_says_that_it_has_none() {
    let with = total_of(&vec![vec![1.0_f64, 2.0]]);
    let without = Measurement::of(&vec![3.0_f64]).unwrap().exact().clone();
    let mut both = with.clone();
    both.merge(&without);
    assert!(both.stats().norm(Norm::P(2.5)).to_f64().is_nan());
    assert_eq!(both.stats().l1(), 6.0);
    let mut empty = Total::default();
    empty.merge(&with);
    assert!(same(&empty.stats(), &with.stats()));
}

#[test]
fn numbers_from_a_wire_that_fit_nothing_are_refused() {
    let total = total_of(&vec![vec![1.0_f64, 2.0]]);
    let (maxima, limbs) = (total.maxima(), total.limbs(&total.maxima()));
    for len in [0, 4, 5, Total::LIMBS - 1] {
        let error = Total::from_parts(&maxima, &limbs[..len]).unwrap_err();
        assert_eq!(
            error,
            Error::Count {
                what: "limbs of a total",
                expected: Total::LIMBS,
                found: len
            }
        );
    }
    let mut longer = limbs.clone();
    longer.push(0);
    assert!(Total::from_parts(&maxima, &longer).is_err());
    // A count or a digit below zero, a place that no sum can have.
    for place in [0, 5, 100, Total::LIMBS - 1] {
        let mut wrong = limbs.clone();
        wrong[place] = -1;
        let read = Total::from_parts(&maxima, &wrong);
        assert!(
            matches!(read, Err(Error::Setting { found: -1.0, .. })),
            "{read:?}"
        );
    }
    for bad in [f64::NAN, f64::INFINITY, 1e300, -1e300, 0.5] {
        let mut wrong = maxima;
        wrong[2] = bad;
        let read = Total::from_parts(&wrong, &limbs);
        assert!(
            matches!(read, Err(Error::Setting { .. })),
            "{bad}: {read:?}"
        );
    }
}

#[test]
fn maxima_of_somebody_else_are_no_reason_to_panic() {
    // They must reach at least as high as one's own; what does not fit is dropped from below.
    let total = total_of(&vec![vec![1e300_f64, 2.0]]);
    for maxima in [
        [0.0; 7],
        [f64::NEG_INFINITY; 7],
        [f64::NAN; 7],
        [f64::INFINITY; 7],
        [1e300; 7],
        [-1e300; 7],
    ] {
        assert_eq!(total.limbs(&maxima).len(), Total::LIMBS);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_tensor_alone_is_its_own_total(xs in prop::collection::vec(any::<f64>(), 0..50)) {
        let stats = xs.stats(&mut steadygrad::Ask::default()).unwrap();
        let mut total = Total::default();
        total.add(&stats);
        let found = total.stats();
        prop_assert_eq!(found.norm(Norm::L1).to_f64().to_bits(), stats.norm(Norm::L1).to_f64().to_bits());
        prop_assert_eq!(found.norm(Norm::L2).to_f64().to_bits(), stats.norm(Norm::L2).to_f64().to_bits());
        prop_assert_eq!((found.len(), found.nan(), found.inf()), (stats.len(), stats.nan(), stats.inf()));
    }
}

#[test]
fn a_sum_that_overflowed_elsewhere_does_not_vanish_in_a_total() {
    // A device whose own sums left its range.
    let lost = Stats::from_sums(4, 1e30, Wide::INFINITY, Wide::INFINITY);
    let mut total = Total::default();
    total.add(&Stats::from_sums(1, 1.0, Wide::ONE, Wide::ONE));
    total.add(&lost);
    let seen = total.stats();
    assert!(seen.l2().is_nan() && seen.l1().is_nan());
    assert_eq!((seen.len(), seen.max_abs()), (5, 1e30));
    // Nor over a wire.
    let maxima = total.maxima();
    let back = Total::from_parts(&maxima, &total.limbs(&maxima)).unwrap();
    assert!(back.stats().l2().is_nan());
    // Counts do not wrap.
    let most = Stats::default().with_non_finite(0, u64::MAX, 1, None);
    assert_eq!(most.inf(), u64::MAX);
    total.add(&most);
    total.add(&most);
    assert_eq!(total.stats().pos_inf(), u64::MAX);
}
