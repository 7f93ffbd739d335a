//! How a run has been going, and whether it goes on so.

use steadygrad::checkpoint::Resumed;
use steadygrad::{Course, Doubt, Error, Guard, Off, OnNonFinite, Step};

/// Losses and norms of so many steps, all of them taken.
fn going(losses: impl IntoIterator<Item = f64>, norm: f64) -> Course {
    let (mut guard, mut course) = (Guard::new(), Course::default());
    for loss in losses {
        course.note(&guard.step(Step::new(&mut [norm]).loss(loss)).unwrap());
    }
    course
}

fn noisy(scale: f64) -> Vec<f64> {
    (0..100)
        .map(|i| scale * (2.0 + 0.3 * f64::from(i * 7 % 11)))
        .collect()
}

/// How far off a loss is, if it is.
fn off(course: &Course, losses: &[f64]) -> Option<Off> {
    let mut guard = Guard::new()
        .on_non_finite(OnNonFinite::Propagate)
        .max_skips(99);
    let mut resumed = Resumed::after(course).over(losses.len()).unwrap();
    let mut found = None;
    for (i, &loss) in losses.iter().enumerate() {
        let report = guard.step(Step::new(&mut [0.5]).loss(loss)).unwrap();
        let checked = resumed.check(&report);
        assert!(checked.is_ok() || i + 1 == losses.len());
        if let Err(Error::Discontinued { off, steps, .. }) = checked {
            assert_eq!(steps, losses.len());
            found = Some(off);
        }
        // Once it has spoken it is done.
        if i + 1 == losses.len() {
            assert!(resumed.check(&report).is_ok());
        }
    }
    found
}

#[test]
fn what_is_far_does_not_go_by_the_unit() {
    let far = |scale: f64, x: f64| {
        off(&going(noisy(scale), 0.5), &[scale * x]).map(|off| (off.deviations * 1e9).round())
    };
    for x in [0.01, 0.4, 1.0, 3.0, 9.0, 20.0, 1e6] {
        assert_eq!(far(1.0, x), far(1024.0, x), "{x}");
        assert_eq!(far(1.0, x), far(2f64.powi(-40), x), "{x}");
    }
    assert!(
        far(1.0, 5.0).is_none() && far(1.0, 20.0).unwrap() > 0.0 && far(1.0, 0.3).unwrap() < 0.0
    );
}

#[test]
fn a_few_bad_batches_are_no_discontinuity_and_most_of_them_are() {
    let course = going(noisy(1.0), 0.5);
    assert_eq!(off(&course, &[90.0, 3.0, 2.0, 4.0, f64::NAN]), None);
    let found = off(&course, &[90.0, 80.0, 3.0, 2.0, 70.0]).unwrap();
    assert_eq!(
        (found.what, found.found, found.usual),
        ("loss", 70.0, course.usual_loss().unwrap())
    );
    // Of an even number the two in the middle.
    assert_eq!(off(&course, &[90.0, 3.0, 80.0, 2.0]).unwrap().found, 41.5);
    let nan = off(&course, &[f64::NAN, 3.0, f64::NAN]).unwrap();
    assert_eq!((nan.found, nan.deviations), (f64::INFINITY, f64::INFINITY));
}

#[test]
fn norms_are_looked_at_too_and_nothing_is_said_of_what_is_not_known() {
    let course = going(noisy(1.0), 80.0);
    assert_eq!(
        off(&course, &[3.0, 3.0]).unwrap().what,
        "norm of the gradients"
    );
    // Nine values are no centre, and a loss that was never given is none.
    assert_eq!(off(&going([1.0; 9], 0.5), &[50.0]), None);
    assert!(off(&going([1.0; 10], 0.5), &[50.0]).is_some());
    let mut silent = Course::default();
    let mut guard = Guard::new();
    (0..20).for_each(|_| silent.note(&guard.step(&mut [0.5]).unwrap()));
    assert_eq!(off(&silent, &[50.0]), None);
    assert_eq!(
        (silent.usual_loss(), silent.usual_norm()),
        (None, Some(0.5))
    );
}

#[test]
fn losses_of_zero_and_below_are_compared_themselves() {
    let course = going((0..64).map(|i| f64::from(i % 8) - 4.0), 0.5);
    assert_eq!(course.usual_loss(), Some(-0.5));
    assert!(off(&course, &[5.0]).is_none() && off(&course, &[-9.0]).is_none());
    let found = off(&course, &[20.5]).unwrap();
    assert_eq!((found.usual, found.deviations), (-0.5, 10.5));
    let zeros = going([0.0; 20], 0.5);
    assert!(off(&zeros, &[0.0]).is_none());
    assert_eq!(off(&zeros, &[1e-9]).unwrap().deviations, f64::INFINITY);
    // A positive centre and a loss below zero: the numbers themselves.
    assert_eq!(
        off(&going([1.0; 20], 0.5), &[-1.0]).unwrap().deviations,
        -20.0
    );
}

#[test]
fn a_row_is_ended_by_what_is_not_healthy_and_not_by_a_step_left_out() {
    let mut guard = crate::keep::told();
    let mut course = Course::default();
    let mut row = vec![];
    for say in [0.0, 0.0, 1.0, 5.0, 4.0, 0.0, 2.0, 0.0, 3.0] {
        course.note(
            &guard
                .step(Step::new(&mut [0.5]).signal("say", say))
                .unwrap(),
        );
        row.push(course.healthy_steps());
    }
    assert_eq!(row, [1, 2, 2, 3, 0, 1, 0, 1, 0]);
    assert_eq!(course.doubt(0), None);
    assert!(matches!(
        course.doubt(1),
        Some(Doubt::Young {
            steps: 0,
            of: 1,
            ..
        })
    ));
    // What is better than usual is no doubt.
    let mut course = going([2.0; 30], 0.5);
    course.note(&Guard::new().step(Step::new(&mut [0.5]).loss(0.01)).unwrap());
    assert_eq!(course.doubt(20), None);
}
