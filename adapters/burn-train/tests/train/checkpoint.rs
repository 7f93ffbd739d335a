//! The guard's memory beside burn's records, in a loop of one's own.

use std::fs;

use burn::module::Module;
use steadygrad::{Guard, GuardState, Verdict, clip, detect};
use steadygrad_burn_train::SharedGuard;

use crate::{Model, folder, momentum, shared};

fn rules() -> Guard {
    Guard::new()
        .detect_with(Verdict::Skip, detect::WeightGrowth::new(2.0).unwrap())
        .clip(clip::GlobalNorm::new(1.0).unwrap())
        .detect(detect::PersistentNorm::new(0.9, 4).unwrap())
}

/// What became of the next steps of a run whose weights grow by 0.5 in each, with every number.
fn go_on(
    guard: &SharedGuard,
    model: &mut Model,
    optim: &mut burn::optim::ModuleOptimizer,
    steps: usize,
) -> Vec<String> {
    (0..steps)
        .map(|_| {
            let grads = model.grads([-4.0, 0.0]);
            *model = guard.optimize(model.clone(), optim, 0.5, grads);
            // Not the report's line, which tells of an event only when it begins: a run that goes on begins it anew.
            let report = guard.with(|guard| {
                let report = guard.report();
                let alarms: Vec<String> = report.alarms().iter().map(ToString::to_string).collect();
                let (before, after) = (report.before(), report.after());
                format!("{} {before} {after} {alarms:?}", report.verdict())
            });
            format!("{report} {:?} {:?}", guard.last(), model.weights())
        })
        .collect()
}

#[test]
fn a_run_resumed_from_disk_makes_the_same_decisions() {
    let dir = folder("own-loop");
    let whole = {
        let (guard, _) = shared(rules());
        go_on(&guard, &mut Model::new(), &mut momentum(), 8)
    };
    // The first norm is √5, so the bound is 2·√5 whenever it is asked.
    let skips = whole.iter().position(|told| told.contains("skip"));
    assert!(skips.is_some_and(|at| at > 2 && at < 7), "{whole:#?}");

    for cut in 1..8 {
        let mut found = {
            let (guard, _) = shared(rules());
            let (mut model, mut optim) = (Model::new(), momentum());
            let told = go_on(&guard, &mut model, &mut optim, cut);
            model.into_record().save(dir.join("model.bpk")).unwrap();
            optim.save(dir.join("optim.bpk")).unwrap();
            let text = serde_json::to_string(&guard.state()).unwrap();
            fs::write(dir.join("guard.json"), text).unwrap();
            told
        };
        let (guard, _) = shared(rules());
        let record = burn::store::ModuleRecord::load(dir.join("model.bpk")).unwrap();
        let mut model = Model::new().load_record(record);
        let mut optim = momentum().load(dir.join("optim.bpk")).unwrap();
        let text = fs::read_to_string(dir.join("guard.json")).unwrap();
        let state: GuardState = serde_json::from_str(&text).unwrap();
        guard.restore(&state).unwrap();
        found.extend(go_on(&guard, &mut model, &mut optim, 8 - cut));
        assert_eq!(found.len(), whole.len());
        for (found, expected) in found.iter().zip(&whole) {
            assert_eq!(found, expected, "cut behind {cut}");
        }
    }
}

#[test]
fn without_its_memory_growth_would_be_judged_from_the_restart() {
    let (guard, _) = shared(rules());
    let (mut model, mut optim) = (Model::new(), momentum());
    go_on(&guard, &mut model, &mut optim, 4);
    let (forgetful, _) = shared(rules());
    let (_, mut others) = (0, momentum());
    let mut other = model.clone();
    let with = go_on(&guard, &mut model, &mut optim, 4);
    let without = go_on(&forgetful, &mut other, &mut others, 4);
    let skips = |told: &[String]| told.iter().filter(|told| told.contains("skip")).count();
    assert!(skips(&with) > skips(&without), "{with:#?} {without:#?}");
}
