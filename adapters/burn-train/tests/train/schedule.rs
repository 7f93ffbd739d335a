//! A scheduler that waits for the guard.

use burn::lr_scheduler::linear::LinearLrSchedulerConfig;
use burn::lr_scheduler::module_lr_scheduler::{ModuleLrScheduler, ModuleLrSchedulerConfig};
use burn::lr_scheduler::{LrScheduler, LrSchedulerRecord};
use burn::module::ParamGroup;
use steadygrad::{Guard, clip, detect};
use steadygrad_burn_train::{GuardedLr, SharedGuard};

use crate::{Model, momentum, shared};

fn falling() -> LinearLrSchedulerConfig {
    LinearLrSchedulerConfig::new(1.0, 0.5, 4)
}

/// Steps with these gradients, and the rates they had.
fn rates(guard: &SharedGuard, scheduler: &mut impl LrScheduler, steps: &[f32]) -> Vec<f64> {
    let (mut model, mut optim) = (Model::new(), momentum());
    let step = |of_w: &f32| {
        let rate = scheduler.step();
        let grads = model.grads([*of_w, 1.0]);
        model = guard.optimize(model.clone(), &mut optim, rate, grads);
        rate
    };
    steps.iter().map(step).collect()
}

const NAN: f32 = f32::NAN;

#[test]
fn it_stands_still_on_skips_and_moves_on_behind_them() {
    let (guard, _) = shared(Guard::new());
    let mut scheduler = GuardedLr::new(falling(), &guard).unwrap();
    let found = rates(&guard, &mut scheduler, &[1.0, NAN, NAN, 1.0, 1.0, NAN, 1.0]);
    assert_eq!(found, [1.0, 0.875, 0.875, 0.875, 0.75, 0.625, 0.625]);
}

#[test]
fn without_a_skip_it_is_the_scheduler_alone() {
    let (guard, _) = shared(Guard::new());
    let mut scheduler = GuardedLr::new(falling(), &guard).unwrap();
    let mut alone = falling().init().unwrap();
    let expected: Vec<f64> = (0..6).map(|_| alone.step().base()).collect();
    assert_eq!(rates(&guard, &mut scheduler, &[1.0; 6]), expected);

    let mut own = GuardedLr::of(0.25, &guard);
    assert_eq!(rates(&guard, &mut own, &[1.0; 2]), [0.25; 2]);
    let error = GuardedLr::new(LinearLrSchedulerConfig::new(1.0, 0.5, 0), &guard).unwrap_err();
    assert!(error.contains("at least 1"), "{error}");
}

#[test]
fn groups_wait_too() {
    let (guard, _) = shared(Guard::new());
    let model = Model::new();
    let group = ParamGroup::from_ids(vec![model.idle.id]);
    let guarded = |config: LinearLrSchedulerConfig| GuardedLr::new(config, &guard).unwrap();
    let slow = LinearLrSchedulerConfig::new(0.1, 0.2, 1);
    let mut scheduler = ModuleLrScheduler::new(guarded(falling())).with_group(group, guarded(slow));
    let mut found = vec![];
    let mut optim = momentum();
    for of_w in [1.0, NAN, 1.0] {
        let rate = scheduler.step();
        found.push([rate.base(), rate.lr_from_param(model.idle.id, None)]);
        let _same = guard.optimize(model.clone(), &mut optim, rate, model.grads([of_w, 0.0]));
    }
    assert_eq!(found, [[1.0, 0.1], [0.875, 0.2], [0.875, 0.2]]);
}

fn of_rules() -> Guard {
    Guard::new()
        .clip(clip::GlobalNorm::new(1.0).unwrap())
        .detect(detect::PersistentNorm::new(1.5, 3).unwrap())
}

/// By way of what is written to disk.
fn written(scheduler: &impl LrScheduler) -> LrSchedulerRecord {
    LrSchedulerRecord::from_bytes(scheduler.to_record().into_bytes().unwrap()).unwrap()
}

#[test]
fn its_record_brings_rate_and_guard_back() {
    let steps = [2.0, 2.0, NAN, 1.0, 2.0, 2.0];
    let alarms = |guard: &SharedGuard| guard.with(|guard| guard.report().alarms().len());
    for cut in 1..steps.len() {
        let (guard, _) = shared(of_rules());
        let mut scheduler = GuardedLr::new(falling(), &guard).unwrap();
        rates(&guard, &mut scheduler, &steps[..cut]);
        let record = written(&scheduler);

        let (again, said) = shared(of_rules());
        let mut resumed = GuardedLr::new(falling(), &again).unwrap();
        resumed.load_record(record);
        assert_eq!(again.state(), guard.state());
        for step in &steps[cut..] {
            let expected = rates(&guard, &mut scheduler, &[*step]);
            assert_eq!(rates(&again, &mut resumed, &[*step]), expected, "{cut}");
            assert_eq!(alarms(&again), alarms(&guard), "{cut}");
            assert_eq!(again.state(), guard.state(), "{cut}");
        }
        assert!(said.lock().unwrap().is_empty());
    }
}

#[test]
fn checkpoints_without_a_guard_go_on_with_one_and_the_other_way_round() {
    let (guard, _) = shared(of_rules());
    let mut alone = falling().init().unwrap();
    alone.step();
    let mut guarded = ModuleLrScheduler::new(GuardedLr::new(falling(), &guard).unwrap());
    guarded = guarded.load_record(alone.to_record());
    assert_eq!(guarded.step().base(), 0.875);
    assert_eq!(guard.state().step, 0);

    let mut alone = ModuleLrSchedulerConfig::new(falling().into())
        .init()
        .unwrap();
    alone = alone.load_record(guarded.to_record());
    assert_eq!(alone.step().base(), 0.75);
}

#[test]
fn a_state_of_other_rules_lets_no_step_be_taken() {
    let (guard, _) = shared(of_rules());
    let mut scheduler = GuardedLr::new(falling(), &guard).unwrap();
    rates(&guard, &mut scheduler, &[2.0]);

    let (other, said) = shared(Guard::new());
    let mut resumed = GuardedLr::new(falling(), &other).unwrap();
    resumed.load_record(written(&scheduler));
    let sentence = "state: expected 0 rules, found 2";
    assert_eq!(*said.lock().unwrap(), [sentence]);
    let model = Model::new();
    let before = model.weights();
    let model = other.optimize(model.clone(), &mut momentum(), 0.1, model.grads([1.0, 1.0]));
    assert_eq!(model.weights(), before);
    assert_eq!(other.stopped().as_deref(), Some(sentence));

    // A record cut short is none.
    let mut record = LrSchedulerRecord::new();
    for key in ["bytes", "0"] {
        let own: u64 = written(&scheduler)
            .record("steadygrad")
            .scalar(key)
            .unwrap();
        record = record.with_scalar(&format!("steadygrad.{key}"), own);
    }
    let (other, said) = shared(of_rules());
    GuardedLr::new(falling(), &other)
        .unwrap()
        .load_record(record);
    let said = said.lock().unwrap();
    assert!(
        said[0].starts_with("record: expected the state of a guard, found"),
        "{said:?}"
    );
}
