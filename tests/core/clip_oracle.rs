//! `torch.nn.utils.clip_grad_norm_` in float64, where its ε does not matter.
//!
//! PyTorch multiplies by `max/(norm + 1e-6)`, so its results lie below ours by 1e-6/norm, relatively.
//! Multiplied by `(norm + 1e-6)/norm` they must agree to rounding: 1e-14.

use approx::assert_relative_eq;
use steadygrad::clip::Clipper;
use steadygrad::{Guard, Norm, clip};

/// `tests/oracle/recurrent.py` wrote these.
const ORACLE: &str = include_str!("../oracle/clip.txt");

#[derive(Debug)]
struct Case {
    p: f64,
    max: f64,
    total: f64,
    before: Vec<Vec<f64>>,
    after: Vec<Vec<f64>>,
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = vec![];
    for line in ORACLE.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let kind = words.next().unwrap();
        let row: Vec<f64> = words.map(|word| word.parse().unwrap()).collect();
        match (kind, cases.last_mut()) {
            ("case", _) => {
                let [p, max, total, _] = row[..] else {
                    panic!("{line}")
                };
                cases.push(Case {
                    p,
                    max,
                    total,
                    before: vec![],
                    after: vec![],
                });
            }
            ("before", Some(case)) => case.before.push(row),
            ("after", Some(case)) => case.after.push(row),
            _ => panic!("{line}"),
        }
    }
    cases
}

#[test]
fn norms_and_gradients_are_pytorchs_but_for_its_epsilon() {
    let cases = cases();
    assert!(cases.len() >= 16, "{}", cases.len());
    for case in &cases {
        let mut rule = clip::GlobalNorm::new(case.max)
            .unwrap()
            .norm(Norm::P(case.p))
            .unwrap();
        let mut grads = case.before.clone();
        let clipped = rule.apply(&mut grads).unwrap();
        assert_relative_eq!(clipped.before(), case.total, max_relative = 1e-14);
        assert_eq!(clipped.is_clipped(), case.total > case.max, "{case:?}");
        let epsilon = if clipped.is_clipped() {
            1e-6 / case.total
        } else {
            0.0
        };
        for (x, theirs) in grads.concat().iter().zip(case.after.concat()) {
            assert_relative_eq!(*x, theirs * (1.0 + epsilon), max_relative = 1e-14);
        }
        // The guard does the same.
        let mut guarded = case.before.clone();
        let mut guard = Guard::new().clip(rule);
        let report = guard.step(&mut guarded).unwrap();
        assert_eq!(report.factor(), clipped.factor());
        assert_eq!(guarded, grads);
    }
}
