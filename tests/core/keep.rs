//! What is kept comes back bit for bit, and later decisions with it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use steadygrad::detect::{Alarms, Detector, NormThreshold, PersistentNorm, Plateau, Severity};
use steadygrad::keep::{Keep, Memory, Tensors};
use steadygrad::prelude::*;
use steadygrad::set::Two;
use steadygrad::{Error, Guard, Outcome, Report, State, Step, StepView, TensorMut, Verdict, clip};

/// The bits of every element, by way of `f64`, which tells all apart that are not NaN.
fn bits(set: &(impl TensorSet + ?Sized)) -> Vec<(String, Vec<u64>)> {
    let mut all = vec![];
    set.visit(&mut |name, tensor| {
        let mut values = vec![0.0; steadygrad::Tensor::len(&tensor)];
        steadygrad::Tensor::read(&tensor, 0, &mut values)?;
        let bits = values.into_iter().map(f64::to_bits).collect();
        all.push((name.to_string(), bits));
        Ok(())
    })
    .unwrap();
    all
}

/// Keeps the set, spoils it, and brings it back, twice into the same memory.
fn comes_back(set: &mut (impl TensorSetMut + ?Sized)) {
    let mut kept = Tensors::default();
    let before = bits(set);
    for _ in 0..2 {
        kept.take(set).unwrap();
        set.visit_mut(&mut |_, tensor| {
            for i in 0..tensor.len() {
                tensor.write(i, &[f64::NAN])?;
            }
            Ok(())
        })
        .unwrap();
        kept.give(set).unwrap();
        assert_eq!(bits(set), before);
    }
    assert_eq!(kept.len(), before.len());
}

fn cases(n: u32) -> ProptestConfig {
    ProptestConfig {
        cases: n,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn every_float_comes_back(
        wide in prop::collection::vec(any::<u64>(), 0..40),
        narrow in prop::collection::vec(any::<u32>(), 0..40),
    ) {
        let not_nan = |x: &f64| !x.is_nan();
        let wide: Vec<f64> = wide.into_iter().map(f64::from_bits).filter(not_nan).collect();
        let narrow: Vec<f32> =
            narrow.into_iter().map(f32::from_bits).filter(|x| !x.is_nan()).collect();
        #[cfg(feature = "half")]
        {
            use half::{bf16, f16};
            use steadygrad::half;
            let halves = narrow.iter().map(|x| x.to_bits() as u16);
            comes_back(&mut halves.clone().map(f16::from_bits).filter(|x| !x.is_nan()).collect::<Vec<_>>());
            comes_back(&mut halves.map(bf16::from_bits).filter(|x| !x.is_nan()).collect::<Vec<_>>());
        }
        comes_back(&mut Two(narrow, wide));
    }
}

#[test]
fn every_kind_of_set_comes_back() {
    let odd = || vec![-0.0_f32, f32::from_bits(1), f32::MAX, -1.5];
    comes_back(&mut odd());
    comes_back(odd().as_mut_slice());
    comes_back(&mut [0.1_f64, f64::from_bits(1), -0.0]);
    comes_back(&mut 0.1_f64);
    comes_back(&mut vec![odd(), vec![], odd()]);
    comes_back(&mut [Some(odd()), None]);
    comes_back(&mut [("w", odd()), ("b", vec![1.0])]);
    comes_back(&mut BTreeMap::from([("x".to_string(), odd())]));
    let (mut a, mut b) = (odd(), [0.1_f64]);
    let mut mixed: [(&str, &mut dyn TensorMut); 2] = [("a", &mut a), ("b", &mut b)];
    comes_back(&mut mixed);
    let empty: &mut [Vec<f32>] = &mut [];
    comes_back(empty);
    #[cfg(feature = "ndarray")]
    {
        use steadygrad::ndarray::{Array2, Array3, s};
        let square = Array2::from_shape_fn((5, 4), |(i, j)| 0.1_f64 * (i as f64) - j as f64);
        comes_back(&mut square.clone());
        comes_back(&mut square.clone().reversed_axes());
        let mut large = Array3::<f32>::from_elem((30, 40, 50), 0.3);
        let before = large.clone();
        // A view lends no slice, and what lies beside it stays.
        comes_back(&mut large.slice_mut(s![..;2, .., 1..]));
        assert_eq!(large, before);
    }
}

#[test]
fn another_set_is_an_error_that_says_which() {
    let mut kept = Tensors::default();
    kept.take(&[("w", vec![1.0_f32; 2]), ("b", vec![2.0; 3])])
        .unwrap();
    let message = |set: &mut dyn TensorSetMut, kept: &mut Tensors| {
        let before = bits(set);
        let error = kept.give(set).unwrap_err().to_string();
        assert_eq!(bits(set), before, "nothing is changed");
        error
    };
    let kept = &mut kept;
    assert_eq!(
        message(&mut [("w", vec![0.0_f32; 2]), ("c", vec![0.0; 3])], kept),
        "tensor 1: expected the name \"b\", found \"c\""
    );
    assert_eq!(
        message(&mut [("w", vec![0.0_f32; 2]), ("b", vec![0.0; 4])], kept),
        "state: expected b to have 3 elements, found 4"
    );
    assert_eq!(
        message(&mut [("w", vec![0.0_f32; 2])], kept),
        "tensors of what is kept: expected 2, found 1"
    );
    let mut three = [("w", vec![0.0_f32; 2]), ("b", vec![0.0; 3]), ("c", vec![])];
    assert_eq!(
        message(&mut three, kept),
        "tensors of what is kept: expected 2, found 3"
    );
    // The memory is free for another set.
    comes_back(&mut three);
    kept.take(&three).unwrap();
    kept.take(&[("w", [7.0_f64])]).unwrap();
    assert_eq!((kept.len(), kept.elements()), (1, 1));
    #[cfg(feature = "ndarray")]
    {
        use steadygrad::ndarray::Array2;
        kept.take(&Array2::<f32>::zeros((2, 3))).unwrap();
        let turned = &mut Array2::<f32>::ones((3, 2));
        assert_eq!(
            message(turned, kept),
            "state: expected the tensor to have shape [2, 3], found [3, 2]"
        );
        // One that knows no axes fits.
        kept.give(&mut [1.0_f32; 6]).unwrap();
    }
}

/// An alarm on the signals that say so.
#[derive(Debug)]
struct Said(f64, Severity);

impl Detector for Said {
    fn name(&self) -> &'static str {
        "said"
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        if let Some(said) = step.signal("say").filter(|&said| said == self.0) {
            let alarm = step.alarm("said", steadygrad::detect::Subject::Loss);
            alarms.raise(alarm.above("signal", said, 0.0).severity(self.1));
        }
    }
}

/// Says on each step what it is told to: 0 apply, 1 skip, 2 roll back, 3 stop, 4 apply with a grave alarm, 5 apply with
/// an ordinary one.
pub(crate) fn told() -> Guard {
    Guard::new()
        .detect_with(Verdict::Skip, Said(1.0, Severity::Warning))
        .detect_with(Verdict::Rollback, Said(2.0, Severity::Warning))
        .detect_with(Verdict::Stop, Said(3.0, Severity::Warning))
        .detect(Said(4.0, Severity::Grave))
        .detect(Said(5.0, Severity::Warning))
}

#[test]
fn what_is_kept_is_between_k_and_2k_healthy_steps_old() {
    let say = |guard: &mut Guard, keep: &mut Keep, w: f64, what: u8| {
        let mut grads = [0.5];
        let step = Step::new(&mut grads).signal("say", what.into());
        let mut step = guard.step(step).unwrap();
        keep.note(&mut step, &[w]).unwrap();
    };
    let kept_after = |k: u64, said: &[u8]| {
        let (mut guard, mut keep) = (told(), Keep::after(k).unwrap());
        let kept = said.iter().enumerate().map(|(i, &what)| {
            say(&mut guard, &mut keep, i as f64 + 1.0, what);
            // What comes back is what was noted on the step of which it says so.
            let (mut w, mut copy) = ([0.0], keep.clone());
            copy.bring_back(&mut told(), &mut w).unwrap();
            assert_eq!(Some(w[0] as u64), keep.step());
            keep.step().unwrap()
        });
        kept.collect::<Vec<_>>()
    };
    assert_eq!(kept_after(3, &[0; 11]), [1, 1, 1, 2, 2, 2, 5, 5, 5, 8, 8]);
    assert_eq!(kept_after(1, &[0; 4]), [1, 2, 3, 4]);
    // A step that is skipped does not count, and ends nothing.
    assert_eq!(
        kept_after(2, &[0, 1, 0, 1, 0, 1, 0, 0]),
        [1, 1, 1, 1, 3, 3, 3, 7]
    );
    // An ordinary alarm is no harm; a grave one is, and so is a verdict to go back.
    assert_eq!(kept_after(2, &[0, 0, 5, 5, 5]), [1, 1, 2, 2, 4]);
    assert_eq!(kept_after(2, &[0, 0, 4, 0, 0, 0]), [1, 1, 1, 1, 1, 5]);
    assert_eq!(kept_after(2, &[0, 0, 2, 0, 0, 0]), [1, 1, 1, 1, 1, 5]);
}

#[test]
fn nan_is_never_kept() {
    // Nobody else looks at these parameters.
    let (mut guard, mut keep) = (Guard::new(), Keep::after(1).unwrap());
    let mut note = |w: f32, keep: &mut Keep| {
        let mut step = guard.step(&mut [0.5_f32]).unwrap();
        keep.note(&mut step, &[("w", [1.0, w])])
    };
    let error = note(f32::NAN, &mut keep).unwrap_err();
    assert!(matches!(&error, Error::NonFinite { what, nan: 1, index: 1, .. } if what == "w"));
    assert_eq!(keep.step(), None);
    for w in [3.0, 4.0, f32::NAN, f32::NAN, 5.0, 6.0] {
        note(w, &mut keep).unwrap();
    }
    let mut w = [("w", [0.0_f32; 2])];
    keep.bring_back(&mut Guard::new(), &mut w).unwrap();
    assert_eq!(w[0].1, [1.0, 6.0]);
    let nothing = Keep::after(1)
        .unwrap()
        .bring_back(&mut Guard::new(), &mut w);
    assert_eq!(
        nothing.unwrap_err().to_string(),
        "state: expected something kept, found nothing"
    );
}

/// Clips to the mean of the norms it has learnt from.
#[derive(Debug, Default)]
struct Mean {
    sum: f64,
    count: u64,
    noted: f64,
}

impl Clipper for Mean {
    fn name(&self) -> &'static str {
        "mean"
    }

    fn plan(&mut self, step: &StepView<'_>, pen: &mut steadygrad::Pen<'_>) {
        self.noted = step.grads.total().l2();
        let mean = self.sum / self.count as f64;
        if self.count > 0 && self.noted > mean {
            pen.scale_all(steadygrad::Factor::new(mean / self.noted).unwrap());
        }
    }

    fn settle(&mut self, outcome: &Outcome<'_>) {
        if outcome.is_taken() {
            (self.sum, self.count) = (self.sum + self.noted, self.count + 1);
        }
    }

    fn save(&self, state: &mut State) {
        state.put("sum", self.sum);
        state.put("count", self.count);
    }

    fn load(&mut self, state: &State) -> steadygrad::Result<()> {
        (self.sum, self.count) = (state.get("sum")?, state.get("count")?);
        Ok(())
    }
}

fn watchful() -> Guard {
    Guard::new()
        .detect_with(Verdict::Rollback, NormThreshold::new(50.0).unwrap())
        .detect(PersistentNorm::new(3.0, 4).unwrap())
        .detect(Plateau::new(0.01, 6).unwrap())
        .clip(Mean::default())
        .clip(clip::GlobalNorm::new(9.0).unwrap())
}

/// What a step decided, in numbers that can be compared: factor, verdict, alarms.
fn decided(report: &Report) -> (u64, u64, Verdict, Vec<String>) {
    let alarms = report.alarms().iter().map(ToString::to_string);
    (
        report.step(),
        report.factor().to_bits(),
        report.verdict(),
        alarms.collect(),
    )
}

/// One step of a small least-squares problem with momentum; the batch is the step's own.
fn train(
    guard: &mut Guard,
    keep: &mut Keep,
    batch: u64,
    run: &mut [(&str, Vec<f64>); 2],
) -> (u64, u64, Verdict, Vec<String>) {
    let scale = 1.0 + 0.3 * ((batch * 7 % 11) as f64);
    let (w, v) = run.split_at_mut(1);
    let (w, v) = (&mut w[0].1, &mut v[0].1);
    let mut grads: Vec<f64> = w.iter().map(|w| scale * (w - 0.5)).collect();
    let loss: f64 = w.iter().map(|w| scale * (w - 0.5) * (w - 0.5) / 2.0).sum();
    let (params, set) = (w.clone(), [("w", w.clone()), ("v", v.clone())]);
    let mut step = guard
        .step(Step::new(&mut grads).params(&params).loss(loss))
        .unwrap();
    keep.note(&mut step, &set).unwrap();
    let decided = decided(&step);
    if step.verdict().is_apply() {
        for ((w, v), g) in w.iter_mut().zip(v).zip(&grads) {
            *v = 0.9 * *v + g;
            *w -= 0.05 * *v;
        }
    }
    decided
}

#[test]
fn with_the_same_batches_every_later_decision_and_bit_is_the_same() {
    for k in [1, 3, 7] {
        for lost_at in 2..30 {
            let mut run = [("w", vec![3.0, -2.0, 0.1]), ("v", vec![0.0; 3])];
            let (mut guard, mut keep) = (watchful(), Keep::after(k).unwrap());
            let mut history = vec![];
            for batch in 1..=60 {
                let before = bits(&run);
                history.push((before, train(&mut guard, &mut keep, batch, &mut run)));
            }
            // The same until something goes wrong: the weights jump, the rules see nonsense.
            let mut run = [("w", vec![3.0, -2.0, 0.1]), ("v", vec![0.0; 3])];
            let (mut guard, mut keep) = (watchful(), Keep::after(k).unwrap());
            for batch in 1..=lost_at {
                train(&mut guard, &mut keep, batch, &mut run);
            }
            for i in 0..3 {
                run[0].1[0] = 100.0 + f64::from(i);
                let lost = train(&mut guard, &mut keep, lost_at, &mut run);
                assert_eq!(lost.2, Verdict::Rollback);
            }
            assert!(guard.report().step() > lost_at);
            keep.bring_back(&mut guard, &mut run).unwrap();
            let back = keep.step().unwrap();
            assert!(
                back <= lost_at && back + 2 * k > lost_at.saturating_sub(1),
                "{back} of {lost_at}"
            );
            for batch in back..=60 {
                let (before, decided) = &history[batch as usize - 1];
                assert_eq!(
                    &bits(&run),
                    before,
                    "before step {batch}, back from {lost_at} to {back}"
                );
                assert_eq!(&train(&mut guard, &mut keep, batch, &mut run), decided);
            }
        }
    }
}

#[test]
fn what_counts_failures_goes_on_through_a_rollback() {
    use Verdict::{Apply, Rollback, Stop};
    let (mut guard, mut keep, mut w) = (told(), Keep::after(1).unwrap(), [1.0]);
    let mut verdicts = vec![];
    for what in [0, 0, 2, 2, 2, 2] {
        let mut grads = [0.5];
        let mut step = guard
            .step(Step::new(&mut grads).signal("say", what.into()))
            .unwrap();
        keep.note(&mut step, &w).unwrap();
        verdicts.push((step.step(), step.verdict()));
        if step.verdict() == Rollback {
            keep.bring_back(&mut guard, &mut w).unwrap();
        }
    }
    assert_eq!(
        verdicts,
        [
            (1, Apply),
            (2, Apply),
            (3, Rollback),
            (2, Rollback),
            (2, Rollback),
            (2, Stop)
        ]
    );
    // The report tells of the step that led back, the state of where it led.
    keep.bring_back(&mut guard, &mut w).unwrap();
    assert_eq!((guard.report().step(), guard.state().step), (2, 1));
    assert_eq!(guard.report().rollbacks(), 4);
}

#[test]
fn a_guard_of_other_rules_is_refused_and_nothing_changed() {
    let (mut guard, mut keep, mut w) = (Guard::new(), Keep::after(1).unwrap(), [1.0]);
    keep.start(&mut guard, &w).unwrap();
    w[0] = 2.0;
    let error = keep.bring_back(&mut told(), &mut w).unwrap_err();
    assert_eq!(error.to_string(), "state: expected 5 rules, found 0");
    assert_eq!(w, [2.0]);
    let error = keep.bring_back(&mut guard, &mut [1.0; 2]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "state: expected the tensor to have 1 elements, found 2"
    );
}
