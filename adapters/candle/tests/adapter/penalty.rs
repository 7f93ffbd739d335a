//! Penalties for candle's autograd against the core's.

use candle_core::{DType, Device, Tensor, Var};
use steadygrad::penalty::{ElasticNet, Penalty};
use steadygrad_candle::{CandleParams, elastic_net, elastic_net_where, l1, l2};

use crate::random::{DTYPES, Random};

fn var(len: usize, dtype: DType, random: &mut Random) -> Var {
    let values = Tensor::from_vec(random.values::<f64>(len, 1), (1, len), &Device::Cpu).unwrap();
    Var::from_tensor(&values.to_dtype(dtype).unwrap()).unwrap()
}

fn scalar(x: &Tensor) -> f64 {
    x.to_dtype(DType::F64).unwrap().to_scalar::<f64>().unwrap()
}

/// As good at 20 million elements as at ten; candle's own `f32` sum is off by 3.4e-5 there.
#[test]
fn the_value_is_the_cores_at_any_size() {
    for len in [1, 10, 8191, 1_000_000, 20_000_000] {
        for dtype in DTYPES {
            if len > 1_000_000 && dtype != DType::F32 {
                continue;
            }
            let vars = [("w", var(len, dtype, &mut Random(len as u64)))];
            let expected = ElasticNet::new(0.3, 0.7)
                .unwrap()
                .value(&CandleParams::new(&vars))
                .unwrap();
            let found = scalar(&elastic_net(&vars, 0.3, 0.7).unwrap());
            let bound = if dtype == DType::F64 { 1e-14 } else { 1e-7 };
            assert!(
                (found / expected - 1.0).abs() < bound,
                "{len} {dtype:?}: {found} for {expected}"
            );
        }
    }
}

#[test]
fn the_gradient_is_the_derivative() {
    for dtype in DTYPES {
        let w = Var::from_tensor(
            &Tensor::new(&[[1.5f32, -0.5, 0.0], [-0.0, 3.0, -8.0]], &Device::Cpu)
                .unwrap()
                .to_dtype(dtype)
                .unwrap(),
        )
        .unwrap();
        let vars = [("w", w.clone())];
        let loss = (elastic_net(&vars, 0.5, 0.25).unwrap() * 2.0).unwrap();
        let grads = loss.backward().unwrap();
        let grad = grads.get(&w).unwrap();
        assert_eq!((grad.dtype(), grad.dims()), (dtype, &[2, 3][..]));
        let values: Vec<f64> = grad
            .flatten_all()
            .unwrap()
            .to_dtype(DType::F64)
            .unwrap()
            .to_vec1()
            .unwrap();
        assert_eq!(values, [1.75, -1.25, 0.0, 0.0, 2.5, -5.0]);
    }
}

#[test]
fn biases_and_second_names_are_left_out() {
    let random = &mut Random(3);
    let w = var(9, DType::F32, random);
    let bias = Var::new(&[1f64, -2.0], &Device::Cpu).unwrap();
    let alone = scalar(&l2(&[("w", w.clone())], 0.1).unwrap());
    let all = [
        ("a.w", w.clone()),
        ("a.offset", bias.clone()),
        ("tied.w", w.clone()),
    ];
    assert_eq!(scalar(&l2(&all, 0.1).unwrap()), alone);
    assert!(scalar(&elastic_net_where(&all, 0.0, 0.1, |_| true).unwrap()) > alone);
    assert_eq!(
        elastic_net_where(&all, 0.0, 0.1, |_| true).unwrap().dtype(),
        DType::F64
    );
    assert_eq!(scalar(&l1(&[("w", bias)], 0.1).unwrap()), 0.0);
}

#[test]
fn what_is_not_finite_shows() {
    let w = Var::new(&[[1f32, f32::NAN]], &Device::Cpu).unwrap();
    assert!(scalar(&l2(std::slice::from_ref(&w), 0.1).unwrap()).is_nan());
    assert!(scalar(&l1(&[w], 0.1).unwrap()).is_nan());
    let w = Var::new(&[[1f32, f32::NEG_INFINITY]], &Device::Cpu).unwrap();
    assert_eq!(scalar(&elastic_net(&[w], 0.0, 0.1).unwrap()), f64::INFINITY);
}

#[test]
fn a_strength_must_be_a_number() {
    let w = Var::new(&[1f32], &Device::Cpu).unwrap();
    for lambda in [-1.0, f64::NAN, f64::INFINITY] {
        let error = l2(std::slice::from_ref(&w), lambda)
            .unwrap_err()
            .to_string();
        assert!(error.contains("expected a finite number ≥ 0"), "{error}");
    }
}

#[test]
fn an_integer_is_no_weight() {
    let counter = Var::ones((1, 2), DType::I64, &Device::Cpu).unwrap();
    let w = Var::new(&[[3f32]], &Device::Cpu).unwrap();
    let vars = [("steps", counter), ("w", w)];
    assert_eq!(scalar(&l1(&vars, 1.0).unwrap()), 3.0);
    assert_eq!(
        scalar(&elastic_net_where(&vars, 1.0, 0.0, |_| true).unwrap()),
        3.0
    );
}
