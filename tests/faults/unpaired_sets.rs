//! Kind 9: two sets that do not belong together.

use steadygrad::penalty::{L2, Penalty};
use steadygrad::{Error, Guard, Result, Step, TensorSet, TensorSetMut, Verdict, clip::GlobalNorm};

/// What a step says of these parameters beside these gradients, which it may not have touched then.
fn step<G: TensorSetMut + Clone + PartialEq + std::fmt::Debug>(
    grads: &G,
    params: &impl TensorSet,
) -> Result<()> {
    let mut guard = Guard::new().clip(GlobalNorm::new(1e-3).unwrap());
    let mut edited = grads.clone();
    let stepped = guard
        .step(Step::new(&mut edited).params(params))
        .map(|_| ());
    let planned = guard.plan(Step::new(grads).params(params)).map(|_| ());
    assert_eq!(stepped, planned);
    if stepped.is_err() {
        assert_eq!(&edited, grads);
        assert_eq!(guard.report().verdict(), Verdict::Skip);
    }
    stepped
}

fn sentence(result: Result<()>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn parameters_of_other_names_are_refused() {
    let grads = [("w", [3.0]), ("b", [4.0])];
    assert_eq!(
        sentence(step(&grads, &[("w", [1.0]), ("v", [1.0])])),
        "tensor 1: expected the name \"v\", found \"b\"",
    );
    // In another order.
    assert_eq!(
        sentence(step(&grads, &[("b", [1.0]), ("w", [1.0])])),
        "tensor 0: expected the name \"b\", found \"w\"",
    );
    // A list beside names, and one tensor beside a list.
    assert!(matches!(
        step(&grads, &[[1.0], [1.0]]),
        Err(Error::Name { index: 0, .. })
    ));
    assert!(matches!(
        step(&[1.0], &[[1.0]]),
        Err(Error::Name { index: 0, .. })
    ));
    assert_eq!(step(&grads, &[("w", [1.0]), ("b", [1.0])]), Ok(()));
}

#[test]
fn parameters_of_another_number_or_other_sizes_are_refused() {
    let grads = vec![vec![3.0_f32, 4.0], vec![5.0]];
    assert_eq!(
        sentence(step(&grads, &vec![vec![1.0_f32; 2]])),
        "gradient tensors: expected 1, found 2",
    );
    assert_eq!(
        sentence(step(&grads, &vec![vec![1.0_f32; 2], vec![1.0], vec![1.0]])),
        "gradient tensors: expected 3, found 2",
    );
    assert_eq!(
        sentence(step(&grads, &vec![vec![1.0_f32; 3], vec![1.0]])),
        "elements of a gradient: expected 3, found 2",
    );
    // No parameter is missing: what has no elements has no gradient.
    assert!(step(&grads, &vec![Some(vec![1.0_f32; 2]), None]).is_err());
    assert_eq!(step(&grads, &vec![vec![1.0_f64; 2], vec![1.0]]), Ok(()));
}

#[test]
fn a_missing_gradient_stands_for_any_size() {
    let params = [vec![1.0_f32; 2], vec![1.0; 7]];
    assert_eq!(step(&[Some(vec![3.0_f32; 2]), None], &params), Ok(()));
    // Of the same name only.
    let named = [("w", None::<Vec<f32>>), ("b", Some(vec![1.0]))];
    assert!(step(&named, &[("v", [1.0]), ("b", [1.0])]).is_err());
    // One that comes later, of another size.
    let mut guard = Guard::new();
    let mut try_it = |grad: Option<Vec<f32>>| {
        let mut grads = [grad];
        guard
            .step(Step::new(&mut grads).params(&[[1.0_f32; 2]]))
            .map(|_| ())
    };
    assert_eq!(try_it(None), Ok(()));
    assert_eq!(try_it(Some(vec![1.0; 2])), Ok(()));
    assert!(try_it(Some(vec![1.0; 3])).is_err());
    assert_eq!(try_it(None), Ok(()));
}

#[test]
fn a_missing_set_stands_for_all_below_its_name() {
    let params = [
        ("head", vec![("w", vec![2.0]), ("b", vec![4.0, 4.0])]),
        ("header", vec![("w", vec![6.0])]),
    ];
    let missing = || {
        [
            ("head", vec![("", vec![])]),
            ("header", vec![("w", vec![1.0])]),
        ]
    };
    assert_eq!(step(&missing(), &params), Ok(()));
    let mut grads = missing();
    let all = L2::new(1.0).unwrap().on(|_: &str| true);
    assert_eq!(all.apply(&params, &mut grads), Ok(2.0 + 16.0 + 18.0));
    assert_eq!(grads[1].1[0].1, [7.0]);
    // Not for what only begins like it.
    let mut short = [("head", vec![("", Vec::<f64>::new())])];
    assert_eq!(
        all.apply(&params, &mut short).unwrap_err().to_string(),
        "gradient tensors: expected 3, found 2",
    );
}

#[test]
fn what_is_paired_may_change_between_steps() {
    // The guard remembers what it has paired; it must not go by that beside other names.
    let mut guard = Guard::new();
    let mut pair = |grads: &mut [(&str, [f64; 1])], params: &[(&str, [f64; 1])]| {
        guard
            .step(Step::new(grads).params(&params))
            .map(|_| ())
            .is_ok()
    };
    for _ in 0..3 {
        assert!(pair(&mut [("a", [1.0])], &[("a", [1.0])]));
    }
    assert!(!pair(&mut [("a", [1.0])], &[("b", [1.0])]));
    assert!(!pair(&mut [("b", [1.0])], &[("a", [1.0])]));
    assert!(pair(&mut [("b", [1.0])], &[("b", [1.0])]));
    assert!(!pair(&mut [("b", [1.0]), ("c", [1.0])], &[("b", [1.0])]));
    assert!(pair(&mut [("a", [1.0])], &[("a", [1.0])]));
}

#[cfg(feature = "ndarray")]
mod arrays {
    use super::*;
    use ndarray::{Array1, Array2, Array3, arr0};

    fn shapes(error: Error) -> (Vec<usize>, Vec<usize>) {
        match error {
            Error::Shape {
                expected, found, ..
            } => (expected, found),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_penalty_refuses_gradients_of_another_shape() {
        let weights = [("w", Array2::<f32>::ones((2, 3)))];
        let mut grads = [("w", Array2::<f32>::zeros((3, 2)))];
        let l2 = L2::new(1.0).unwrap();
        let error = l2.apply(&weights, &mut grads).unwrap_err();
        assert_eq!(
            error.to_string(),
            "gradient: expected shape [2, 3], found [3, 2]"
        );
        assert_eq!(grads[0].1, Array2::<f32>::zeros((3, 2)));
        // Whatever the memory order.
        let mut turned = grads[0].1.view_mut().reversed_axes();
        assert_eq!(l2.apply(&weights[0].1, &mut turned), Ok(3.0));
        let mut line = Array1::<f32>::zeros(6);
        assert_eq!(
            shapes(l2.apply(&weights[0].1, &mut line).unwrap_err()),
            (vec![2, 3], vec![6])
        );
    }

    #[test]
    fn a_flat_tensor_fits_any_shape_of_its_length() {
        let weights = Array2::<f64>::ones((2, 3));
        let mut grads = vec![0.0_f64; 6];
        assert_eq!(L2::new(1.0).unwrap().apply(&weights, &mut grads), Ok(3.0));
        assert_eq!(grads, [1.0; 6]);
        assert!(
            L2::new(1.0)
                .unwrap()
                .apply(&weights, &mut [0.0; 5])
                .is_err()
        );
        assert_eq!(step(&grads, &weights), Ok(()));
        assert_eq!(step(&weights, &grads), Ok(()));
        assert_eq!(step(&arr0(1.0), &[1.0]), Ok(()));
    }

    #[test]
    fn a_step_refuses_parameters_of_another_shape() {
        let grads = [("w", Array2::<f32>::ones((2, 3)))];
        let error = step(&grads, &[("w", Array2::<f64>::ones((3, 2)))]).unwrap_err();
        assert_eq!(shapes(error), (vec![3, 2], vec![2, 3]));
        let error = step(&grads, &[("w", Array3::<f32>::ones((1, 2, 3)))]).unwrap_err();
        assert_eq!(shapes(error), (vec![1, 2, 3], vec![2, 3]));
        assert_eq!(step(&grads, &[("w", Array2::<f32>::ones((2, 3)))]), Ok(()));
        // A scalar has a shape too, which is not that of a line of one.
        assert!(step(&arr0(1.0), &Array1::<f64>::ones(1)).is_err());
        // Boxed, borrowed, optional: the shape goes with it.
        let boxed = [("w", Some(Box::new(Array2::<f32>::ones((3, 2)))))];
        assert!(step(&grads, &boxed).is_err());
        let (mut turned, mut guard) = (Array2::<f32>::ones((3, 2)), Guard::new());
        let mut borrowed = [("w", &mut turned)];
        let fails = guard.step(Step::new(&mut borrowed).params(&grads)).is_err();
        assert!(fails);
    }

    #[test]
    fn a_plan_is_for_gradients_of_the_same_shape() {
        let made_for = Array2::<f32>::ones((2, 3));
        let mut guard = Guard::new().clip(GlobalNorm::new(1.0).unwrap());
        let mut others = Array2::<f32>::ones((3, 2));
        let error = guard
            .plan(&made_for)
            .unwrap()
            .apply(&mut others)
            .unwrap_err();
        assert_eq!(shapes(error), (vec![2, 3], vec![3, 2]));
        assert_eq!(others, Array2::<f32>::ones((3, 2)));
        // The shape is read anew at every step.
        let plan = guard.plan(&others).unwrap();
        let _ = plan.apply(&mut others).unwrap();
        assert!(
            guard
                .plan(&others)
                .unwrap()
                .apply(&mut made_for.clone())
                .is_err()
        );
        // One that was told units, which are read tensor by tensor.
        let rows = steadygrad::Needs::norms().of_units(steadygrad::Units::First);
        let mut guard = Guard::new().also_measure(&rows);
        assert!(guard.plan(&made_for).unwrap().apply(&mut others).is_err());
    }
}
