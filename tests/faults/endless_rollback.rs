//! Kind 14: rollbacks that never end.

use steadygrad::detect::{NormThreshold, PersistentNorm};
use steadygrad::{Guard, Step, Verdict};

use Verdict::{Apply, Rollback, Skip, Stop};

fn verdicts(guard: &mut Guard, norms: &[f64]) -> Vec<Verdict> {
    let step = |&norm| guard.step(&mut [norm]).unwrap().verdict();
    norms.iter().map(step).collect()
}

fn rolling_back() -> Guard {
    Guard::new().detect_with(Rollback, NormThreshold::new(10.0).unwrap())
}

#[test]
fn rollbacks_in_a_row_are_capped() {
    let all = verdicts(&mut rolling_back(), &[99.0; 6]);
    assert_eq!(all, [Rollback, Rollback, Rollback, Stop, Stop, Stop]);
    let mut one = rolling_back().max_rollbacks(1);
    assert_eq!(verdicts(&mut one, &[99.0; 3]), [Rollback, Stop, Stop]);
    let mut none = rolling_back().max_rollbacks(0);
    assert_eq!(verdicts(&mut none, &[1.0, 99.0]), [Apply, Stop]);
    let mut patient = rolling_back().max_rollbacks(u32::MAX);
    assert_eq!(verdicts(&mut patient, &[99.0; 50]), [Rollback; 50]);
}

#[test]
fn a_step_that_is_taken_ends_the_row_and_nothing_else_does() {
    let norms = [99.0, 99.0, 1.0, 99.0, 99.0, 99.0, 1.0, 99.0];
    let all = verdicts(&mut rolling_back(), &norms);
    assert_eq!(
        all,
        [
            Rollback, Rollback, Apply, Rollback, Rollback, Rollback, Apply, Rollback
        ]
    );
    // Skips in between are no progress, and rollbacks between skips are none either.
    let nan = f64::NAN;
    let all = verdicts(
        &mut rolling_back(),
        &[99.0, nan, 99.0, nan, 99.0, nan, 99.0],
    );
    assert_eq!(all, [Rollback, Skip, Rollback, Skip, Rollback, Skip, Stop]);
    let mut guard = rolling_back().max_skips(2);
    let all = verdicts(&mut guard, &[nan, 99.0, nan, 99.0, nan]);
    assert_eq!(all, [Skip, Rollback, Skip, Rollback, Stop]);
}

#[test]
fn a_report_counts_them() {
    let mut guard = rolling_back();
    let first = guard.step(&mut [99.0]).unwrap().to_string();
    assert!(first.contains("; roll back; "), "{first}");
    let report = guard.step(&mut [99.0]).unwrap();
    assert_eq!((report.rollbacks(), report.skips()), (2, 0));
    assert!(
        report.to_string().contains("; roll back (2 in a row); "),
        "{report}"
    );
    assert_eq!(guard.step(&mut [1.0]).unwrap().rollbacks(), 0);
}

#[test]
fn after_a_rollback_a_row_begins_anew() {
    let mut guard = Guard::new().detect_with(Rollback, PersistentNorm::new(1.0, 3).unwrap());
    let all = verdicts(&mut guard, &[2.0; 9]);
    let row = [Apply, Apply, Rollback];
    assert_eq!(all, [row, row, row].concat());
}

#[test]
fn a_guard_that_is_reset_is_new() {
    let make = || {
        Guard::new()
            .detect_with(Rollback, PersistentNorm::new(1.0, 3).unwrap())
            .detect_with(Rollback, NormThreshold::new(50.0).unwrap())
            .max_rollbacks(1)
    };
    let mut guard = make();
    let norms = [2.0, 99.0, f64::NAN, 2.0, 2.0];
    let first = verdicts(&mut guard, &norms);
    guard.reset().unwrap();
    assert_eq!(verdicts(&mut guard, &norms), first);
    guard.reset().unwrap();
    let _ = guard.step(Step::new(&mut [2.0])).unwrap();
    assert_eq!(guard.report().step(), 1);
    assert_eq!((guard.report().skips(), guard.report().rollbacks()), (0, 0));
}
