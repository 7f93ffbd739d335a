//! What a report tells.

use steadygrad::clip::{self, Clipper};
use steadygrad::{Factor, Guard, OnNonFinite, Pen, Report, Step, Verdict};
use steadygrad::{StepView, detect};

use super::{INF, NAN, above, global, value};

#[test]
fn a_report_says_everything_in_one_line() {
    let mut guard = Guard::new().clip(global(1.0));
    let line = |report: &Report| report.to_string();
    assert_eq!(line(guard.report()), "step 0: norm 0; apply");
    assert_eq!(
        line(&guard.step(&mut [0.3]).unwrap()),
        "step 1: norm 0.3000; apply"
    );
    assert_eq!(
        line(&guard.step(Step::new(&mut [30.0, 40.0]).loss(2.5)).unwrap()),
        "step 2: norm 50.00 -> 1.000, scaled by 0.02000, loss 2.500; apply"
    );
    assert_eq!(
        line(&guard.step(&mut [NAN, INF]).unwrap()),
        "step 3: norm NaN; skip (1 in a row); the gradient has 1 NaN and 1 infinite elements, the first at index 0 (non-finite)"
    );
    assert_eq!(
        line(&guard.step(Step::new(&mut [1.0]).loss(-INF)).unwrap()),
        "step 4: norm 1.000, loss -inf; skip (2 in a row); the loss is infinite (non-finite)"
    );
    assert_eq!(
        line(&guard.step(&mut [f64::MAX, f64::MAX]).unwrap()),
        "step 5: norm 2.542e308 -> 1.000, scaled by 3.933e-309; apply"
    );

    let mut guard = Guard::new()
        .clip(value(2.0))
        .detect_with(Verdict::Rollback, above(100.0));
    assert_eq!(
        line(&guard.step(&mut vec![vec![3.0], vec![1.0], vec![]]).unwrap()),
        "step 1: norm 3.162 -> 2.236, 1 of 3 tensors edited; apply"
    );
    assert_eq!(
        line(
            guard
                .plan(&vec![vec![3.0], vec![1.0], vec![]])
                .unwrap()
                .report()
        ),
        "step 2: norm 3.162 -> not measured, 1 of 3 tensors edited; apply"
    );
    let mut guard = Guard::new()
        .detect_with(Verdict::Rollback, above(100.0))
        .clip(value(2.0));
    assert_eq!(
        line(&guard.step(&mut [101.0]).unwrap()),
        "step 1: norm 101.0; roll back; the norm of the gradients is 101.0, above 100.0 (norm threshold)"
    );
    // A finding of the policy is not said twice.
    let mut guard = Guard::new().detect(detect::NonFinite).max_skips(0);
    assert_eq!(
        line(&guard.step(&mut [("w", [NAN])]).unwrap()),
        "step 1: norm NaN; stop; gradient w has 1 NaN and 0 infinite elements, the first at index 0 (non-finite)"
    );
}

#[test]
fn a_report_tells_of_each_tensor() {
    let mut grads = [("w", vec![3.0, 4.0]), ("b", vec![0.5]), ("none", vec![])];
    let mut guard = Guard::new().clip(clip::TensorNorm::new(1.0).unwrap());
    let report = guard.step(Step::new(&mut grads).loss(0.25_f32)).unwrap();
    assert_eq!(
        (report.step(), report.loss(), report.verdict()),
        (1, Some(0.25), Verdict::Apply)
    );
    let rows: Vec<_> = report
        .tensors()
        .map(|t| {
            (
                t.name,
                t.before.l2(),
                t.after.unwrap().l2(),
                t.edit.is_keep(),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("w", 5.0, 1.0, false),
            ("b", 0.5, 0.5, true),
            ("none", 0.0, 0.0, true)
        ]
    );
    assert_eq!(
        (report.before(), report.after(), report.factor()),
        (25.25_f64.sqrt(), 1.25_f64.sqrt(), 0.2)
    );
    assert_eq!(report.measurement().len(), 3);
    assert_eq!(report.edits().common_factor(), None);
    assert!(
        report.non_finite().is_none()
            && report.abstained().is_empty()
            && report.alarms().is_empty()
    );
}

/// Pushes the same edits at every step.
#[derive(Debug)]
struct Pushes(fn(&mut Pen<'_>));

impl Clipper for Pushes {
    fn name(&self) -> &'static str {
        "pushes"
    }

    fn plan(&mut self, _step: &StepView<'_>, pen: &mut Pen<'_>) {
        self.0(pen);
    }
}

#[test]
fn the_smallest_factor_counts_scales_and_zeros_but_no_clamp() {
    let smallest = |rules: Guard| {
        let mut guard = rules.on_non_finite(OnNonFinite::ZeroTensor);
        guard.step(&mut [[8.0], [2.0]]).unwrap().factor()
    };
    let pushed = |push| smallest(Guard::new().clip(Pushes(push)));
    assert_eq!(smallest(Guard::new()), 1.0);
    assert_eq!(smallest(Guard::new().clip(value(1.0))), 1.0);
    assert_eq!(
        smallest(Guard::new().clip(value(4.0)).clip(global(0.0))),
        0.0
    );
    // 8 becomes 4, and then both are halved.
    let both = Guard::new().clip(value(4.0)).clip(global(5_f64.sqrt()));
    assert!((smallest(both) - 0.5).abs() < 1e-15);
    assert_eq!(pushed(|edits| edits.zero(1)), 0.0);
    let units = pushed(|edits| edits.scale_units(0, &[Factor::new(0.25).unwrap()]));
    assert_eq!(units, 0.25);
    let mixed = pushed(|edits| {
        edits.scale_all(Factor::new(0.5).unwrap());
        edits.clamp(0, -1.0, 1.0);
        edits.scale_units(0, &[Factor::new(0.5).unwrap()]);
    });
    assert_eq!(mixed, 0.25);
    // Larger than 1 only where every tensor grows.
    assert_eq!(
        pushed(|edits| edits.scale(0, Factor::new(3.0).unwrap())),
        1.0
    );
    assert_eq!(
        pushed(|edits| edits.scale_all(Factor::new(3.0).unwrap())),
        3.0
    );
    // The policy zeroes, the rule scales what is left.
    let mut guard = Guard::new()
        .clip(global(1.0))
        .on_non_finite(OnNonFinite::ZeroTensor);
    assert_eq!(guard.step(&mut [[8.0], [NAN]]).unwrap().factor(), 0.0);
    // What is skipped is not scaled, and neither are the tensors of an empty set.
    let mut guard = Guard::new().clip(global(0.0));
    assert_eq!(guard.step(&mut [[8.0], [NAN]]).unwrap().factor(), 1.0);
    assert_eq!(
        guard.step(&mut Vec::<[f64; 1]>::new()).unwrap().factor(),
        1.0
    );
    // A plan's factors say no more than before.
    assert_eq!(guard.plan(&[[8.0]]).unwrap().factor(0), None);
}

#[test]
fn an_alarm_that_was_kept_keeps_its_name() {
    let mut guard = Guard::new().detect(above(1.0).per_tensor());
    let kept = guard.step(&mut [("old", vec![2.0])]).unwrap().alarms()[0].clone();
    let _ = guard.step(&mut [("new", vec![2.0])]).unwrap();
    assert_eq!(kept.tensor(), Some("old"));
    assert_eq!(guard.report().alarms()[0].tensor(), Some("new"));
}
