//! What is not finite, and the verdicts.

use steadygrad::detect::Subject;
use steadygrad::{Error, Guard, OnNonFinite, Step, Verdict};

use super::{INF, NAN, above, global};
use crate::numbers::bits;

/// Where something is not finite.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Gradient,
    Loss,
    Params,
    GradientAndParams,
}

#[test]
fn every_policy_on_everything_that_can_be_not_finite() {
    use OnNonFinite::{Error as Refuse, Propagate, Skip, ZeroAll, ZeroTensor};
    use Place::{Gradient, GradientAndParams, Loss, Params};
    for bad in [NAN, INF, -INF] {
        for policy in [Skip, Refuse, ZeroTensor, ZeroAll, Propagate] {
            for place in [Gradient, Loss, Params, GradientAndParams] {
                let at = |places: &[Place], x: f64| if places.contains(&place) { bad } else { x };
                let mut grads = [
                    ("w", vec![-0.0, 40.0]),
                    ("v", vec![1.0, at(&[Gradient, GradientAndParams], 2.0)]),
                ];
                let before = [bits(&grads[0].1), bits(&grads[1].1)];
                let params = [
                    ("w", vec![0.0, 0.0]),
                    ("v", vec![at(&[Params, GradientAndParams], 2.0), 1.0]),
                ];
                let mut guard = Guard::new().clip(global(1.0)).on_non_finite(policy);
                let context = format!("{bad} in {place:?} under {policy:?}");
                let step = Step::new(&mut grads).params(&params).loss(at(&[Loss], 0.5));
                let result = guard.step(step).map(|report| report.clone());
                let (nan, inf) = (u64::from(bad.is_nan()), u64::from(bad.is_infinite()));

                if policy == Refuse {
                    let (what, index) = match place {
                        Loss => ("the loss", 0),
                        Gradient | GradientAndParams => ("gradient v", 1),
                        Params => ("parameter v", 0),
                    };
                    assert_eq!(
                        result.unwrap_err(),
                        Error::NonFinite {
                            what: what.into(),
                            nan,
                            inf,
                            index
                        },
                        "{context}"
                    );
                    assert_eq!([bits(&grads[0].1), bits(&grads[1].1)], before, "{context}");
                    assert!(!guard.report().verdict().is_apply(), "{context}");
                    continue;
                }
                let report = result.unwrap();
                let fault = report.non_finite().unwrap();
                assert_eq!(fault.detector(), "non-finite");
                assert_eq!(fault.value(), 1.0);
                assert_eq!(
                    fault.subject(),
                    match place {
                        Loss => Subject::Loss,
                        Gradient | GradientAndParams => Subject::Gradient(1),
                        Params => Subject::Parameter(1),
                    },
                    "{context}"
                );
                // Only gradients can be zeroed; anything else can only be skipped.
                let zeroed = place == Gradient && matches!(policy, ZeroTensor | ZeroAll);
                let applies = zeroed || policy == Propagate;
                assert_eq!(
                    report.verdict(),
                    if applies {
                        Verdict::Apply
                    } else {
                        Verdict::Skip
                    },
                    "{context}"
                );
                assert_eq!(report.skips(), u32::from(!applies));
                let untouched = [bits(&grads[0].1), bits(&grads[1].1)] == before;
                if !applies {
                    assert!(
                        untouched && !report.is_clipped() && report.abstained().is_empty(),
                        "{context}"
                    );
                } else if matches!(place, Gradient | GradientAndParams) && policy == Propagate {
                    assert!(untouched, "{context}");
                    assert_eq!(
                        report.abstained(),
                        [("global norm clip", "the norm is not finite")],
                        "{context}"
                    );
                } else if policy == Propagate {
                    assert!(!untouched && report.abstained().is_empty(), "{context}");
                    assert!((report.after() - 1.0).abs() < 1e-15);
                } else if policy == ZeroTensor {
                    // The rules saw what was left: −0.0 and 40.
                    assert_eq!(bits(&grads[0].1), bits(&[-0.0, 1.0]), "{context}");
                    assert_eq!(bits(&grads[1].1), [0, 0]);
                    assert_eq!(report.after(), 1.0);
                } else {
                    assert_eq!(
                        [bits(&grads[0].1), bits(&grads[1].1)],
                        [[0, 0], [0, 0]],
                        "{context}"
                    );
                    assert_eq!(report.after(), 0.0);
                }
            }
        }
    }
}

#[test]
fn a_refused_step_is_told_as_one() {
    let mut guard = Guard::new()
        .clip(global(1.0))
        .on_non_finite(OnNonFinite::Error);
    assert!(guard.step(&mut [3.0, 4.0]).unwrap().is_clipped());
    assert!(guard.step(&mut [3.0, NAN]).is_err());
    let report = guard.report();
    assert_eq!(
        (report.step(), report.is_clipped(), report.skips()),
        (2, false, 1)
    );
    assert_eq!(report.verdict(), Verdict::Skip);
    assert!(report.after().is_nan());
    // And the guard goes on.
    assert_eq!(
        guard.step(&mut [3.0, 4.0]).unwrap().verdict(),
        Verdict::Apply
    );
    assert_eq!(guard.report().skips(), 0);
}

#[test]
fn skips_in_a_row_are_capped() {
    let mut bad = [NAN];
    let mut good = [1.0];
    let mut guard = Guard::new();
    // Ten by default.
    for i in 1..=10 {
        let report = guard.step(&mut bad).unwrap();
        assert_eq!((report.verdict(), report.skips()), (Verdict::Skip, i));
    }
    for i in 11..=12 {
        let report = guard.step(&mut bad).unwrap();
        assert_eq!((report.verdict(), report.skips()), (Verdict::Stop, i));
    }
    // A good step ends the row.
    assert_eq!(guard.step(&mut good).unwrap().skips(), 0);
    assert_eq!(guard.step(&mut bad).unwrap().verdict(), Verdict::Skip);

    let mut strict = Guard::new().max_skips(0);
    assert_eq!(strict.step(&mut bad).unwrap().verdict(), Verdict::Stop);
    let mut patient = Guard::new().max_skips(u32::MAX);
    for _ in 0..100 {
        assert_eq!(patient.step(&mut bad).unwrap().verdict(), Verdict::Skip);
    }
    // Skips for other reasons count as well.
    let mut guard = Guard::new()
        .detect_with(Verdict::Skip, above(2.0))
        .max_skips(2);
    let verdicts: Vec<_> = [3.0, NAN, 3.0, 1.0, 3.0]
        .map(|x| guard.step(&mut [x]).unwrap().verdict())
        .into();
    assert_eq!(
        verdicts,
        [
            Verdict::Skip,
            Verdict::Skip,
            Verdict::Stop,
            Verdict::Apply,
            Verdict::Skip
        ]
    );
}

#[test]
fn the_gravest_verdict_counts_and_only_apply_touches_gradients() {
    use Verdict::{Apply, Rollback, Skip, Stop};
    let all = [Apply, Skip, Rollback, Stop];
    for a in all {
        for b in all {
            for clip_first in [true, false] {
                let mut guard = Guard::new();
                if clip_first {
                    guard = guard.clip(global(5.0));
                }
                guard = guard.detect_with(a, above(4.0)).detect_with(b, above(3.0));
                if !clip_first {
                    guard = guard.clip(global(5.0));
                }
                let mut grads = [30.0, 40.0];
                let report = guard.step(&mut grads).unwrap();
                assert_eq!((report.verdict(), report.alarms().len()), (a.max(b), 2));
                let (norm, xs) = if a.max(b).is_apply() {
                    (5.0, [3.0, 4.0])
                } else {
                    (50.0, [30.0, 40.0])
                };
                assert_eq!(
                    (report.after(), report.is_clipped()),
                    (norm, a.max(b).is_apply())
                );
                assert_eq!(report.tensors().next().unwrap().after.unwrap().l2(), norm);
                assert_eq!(grads, xs);
                // A policy that skips is outvoted only by what is graver.
                let report = guard.step(Step::new(&mut grads).loss(NAN)).unwrap();
                let alarms = !clip_first || norm > 4.0;
                assert_eq!(
                    report.verdict(),
                    if alarms { a.max(b).max(Skip) } else { Skip }
                );
                // Without an alarm, nothing but the policy.
                assert_eq!(guard.step(&mut [1.0]).unwrap().verdict(), Apply);
            }
        }
    }
}
