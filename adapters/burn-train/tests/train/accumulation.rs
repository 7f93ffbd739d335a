//! Gradients of several micro-batches: burn sums them, and a bound is for their mean.

use burn::optim::{GradientsAccumulator, GradientsParams};
use steadygrad::{Guard, Measurement, Step, clip};
use steadygrad_burn::BurnGrads;
use steadygrad_burn_train::SharedGuard;

use crate::{Model, momentum, shared};

const PARTS: [[f32; 2]; 4] = [[3.0, 1.0], [1.0, 5.0], [-2.0, 7.0], [6.0, -1.0]];
/// Of the mean `[2, 3]`.
const NORM: f64 = 3.605_551_275_463_989;

fn sum(model: &Model, guard: Option<&SharedGuard>) -> GradientsParams {
    let mut sum = GradientsAccumulator::new();
    for part in PARTS {
        if let Some(guard) = guard {
            guard.note_loss(0.5);
        }
        sum.accumulate(model, model.grads(part));
    }
    sum.grads()
}

fn guard() -> Guard {
    Guard::new().clip(clip::GlobalNorm::new(0.5).unwrap())
}

fn values(grads: &GradientsParams, model: &Model) -> Vec<f32> {
    let grad = grads.get::<2>(model.w.id).unwrap();
    grad.into_data().iter::<f32>().collect()
}

fn set<'g>(grads: &'g mut GradientsParams, model: &Model, on_device: bool) -> BurnGrads<'g> {
    let set = BurnGrads::new(grads, model);
    if on_device { set.on_device() } else { set }
}

#[test]
fn a_sum_is_judged_as_a_mean_if_the_step_says_of_how_many() {
    let model = Model::new();
    for on_device in [false, true] {
        let mut grads = sum(&model, None);
        assert_eq!(
            Measurement::of(&set(&mut grads, &model, on_device))
                .unwrap()
                .total()
                .l2(),
            4.0 * NORM
        );

        let mut whole = model.grads([2.0, 3.0]);
        let expected = guard()
            .step(&mut set(&mut whole, &model, on_device))
            .unwrap()
            .clone();
        let mut guard = guard();
        let mut summed = set(&mut grads, &model, on_device);
        let found = guard.step(Step::new(&mut summed).scaled_by(4.0)).unwrap();
        assert_eq!((found.before(), found.after()), (NORM, expected.after()));
        assert_eq!(found.factor(), expected.factor());
        drop(summed);
        assert_eq!(values(&grads, &model), values(&whole, &model));
    }
}

#[test]
fn set_arithmetic_makes_a_mean_for_the_functions_without_a_guard() {
    let model = Model::new();
    for on_device in [false, true] {
        let mut grads = sum(&model, None);
        steadygrad::set::scale(&mut set(&mut grads, &model, on_device), 0.25).unwrap();
        assert_eq!(values(&grads, &model), [2.0, 3.0]);
        let mut mean = set(&mut grads, &model, on_device);
        assert_eq!(clip::global_norm(&mut mean, 0.5).unwrap().before(), NORM);
    }
}

#[test]
fn a_shared_guard_averages_over_as_many_as_there_were_losses() {
    let (averaging, _) = shared(guard());
    let averaging = averaging.averaging();
    let (large, _) = shared(guard());
    let model = Model::new();
    let expected = large.optimize(model.clone(), &mut momentum(), 0.1, model.grads([2.0, 3.0]));
    let mut optim = momentum();
    let found = averaging.optimize(
        model.clone(),
        &mut optim,
        0.1,
        sum(&model, Some(&averaging)),
    );
    assert_eq!(found.weights(), expected.weights());
    let last = averaging.last().unwrap();
    assert_eq!((last.before, last.loss), (NORM, Some(0.5)));
    assert_eq!(last.after, large.last().unwrap().after);

    // The last window of an epoch is shorter.
    averaging.note_loss(0.5);
    let model = averaging.optimize(found.clone(), &mut optim, 0.1, found.grads([0.3, 0.4]));
    let last = averaging.last().unwrap();
    assert!((last.before - 0.5).abs() < 1e-7);

    // And with no loss nobody knows what it is the sum of.
    let before = model.weights();
    let model = averaging.optimize(model.clone(), &mut optim, 0.1, model.grads([0.3, 0.4]));
    assert_eq!(model.weights(), before);
    let sentence = "mean of gradients: expected a loss noted for each, found none";
    assert_eq!(averaging.stopped().as_deref(), Some(sentence));

    // Without it the bound is for the sum.
    let (summing, _) = shared(guard());
    let model = Model::new();
    let _model = summing.optimize(
        model.clone(),
        &mut momentum(),
        0.1,
        sum(&model, Some(&summing)),
    );
    assert_eq!(summing.last().unwrap().before, 4.0 * NORM);
}
