//! Detectors over whole runs, also strange ones.

use steadygrad::detect::{
    Alarm, NonFinite, NormThreshold, PersistentNorm, Plateau, Subject, WeightGrowth,
};
use steadygrad::{Guard, OnNonFinite, Step};

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

/// The steps on which a guard spoke.
fn fired(
    mut guard: Guard,
    mut step: impl FnMut(&mut Guard, usize) -> bool,
    steps: usize,
) -> Vec<usize> {
    (1..=steps).filter(|&i| step(&mut guard, i)).collect()
}

fn on_norms(guard: Guard, norms: &[f64]) -> Vec<usize> {
    fired(
        guard,
        |guard, i| !guard.step(&mut [norms[i - 1]]).unwrap().alarms().is_empty(),
        norms.len(),
    )
}

fn on_losses(guard: Guard, losses: &[f64]) -> Vec<usize> {
    let step = |guard: &mut Guard, i: usize| {
        !guard
            .step(Step::new(&mut [0.0]).loss(losses[i - 1]))
            .unwrap()
            .alarms()
            .is_empty()
    };
    fired(guard, step, losses.len())
}

fn on_weights(guard: Guard, norms: &[f64]) -> Vec<usize> {
    let step = |guard: &mut Guard, i: usize| {
        let (mut grads, params) = ([("w", [0.0])], [("w", [norms[i - 1]])]);
        let report = guard.step(Step::new(&mut grads).params(&params)).unwrap();
        !report.alarms().is_empty()
    };
    fired(guard, step, norms.len())
}

#[test]
fn strange_steps_do_not_blind_a_detector() {
    let strange = [NAN, INF, -INF, NAN];
    let spoil =
        |calm: &[f64], bad: f64| -> Vec<f64> { calm.iter().flat_map(|&x| [bad, x]).collect() };
    let doubled = |steps: &[usize]| -> Vec<usize> { steps.iter().map(|i| 2 * i).collect() };
    for bad in strange {
        // Each calm series, with a strange step before every one: fires on the same calm steps.
        let norms = [2.0, 2.0, 0.5, 2.0, 3.0, 2.0, 2.0, 0.1, 2.0];
        let persistent = || Guard::new().detect(PersistentNorm::new(1.0, 3).unwrap());
        let calm = on_norms(persistent(), &norms);
        assert_eq!(calm, [6, 7]);
        assert_eq!(
            on_norms(persistent(), &spoil(&norms, bad)),
            doubled(&calm),
            "{bad}"
        );

        let losses = [5.0, 4.0, 4.0, 4.0, 4.0, 9.0, 8.0, 7.0, 6.0];
        let plateau = || Guard::new().detect(Plateau::new(0.1, 3).unwrap());
        let calm = on_losses(plateau(), &losses);
        assert_eq!(calm, [5, 8]);
        assert_eq!(
            on_losses(plateau(), &spoil(&losses, bad)),
            doubled(&calm),
            "{bad}"
        );

        let weights = [1.0, 1.2, 1.4, 2.5, 1.9, 2.1];
        let growth =
            || Guard::new().detect(WeightGrowth::new(2.0).unwrap().per_step(0.4, 2).unwrap());
        let calm = on_weights(growth(), &weights);
        assert_eq!(calm, [4, 6]);
        assert_eq!(
            on_weights(growth(), &spoil(&weights, bad)),
            doubled(&calm),
            "{bad}"
        );
    }
}

#[test]
fn constants_zeros_jumps_and_shifts() {
    // A constant at the bound never fires; a jump from it does at once.
    let threshold = || Guard::new().detect(NormThreshold::new(1.0).unwrap());
    let jump: Vec<f64> = [[1.0; 50].as_slice(), &[1.0 + 1e-15, 1.0]].concat();
    assert_eq!(on_norms(threshold(), &jump), [51]);
    assert_eq!(on_norms(threshold(), &[0.0; 20]), [0_usize; 0]);
    let persistent = || Guard::new().detect(PersistentNorm::new(1.0, 10).unwrap());
    // A shift that stays fires on every step from the tenth on.
    let shift: Vec<f64> = [[0.5; 20].as_slice(), &[5.0; 12]].concat();
    assert_eq!(on_norms(persistent(), &shift), [30, 31, 32]);
    // Weights that start at zero are compared with their first value that says anything.
    let growth = || Guard::new().detect(WeightGrowth::new(10.0).unwrap());
    assert_eq!(
        on_weights(growth(), &[0.0, 0.0, 1e-3, 1e-2, 1.1e-2, 1e-3]),
        [5]
    );
    assert_eq!(on_weights(growth(), &[0.0; 10]), [0_usize; 0]);
    // Losses below zero, rising and falling.
    let plateau = || Guard::new().detect(Plateau::new(0.5, 2).unwrap());
    assert_eq!(
        on_losses(plateau(), &[-1.0, -2.0, -3.0, -3.2, -3.4, -3.6, -3.8]),
        [5, 7]
    );
}

#[test]
fn a_bound_of_infinity_and_norms_past_the_range() {
    let at = |max: f64| {
        Guard::new()
            .detect(NormThreshold::new(max).unwrap())
            .on_non_finite(OnNonFinite::Propagate)
    };
    // What is not finite has no norm; it is the policy's.
    assert_eq!(on_norms(at(INF), &[f64::MAX, INF, -INF, NAN]), [0_usize; 0]);
    assert_eq!(
        on_norms(at(f64::MAX), &[f64::MAX, INF, -INF, NAN]),
        [0_usize; 0]
    );
    // √2·MAX is above MAX though it is +∞ as an f64, and it is not infinite.
    let mut grads = [f64::MAX, f64::MAX];
    assert_eq!(at(f64::MAX).step(&mut grads).unwrap().alarms().len(), 1);
    assert_eq!(at(INF).step(&mut grads).unwrap().alarms().len(), 0);
}

#[test]
fn every_tensor_that_has_a_norm_above_is_told() {
    let mut guard = Guard::new()
        .detect(NormThreshold::new(1.0).unwrap().per_tensor())
        .on_non_finite(OnNonFinite::Propagate);
    for (norms, expected) in [
        ([2.0, 3.0, 1.0], vec![("a", 2.0), ("b", 3.0)]),
        ([0.5, 1.0, 0.0], vec![]),
        ([2.0, INF, 3.0], vec![("a", 2.0), ("c", 3.0)]),
    ] {
        let mut grads = [("a", [norms[0]]), ("b", [norms[1]]), ("c", [norms[2]])];
        let report = guard.step(&mut grads).unwrap();
        let found = report.alarms().iter();
        let found = found.map(|alarm| (alarm.tensor().unwrap(), alarm.value()));
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }
    for place in 0..3 {
        let mut grads = [("a", [INF]), ("b", [7.0]), ("c", [INF])];
        grads[place].1 = [NAN];
        let report = guard.step(&mut grads).unwrap();
        let about: Vec<_> = report.alarms().iter().map(Alarm::subject).collect();
        // Of those that have a norm.
        let expected = (place != 1).then_some(Subject::Gradient(1));
        assert_eq!(about, expected.as_slice());
    }
    assert_eq!(
        guard
            .step(&mut Vec::<Vec<f64>>::new())
            .unwrap()
            .alarms()
            .len(),
        0
    );
}

#[test]
fn weights_of_another_model_are_not_compared() {
    let mut guard = Guard::new().detect(WeightGrowth::new(2.0).unwrap().per_step(1.0, 1).unwrap());
    let mut step = |params: &[(&str, [f64; 1])]| {
        let mut grads: Vec<_> = params.iter().map(|(name, _)| (*name, [0.0])).collect();
        let report = guard.step(Step::new(&mut grads).params(&params)).unwrap();
        report
            .alarms()
            .first()
            .map(|alarm| alarm.tensor().unwrap().to_owned())
    };
    assert_eq!(step(&[("a", [1.0]), ("b", [1.0])]), None);
    // As many tensors, other names: another model.
    assert_eq!(step(&[("c", [10.0]), ("d", [10.0])]), None);
    assert_eq!(step(&[("c", [10.5]), ("d", [21.0])]), Some("d".into()));
    // Fewer tensors: another model too.
    assert_eq!(step(&[("d", [99.0])]), None);
    assert_eq!(step(&[("d", [199.0])]), Some("d".into()));
}

#[test]
fn without_parameters_weight_growth_waits() {
    let mut guard = Guard::new().detect(WeightGrowth::new(2.0).unwrap());
    let grow = |guard: &mut Guard, w: f64| {
        let report = guard.step(Step::new(&mut [0.0]).params(&[w])).unwrap();
        !report.alarms().is_empty()
    };
    assert!(!grow(&mut guard, 1.0));
    assert!(guard.step(&mut [0.0]).unwrap().alarms().is_empty());
    assert!(grow(&mut guard, 2.5));
}

#[test]
fn an_alarm_is_a_sentence() {
    let mut guard = Guard::new()
        .detect(NonFinite)
        .detect(PersistentNorm::new(1.0, 2).unwrap())
        .detect(Plateau::new(0.25, 1).unwrap().baseline(2.0).unwrap());
    let sentences: Vec<Vec<String>> = [(3.0, 1.0), (4.0, 1.0), (5e9, 3.0), (5.0, NAN)]
        .map(|(norm, loss)| {
            let report = guard
                .step(Step::new(&mut [("w", [norm])]).loss(loss))
                .unwrap();
            report.alarms().iter().map(ToString::to_string).collect()
        })
        .into();
    assert_eq!(
        sentences,
        [
            vec![],
            vec![
                "step 2: the norm of the gradients is 4.000, above 1.000 for 2 steps in a row (persistent norm)",
                "step 2: the value of the loss is 1.000, not below 0.7500 (plateau)",
            ],
            vec![
                "step 3: the norm of the gradients is 5.000e9, above 1.000 for 3 steps in a row (persistent norm)",
                "step 3: the value of the loss is 3.000, not below 0.7500 (plateau)",
                "step 3: the value of the loss is 3.000, worse than the baseline 2.000 (plateau)",
            ],
            vec![
                "step 4: the loss is NaN (non-finite)",
                "step 4: the norm of the gradients is 5.000, above 1.000 for 4 steps in a row (persistent norm)",
            ],
        ]
    );
    let alarm = &guard.report().alarms()[1];
    assert_eq!(
        (alarm.detector(), alarm.step(), alarm.value(), alarm.bound()),
        ("persistent norm", 4, 5.0, 1.0)
    );
    assert_eq!(
        (alarm.subject(), alarm.tensor()),
        (Subject::Gradients, None)
    );
}

/// "1.000, above 1.000" would look like a fault of the detector.
#[test]
fn a_sentence_has_the_digits_that_show_why() {
    let mut guard = Guard::new().detect(NormThreshold::new(1.0).unwrap());
    let mut sentence = |norm: f64| {
        let report = guard.step(&mut [norm]).unwrap();
        report.alarms()[0].to_string()
    };
    assert!(sentence(1.000_01).contains("is 1.00001, above 1.00000"));
    assert!(
        sentence(1.0 + f64::EPSILON).contains("is 1.0000000000000002, above 1.0000000000000000")
    );
    assert!(sentence(1.01).contains("is 1.010, above 1.000"));
}
