//! What a step may bring beside its gradients.

use std::cell::Cell;

use steadygrad::clip::{GlobalNorm, TensorNorm, Value};
use steadygrad::detect::{Alarms, Detector, NormThreshold, Subject};
use steadygrad::{Error, Guard, Needs, OnNonFinite, Step, StepView, Verdict};

fn guard() -> Guard {
    Guard::new()
        .detect(NormThreshold::new(4.0).unwrap())
        .clip(Value::between(-3.0, 2.0).unwrap())
        .clip(TensorNorm::new(2.5).unwrap())
        .clip(GlobalNorm::new(2.0).unwrap())
}

#[test]
fn scaled_gradients_are_reported_and_left_as_the_true_ones() {
    for scale in [1024.0, 0.25, 2_f64.powi(40)] {
        let (mut plain, mut scaled) = (guard(), guard());
        for grads in [
            [[3.0, 4.0], [0.5, -7.0]],
            [[0.1, 0.2], [0.0, 0.3]],
            [[1e9, 0.0], [0.0, 1.0]],
        ] {
            let (mut a, mut b) = (grads, grads.map(|xs| xs.map(|x| x * scale)));
            let expected = plain.step(&mut a).unwrap();
            let report = scaled.step(Step::new(&mut b).scaled_by(scale)).unwrap();
            assert_eq!(report.to_string(), expected.to_string());
            assert_eq!(
                (report.before(), report.after()),
                (expected.before(), expected.after())
            );
            assert_eq!(report.is_clipped(), expected.is_clipped());
            assert_eq!(report.factor(), expected.factor());
            assert_eq!(report.measurement(), expected.measurement());
            let alarms = |report: &steadygrad::Report| report.alarms().to_vec();
            assert_eq!(alarms(&report), alarms(&expected));
            // Powers of two do not round.
            assert_eq!(a, b);
        }
    }
}

#[test]
fn a_step_that_is_not_taken_leaves_scaled_gradients_scaled() {
    let mut grads = [1024.0, f64::INFINITY];
    let mut guard = guard();
    let report = guard.step(Step::new(&mut grads).scaled_by(1024.0)).unwrap();
    assert_eq!(
        (report.verdict(), report.is_clipped()),
        (Verdict::Skip, false)
    );
    assert_eq!(grads, [1024.0, f64::INFINITY]);
    // Nor is anything told of it but what the true gradients are.
    let mut grads = [8.0 * 1024.0];
    let threshold = NormThreshold::new(4.0).unwrap();
    let mut guard = Guard::new().detect_with(Verdict::Skip, threshold);
    let report = guard.step(Step::new(&mut grads).scaled_by(1024.0)).unwrap();
    assert_eq!(report.verdict(), Verdict::Skip);
    assert_eq!((report.after(), report.factor()), (8.0, 1.0));
    let tensor = report.tensors().next().unwrap();
    assert_eq!(tensor.after, Some(*tensor.before));
    assert_eq!(grads, [8.0 * 1024.0]);
}

#[test]
fn a_scale_is_a_positive_number() {
    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let mut grads = [1.0];
        let error = guard()
            .step(Step::new(&mut grads).scaled_by(scale))
            .map(|_| ());
        assert!(matches!(error, Err(Error::Setting { .. })), "{scale}");
        assert_eq!(grads, [1.0]);
    }
}

/// Fires when a signal is above 1, and when updates are large beside parameters.
#[derive(Debug)]
struct Watcher;

impl Detector for Watcher {
    fn name(&self) -> &'static str {
        "watcher"
    }

    fn needs(&self) -> Needs {
        Needs::norms().of_params()
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        let signal = step.signal("alignment").unwrap_or(0.0);
        if signal > 1.0 {
            let alarm = step.alarm("watcher", Subject::Gradients);
            alarms.raise(alarm.above("alignment", signal, 1.0));
        }
        if let (Some(updates), Some(params)) = (step.updates, step.params) {
            let ratio = updates.total().l2() / params.total().l2();
            if ratio > 0.1 {
                let alarm = step.alarm("watcher", Subject::Parameters);
                alarms.raise(alarm.above("update ratio", ratio, 0.1));
            }
        }
    }
}

#[test]
fn signals_and_updates_reach_rules_and_report() {
    let mut guard = Guard::new().detect(Watcher);
    let (mut grads, params) = ([1.0], [10.0]);
    let step = Step::new(&mut grads).params(&params).updates(&[2.0]);
    let report = guard
        .step(step.signal("alignment", 0.5).signal("other", 2.0))
        .unwrap();
    assert_eq!(report.alarms()[0].value(), 0.2);
    assert_eq!(report.signals(), [("alignment", 0.5), ("other", 2.0)]);
    assert_eq!(
        report.updates().map(|updates| updates.total().l2()),
        Some(2.0)
    );
    let step = Step::new(&mut grads)
        .params(&params)
        .signal("alignment", 2.0);
    let report = guard.step(step).unwrap();
    assert_eq!(report.alarms()[0].value(), 2.0);
    assert!(report.updates().is_none() && report.signals().len() == 1);
    // Of other tensors, they are refused as parameters are.
    let step = Step::new(&mut grads).params(&params).updates(&[2.0, 1.0]);
    assert!(matches!(
        guard.step(step).map(|_| ()),
        Err(Error::Count { .. })
    ));
}

#[test]
fn the_maker_is_asked_on_a_fault_only() {
    let asked = Cell::new(0);
    let origin = || {
        asked.set(asked.get() + 1);
        Some("layer 2".to_string())
    };
    let mut guard = Guard::new();
    let report = guard
        .step(Step::new(&mut [1.0]).explained_by(&origin))
        .unwrap();
    assert_eq!((report.origin(), asked.get()), (None, 0));
    let report = guard
        .step(Step::new(&mut [f64::NAN]).explained_by(&origin))
        .unwrap();
    assert_eq!(report.origin(), Some("layer 2"));
    assert!(
        report.to_string().contains("(non-finite), made by layer 2"),
        "{report}"
    );
    assert_eq!(asked.get(), 1);
    let mut guard = guard.on_non_finite(OnNonFinite::Error);
    assert!(
        guard
            .step(Step::new(&mut [f64::NAN]).explained_by(&origin))
            .is_err()
    );
    assert_eq!((guard.report().origin(), asked.get()), (Some("layer 2"), 2));
}

#[test]
fn a_clipper_that_is_not_fed_abstains() {
    use steadygrad::clip::Clipper;
    use steadygrad::{Factor, Pen};

    #[derive(Debug)]
    struct ByParams;

    impl Clipper for ByParams {
        fn name(&self) -> &'static str {
            "by parameters"
        }

        fn needs(&self) -> Needs {
            Needs::norms().of_params()
        }

        fn plan(&mut self, _: &StepView<'_>, pen: &mut Pen<'_>) {
            pen.scale_all(Factor::new(0.5).unwrap());
        }
    }

    let mut guard = Guard::new().clip(ByParams);
    let mut grads = [2.0];
    let report = guard.step(&mut grads).unwrap();
    assert_eq!(
        report.abstained(),
        [("by parameters", "no parameters were given")]
    );
    assert!(
        guard
            .step(Step::new(&mut grads).params(&[1.0]))
            .unwrap()
            .abstained()
            .is_empty()
    );
    assert_eq!(grads, [1.0]);
    let error = ByParams.apply(&mut grads).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Unfed {
                rule: "by parameters",
                ..
            }
        ),
        "{error}"
    );
}
