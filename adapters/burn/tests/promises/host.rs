//! One tensor of the flex back end.

use burn::tensor::{Tensor, bf16, f16};
use half::f16 as half_f16;
use steadygrad::{
    Clamped, Error, Guard, Measurement, OnNonFinite, Tensor as _, TensorSet, Verdict, clip,
};
use steadygrad_burn::BurnGrads;

use crate::One;

fn clipped<E: burn::tensor::Element>(values: &[E], max: f64) -> Vec<E> {
    let mut one = One::new(values);
    clip::global_norm(&mut BurnGrads::new(&mut one.grads, &one.model), max).unwrap();
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
    let both = clipped(&[f16::from_f32(600.0), f16::from_f32(800.0)], 1.0);
    assert_eq!(both, [f16::from_f32(0.6), f16::from_f32(0.8)]);
    assert_eq!(clipped(&[bf16::from_f32(3e38)], 2.0), [bf16::from_f32(2.0)]);
    assert_eq!(
        clipped(&[f32::from_bits(3), f32::from_bits(4)], 1.0)[0].to_bits(),
        3
    );
}

#[test]
fn halves_are_the_same_type_everywhere() {
    let x: half_f16 = f16::ONE;
    assert_eq!(x, half_f16::ONE);
}

#[test]
fn a_no_op_writes_nothing() {
    let mut one = One::new(&[3.0_f32, 4.0, -0.0]);
    let before = one.grad();
    let mut set = BurnGrads::new(&mut one.grads, &one.model);
    assert!(!clip::global_norm(&mut set, 5.0).unwrap().is_clipped());
    let clipped = clip::value(&mut set, 4.0).unwrap();
    assert_eq!(clipped, Clamped::of(3, 0, 0, 0));
    drop(set);
    assert_eq!(
        one.values::<f32>().map_bits(),
        [3.0_f32, 4.0, -0.0].map(f32::to_bits)
    );
    // A write would have parted it from the clone.
    assert_eq!(address(&one.grad()), address(&before));
}

trait MapBits {
    fn map_bits(&self) -> Vec<u32>;
}

impl MapBits for Vec<f32> {
    fn map_bits(&self) -> Vec<u32> {
        self.iter().map(|x| x.to_bits()).collect()
    }
}

fn address(tensor: &Tensor<1>) -> *const u8 {
    let primitive = tensor.clone().try_into_primitive::<burn::backend::Flex>();
    primitive.unwrap().bytes().as_ptr()
}

#[test]
fn edits_are_in_place_and_never_show_in_a_clone() {
    let mut one = One::new(&[3.0_f32, 4.0]);
    let before = address(&one.grad());
    clip::global_norm(&mut BurnGrads::new(&mut one.grads, &one.model), 1.0).unwrap();
    assert_eq!(address(&one.grad()), before);

    let mut one = One::new(&[3.0_f32, 4.0]);
    let clone = one.grad();
    clip::global_norm(&mut BurnGrads::new(&mut one.grads, &one.model), 1.0).unwrap();
    assert_eq!(one.values::<f32>(), [0.6, 0.8]);
    let second = one.grad();
    clip::value(&mut BurnGrads::new(&mut one.grads, &one.model), 0.7).unwrap();
    assert_eq!(one.values::<f32>(), [0.6, 0.7]);
    for (clone, values) in [(clone, [3.0, 4.0]), (second, [0.6, 0.8])] {
        assert_eq!(clone.into_data().try_to_vec::<f32>().unwrap(), values);
    }
}

#[test]
fn what_is_not_finite_is_named_and_untouched() {
    let values = [1.0_f32, 2.0, f32::INFINITY, f32::NAN];
    for on_device in [false, true] {
        let mut one = One::new(&values);
        let mut set = BurnGrads::new(&mut one.grads, &one.model);
        if on_device {
            set = set.on_device();
        }
        let error = clip::global_norm(&mut set, 1.0).unwrap_err();
        assert_eq!(
            error,
            Error::NonFinite {
                what: "vectors.0".into(),
                nan: 1,
                inf: 1,
                index: 2
            }
        );
        let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0).unwrap());
        let report = guard.step(&mut set).unwrap();
        assert_eq!(report.verdict(), Verdict::Skip);
        assert_eq!(report.non_finite().unwrap().tensor(), Some("vectors.0"));
        drop(set);
        assert_eq!(one.values::<f32>().map_bits(), values.map(f32::to_bits));

        let mut guard = Guard::new().on_non_finite(OnNonFinite::ZeroTensor);
        let mut set = BurnGrads::new(&mut one.grads, &one.model);
        if on_device {
            set = set.on_device();
        }
        assert!(guard.step(&mut set).unwrap().verdict().is_apply());
        drop(set);
        assert_eq!(one.values::<f32>().map_bits(), [0; 4]);
    }
}

#[test]
fn value_clip_keeps_nan() {
    for on_device in [false, true] {
        let mut one = One::new(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2.0, -2.0, 0.5]);
        let mut set = BurnGrads::new(&mut one.grads, &one.model);
        if on_device {
            set = set.on_device();
        }
        clip::value(&mut set, 1.0).unwrap();
        drop(set);
        let values = one.values::<f32>();
        assert!(values[0].is_nan());
        assert_eq!(values[1..], [1.0, -1.0, 1.0, -1.0, 0.5]);
    }
}

#[test]
fn a_tensor_in_another_order_reads_in_row_major_order() {
    let mut one = One::new(&[0.0_f32]);
    let values: Vec<f32> = (0..12).map(|x| x as f32).collect();
    let matrix = crate::tensor::<2, f32>(&values, [3, 4]);
    let mut model = crate::Mixed::empty();
    model
        .matrices
        .push(burn::module::Param::from_tensor(matrix.clone().transpose()));
    one.grads
        .register(model.matrices[0].id, matrix.clone().transpose());
    let set = BurnGrads::new(&mut one.grads, &model);
    set.visit(&mut |_, tensor| {
        let mut out = [0.0; 5];
        tensor.read(2, &mut out)?;
        assert_eq!(out, [8.0, 1.0, 5.0, 9.0, 2.0]);
        Ok(())
    })
    .unwrap();
    let transposed: Vec<f32> = (0..4)
        .flat_map(|j| [j, j + 4, j + 8])
        .map(|x| x as f32)
        .collect();
    assert_eq!(
        Measurement::of(&set).unwrap().total(),
        Measurement::of(&transposed).unwrap().total()
    );
    drop(set);
    clip::value(&mut BurnGrads::new(&mut one.grads, &model), 5.0).unwrap();
    let now = one.grads.get::<2>(model.matrices[0].id).unwrap();
    assert_eq!(now.dims(), [4, 3]);
    assert_eq!(crate::to_f64(now)[..3], [0.0, 4.0, 5.0]);
    assert_eq!(crate::to_f64(matrix)[11], 11.0);
    // Nothing became of the gradient that the model does not have.
    assert_eq!(one.values::<f32>(), [0.0]);
}
