//! What clipping and measuring promise for any input.

use proptest::prelude::*;
use steadygrad::clip::Clipper;
use steadygrad::{
    Ask, Edits, Factor, Guard, Measurement, Norm, Stats, Tell, Tensor, TensorMut, Wide, clip,
};

use crate::exact::Exact;
use crate::numbers::{Format, bits, for_each_type, is_as_edits_leave, widen};

/// Vectors around one exponent, and some that reach over the whole range.
fn vector<T: Format>() -> impl Strategy<Value = Vec<T>> {
    let element = prop_oneof![
        6 => (-1.0..1.0_f64, -8..8_i64, Just(true)),
        1 => (-1.0..1.0_f64, T::SMALLEST..=T::LARGEST, Just(false)),
        1 => (Just(-0.0), Just(0), Just(true)),
    ];
    (
        T::SMALLEST..=T::LARGEST,
        prop::collection::vec(element, 1..70),
    )
        .prop_map(|(center, parts)| {
            let at = |(m, e, near): (f64, i64, bool)| {
                T::make(
                    m,
                    if near {
                        (center + e).clamp(T::SMALLEST - 2, T::LARGEST)
                    } else {
                        e
                    },
                )
            };
            parts.into_iter().map(at).collect()
        })
}

/// A bound, mostly somewhat below the norm.
fn bound() -> impl Strategy<Value = (f64, i64)> {
    (
        1.0..2.0_f64,
        prop_oneof![3 => -12..2_i64, 1 => -300..300_i64],
    )
}

fn bound_of<T: Format>(xs: &[T], (m, e): (f64, i64)) -> f64 {
    let norm = Measurement::of(&xs.to_vec())
        .unwrap()
        .total()
        .norm(Norm::L2);
    (norm * Wide::new(m, e))
        .to_f64()
        .clamp(f64::MIN_POSITIVE, f64::MAX)
}

fn cases(n: u32) -> ProptestConfig {
    ProptestConfig {
        cases: n,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Runs a property of one element type.
fn run<S: Strategy>(n: u32, strategy: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let mut runner = proptest::test_runner::TestRunner::new(cases(n));
    if let Err(error) = runner.run(strategy, test) {
        panic!("{error}");
    }
}

#[test]
fn a_clipped_element_is_within_its_last_place_of_the_exact_one() {
    fn check<T: Format>() {
        let worst = core::cell::Cell::new(0.0_f64);
        run(400, &(vector::<T>(), bound()), |(xs, at)| {
            let max = bound_of(&xs, at);
            let mut after = xs.clone();
            let clipped = clip::global_norm(&mut after, max).unwrap();
            if !clipped.is_clipped() {
                prop_assert_eq!(bits(&after), bits(&xs));
                return Ok(());
            }
            let exact = Exact::sum_of_powers(&xs, 2);
            for (x, y) in widen(&xs).into_iter().zip(widen(&after)) {
                let error = exact.scaled_error_in(x, max, y, T::unit(y));
                prop_assert!(
                    error <= T::ALLOWED,
                    "{} to {}: {} became {}: {}",
                    T::NAME,
                    max,
                    x,
                    y,
                    error
                );
                prop_assert_eq!(x.is_sign_negative(), y.is_sign_negative());
                worst.set(worst.get().max(error));
            }
            Ok(())
        });
        println!(
            "{}: clipped elements off by {:.3} units at most",
            T::NAME,
            worst.get()
        );
    }
    for_each_type!(check);
}

#[test]
fn the_norm_after_is_within_its_bound() {
    fn check<T: Format>() {
        run(400, &(vector::<T>(), bound()), |(xs, at)| {
            let max = bound_of(&xs, at);
            let mut after = xs.clone();
            let clipped = clip::global_norm(&mut after, max).unwrap();
            // max·(1 + u), 16 times that for f64, and half a smallest subnormal for each element.
            let slack = if T::BITS == 53 { 16.0 * T::u() } else { T::u() };
            let bound = Exact::of(max)
                .times(&Exact::of(1.0).plus(&Exact::of(slack)))
                .plus(&Exact::of(xs.len() as f64).times(&Exact::pow2(T::SMALLEST - 1)));
            let squared = Exact::sum_of_powers(&after, 2);
            prop_assert!(
                squared.is_at_most(&bound.times(&bound)),
                "{} to {max}: {clipped:?}",
                T::NAME
            );
            Ok(())
        });
    }
    for_each_type!(check);
}

#[test]
fn clipping_again_is_clipping_by_next_to_nothing() {
    fn check<T: Format>() {
        // Away from the subnormals, whose rounding is coarser than any u.
        let normal = (
            T::SMALLEST / 2..=T::LARGEST,
            prop::collection::vec(0.5..1.0_f64, 1..70),
            0.1..0.9_f64,
        );
        run(300, &normal, |(e, parts, share)| {
            let e = e.max(T::SMALLEST + T::BITS + 4);
            let xs: Vec<T> = parts.iter().map(|&m| T::make(m, e)).collect();
            let max = bound_of(&xs, (1.0, 0)) * share;
            let mut grads = xs;
            prop_assert!(clip::global_norm(&mut grads, max).unwrap().is_clipped());
            let again = clip::global_norm(&mut grads, max).unwrap();
            let least = 1.0 - if T::BITS == 53 { 16.0 } else { 2.0 } * T::u();
            prop_assert!(again.factor() >= least, "{}: {again:?}", T::NAME);
            Ok(())
        });
    }
    for_each_type!(check);
}

#[test]
fn every_element_keeps_its_share() {
    fn check<T: Format>() {
        run(300, &(vector::<T>(), bound()), |(xs, at)| {
            let max = bound_of(&xs, at);
            let norm = Measurement::of(&xs).unwrap().total().norm(Norm::L2);
            let mut after = xs.clone();
            if !clip::global_norm(&mut after, max).unwrap().is_clipped() {
                return Ok(());
            }
            let factor = Wide::from(max) / norm;
            let smallest_normal = Wide::new(1.0, T::SMALLEST + T::BITS - 1);
            for (x, y) in widen(&xs).into_iter().zip(widen(&after)) {
                if x != 0.0 && Wide::from(y) >= smallest_normal {
                    let share = (Wide::from(y) / Wide::from(x) / factor).to_f64();
                    let u = T::u()
                        + if T::BITS == 53 {
                            2.0 * T::u()
                        } else {
                            4.0 * f64::EPSILON
                        };
                    prop_assert!((share - 1.0).abs() <= u, "{}: {share}", T::NAME);
                }
            }
            Ok(())
        });
    }
    for_each_type!(check);
}

#[test]
fn scaling_by_a_power_of_two_scales_every_norm_exactly() {
    fn check<T: Format>() {
        let low = T::SMALLEST + T::BITS + 9;
        let elements = prop::collection::vec((-1.0..1.0_f64, 0..8_i64), 1..300);
        run(
            300,
            &(elements, low..T::LARGEST - 8, low..T::LARGEST - 8),
            |(parts, a, b)| {
                let at = |e: i64| -> Vec<T> {
                    parts
                        .iter()
                        .map(|&(m, near)| T::make(m, e + near))
                        .collect()
                };
                // Rounding toward zero may differ where an element is subnormal; keep those out.
                let both: Vec<(f64, f64)> = widen(&at(a)).into_iter().zip(widen(&at(b))).collect();
                let shift = Wide::new(1.0, b - a);
                if both
                    .iter()
                    .any(|&(x, y)| Wide::from(x) * shift != Wide::from(y))
                {
                    return Err(TestCaseError::reject("subnormal"));
                }
                let (one, two) = (
                    at(a).stats(&mut Ask::default()).unwrap(),
                    at(b).stats(&mut Ask::default()).unwrap(),
                );
                for norm in [Norm::L1, Norm::L2, Norm::Max] {
                    prop_assert_eq!(
                        one.norm(norm) * shift,
                        two.norm(norm),
                        "{:?} of {}",
                        norm,
                        T::NAME
                    );
                }
                Ok(())
            },
        );
    }
    for_each_type!(check);
}

#[test]
fn within_the_bound_not_one_bit_changes() {
    fn check<T: Format>() {
        run(200, &(vector::<T>(), 1.0..2.0_f64), |(xs, over)| {
            let seen = *Measurement::of(&xs).unwrap().total();
            let before = bits(&xs);
            let mut grads = vec![xs.clone(), vec![T::narrow(-0.0)]];
            for norm in [Norm::L1, Norm::L2, Norm::Max] {
                let mut size = seen.norm(norm).to_f64();
                if Wide::from(size) < seen.norm(norm) {
                    // A subnormal norm has more digits than an f64 that small.
                    size = f64::from_bits(size.to_bits() + 1);
                }
                for max in [size, size * over, f64::INFINITY] {
                    let mut rule = clip::GlobalNorm::new(max).unwrap().norm(norm).unwrap();
                    let mut each = clip::TensorNorm::new(max).unwrap().norm(norm).unwrap();
                    prop_assert!(!rule.apply(&mut grads).unwrap().is_clipped());
                    prop_assert!(!each.apply(&mut grads).unwrap().is_clipped());
                }
            }
            prop_assert!(
                !clip::value(&mut grads, seen.max_abs())
                    .unwrap()
                    .is_clipped()
            );
            prop_assert_eq!(bits(&grads[0]), before);
            prop_assert_eq!(bits(&grads[1]), bits(&[T::narrow(-0.0)]));
            Ok(())
        });
    }
    for_each_type!(check);
}

#[test]
fn the_payload_of_a_nan_survives_whatever_does_not_concern_it() {
    let odd = f32::from_bits(0xffc1_2345);
    let signalling = f32::from_bits(0x7f81_2345);
    let bits = |xs: &[f32]| -> Vec<u32> { xs.iter().map(|x| x.to_bits()).collect() };
    let before = [odd, signalling, -0.0, 7.0, f32::from_bits(1)];
    // A clamp that bites elsewhere.
    let mut grads = before;
    assert!(clip::value(&mut grads, 2.0).unwrap().is_clipped());
    assert_eq!(
        bits(&grads),
        bits(&[odd, signalling, -0.0, 2.0, f32::from_bits(1)])
    );
    // A clamp that bites nothing, a policy that propagates to a rule that cannot decide, one that skips.
    let mut grads = before;
    assert!(!clip::value(&mut grads, 7.0).unwrap().is_clipped());
    let one = clip::GlobalNorm::new(1.0).unwrap();
    let mut guard = Guard::new()
        .clip(one)
        .on_non_finite(steadygrad::OnNonFinite::Propagate);
    assert!(!guard.step(&mut grads).unwrap().is_clipped());
    assert!(
        !Guard::new()
            .clip(one)
            .step(&mut grads)
            .unwrap()
            .is_clipped()
    );
    assert_eq!(bits(&grads), bits(&before));
}

#[test]
fn a_clip_by_value_does_not_clip_its_own_output() {
    fn check<T: Format>() {
        let wild = (
            vector::<T>(),
            -1.0..1.0_f64,
            -1.0..1.0_f64,
            T::SMALLEST - 3..=T::LARGEST,
            any::<bool>(),
        );
        run(400, &wild, |(xs, a, b, e, symmetric)| {
            let scale = |m: f64| f64::make(m, e);
            let (min, max) = (scale(a.min(b)), scale(a.max(b)));
            let rule = if symmetric {
                clip::Value::new(max.abs())
            } else {
                clip::Value::between(min, max)
            };
            let rule = rule.unwrap();
            let mut once = xs.clone();
            let clipped = rule.apply(&mut once).unwrap();
            let mut twice = once.clone();
            let again = rule.apply(&mut twice).unwrap();
            prop_assert_eq!(bits(&once), bits(&twice));
            prop_assert!(!again.is_clipped(), "{:?} by {:?}", once, rule);
            if symmetric {
                prop_assert!(widen(&once).iter().all(|x| x.abs() <= max.abs()));
            }
            // Between the bounds as the element type has them, nothing moves; outside, all of it does.
            let (low, high) = if symmetric {
                (-max.abs(), max.abs())
            } else {
                (min, max)
            };
            let (low, high) = (T::toward_zero(low).widen(), T::toward_zero(high).widen());
            let outside = widen(&xs)
                .iter()
                .filter(|x| **x < low || **x > high)
                .count();
            let counts = (
                clipped.len(),
                clipped.clipped(),
                clipped.nan(),
                clipped.inf(),
            );
            prop_assert_eq!(counts, (xs.len() as u64, outside as u64, 0, 0));
            for (x, y) in xs.iter().zip(&once) {
                let expected = if x.widen() < low {
                    low
                } else if x.widen() > high {
                    high
                } else {
                    x.widen()
                };
                prop_assert_eq!(y.widen(), expected);
                prop_assert!(y.bits() == x.bits() || x.widen() < low || x.widen() > high);
            }
            Ok(())
        });
    }
    for_each_type!(check);
}

/// A random chain of operations.
fn chain() -> impl Strategy<Value = Vec<(u8, f64, f64, i64)>> {
    prop::collection::vec((0..8_u8, 0.01..3.0_f64, 0.01..3.0_f64, -20..20_i64), 0..5)
}

/// Of one tensor of each of these lengths.
fn edits_of(chain: &[(u8, f64, f64, i64)], lengths: &[usize]) -> Edits {
    let mut edits = Edits::for_count(lengths.len());
    for &(kind, a, b, e) in chain {
        for (index, &len) in lengths.iter().enumerate() {
            match kind {
                0..=2 => edits.scale(index, Factor::ratio(Wide::new(a, e), Wide::ONE)),
                3..=4 => edits.clamp(index, -f64::make(a, e), f64::make(b, e)),
                5 => {
                    let factor = |i| Factor::new(if i % 3 == 0 { a } else { b }).unwrap();
                    edits.scale_units(index, 0, &(0..len).map(factor).collect::<Vec<_>>());
                }
                6 => edits.zero(index),
                _ => edits.scale(index, Factor::ONE),
            }
        }
    }
    edits
}

#[test]
fn what_an_edit_would_leave_is_what_it_leaves() {
    fn check<T: Format>() {
        run(
            200,
            &(vector::<T>(), 1..40_usize, chain(), any::<bool>()),
            |(xs, times, chain, strange)| {
                let mut xs: Vec<T> = xs.repeat(times * times);
                if strange {
                    let middle = xs.len() / 2;
                    xs[middle] = T::narrow(f64::NAN);
                    xs[middle + 1..]
                        .iter_mut()
                        .take(1)
                        .for_each(|x| *x = T::narrow(f64::INFINITY));
                }
                let edits = edits_of(&chain, &[xs.len()]);
                let foreseen = xs
                    .stats(&mut Ask::default().after(edits.get(0)).power(2.5))
                    .unwrap();
                let mut edited = xs.clone();
                edited.edit(&edits.get(0), Tell::nothing()).unwrap();
                let found = edited.stats(&mut Ask::default().power(2.5)).unwrap();
                prop_assert_eq!(same_bits(&foreseen), same_bits(&found));
                let (mut in_passing, mut passing) = (xs.clone(), Stats::EMPTY);
                let mut tell = Tell::after(&mut passing);
                (tell.magnitudes, tell.power) = (true, Some(2.5));
                in_passing.edit(&edits.get(0), tell).unwrap();
                prop_assert_eq!(same_bits(&passing), same_bits(&found));
                prop_assert_eq!(bits(&in_passing), bits(&edited));
                Ok(())
            },
        );
    }
    for_each_type!(check);
}

/// Everything of the statistics, NaN comparable.
fn same_bits(stats: &Stats) -> String {
    format!("{stats:?}")
}

#[test]
fn a_chain_is_its_operations_one_by_one_but_for_rounding() {
    fn check<T: Format>() {
        run(200, &(vector::<T>(), chain()), |(xs, chain)| {
            let mut at_once = xs.clone();
            at_once
                .edit(&edits_of(&chain, &[xs.len()]).get(0), Tell::nothing())
                .unwrap();
            // One by one without rounding to the element type.
            let mut wide = widen(&xs);
            for &op in &chain {
                let (kind, a, b, e) = op;
                if (3..=4).contains(&kind) {
                    let (low, high) = (
                        T::toward_zero(-f64::make(a, e)),
                        T::toward_zero(f64::make(b, e)),
                    );
                    for x in &mut wide {
                        *x = x.clamp(low.widen(), high.widen());
                    }
                } else {
                    wide.edit(&edits_of(&[op], &[xs.len()]).get(0), Tell::nothing())
                        .unwrap();
                }
            }
            for (y, exact) in at_once.iter().zip(wide) {
                prop_assert!(
                    is_as_edits_leave(*y, exact),
                    "{exact:e} became {:e}",
                    y.widen()
                );
            }
            Ok(())
        });
    }
    for_each_type!(check);
}

#[test]
fn rules_in_a_guard_are_the_rules_one_by_one_but_for_rounding() {
    fn check<T: Format>() {
        let moderate = prop::collection::vec(-8.0..8.0_f64, 1..50);
        run(
            200,
            &(moderate, 0.5..6.0_f64, 0.5..6.0_f64, 0.5..6.0_f64),
            |(parts, a, b, c)| {
                let xs: Vec<T> = parts.iter().map(|&x| T::narrow(x)).collect();
                let (half, rest) = xs.split_at(xs.len() / 2);
                let set = || vec![half.to_vec(), rest.to_vec()];
                let value = clip::Value::new(a).unwrap();
                let mut each = clip::TensorNorm::new(b)
                    .unwrap()
                    .norm(Norm::P(3.0))
                    .unwrap();
                let mut all = clip::GlobalNorm::new(c).unwrap().norm(Norm::L1).unwrap();
                for turn in 0..3 {
                    let mut guard = Guard::new();
                    let mut by_hand = set();
                    for rule in 0..3 {
                        guard = match (turn + rule) % 3 {
                            0 => guard.clip(value),
                            1 => guard.clip(each),
                            _ => guard.clip(all),
                        };
                        match (turn + rule) % 3 {
                            0 => value.apply(&mut by_hand).map(drop),
                            1 => each.apply(&mut by_hand).map(drop),
                            _ => all.apply(&mut by_hand).map(drop),
                        }
                        .unwrap();
                    }
                    let mut grads = set();
                    let report = guard.step(&mut grads).unwrap();
                    let found = Measurement::of(&grads).unwrap().total().l2();
                    prop_assert!(
                        (report.after() / found - 1.0).abs() <= 2.0 * T::u() + 1e-14
                            || found == 0.0
                    );
                    for (x, y) in grads.concat().iter().zip(by_hand.concat()) {
                        let (x, y) = (x.widen(), y.widen());
                        let room = (8.0 * T::u() + 1e-14) * x.abs()
                            + 2f64.powi(T::SMALLEST.max(-1000) as i32);
                        prop_assert!(
                            (x - y).abs() <= room,
                            "{}: {} at once, {} one by one",
                            T::NAME,
                            x,
                            y
                        );
                    }
                }
                Ok(())
            },
        );
    }
    for_each_type!(check);
}

#[test]
fn a_factor_folded_into_a_loop_is_the_step() {
    fn check<T: Format>() {
        run(
            200,
            &(prop::collection::vec(-8.0..8.0_f64, 1..50), 0.01..20.0_f64),
            |(parts, max)| {
                let xs: Vec<T> = parts.iter().map(|&x| T::narrow(x)).collect();
                let mut guard = Guard::new()
                    .clip(clip::TensorNorm::new(2.0 * max).unwrap())
                    .clip(clip::GlobalNorm::new(max).unwrap());
                let mut grads = vec![xs.clone(), vec![T::narrow(3.0)]];
                let plan = guard.plan(&grads).unwrap();
                let factors = [plan.factor(0).unwrap(), plan.factor(1).unwrap()];
                let folded: Vec<T> = xs
                    .iter()
                    .map(|x| T::narrow(x.widen() * factors[0]))
                    .collect();
                let _ = plan.apply(&mut grads).unwrap();
                for (x, y) in grads[0].iter().zip(&folded) {
                    // Two factors are multiplied first when folded.
                    prop_assert!((x.widen() - y.widen()).abs() <= 4.0 * T::u() * x.widen().abs());
                }
                // With one rule it is the same, but for how narrower elements are rounded.
                let mut one = Guard::new().clip(clip::GlobalNorm::new(max).unwrap());
                let factor = one.plan(&xs).unwrap().factor(0).unwrap();
                let mut stepped = xs.clone();
                let _ = one.step(&mut stepped).unwrap();
                for (x, y) in xs.iter().zip(stepped) {
                    prop_assert!(
                        is_as_edits_leave(y, x.widen() * factor),
                        "{x:?} became {y:?}"
                    );
                }
                let mut again = vec![xs.clone(), vec![T::narrow(3.0)]];
                let report = guard.step(&mut again).unwrap();
                prop_assert_eq!(
                    report
                        .tensors()
                        .map(|t| t.edit.factor().unwrap().to_f64())
                        .collect::<Vec<_>>(),
                    factors
                );
                prop_assert_eq!(bits(&again[0]), bits(&grads[0]));
                Ok(())
            },
        );
    }
    for_each_type!(check);
}

#[test]
fn an_edit_of_a_set_is_the_edit_of_each_tensor() {
    run(
        50,
        &(vector::<f32>(), vector::<f64>(), chain()),
        |(a, b, chain)| {
            let edits = edits_of(&chain, &[a.len(), b.len()]);
            let (mut x, mut y) = (a.clone(), b.clone());
            let mut set: [(&str, &mut dyn TensorMut); 2] = [("a", &mut x), ("b", &mut y)];
            edits.apply(&mut set).unwrap();
            let (mut a, mut b) = (a, b);
            a.edit(&edits.get(0), Tell::nothing()).unwrap();
            b.edit(&edits.get(1), Tell::nothing()).unwrap();
            prop_assert_eq!((bits(&x), bits(&y)), (bits(&a), bits(&b)));
            Ok(())
        },
    );
}
