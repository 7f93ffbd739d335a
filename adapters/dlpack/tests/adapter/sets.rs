//! Sets of such tensors under a guard.

use half::f16;
use steadygrad::{Error, Guard, OnNonFinite, Step, TensorSet, Verdict, clip, detect};
use steadygrad_dlpack::{DlpackGrads, DlpackParams, DlpackTensor};

use crate::held::Held;

#[test]
fn what_is_not_finite_is_named_and_left_as_it_is() {
    let w = Held::strided(vec![1.0_f32, 9.0, 1.0, 9.0, 1.0, 9.0], 0, &[3], &[2]);
    let b = Held::rows(
        [1.0, f32::NAN, f32::NEG_INFINITY]
            .map(f16::from_f32)
            .to_vec(),
        &[3],
    );
    let before = (w.bits(), b.bits());
    let step = |guard: &mut Guard| {
        let tensors = [("layer.w", w.lent()), ("layer.b", b.lent())];
        // SAFETY: nobody else touches what is held while the set lives.
        let mut grads = unsafe { DlpackGrads::new(tensors) }?;
        guard.step(&mut grads).map(|report| report.verdict())
    };
    let guard = || Guard::new().clip(clip::GlobalNorm::new(0.5).unwrap());
    let mut skipping = guard().max_skips(1);
    assert_eq!(step(&mut skipping), Ok(Verdict::Skip));
    assert_eq!(step(&mut skipping), Ok(Verdict::Stop));
    assert_eq!(
        skipping.report().non_finite().unwrap().tensor(),
        Some("layer.b")
    );
    let error = step(&mut guard().on_non_finite(OnNonFinite::Error)).unwrap_err();
    let what = "gradient layer.b".into();
    assert_eq!(
        error,
        Error::NonFinite {
            what,
            nan: 1,
            inf: 1,
            index: 1
        }
    );
    assert_eq!((w.bits(), b.bits()), before);
    assert_eq!(
        step(&mut guard().on_non_finite(OnNonFinite::ZeroTensor)),
        Ok(Verdict::Apply)
    );
    assert_eq!(b.values, [f16::ZERO; 3]);
    assert_eq!([1, 3, 5].map(|i| w.values[i]), [9.0; 3]);
}

#[test]
fn the_whole_range_is_exact() {
    let w = Held::strided(vec![1e25_f32, 7.0, 1e25, 7.0, 1.0], 0, &[3], &[2]);
    // SAFETY: nobody else touches what is held while the set lives.
    let mut grads = unsafe { DlpackGrads::new([("w", w.lent())]) }.unwrap();
    clip::global_norm(&mut grads, 1.0).unwrap();
    drop(grads);
    assert_eq!(
        w.values,
        [0.707_106_77, 7.0, 0.707_106_77, 7.0, 7.071_068e-26]
    );
}

#[test]
fn parameters_are_paired_with_gradients_by_name() {
    let (w, b) = (
        Held::rows(vec![1.0_f32; 4], &[2, 2]),
        Held::rows(vec![0.5_f64; 2], &[2]),
    );
    let grad = Held::rows(vec![0.1_f32; 4], &[2, 2]);
    // SAFETY: nobody else touches what is held while the sets live.
    let params = unsafe { DlpackParams::new([("w", w.lent()), ("b", b.lent())]) }.unwrap();
    let mut guard = Guard::new().detect(detect::WeightGrowth::new(10.0).unwrap());
    let missing = || None::<DlpackTensor<'_>>.into();
    let mut step = |tensors: [(&str, DlpackTensor<'_>); 2]| {
        // SAFETY: as above.
        let mut grads = unsafe { DlpackGrads::new(tensors) }?;
        guard
            .step(Step::new(&mut grads).params(&params))
            .map(|report| report.verdict())
    };
    assert_eq!(
        step([("w", grad.lent()), ("b", missing())]),
        Ok(Verdict::Apply)
    );
    let error = step([("w", grad.lent()), ("c", missing())]).unwrap_err();
    assert!(matches!(error, Error::Name { index: 1, .. }), "{error}");
}

#[test]
fn sets_travel_between_threads() {
    fn check<T: Send + Sync + std::fmt::Debug>() {}
    check::<DlpackGrads<'_>>();
    check::<DlpackParams<'_>>();
    let w = Held::rows(vec![3.0_f32, 4.0], &[2]);
    // SAFETY: nobody else touches what is held while the set lives.
    let mut grads = unsafe { DlpackGrads::new([("w", w.lent())]) }.unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| clip::global_norm(&mut grads, 1.0).unwrap());
    });
    grads
        .visit(&mut |_, tensor| {
            let mut first = [0.0];
            steadygrad::Tensor::read(&tensor, 0, &mut first)?;
            assert_eq!(first, [f64::from(0.6_f32)]);
            Ok(())
        })
        .unwrap();
    drop(grads);
    assert_eq!(w.values, [0.6, 0.8]);
}
