//! Kind 20: numbers in messages, and which tensor is meant.

use steadygrad::clip::{self, Clipped};
use steadygrad::{Error, Factor, Guard, Measurement, OnNonFinite, Step, Wide};
use steadygrad::{
    StepView,
    detect::{Alarm, Alarms, Detector, NormThreshold, Plateau, Subject, WeightGrowth},
};

/// What the guard says of losses, one after the other.
fn plateau(plateau: Plateau, losses: &[f64]) -> Vec<Vec<String>> {
    let mut guard = Guard::new().detect(plateau);
    let step = |&loss| {
        let mut grads = [0.0];
        let report = guard.step(Step::new(&mut grads).loss(loss)).unwrap();
        report.alarms().iter().map(Alarm::to_string).collect()
    };
    losses.iter().map(step).collect()
}

#[test]
fn errors_hold_no_rows_of_zeros() {
    let found = |x: f64| clip::GlobalNorm::new(-x).unwrap_err().to_string();
    assert_eq!(
        found(5e-324),
        "max norm: expected a number ≥ 0, found -5e-324"
    );
    assert_eq!(
        found(f64::MAX),
        "max norm: expected a number ≥ 0, found -1.7976931348623157e308"
    );
    assert_eq!(found(0.5), "max norm: expected a number ≥ 0, found -0.5");
    assert_eq!(found(2e5), "max norm: expected a number ≥ 0, found -200000");
}

#[test]
fn factors_that_no_f64_holds_are_not_zero() {
    assert_eq!(
        Factor::ratio(Wide::from(1e-300), Wide::from(1e308))
            .to_wide()
            .to_string(),
        "1.000e-608"
    );
    let mut guard = Guard::new().clip(clip::GlobalNorm::new(1e-300).unwrap());
    let report = guard.step(&mut [f64::MAX, f64::MAX]).unwrap();
    assert_eq!(
        report.to_string(),
        "step 1: norm 2.542e308 -> 1.000e-300, scaled by 3.933e-609; apply"
    );
}

#[test]
fn what_is_clipped_is_seen_to_be() {
    let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0).unwrap());
    let report = guard.step(&mut [1.000_01]).unwrap();
    assert_eq!(
        report.to_string(),
        "step 1: norm 1.00001 -> 1.00000, scaled by 0.99999; apply"
    );
    let clipped: Clipped = clip::global_norm(&mut [1.000_01], 1.0).unwrap();
    assert_eq!(clipped.to_string(), "norm 1.00001 -> 1.00000");
}

/// Alarms at every step with the norm of all gradients, whatever it is.
#[derive(Debug)]
struct Always;

impl Detector for Always {
    fn name(&self) -> &'static str {
        "always"
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        let norm = step.grads.total().l2();
        let alarm = step.alarm("always", Subject::Gradients);
        alarms.raise(alarm.above("norm", norm, 1000.0));
    }
}

#[test]
fn nan_is_above_nothing() {
    let mut guard = Guard::new()
        .detect(NormThreshold::new(1000.0).unwrap())
        .detect(Always)
        .on_non_finite(OnNonFinite::Propagate);
    let report = guard.step(&mut [f64::NAN]).unwrap();
    let said: Vec<_> = report.alarms().iter().map(Alarm::to_string).collect();
    assert_eq!(
        said,
        ["step 1: the norm of the gradients is NaN, where there is a bound of 1000 (always)"]
    );
}

#[test]
fn a_loss_that_got_worse_is_not_called_not_enough_better() {
    let said = plateau(Plateau::new(0.01, 3).unwrap(), &[0.35, 0.4, 5.0, 9.835]);
    assert_eq!(
        said[3],
        ["step 4: the value of the loss is 9.835, not below 0.3400 for 3 steps in a row (plateau)"]
    );
    let said = plateau(Plateau::new(0.0, 2).unwrap(), &[0.34, 0.34, 0.34]);
    assert_eq!(
        said[2],
        [
            "step 3: the value of the loss is 0.3400, not below 0.3400 for 2 steps in a row (plateau)"
        ]
    );
    // What it is held to is told as the bound.
    let mut guard = Guard::new().detect(Plateau::new(0.25, 1).unwrap());
    let mut bound = |loss: f64| {
        let mut grads = [0.0];
        let report = guard.step(Step::new(&mut grads).loss(loss)).unwrap();
        report.alarms().first().map(Alarm::bound)
    };
    assert_eq!((bound(1.0), bound(0.875)), (None, Some(0.75)));
}

#[test]
fn an_improvement_by_exactly_delta_is_none() {
    let fired = |delta: f64, losses: &[f64]| {
        let said = plateau(Plateau::new(delta, 2).unwrap(), losses);
        said.iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(fired(0.25, &[1.0, 0.875, 0.75, 0.25]), [0, 0, 1, 0]);
    assert_eq!(fired(0.25, &[1.0, 0.875, 0.749, 0.25]), [0, 0, 0, 0]);
    assert_eq!(fired(0.0, &[1.0, 1.0, 1.0]), [0, 0, 1]);
}

#[test]
fn two_alarms_of_one_step_are_two() {
    let said = plateau(
        Plateau::new(0.0, 2).unwrap().baseline(0.5).unwrap(),
        &[0.25, 3.0, 4.0],
    );
    assert_eq!(
        said[2],
        [
            "step 3: the value of the loss is 4.000, not below 0.2500 for 2 steps in a row (plateau)",
            "step 3: the value of the loss is 4.000, worse than the baseline 0.5000 for 2 steps in a row (plateau)",
        ]
    );
    // Asked without a guard, too.
    let grads = Measurement::default();
    let mut detector = Plateau::new(0.0, 1).unwrap().baseline(0.5).unwrap();
    let mut alarms = Alarms::default();
    for (number, loss) in [(1, 0.25), (2, 4.0)] {
        assert!(alarms.is_empty());
        detector.observe(&StepView::new(number, &grads).loss(loss), &mut alarms);
    }
    let bounds: Vec<_> = alarms.iter().map(Alarm::bound).collect();
    assert_eq!(bounds, [0.25, 0.5]);
}

/// The line of a step with these gradients.
fn line<const N: usize>(guard: &mut Guard, grads: [(&str, [f64; 1]); N]) -> String {
    let mut grads = grads;
    guard.step(&mut grads).unwrap().to_string()
}

#[test]
fn tensors_of_one_name_are_told_apart() {
    let mut guard = Guard::new().detect(NormThreshold::new(1.0).unwrap().per_tensor());
    let said = line(&mut guard, [("w", [0.5]), ("b", [0.5]), ("w", [2.0])]);
    assert!(
        said.contains("the norm of gradient w (tensor 2) is 2.000"),
        "{said}"
    );
    let said = line(&mut guard, [("w", [0.5]), ("b", [2.0]), ("w", [0.5])]);
    assert!(said.contains("the norm of gradient b is 2.000"), "{said}");
    let said = line(&mut guard, [("", [0.5]), ("", [2.0])]);
    assert!(
        said.contains("the norm of the gradient (tensor 1) is 2.000"),
        "{said}"
    );
    let said = line(&mut guard, [("", [2.0])]);
    assert!(said.contains("the norm of the gradient is 2.000"), "{said}");
    // So are parameters, faults, and what errors are about.
    let said = line(&mut guard, [("w", [f64::NAN]), ("w", [2.0])]);
    assert!(said.contains("gradient w (tensor 0) has 1 NaN"), "{said}");
    let mut refusing = Guard::new().on_non_finite(OnNonFinite::Error);
    let mut grads = [("w", [1.0]), ("w", [f64::NAN])];
    let whats = [
        refusing.step(&mut grads).map(|_| ()).unwrap_err(),
        clip::global_norm(&mut grads, 1.0).map(|_| ()).unwrap_err(),
    ]
    .map(|error| match error {
        Error::NonFinite { what, .. } => what,
        other => other.to_string(),
    });
    assert_eq!(whats, ["gradient w (tensor 1)", "w (tensor 1)"]);
    let mut guard = Guard::new().detect(WeightGrowth::new(2.0).unwrap());
    let mut watch = |w: f64| {
        let params = [("w", [1.0]), ("w", [w])];
        let mut grads = [("w", [1.0]), ("w", [1.0])];
        let report = guard.step(Step::new(&mut grads).params(&params)).unwrap();
        report.to_string()
    };
    watch(1.0);
    let said = watch(3.0);
    assert!(said.contains("parameter w (tensor 1) is 3.000"), "{said}");
}

#[test]
fn shards_are_not_said_to_be_replicas() {
    // Of two replicas, each with a gradient of its own half of the batch, the mean is 0, and so is its norm.
    let [a, b] = [[1.0], [-1.0]];
    let mut merged = Measurement::of(&a).unwrap().exact().clone();
    merged.merge(Measurement::of(&b).unwrap().exact());
    let mean = Measurement::of(&[f64::midpoint(a[0], b[0])]).unwrap();
    assert_ne!(merged.stats().l2() / 2.0, mean.total().l2());
    // So whoever reads of shards must read that they are no replicas.
    let readme = include_str!("../../README.md");
    let told = readme
        .lines()
        .find(|line| line.contains("mergeable over shards"));
    assert!(told.unwrap().contains("replicas"), "{told:?}");
}
