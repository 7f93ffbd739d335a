//! By way of burn's operations: transfers counted, units, reading and adding.

use burn::module::Param;
use burn::optim::GradientsParams;
use burn::tensor::{bf16, f16};
use ndarray::{ArrayD, IxDyn};
use steadygrad::{
    Ask, Edits, Error, Factor, Guard, Measurement, Needs, Norm, Tensor as _, TensorSet,
    TensorSetMut, Units, clip,
};
use steadygrad_burn::BurnGrads;

use crate::{Mixed, One, ROOM, tensor, to_f64};

/// Far out in the range it is looked at a second and a third time.
fn clipped<E: burn::tensor::Element>(values: &[E], max: f64) -> Vec<E> {
    let mut one = One::new(values);
    let mut set = BurnGrads::new(&mut one.grads, &one.model).on_device();
    let norm = clip::global_norm(&mut set, max).unwrap().before();
    let is_ordinary = (1e-6..1e6).contains(&norm);
    assert!(set.transfers() <= if is_ordinary { 1 } else { 3 });
    drop(set);
    one.values()
}

#[test]
fn right_over_the_whole_float_range() {
    assert_eq!(
        clipped(&[1e25_f32, 1e25, 1.0], 1.0),
        [0.707_106_77, 0.707_106_77, 7.071_068e-26]
    );
    let half = std::f64::consts::FRAC_1_SQRT_2;
    for (max, expected) in [(1.0, half), (1e-300, half * 1e-300)] {
        for x in clipped(&[f64::MAX, f64::MAX], max) {
            assert!((x / expected - 1.0).abs() < 4.0 * f64::EPSILON);
        }
    }
    let small = clipped(&[3e-200_f64, 4e-200], 1e-200);
    assert!((small[0] / 0.6e-200 - 1.0).abs() < 1e-15 && (small[1] / 0.8e-200 - 1.0).abs() < 1e-15);
    assert_eq!(clipped(&[f16::from_f32(300.0)], 1.0), [f16::ONE]);
    assert_eq!(clipped(&[bf16::from_f32(3e38)], 2.0), [bf16::from_f32(2.0)]);
    assert_eq!(clipped(&[3.0_f32, 4.0], 5.0), [3.0, 4.0]);
    assert_eq!(clipped(&[3.0_f32, 4.0, 12.0], 13.0), [3.0, 4.0, 12.0]);
    assert_eq!(clipped(&[0.0_f32; 3], 0.0), [0.0; 3]);
}

#[test]
fn bounds_that_are_not_alike_are_told_apart() {
    for (min, max, values, outside) in [
        (0.0, 1.0, vec![0.5_f32, 1.0], false),
        (0.0, 1.0, vec![-1e-30, 0.5], true),
        (
            f64::NEG_INFINITY,
            1.0,
            vec![f32::NEG_INFINITY, f32::NAN, 0.5],
            false,
        ),
        (-1.0, f64::INFINITY, vec![-1.5, f32::INFINITY], true),
    ] {
        let mut one = One::new(&values);
        let mut set = BurnGrads::new(&mut one.grads, &one.model).on_device();
        let clip = clip::Value::between(min, max).unwrap();
        let said = clip.apply(&mut set).unwrap().is_clipped();
        assert_eq!(said, outside, "{values:?} in [{min}, {max}]");
    }
}

#[test]
fn a_clamp_is_counted_where_the_tensors_are() {
    let inf = f32::INFINITY;
    for (min, max, values) in [
        (
            -1.0,
            1.0,
            vec![0.5_f32, 1.0, -1.0, 1.5, f32::NAN, inf, -inf, -2.0],
        ),
        // On a bound as the type has it, though above or below it as it was given.
        (0.1, 0.7, vec![0.1_f32, 0.099_999_994, 0.7, 0.0]),
        (f64::NEG_INFINITY, 0.0, vec![-inf, 1.0, f32::NAN]),
    ] {
        let rule = clip::Value::between(min, max).unwrap();
        let mut expected = values.clone();
        let counts = rule.apply(&mut expected).unwrap();
        let mut one = One::new(&values);
        let mut set = BurnGrads::new(&mut one.grads, &one.model).on_device();
        assert_eq!(rule.apply(&mut set).unwrap(), counts, "{values:?}");
        assert_eq!(set.transfers(), 1);
        drop(set);
        let bits = |xs: &[f32]| xs.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&one.values::<f32>()), bits(&expected));
    }
}

/// Three tensors of ranks 2 to 4 and what they hold.
fn three(bad: bool) -> (Mixed, GradientsParams, Vec<(&'static str, ArrayD<f32>)>) {
    let mut model = Mixed::empty();
    let mut grads = GradientsParams::new();
    let wave = |len: usize| -> Vec<f32> { (0..len).map(|i| (i as f32).sin()).collect() };
    let (mut a, b, mut c) = (wave(5 * 300), wave(4 * 3 * 7), wave(2 * 3 * 4 * 5));
    if bad {
        a[777] = f32::NAN;
        a[1000] = f32::NAN;
        c[61] = f32::INFINITY;
    }
    model
        .matrices
        .push(Param::from_tensor(tensor(&[0.0_f32; 1500], [5, 300])));
    model
        .cubes
        .push(Param::from_tensor(tensor(&[0.0_f32; 84], [4, 3, 7])));
    model
        .images
        .push(Param::from_tensor(tensor(&[0.0_f32; 120], [2, 3, 4, 5])));
    grads.register(model.matrices[0].id, tensor::<2, f32>(&a, [5, 300]));
    grads.register(model.cubes[0].id, tensor::<3, f32>(&b, [4, 3, 7]));
    grads.register(model.images[0].id, tensor::<4, f32>(&c, [2, 3, 4, 5]));
    let array = |dims: &[usize], values| ArrayD::from_shape_vec(IxDyn(dims), values).unwrap();
    let arrays = vec![
        ("matrices.0", array(&[5, 300], a)),
        ("cubes.0", array(&[4, 3, 7], b)),
        ("images.0", array(&[2, 3, 4, 5], c)),
    ];
    (model, grads, arrays)
}

#[test]
fn units_of_every_rank() {
    for (bad, axis) in [(false, 0), (false, 1), (true, 0), (true, 1)] {
        let (model, mut grads, arrays) = three(bad);
        let units = Needs::norms().of_units(Units::Axis(axis));
        let needs = units.of_magnitudes().of_power(4.0);
        let expected = Measurement::with_needs(&arrays, &needs).unwrap();

        let set = BurnGrads::new(&mut grads, &model);
        let seen = Measurement::with_needs(&set, &needs).unwrap();
        for i in 0..3 {
            assert_eq!(seen.tensor(i), expected.tensor(i));
            assert_eq!(seen.units(i), expected.units(i));
        }
        let set = set.on_device();
        let seen = Measurement::with_needs(&set, &needs).unwrap();
        assert_eq!(set.transfers(), if bad { 2 } else { 1 });
        for i in 0..3 {
            let pairs = seen.units(i).iter().zip(expected.units(i));
            assert_eq!(seen.units(i).len(), expected.units(i).len());
            for (a, b) in pairs.chain([(seen.tensor(i), expected.tensor(i))]) {
                assert_eq!(a.first_non_finite(), b.first_non_finite());
                assert_eq!((a.nan(), a.inf(), a.len()), (b.nan(), b.inf(), b.len()));
                for norm in [Norm::L1, Norm::L2, Norm::Max, Norm::P(4.0)] {
                    let (a, b) = (a.norm(norm).to_f64(), b.norm(norm).to_f64());
                    assert!(
                        a.to_bits() == b.to_bits()
                            || (a - b).abs() <= ROOM * b
                            || a.is_nan() && b.is_nan()
                    );
                }
            }
        }
        assert!(matches!(
            Measurement::with_needs(&set, &Needs::norms().of_units(Units::Axis(2))),
            Err(Error::Axis { axes: 2, axis: 2 })
        ));
    }
}

#[test]
fn units_are_scaled_each_by_its_own_factor() {
    let mut results = vec![];
    for on_device in [false, true] {
        let (model, mut grads, mut arrays) = three(false);
        let mut set = BurnGrads::new(&mut grads, &model);
        if on_device {
            set = set.on_device();
        }
        let mut edits = Edits::for_count(3);
        let factor = |x| Factor::new(x).unwrap();
        edits.scale_units(0, 0, &[1.0, 0.5, 0.1, 0.0, 2.0].map(factor));
        edits.scale_units(1, 2, &[1.0, 0.3, 1.0, 1.0, 1e-60, 1.0, 7.0].map(factor));
        edits.clamp(2, -0.25, 0.5);
        edits.scale(2, Factor::new(3.0).unwrap());
        // Measured as if, then done.
        for i in 0..3 {
            let mut index = 0;
            set.visit(&mut |_, tensor| {
                if index == i {
                    let mut ask = Ask::default().after(edits.get(i));
                    let expected = arrays[i].1.stats(&mut ask)?;
                    let found = tensor.stats(&mut ask)?;
                    assert!((found.l2() - expected.l2()).abs() <= ROOM * expected.l2());
                }
                index += 1;
                Ok(())
            })
            .unwrap();
        }
        edits.apply(&mut set).unwrap();
        edits.apply(&mut arrays).unwrap();
        let mut wrong = Edits::for_count(3);
        wrong.scale_units(0, 1, &[Factor::ONE]);
        assert!(matches!(
            wrong.apply(&mut set),
            Err(Error::Count {
                expected: 300,
                found: 1,
                ..
            })
        ));
        drop(set);
        let found = to_f64(grads.get::<3>(model.cubes[0].id).unwrap());
        let expected: Vec<f64> = arrays[1].1.iter().map(|&x| f64::from(x)).collect();
        assert_eq!(found, expected);
        assert_eq!(
            to_f64(grads.get::<4>(model.images[0].id).unwrap()),
            arrays[2]
                .1
                .iter()
                .map(|&x| f64::from(x))
                .collect::<Vec<_>>()
        );
        results.push(to_f64(grads.get::<2>(model.matrices[0].id).unwrap()));
    }
    assert_eq!(results[0], results[1]);
}

#[test]
fn a_step_makes_one_transfer_and_an_edit_none() {
    let (model, mut grads, mut arrays) = three(false);
    let mut set = BurnGrads::new(&mut grads, &model).on_device();
    let mut guard = Guard::new().clip(clip::GlobalNorm::new(0.5).unwrap());
    let report = guard.step(&mut set).unwrap();
    assert!(report.is_clipped());
    let expected = clip::global_norm(&mut arrays, 0.5).unwrap();
    assert!((report.factor() / expected.factor() - 1.0).abs() <= ROOM);
    assert_eq!(set.transfers(), 1);

    // A second only where something is not finite, to find it.
    let (model, mut grads, _) = three(true);
    let mut set = BurnGrads::new(&mut grads, &model).on_device();
    let report = guard.step(&mut set).unwrap();
    assert_eq!(report.non_finite().unwrap().tensor(), Some("matrices.0"));
    assert_eq!(report.measurement().tensor(0).first_non_finite(), Some(777));
    assert_eq!(report.measurement().tensor(2).first_non_finite(), Some(61));
    assert_eq!(set.transfers(), 2);
}

#[test]
fn a_value_clip_makes_one_transfer_and_a_step_one_more_if_it_bites() {
    let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() <= ROOM, "{a} and {b}");
    for (bound, transfers) in [(1.0, 1), (0.5, 2)] {
        let (model, mut grads, mut arrays) = three(false);
        let expected = clip::value(&mut arrays, bound).unwrap();
        let after = Measurement::of(&arrays).unwrap().total().l2();
        let mut set = BurnGrads::new(&mut grads, &model).on_device();
        let clipped = clip::value(&mut set, bound).unwrap();
        // Counts travel, and no tensor.
        assert_eq!(set.transfers(), 1);
        assert_eq!(clipped, expected);
        drop(set);
        let left = to_f64(grads.get::<2>(model.matrices[0].id).unwrap());
        assert!(
            left.into_iter()
                .eq(arrays[0].1.iter().copied().map(f64::from))
        );

        let (model, mut grads, _) = three(false);
        let mut set = BurnGrads::new(&mut grads, &model).on_device();
        let mut guard = Guard::new().clip(clip::Value::new(bound).unwrap());
        let report = guard.step(&mut set).unwrap();
        assert_eq!(set.transfers(), transfers);
        near(report.after(), after);
    }
}

#[test]
fn elements_are_read_and_added_to() {
    let mut pairs = vec![];
    for on_device in [false, true] {
        let (model, mut grads, _) = three(false);
        let mut set = BurnGrads::new(&mut grads, &model);
        if on_device {
            set = set.on_device();
        }
        let mut seen = vec![];
        set.visit_mut(&mut |_, tensor| {
            tensor.add(3, &[0.1, 0.2, 0.3])?;
            assert!(matches!(
                tensor.add(tensor.len(), &[1.0]),
                Err(Error::Count { .. })
            ));
            let mut out = [0.0; 6];
            tensor.read(2, &mut out)?;
            assert!(tensor.read(tensor.len() - 1, &mut out).is_err());
            tensor.read(tensor.len(), &mut [])?;
            seen.extend(out);
            Ok(())
        })
        .unwrap();
        pairs.push(seen);
    }
    assert_eq!(pairs[0], pairs[1]);
}

/// The room that rows in `f32` need is not given to elements that are wider, nor to a largest magnitude.
#[test]
fn what_is_f64_is_summed_in_f64_and_a_largest_magnitude_is_exact() {
    let values: Vec<f64> = (1..=70_001).map(|i| f64::from(i).sin() / 3.0).collect();
    let One { model, mut grads } = One::new(&values);
    let host = Measurement::of(&BurnGrads::new(&mut grads, &model)).unwrap();
    let seen = Measurement::of(&BurnGrads::new(&mut grads, &model).on_device()).unwrap();
    let (host, seen) = (host.total(), seen.total());
    for (found, right) in [(seen.l2(), host.l2()), (seen.l1(), host.l1())] {
        assert!((found / right - 1.0).abs() <= 1e-13, "{found} and {right}");
    }
    assert_eq!(seen.max_abs(), host.max_abs());
}
