//! The numbers are those that the same elements give in slices and in ndarray's arrays, bit for bit.

use dlpark::DlpackElement;
use half::{bf16, f16};
use ndarray::{ArrayViewMutD, IxDyn, ShapeBuilder};
use steadygrad::{Edits, Element, Factor, Guard, Measurement, Needs, Norm, TensorSetMut, Units};
use steadygrad::{OnNonFinite, clip};
use steadygrad_dlpack::DlpackGrads;

use crate::held::{Held, Random};

/// Rules that scale, clamp and measure anew, with bounds that bite at 2^`exponent`.
fn guards(exponent: i32) -> Vec<Guard> {
    let bound = |share: f64| share * 2f64.powi(exponent);
    let value = clip::Value::new(bound(0.6)).unwrap();
    let norm = |share| clip::GlobalNorm::new(bound(share)).unwrap();
    vec![
        Guard::new().clip(norm(0.3)),
        Guard::new().clip(clip::TensorNorm::new(bound(0.2)).unwrap()),
        Guard::new()
            .clip(value)
            .clip(norm(0.7).norm(Norm::L1).unwrap()),
        Guard::new()
            .clip(norm(0.3))
            .on_non_finite(OnNonFinite::ZeroTensor),
    ]
}

/// Has two guards of the same rules step with sets that hold the same numbers, and compares all that they tell.
fn step_alike(
    (mut a, mut b): (Guard, Guard),
    ours: &mut dyn TensorSetMut,
    theirs: &mut dyn TensorSetMut,
) {
    let report = a.step(ours).unwrap();
    let expected = b.step(theirs).unwrap();
    assert_eq!(report.to_string(), expected.to_string());
    let (seen, wanted) = (report.measurement(), expected.measurement());
    assert_eq!(
        (seen.tensors(), seen.total()),
        (wanted.tensors(), wanted.total())
    );
    assert_eq!(report.after().to_bits(), expected.after().to_bits());
}

fn bits<E: Element>(values: &[E]) -> Vec<u64> {
    values.iter().map(|x| x.widen().to_bits()).collect()
}

fn contiguous_memory_is_a_slice<E: Element + DlpackElement>(exponent: i32) {
    let long = if cfg!(miri) { 300 } else { 70_000 };
    for (a, b) in guards(exponent).into_iter().zip(guards(exponent)) {
        let mut random = Random(7);
        let mut values = [6, 1, 0, 3, long].map(|count| random.values::<E>(count, exponent));
        values[3][1] = E::narrow(f64::NAN);
        let held = [
            Held::rows(values[0].clone(), &[2, 3]),
            Held::rows(values[1].clone(), &[]),
            Held::rows(values[2].clone(), &[0, 4]),
            Held::strided(values[3].clone(), 0, &[3, 1], &[1, 99]),
            Held::strided(values[4].clone(), 0, &[long as i64], &[1]),
        ];
        let names = ["w", "scalar", "empty", "bad", "long"];
        // SAFETY: nobody else touches what is held while the set lives.
        let grads = unsafe { DlpackGrads::new(names.into_iter().zip(held.iter().map(Held::lent))) };
        let mut slices: Vec<_> = names.into_iter().zip(&mut values).collect();
        step_alike((a, b), &mut grads.unwrap(), &mut slices);
        for (held, values) in held.iter().zip(&values) {
            assert_eq!(held.bits(), bits(values));
        }
    }
}

/// How a tensor lies in a buffer: where it begins, shape, strides.
const LAYOUTS: [(usize, &[i64], &[i64]); 8] = [
    (0, &[4, 3], &[1, 4]),
    (1, &[3, 2], &[5, 1]),
    (1, &[6], &[2]),
    (2, &[2, 3, 4], &[1, 10, 2]),
    (0, &[1, 2, 1, 2, 2], &[9, 4, 7, 2, 1]),
    (5, &[], &[]),
    (0, &[0, 3], &[3, 1]),
    (0, &[300], &[3]),
];

/// The same part of a buffer as an array of ndarray's.
fn array<'v, E>(
    values: &'v mut [E],
    (first, shape, strides): (usize, &[i64], &[i64]),
) -> ArrayViewMutD<'v, E> {
    let places = |xs: &[i64]| IxDyn(&xs.iter().map(|x| *x as usize).collect::<Vec<_>>());
    let shape = places(shape).strides(places(strides));
    ArrayViewMutD::from_shape(shape, &mut values[first..]).unwrap()
}

fn strided_memory_is_an_array<E: Element + DlpackElement>(exponent: i32) {
    for layout in LAYOUTS {
        for (a, b) in guards(exponent).into_iter().zip(guards(exponent)) {
            let mut values = Random(8).values::<E>(900, exponent);
            let held = Held::strided(values.clone(), layout.0, layout.1, layout.2);
            // SAFETY: nobody else touches what is held while the set lives.
            let mut grads = unsafe { DlpackGrads::new([("w", held.lent())]) }.unwrap();
            let mut arrays = [("w", array(&mut values, layout))];
            step_alike((a, b), &mut grads, &mut arrays);
            let change = |set: &mut dyn TensorSetMut| {
                set.visit_mut(&mut |_, tensor| {
                    let some = tensor.len().min(2);
                    tensor.write(tensor.len() - some, &[0.5, -0.25][..some])?;
                    tensor.add(0, &[0.125, 3.0][..some])
                })
            };
            change(&mut grads).unwrap();
            change(&mut arrays).unwrap();
            drop(grads);
            // All of the buffer: nothing that lies between the elements was touched.
            assert_eq!(held.bits(), bits(&values), "{layout:?}");
        }
    }
}

#[test]
fn f32_is_f32() {
    for exponent in [0, 83, -130] {
        contiguous_memory_is_a_slice::<f32>(exponent);
        strided_memory_is_an_array::<f32>(exponent);
    }
}

#[test]
fn f64_is_f64() {
    for exponent in [0, 900, -1040] {
        contiguous_memory_is_a_slice::<f64>(exponent);
        strided_memory_is_an_array::<f64>(exponent);
    }
}

#[test]
fn f16_is_f16() {
    for exponent in [0, 14, -16] {
        contiguous_memory_is_a_slice::<f16>(exponent);
        strided_memory_is_an_array::<f16>(exponent);
    }
}

#[test]
fn bf16_is_bf16() {
    for exponent in [0, 120, -128] {
        contiguous_memory_is_a_slice::<bf16>(exponent);
        strided_memory_is_an_array::<bf16>(exponent);
    }
}

#[test]
fn units_are_those_of_arrays() {
    for axis in 0..3 {
        let layout = LAYOUTS[3];
        let mut values = Random(9).values::<f32>(60, 2);
        let held = Held::strided(values.clone(), layout.0, layout.1, layout.2);
        // SAFETY: nobody else touches what is held while the set lives.
        let mut grads = unsafe { DlpackGrads::new([("w", held.lent())]) }.unwrap();
        let mut arrays = [("w", array(&mut values, layout))];
        let needs = Needs::norms().of_units(Units::Axis(axis));
        let seen = Measurement::with_needs(&grads, &needs).unwrap();
        let expected = Measurement::with_needs(&arrays, &needs).unwrap();
        assert_eq!(seen.units(0), expected.units(0));
        let count = layout.1[axis] as usize;
        assert_eq!(seen.units(0).len(), count);
        let factors: Vec<Factor> = (0..count)
            .map(|i| Factor::new(0.5 + i as f64).unwrap())
            .collect();
        let mut edits = Edits::for_count(1);
        edits.scale_units(0, axis, &factors);
        edits.clamp(0, -3.0, 3.0);
        edits.apply(&mut grads).unwrap();
        edits.apply(&mut arrays).unwrap();
        drop(grads);
        assert_eq!(held.bits(), bits(&values), "axis {axis}");
    }
}
