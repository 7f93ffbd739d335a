//! Kind 2: what a rule leaves is within its own bound for every later rule.

use steadygrad::{
    Guard, Norm, Verdict,
    clip::{GlobalNorm, TensorNorm, Value},
    detect::{NormThreshold, PersistentNorm},
};

use crate::random::{Random, Watch};

#[test]
fn the_case_that_was_reported() {
    let mut guard = Guard::new()
        .clip(GlobalNorm::new(1.0).unwrap())
        .detect_with(Verdict::Stop, PersistentNorm::new(1.0, 10).unwrap());
    for _ in 0..30 {
        let report = guard
            .step(&mut [38.812_695_f32, 17.604_774, 43.382_26])
            .unwrap();
        assert_eq!(report.verdict(), Verdict::Apply, "{}", *report);
        assert!(report.after() <= 1.0);
    }
}

/// A chain in which the last rule asks for nothing but what the first has seen to.
fn quiet(norm: Norm, max: f64, each: bool, between: &dyn Fn(Guard) -> Guard) -> Guard {
    let watch = Watch { norm, max, each };
    let start = if each {
        Guard::new().clip(TensorNorm::new(max).unwrap().norm(norm).unwrap())
    } else {
        Guard::new().clip(GlobalNorm::new(max).unwrap().norm(norm).unwrap())
    };
    between(start).detect_with(Verdict::Stop, watch)
}

#[test]
fn every_pair_of_a_clip_and_a_detector_of_the_same_norm_is_quiet() {
    let mut random = Random::new(2);
    let between: [(&str, &dyn Fn(Guard) -> Guard); 5] = [
        ("nothing", &|guard| guard),
        ("a clamp that bites", &|guard| {
            guard.clip(Value::new(0.31).unwrap())
        }),
        ("another norm", &|guard| {
            guard.clip(GlobalNorm::new(1e9).unwrap().norm(Norm::P(5.0)).unwrap())
        }),
        ("each tensor", &|guard| {
            guard.clip(TensorNorm::new(0.9).unwrap())
        }),
        ("the whole", &|guard| {
            guard.clip(GlobalNorm::new(0.8).unwrap())
        }),
    ];
    for norm in [Norm::L1, Norm::L2, Norm::Max, Norm::P(3.0), Norm::P(2.5)] {
        for each in [false, true] {
            for (what, between) in between {
                for max in [1.0, 0.37, 12.5] {
                    let mut guard = quiet(norm, max, each, between);
                    for _ in 0..60 {
                        let len = 1 + random.below(5);
                        let mut grads = [random.vec(len), random.vec(len)];
                        let verdict = {
                            let report = guard.step(&mut grads).unwrap();
                            (report.verdict(), report.to_string())
                        };
                        assert_eq!(
                            verdict.0,
                            Verdict::Apply,
                            "{norm:?} {max} {what}: {}",
                            verdict.1
                        );
                        let mut wide = grads
                            .map(|g| g.iter().map(|&x| f64::from(x) * 1.1).collect::<Vec<_>>());
                        let report = guard.step(&mut wide).unwrap();
                        assert_eq!(
                            report.verdict(),
                            Verdict::Apply,
                            "{norm:?} {max} {what}: {}",
                            *report
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_second_clip_of_the_same_bound_has_nothing_to_do() {
    let mut random = Random::new(3);
    let mut guard = Guard::new()
        .clip(GlobalNorm::new(1.0).unwrap())
        .clip(GlobalNorm::new(1.0).unwrap());
    for _ in 0..2000 {
        let len = 1 + random.below(6);
        let mut grads = random.vec(len);
        let report = guard.step(&mut grads).unwrap();
        assert!(report.edits().get(0).ops().count() <= 1, "{}", *report);
        assert!(report.after() <= 1.0 || !report.is_clipped());
    }
}

#[test]
fn a_norm_that_is_kept_since_it_equals_its_bound_is_no_news_either() {
    // The computed norm is one unit above the bound, which the exact one is not told apart from.
    let grads = [9.511_685_564_203_751e24, 3.836_907_128_124_781e58];
    let max = 3.836_907_128_124_780_6e58;
    let mut guard = Guard::new()
        .clip(GlobalNorm::new(max).unwrap())
        .detect_with(Verdict::Stop, NormThreshold::new(max).unwrap())
        .detect_with(Verdict::Stop, PersistentNorm::new(max, 1).unwrap());
    let mut left = grads;
    let report = guard.step(&mut left).unwrap();
    assert_eq!(
        (report.verdict(), report.after()),
        (Verdict::Apply, max),
        "{}",
        *report
    );
    assert_eq!(left, grads);
}
