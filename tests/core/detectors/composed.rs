//! Detectors in detectors.

use steadygrad::detect::{
    Alarm, Detector, NonFinite, NormThreshold, PersistentNorm, Plateau, Spike, UpdateRatio, all,
    any,
};
use steadygrad::{Error, State, Verdict};

use super::*;

fn above(max: f64) -> NormThreshold {
    NormThreshold::new(max).unwrap()
}

#[test]
fn for_steps() {
    let three = ritual(&|| Box::new(above(1.0).for_steps(3).unwrap()));
    three.fires("never three", &norms(&[2.0, 2.0, 1.0, 2.0, 2.0]), &[]);
    let stays = norms(&[2.0, 2.0, 2.0, 9.0, 1.0, 2.0, 2.0, 2.0]);
    three.fires("stays", &stays, &[3, 4, 8]);
    assert_eq!(
        three.says(&stays[..4]),
        [
            "step 4: the norm of the gradients is 9.000, above 1.000 for 4 steps in a row (norm threshold)"
        ]
    );
    // A row is of one tensor.
    let two = ritual(&|| Box::new(above(1.0).per_tensor().for_steps(2).unwrap()));
    let turns = each(&[[2.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]);
    two.fires("in turns", &turns, &[4, 5]);
    // What is said of the same beside it, and what has a row of its own, is left as it is.
    let spike = ritual(&|| Box::new(Spike::of_loss().for_steps(2).unwrap()));
    let shift = losses(&[of(1.0, 12), of(9.0, 5)].concat());
    spike.fires("a shift", &shift, &[14, 15, 16, 17]);
    assert_eq!(spike.says(&shift).len(), 2);
    assert!(spike.says(&shift)[1].contains("5 of the last 8 steps (loss shift)"));
    assert!(matches!(
        above(1.0).for_steps(0),
        Err(Error::Setting { .. })
    ));
}

#[test]
fn after() {
    let late = ritual(&|| {
        let spike = Spike::of_loss().window(5).unwrap();
        Box::new(spike.after(8))
    });
    let early = Ritual {
        // It goes by the number of the step.
        counts_only_judged_steps: false,
        ..late
    };
    // The early ones are learnt: the bound is there as soon as it may speak.
    let series = losses(&[of(1.0, 6), of(9.0, 1), of(1.0, 1), of(9.0, 1), of(1.0, 2)].concat());
    early.fires("not heard before", &series, &[9]);
}

#[test]
fn every() {
    let second = ritual(&|| Box::new(PersistentNorm::new(1.0, 2).unwrap().every(2).unwrap()));
    let second = Ritual {
        counts_only_judged_steps: false,
        ..second
    };
    // Of those that it sees, the second to fourth are above.
    let series = norms(&[9.0, 0.0, 0.0, 2.0, 0.0, 3.0, 0.0, 4.0, 9.0, 0.5]);
    second.fires("every other step", &series, &[6, 8]);
    // In between the event neither ends nor decides.
    let every = PersistentNorm::new(1.0, 2).unwrap().every(2).unwrap();
    let mut guard = Guard::new().detect_with(Verdict::Skip, every);
    let mut told = vec![];
    for &moment in &series {
        let alarms = go(&mut guard, moment).len();
        let report = guard.report();
        let since = report.alarms().first().map(Alarm::since);
        told.push((alarms, since, report.ended().len(), report.verdict()));
    }
    let quiet = (0, None, 0, Verdict::Apply);
    let speaks = (1, Some(6), 0, Verdict::Skip);
    assert_eq!(
        told[4..],
        [
            quiet,
            speaks,
            quiet,
            speaks,
            quiet,
            (0, None, 1, Verdict::Apply)
        ]
    );
    assert!(matches!(above(1.0).every(0), Err(Error::Setting { .. })));
}

#[test]
fn any_of_two() {
    let either = ritual(&|| Box::new(any(above(5.0), Plateau::new(0.0, 2).unwrap())));
    let moment = |norm: f64, loss: f64| Moment {
        norms: [norm, 0.0],
        loss: Some(loss),
        ..CALM
    };
    let series = [(1.0, 3.0), (6.0, 2.0), (1.0, 2.0), (7.0, 2.0), (1.0, 1.0)];
    let series = series.map(|(norm, loss)| moment(norm, loss));
    either.fires("either", &series, &[2, 4]);
    assert_eq!(
        either.says(&series[..4]),
        [
            "step 4: the norm of the gradients is 7.000, above 5.000 (norm threshold)",
            "step 4: the value of the loss is 2.000, not below 2.000 for 2 steps in a row (plateau)",
        ]
    );
}

#[test]
fn all_of_two() {
    let both = ritual(&|| Box::new(all(Spike::of_loss(), above(5.0))));
    let moment = |norm: f64, loss: f64| Moment {
        norms: [norm, 0.0],
        loss: Some(loss),
        ..CALM
    };
    let mut series = vec![moment(1.0, 1.0); 12];
    series.extend([moment(1.0, 9.0), moment(9.0, 1.0), moment(9.0, 9.0)]);
    both.fires("both", &series, &[15]);
    let said = both.says(&series);
    assert_eq!(said.len(), 2);
    assert!(said[0].ends_with("(loss spike)") && said[1].ends_with("(norm threshold)"));

    // While one of them does not judge and the other does not deny, the event stands.
    let mut guard = Guard::new()
        .detect(all(Spike::of_loss(), above(5.0)))
        .on_non_finite(OnNonFinite::Propagate);
    run(&mut guard, &series);
    let mut ended = |norm: f64, loss: f64| {
        go(&mut guard, moment(norm, loss));
        guard.report().ended().len()
    };
    assert_eq!(
        (ended(9.0, NAN), ended(NAN, NAN), ended(1.0, NAN)),
        (0, 0, 2)
    );
}

#[test]
fn they_nest_and_are_fed_together() {
    let nested = ritual(&|| {
        let loud = any(above(5.0), all(Spike::of_norm(), NonFinite));
        Box::new(any(loud, UpdateRatio::default()).for_steps(2).unwrap())
    });
    nested.fires("rows", &norms(&[6.0, 1.0, 6.0, 7.0, 1.0]), &[4]);
    // What one needs both wait for; a verdict that was asked for is refused.
    let make = || any(above(5.0), Spike::of_loss());
    let mut guard = Guard::new().detect(make());
    let report = guard.step(&mut [9.0]).unwrap();
    assert_eq!(report.abstained(), [("any", "no loss was given")]);
    let mut guard = Guard::new().detect_with(Verdict::Skip, make());
    assert!(matches!(
        guard.step(&mut [9.0]),
        Err(Error::Unfed { rule: "any", .. })
    ));
    // Or has one of them abstain, it says so.
    let mut guard = Guard::new().detect(any(UpdateRatio::default(), above(5.0)));
    let moment = Moment {
        updates: None,
        ..norms(&[9.0])[0]
    };
    assert_eq!(go(&mut guard, moment).len(), 1);
    assert_eq!(
        guard.report().abstained(),
        [("any", "no updates were given")]
    );
}

#[test]
fn a_rollback_ends_every_row() {
    let make = || any(above(1.0), PersistentNorm::new(1.0, 9).unwrap());
    let rows = make().for_steps(3).unwrap();
    let mut guard = Guard::new()
        .detect(rows)
        .detect_with(Verdict::Rollback, above(100.0));
    let mut fired = |norm: f64| {
        let alarms = go(&mut guard, norms(&[norm])[0]);
        alarms
            .iter()
            .any(|(sentence, ..)| sentence.contains("above 1.000"))
    };
    let heard = [2.0, 2.0, 101.0, 2.0, 2.0, 2.0].map(&mut fired);
    assert_eq!(heard, [false, false, true, false, false, true]);
}

#[test]
fn a_state_that_one_of_them_refuses_changes_neither() {
    let make = |steps: usize| {
        let persistent = PersistentNorm::new(1.0, 3).unwrap();
        any(persistent, Spike::of_norm().shift(1, steps).unwrap())
    };
    let state_of = |steps: usize, norm: f64| {
        let mut guard = Guard::new().detect(make(steps));
        run(&mut guard, &norms(&of(norm, 9)));
        guard.state().rules.remove(0).1
    };
    let (long, short) = (state_of(9, 2.0), state_of(2, 0.5));
    let mut detector = make(2);
    detector.load(&short).unwrap();
    assert!(matches!(detector.load(&long), Err(Error::State { .. })));
    let mut after = State::default();
    detector.save(&mut after);
    assert_eq!(after, short);
}
