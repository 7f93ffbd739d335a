//! A rank that cannot go on, or does not go with the others, is an error of all, and no rank waits.

use std::time::{Duration, Instant};

use steadygrad::clip::{Clipper, GlobalNorm, TensorNorm, Value};
use steadygrad::detect::NormThreshold;
use steadygrad::reduce::{Owner, Shards, Threads};
use steadygrad::{Error, Guard, OnNonFinite, Step, Verdict};

use crate::{on_ranks, sentences};

/// A rule behind a clipper, so that there are calls in the middle of a step.
fn guard(wire: Threads, shards: Shards) -> Guard {
    Guard::new()
        .clip(GlobalNorm::new(1.0).unwrap())
        .detect(NormThreshold::new(1.0).unwrap())
        .reduced_by(wire, shards)
}

#[test]
fn what_one_rank_cannot_measure_is_told_on_all() {
    let said = sentences(3, |rank, wire| {
        let mut guard = guard(wire, Shards::tensors());
        let params = [("w", vec![0.0; 1 + rank / 2])];
        let step = |guard: &mut Guard| {
            let mut grads = [("w", vec![3.0])];
            guard
                .step(Step::new(&mut grads).params(&params))
                .map(|report| report.skips())
        };
        let first = step(&mut guard).unwrap_err();
        // It was a step that was not taken, and the ranks go on together.
        assert_eq!(
            (guard.report().skips(), step(&mut guard)),
            (1, Err(first.clone()))
        );
        Err::<(), _>(first)
    });
    let own = "elements of a gradient: expected 2, found 1";
    let others = "across ranks: rank 2 failed: elements of a gradient: expected 2, found 1";
    assert_eq!(said, [others, others, own]);
}

#[test]
fn a_rank_that_says_that_it_cannot_go_on_ends_the_step_for_all() {
    let said = sentences(3, |rank, wire| {
        let mut guard = guard(wire, Shards::tensors());
        let mut steps = vec![];
        for step in 0..4 {
            let made = if (step, rank) == (2, 1) {
                Err(guard.fail("a batch is missing"))
            } else {
                guard.step(&mut [3.0]).map(|report| report.step())
            };
            steps.push(made);
        }
        assert_eq!([&steps[0], &steps[1], &steps[3]], [&Ok(1), &Ok(2), &Ok(4)]);
        steps.swap_remove(2)
    });
    let others = "across ranks: rank 1 failed: a batch is missing";
    assert_eq!(said, [others, "across ranks: a batch is missing", others]);
    assert_eq!(Guard::new().fail("alone"), Error::Wire("alone".into()));
}

#[test]
fn a_rank_that_panics_or_returns_ends_the_others_with_an_error() {
    let began = Instant::now();
    let said = sentences(4, |rank, wire| {
        let mut guard = guard(wire, Shards::tensors());
        for step in 0..10 {
            if rank == 2 && step == 5 {
                return Err(Error::Storage("the disk is full".into()));
            }
            if !guard.step(&mut [3.0])?.verdict().is_apply() {
                break;
            }
        }
        Ok(())
    });
    let gone = "across ranks: rank 2 is gone";
    assert_eq!(said, [gone, gone, "tensor storage: the disk is full", gone]);
    let ranks = Threads::ranks_of(2);
    let said = std::thread::scope(|scope| {
        let mut ranks = ranks.into_iter();
        let (mut one, other) = (ranks.next().unwrap(), ranks.next().unwrap());
        let panics = scope.spawn(move || {
            let _guard = guard(other, Shards::tensors());
            panic!("on purpose");
        });
        let said = steadygrad::reduce::AllReduce::sum(&mut one, &mut [1]);
        assert!(panics.join().is_err());
        said
    });
    assert_eq!(said, Err(Error::Wire("rank 1 is gone".into())));
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_fault_on_one_rank_is_named_on_all_and_each_policy_meets_it_alike() {
    for shards in [Shards::tensors(), Shards::elements()] {
        for policy in [
            OnNonFinite::Skip,
            OnNonFinite::ZeroTensor,
            OnNonFinite::ZeroAll,
        ] {
            let told = on_ranks(3, |rank, wire| {
                let guard = Guard::new().on_non_finite(policy);
                let mut guard = guard.reduced_by(wire, shards.clone());
                let bad = if rank == 1 { f32::NAN } else { 2.0 };
                let mut grads = [("w", vec![1.0_f32, 1.0]), ("b", vec![0.5, bad])];
                let report = guard.step(&mut grads).unwrap().report().clone();
                let fault = report.non_finite().unwrap();
                let told = (report.verdict(), fault.tensor() == Some("b"), fault.rank());
                (told, grads.map(|(_, grad)| grad[0]))
            });
            let is_cut = format!("{shards:?}").contains("is_cut: true");
            for (rank, ((verdict, is_named, on), grads)) in told.into_iter().enumerate() {
                assert!(is_named);
                assert_eq!(on, (rank != 1).then_some(1));
                let skipped = (Verdict::Skip, [1.0, 0.5]);
                let expected = match policy {
                    OnNonFinite::ZeroTensor if is_cut || rank == 1 => (Verdict::Apply, [1.0, 0.0]),
                    OnNonFinite::ZeroTensor => (Verdict::Apply, [1.0, 0.5]),
                    OnNonFinite::ZeroAll => (Verdict::Apply, [0.0, 0.0]),
                    _ => skipped,
                };
                assert_eq!((verdict, grads), expected, "{policy:?} {is_cut} {rank}");
            }
        }
    }
}

#[test]
fn other_rules_are_named() {
    let rules = |rank: usize, wire, bound: f64| {
        let guard =
            Guard::new().clip(GlobalNorm::new(if rank == 2 { bound } else { 1.0 }).unwrap());
        let guard = if rank == 1 && bound < 0.1 {
            guard.clip(Value::new(1.0).unwrap().on("w"))
        } else {
            guard
        };
        let shards = Shards::tensors();
        guard.reduced_by(wire, if rank == 0 { shards.checked() } else { shards })
    };
    // Other rules are found in any case.
    let said = sentences(3, |rank, wire| {
        let name = ["v", "w", "x"][rank];
        rules(rank, wire, 0.05).step(&mut [(name, [3.0])]).map(drop)
    });
    assert_eq!(said, [const { "" }; 3].map(|_| said[0].clone()));
    assert!(
        said[0].starts_with(
            "across ranks: rank 1 has other rules: expected global norm clip; 0 groups; "
        ),
        "{said:?}"
    );
    assert!(
        said[0].contains("found global norm clip; value clip +largest +tensors; 1 groups"),
        "{said:?}"
    );
    // Other settings where one rank checks.
    let said = sentences(3, |rank, wire| {
        let name = ["v", "w", "x"][rank];
        rules(rank, wire, 0.5).step(&mut [(name, [3.0])]).map(drop)
    });
    for said in said {
        assert!(
            said.starts_with("across ranks: rank 2 has other rules: "),
            "{said}"
        );
        assert!(said.contains("max: 0.5"), "{said}");
    }
}

#[test]
fn names_that_do_not_agree_are_named() {
    let said = sentences(3, |rank, wire| {
        let names = if rank == 1 { ["w", "v"] } else { ["w", "b"] };
        let mut grads = names.map(|name| (name, [1.0]));
        guard(wire, Shards::elements()).step(&mut grads).map(drop)
    });
    let expected =
        "across ranks: rank 1, gradient 1: expected the name \"b\" as on rank 0, found \"v\"";
    assert_eq!(said, [expected; 3]);
    let said = sentences(3, |rank, wire| {
        let mut grads = vec![("w", [1.0]); if rank == 2 { 1 } else { 2 }];
        guard(wire, Shards::elements()).step(&mut grads).map(drop)
    });
    let expected =
        "across ranks: rank 2, gradient 1: expected the name \"w\" as on rank 0, found none";
    assert_eq!(said, [expected; 3]);
}

/// What a step says where every rank has these tensors, of one number each.
fn checked(shards: &Shards, ranks: &[&[(&'static str, f64)]]) -> Vec<String> {
    sentences(ranks.len(), |rank, wire| {
        let mut guard = guard(wire, shards.clone().checked());
        for _ in 0..2 {
            let mut grads: Vec<_> = ranks[rank].iter().map(|&(name, x)| (name, [x])).collect();
            guard.step(&mut grads).map(drop)?;
        }
        Ok(())
    })
}

#[test]
fn replicas_that_differ_are_named() {
    let tied = Shards::tensors().tied("norm.", Owner(0));
    let said = checked(
        &tied,
        &[
            &[("a.w", 1.0), ("norm.w", 2.0)],
            &[("b.w", 1.0), ("norm.w", 2.0)],
            &[("norm.w", 2.0)],
        ],
    );
    assert_eq!(said, ["in order"; 3]);
    let said = checked(
        &tied,
        &[
            &[("a.w", 1.0), ("norm.w", 2.0), ("norm.b", 1.0)],
            &[("b.w", 1.0), ("norm.w", 2.0)],
            &[("norm.w", 2.5), ("norm.b", 1.0)],
        ],
    );
    let expected = "across ranks: tensor norm.w is tied: expected rank 2 to have what rank 0, its owner, has; found other sums";
    assert_eq!(said, [expected; 3]);
    let said = checked(
        &Shards::elements().tied("norm.", Owner(1)),
        &[
            &[("a.w", 1.0), ("norm.w", 2.0)],
            &[("a.w", 7.0), ("norm.w", 3.0)],
            &[("a.w", 8.0), ("norm.w", 3.0)],
        ],
    );
    let expected = "across ranks: tensor norm.w is tied: expected rank 0 to have what rank 1, its owner, has; found other sums";
    assert_eq!(said, [expected; 3]);
}

#[test]
fn tensors_that_are_there_twice_or_not_on_their_owner_are_named() {
    let twice: &[&[_]] = &[&[("a.w", 1.0)], &[("b.w", 1.0)], &[("a.w", 1.0)]];
    let said = checked(&Shards::tensors(), twice);
    let expected = "across ranks: tensor a.w is on rank 0 and on rank 2, and tied to neither";
    assert_eq!(said, [expected; 3]);
    let said = checked(&Shards::tensors().tied("a.", Owner(1)), twice);
    let expected =
        "across ranks: tensor a.w is tied to rank 1, which does not have it, as rank 0 does";
    assert_eq!(said, [expected; 3]);
    let said = sentences(2, |_, wire| {
        let mut guard = guard(wire, Shards::tensors().tied("a.", Owner(7)));
        guard.step(&mut [1.0]).map(drop)
    });
    let expected =
        "across ranks: expected tensors tied to one of 2 ranks, found some tied to rank 7";
    assert_eq!(said, [expected; 2]);
}

#[test]
fn steps_that_do_not_go_together_are_told() {
    let said = sentences(2, |rank, wire| {
        let mut guard = guard(wire, Shards::tensors());
        let (mut grads, params) = ([("w", [1.0])], [("w", [1.0])]);
        let step = Step::new(&mut grads);
        if rank == 0 {
            guard.step(step.params(&params)).map(drop)
        } else {
            guard.step(step).map(drop)
        }
    });
    assert_eq!(
        said,
        ["across ranks: expected parameters from every rank, or from none"; 2]
    );
    let said = sentences(2, |rank, wire| {
        let mut guard = guard(wire, Shards::tensors());
        let mut grads = [1.0];
        let step = Step::new(&mut grads).scaled_by(1.0 + rank as f64);
        guard.step(step).map(drop)
    });
    assert_eq!(
        said,
        ["across ranks: expected one scale of the loss, found 1 to 2"; 2]
    );
}

#[test]
fn a_verdict_of_another_rank_is_told() {
    let lines = on_ranks(2, |rank, wire| {
        let rule = NormThreshold::new(2.0).unwrap().per_tensor();
        let mut guard = Guard::new()
            .detect_with(Verdict::Skip, rule)
            .clip(TensorNorm::new(1.0).unwrap())
            .reduced_by(wire, Shards::tensors());
        let mut grads = [(["w", "v"][rank], [1.0 + 2.0 * rank as f64])];
        let told = guard.step(&mut grads).map(|report| report.to_string());
        (told, grads[0].1[0])
    });
    let norm = "step 1: norm 3.162; skip (1 in a row)";
    assert_eq!(lines[0], (Ok(format!("{norm}, decided on rank 1")), 1.0));
    let said = "; the norm of gradient v is 3.000, above 2.000 (norm threshold)";
    assert_eq!(lines[1], (Ok(format!("{norm}{said}")), 3.0));
}
