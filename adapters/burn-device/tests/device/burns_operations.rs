//! What steadygrad-burn does by burn's own operations.

use burn::nn::LinearConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{DType, Device, Tensor};
use steadygrad::{Guard, Measurement, Verdict, clip};
use steadygrad_burn::BurnGrads;

use crate::{ROOM, Vectors, device, near, norm, tensor, values, wave};

fn three() -> [Vec<f32>; 3] {
    [wave(1500, 1.0), wave(70_000, 0.01), vec![0.5]]
}

#[test]
fn a_measurement_makes_one_transfer_and_is_near_that_of_the_host() {
    let all = three();
    let mut vectors = Vectors::new(&all, &device());
    let set = BurnGrads::new(&mut vectors.grads, &vectors.model);
    let (seen, expected) = (
        Measurement::of(&set).unwrap(),
        Measurement::of(&all).unwrap(),
    );
    assert_eq!(set.transfers(), 1);
    assert_eq!(seen.name(1), "vectors.1");
    for index in 0..3 {
        let (seen, expected) = (seen.tensor(index), expected.tensor(index));
        assert_eq!(seen.len(), expected.len());
        near(seen.l2(), expected.l2(), ROOM / 2.0);
    }
}

#[test]
fn a_clip_leaves_what_the_host_leaves() {
    for max in [1.0, 1e3] {
        let mut all = three();
        let mut vectors = Vectors::new(&all, &device());
        let mut set = BurnGrads::new(&mut vectors.grads, &vectors.model);
        let clipped = clip::global_norm(&mut set, max).unwrap();
        assert_eq!(set.transfers(), 1);
        drop(set);
        near(clipped.before(), norm(&all), ROOM / 2.0);
        clip::global_norm(&mut all, max).unwrap();
        for (found, expected) in vectors.values().into_iter().zip(&all) {
            for (found, &expected) in found.into_iter().zip(expected) {
                assert!((found - expected).abs() <= expected.abs() * ROOM as f32);
            }
        }
    }
}

#[test]
fn right_over_the_whole_float_range() {
    for (all, max, expected) in [
        (
            vec![1e25_f32, 1e25, 1.0],
            1.0,
            vec![0.707_106_77_f32, 0.707_106_77, 7.071_068e-26],
        ),
        (vec![3e-25, 4e-25], 1e-25, vec![0.6e-25, 0.8e-25]),
        (vec![3.0, 4.0], 5.0, vec![3.0, 4.0]),
        (vec![0.0; 3], 0.0, vec![0.0; 3]),
    ] {
        let mut vectors = Vectors::new(&[all], &device());
        let mut set = BurnGrads::new(&mut vectors.grads, &vectors.model);
        clip::global_norm(&mut set, max).unwrap();
        assert!(set.transfers() <= 3);
        drop(set);
        for (&found, expected) in vectors.values()[0].iter().zip(expected) {
            assert!(
                (found - expected).abs() <= expected.abs() * 4e-7,
                "expected {expected:e}, found {found:e}"
            );
        }
    }
}

#[test]
fn a_clip_by_value_leaves_the_same_bits() {
    let all = [vec![0.5_f32, 1.0, -1.0, 1.5, -2.0, 0.0], wave(3000, 1.5)];
    let mut expected = all.clone();
    let counts = clip::value(&mut expected, 1.0).unwrap();
    let mut vectors = Vectors::new(&all, &device());
    let mut set = BurnGrads::new(&mut vectors.grads, &vectors.model);
    assert_eq!(clip::value(&mut set, 1.0).unwrap(), counts);
    assert_eq!(set.transfers(), 1);
    drop(set);
    assert_eq!(vectors.values(), expected);
}

#[test]
fn a_guard_names_what_is_not_finite() {
    let mut all = three();
    all[1][60_001] = f32::NAN;
    all[1][60_007] = f32::INFINITY;
    let mut vectors = Vectors::new(&all, &device());
    let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0).unwrap());
    let mut set = BurnGrads::new(&mut vectors.grads, &vectors.model);
    let report = guard.step(&mut set).unwrap();
    assert_eq!(report.verdict(), Verdict::Skip);
    assert_eq!(report.non_finite().unwrap().tensor(), Some("vectors.1"));
    let of_tensor = report.measurement().tensor(1);
    assert_eq!(of_tensor.first_non_finite(), Some(60_001));
    assert_eq!((of_tensor.nan(), of_tensor.inf()), (1, 1));
    assert_eq!(set.transfers(), 2);
}

#[test]
fn half_precision_if_the_device_has_it() {
    for dtype in [DType::F16, DType::BF16] {
        if !device().supports_dtype(dtype) {
            println!("not there: {dtype:?}");
            continue;
        }
        let mut vectors = Vectors::of([tensor(&[300.0, 400.0], dtype, &device())]);
        let mut set = BurnGrads::new(&mut vectors.grads, &vectors.model);
        assert_eq!(clip::global_norm(&mut set, 5.0).unwrap().before(), 500.0);
        drop(set);
        assert_eq!(vectors.grad(0).dtype(), dtype);
        assert_eq!(vectors.values(), [[3.0, 4.0]]);
    }
}

#[test]
fn a_clip_that_waits_for_nothing() {
    for (all, max) in [
        (three().to_vec(), 1.0),
        (vec![vec![1e25, 1e25, 1.0]], 1.0),
        (vec![vec![3e-25, 4e-25]], 1e-25),
    ] {
        let mut vectors = Vectors::new(&all, &device());
        let deferred = BurnGrads::new(&mut vectors.grads, &vectors.model)
            .global_norm_deferred(max)
            .unwrap()
            .unwrap();
        let before = norm(&all);
        near(f64::from(deferred.norm.into_scalar::<f32>()), before, ROOM);
        let factor = f64::from(deferred.factor.into_scalar::<f32>());
        near(factor, max / before, ROOM);
        for (found, expected) in vectors.values().iter().flatten().zip(all.iter().flatten()) {
            let expected = f64::from(*expected) * max / before;
            assert!((f64::from(*found) - expected).abs() <= expected.abs() * ROOM);
        }
    }
    let mut vectors = Vectors::new(&[vec![3.0, f32::NAN]], &device());
    let deferred = BurnGrads::new(&mut vectors.grads, &vectors.model)
        .global_norm_deferred(1.0)
        .unwrap()
        .unwrap();
    assert!(deferred.norm.into_scalar::<f32>().is_nan());
    assert_eq!(deferred.factor.into_scalar::<f32>(), 1.0);
    assert_eq!(vectors.values()[0][0], 3.0);
}

#[test]
fn a_loop_trains_as_on_the_host() {
    let run = |device: Device| {
        let start = Tensor::<2>::from_floats([[0.5], [-0.25], [0.75]], &device);
        let mut model = LinearConfig::new(3, 1).with_bias(false).init(&device);
        model.weight = model.weight.map(|_| start.require_grad());
        let mut optim = SgdConfig::new().init();
        let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0).unwrap());
        for step in 0..5 {
            let x = Tensor::<2>::from_floats([[1.0, 2.0, step as f32], [0.5, -1.0, 3.0]], &device);
            let loss = (model.forward(x.clone()) - x.sum_dim(1) * 100.0)
                .square()
                .mean();
            let mut grads = GradientsParams::from_grads(loss.backward(), &model);
            let report = guard.step(&mut BurnGrads::new(&mut grads, &model)).unwrap();
            assert!(report.is_clipped() && report.verdict() == Verdict::Apply);
            model = optim.step(0.1, model, grads);
        }
        values(model.weight.val())
    };
    let (found, expected) = (run(device().autodiff()), run(Device::flex().autodiff()));
    for (found, expected) in found.into_iter().zip(expected) {
        near(f64::from(found), f64::from(expected), 1e-5);
    }
}
