//! The device contract, over devices of plain vectors: one that reckons in `f64`, and one that has only `f32`.

mod vectors;

use steadygrad::device::{Kind, Place, Places, Remote, conformance, global_norm};
use steadygrad::{Error, Measurement, Tensor};
use vectors::{Numbers, Vectors, Wrong};

fn make(values: &[f64], dims: &[usize], kind: Kind) -> Numbers {
    Numbers {
        values: values.to_vec(),
        dims: dims.to_vec(),
        kind,
    }
}

fn conforms(engine: &Vectors, kinds: &[Kind]) -> Result<(), String> {
    conformance(engine, kinds, |values, dims, kind| {
        Ok(make(values, dims, kind))
    })
}

#[test]
fn vectors_conform() {
    let (all, narrow) = (
        [Kind::F32, Kind::F64, Kind::F16, Kind::Bf16],
        [Kind::F32, Kind::F16, Kind::Bf16],
    );
    assert_eq!(conforms(&Vectors(Kind::F64, None), &all), Ok(()));
    assert_eq!(conforms(&Vectors(Kind::F32, None), &narrow), Ok(()));
}

#[test]
fn a_device_with_a_fault_does_not() {
    use Wrong::{Below, Clamp, Finite, Front, Max, Min, Nan, Part, Power, Put, Sum, Zero, Zip};
    for wrong in [
        Sum, Max, Min, Front, Part, Zip, Put, Nan, Below, Clamp, Power, Zero, Finite,
    ] {
        let said = conforms(&Vectors(Kind::F64, Some(wrong)), &[Kind::F32]);
        assert!(said.is_err(), "{wrong:?}");
    }
}

type Set = Places<Vec<f32>, Vectors>;

fn set(tensors: &[&[f64]], kind: Kind, arithmetic: Kind) -> Set {
    let mut set = Set::default();
    for values in tensors {
        let array = make(values, &[values.len()], kind);
        set.push(
            "w",
            Place::Remote(Remote::new(Vectors(arithmetic, None), array)),
        );
    }
    set
}

fn values(set: &Set) -> Vec<f64> {
    let mut all = vec![];
    for (_, place) in set.iter() {
        let mut values = vec![0.0; place.len()];
        place.read(0, &mut values).unwrap();
        all.extend(values);
    }
    all
}

#[test]
fn a_clip_that_waits_for_nothing() {
    let (f32s, f64s) = (Kind::F32, Kind::F64);
    for (tensors, kind, arithmetic, norm) in [
        ([&[3.0, 4.0][..], &[12.0]], f32s, f64s, 13.0),
        ([&[3e25, 4e25], &[12e25]], f32s, f32s, 13e25),
        ([&[3e-30, 4e-30], &[12e-30]], f32s, f32s, 13e-30),
        ([&[3e200, 4e200], &[12e200]], f64s, f64s, 13e200),
        ([&[3e-200, 4e-200], &[12e-200]], f64s, f64s, 13e-200),
    ] {
        let mut grads = set(&tensors, kind, arithmetic);
        let before = values(&grads);
        let transfers = grads.transfers();
        let clipped = global_norm(&mut grads, norm / 2.0).unwrap().unwrap();
        assert_eq!(grads.transfers(), transfers);
        let (found, factor) = clipped.wait().unwrap();
        assert!(
            (found / norm - 1.0).abs() < 1e-6 && (factor - 0.5).abs() < 1e-6,
            "{found} {factor}"
        );
        for (before, after) in before.iter().zip(values(&grads)) {
            assert!((after / before - 0.5).abs() < 1e-6, "{before} {after}");
        }
        // Under the bound not a bit changes.
        let mut grads = set(&tensors, kind, arithmetic);
        let clipped = global_norm(&mut grads, norm * 1.001).unwrap().unwrap();
        assert_eq!((clipped.wait().unwrap().1, values(&grads)), (1.0, before));
    }
}

#[test]
fn what_is_not_finite_stays_and_is_in_the_norm() {
    for arithmetic in [Kind::F32, Kind::F64] {
        for bad in [f64::NAN, f64::INFINITY] {
            let mut grads = set(&[&[3.0, bad], &[1.0]], Kind::F32, arithmetic);
            let (norm, factor) = global_norm(&mut grads, 1.0)
                .unwrap()
                .unwrap()
                .wait()
                .unwrap();
            assert!(!norm.is_finite() && factor == 1.0, "{norm} {factor}");
            let left = values(&grads);
            assert_eq!((left[0], left[2]), (3.0, 1.0));
        }
        let mut zeros = set(&[&[0.0, 0.0]], Kind::F32, arithmetic);
        let (norm, factor) = global_norm(&mut zeros, 0.0)
            .unwrap()
            .unwrap()
            .wait()
            .unwrap();
        assert_eq!((norm, factor, values(&zeros)), (0.0, 1.0, vec![0.0, 0.0]));
    }
    assert!(global_norm(&mut Set::default(), 1.0).unwrap().is_none());
    assert!(matches!(
        global_norm(&mut Set::default(), f64::NAN),
        Err(Error::Setting { .. })
    ));
    let mut host = Set::default();
    host.push("w", Place::Host(vec![1.0]));
    assert!(matches!(
        global_norm(&mut host, 1.0),
        Err(Error::Storage(_))
    ));
}

#[test]
fn nothing_is_measured_that_nobody_asked_for() {
    let grads = set(&[&[3.0, -4.0]], Kind::F32, Kind::F64);
    let least = Measurement::with_needs(&grads, &steadygrad::Needs::norms()).unwrap();
    assert_eq!(least.total().l2(), 5.0);
    assert!(least.total().max_abs().is_nan() && least.total().l1().is_nan());
    let asked = Measurement::of(&grads).unwrap();
    assert_eq!((asked.total().max_abs(), asked.total().l1()), (4.0, 7.0));
    assert_eq!(grads.transfers(), 2);
}
