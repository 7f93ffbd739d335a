//! The guard: policies, order, reads and writes, what it reports.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use steadygrad::clip::{self, Clipper};
use steadygrad::detect::{self, Alarm, Detector, StepView, Subject};
use steadygrad::set::{Visitor, VisitorMut};
use steadygrad::{
    Ask, Edit, Edits, Error, Factor, Guard, Norm, OnNonFinite, Report, Result, Stats, Step, Tensor,
    TensorMut, TensorRef, TensorSet, TensorSetMut, Verdict, Watch,
};

use crate::numbers::bits;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

/// A tensor that counts how often its memory is walked.
#[derive(Debug, Default)]
struct Counted {
    xs: Vec<f64>,
    reads: Cell<u32>,
    writes: u32,
    /// Whether it can tell what an edit left while it writes.
    fuses: bool,
}

impl Counted {
    fn new(xs: &[f64]) -> Self {
        Self {
            xs: xs.to_vec(),
            fuses: true,
            ..Self::default()
        }
    }

    /// Reads and writes since the last call.
    fn take(&mut self) -> (u32, u32) {
        (self.reads.take(), core::mem::take(&mut self.writes))
    }
}

impl Tensor for Counted {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        self.reads.set(self.reads.get() + 1);
        self.xs.stats(ask)
    }

    fn len(&self) -> usize {
        self.xs.len()
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        self.reads.set(self.reads.get() + 1);
        self.xs.read(start, out)
    }
}

impl TensorMut for Counted {
    fn edit(&mut self, edit: &Edit<'_>) -> Result<()> {
        self.writes += 1;
        self.xs.edit(edit)
    }

    fn edit_and_measure(&mut self, edit: &Edit<'_>, p: Option<f64>) -> Result<Stats> {
        self.edit(edit)?;
        if self.fuses {
            return self.xs.stats(&mut Ask {
                p,
                ..Ask::default()
            });
        }
        self.stats(&mut Ask {
            p,
            ..Ask::default()
        })
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.writes += 1;
        self.xs.add(start, values)
    }
}

impl TensorSet for Counted {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        f("", TensorRef::Other(self))
    }
}

impl TensorSetMut for Counted {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        f("", self)
    }
}

fn global(max: f64) -> clip::GlobalNorm {
    clip::GlobalNorm::new(max).unwrap()
}

fn value(bound: f64) -> clip::Value {
    clip::Value::new(bound).unwrap()
}

fn above(max: f64) -> detect::NormThreshold {
    detect::NormThreshold::new(max).unwrap()
}

/// What, by which rules, on which gradients, and the reads and writes it takes.
type Row = (&'static str, Guard, &'static [f64], (u32, u32));

fn rows() -> Vec<Row> {
    let cube = || global(1.0).norm(Norm::P(3.0)).unwrap();
    vec![
        ("no rule", Guard::new(), &[3.0, 4.0], (1, 0)),
        (
            "not needed",
            Guard::new().clip(global(5.0)),
            &[3.0, 4.0],
            (1, 0),
        ),
        (
            "not needed by any",
            Guard::new().clip(value(4.0)).clip(global(5.0)),
            &[3.0, 4.0],
            (1, 0),
        ),
        (
            "zeros",
            Guard::new().clip(global(0.0)).clip(value(0.0)),
            &[0.0, -0.0],
            (1, 0),
        ),
        (
            "needed",
            Guard::new().clip(global(1.0)),
            &[3.0, 4.0],
            (1, 1),
        ),
        (
            "twice, by arithmetic",
            Guard::new().clip(global(2.0)).clip(global(1.0)),
            &[3.0, 4.0],
            (1, 1),
        ),
        (
            "watched before and after",
            Guard::new()
                .detect(above(1.0))
                .clip(global(2.0))
                .detect(above(1.0))
                .clip(global(1.0))
                .detect(above(0.5)),
            &[3.0, 4.0],
            (1, 1),
        ),
        (
            "another norm",
            Guard::new().clip(global(2.0)).clip(cube()),
            &[3.0, 4.0],
            (1, 1),
        ),
        (
            "a clamp that bites",
            Guard::new().clip(value(3.5)),
            &[3.0, 4.0],
            (1, 1),
        ),
        (
            "a norm, then a clamp that does not bite",
            Guard::new().clip(global(1.0)).clip(value(0.9)),
            &[3.0, 4.0],
            (1, 1),
        ),
        (
            "a rule after a clamp that bites",
            Guard::new().clip(value(3.5)).clip(global(1.0)),
            &[3.0, 4.0],
            (2, 1),
        ),
        (
            "two rules after a clamp that bites",
            Guard::new()
                .clip(value(3.5))
                .clip(global(2.0))
                .clip(global(1.0)),
            &[3.0, 4.0],
            (3, 1),
        ),
        (
            "not finite",
            Guard::new().clip(global(1.0)),
            &[NAN, 4.0],
            (1, 0),
        ),
        (
            "zeroed",
            Guard::new()
                .clip(value(0.5))
                .clip(global(1.0))
                .on_non_finite(OnNonFinite::ZeroAll),
            &[INF, 4.0],
            (1, 1),
        ),
    ]
}

#[test]
fn one_read_and_at_most_one_write() {
    for (what, mut guard, xs, expected) in rows() {
        for _ in 0..3 {
            let mut grads = Counted::new(xs);
            let _ = guard.step(&mut grads).unwrap();
            assert_eq!(grads.take(), expected, "{what}");
        }
        // Planning reads as much and writes nothing.
        let mut grads = Counted::new(xs);
        let _ = guard.plan(&grads).unwrap();
        assert_eq!(grads.take(), (expected.0, 0), "planning: {what}");
    }
}

#[test]
fn rules_that_change_nothing_after_a_clamp_share_one_read() {
    let mut guard = Guard::new()
        .clip(value(3.5))
        .detect(above(9.0))
        .detect(above(9.0))
        .clip(global(100.0));
    let mut grads = Counted::new(&[3.0, 4.0]);
    let _ = guard.step(&mut grads).unwrap();
    assert_eq!(grads.take(), (2, 1));
}

#[test]
fn the_one_line_functions_read_once_too() {
    let mut grads = Counted::new(&[3.0, 4.0]);
    let _ = clip::global_norm(&mut grads, 9.0).unwrap();
    assert_eq!(grads.take(), (1, 0));
    let _ = clip::value(&mut grads, 4.0).unwrap();
    assert_eq!(grads.take(), (1, 0));
    let _ = clip::tensor_norm(&mut grads, 2.5).unwrap();
    assert_eq!(grads.take(), (1, 1));
    let _ = clip::value(&mut grads, 1.75).unwrap();
    assert_eq!((grads.take(), &grads.xs[..]), ((1, 1), &[1.5, 1.75][..]));

    let mut optional = Some(grads);
    let _ = clip::value(&mut optional, 1.625).unwrap();
    let mut edits = Edits::for_count(1);
    edits.clamp(0, -1.0, 1.0);
    let left = optional.edit_and_measure(&edits.get(0), None).unwrap();
    assert_eq!((left.l1(), optional.unwrap().take()), (2.0, (1, 2)));
}

#[test]
fn tensors_that_are_kept_are_not_written() {
    let mut grads = vec![
        Some(Counted::new(&[30.0])),
        None,
        Some(Counted::new(&[0.5])),
        Some(Counted::new(&[NAN])),
    ];
    let mut guard = Guard::new()
        .clip(clip::TensorNorm::new(1.0).unwrap())
        .on_non_finite(OnNonFinite::Propagate);
    let report = guard.step(&mut grads).unwrap();
    assert_eq!(report.abstained(), ["tensor norm clip"]);
    let counts: Vec<_> = grads.iter_mut().flatten().map(Counted::take).collect();
    assert_eq!(counts, [(1, 1), (1, 0), (1, 0)]);
    assert_eq!(grads[0].as_ref().unwrap().xs, [1.0]);
    assert!(
        guard
            .step(&mut grads)
            .unwrap()
            .to_string()
            .ends_with("tensor norm clip left what is not finite as it is")
    );
}

#[test]
fn a_tensor_that_cannot_fuse_is_looked_at_again() {
    let mut grads = Counted {
        fuses: false,
        ..Counted::new(&[3.0, 4.0])
    };
    let mut guard = Guard::new().clip(value(3.0));
    let report = guard.step(&mut grads).unwrap();
    assert_eq!(report.after(), 18_f64.sqrt());
    assert_eq!(grads.take(), (2, 1));
}

/// Where something is not finite.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Gradient,
    Loss,
    Params,
    GradientAndParams,
}

#[test]
fn every_policy_on_everything_that_can_be_not_finite() {
    use OnNonFinite::{Error as Refuse, Propagate, Skip, ZeroAll, ZeroTensor};
    use Place::{Gradient, GradientAndParams, Loss, Params};
    for bad in [NAN, INF, -INF] {
        for policy in [Skip, Refuse, ZeroTensor, ZeroAll, Propagate] {
            for place in [Gradient, Loss, Params, GradientAndParams] {
                let at = |places: &[Place], x: f64| if places.contains(&place) { bad } else { x };
                let mut grads = [
                    ("w", vec![-0.0, 40.0]),
                    ("v", vec![1.0, at(&[Gradient, GradientAndParams], 2.0)]),
                ];
                let before = [bits(&grads[0].1), bits(&grads[1].1)];
                let params = [
                    ("w", vec![0.0, 0.0]),
                    ("v", vec![at(&[Params, GradientAndParams], 2.0), 1.0]),
                ];
                let mut guard = Guard::new().clip(global(1.0)).on_non_finite(policy);
                let context = format!("{bad} in {place:?} under {policy:?}");
                let step = Step::new(&mut grads).params(&params).loss(at(&[Loss], 0.5));
                let result = guard.step(step).cloned();
                let (nan, inf) = (u64::from(bad.is_nan()), u64::from(bad.is_infinite()));

                if policy == Refuse {
                    let (what, index) = match place {
                        Loss => ("the loss", 0),
                        Gradient | GradientAndParams => ("gradient v", 1),
                        Params => ("parameter v", 0),
                    };
                    assert_eq!(
                        result.unwrap_err(),
                        Error::NonFinite {
                            what: what.into(),
                            nan,
                            inf,
                            index
                        },
                        "{context}"
                    );
                    assert_eq!([bits(&grads[0].1), bits(&grads[1].1)], before, "{context}");
                    assert!(!guard.report().verdict().is_apply(), "{context}");
                    continue;
                }
                let report = result.unwrap();
                let fault = report.non_finite().unwrap();
                assert_eq!(fault.detector(), "non-finite");
                assert_eq!(fault.value(), 1.0);
                assert_eq!(
                    fault.subject(),
                    match place {
                        Loss => Subject::Loss,
                        Gradient | GradientAndParams => Subject::Gradient(1),
                        Params => Subject::Parameter(1),
                    },
                    "{context}"
                );
                // Only gradients can be zeroed; anything else can only be skipped.
                let zeroed = place == Gradient && matches!(policy, ZeroTensor | ZeroAll);
                let applies = zeroed || policy == Propagate;
                assert_eq!(
                    report.verdict(),
                    if applies {
                        Verdict::Apply
                    } else {
                        Verdict::Skip
                    },
                    "{context}"
                );
                assert_eq!(report.skips(), u32::from(!applies));
                let untouched = [bits(&grads[0].1), bits(&grads[1].1)] == before;
                if !applies {
                    assert!(
                        untouched && !report.is_clipped() && report.abstained().is_empty(),
                        "{context}"
                    );
                } else if matches!(place, Gradient | GradientAndParams) && policy == Propagate {
                    assert!(untouched, "{context}");
                    assert_eq!(report.abstained(), ["global norm clip"], "{context}");
                } else if policy == Propagate {
                    assert!(!untouched && report.abstained().is_empty(), "{context}");
                    assert!((report.after() - 1.0).abs() < 1e-15);
                } else if policy == ZeroTensor {
                    // The rules saw what was left: −0.0 and 40.
                    assert_eq!(bits(&grads[0].1), bits(&[-0.0, 1.0]), "{context}");
                    assert_eq!(bits(&grads[1].1), [0, 0]);
                    assert_eq!(report.after(), 1.0);
                } else {
                    assert_eq!(
                        [bits(&grads[0].1), bits(&grads[1].1)],
                        [[0, 0], [0, 0]],
                        "{context}"
                    );
                    assert_eq!(report.after(), 0.0);
                }
            }
        }
    }
}

#[test]
fn a_refused_step_is_told_as_one() {
    let mut guard = Guard::new()
        .clip(global(1.0))
        .on_non_finite(OnNonFinite::Error);
    assert!(guard.step(&mut [3.0, 4.0]).unwrap().is_clipped());
    assert!(guard.step(&mut [3.0, NAN]).is_err());
    let report = guard.report();
    assert_eq!(
        (report.step(), report.is_clipped(), report.skips()),
        (2, false, 1)
    );
    assert_eq!(report.verdict(), Verdict::Skip);
    assert!(report.after().is_nan());
    // And the guard goes on.
    assert_eq!(
        guard.step(&mut [3.0, 4.0]).unwrap().verdict(),
        Verdict::Apply
    );
    assert_eq!(guard.report().skips(), 0);
}

#[test]
fn skips_in_a_row_are_capped() {
    let mut bad = [NAN];
    let mut good = [1.0];
    let mut guard = Guard::new();
    // Ten by default.
    for i in 1..=10 {
        let report = guard.step(&mut bad).unwrap();
        assert_eq!((report.verdict(), report.skips()), (Verdict::Skip, i));
    }
    for i in 11..=12 {
        let report = guard.step(&mut bad).unwrap();
        assert_eq!((report.verdict(), report.skips()), (Verdict::Stop, i));
    }
    // A good step ends the row.
    assert_eq!(guard.step(&mut good).unwrap().skips(), 0);
    assert_eq!(guard.step(&mut bad).unwrap().verdict(), Verdict::Skip);

    let mut strict = Guard::new().max_skips(0);
    assert_eq!(strict.step(&mut bad).unwrap().verdict(), Verdict::Stop);
    let mut patient = Guard::new().max_skips(u32::MAX);
    for _ in 0..100 {
        assert_eq!(patient.step(&mut bad).unwrap().verdict(), Verdict::Skip);
    }
    // Skips for other reasons count as well.
    let mut guard = Guard::new()
        .detect_with(Verdict::Skip, above(2.0))
        .max_skips(2);
    let verdicts: Vec<_> = [3.0, NAN, 3.0, 1.0, 3.0]
        .map(|x| guard.step(&mut [x]).unwrap().verdict())
        .into();
    assert_eq!(
        verdicts,
        [
            Verdict::Skip,
            Verdict::Skip,
            Verdict::Stop,
            Verdict::Apply,
            Verdict::Skip
        ]
    );
}

#[test]
fn the_gravest_verdict_counts_and_only_apply_touches_gradients() {
    use Verdict::{Apply, Rollback, Skip, Stop};
    let all = [Apply, Skip, Rollback, Stop];
    for a in all {
        for b in all {
            for clip_first in [true, false] {
                let mut guard = Guard::new();
                if clip_first {
                    guard = guard.clip(global(5.0));
                }
                guard = guard.detect_with(a, above(4.0)).detect_with(b, above(3.0));
                if !clip_first {
                    guard = guard.clip(global(5.0));
                }
                let mut grads = [30.0, 40.0];
                let report = guard.step(&mut grads).unwrap();
                assert_eq!((report.verdict(), report.alarms().len()), (a.max(b), 2));
                let (norm, xs) = if a.max(b).is_apply() {
                    (5.0, [3.0, 4.0])
                } else {
                    (50.0, [30.0, 40.0])
                };
                assert_eq!(
                    (report.after(), report.is_clipped()),
                    (norm, a.max(b).is_apply())
                );
                assert_eq!(report.tensors().next().unwrap().after.unwrap().l2(), norm);
                assert_eq!(grads, xs);
                // A policy that skips is outvoted only by what is graver.
                let report = guard.step(Step::new(&mut grads).loss(NAN)).unwrap();
                let alarms = !clip_first || norm > 4.0;
                assert_eq!(
                    report.verdict(),
                    if alarms { a.max(b).max(Skip) } else { Skip }
                );
                // Without an alarm, nothing but the policy.
                assert_eq!(guard.step(&mut [1.0]).unwrap().verdict(), Apply);
            }
        }
    }
}

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
fn a_report_says_everything_in_one_line() {
    let mut guard = Guard::new().clip(global(1.0));
    let line = |report: &Report| report.to_string();
    assert_eq!(line(guard.report()), "step 0: norm 0; apply");
    assert_eq!(
        line(guard.step(&mut [0.3]).unwrap()),
        "step 1: norm 0.3000; apply"
    );
    assert_eq!(
        line(guard.step(Step::new(&mut [30.0, 40.0]).loss(2.5)).unwrap()),
        "step 2: norm 50.00 -> 1.000, scaled by 0.02000, loss 2.500; apply"
    );
    assert_eq!(
        line(guard.step(&mut [NAN, INF]).unwrap()),
        "step 3: norm NaN; skip (1 in a row); the gradient has 1 NaN and 1 infinite elements, the first at index 0 (non-finite)"
    );
    assert_eq!(
        line(guard.step(Step::new(&mut [1.0]).loss(-INF)).unwrap()),
        "step 4: norm 1.000, loss -inf; skip (2 in a row); the loss is infinite (non-finite)"
    );
    assert_eq!(
        line(guard.step(&mut [f64::MAX, f64::MAX]).unwrap()),
        "step 5: norm 2.542e308 -> 1.000, scaled by 3.933e-309; apply"
    );

    let mut guard = Guard::new()
        .clip(value(2.0))
        .detect_with(Verdict::Rollback, above(100.0));
    assert_eq!(
        line(guard.step(&mut vec![vec![3.0], vec![1.0], vec![]]).unwrap()),
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
        line(guard.step(&mut [101.0]).unwrap()),
        "step 1: norm 101.0; roll back; the norm of the gradients is 101.0, above 100.0 (norm threshold)"
    );
    // A finding of the policy is not said twice.
    let mut guard = Guard::new().detect(detect::NonFinite).max_skips(0);
    assert_eq!(
        line(guard.step(&mut [("w", [NAN])]).unwrap()),
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
struct Pushes(fn(&mut Edits));

impl Clipper for Pushes {
    fn plan(&mut self, _step: &StepView<'_>, edits: &mut Edits) {
        self.0(edits);
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
    assert_eq!(pushed(|edits| edits.scale_units(0, 0, &[-0.25])), 0.25);
    let mixed = pushed(|edits| {
        edits.scale_all(Factor::new(0.5).unwrap());
        edits.clamp(0, -1.0, 1.0);
        edits.scale_units(0, 0, &[0.5]);
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
            (None, Some(1.0), Some(1.0))
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
        let error = grads.apply(&edits).unwrap_err();
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

#[test]
fn an_alarm_that_was_kept_keeps_its_name() {
    let mut guard = Guard::new().detect(above(1.0).per_tensor());
    let kept = guard.step(&mut [("old", vec![2.0])]).unwrap().alarms()[0].clone();
    let _ = guard.step(&mut [("new", vec![2.0])]).unwrap();
    assert_eq!(kept.tensor(), Some("old"));
    assert_eq!(guard.report().alarms()[0].tensor(), Some("new"));
}

/// Remembers how many steps it was asked about.
#[derive(Debug, Default)]
struct Counter(Arc<AtomicU32>);

impl Clipper for Counter {
    fn plan(&mut self, _step: &StepView<'_>, edits: &mut Edits) {
        self.0.fetch_add(1, Ordering::Relaxed);
        edits.zero_all();
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

/// Alarms while a parameter tensor is larger than the gradient tensor beside it.
#[derive(Debug)]
struct Outweighed;

impl Detector for Outweighed {
    fn observe(&mut self, step: &StepView<'_>) -> Option<Alarm> {
        let params = step.params?;
        (0..params.len())
            .find(|&i| params.tensor(i).l2() > step.grads.tensor(i).l2())
            .map(|i| {
                let (w, g) = (params.tensor(i).l2(), step.grads.tensor(i).l2());
                Alarm::new(
                    "outweighed",
                    step,
                    Subject::Parameter(i),
                    "norm",
                    w,
                    "above",
                    g,
                )
            })
    }
}

#[test]
fn parameters_reach_detectors_only_if_they_are_given() {
    let mut guard = Guard::new().detect(Outweighed);
    let grads = vec![vec![1.0_f32], vec![2.0]];
    let params = vec![vec![0.5_f32], vec![9.0]];
    let report = guard
        .plan(Watch::new(&grads).params(&params).loss(1.0))
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
    let params = Some(Lost);
    let mut grads = [3.0, 4.0];
    let error = guard
        .step(Step::new(&mut grads).params(&params))
        .unwrap_err();
    assert_eq!(error.to_string(), "tensor storage: gone");
    assert_eq!(grads, [3.0, 4.0]);
    assert_eq!(guard.step(&mut grads).unwrap().after(), 1.0);
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
