//! A guard behind a handle: its verdicts carried out on model and optimizer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::module::{Module, Param};
use burn::optim::{GradientsParams, MultiGradientsParams};
use burn::tensor::{Device, Tensor};
use steadygrad::{Guard, OnNonFinite, Step, Verdict, clip, detect};
use steadygrad_burn::{BurnGrads, BurnParams};
use steadygrad_burn_train::{GuardedLr, SharedGuard};

use crate::{Model, momentum, shared};

fn clipping() -> Guard {
    Guard::new().clip(clip::GlobalNorm::new(1.0).unwrap())
}

#[test]
fn a_step_is_that_of_guard_and_optimizer_bit_for_bit() {
    let (guard, said) = shared(clipping());
    let (mut model, mut optim) = (Model::new(), momentum());
    let (mut other, mut others) = (Model::new(), momentum());
    let mut alone = clipping();
    for of_w in [[3.0, 4.0], [0.3, 0.1], [7.0, -1e30]] {
        model = guard.optimize(model.clone(), &mut optim, 0.1, model.grads(of_w));

        let mut grads = other.grads(of_w);
        let mut set = BurnGrads::new(&mut grads, &other);
        let report = alone.step(Step::new(&mut set).params(&BurnParams::new(&other)));
        let report = report.unwrap().clone();
        drop(set);
        other = others.step(0.1, other, grads);

        assert_eq!(model.weights(), other.weights());
        let last = guard.last().unwrap();
        assert_eq!((last.step, last.before), (report.step(), report.before()));
        assert_eq!((last.after, last.factor), (report.after(), report.factor()));
        assert_eq!(last.clipped, report.is_clipped());
        assert_eq!(guard.with(|guard| guard.report().clone()), report);
    }
    assert!(said.lock().unwrap().is_empty());
}

#[test]
fn neither_weights_nor_momentum_move_in_a_step_that_is_skipped() {
    let run = |steps: &[[f32; 2]]| {
        let (guard, _) = shared(clipping());
        let (mut model, mut optim) = (Model::new(), momentum());
        for &of_w in steps {
            model = guard.optimize(model.clone(), &mut optim, 0.1, model.grads(of_w));
        }
        model.weights()
    };
    let without = run(&[[3.0, 4.0], [0.5, 0.5]]);
    let with = run(&[
        [3.0, 4.0],
        [f32::NAN, 1.0],
        [f32::INFINITY, 1.0],
        [0.5, 0.5],
    ]);
    assert_eq!(with, without);
}

#[test]
fn losses_since_the_last_step_count_as_their_mean() {
    let (guard, _) = shared(clipping());
    let (model, mut optim) = (Model::new(), momentum());
    guard.note_loss(1.0_f32);
    guard.note_loss(4.0_f64);
    let model = guard.optimize(model.clone(), &mut optim, 0.1, model.grads([1.0, 0.0]));
    assert_eq!(guard.last().unwrap().loss, Some(2.5));
    let model = guard.optimize(model.clone(), &mut optim, 0.1, model.grads([1.0, 0.0]));
    assert_eq!(guard.last().unwrap().loss, None);
    guard.note_loss(f32::NAN);
    guard.note_loss(1.0_f32);
    let before = model.weights();
    let model = guard.optimize(model.clone(), &mut optim, 0.1, model.grads([1.0, 0.0]));
    assert_eq!(guard.last().unwrap().verdict, Verdict::Skip);
    assert_eq!(model.weights(), before);
}

#[test]
fn parameters_are_given() {
    let growth = detect::WeightGrowth::new(1.5).unwrap();
    let (guard, _) = shared(Guard::new().detect(growth));
    let (mut model, mut optim) = (Model::new(), momentum());
    let mut alarms = vec![];
    for _ in 0..3 {
        model = guard.optimize(model.clone(), &mut optim, 1.0, model.grads([-2.0, 0.0]));
        alarms.push(guard.with(|guard| guard.report().alarms().len()));
    }
    // √5, then √(9 + 4), which is 1.6 times that.
    assert_eq!(alarms, [0, 1, 1]);
}

#[test]
fn stop_is_told_once_for_each_time_with_a_sentence() {
    let (guard, said) = shared(clipping().max_skips(1));
    let (mut model, mut optim) = (Model::new(), momentum());
    let before = model.weights();
    for _ in 0..2 {
        model = guard.optimize(model.clone(), &mut optim, 0.1, model.grads([f32::NAN, 0.0]));
    }
    assert_eq!(guard.last().unwrap().verdict, Verdict::Stop);
    assert_eq!(model.weights(), before);
    let said = said.lock().unwrap();
    assert_eq!(said.len(), 1);
    assert!(
        said[0].contains("stop") && said[0].contains('w'),
        "{said:?}"
    );
    assert_eq!(guard.stopped().as_ref(), Some(&said[0]));
}

#[test]
fn an_error_takes_no_step_and_stops() {
    let (guard, said) = shared(clipping().on_non_finite(OnNonFinite::Error));
    let (model, mut optim) = (Model::new(), momentum());
    let before = model.weights();
    let model = guard.optimize(model.clone(), &mut optim, 0.1, model.grads([f32::NAN, 0.0]));
    let last = guard.last().unwrap();
    assert_eq!((last.step, last.verdict), (1, Verdict::Stop));
    assert!(last.before.is_nan() && !last.clipped);
    assert_eq!(model.weights(), before);
    let sentence =
        "gradient w: expected finite numbers, found 1 NaN and 0 infinite, the first at index 0";
    assert_eq!(*said.lock().unwrap(), [sentence]);
}

#[test]
fn whoever_is_told_to_stop_may_look_at_the_guard() {
    use std::sync::{Arc, OnceLock};
    let (place, seen) = (
        Arc::new(OnceLock::<SharedGuard>::new()),
        Arc::new(OnceLock::new()),
    );
    let (inside, tell) = (Arc::clone(&place), Arc::clone(&seen));
    let guard = SharedGuard::new(clipping().max_skips(0), move |_why| {
        let last = inside.get().and_then(SharedGuard::last);
        let _ = tell.set(last.map(|last| last.verdict));
    });
    assert!(place.set(guard.clone()).is_ok());
    let (model, mut optim) = (Model::new(), momentum());
    let _model = guard.optimize(model.clone(), &mut optim, 0.1, model.grads([f32::NAN, 0.0]));
    assert_eq!(seen.get(), Some(&Some(Verdict::Stop)));
}

#[test]
fn a_rollback_is_told_and_ends_in_a_stop_if_nobody_goes_back() {
    let guard = Guard::new()
        .detect_with(Verdict::Rollback, detect::NormThreshold::new(10.0).unwrap())
        .max_rollbacks(2);
    let (guard, said) = shared(guard);
    let (mut model, mut optim) = (Model::new(), momentum());
    let before = model.weights();
    let mut verdicts = vec![];
    for _ in 0..3 {
        model = guard.optimize(model.clone(), &mut optim, 0.1, model.grads([99.0, 0.0]));
        verdicts.push(guard.last().unwrap().verdict);
    }
    assert_eq!(
        verdicts,
        [Verdict::Rollback, Verdict::Rollback, Verdict::Stop]
    );
    assert_eq!(model.weights(), before);
    assert_eq!(said.lock().unwrap().len(), 1);
}

#[test]
fn a_poisoned_lock_is_taken_all_the_same() {
    let (guard, _) = shared(clipping());
    let other = guard.clone();
    let panicked = catch_unwind(AssertUnwindSafe(|| other.with(|_| panic!("on purpose"))));
    assert!(panicked.is_err());
    let (model, mut optim) = (Model::new(), momentum());
    let model = guard.optimize(model.clone(), &mut optim, 0.1, model.grads([3.0, 4.0]));
    assert_eq!(guard.last().unwrap().before, 5.0);
    assert_eq!(
        format!("{guard:?}"),
        "SharedGuard(step 1: norm 5 -> 1; apply)"
    );
    drop(model);
}

#[derive(Module, Debug)]
struct Holder {
    model: Model,
    #[module(skip)]
    guard: SharedGuard,
    #[module(skip)]
    none: Option<SharedGuard>,
}

#[test]
fn a_module_holds_it_and_stays_short() {
    fn is<T: Send + Sync + Clone + 'static>(_: &T) {}
    let (guard, _) = shared(clipping());
    is(&guard);
    is(&GuardedLr::new(0.1, &guard).unwrap());
    let model = Holder {
        model: Model::new(),
        guard: guard.clone(),
        none: None,
    };
    assert_eq!(format!("{guard:?}"), "SharedGuard(no step yet)");
    let grads = model.model.grads([3.0, 4.0]);
    let forked = model.clone().fork(&Device::flex().autodiff());
    let model = model
        .guard
        .clone()
        .optimize(model, &mut momentum(), 0.1, grads);
    // Of one guard: what the model did, a copy on another device knows.
    assert_eq!(forked.guard.last().unwrap().before, 5.0);
    assert_eq!(guard.with(|_| format!("{guard:?}")), "SharedGuard(in use)");
    let told = format!("{model}");
    assert!(told.contains("SharedGuard(step 1"), "{told}");
    assert_eq!(model.valid().guard.last(), guard.last());
}

/// Several matrices, of which each device has its part.
#[derive(Module, Debug)]
struct Several {
    tensors: Vec<Param<Tensor<2>>>,
    vector: Param<Tensor<1>>,
    tied: Param<Tensor<1>>,
}

#[test]
fn gradients_of_several_devices_are_judged_as_their_sum() {
    let device = Device::flex().autodiff();
    let param = |x: f32| Param::from_tensor(Tensor::<2>::from_floats([[x, 1.0]], &device));
    let vector = Param::from_tensor(Tensor::<1>::from_floats([1.0], &device));
    let mut model = Several {
        tensors: (0..9).map(|i| param(i as f32)).collect(),
        tied: vector.clone(),
        vector,
    };
    let ids = model.clone();
    let part = |scale: f32, which: &dyn Fn(usize) -> bool| {
        let mut grads = GradientsParams::new();
        for (i, tensor) in ids.tensors.iter().enumerate().filter(|(i, _)| which(*i)) {
            let grad = Tensor::<2>::from_floats([[scale * i as f32, -scale]], &Device::flex());
            grads.register(tensor.id, grad);
        }
        let grad = Tensor::<1>::from_floats([scale], &Device::flex());
        grads.register(ids.vector.id, grad);
        grads
    };
    // The sum, in the order in which burn adds; equal parts commute.
    let whole = part(2.0, &|_| true);
    let parts = || MultiGradientsParams {
        grads: vec![
            (part(1.0, &|_| true), device.clone()),
            (part(1.0, &|_| true), device.clone()),
        ],
    };
    let (one, _) = shared(clipping());
    let (several, _) = shared(clipping());
    let expected = one.optimize(model.clone(), &mut momentum(), 0.1, whole);
    let mut optim = momentum();
    let found = several.optimize_multi(model.clone(), &mut optim, 0.1, parts());
    assert_eq!(several.last(), one.last());
    assert!(several.last().unwrap().before > 10.0 && several.last().unwrap().clipped);
    let values = |model: &Several| -> Vec<f32> {
        let tensors = model
            .tensors
            .iter()
            .flat_map(|w| w.val().into_data().iter::<f32>().collect::<Vec<_>>());
        tensors
            .chain(
                model
                    .vector
                    .val()
                    .into_data()
                    .iter::<f32>()
                    .collect::<Vec<_>>(),
            )
            .collect()
    };
    assert_eq!(values(&found), values(&expected));
    assert_ne!(values(&found), values(&model));

    // What only one of them has is not lost, and NaN of one of them is seen.
    let uneven = MultiGradientsParams {
        grads: vec![
            (part(1.0, &|i| i < 4), device.clone()),
            (part(f32::NAN, &|i| i >= 4), device.clone()),
        ],
    };
    let before = values(&found);
    model = several.optimize_multi(found, &mut optim, 0.1, uneven);
    assert_eq!(several.last().unwrap().verdict, Verdict::Skip);
    assert_eq!(values(&model), before);
    let halves = MultiGradientsParams {
        grads: vec![
            (part(1.0, &|i| i < 4), device.clone()),
            (part(1.0, &|i| i >= 4), device.clone()),
        ],
    };
    model = several.optimize_multi(model, &mut optim, 0.1, halves);
    let all: f64 = (0..9).map(|i| f64::from(i * i + 1)).sum::<f64>() + 4.0;
    assert_eq!(several.last().unwrap().before, all.sqrt());
    drop(model);
}
