//! Penalties against the core's.

use burn::module::Param;
use burn::tensor::{Device, Distribution, Tensor, f16};
use steadygrad::Error;
use steadygrad::penalty::{ElasticNet, L1, L2, Penalty};
use steadygrad_burn::{BurnParams, elastic_net, elastic_net_where, l1, l2};

use crate::{Mixed, tensor};

fn model(sizes: &[usize]) -> Mixed {
    let device = Device::flex().autodiff();
    device.seed(3);
    let mut model = Mixed::empty();
    for &size in sizes {
        let w = Tensor::random([1, size], Distribution::Normal(0.0, 0.02), &device);
        model.matrices.push(Param::from_tensor(w));
    }
    model
}

fn off(found: &Tensor<1>, expected: f64) -> f64 {
    (f64::from(found.clone().into_scalar::<f32>()) / expected - 1.0).abs()
}

#[test]
fn near_the_core_for_every_size() {
    let cases = [
        (vec![1], 1e-6),
        (vec![127, 128, 129], 1e-6),
        (vec![128 * 128 + 1, 5], 1e-6),
        (vec![1_000_000], 1e-6),
        (vec![4_000_000], 1e-5),
    ];
    for (sizes, bound) in cases {
        let model = model(&sizes);
        let params = BurnParams::new(&model);
        let net = ElasticNet::new(0.1, 0.3).unwrap().value(&params).unwrap();
        assert!(
            off(
                &l1(&model, 0.5).unwrap(),
                L1::new(0.5).unwrap().value(&params).unwrap()
            ) < bound
        );
        assert!(
            off(
                &l2(&model, 0.5).unwrap(),
                L2::new(0.5).unwrap().value(&params).unwrap()
            ) < bound
        );
        assert!(off(&elastic_net(&model, 0.1, 0.3).unwrap(), net) < bound);
    }
}

#[test]
fn the_gradient_is_the_cores() {
    let model = model(&[1000]);
    let penalty = elastic_net(&model, 0.1, 0.3).unwrap();
    let found = model.matrices[0].val().grad(&penalty.backward()).unwrap();
    let mut expected = [("matrices.0", vec![0.0_f32; 1000])];
    let params = BurnParams::new(&model);
    ElasticNet::new(0.1, 0.3)
        .unwrap()
        .apply(&params, &mut expected)
        .unwrap();
    for (x, y) in found.into_data().iter::<f32>().zip(&expected[0].1) {
        assert!((x - y).abs() <= 2.0 * f32::EPSILON * y.abs());
    }
}

#[test]
fn names_types_and_bad_strengths() {
    let device = Device::flex().autodiff();
    let mut model = Mixed::empty();
    let halves = tensor::<2, f16>(&[f16::from_f32(200.0), f16::from_f32(300.0)], [2, 1]);
    model
        .matrices
        .push(Param::from_tensor(halves.autodiff().require_grad()));
    // The sum of squares of halves leaves their range, and is right.
    assert_eq!(l2(&model, 2.0).unwrap().into_scalar::<f32>(), 130_000.0);
    let doubles = tensor::<2, f64>(&[1.0, -2.0], [1, 2])
        .autodiff()
        .require_grad();
    model.matrices.push(Param::from_tensor(doubles));
    let both = l1(&model, 1.0).unwrap();
    assert_eq!(both.into_scalar::<f64>(), 503.0);
    let one = elastic_net_where(&model, 1.0, 0.0, |name| name == "matrices.1").unwrap();
    assert_eq!(one.into_scalar::<f64>(), 3.0);

    // A vector is a bias, whatever its name.
    let bias = Tensor::<1>::ones([3], &device);
    model.vectors.push(Param::from_tensor(bias));
    assert_eq!(l1(&model, 1.0).unwrap().into_scalar::<f64>(), 503.0);

    // What requires no gradient does not count; nothing at all gives 0.
    model
        .cubes
        .push(Param::from_tensor(Tensor::ones([1, 1, 1], &device)).set_require_grad(false));
    assert_eq!(l1(&model, 1.0).unwrap().into_scalar::<f64>(), 503.0);
    assert_eq!(l1(&Mixed::empty(), 1.0).unwrap().into_scalar::<f32>(), 0.0);
    for lambda in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(l2(&model, lambda), Err(Error::Setting { .. })));
    }
}
