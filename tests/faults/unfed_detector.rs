//! Kind 13: a detector that is not fed must say so.

use steadygrad::detect::{Detector, Plateau, WeightGrowth};
use steadygrad::{Guard, Step, Verdict};

fn growth() -> WeightGrowth {
    WeightGrowth::new(2.0).unwrap()
}

fn plateau() -> Plateau {
    Plateau::new(0.0, 3).unwrap()
}

/// What a report says of a step without parameters and without a loss.
fn told(detector: impl Detector + 'static) -> (Vec<String>, String) {
    let mut guard = Guard::new().detect(detector);
    let report = guard.step(&mut [1.0]).unwrap();
    assert_eq!(report.verdict(), Verdict::Apply);
    let abstained = report
        .abstained()
        .iter()
        .map(|(rule, _)| (*rule).to_string());
    (abstained.collect(), report.to_string())
}

#[test]
fn a_rule_that_is_not_fed_abstains_and_says_why() {
    let (abstained, line) = told(growth());
    assert_eq!(abstained, ["weight growth"]);
    assert!(
        line.contains("weight growth") && line.contains("no parameters"),
        "{line}"
    );
    let (abstained, line) = told(plateau());
    assert_eq!(abstained, ["plateau"]);
    assert!(
        line.contains("plateau") && line.contains("no loss"),
        "{line}"
    );
    // Fed, it does not.
    let mut guard = Guard::new().detect(growth()).detect(plateau());
    let report = guard
        .step(Step::new(&mut [1.0]).params(&[1.0]).loss(0.5))
        .unwrap();
    assert!(report.abstained().is_empty(), "{report}");
}

#[test]
fn a_verdict_that_cannot_be_given_is_refused_at_the_first_step() {
    for verdict in [Verdict::Skip, Verdict::Rollback, Verdict::Stop] {
        let mut guard = Guard::new().detect_with(verdict, growth());
        let error = guard.step(&mut [1.0]).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("weight growth"), "{error}");
        assert!(guard.step(Step::new(&mut [1.0]).params(&[1.0])).is_ok());
        let mut guard = Guard::new().detect_with(verdict, plateau());
        let error = guard.step(&mut [1.0]).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("plateau"), "{error}");
        assert!(guard.step(Step::new(&mut [1.0]).loss(0.5)).is_ok());
    }
    // Weights that run away unseen: 1000 steps, 1 to 1001, must not be `apply` each time.
    let mut guard = Guard::new().detect_with(Verdict::Stop, growth());
    let mut seen = vec![];
    for _ in 0..1000 {
        seen.push(
            guard
                .step(&mut [1.0])
                .is_ok_and(|report| report.verdict().is_apply()),
        );
    }
    assert!(!seen.contains(&true));
}
