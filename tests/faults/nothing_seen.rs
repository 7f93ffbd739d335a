//! Kind 10: a set in which nothing was seen.

use steadygrad::{Error, Guard, Step, TensorSetMut, Verdict, clip};

const NO_TENSOR: &str = "step 1: nothing seen, there is no tensor; apply";

fn told<G: TensorSetMut + ?Sized>(grads: &mut G) -> String {
    let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0).unwrap());
    let report = guard.step(Step::new(grads)).unwrap();
    // Nothing is wrong with it, but it is said.
    assert_eq!((report.before(), report.verdict()), (0.0, Verdict::Apply));
    let nothing = report.nothing_seen();
    assert_eq!(nothing, report.to_string().contains("nothing seen"));
    report.to_string()
}

#[test]
fn a_report_says_that_nothing_was_seen() {
    assert_eq!(told(&mut Vec::<Vec<f32>>::new()), NO_TENSOR);
    assert_eq!(told(&mut Vec::<(&str, Vec<f64>)>::new()), NO_TENSOR);
    let none_of = |n| format!("step 1: nothing seen, none of {n} tensors has a gradient; apply");
    assert_eq!(told(&mut None::<Vec<f32>>), none_of(1));
    assert_eq!(
        told(&mut [("w", None::<[f32; 2]>), ("b", None)]),
        none_of(2)
    );
    assert_eq!(told(&mut vec![Vec::<f64>::new(); 3]), none_of(3));
    // A zero is something, and so is one gradient among missing ones.
    assert_eq!(told(&mut [0.0]), "step 1: norm 0; apply");
    assert_eq!(told(&mut [Some([0.0]), None]), "step 1: norm 0; apply");
    // Before the first step nothing was looked for.
    assert!(!Guard::new().report().nothing_seen());
}

#[test]
fn a_guard_can_refuse_to_see_nothing() {
    let mut guard = Guard::new().require_gradients().max_skips(2);
    let mut missing = [("w", None::<[f32; 1]>), ("b", None)];
    let nothing = Error::NothingSeen { tensors: 2 };
    assert_eq!(
        nothing.to_string(),
        "gradients: expected at least one element, found none in 2 tensors"
    );
    for _ in 0..2 {
        assert_eq!(guard.step(&mut missing).unwrap_err(), nothing);
        assert!(guard.report().nothing_seen());
        assert_eq!(guard.report().verdict(), Verdict::Skip);
    }
    assert_eq!(guard.plan(&missing).unwrap_err().to_string(), {
        "gradients: expected at least one element, found none in 2 tensors; stop: 3 steps in a row were refused"
    });
    let mut there = [("w", Some([3.0_f32])), ("b", None)];
    assert_eq!(guard.step(&mut there).unwrap().skips(), 0);
    let empty = Guard::new()
        .require_gradients()
        .step(&mut Vec::<Vec<f32>>::new())
        .map(|_| ());
    assert_eq!(empty.unwrap_err(), Error::NothingSeen { tensors: 0 });
}

#[test]
fn a_one_line_clip_says_it_too() {
    let mut missing = [None::<[f32; 1]>, None];
    for clipped in [
        clip::global_norm(&mut missing, 1.0),
        clip::tensor_norm(&mut missing, 1.0),
    ] {
        let clipped = clipped.unwrap();
        assert!(clipped.nothing_seen());
        assert_eq!(clipped.to_string(), "nothing seen");
    }
    let clamped = clip::value(&mut missing, 1.0).unwrap();
    assert!(clamped.is_empty());
    assert_eq!(clamped.to_string(), "0 of 0 elements clipped");
    assert!(!clip::value(&mut [0.0], 1.0).unwrap().is_empty());
    let clipped = clip::global_norm(&mut [0.0], 1.0).unwrap();
    assert!(!clipped.nothing_seen());
    assert_eq!(clipped.to_string(), "norm 0 -> 0");
}
