//! Every rule is told once of every step what became of it.

use steadygrad::clip::{Clipper, GlobalNorm};
use steadygrad::detect::{NormThreshold, Plateau, WeightGrowth};
use steadygrad::{
    Ask, Edit, Error, Factor, Guard, OnNonFinite, Outcome, Pen, Result, Stats, Step, StepView,
    Tell, Tensor, TensorMut, Verdict, Wide,
};

use super::Witness;
use Verdict::{Apply, Rollback, Skip, Stop};

const NAN: f64 = f64::NAN;

fn watched(guard: Guard) -> (Guard, [Witness; 2]) {
    let witnesses = [Witness::default(), Witness::default()];
    let [clipper, detector] = witnesses.clone();
    (guard.clip(clipper).detect(detector), witnesses)
}

#[test]
fn every_way_a_step_can_go_is_told_once() {
    let rules = Guard::new()
        .detect_with(Rollback, NormThreshold::new(100.0).unwrap())
        .clip(GlobalNorm::new(1.0).unwrap())
        .max_skips(1);
    let (mut guard, [clipper, detector]) = watched(rules);
    let mut expected = vec![];
    for (norm, verdict) in [(2.0, Apply), (NAN, Skip), (200.0, Rollback), (NAN, Stop)] {
        assert_eq!(guard.step(&mut [norm]).unwrap().verdict(), verdict);
        expected.push((expected.len() as u64 + 1, verdict));
    }
    assert_eq!(clipper.take(), expected);
    assert_eq!(detector.take(), expected);
}

#[test]
fn a_step_in_error_is_told_as_skipped() {
    let (mut guard, [clipper, _]) = watched(Guard::new().on_non_finite(OnNonFinite::Error));
    assert!(guard.step(&mut [NAN]).is_err());
    assert!(
        guard
            .step(Step::new(&mut [1.0]).params(&[1.0, 2.0]))
            .is_err()
    );
    assert!(guard.step(&mut [1.0]).is_ok());
    assert_eq!(clipper.take(), [(1, Skip), (2, Skip), (3, Apply)]);

    let (guard, [clipper, _]) = watched(Guard::new());
    let mut guard = guard.detect_with(Stop, Plateau::new(0.0, 2).unwrap());
    let error = guard.step(&mut [1.0]).map(|_| ()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Unfed {
                rule: "plateau",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(clipper.take(), [(1, Skip)]);
}

/// A tensor that cannot be written.
#[derive(Debug)]
struct ReadOnly([f64; 1]);

impl Tensor for ReadOnly {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        self.0.stats(ask)
    }

    fn len(&self) -> usize {
        1
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        self.0.read(start, out)
    }
}

impl TensorMut for ReadOnly {
    fn edit(&mut self, _: &Edit<'_>, _: Tell<'_>) -> Result<()> {
        Err(Error::Storage("read only".into()))
    }

    fn write(&mut self, _: usize, _: &[f64]) -> Result<()> {
        Err(Error::Storage("read only".into()))
    }
}

#[test]
fn a_storage_that_fails_is_a_step_not_taken() {
    let (mut guard, [clipper, _]) = watched(Guard::new().clip(GlobalNorm::new(1.0).unwrap()));
    let mut tensor = ReadOnly([9.0]);
    let set: &mut dyn TensorMut = &mut tensor;
    assert!(guard.step(set).is_err());
    assert_eq!(clipper.take(), [(1, Skip)]);
}

#[test]
fn plans_are_told_when_they_are_carried_out_used_or_dropped() {
    let (mut guard, [clipper, _]) = watched(Guard::new().clip(GlobalNorm::new(1.0).unwrap()));
    let mut grads = [2.0];
    assert_eq!(
        guard
            .plan(&grads)
            .unwrap()
            .apply(&mut grads)
            .unwrap()
            .after(),
        1.0
    );
    assert_eq!(clipper.take(), [(1, Apply)]);
    assert_eq!(guard.plan(&grads).unwrap().taken().verdict(), Apply);
    assert_eq!(clipper.take(), [(2, Apply)]);
    // One that is dropped, and one that was for others.
    assert_eq!(guard.plan(&grads).unwrap().verdict(), Apply);
    assert!(guard.plan(&grads).unwrap().apply(&mut [1.0, 2.0]).is_err());
    assert_eq!(clipper.take(), [(3, Skip)]);
    let _ = guard.state();
    assert_eq!(clipper.take(), [(4, Skip)]);
    assert_eq!(guard.plan(&[NAN]).unwrap().verdict(), Skip);
    guard.reset().unwrap();
    assert_eq!(clipper.take(), [(5, Skip)]);
}

/// To twice the running mean of the norms.
#[derive(Debug)]
struct Ema {
    mean: f64,
    noted: f64,
}

impl Clipper for Ema {
    fn name(&self) -> &'static str {
        "running mean"
    }

    fn plan(&mut self, step: &StepView<'_>, pen: &mut Pen<'_>) {
        self.noted = step.grads.total().l2();
        if self.noted > 2.0 * self.mean {
            let factor = Factor::ratio(Wide::from(2.0 * self.mean), Wide::from(self.noted));
            pen.scale_all(factor);
        }
    }

    fn settle(&mut self, outcome: &Outcome<'_>) {
        if outcome.is_taken() {
            self.mean = 0.5 * self.mean + 0.5 * self.noted;
        }
    }
}

#[test]
fn a_mean_learns_nothing_from_what_a_detector_behind_it_refuses() {
    let make = || {
        Guard::new()
            .clip(Ema {
                mean: 1.0,
                noted: 0.0,
            })
            .detect_with(Skip, WeightGrowth::new(2.0).unwrap())
    };
    let (mut guard, mut other) = (make(), make());
    for (norm, weight) in [(1.0, 1.0), (1e6, 9.0), (1.5, 1.0)] {
        let (mut grads, weights) = ([norm], [weight]);
        let report = guard.step(Step::new(&mut grads).params(&weights)).unwrap();
        assert_eq!(report.verdict().is_apply(), weight < 2.0);
        let seen = report.after();
        if weight < 2.0 {
            // As if the step that was refused had not been.
            let again = other.step(Step::new(&mut [norm]).params(&weights)).unwrap();
            assert_eq!(again.after(), seen);
        }
    }
}

#[test]
fn a_rule_is_applied_once_and_told_of_it() {
    let witness = Witness::default();
    assert!(witness.clone().apply(&mut [3.0]).is_ok());
    assert!(witness.clone().apply(&mut [NAN]).is_err());
    assert_eq!(witness.take(), [(1, Apply), (1, Skip)]);
}
