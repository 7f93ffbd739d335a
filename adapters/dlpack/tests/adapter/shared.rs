//! Tensors that share memory with others of the set.

use steadygrad::{Measurement, TensorSet, clip};
use steadygrad_dlpack::{DlpackGrads, DlpackParams, DlpackTensor};

use crate::held::Held;

/// A tensor of `f32` in memory that another holds.
fn part(of: &Held<f32>, first: usize, shape: &[i64], strides: &[i64]) -> Held<f32> {
    let mut part = Held::strided(vec![], first, shape, strides);
    part.tensor.data = of.tensor.data;
    part
}

fn set<'t>(tensors: &[(&str, &'t Held<f32>)]) -> steadygrad::Result<DlpackGrads<'t>> {
    let tensors = tensors.iter().map(|(name, held)| (*name, held.lent()));
    // SAFETY: all parts lie within what is held, and nobody but the set touches it while it lives.
    unsafe { DlpackGrads::new(tensors) }
}

#[test]
fn a_tensor_that_comes_twice_counts_once_under_its_first_name() {
    let held = Held::rows(vec![3.0, 4.0], &[1, 2]);
    let other = Held::rows(vec![12.0_f32], &[1]);
    // Of an axis with one place, and of no strides, only the look differs.
    let again = part(&held, 0, &[1, 2], &[17, 1]);
    let mut grads = set(&[("embed", &held), ("b", &other), ("head", &again)]).unwrap();
    let mut names = vec![];
    grads
        .visit(&mut |name, _| {
            names.push(name.to_owned());
            Ok(())
        })
        .unwrap();
    assert_eq!(names, ["embed", "b"]);
    let clipped = clip::global_norm(&mut grads, 6.5).unwrap();
    assert_eq!((clipped.before(), clipped.factor()), (13.0, 0.5));
    drop(grads);
    assert_eq!(
        (&held.values[..], &other.values[..]),
        (&[1.5, 2.0][..], &[6.0][..])
    );

    let tensors = || {
        ["a", "b", "c"]
            .into_iter()
            .zip([held.lent(), held.lent(), held.lent()])
    };
    // SAFETY: as in `set`.
    let params = unsafe { DlpackParams::new(tensors()) }.unwrap();
    assert_eq!(Measurement::of(&params).unwrap().len(), 1);
}

#[test]
fn tensors_that_share_some_elements_are_refused() {
    let whole = Held::rows(vec![1.0; 12], &[3, 4]);
    let cases = [
        (
            part(&whole, 0, &[4, 3], &[1, 4]),
            "the same elements in another order",
        ),
        (
            part(&whole, 0, &[12], &[1]),
            "the same elements in another shape",
        ),
        (part(&whole, 11, &[1], &[1]), "the last element"),
        (part(&whole, 3, &[3], &[4]), "a column"),
    ];
    for (other, what) in &cases {
        for (first, second) in [(&whole, other), (other, &whole)] {
            let error = set(&[("v", first), ("w", second)]).unwrap_err();
            let expected =
                "tensor storage: w: expected elements of its own, found some that v has, too";
            assert_eq!(error.to_string(), expected, "{what}");
        }
    }
    let mut bytes = part(&whole, 0, &[2, 2], &[2, 1]);
    bytes.tensor.dtype = dlpark::ffi::DLDataType::F16;
    assert!(set(&[("v", &whole), ("w", &bytes)]).is_err());
}

#[test]
fn tensors_that_lie_between_each_other_are_worked_on_apart() {
    let whole = Held::rows((0..12).map(|x| x as f32).collect(), &[3, 4]);
    let left = part(&whole, 0, &[3, 2], &[4, 1]);
    let third = part(&whole, 2, &[3], &[4]);
    let last = part(&whole, 3, &[3], &[4]);
    let mut grads = set(&[("last", &last), ("left", &left), ("third", &third)]).unwrap();
    assert_eq!(Measurement::of(&grads).unwrap().total().l2(), 506f64.sqrt());
    clip::value(&mut grads, 4.5).unwrap();
    drop(grads);
    assert_eq!(
        whole.values,
        [0.0, 1.0, 2.0, 3.0, 4.0, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5]
    );
    let norm = clip::tensor_norm(&mut set(&[("left", &left), ("last", &last)]).unwrap(), 5.0);
    assert!(norm.unwrap().is_clipped());
    // The third column was in neither.
    assert_eq!([2, 6, 10].map(|i| whole.values[i]), [2.0, 4.5, 4.5]);
    assert!((whole.values[3] - 3.0 / 7.035_623 * 5.0).abs() < 1e-5);
}

#[test]
fn tensors_without_elements_share_nothing() {
    let empty = Held::rows(Vec::<f32>::new(), &[0, 2]);
    let whole = Held::rows(vec![2.0_f32; 4], &[4]);
    let nothing = part(&whole, 1, &[2, 0], &[1, 1]);
    let tensors = [
        empty.lent(),
        empty.lent(),
        whole.lent(),
        nothing.lent(),
        None::<DlpackTensor>.into(),
    ];
    // SAFETY: as in `set`.
    let grads = unsafe { DlpackGrads::new(["a", "b", "c", "d", "e"].into_iter().zip(tensors)) };
    let seen = Measurement::of(&grads.unwrap()).unwrap();
    assert_eq!((seen.len(), seen.total().l2()), (5, 4.0));
}
