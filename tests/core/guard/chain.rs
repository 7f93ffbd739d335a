//! What the rules see, each in its place, and from which steps they learn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use steadygrad::clip::{self, Clipper};
use steadygrad::{Ask, Error, Guard, Norm, Pen, Result, Stats, Step, Tensor, Verdict};
use steadygrad::{
    StepView,
    detect::{self, Alarm, Alarms, Detector, Subject},
};

use super::{NAN, above, global, value};
use crate::numbers::bits;

#[test]
fn a_detector_watches_what_its_place_in_the_chain_shows() {
    let rule = |guard: Guard| guard.clip(value(6.0)).clip(global(1.0));
    let xs = || [8.0, 6.0];
    let seen = |mut guard: Guard| {
        let mut grads = xs();
        guard
            .step(&mut grads)
            .unwrap()
            .alarms()
            .iter()
            .map(Alarm::value)
            .collect::<Vec<_>>()
    };
    let watch = || above(0.0);
    assert_eq!(seen(rule(Guard::new().detect(watch()))), [10.0]);
    assert_eq!(
        seen(
            Guard::new()
                .clip(value(6.0))
                .detect(watch())
                .clip(global(1.0))
        ),
        [72_f64.sqrt()]
    );
    let after = seen(rule(Guard::new()).detect(watch()));
    assert!((after[0] - 1.0).abs() < 1e-15);
    // Clippers too: by value first and by norm first are different things.
    let (mut a, mut b) = (xs(), xs());
    let _ = Guard::new()
        .clip(value(1.0))
        .clip(global(1.0))
        .step(&mut a)
        .unwrap();
    let _ = Guard::new()
        .clip(global(2.0))
        .clip(value(1.5))
        .step(&mut b)
        .unwrap();
    assert!(
        (a[0] - 0.5_f64.sqrt()).abs() < 1e-15 && a[0] == a[1],
        "{a:?}"
    );
    assert_eq!(b, [1.5, 6.0 * 0.2]);
}

#[test]
fn different_powers_in_one_chain_each_get_their_norm() {
    let norm = |p: f64, xs: &[f64]| {
        xs.iter()
            .map(|x| x.abs().powf(p))
            .sum::<f64>()
            .powf(1.0 / p)
    };
    let xs = [3.0_f64, -4.0, 12.0];
    for bounds in [(15.0, 11.0, 9.0), (12.5, 12.0, 12.0), (1.0, 100.0, 0.5)] {
        let rule = |max: f64, p: f64| global(max).norm(Norm::P(p)).unwrap();
        let mut guard = Guard::new()
            .clip(rule(bounds.0, 3.0))
            .clip(rule(bounds.1, 4.0))
            .clip(value(8.0))
            .clip(rule(bounds.2, 3.0));
        let mut grads = xs;
        let _ = guard.step(&mut grads).unwrap();
        let mut expected = xs;
        for (max, p) in [
            (bounds.0, 3.0),
            (bounds.1, 4.0),
            (8.0, 0.0),
            (bounds.2, 3.0),
        ] {
            if p == 0.0 {
                expected = expected.map(|x| x.clamp(-max, max));
            } else {
                let factor = (max / norm(p, &expected)).min(1.0);
                expected = expected.map(|x| x * factor);
            }
        }
        for (x, y) in grads.iter().zip(expected) {
            assert!(
                (x / y - 1.0).abs() < 1e-14,
                "{bounds:?}: {x} instead of {y}"
            );
        }
    }
}

#[test]
fn one_guard_serves_one_model_after_another() {
    let mut guard = Guard::new()
        .clip(clip::TensorNorm::new(1.0).unwrap())
        .detect(above(1e6).per_tensor());
    let first = guard
        .step(&mut [("a", vec![2.0]), ("b", vec![0.5]), ("c", vec![3.0])])
        .unwrap()
        .clone();
    let alarmed = guard.step(&mut [("a", vec![1e7_f32])]).unwrap();
    assert_eq!(alarmed.alarms().len(), 0);
    assert_eq!(
        alarmed
            .tensors()
            .map(|t| (t.name.to_owned(), t.before.l2()))
            .collect::<Vec<_>>(),
        [("a".into(), 1e7)]
    );
    // Names that change, sets that grow and shrink, an empty one in between.
    for names in [
        vec!["x", "y"],
        vec!["y", "x"],
        vec![],
        vec!["x", "y", "z", "w"],
        vec!["x"],
    ] {
        let mut grads: Vec<(&str, Vec<f64>)> =
            names.iter().map(|&name| (name, vec![4.0, 3.0])).collect();
        let report = guard.step(&mut grads).unwrap();
        assert_eq!(report.tensors().map(|t| t.name).collect::<Vec<_>>(), names);
        assert!(grads.iter().all(|(_, xs)| *xs == [4.0 * 0.2, 3.0 * 0.2]));
        assert_eq!(report.edits().len(), names.len());
        assert!(report.tensors().all(|t| !t.edit.is_keep()));
        assert!((report.after() - (names.len() as f64).sqrt()).abs() < 1e-12);
    }
    // A report that was kept still tells of its own step.
    assert_eq!(
        first.tensors().map(|t| t.name).collect::<Vec<_>>(),
        ["a", "b", "c"]
    );
    assert_eq!(first.measurement().name(2), "c");
}

/// Remembers how many steps it was asked about.
#[derive(Debug, Default)]
struct Counter(Arc<AtomicU32>);

impl Clipper for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn plan(&mut self, _step: &StepView<'_>, pen: &mut Pen<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        pen.zero_all();
    }
}

#[test]
fn no_clipper_learns_from_a_step_that_the_policy_skips() {
    let asked = Arc::default();
    let mut guard = Guard::new().clip(Counter(Arc::clone(&asked)));
    let mut grads = [-0.0, NAN];
    let _ = guard.step(&mut grads).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert_eq!(bits(&grads[..1]), bits(&[-0.0]));
    let mut grads = [-0.0, 2.0];
    let _ = guard.step(&mut grads).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(bits(&grads), [0, 0]);
}

#[test]
fn no_clipper_behind_an_alarm_that_decides_learns_from_the_step() {
    let asked = Arc::default();
    let mut guard = Guard::new()
        .detect_with(Verdict::Skip, detect::NormThreshold::new(10.0).unwrap())
        .clip(Counter(Arc::clone(&asked)));
    for norm in [1.0, 20.0, NAN, 2.0] {
        let _ = guard.step(&mut [norm]).unwrap();
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

/// Alarms while a parameter tensor is larger than the gradient tensor beside it.
#[derive(Debug)]
struct Outweighed;

impl Detector for Outweighed {
    fn name(&self) -> &'static str {
        "outweighed"
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        for (i, w) in step.params.iter().flat_map(|p| p.tensors()).enumerate() {
            let (w, g) = (w.l2(), step.grads.tensor(i).l2());
            if w > g {
                let alarm = step.alarm("outweighed", Subject::Parameter(i));
                alarms.raise(alarm.above("norm", w, g));
            }
        }
    }
}

#[test]
fn parameters_reach_detectors_only_if_they_are_given() {
    let mut guard = Guard::new().detect(Outweighed);
    let grads = vec![vec![1.0_f32], vec![2.0]];
    let params = vec![vec![0.5_f32], vec![9.0]];
    let report = guard
        .plan(Step::new(&grads).params(&params).loss(1.0))
        .unwrap();
    assert_eq!(
        report.report().alarms()[0].to_string(),
        "step 1: the norm of parameter 1 is 9.000, above 2.000 (outweighed)"
    );
    let without = guard.plan(&grads).unwrap();
    assert!(without.report().alarms().is_empty());
}

#[test]
fn an_error_of_a_tensor_passes_through_and_changes_nothing() {
    #[derive(Debug)]
    struct Lost;
    impl Tensor for Lost {
        fn stats(&self, _ask: &mut Ask<'_>) -> Result<Stats> {
            Err(Error::Storage("gone".into()))
        }
        fn len(&self) -> usize {
            1
        }
        fn read(&self, _start: usize, _out: &mut [f64]) -> Result<()> {
            Err(Error::Storage("gone".into()))
        }
    }
    let mut guard = Guard::new().clip(global(1.0));
    let params: &dyn Tensor = &Lost;
    let mut grads = [3.0, 4.0];
    let error = guard
        .step(Step::new(&mut grads).params(&params))
        .unwrap_err();
    assert_eq!(error.to_string(), "tensor storage: gone");
    assert_eq!(grads, [3.0, 4.0]);
    assert_eq!(guard.step(&mut grads).unwrap().after(), 1.0);
}
