//! What the kernels do.

use burn::module::Param;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor};
use steadygrad_burn::BurnGrads;
use steadygrad_burn_device::{global_norm, steadygrad::Error};

use crate::{Mixed, ROOM, Vectors, device, near, norm, tensor, values, wave};

/// Norm and factor.
fn clip(vectors: &mut Vectors, max: f64) -> (f64, f64) {
    let deferred = global_norm(&mut vectors.grads, &vectors.model, max)
        .unwrap()
        .expect("gradients");
    let number = |x: Tensor<1>| f64::from(x.into_scalar::<f32>());
    (number(deferred.norm), number(deferred.factor))
}

/// Of all elements: what a multiplication with the exact factor leaves.
fn check(all: &[Vec<f32>], max: f64, room: f64) {
    let mut vectors = Vectors::new(all, &device());
    let (before, factor) = clip(&mut vectors, max);
    let expected = norm(all);
    near(before, expected, room);
    let by = if expected > max { max / expected } else { 1.0 };
    near(factor, by, room);
    for (found, &x) in vectors.values().iter().flatten().zip(all.iter().flatten()) {
        let (found, expected) = (f64::from(*found), f64::from(x) * by);
        // Where numbers are subnormal devices may take them for 0.
        let least = f64::from(f32::MIN_POSITIVE);
        assert!(
            (found - expected).abs() <= expected.abs() * room + least,
            "expected {expected:e}, found {found:e}"
        );
    }
}

#[test]
fn tensors_of_all_lengths_have_one_norm() {
    let lengths = [
        1, 2, 255, 256, 257, 16_383, 16_384, 16_385, 100_000, 0, 300_001,
    ];
    let all = lengths.map(|len| wave(len, 1.0));
    for max in [1.0, 1e9] {
        check(&all, max, ROOM / 2.0);
    }
    for all in all.into_iter().filter(|all| !all.is_empty()) {
        if norm(std::slice::from_ref(&all)) > 0.0 {
            check(&[all], 0.25, ROOM / 2.0);
        }
    }
}

#[test]
fn right_over_the_whole_float_range() {
    let room = 1e-6;
    check(&[vec![1e25, 1e25, 1.0]], 1.0, room);
    check(&[vec![3e-25, 4e-25]], 1e-25, room);
    check(&[vec![3e-25], vec![4e25], vec![2.0]], 1e-10, room);
    check(&[vec![2e38, 1e38]], 1.0, room);
    // Beside one another in all three parts, and at their ends.
    for exponent in [-43, -42, -41, 41, 42, 43] {
        let x = 2f32.powi(exponent);
        check(
            &[vec![x; 20_000], vec![x / 2.0, x * 2.0, -x * 1.5]],
            f64::from(x),
            room,
        );
    }
    let steps: Vec<f32> = (-120..120).map(|exponent| 2f32.powi(exponent)).collect();
    for at in 0..steps.len() {
        check(&[steps[..=at].to_vec()], f64::from(steps[at]) / 2.0, room);
    }
    // Subnormal numbers count; the norm is one as well, if it has to be.
    let subnormal = vec![f32::from_bits(3); 1 << 20];
    let mut vectors = Vectors::new(std::slice::from_ref(&subnormal), &device());
    let (before, factor) = clip(&mut vectors, 1.0);
    assert_eq!(factor, 1.0);
    assert_eq!(vectors.values()[0], subnormal);
    assert!(before == 0.0 || (before / norm(&[subnormal]) - 1.0).abs() < 1e-6);
    let normal = vec![f32::from_bits(1 << 22); 1 << 20];
    near(
        clip(
            &mut Vectors::new(std::slice::from_ref(&normal), &device()),
            1.0,
        )
        .0,
        norm(&[normal]),
        1e-6,
    );
}

#[test]
fn a_factor_that_has_left_the_range() {
    let mut vectors = Vectors::new(&[vec![3e25, 4e25, 0.0]], &device());
    clip(&mut vectors, 1e-20);
    let found = vectors.values();
    near(f64::from(found[0][0]), 0.6e-20, 1e-6);
    near(f64::from(found[0][1]), 0.8e-20, 1e-6);
    assert_eq!(found[0][2], 0.0);
}

#[test]
fn what_is_not_finite_is_left_and_shows_in_the_norm() {
    let bits =
        |all: &[Vec<f32>]| -> Vec<u32> { all.iter().flatten().map(|x| x.to_bits()).collect() };
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut all = vec![wave(20_000, 1e3), vec![1e30, 1e-30]];
        all[0][17_000] = bad;
        let mut vectors = Vectors::new(&all, &device());
        let (before, factor) = clip(&mut vectors, 1.0);
        assert_eq!(factor, 1.0);
        assert!(if bad.is_nan() {
            before.is_nan()
        } else {
            before == f64::INFINITY
        });
        assert_eq!(bits(&vectors.values()), bits(&all));
    }
}

#[test]
fn bounds_of_nothing_and_of_everything() {
    let mut vectors = Vectors::new(&[vec![3.0, -4.0]], &device());
    assert_eq!(clip(&mut vectors, f64::INFINITY), (5.0, 1.0));
    assert_eq!(vectors.values(), [[3.0, -4.0]]);
    assert_eq!(clip(&mut vectors, 5.0), (5.0, 1.0));
    assert_eq!(clip(&mut vectors, -0.0), (5.0, 0.0));
    assert_eq!(vectors.values(), [[0.0, 0.0]]);
    assert_eq!(clip(&mut vectors, 0.0), (0.0, 1.0));
}

#[test]
fn a_clone_keeps_what_it_had_and_any_layout_is_read() {
    let device = device();
    let all = wave(300 * 70, 1.0);
    let matrix = || tensor(&all, DType::F32, &device).reshape([300, 70]);
    let by = 1.0 / norm(std::slice::from_ref(&all));
    for grad in [
        matrix(),
        matrix().transpose(),
        matrix().slice([10..200, 7..33]),
    ] {
        let before = values(grad.clone());
        let kept = grad.clone();
        let model = Mixed {
            vectors: vec![],
            matrices: vec![Param::from_tensor(grad.zeros_like())],
        };
        let id = model.matrices[0].id;
        let mut grads = GradientsParams::new();
        grads.register(id, grad);
        let max = norm(std::slice::from_ref(&before)) * by;
        global_norm(&mut grads, &model, max).unwrap().unwrap();
        assert_eq!(values(kept), before);
        let found = values(grads.get::<2>(id).unwrap());
        for (found, x) in found.into_iter().zip(before) {
            assert!((f64::from(found) - f64::from(x) * by).abs() <= 1e-6);
        }
    }
}

#[test]
fn a_parameter_in_two_places_counts_once() {
    let mut vectors = Vectors::new(&[vec![3.0, 4.0]], &device());
    let again = vectors.model.vectors[0].clone();
    vectors.model.vectors.push(again);
    assert_eq!(clip(&mut vectors, 1.0).0, 5.0);
    near(f64::from(vectors.values()[0][0]), 0.6, 1e-6);
}

#[test]
fn half_precision_if_the_device_has_it() {
    for dtype in [DType::F16, DType::BF16] {
        if !device().supports_dtype(dtype) {
            println!("not there: {dtype:?}");
            continue;
        }
        let vectors = [[300.0, 400.0], [0.0, 1200.0]];
        let mut vectors = Vectors::of(vectors.map(|x| tensor(&x, dtype, &device())));
        let (before, factor) = clip(&mut vectors, 13.0);
        assert_eq!((before, factor), (1300.0, f64::from(0.01_f32)));
        assert_eq!(vectors.grad(0).dtype(), dtype);
        assert_eq!(vectors.values(), [[3.0, 4.0], [0.0, 12.0]]);
    }
}

#[test]
fn refused_and_left_to_burns_operations() {
    let mut vectors = Vectors::new(&[vec![3.0, 4.0]], &device());
    for max in [-1.0, f64::NAN] {
        assert!(matches!(
            global_norm(&mut vectors.grads, &vectors.model, max),
            Err(Error::Setting { .. })
        ));
    }
    let other = Vectors::new(&[vec![0.0]], &device());
    assert!(matches!(
        global_norm(&mut vectors.grads, &other.model, 1.0),
        Err(Error::Unmatched { found: 1 })
    ));
    assert_eq!(vectors.values(), [[3.0, 4.0]]);

    let mut none = Vectors::new(&[vec![]], &device());
    assert!(
        global_norm(&mut none.grads, &none.model, 1.0)
            .unwrap()
            .is_none()
    );
    assert_eq!(none.grads.len(), 1);

    let mut host = Vectors::new(&[vec![3.0, 4.0]], &Device::flex());
    assert_eq!(clip(&mut host, 5.0), (5.0, 1.0));
    let both = [
        tensor(&[3.0], DType::F32, &device()),
        tensor(&[4.0], DType::F32, &Device::flex()),
    ];
    let mut both = Vectors::of(both);
    assert!(matches!(
        global_norm(&mut both.grads, &both.model, 1.0),
        Err(Error::Storage(_))
    ));
    assert_eq!(both.values(), [[3.0], [4.0]]);
}

#[test]
fn as_by_burns_own_operations() {
    let all = [wave(100_000, 0.1), wave(3, 10.0)];
    let (mut by_kernels, mut by_burn) =
        (Vectors::new(&all, &device()), Vectors::new(&all, &device()));
    let (before, factor) = clip(&mut by_kernels, 1.0);
    let deferred = BurnGrads::new(&mut by_burn.grads, &by_burn.model)
        .global_norm_deferred(1.0)
        .unwrap()
        .unwrap();
    near(before, f64::from(deferred.norm.into_scalar::<f32>()), ROOM);
    near(
        factor,
        f64::from(deferred.factor.into_scalar::<f32>()),
        ROOM,
    );
}
