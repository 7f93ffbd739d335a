//! Runs that are being lost are saved, and nothing loops for ever.

use proptest::prelude::*;
use steadygrad::detect::NormThreshold;
use steadygrad::keep::{Clones, Keep};
use steadygrad::{Action, Guard, Recovery, State, Step, Verdict};

use Action::{Apply, RolledBack, Skip, Stop};

use crate::keep::told;

fn keep(k: u64) -> Keep {
    Keep::after(k).unwrap()
}

/// One step on which the guard says what it is told to, with parameters that say which step they are of.
fn say(guard: &mut Guard, recovery: &mut Recovery, w: &mut [f64; 1], what: u8) -> Action {
    let mut grads = [0.5];
    let step = guard
        .step(Step::new(&mut grads).signal("say", what.into()))
        .unwrap();
    recovery.act(step, w).unwrap()
}

fn all(guard: &mut Guard, recovery: &mut Recovery, said: &[u8]) -> Vec<Action> {
    let mut w = [1.0];
    said.iter()
        .map(|&what| say(guard, recovery, &mut w, what))
        .collect()
}

#[test]
fn verdicts_are_carried_out_and_escalate() {
    let mut recovery = Recovery::new(keep(20)).max_skips(2);
    let actions = all(&mut told(), &mut recovery, &[0, 1, 1, 1, 1, 0, 2, 0, 3]);
    assert_eq!(
        actions,
        [
            Apply, Skip, Skip, RolledBack, Skip, Apply, RolledBack, Apply, Stop
        ]
    );
    assert_eq!(
        (recovery.rollbacks(), recovery.skips(), recovery.rate()),
        (2, 4, 0.1 * 0.1)
    );
    // Every other step is skipped, never two in a row.
    let said: Vec<u8> = (0..14).map(|i| i % 2).collect();
    let mut recovery = Recovery::new(keep(20)).skips_within(3, 100);
    let actions = all(&mut told(), &mut recovery, &said);
    let rolled: Vec<usize> = (0..14).filter(|&i| actions[i] == RolledBack).collect();
    assert_eq!(rolled, [7]);
    let mut recovery = Recovery::new(keep(20)).skips_within(3, 6);
    assert!(!all(&mut told(), &mut recovery, &said).contains(&RolledBack));
}

#[test]
fn the_rate_is_cut_and_let_up_and_a_rate_that_fails_again_is_tried_more_rarely() {
    let (mut guard, mut w) = (told(), [1.0]);
    let mut recovery = Recovery::new(keep(2)).cut(0.25, 3).unwrap();
    let mut until_full = |recovery: &mut Recovery| {
        let mut good = 0;
        let (mut rates, mut last) = (vec![], recovery.rate());
        while recovery.rate() < 1.0 {
            assert_eq!(say(&mut guard, recovery, &mut w, 0), Apply);
            good += 1;
            if recovery.rate() != last {
                last = recovery.rate();
                rates.push(last);
            }
        }
        let lost = say(&mut guard, recovery, &mut w, 2);
        (good, rates, lost)
    };
    assert_eq!(until_full(&mut recovery), (0, vec![], RolledBack));
    assert_eq!(until_full(&mut recovery), (3, vec![1.0], RolledBack));
    assert_eq!(until_full(&mut recovery), (6, vec![1.0], RolledBack));
    assert_eq!(until_full(&mut recovery), (12, vec![1.0], RolledBack));
    // Two cuts are taken back one after the other; an alarm that is grave is no good step, an ordinary one is.
    let (mut guard, mut w) = (told(), [1.0]);
    let mut recovery = Recovery::new(keep(2)).cut(0.5, 2).unwrap();
    let mut rates = vec![];
    for what in [2, 2, 0, 4, 4, 5, 0, 0, 0, 0, 0, 0] {
        let _ = say(&mut guard, &mut recovery, &mut w, what);
        rates.push(recovery.rate());
    }
    assert_eq!(
        rates,
        [
            0.5, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.5, 0.5, 0.5, 0.5, 1.0
        ]
    );
    // At the full rate for as long as was waited for: the next cut is waited for as the first.
    for _ in 0..4 {
        let _ = say(&mut guard, &mut recovery, &mut w, 0);
    }
    let mut rates = vec![];
    for what in [2, 0, 0, 0, 0] {
        let _ = say(&mut guard, &mut recovery, &mut w, what);
        rates.push(recovery.rate());
    }
    assert_eq!(rates, [0.5, 0.5, 0.5, 0.5, 1.0]);
    // And never above one, whatever the rounding.
    let mut recovery = Recovery::new(keep(2)).cut(0.3, 1).unwrap();
    let actions = all(&mut told(), &mut recovery, &[2, 0, 2, 0, 0, 0, 0]);
    assert_eq!((actions.len(), recovery.rate()), (7, 1.0));
}

#[test]
fn a_stop_leaves_the_last_good_parameters() {
    for said in [&[0, 0, 0, 0, 3][..], &[0, 0, 0, 0, 1, 1], &[0, 0, 0, 0, 2]] {
        let mut recovery = Recovery::new(keep(2)).rollbacks_within(0, 9).max_skips(1);
        let (mut guard, mut w, mut last) = (told(), [0.0], Apply);
        for (i, &what) in said.iter().enumerate() {
            w[0] = i as f64 + 1.0;
            last = say(&mut guard, &mut recovery, &mut w, what);
        }
        assert_eq!((last, w), (Stop, [2.0]), "{said:?}");
        assert_eq!(guard.state().step, 1);
    }
}

#[test]
fn one_line_tells_what_was_done() {
    let (mut guard, mut w) = (told(), [1.0]);
    let mut recovery = Recovery::new(keep(2))
        .cut(0.5, 3)
        .unwrap()
        .max_skips(1)
        .rollbacks_within(2, 50);
    assert_eq!(recovery.to_string(), "no step yet");
    let mut line = |what| {
        let _ = say(&mut guard, &mut recovery, &mut w, what);
        recovery.to_string()
    };
    assert_eq!(line(0), "step 1: applied");
    line(0);
    line(0);
    assert_eq!(line(1), "step 4: skipped; the guard says skip");
    assert_eq!(
        line(1),
        "step 5: rolled back to step 2, rate cut to 0.5000; more than 1 steps in a row were skipped"
    );
    assert_eq!(line(0), "step 2: applied, rate 0.5000");
    line(0);
    assert_eq!(line(0), "step 4: applied, rate let up to 1.000");
    assert_eq!(
        line(2),
        "step 5: rolled back to step 3, rate cut to 0.5000; the guard says roll back"
    );
    assert_eq!(
        line(2),
        "step 3: stopped, with the parameters of step 3, rate 0.5000; \
         2 rollbacks brought the run less than 50 steps further"
    );
    let mut rash = Recovery::new(keep(2)).cut(1e-3, 9).unwrap();
    assert_eq!(all(&mut told(), &mut rash, &[2, 2]), [RolledBack, Stop]);
    assert!(
        rash.to_string()
            .ends_with("; the rate would fall below 1.000e-4"),
        "{rash}"
    );
}

/// Goes on until `goal` steps were applied, or the recovery stops it. Whoever says what each step comes to sees how far
/// the run is.
fn calls_until(goal: u64, mut adversary: impl FnMut(u64, u64) -> u8, k: u64) -> u64 {
    let mut guard = told();
    let mut recovery = Recovery::new(keep(k))
        .rollbacks_within(3, 30)
        .skips_within(5, 20);
    let (mut w, mut calls, mut furthest) = ([1.0], 0, 0);
    loop {
        calls += 1;
        let action = say(
            &mut guard,
            &mut recovery,
            &mut w,
            adversary(calls, furthest),
        );
        let step = guard.report().step();
        match action {
            Apply if step >= goal => return calls,
            Apply => furthest = furthest.max(step),
            Skip | RolledBack => (),
            Stop => return calls,
        }
        assert!(calls < 20_000, "it goes on for ever");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_loops_for_ever(
        said in prop::collection::vec(prop_oneof![6 => Just(0_u8), 2 => Just(1), 2 => Just(2), 1 => Just(4)], 1..60),
        k in 1..25_u64,
    ) {
        let calls = calls_until(300, |call, _| said[call as usize % said.len()], k);
        // Three rollbacks for each thirty steps, each of at most 2k steps and what was skipped on the way.
        prop_assert!(calls <= 4 * (300 / 30 + 1) * (30 + 2 * 25) * 3, "{calls}");
    }
}

#[test]
fn nor_does_anything_that_sees_how_far_the_run_is() {
    for k in [1, 5, 20] {
        // One step further each time, then back.
        calls_until(300, |_, furthest| if furthest % 2 == 1 { 2 } else { 0 }, k);
        for every in 1..60 {
            let mut last = 0;
            let ahead = |_, furthest: u64| {
                if furthest >= last + every {
                    last = furthest;
                    return 2;
                }
                0
            };
            calls_until(300, ahead, k);
            calls_until(
                300,
                |call, _| if call % (every + 1) == 0 { 2 } else { 0 },
                k,
            );
            calls_until(300, |call, _| u8::from(call % (every + 1) != 0), k);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn saved_at_any_step_it_goes_on_as_it_would_have(
        said in prop::collection::vec(0..6_u8, 2..80),
        at in 0..80_usize,
    ) {
        let make = || Recovery::new(keep(3)).cut(0.5, 4).unwrap().skips_within(6, 30).rollbacks_within(4, 20);
        let (mut guard, mut recovery, mut w) = (told(), make(), [1.0]);
        let at = at % said.len();
        for &what in &said[..at] {
            let _ = say(&mut guard, &mut recovery, &mut w, what);
        }
        // What is kept is the user's to save; here both begin with what there is.
        let (saved, rules) = (recovery.state(), guard.state());
        recovery.start(&mut guard, &w).unwrap();
        let (mut guard_2, mut again, mut w_2) = (told(), make(), w);
        again.restore(&saved).unwrap();
        guard_2.restore(&rules).unwrap();
        again.start(&mut guard_2, &w_2).unwrap();
        prop_assert_eq!(again.state(), saved);
        for &what in &said[at..] {
            let now = say(&mut guard, &mut recovery, &mut w, what);
            prop_assert_eq!(say(&mut guard_2, &mut again, &mut w_2, what), now);
            prop_assert_eq!(again.to_string(), recovery.to_string());
            prop_assert_eq!(again.rate().to_bits(), recovery.rate().to_bits());
        }
        prop_assert_eq!(again.state(), recovery.state());
    }
}

#[test]
fn what_is_no_state_of_it_is_refused() {
    let mut recovery = Recovery::new(keep(2));
    let before = recovery.clone();
    assert!(recovery.restore(&State::default()).is_err());
    let mut state = State::default();
    state.put("rate", 0.5);
    state.put("counts", &[1_u64, 2][..]);
    assert!(recovery.restore(&state).is_err());
    let mut state = State::default();
    state.put("rate", f64::NAN);
    state.put("counts", &[0_u64; 7][..]);
    let error = recovery.restore(&state).unwrap_err();
    assert_eq!(
        error.to_string(),
        "state: expected a rate above 0 and at most 1, found NaN"
    );
    assert_eq!(recovery, before);
}

/// Minimises a narrow valley by momentum, at a rate that is right at first and far too high from step 60 on.
#[test]
fn a_loop_driven_into_divergence_goes_back_to_the_bit_and_ends_below_where_it_was() {
    let curvature = [1.0_f32, 9.0, 25.0];
    let mut guard = Guard::new().detect_with(Verdict::Rollback, NormThreshold::new(500.0).unwrap());
    let mut recovery = Recovery::new(keep(10)).cut(0.25, 50).unwrap();
    let (mut w, mut v, mut t) = (vec![3.0_f32, -2.0, 1.0], vec![0.0_f32; 3], 0.0_f64);
    let mut seen = std::collections::HashMap::new();
    let (mut rolled_back, mut before_the_onset, mut last) = (0, f32::INFINITY, f32::INFINITY);
    let mut largest = 0.0_f32;
    for call in 0..400 {
        let rate = if call < 60 { 0.02 } else { 0.16 };
        let loss: f32 = w.iter().zip(curvature).map(|(w, c)| c * w * w / 2.0).sum();
        let mut grads: Vec<f32> = w.iter().zip(curvature).map(|(w, c)| c * w).collect();
        largest = largest.max(loss);
        if call == 60 {
            before_the_onset = loss;
        }
        let step = guard
            .step(Step::new(&mut grads).params(&w).loss(loss))
            .unwrap();
        let bits = |w: &[f32], v: &[f32], t: f64| {
            let all = w.iter().chain(v).map(|x| x.to_bits());
            (all.collect::<Vec<_>>(), t.to_bits())
        };
        let number = step.step();
        if !step.verdict().is_apply() {
            assert!(step.alarms().len() == 1);
        }
        let now = bits(&w, &v, t);
        let mut set: [(&str, &mut dyn steadygrad::TensorSetMut); 3] =
            [("w", &mut w), ("v", &mut v), ("t", &mut t)];
        match recovery.act(step, &mut set).unwrap() {
            Apply => {
                seen.insert(number, now);
                let rate = rate * recovery.rate() as f32;
                for ((w, v), g) in w.iter_mut().zip(&mut v).zip(&grads) {
                    *v = 0.9 * *v + g;
                    *w -= rate * *v;
                }
                t += 1.0;
                last = loss;
            }
            RolledBack => {
                rolled_back += 1;
                // Weights, momentum and counter are those with which that step was taken, to the bit.
                assert_eq!(bits(&w, &v, t), seen[&recovery.keep().step().unwrap()]);
            }
            Skip | Stop => panic!("{recovery}"),
        }
    }
    assert!(
        rolled_back >= 1 && largest > 1e3 * before_the_onset,
        "{rolled_back}, {largest}"
    );
    assert!(last < before_the_onset, "{last} against {before_the_onset}");
}

#[test]
fn values_that_can_be_cloned_come_back_too() {
    #[derive(Clone, Debug, PartialEq)]
    struct Run {
        model: Vec<f32>,
        optimiser: String,
    }
    let mut recovery: Recovery<Clones<Run>> = Recovery::new(Keep::clones_after(1).unwrap());
    let mut run = Run {
        model: vec![1.0],
        optimiser: "two moments".into(),
    };
    let (mut guard, before) = (told(), run.clone());
    let mut act = |run: &mut Run, what: f64| {
        let mut grads = [0.5];
        let step = guard.step(Step::new(&mut grads).signal("say", what));
        recovery.act(step.unwrap(), run).unwrap()
    };
    assert_eq!(act(&mut run, 0.0), Apply);
    run = Run {
        model: vec![f32::NAN],
        optimiser: String::new(),
    };
    assert_eq!(act(&mut run, 2.0), RolledBack);
    assert_eq!(run, before);
}

#[cfg(feature = "serde")]
#[test]
fn its_state_goes_through_text() {
    let mut recovery = Recovery::new(keep(2));
    all(&mut told(), &mut recovery, &[0, 0, 1, 2, 0]);
    let text = serde_json::to_string(&recovery.state()).unwrap();
    let mut again = Recovery::new(keep(2));
    again
        .restore(&serde_json::from_str(&text).unwrap())
        .unwrap();
    assert_eq!(again.state(), recovery.state());
}
