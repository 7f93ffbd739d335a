//! What is refused, and in which words; what is empty and is not.

use std::collections::BTreeMap;

use steadygrad::clip::Clipper;
use steadygrad::{
    Ask, Clamped, Edits, Error, Factor, Guard, Measurement, Needs, Norm, OnNonFinite, Stats, Tell,
    Tensor, TensorMut, Verdict, Wide, clip, detect,
};

use crate::numbers::{Format, for_each_type, widen};

const NAN: f64 = f64::NAN;

#[test]
fn every_clipper_says_what_it_expected_and_what_it_found() {
    let global = clip::GlobalNorm::new(1.0).unwrap();
    let tensor = clip::TensorNorm::new(1.0).unwrap();
    let rows: [(Error, &str); 12] = [
        (
            clip::GlobalNorm::new(-0.5).unwrap_err(),
            "max norm: expected a number ≥ 0, found -0.5",
        ),
        (
            clip::TensorNorm::new(NAN).unwrap_err(),
            "max norm: expected a number ≥ 0, found NaN",
        ),
        (
            global.norm(Norm::P(0.5)).unwrap_err(),
            "p of a norm: expected a number ≥ 1, found 0.5",
        ),
        (
            global.norm(Norm::P(0.0)).unwrap_err(),
            "p of a norm: expected a number ≥ 1, found 0",
        ),
        (
            tensor.norm(Norm::P(NAN)).unwrap_err(),
            "p of a norm: expected a number ≥ 1, found NaN",
        ),
        (
            tensor.norm(Norm::P(-2.0)).unwrap_err(),
            "p of a norm: expected a number ≥ 1, found -2",
        ),
        (
            clip::Value::new(-1.0).unwrap_err(),
            "clip value: expected a number ≥ 0, found -1",
        ),
        (
            clip::Value::between(NAN, 1.0).unwrap_err(),
            "clip value: expected a number, found NaN",
        ),
        (
            clip::Value::between(0.0, NAN).unwrap_err(),
            "clip value: expected a number, found NaN",
        ),
        (
            clip::Value::between(2.0, 1.0).unwrap_err(),
            "lower clip value: expected at most the upper one, found 2",
        ),
        (
            Factor::new(-1.0).unwrap_err(),
            "factor: expected a finite number ≥ 0, found -1",
        ),
        (
            Factor::new(f64::INFINITY).unwrap_err(),
            "factor: expected a finite number ≥ 0, found inf",
        ),
    ];
    for (error, words) in rows {
        assert_eq!(error.to_string(), words);
    }
}

#[test]
fn every_detector_says_what_it_expected_and_what_it_found() {
    let growth = detect::WeightGrowth::new(2.0).unwrap();
    let plateau = detect::Plateau::new(0.0, 1).unwrap();
    let rows: [(Error, &str); 12] = [
        (
            detect::NormThreshold::new(-1.0).unwrap_err(),
            "norm threshold: expected a number ≥ 0, found -1",
        ),
        (
            detect::PersistentNorm::new(NAN, 3).unwrap_err(),
            "norm that stays: expected a number ≥ 0, found NaN",
        ),
        (
            detect::PersistentNorm::new(1.0, 0).unwrap_err(),
            "steps in a row: expected at least 1, found 0",
        ),
        (
            detect::Plateau::new(-1.0, 3).unwrap_err(),
            "improvement of the loss: expected a number ≥ 0, found -1",
        ),
        (
            detect::Plateau::new(1.0, 0).unwrap_err(),
            "steps of a plateau: expected at least 1, found 0",
        ),
        (
            plateau.baseline(NAN).unwrap_err(),
            "baseline of the loss: expected a finite number, found NaN",
        ),
        (
            plateau.baseline(f64::INFINITY).unwrap_err(),
            "baseline of the loss: expected a finite number, found inf",
        ),
        (
            detect::WeightGrowth::new(1.0).unwrap_err(),
            "ratio of weight growth: expected a number above 1, found 1",
        ),
        (
            detect::WeightGrowth::new(NAN).unwrap_err(),
            "ratio of weight growth: expected a number above 1, found NaN",
        ),
        (
            growth.clone().per_step(0.0, 3).unwrap_err(),
            "weight growth per step: expected a number above 0, found 0",
        ),
        (
            growth.clone().per_step(NAN, 3).unwrap_err(),
            "weight growth per step: expected a number above 0, found NaN",
        ),
        (
            growth.per_step(1.0, 0).unwrap_err(),
            "window of weight growth: expected at least 1, found 0",
        ),
    ];
    for (error, words) in rows {
        assert_eq!(error.to_string(), words);
    }
}

#[test]
fn other_errors_say_it_too() {
    let rows = [
        (
            Error::Shape {
                what: "w_rec",
                expected: vec![2, 2],
                found: vec![2, 3],
            },
            "w_rec: expected shape [2, 2], found [2, 3]",
        ),
        (
            Error::Count {
                what: "tensors",
                expected: 2,
                found: 1,
            },
            "tensors: expected 2, found 1",
        ),
        (
            Error::Name {
                index: 1,
                expected: "a".into(),
                found: "b".into(),
            },
            "tensor 1: expected the name \"a\", found \"b\"",
        ),
        (
            Error::NonFinite {
                what: "w".into(),
                nan: 2,
                inf: 1,
                index: 7,
            },
            "w: expected finite numbers, found 2 NaN and 1 infinite, the first at index 7",
        ),
        (
            Error::Axis { axes: 2, axis: 3 },
            "axis: expected one below 2, found 3",
        ),
        (Error::Storage("lost".into()), "tensor storage: lost"),
    ];
    for (error, words) in rows {
        assert_eq!(error.to_string(), words);
        let _: &dyn std::error::Error = &error;
    }
}

#[test]
fn the_one_line_functions_refuse_too() {
    let mut grads = [3.0_f32, f32::NAN];
    let rows = [
        (
            clip::global_norm(&mut grads, 1.0).map(drop),
            "gradient: expected finite numbers, found 1 NaN and 0 infinite, the first at index 1",
        ),
        (
            clip::global_norm(&mut grads, NAN).map(drop),
            "max norm: expected a number ≥ 0, found NaN",
        ),
        (
            clip::tensor_norm(&mut grads, -1.0).map(drop),
            "max norm: expected a number ≥ 0, found -1",
        ),
        (
            clip::value(&mut grads, NAN).map(drop),
            "clip value: expected a number ≥ 0, found NaN",
        ),
    ];
    for (result, words) in rows {
        assert_eq!(result.unwrap_err().to_string(), words);
    }
    assert_eq!(grads[0], 3.0);
}

#[test]
fn reads_and_writes_past_the_end_are_refused() {
    let mut xs = [1.0_f32, 2.0];
    let past = |start: usize, len: usize| Error::Count {
        what: "elements",
        expected: start + len,
        found: 2,
    };
    assert_eq!(xs.read(1, &mut [0.0; 2]), Err(past(1, 2)));
    assert_eq!(xs.read(3, &mut []), Err(past(3, 0)));
    assert_eq!(xs.read(2, &mut []), Ok(()));
    assert_eq!(TensorMut::add(&mut xs, 0, &[1.0; 3]), Err(past(0, 3)));
    assert_eq!(TensorMut::write(&mut xs, 1, &[1.0; 2]), Err(past(1, 2)));
    assert_eq!(TensorMut::write(&mut xs, 3, &[]), Err(past(3, 0)));
    assert!(xs.read(usize::MAX, &mut [0.0]).is_err());
    assert!(TensorMut::add(&mut xs, usize::MAX, &[1.0]).is_err());
    assert!(TensorMut::write(&mut xs, usize::MAX, &[1.0]).is_err());
    assert_eq!(xs, [1.0, 2.0]);
    let mut none: Option<Vec<f32>> = None;
    assert!(none.read(0, &mut [0.0]).is_err() && none.add(0, &[1.0]).is_err());
    assert!(none.read(0, &mut []).is_ok() && none.add(0, &[]).is_ok());
    assert!(none.write(0, &[1.0]).is_err() && none.write(0, &[]).is_ok());
}

#[test]
fn units_that_a_tensor_does_not_have_are_refused() {
    let mut xs = vec![1.0_f64, 2.0];
    let mut units = vec![];
    let mut ask = Ask::default().units(1, &mut units);
    assert_eq!(xs.stats(&mut ask), Err(Error::Axis { axes: 1, axis: 1 }));
    assert!(units.is_empty());
    let mut edits = Edits::for_count(1);
    edits.scale_units(0, 0, &[Factor::ONE; 3]);
    let wrong = Error::Count {
        what: "factors for the units",
        expected: 2,
        found: 3,
    };
    let edit = edits.get(0);
    assert_eq!(xs.edit(&edit, Tell::nothing()), Err(wrong.clone()));
    assert_eq!(
        xs.stats(&mut Ask::default().after(edit)),
        Err(wrong.clone())
    );
    assert_eq!(edits.apply(&mut xs), Err(wrong));
    assert_eq!(xs, [1.0, 2.0]);
}

/// Every way to have no gradient at all.
fn empties(
    mut f: impl FnMut(&str, &mut dyn FnMut(&mut Guard) -> steadygrad::Result<steadygrad::Report>),
) {
    macro_rules! each {
        ($($set:expr),* $(,)?) => {$(
            f(stringify!($set), &mut |guard| guard.step(&mut $set).map(|report| report.clone()));
        )*};
    }
    each!(
        Vec::<f32>::new(),
        Vec::<Vec<f64>>::new(),
        vec![Vec::<f32>::new(), vec![]],
        [0.0_f32; 0],
        None::<Vec<f32>>,
        vec![None::<Vec<f64>>, None],
        Vec::<(&str, Vec<f32>)>::new(),
        [("w", None::<Vec<f32>>)],
        BTreeMap::<String, Vec<f32>>::new(),
    );
    #[cfg(feature = "ndarray")]
    each!(
        ndarray::Array2::<f32>::zeros((0, 5)),
        ndarray::Array3::<f64>::zeros((2, 0, 3))
    );
}

#[test]
fn nothing_has_norm_zero_and_is_never_an_error() {
    let norms = [Norm::L1, Norm::L2, Norm::Max, Norm::P(3.0)];
    empties(|what, step| {
        for norm in norms {
            for max in [0.0, 1.0, f64::INFINITY] {
                let mut guard = Guard::new()
                    .clip(clip::GlobalNorm::new(max).unwrap().norm(norm).unwrap())
                    .clip(clip::TensorNorm::new(max).unwrap().norm(norm).unwrap())
                    .clip(clip::Value::new(max).unwrap())
                    .clip(clip::Value::between(0.5, 1.0).unwrap())
                    .detect(detect::NormThreshold::new(0.0).unwrap())
                    .detect(detect::NormThreshold::new(0.0).unwrap().per_tensor())
                    .detect(detect::PersistentNorm::new(0.0, 1).unwrap())
                    .detect(detect::NonFinite)
                    .on_non_finite(OnNonFinite::Error);
                let report = step(&mut guard).unwrap();
                assert_eq!((report.before(), report.after()), (0.0, 0.0), "{what}");
                assert_eq!(report.verdict(), Verdict::Apply, "{what}");
                assert!(
                    !report.is_clipped()
                        && report.alarms().is_empty()
                        && report.abstained().is_empty(),
                    "{what}"
                );
                assert_eq!(
                    report.measurement().total().norm(norm),
                    Wide::ZERO,
                    "{what}: {norm:?}"
                );
                assert_eq!(report.measurement().total().len(), 0);
                assert!(report.nothing_seen(), "{what}");
                let line = report.to_string();
                let (said, verdict) = ("step 1: nothing seen, ", "; apply");
                assert!(
                    line.starts_with(said) && line.ends_with(verdict),
                    "{what}: {line}"
                );
            }
        }
    });
}

#[test]
fn a_missing_gradient_keeps_its_place() {
    let mut grads = vec![Some(vec![3.0_f32]), None, Some(vec![4.0])];
    let clipped = clip::GlobalNorm::new(1.0)
        .unwrap()
        .norm(Norm::P(2.0))
        .unwrap()
        .apply(&mut grads)
        .unwrap();
    assert_eq!(clipped.before(), 5.0);
    assert_eq!(grads, [Some(vec![0.6]), None, Some(vec![0.8])]);
    let seen = Measurement::of(&grads).unwrap();
    assert_eq!(
        (seen.len(), seen.tensor(1), seen.name(2)),
        (3, &Stats::EMPTY, "2")
    );
}

#[test]
fn beyond_the_last_tensor_there_is_nothing() {
    let seen = Measurement::of(&vec![vec![1.0], vec![2.0]]).unwrap();
    assert_eq!(
        (seen.tensor(2), seen.name(2), seen.units(2).len()),
        (&Stats::EMPTY, "", 0)
    );
    let mut edits = Edits::for_count(1);
    edits.zero(1);
    edits.scale(7, Factor::ONE);
    assert!(edits.is_keep() && edits.get(1).is_keep() && edits.get(usize::MAX).is_keep());
    assert_eq!(edits.len(), 1);
}

#[test]
fn strange_powers_are_answered_without_a_panic() {
    for p in [0.0, -1.0, 0.5, NAN, f64::INFINITY, 1e300, f64::MAX, 5e-324] {
        for xs in [
            vec![],
            vec![0.0],
            vec![2.0, 3.0],
            vec![1e300, 1e-300],
            vec![NAN, 1.0],
            vec![f64::MAX; 3],
        ] {
            let set = vec![xs.clone(), xs.clone()];
            let seen = Measurement::with_needs(&set, &Needs::norms().of_power(p)).unwrap();
            let _ = seen.total().norm(Norm::P(p)).to_string();
            if let Ok(norm) = Norm::P(p).checked() {
                let mut grads = set.clone();
                let finite = xs.iter().all(|x| x.is_finite());
                let mut rule = clip::GlobalNorm::new(1.0).unwrap().norm(norm).unwrap();
                let clipped = rule.apply(&mut grads);
                assert_eq!(clipped.is_ok(), finite, "p {p} of {xs:?}");
                if let Ok(clipped) = clipped {
                    let largest = xs.iter().copied().fold(0.0, f64::max);
                    // So large a p leaves the largest alone.
                    assert!(
                        clipped.before() == largest
                            || (clipped.before() / largest - 1.0).abs() < 1e-12,
                        "p {p} of {xs:?}: {clipped:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn wide_numbers_at_the_ends_of_their_exponents_do_not_panic() {
    for e in [i64::MIN, i64::MIN + 1, -5000, 5000, i64::MAX - 1, i64::MAX] {
        for x in [0.0, 5e-324, 1.0, f64::MAX, f64::INFINITY, NAN] {
            let wide = Wide::new(x, e);
            for y in [
                wide * wide,
                wide / wide,
                wide + wide,
                wide.sqrt(),
                wide.root(3.0),
                Wide::ONE / wide,
            ] {
                let _ = (y.to_f64(), y.to_string(), y.partial_cmp(&wide));
            }
            let factor = Factor::ratio(wide, Wide::from(3.0));
            assert!(!factor.times(1.0).is_nan());
            assert!(factor.to_wide().is_finite());
        }
    }
    assert_eq!(Wide::from(-2.0), Wide::from(2.0));
}

#[test]
fn clamps_without_order_and_by_nan_do_the_same_in_every_chain() {
    fn check<T: Format>() {
        let xs = [-4.0, 0.0, 0.5, 4.0, f64::INFINITY, -f64::INFINITY, NAN].map(T::narrow);
        let cases = [
            // (min, max), and what becomes of the six that are numbers.
            ((1.0, -1.0), [-1.0; 6]),
            ((f64::INFINITY, 2.0), [2.0; 6]),
            ((-1.0, NAN), [-1.0, 0.0, 0.5, 4.0, f64::INFINITY, -1.0]),
            ((NAN, 1.0), [-4.0, 0.0, 0.5, 1.0, 1.0, -f64::INFINITY]),
            (
                (NAN, NAN),
                [-4.0, 0.0, 0.5, 4.0, f64::INFINITY, -f64::INFINITY],
            ),
        ];
        for ((min, max), expected) in cases {
            let mut alone = Edits::for_count(1);
            alone.clamp(0, min, max);
            // The same clamp behind one that does nothing, between factors, and twice.
            let mut first = Edits::for_count(1);
            first.clamp(0, min, max);
            first.scale(0, Factor::ONE);
            let mut between = Edits::for_count(1);
            between.scale(0, Factor::ONE);
            between.clamp(0, min, max);
            between.clamp(0, min, max);
            between.scale(0, Factor::ONE);
            for edits in [&alone, &first, &between] {
                let mut ys = xs;
                ys.edit(&edits.get(0), Tell::nothing()).unwrap();
                assert_eq!(widen(&ys[..6]), expected, "{}: {edits:?}", T::NAME);
                assert!(ys[6].widen().is_nan());
            }
            let (mut ys, mut counts) = (xs, Clamped::default());
            ys.edit(&alone.get(0), Tell::clamped(&mut counts)).unwrap();
            assert_eq!(widen(&ys[..6]), expected, "{}", T::NAME);
            let changed = widen(&xs)
                .iter()
                .zip(expected)
                .filter(|(x, y)| **x != *y)
                .count();
            assert_eq!(counts, Clamped::of(7, changed as u64, 1, 2), "{}", T::NAME);
        }
    }
    for_each_type!(check);
}

#[test]
fn factors_of_units_are_taken_as_they_are() {
    let scaled = |xs: [f32; 2], factors: [Factor; 2]| {
        let (mut xs, mut edits) = (xs, Edits::for_count(1));
        edits.scale_units(0, 0, &factors);
        xs.edit(&edits.get(0), Tell::nothing()).unwrap();
        xs
    };
    let half = Factor::new(0.5).unwrap();
    assert_eq!(scaled([2.0, -3.0], [half, Factor::ONE]), [1.0, -3.0]);
    // Such as no `f64` holds; what is zero stays zero.
    let huge = Factor::ratio(Wide::new(1.0, 3000), Wide::ONE);
    let tiny = Factor::ratio(Wide::ONE, Wide::new(1.0, 3000));
    assert_eq!(scaled([-2.0, 0.0], [huge; 2]), [f32::NEG_INFINITY, 0.0]);
    let [x, inf] = scaled([-2.0, f32::INFINITY], [tiny; 2]);
    assert!(x == 0.0 && x.is_sign_negative() && inf == f32::INFINITY);
    assert!(
        scaled([f32::NAN; 2], [huge, tiny])
            .iter()
            .all(|x| x.is_nan())
    );
    for factors in [&[][..], &[half; 3]] {
        let (mut xs, mut edits) = ([2.0_f32, 3.0], Edits::for_count(1));
        edits.scale_units(0, 0, factors);
        let error = xs.edit(&edits.get(0), Tell::nothing()).unwrap_err();
        assert!(matches!(error, Error::Count { expected: 2, found, .. } if found == factors.len()));
        assert_eq!(xs, [2.0, 3.0]);
    }
}

#[test]
fn edits_of_ones_own_that_make_no_sense_do_not_panic() {
    let mut edits = Edits::for_count(1);
    edits.clamp(0, NAN, NAN);
    edits.clamp(0, 1.0, -1.0);
    let huge = Factor::ratio(Wide::new(1.0, 3000), Wide::ONE);
    edits.scale_units(0, 0, &[huge; 2]);
    let mut xs = [1.0_f32, -3.0];
    xs.edit(&edits.get(0), Tell::nothing()).unwrap();
    assert_eq!(xs, [f32::NEG_INFINITY; 2]);
    let mut none = Edits::for_count(0);
    none.zero_all();
    none.scale_all(Factor::ONE);
    assert!(none.is_keep() && none.is_empty());
    assert_eq!(none.common_factor(), Some(Factor::ONE));
}
