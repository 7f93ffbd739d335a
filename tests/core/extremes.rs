//! The ends of the range of `f64`, and of the narrow types.

use steadygrad::clip::Clipper;
use steadygrad::{Ask, Edits, Factor, Measurement, Norm, Tell, Tensor, TensorMut, Wide, clip};

use crate::exact::Exact;
use crate::numbers::{Format, for_each_type, widen};

const TINY: f64 = 5e-324;

/// Clips and compares each element with the exact one.
fn check<T: Format>(before: &[f64], max: f64) {
    let grads: Vec<T> = before.iter().map(|&x| T::narrow(x)).collect();
    let before = widen(&grads);
    let exact = Exact::sum_of_powers(&grads, 2);
    let mut after = grads;
    let clipped = clip::global_norm(&mut after, max).unwrap();
    if exact.is_at_most(&Exact::of(max).times(&Exact::of(max))) {
        // The norm may come out above its bound by its last place; the factor is then one.
        assert!(clipped.factor() >= 1.0 - 8.0 * f64::EPSILON);
    }
    if !clipped.is_clipped() {
        assert_eq!(widen(&after), before);
        return;
    }
    for (x, y) in before.iter().zip(widen(&after)) {
        assert!(y == 0.0 || x.is_sign_negative() == y.is_sign_negative());
        let unit = T::unit(y);
        let error = exact.scaled_error_in(*x, max, y, unit);
        assert!(
            error <= T::ALLOWED,
            "{}: {before:?} to {max}: {x} became {y}, off by {error}",
            T::NAME
        );
    }
}

#[test]
fn every_mix_of_extremes_is_clipped_to_its_last_place() {
    fn all<T: Format>() {
        let top = T::toward_zero(f64::MAX).widen();
        let low = 2f64.powi(T::SMALLEST as i32 / 2)
            * 2f64.powi(T::SMALLEST as i32 - T::SMALLEST as i32 / 2);
        let sizes = [top, top / 3.0, 1e4, 1.0, 0.3, low * 1000.0, low * 3.0, low];
        let bounds = [
            f64::MAX,
            1e300,
            top,
            1.0,
            0.1,
            1e-30,
            low * 7.0,
            low,
            1e-300,
            1e-320,
            TINY,
        ];
        for a in sizes {
            for b in sizes {
                for max in bounds {
                    check::<T>(&[a, -b], max);
                    check::<T>(&[a, b, b, -a, a], max);
                }
            }
        }
    }
    for_each_type!(all);
}

#[test]
fn all_subnormal_gradients_keep_their_direction() {
    fn all<T: Format>() {
        let low = T::make(1.0, T::SMALLEST).widen();
        let grads: Vec<f64> = (1..100).map(|i| low * f64::from(i)).collect();
        for max in [low, low * 10.0, low * 500.0, 1.0] {
            check::<T>(&grads, max);
        }
    }
    for_each_type!(all);
}

#[test]
fn a_norm_past_the_range_is_infinite_only_as_an_f64() {
    let grads = vec![vec![f64::MAX; 3], vec![-f64::MAX]];
    let seen = Measurement::of(&grads).unwrap();
    assert!(seen.total().is_finite());
    assert_eq!(seen.total().l2(), f64::INFINITY);
    assert_eq!(seen.total().norm(Norm::L2), Wide::new(f64::MAX, 1));
    assert_eq!(seen.total().norm(Norm::L1), Wide::new(f64::MAX, 2));
    assert_eq!(seen.total().max_abs(), f64::MAX);
    assert_eq!(seen.total().rms(), f64::MAX);
    assert_eq!(seen.total().norm(Norm::L2).to_string(), "3.595e308");
    let mut shown = grads;
    let clipped = clip::GlobalNorm::new(1.0)
        .unwrap()
        .norm(Norm::L1)
        .unwrap()
        .apply(&mut shown)
        .unwrap();
    assert_eq!((clipped.before(), clipped.after()), (f64::INFINITY, 1.0));
    assert_eq!(shown.concat(), [0.25, 0.25, 0.25, -0.25]);
}

#[test]
fn parts_of_a_tensor_may_lie_anywhere_in_the_range() {
    // Elements are summed in fixed chunks, each brought into range by itself.
    const CHUNK: usize = 1 << 16;
    let mut random = crate::numbers::Random(29);
    let scales = [0.0, 1e-320, 1e-200, 1e-121, 1.0, 1e144, 1e145, 1e200, 1e307];
    for _ in 0..60 {
        let mut scale = || scales[(random.bits() % 9) as usize];
        // The beginning of a chunk is no hint at its rest.
        let (first, chunks) = (scale(), [scale(), scale(), scale()]);
        let tail = [1, 1500, 5000][(random.bits() % 3) as usize];
        let mut grads = vec![0.0; 2 * CHUNK + tail];
        for i in (0..grads.len()).filter(|i| i % 311 == 0 || i / CHUNK == 2) {
            let scale = if i < 1000 { first } else { chunks[i / CHUNK] };
            grads[i] = (random.unit() - 0.5) * scale;
        }
        let exact = Exact::sum_of_powers(&grads, 2);
        for len in [grads.len(), CHUNK, 2500] {
            let exact = if len == grads.len() {
                exact.clone()
            } else {
                Exact::sum_of_powers(&grads[..len], 2)
            };
            let seen = grads[..len].stats(&mut Ask::default()).unwrap();
            let off = exact.root_error(2, seen.norm(Norm::L2));
            assert!(off <= 8.0, "{first} {chunks:?} {len}: {off}");
            let largest = grads[..len].iter().fold(0.0, |a: f64, x| a.max(x.abs()));
            assert_eq!((seen.max_abs(), seen.is_finite()), (largest, true));
        }
        // What is not finite shows wherever it stands.
        let at = (random.bits() % grads.len() as u64) as usize;
        grads[at] = f64::NAN;
        let seen = grads.stats(&mut Ask::default()).unwrap();
        assert_eq!((seen.nan(), seen.first_non_finite()), (1, Some(at as u64)));
        grads[at] = f64::NEG_INFINITY;
        let seen = grads.stats(&mut Ask::default()).unwrap();
        assert_eq!((seen.inf(), seen.first_non_finite()), (1, Some(at as u64)));
    }
}

#[test]
fn the_smallest_number_has_a_norm() {
    for (xs, l2, l1) in [
        (vec![TINY], Wide::from(TINY), Wide::from(TINY)),
        (
            vec![TINY; 4],
            Wide::from(2.0 * TINY),
            Wide::from(4.0 * TINY),
        ),
        (
            vec![3.0 * TINY, 4.0 * TINY],
            Wide::from(5.0 * TINY),
            Wide::from(7.0 * TINY),
        ),
        (
            vec![TINY, f64::MAX],
            Wide::from(f64::MAX),
            Wide::from(f64::MAX),
        ),
    ] {
        let seen = xs.stats(&mut Ask::default()).unwrap();
        assert_eq!(
            (seen.norm(Norm::L2), seen.norm(Norm::L1)),
            (l2, l1),
            "{xs:?}"
        );
    }
}

#[test]
fn far_factors_round_once() {
    // Factors out of the range of f64 are applied in steps; a subnormal result must not be rounded twice.
    let mut random = crate::numbers::Random(23);
    for _ in 0..3000 {
        let m = 1.5 + random.unit() / 2.0;
        let e = random.between(-2090, -1000);
        let factor = Factor::ratio(Wide::new(m, e), Wide::ONE);
        let x = f64::make(
            1.5 + random.unit() / 2.0,
            random.between(-1074 - e, 1023).min(1023),
        );
        let found = factor.times(x);
        let exact = Exact::of_wide(Wide::new(m, e)).times(&Exact::of(x));
        let error = exact.root_error_in(1, &Exact::of(found), f64::unit(found));
        assert!(
            error <= 0.500_001,
            "{x} times {m}·2^{e} gave {found}, off by {error}"
        );
        let mut edits = Edits::for_count(1);
        edits.scale(0, factor);
        let mut xs = [x];
        xs.edit(&edits.get(0), Tell::nothing()).unwrap();
        assert_eq!(xs[0].to_bits(), found.to_bits());
    }
}
