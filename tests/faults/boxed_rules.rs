//! Kind 18: boxed rules, unsized parameters.

use steadygrad::clip::{self, Clipper};
use steadygrad::detect::{self, Detector, Subject};
use steadygrad::penalty::{L1, L2, Penalty};
use steadygrad::{Guard, Step, Tensor, TensorSet};

use crate::random::Watch;

#[test]
fn boxed_rules_are_the_rules() {
    let clippers = || -> Vec<Box<dyn Clipper>> {
        vec![
            Box::new(clip::Value::between(0.0, 2.5).unwrap()),
            Box::new(clip::TensorNorm::new(2.0).unwrap()),
            Box::new(Box::new(clip::GlobalNorm::new(1.0).unwrap())),
        ]
    };
    let detectors = || -> Vec<Box<dyn Detector>> {
        vec![
            Box::new(detect::NonFinite),
            Box::new(detect::NormThreshold::new(0.5).unwrap()),
        ]
    };
    let boxed = clippers().into_iter().fold(Guard::new(), Guard::clip);
    let mut boxed = detectors().into_iter().fold(boxed, Guard::detect);
    let mut plain = Guard::new()
        .clip(clip::Value::between(0.0, 2.5).unwrap())
        .clip(clip::TensorNorm::new(2.0).unwrap())
        .clip(clip::GlobalNorm::new(1.0).unwrap())
        .detect(detect::NonFinite)
        .detect(detect::NormThreshold::new(0.5).unwrap());
    for grads in [[[3.0_f32, -4.0], [1.0, 0.5]], [[f32::NAN, 1.0], [0.0, 2.0]]] {
        let (mut a, mut b) = (grads, grads);
        assert_eq!(
            boxed.step(&mut a).unwrap().to_string(),
            plain.step(&mut b).unwrap().to_string()
        );
        assert_eq!(
            a.map(|xs| xs.map(f32::to_bits)),
            b.map(|xs| xs.map(f32::to_bits))
        );
    }
}

/// What a box does not pass on, the default of the trait would answer.
#[test]
fn a_box_passes_on_everything() {
    let rule = clip::GlobalNorm::new(1.0).unwrap();
    let rule = rule.norm(steadygrad::Norm::P(3.0)).unwrap();
    let boxed: Box<dyn Clipper> = Box::new(rule);
    assert_eq!((boxed.needs(), boxed.name()), (rule.needs(), rule.name()));
    assert_ne!(
        (boxed.needs(), boxed.name()),
        (steadygrad::Needs::default(), "clipper")
    );
    let watch = || Watch {
        norm: steadygrad::Norm::P(3.0),
        max: 1.0,
        each: false,
    };
    let boxed: Box<dyn Detector> = Box::new(watch());
    assert_eq!(boxed.needs(), watch().needs());
    assert_ne!(boxed.needs(), steadygrad::Needs::default());
}

#[test]
fn boxed_penalties_are_the_penalties() {
    let (l1, l2) = (L1::new(0.5).unwrap(), L2::new(0.25).unwrap());
    let boxed: [Box<dyn Penalty>; 2] = [Box::new(l1), Box::new(l2.on(|name: &str| name == "b"))];
    let weights = [("w", [3.0_f32, -4.0]), ("b", [2.0, 0.0])];
    let mut grads = [("w", [0.0_f64; 2]), ("b", [0.0; 2])];
    let values = boxed.map(|penalty| penalty.apply(&weights, &mut grads).unwrap());
    assert_eq!(values, [3.5, 0.5]);
    assert_eq!(grads, [("w", [0.5, -0.5]), ("b", [0.5, 0.0])]);
}

#[test]
fn parameters_may_be_without_a_size() {
    let (mut g, w) = (vec![3.0_f32, 4.0], [1.0_f32, f32::NAN]);
    let boxed: Box<dyn TensorSet> = Box::new(w);
    let tensor: &dyn Tensor = &w;
    let mut guard = Guard::new();
    let mut subjects = vec![
        subject(
            guard
                .step(Step::new(&mut g[..]).params(&w[..]).loss(1.0))
                .unwrap()
                .report(),
        ),
        subject(
            guard
                .step(Step::new(&mut g).loss(1.0).params(&*boxed))
                .unwrap()
                .report(),
        ),
        subject(
            guard
                .step(Step::new(&mut g).params(tensor))
                .unwrap()
                .report(),
        ),
        subject(
            guard
                .plan(Step::new(&g[..]).params(&w[..]))
                .unwrap()
                .report(),
        ),
        subject(
            guard
                .plan(Step::new(&g).params(&*boxed).loss(1.0))
                .unwrap()
                .report(),
        ),
    ];
    subjects.dedup();
    assert_eq!(subjects, [Subject::Parameter(0)]);

    // The last parameters given count, of whatever type.
    let step = Step::new(&mut g).params(&w[..]).params(&[1.0_f64, 2.0]);
    assert!(guard.step(step).unwrap().verdict().is_apply());
}

fn subject(report: &steadygrad::Report) -> Subject {
    report.non_finite().unwrap().subject()
}
