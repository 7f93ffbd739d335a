//! Kind 15: what the policy says of NaN is not overruled by a norm, and errors do not go on for ever.

use steadygrad::detect::{NormThreshold, PersistentNorm, WeightGrowth};
use steadygrad::{Error, Guard, OnNonFinite, Report, Result, Step, Verdict, clip};

const BAD: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

/// A guard whose every norm rule would end the run.
fn strict() -> Guard {
    let threshold = NormThreshold::new(10.0).unwrap();
    Guard::new()
        .detect_with(Verdict::Stop, threshold)
        .detect_with(Verdict::Stop, threshold.per_tensor())
        .detect_with(Verdict::Stop, PersistentNorm::new(10.0, 1).unwrap())
        .detect_with(Verdict::Stop, WeightGrowth::new(10.0).unwrap())
        .clip(clip::GlobalNorm::new(1.0).unwrap())
        .detect_with(Verdict::Stop, threshold)
}

/// A step of two tensors, of which the first may be bad.
fn step(guard: &mut Guard, [w, b]: [f64; 2]) -> Report {
    let mut grads = [("w", [w]), ("b", [b])];
    let params = [("w", [1.0]), ("b", [1.0])];
    let report = guard.step(Step::new(&mut grads).params(&params));
    (*report.unwrap()).clone()
}

#[test]
fn one_bad_batch_is_skipped_and_does_not_end_the_run() {
    for bad in BAD {
        let mut guard = strict();
        for (x, verdict) in [
            (1.0, Verdict::Apply),
            (bad, Verdict::Skip),
            (2.0, Verdict::Apply),
        ] {
            let report = step(&mut guard, [x, 1.0]);
            assert_eq!(report.verdict(), verdict, "{x}: {report}");
            assert!(report.alarms().is_empty(), "{x}: {report}");
        }
        // A norm that is one still decides, also beside a tensor that has none.
        let report = step(&mut guard, [bad, 11.0]);
        assert_eq!(report.verdict(), Verdict::Stop);
        assert_eq!(report.alarms().len(), 1);
        assert_eq!(report.alarms()[0].tensor(), Some("b"));
    }
}

#[test]
fn under_every_policy_norm_rules_leave_what_is_not_finite_to_it() {
    use OnNonFinite::{Propagate, Skip, ZeroAll, ZeroTensor};
    for bad in BAD {
        for (policy, verdict) in [
            (Skip, Verdict::Skip),
            (ZeroTensor, Verdict::Apply),
            (ZeroAll, Verdict::Apply),
            (Propagate, Verdict::Apply),
        ] {
            let report = step(&mut strict().on_non_finite(policy), [bad, 1.0]);
            assert_eq!(report.verdict(), verdict, "{policy:?} of {bad}: {report}");
        }
    }
}

#[test]
fn errors_in_a_row_become_stop() {
    let refusing = || Guard::new().on_non_finite(OnNonFinite::Error).max_skips(3);
    let mut guard = refusing();
    let step = |guard: &mut Guard, x: f64| -> Result<()> { guard.step(&mut [x]).map(|_| ()) };
    for i in 1..=3 {
        let error = step(&mut guard, f64::NAN).unwrap_err();
        assert!(matches!(error, Error::NonFinite { .. }), "{error}");
        let report = guard.report();
        assert_eq!((report.verdict(), report.skips()), (Verdict::Skip, i));
    }
    let error = step(&mut guard, f64::NAN).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the gradient: expected finite numbers, found 1 NaN and 0 infinite, the first at index 0; \
         stop: 4 steps in a row were refused"
    );
    assert_eq!(guard.report().verdict(), Verdict::Stop);
    assert!(
        matches!(&error, Error::Stop { in_a_row: 4, cause } if matches!(**cause, Error::NonFinite { .. }))
    );
    // A good step ends the row.
    step(&mut guard, 1.0).unwrap();
    assert!(matches!(
        step(&mut guard, f64::NAN),
        Err(Error::NonFinite { .. })
    ));
    // Plans count like steps.
    let mut guard = refusing().max_skips(1);
    assert!(matches!(
        guard.plan(&[f64::NAN]).map(drop),
        Err(Error::NonFinite { .. })
    ));
    assert!(matches!(
        guard.plan(&[f64::NAN]).map(drop),
        Err(Error::Stop { in_a_row: 2, .. })
    ));
}
