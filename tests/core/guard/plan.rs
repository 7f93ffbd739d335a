//! Plans, and what carrying them out leaves.

use steadygrad::{Edits, Error, Guard};

use super::{above, global, value};

#[test]
fn what_a_clamp_leaves_is_measured() {
    let chains: [fn() -> Guard; 3] = [
        || Guard::new().clip(value(2.0)),
        || Guard::new().clip(value(2.0)).detect(above(1e9)),
        || Guard::new().clip(value(2.0)).clip(global(100.0)),
    ];
    for chain in chains {
        let mut guard = chain();
        let mut grads = vec![vec![3.0, -4.0, 1.0], vec![0.5]];
        let plan = guard.plan(&grads).unwrap();
        assert_eq!(
            (plan.factor(0), plan.factor(1), plan.factor(7)),
            (None, Some(1.0), None)
        );
        assert!(plan.report().after().is_nan());
        assert!(plan.report().tensors().next().unwrap().after.is_none());
        let report = plan.apply(&mut grads).unwrap();
        assert_eq!(report.after(), 9.25_f64.sqrt());
        let after: Vec<_> = report.tensors().map(|t| t.after.unwrap().l2()).collect();
        assert_eq!(after, [3.0, 0.5]);
        assert_eq!(grads, [vec![2.0, -2.0, 1.0], vec![0.5]]);
        // The next step says nothing of this one.
        assert_eq!(
            guard.step(&mut vec![vec![1.0], vec![0.5]]).unwrap().after(),
            1.25_f64.sqrt()
        );
    }
}

#[test]
fn a_plan_belongs_to_its_gradients() {
    let grads = || [("w", vec![30.0]), ("v", vec![40.0])];
    let mut guard = Guard::new().clip(global(5.0));
    let expected_name = |index: usize, expected: &str, found: &str| Error::Name {
        index,
        expected: expected.into(),
        found: found.into(),
    };
    let mut other = [("w", vec![30.0]), ("u", vec![40.0])];
    let error = guard.plan(&grads()).unwrap().apply(&mut other).unwrap_err();
    assert_eq!(error, expected_name(1, "v", "u"));
    assert_eq!(
        other,
        [("w", vec![30.0]), ("u", vec![40.0])],
        "half of it was written"
    );
    let mut fewer = [("w", vec![30.0])];
    let error = guard.plan(&grads()).unwrap().apply(&mut fewer).unwrap_err();
    assert_eq!(
        error,
        Error::Count {
            what: "tensors of the set",
            expected: 2,
            found: 1
        }
    );
    assert_eq!(fewer[0].1, [30.0]);
    let mut more = [("w", vec![30.0]), ("v", vec![40.0]), ("u", vec![1.0])];
    let error = guard.plan(&grads()).unwrap().apply(&mut more).unwrap_err();
    assert_eq!(
        error,
        Error::Count {
            what: "tensors of the set",
            expected: 2,
            found: 3
        }
    );
    assert_eq!(more[0].1, [30.0]);
    let mut longer = [("w", vec![30.0]), ("v", vec![40.0, 1.0])];
    let error = guard
        .plan(&grads())
        .unwrap()
        .apply(&mut longer)
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Count {
                expected: 1,
                found: 2,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(longer[0].1, [30.0]);
    // A plan that keeps everything fits its own gradients only as well.
    let mut calm = Guard::new();
    assert!(calm.plan(&grads()).unwrap().apply(&mut fewer).is_err());
    // The guard is none the worse for it.
    let mut right = grads();
    assert_eq!(guard.step(&mut right).unwrap().after(), 5.0);
    assert_eq!(right, [("w", vec![3.0]), ("v", vec![4.0])]);
}

#[test]
fn edits_for_another_number_of_tensors_are_refused() {
    let mut edits = Edits::for_count(2);
    edits.zero(1);
    for mut grads in [vec![vec![1.0]], vec![vec![1.0], vec![2.0], vec![3.0]]] {
        let found = grads.len();
        let error = edits.apply(&mut grads).unwrap_err();
        assert_eq!(
            error,
            Error::Count {
                what: "tensors of the set",
                expected: 2,
                found
            }
        );
        assert_eq!(grads[0], [1.0]);
    }
}
