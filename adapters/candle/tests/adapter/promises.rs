//! The promises of the core's design on candle's gradients, on the host and on the device path.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use half::{bf16, f16};
use steadygrad::{Error, Guard, OnNonFinite, Verdict, clip, detect};
use steadygrad_candle::{CandleGrads, CandleParams};

use crate::ROOM;

fn one(grad: &Tensor) -> (GradStore, [(&'static str, Var); 1]) {
    let var = Var::zeros(grad.shape(), grad.dtype(), &Device::Cpu).unwrap();
    let mut store = GradStore::default();
    store.insert(&var, grad.clone());
    (store, [("w", var)])
}

/// Clips to `max` on both paths; the norm before, and the elements after.
fn clipped(grad: &Tensor, max: f64) -> Vec<(f64, Vec<f64>)> {
    let run = |on_device: bool| {
        let (mut store, vars) = one(&grad.copy().unwrap());
        let mut set = CandleGrads::new(&mut store, &vars);
        if on_device {
            set = set.on_device();
        }
        let before = clip::global_norm(&mut set, max).unwrap().before();
        let after = store.get(&vars[0].1).unwrap().to_dtype(DType::F64).unwrap();
        (before, after.to_vec1().unwrap())
    };
    vec![run(false), run(true)]
}

fn cpu<T: candle_core::WithDType>(values: &[T]) -> Tensor {
    Tensor::from_slice(values, values.len(), &Device::Cpu).unwrap()
}

#[test]
fn the_whole_range_is_exact() {
    for (before, after) in clipped(&cpu(&[1e25_f32, 1e25, 1.0]), 1.0) {
        assert!((before / (2f64.sqrt() * 1e25) - 1.0).abs() < 1e-7);
        let half = f64::from(0.5_f32.sqrt());
        assert_eq!(after, [half, half, f64::from(7.071_068e-26_f32)]);
    }
    for (before, after) in clipped(&cpu(&[f64::MAX, f64::MAX]), 1e-300) {
        assert_eq!(before, f64::INFINITY);
        for x in after {
            assert!((x / (0.5f64.sqrt() * 1e-300) - 1.0).abs() < 1e-15);
        }
    }
    for (_, after) in clipped(&cpu(&[3e-200, 4e-200]), 1e-200) {
        assert!(
            (after[0] / 0.6e-200 - 1.0).abs() < 1e-15 && (after[1] / 0.8e-200 - 1.0).abs() < 1e-15
        );
    }
    for (before, after) in clipped(&cpu(&[5e-324, 5e-324, 5e-324, 5e-324]), 5e-324) {
        assert_eq!((before, after), (1e-323, vec![0.0; 4]));
    }
    for (before, after) in clipped(&cpu(&[f16::from_f32(300.0)]), 1.0) {
        assert_eq!((before, after), (300.0, vec![1.0]));
    }
    for (before, _) in clipped(&cpu(&[f16::from_f32(600.0), f16::from_f32(800.0)]), 1.0) {
        assert_eq!(before, 1000.0);
    }
    for (before, after) in clipped(&cpu(&[bf16::from_f32(3e38), bf16::ZERO]), 1.0) {
        assert!((before / 3e38 - 1.0).abs() < 4e-3);
        assert_eq!(after, [1.0, 0.0]);
    }
}

#[test]
fn a_long_sum_does_not_stall() {
    let mut values = vec![1_f32; 1_000_001];
    values[0] = 4096.0;
    let norm = 17_777_216_f64.sqrt();
    let [(host, _), (device, _)] = &clipped(&cpu(&values), 1e9)[..] else {
        panic!("both paths")
    };
    assert_eq!(*host, norm);
    assert!((device / norm - 1.0).abs() <= ROOM / 2.0, "{device}");
}

#[test]
fn a_no_op_changes_and_writes_nothing() {
    let values = [3.0_f32, -4.0, -0.0, 1e-45];
    let (mut store, vars) = one(&cpu(&values));
    let before = store.get(&vars[0].1).unwrap().clone();
    for (max, on_device) in [
        (5.0, false),
        (f64::INFINITY, false),
        (5.0, true),
        (f64::INFINITY, true),
    ] {
        let mut set = CandleGrads::new(&mut store, &vars);
        if on_device {
            set = set.on_device();
        }
        assert!(!clip::global_norm(&mut set, max).unwrap().is_clipped());
        let after = store.get(&vars[0].1).unwrap();
        assert_eq!(after.id(), before.id());
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&after.to_vec1::<f32>().unwrap()), bits(&values));
    }
}

#[test]
fn what_is_not_finite_is_named() {
    for on_device in [false, true] {
        let w = Var::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        let b = Var::zeros(3, DType::F16, &Device::Cpu).unwrap();
        let mut store = GradStore::default();
        store.insert(&w, Tensor::ones((2, 3), DType::F32, &Device::Cpu).unwrap());
        let bad = [f16::ONE, f16::NAN, f16::NEG_INFINITY];
        store.insert(&b, cpu(&bad));
        let vars = [("layer.w", w.clone()), ("layer.bias", b.clone())];
        let step = |guard: &mut Guard, store: &mut GradStore| {
            let mut set = CandleGrads::new(store, &vars);
            if on_device {
                set = set.on_device();
            }
            guard.step(&mut set).map(|report| report.verdict())
        };
        let guard = || Guard::new().clip(clip::GlobalNorm::new(0.5).unwrap());

        let mut skipping = guard().max_skips(2);
        let verdicts: Vec<_> = (0..3)
            .map(|_| step(&mut skipping, &mut store).unwrap())
            .collect();
        assert_eq!(verdicts, [Verdict::Skip, Verdict::Skip, Verdict::Stop]);
        let fault = skipping.report().non_finite().unwrap();
        assert_eq!(fault.tensor(), Some("layer.bias"));
        assert_eq!(
            store
                .get(&w)
                .unwrap()
                .sum_all()
                .unwrap()
                .to_scalar::<f32>()
                .unwrap(),
            6.0
        );

        let error = step(&mut guard().on_non_finite(OnNonFinite::Error), &mut store).unwrap_err();
        assert_eq!(
            error,
            Error::NonFinite {
                what: "gradient layer.bias".into(),
                nan: 1,
                inf: 1,
                index: 1
            }
        );

        let mut zeroing = guard().on_non_finite(OnNonFinite::ZeroTensor);
        assert_eq!(step(&mut zeroing, &mut store).unwrap(), Verdict::Apply);
        assert_eq!(
            store.get(&b).unwrap().to_vec1::<f16>().unwrap(),
            [f16::ZERO; 3]
        );
        let norm = store.get(&w).unwrap().sqr().unwrap().sum_all().unwrap();
        assert!((norm.to_scalar::<f32>().unwrap() - 0.25).abs() < 1e-6);
    }
}

#[test]
fn parameters_are_watched() {
    let w = Var::new(&[1f32, 1.0], &Device::Cpu).unwrap();
    let vars = [("w", w.clone())];
    let params = CandleParams::new(&vars);
    // Also of a vector.
    let mut guard = Guard::new().detect(detect::WeightGrowth::new(10.0).unwrap().on(""));
    let mut store = GradStore::default();
    for (scale, alarms) in [(1.0, 0), (5.0, 0), (50.0, 1)] {
        w.set(
            &Tensor::new(&[scale, scale], &Device::Cpu)
                .unwrap()
                .to_dtype(DType::F32)
                .unwrap(),
        )
        .unwrap();
        let mut grads = CandleGrads::new(&mut store, &vars);
        let report = guard
            .step(steadygrad::Step::new(&mut grads).params(&params))
            .unwrap();
        assert_eq!(report.alarms().len(), alarms, "at {scale}");
    }
}

#[test]
fn gradients_of_other_variables_are_an_error() {
    let ours = Var::new(&[1f32, 2.0], &Device::Cpu).unwrap();
    let theirs = Var::new(&[f32::NAN, 1.0], &Device::Cpu).unwrap();
    let mut store = theirs.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    let vars = [("w", ours)];
    let error = clip::global_norm(&mut CandleGrads::new(&mut store, &vars), 1.0).unwrap_err();
    assert!(matches!(error, Error::Unmatched { .. }), "{error}");
    let error = Guard::new()
        .step(&mut CandleGrads::new(&mut store, &vars))
        .unwrap_err();
    assert!(matches!(error, Error::Unmatched { .. }), "{error}");
    let error = clip::value(&mut CandleGrads::new(&mut store, &vars), 1.0).unwrap_err();
    assert!(matches!(error, Error::Unmatched { .. }), "{error}");
    let error = CandleGrads::new(&mut store, &vars)
        .global_norm_deferred(1.0)
        .unwrap_err();
    assert!(matches!(error, Error::Unmatched { .. }), "{error}");
    // No gradient at all is nothing to be said of.
    let mut nothing = GradStore::default();
    assert!(
        Guard::new()
            .step(&mut CandleGrads::new(&mut nothing, &vars))
            .unwrap()
            .nothing_seen()
    );
}
