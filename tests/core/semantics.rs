//! Norms and clipping, case by case, for every element type that can hold the case.

use steadygrad::clip::Clipper;
use steadygrad::{
    Ask, Clamped, Error, Guard, Measurement, Needs, Norm, OnNonFinite, Tensor, Verdict, clip,
};

use crate::numbers::{Format, bits, for_each_type, narrow, widen};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// Clips `before` to `max`, in `f64`.
fn global<T: Format>(before: &[f64], max: f64) -> (Vec<f64>, clip::Clipped) {
    let mut grads = narrow::<T>(before);
    let clipped = clip::global_norm(&mut grads, max).unwrap();
    (widen(&grads), clipped)
}

#[test]
fn f32_of_1e25_has_a_norm_and_a_direction() {
    let mut grads = [1e25_f32, 1e25, 1.0];
    let clipped = clip::global_norm(&mut grads, 1.0).unwrap();
    assert_eq!(
        format!("{grads:?}"),
        "[0.70710677, 0.70710677, 7.071068e-26]"
    );
    assert!((clipped.before() / (f64::from(1e25_f32) * 2f64.sqrt()) - 1.0).abs() < 3e-16);
    // The same in f64, to its last place.
    let (grads, _) = global::<f64>(&[1e25, 1e25, 1.0], 1.0);
    assert!((grads[0] / 0.5_f64.sqrt() - 1.0).abs() < 2e-16);
    assert!((grads[2] / (0.5_f64.sqrt() * 1e-25) - 1.0).abs() < 4e-16);
}

#[test]
fn f64_max_twice_has_no_norm_in_f64_and_is_clipped_all_the_same() {
    for max in [1.0, 1e-300, 1e300] {
        let (grads, clipped) = global::<f64>(&[f64::MAX, f64::MAX], max);
        assert_eq!(clipped.before(), INF);
        assert!(clipped.is_clipped());
        let expected = max * 0.5_f64.sqrt();
        for x in grads {
            assert!(
                (x / expected - 1.0).abs() < 1e-15,
                "{x} instead of {expected}"
            );
        }
    }
}

#[test]
fn f64_of_1e_200_is_clipped_to_its_last_places() {
    let (grads, clipped) = global::<f64>(&[3e-200, 4e-200], 1e-200);
    assert!((clipped.before() / 5e-200 - 1.0).abs() < 5e-16);
    for (x, expected) in grads.iter().zip([0.6e-200, 0.8e-200]) {
        assert!(
            (x / expected - 1.0).abs() < 1e-15,
            "{x} instead of {expected}"
        );
    }
}

#[cfg(feature = "half")]
#[test]
fn f16_norms_do_not_overflow() {
    use half::f16;
    assert_eq!(global::<f16>(&[300.0], 1.0).0, [1.0]);
    let grads = narrow::<f16>(&[600.0, 800.0]);
    assert_eq!(Measurement::of(&grads).unwrap().total().l2(), 1000.0);
    let (grads, clipped) = global::<f16>(&[600.0, 800.0], 5.0);
    assert_eq!((grads, clipped.after()), (vec![3.0, 4.0], 5.0));
    assert_eq!(global::<half::bf16>(&[1e38, 0.0], 1.0).0, [1.0, 0.0]);
}

#[test]
fn a_large_element_does_not_hide_a_million_ones() {
    fn check<T: Format>() {
        let mut grads = vec![T::narrow(1.0); 1_000_001];
        grads[0] = T::narrow(4096.0);
        let seen = Measurement::of(&grads).unwrap();
        assert_eq!(seen.total().l2(), 17_777_216_f64.sqrt(), "{}", T::NAME);
        assert_eq!(seen.total().l1(), 1_004_096.0);
    }
    for_each_type!(check);
}

#[test]
fn three_four() {
    fn check<T: Format>() {
        for max in [5.0, 5.5, INF] {
            let (grads, clipped) = global::<T>(&[3.0, 4.0], max);
            assert_eq!(grads, [3.0, 4.0]);
            assert_eq!(
                (clipped.before(), clipped.after(), clipped.factor()),
                (5.0, 5.0, 1.0)
            );
            assert!(!clipped.is_clipped());
        }
        let (grads, clipped) = global::<T>(&[3.0, 4.0], 1.0);
        for (x, exact) in grads.iter().zip(widen(&narrow::<T>(&[0.6, 0.8]))) {
            // For f64 to one unit in the last place, for narrower types to the bit.
            assert!(
                (x - exact).abs()
                    <= if T::BITS == 53 {
                        f64::EPSILON / 2.0
                    } else {
                        0.0
                    },
                "{x}"
            );
        }
        assert_eq!(
            (clipped.before(), clipped.after(), clipped.factor()),
            (5.0, 1.0, 0.2)
        );
    }
    for_each_type!(check);
}

#[test]
fn a_bound_of_zero_leaves_plus_zero() {
    fn check<T: Format>() {
        for before in [[3.0, -4.0], [-0.0, 5.0]] {
            for rule in [clip::global_norm::<[T; 2]>, clip::tensor_norm] {
                let mut grads = [T::narrow(before[0]), T::narrow(before[1])];
                let clipped = rule(&mut grads, 0.0).unwrap();
                assert_eq!(bits(&grads), [0, 0]);
                assert_eq!((clipped.after(), clipped.factor()), (0.0, 0.0));
                assert!(clipped.is_clipped());
            }
        }
        let mut grads = [T::narrow(-3.0), T::narrow(4.0)];
        assert!(clip::value(&mut grads, 0.0).unwrap().is_clipped());
        assert_eq!(bits(&grads), [0, 0]);
    }
    for_each_type!(check);
}

#[test]
fn zeros_stay_zeros_and_never_become_nan() {
    fn check<T: Format>() {
        for max in [0.0, 1e-300, 1.0, INF] {
            for before in [[0.0, 0.0], [0.0, -0.0]] {
                for rule in [clip::global_norm::<[T; 2]>, clip::tensor_norm] {
                    let mut grads = [T::narrow(before[0]), T::narrow(before[1])];
                    let unchanged = bits(&grads);
                    let clipped = rule(&mut grads, max).unwrap();
                    // Within the bound already: not one bit changes.
                    assert_eq!(bits(&grads), unchanged);
                    assert_eq!(
                        (clipped.before(), clipped.after(), clipped.factor()),
                        (0.0, 0.0, 1.0)
                    );
                }
            }
        }
    }
    for_each_type!(check);
}

#[test]
fn a_bound_that_is_none_is_refused() {
    for bad in [NAN, -1.0, -INF, -f64::MIN_POSITIVE] {
        let refusals = [
            clip::GlobalNorm::new(bad).unwrap_err(),
            clip::TensorNorm::new(bad).unwrap_err(),
            clip::Value::new(bad).unwrap_err(),
            clip::global_norm(&mut [7.0_f32], bad).unwrap_err(),
            clip::tensor_norm(&mut [7.0_f32], bad).unwrap_err(),
            clip::value(&mut [7.0_f32], bad).unwrap_err(),
        ];
        for error in refusals {
            assert!(
                matches!(error, Error::Setting { found, .. } if found.to_bits() == bad.to_bits()),
                "{error}"
            );
        }
    }
    // Minus zero is zero.
    let mut grads = [7.0_f32];
    assert!(clip::global_norm(&mut grads, -0.0).unwrap().is_clipped());
    assert_eq!(grads[0].to_bits(), 0);
}

#[test]
fn a_clip_by_value_brings_infinities_back_and_leaves_nan() {
    fn check<T: Format>() {
        let before = [NAN, INF, -INF, 2.0, -2.0];
        let after = |grads: &[T]| -> Vec<f64> { widen(grads) };
        let mut grads = narrow::<T>(&before);
        let nan = grads[0].bits();
        let clipped = clip::value(&mut grads, 1.0).unwrap();
        assert_eq!(after(&grads)[1..], [1.0, -1.0, 1.0, -1.0]);
        assert_eq!(grads[0].bits(), nan);
        assert_eq!(clipped, Clamped::of(5, 4, 1, 2));

        let mut guard = Guard::new()
            .clip(clip::Value::new(1.0).unwrap())
            .on_non_finite(OnNonFinite::Propagate);
        let mut grads = narrow::<T>(&before);
        let report = guard.step(&mut grads).unwrap();
        let seen = report.measurement().total();
        assert_eq!(
            (seen.nan(), seen.pos_inf(), seen.neg_inf(), seen.inf()),
            (1, 1, 1, 2)
        );
        assert_eq!(report.non_finite().unwrap().value(), 3.0);
        assert!(report.verdict().is_apply());
        let left = report.tensors().next().unwrap().after.unwrap();
        assert_eq!(
            (left.nan(), left.inf(), left.first_non_finite()),
            (1, 0, Some(0))
        );
        assert_eq!(after(&grads)[1..], [1.0, -1.0, 1.0, -1.0]);

        // Any other policy decides first.
        let mut guard = Guard::new().clip(clip::Value::new(1.0).unwrap());
        let mut grads = narrow::<T>(&before);
        let unchanged = bits(&grads);
        assert_eq!(guard.step(&mut grads).unwrap().verdict(), Verdict::Skip);
        assert_eq!(bits(&grads), unchanged);
    }
    for_each_type!(check);
}

#[test]
fn an_infinity_alone_is_no_nan() {
    fn check<T: Format>() {
        for (xs, nan) in [([1.0, -INF], 0), ([INF, NAN], 1), ([NAN, 3.0], 1)] {
            let seen = narrow::<T>(&xs).stats(&mut Ask::default()).unwrap();
            assert_eq!(seen.nan(), nan);
            for norm in [seen.l1(), seen.l2(), seen.max_abs(), seen.rms()] {
                assert!(if nan == 1 { norm.is_nan() } else { norm == INF }, "{norm}");
            }
        }
    }
    for_each_type!(check);
}

#[test]
fn the_one_line_norm_clips_refuse_what_is_not_finite_and_leave_it() {
    fn check<T: Format>() {
        for (bad, nan, inf) in [(NAN, 1, 0), (INF, 0, 1), (-INF, 0, 1)] {
            for rule in [clip::global_norm::<[(&str, Vec<T>); 2]>, clip::tensor_norm] {
                let mut grads = [
                    ("w", narrow::<T>(&[30.0, 40.0])),
                    ("b", narrow::<T>(&[0.0, -0.0, bad])),
                ];
                let unchanged = [bits(&grads[0].1), bits(&grads[1].1)];
                assert_eq!(
                    rule(&mut grads, 1.0).unwrap_err(),
                    Error::NonFinite {
                        what: "b".into(),
                        nan,
                        inf,
                        index: 2
                    }
                );
                assert_eq!([bits(&grads[0].1), bits(&grads[1].1)], unchanged);
            }
        }
    }
    for_each_type!(check);
}

#[test]
fn norms_are_of_elements_not_of_tensors() {
    fn check<T: Format>() {
        let set = || vec![narrow::<T>(&[3.0, -4.0]), narrow(&[12.0])];
        let cube_root = 1819_f64.cbrt();
        for (norm, expected) in [
            (Norm::L1, 19.0),
            (Norm::L2, 13.0),
            (Norm::Max, 12.0),
            (Norm::P(3.0), cube_root),
        ] {
            let mut rule = clip::GlobalNorm::new(1.0).unwrap().norm(norm).unwrap();
            let mut grads = set();
            let clipped = rule.apply(&mut grads).unwrap();
            assert!(
                (clipped.before() / expected - 1.0).abs() < 1e-15,
                "{norm:?}"
            );
            assert!((clipped.after() - 1.0).abs() < 1e-15);
            for (x, before) in grads.concat().iter().zip([3.0, -4.0, 12.0]) {
                let exact = before / expected;
                assert!(
                    (x.widen() / exact - 1.0).abs() <= T::u() + 1e-15,
                    "{norm:?}: {x}"
                );
            }
            // At the norm itself, nothing happens.
            let mut rule = clip::GlobalNorm::new(clipped.before())
                .unwrap()
                .norm(norm)
                .unwrap();
            let mut grads = set();
            assert!(!rule.apply(&mut grads).unwrap().is_clipped());
            assert_eq!(grads, set());
        }
    }
    for_each_type!(check);
}

#[test]
fn each_tensor_has_a_norm_of_its_own() {
    fn check<T: Format>() {
        for (norm, factor) in [(Norm::L1, 7.0), (Norm::L2, 5.0), (Norm::Max, 4.0)] {
            let mut rule = clip::TensorNorm::new(1.0).unwrap().norm(norm).unwrap();
            let mut grads = vec![narrow::<T>(&[3.0, -4.0]), narrow(&[0.5]), vec![]];
            let clipped = rule.apply(&mut grads).unwrap();
            assert_eq!(clipped.factor(), 1.0 / factor);
            for (x, exact) in grads[0].iter().zip([3.0 / factor, -4.0 / factor]) {
                assert!((x.widen() / exact - 1.0).abs() <= 2.0 * T::u(), "{x}");
            }
            assert_eq!(grads[1..], [narrow(&[0.5]), vec![]]);
        }
    }
    for_each_type!(check);
}

#[test]
fn one_two_and_infinity_have_names_of_their_own() {
    let xs = [1.5_f64, -2.5, 4.0];
    for (p, named) in [(1.0, Norm::L1), (2.0, Norm::L2), (INF, Norm::Max)] {
        let rule = clip::GlobalNorm::new(1.0).unwrap();
        assert_eq!(rule.norm(Norm::P(p)), rule.norm(named));
    }
    // A p between them gives a norm between theirs.
    let norm_of = |p: f64| {
        Measurement::with_needs(&xs, &Needs::norms().of_power(p))
            .unwrap()
            .total()
            .norm(Norm::P(p))
            .to_f64()
    };
    let mut last = 8.0;
    for p in [1.0, 1.1, 1.5, 2.0, 2.5, 3.0, 10.0, 100.0, 1e3, 1e6, 1e12] {
        let by_hand = 4.0
            * xs.iter()
                .map(|x| (x.abs() / 4.0).powf(p))
                .sum::<f64>()
                .powf(1.0 / p);
        let found = norm_of(p);
        assert!(
            (found / by_hand - 1.0).abs() < 4e-15,
            "p = {p}: {found} instead of {by_hand}"
        );
        assert!(
            found <= last && found >= 4.0,
            "p = {p}: {found} after {last}"
        );
        last = found;
    }
}

#[test]
fn a_high_power_neither_overflows_nor_vanishes() {
    // Powers of elements just below and above a power of two, past the range of f64.
    for p in [1000.0, 1100.0, 5000.0, 1e5, 1e9] {
        for size in [1.0, 1.999, 3e-300, 7e307, 5e-324] {
            let mut grads = [size, size / 2.0];
            let mut rule = clip::GlobalNorm::new(size / 4.0)
                .unwrap()
                .norm(Norm::P(p))
                .unwrap();
            let clipped = rule.apply(&mut grads).unwrap();
            assert!(
                (clipped.before() / size - 1.0).abs() < 1e-9,
                "p {p}, size {size}: {clipped:?}"
            );
            assert!((grads[0] / (size / 4.0) - 1.0).abs() < 1e-9 || size < 1e-323);
        }
    }
}
