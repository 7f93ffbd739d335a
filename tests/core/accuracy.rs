//! Norms against exact sums, in units in the last place of `f64`.

use steadygrad::{Ask, Element, Measurement, Norm, Stats, Tensor, Wide};

use crate::exact::Exact;
use crate::numbers::{Format, Random, for_each_type};

/// What a norm of this element type may be off by.
fn allowed<T: Format>() -> f64 {
    if T::BITS == 53 { 8.0 } else { 4.0 }
}

/// Vectors that make sums go wrong.
fn vectors<T: Format>(len: usize, random: &mut Random) -> Vec<(&'static str, Vec<T>)> {
    let top = T::LARGEST;
    let bottom = T::SMALLEST;
    let mut fill = |f: &mut dyn FnMut(&mut Random, usize) -> T| -> Vec<T> {
        (0..len).map(|i| f(random, i)).collect()
    };
    let tenth = T::narrow(0.1);
    let largest = T::toward_zero(f64::MAX);
    vec![
        ("uniform", fill(&mut |r, _| T::narrow(r.unit()))),
        (
            "every exponent",
            fill(&mut |r, _| {
                let e = r.between(bottom, top);
                T::make(r.unit(), e)
            }),
        ),
        (
            "a few hundred exponents in the middle",
            fill(&mut |r, _| {
                let e = r.between(bottom / 6, top / 6);
                T::make(r.unit(), e)
            }),
        ),
        ("a constant", vec![tenth; len]),
        ("the largest", vec![largest; len]),
        ("the smallest", vec![T::make(1.0, bottom); len]),
        (
            "subnormals",
            fill(&mut |r, _| {
                let e = r.between(bottom, bottom + T::BITS - 2);
                T::make(r.unit(), e)
            }),
        ),
        (
            "one large, then many that vanish beside it one by one",
            fill(&mut |_, i| {
                if i == 0 {
                    T::make(1.0, T::BITS / 2 + 1)
                } else {
                    T::narrow(1.0)
                }
            }),
        ),
        (
            "one largest, then many tiny",
            fill(&mut |_, i| {
                if i == 0 {
                    largest
                } else {
                    T::make(1.5, bottom)
                }
            }),
        ),
        (
            "rising",
            fill(&mut |_, i| T::make(1.3, bottom + (i as i64 * (top - bottom)) / len as i64)),
        ),
        (
            "falling",
            fill(&mut |_, i| T::make(1.3, top - (i as i64 * (top - bottom)) / len as i64)),
        ),
    ]
}

fn stats<T: Format>(xs: &[T], p: Option<f64>) -> Stats {
    let mut ask = Ask::default();
    ask.power = p;
    xs.stats(&mut ask).unwrap()
}

/// The largest errors of L1 and L2 found, in units in the last place.
fn worst<T: Format>(lengths: &[usize]) -> [f64; 2] {
    let mut random = Random(7);
    let mut worst = [0.0_f64; 2];
    for &len in lengths {
        for (what, xs) in vectors::<T>(len, &mut random) {
            let seen = stats(&xs, None);
            let l1 = Exact::sum_of_powers(&xs, 1).root_error(1, seen.norm(Norm::L1));
            let l2 = Exact::sum_of_powers(&xs, 2).root_error(2, seen.norm(Norm::L2));
            for (found, norm) in [(l1, "L1"), (l2, "L2")] {
                assert!(
                    found <= allowed::<T>(),
                    "{norm} of {len} {} ({what}) is off by {found} units",
                    T::NAME
                );
            }
            worst = [worst[0].max(l1), worst[1].max(l2)];
            let largest = xs.iter().fold(0.0, |max: f64, x| max.max(x.widen().abs()));
            assert_eq!(seen.norm(Norm::Max), Wide::from(largest), "{what}");
        }
    }
    println!(
        "{}: L1 off by {:.3} units at most, L2 by {:.3}",
        T::NAME,
        worst[0],
        worst[1]
    );
    worst
}

#[test]
fn norms_are_right_to_the_last_places_at_every_length() {
    fn check<T: Format>() {
        worst::<T>(&[
            1, 2, 3, 5, 8, 63, 64, 65, 100, 255, 256, 257, 1000, 1023, 1025, 4097, 20_001,
        ]);
    }
    for_each_type!(check);
}

#[test]
fn norms_are_right_over_chunks_and_a_million_elements() {
    fn check<T: Format>() {
        worst::<T>(&[65_535, 65_536, 65_537, 200_003]);
    }
    for_each_type!(check);
    worst::<f32>(&[1_000_000]);
    worst::<f64>(&[1_000_000]);
}

#[test]
fn ten_million_elements_lose_no_more() {
    let mut random = Random(11);
    let xs: Vec<f32> = (0..10_000_000)
        .map(|_| f32::make(random.unit(), random.between(-8, 8)))
        .collect();
    let seen = stats(&xs, None);
    let l1 = Exact::sum_of_powers(&xs, 1).root_error(1, seen.norm(Norm::L1));
    let l2 = Exact::sum_of_powers(&xs, 2).root_error(2, seen.norm(Norm::L2));
    println!("10^7 f32: L1 off by {l1:.3}, L2 by {l2:.3}");
    assert!(l1 <= 4.0 && l2 <= 4.0, "off by {l1} and {l2}");
}

#[test]
fn cubes_are_summed_as_well_as_their_powers_are_taken() {
    // Each power carries the rounding of `powf`, so the bound is wider; the root divides it by three.
    let mut random = Random(3);
    let mut most = 0.0_f64;
    for len in [1, 2, 100, 10_000] {
        for (what, xs) in vectors::<f32>(len, &mut random) {
            let seen = stats(&xs, Some(3.0));
            let error = Exact::sum_of_powers(&xs, 3).root_error(3, seen.norm(Norm::P(3.0)));
            assert!(
                error <= 4.0,
                "the 3-norm of {len} elements ({what}) is off by {error} units"
            );
            most = most.max(error);
        }
    }
    println!("f32: the 3-norm is off by {most:.3} units at most");
}

#[test]
fn totals_over_many_tensors_are_as_right_as_one_tensor() {
    fn check<T: Format>() {
        let mut random = Random(5);
        let mut most = 0.0_f64;
        for (what, xs) in vectors::<T>(30_000, &mut random) {
            for size in [1, 7, 100, 12_345] {
                let set: Vec<&[T]> = xs.chunks(size).collect();
                let set: Vec<Vec<T>> = set.into_iter().map(<[T]>::to_vec).collect();
                let seen = Measurement::of(&set).unwrap();
                let exact = Exact::sum_of_powers(&xs, 2);
                let l2 = exact.root_error(2, seen.total().norm(Norm::L2));
                let l1 = Exact::sum_of_powers(&xs, 1).root_error(1, seen.total().norm(Norm::L1));
                assert!(
                    l1.max(l2) <= allowed::<T>(),
                    "{what} in tensors of {size} {}: off by {l1} and {l2}",
                    T::NAME
                );
                most = most.max(l1).max(l2);
            }
        }
        println!("{}: totals off by {most:.3} units at most", T::NAME);
    }
    for_each_type!(check);
}

#[test]
fn a_total_of_single_elements_is_rounded_twice_at_most() {
    // Squares of f32 are exact in f64, the total is exact, so only its rounding and the root's remain.
    let mut random = Random(17);
    let set: Vec<[f32; 1]> = (0..5000)
        .map(|_| [f32::make(random.unit(), random.between(-149, 127))])
        .collect();
    let flat: Vec<f32> = set.iter().map(|x| x[0]).collect();
    let seen = Measurement::of(&set).unwrap();
    let error = Exact::sum_of_powers(&flat, 2).root_error(2, seen.total().norm(Norm::L2));
    assert!(error <= 1.0, "off by {error}");
}

#[test]
fn the_mean_square_follows_the_norm() {
    let xs: Vec<f64> = (0..1000).map(|i| f64::from(i) * 1e300).collect();
    let seen = stats(&xs, None);
    let by_hand = (seen.norm(Norm::L2) / Wide::from(1000_f64.sqrt())).to_f64();
    assert!((seen.rms() / by_hand - 1.0).abs() < 1e-15);
    assert_eq!(Stats::EMPTY.rms(), 0.0);
    assert_eq!(
        [<f32 as Element>::narrow(-2.0); 9]
            .stats(&mut Ask::default())
            .unwrap()
            .rms(),
        2.0
    );
}
