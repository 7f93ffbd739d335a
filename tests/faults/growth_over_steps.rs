//! Kind 7: growth by steps that did not count, and norms that no `f64` holds.

use steadygrad::detect::{Alarm, NormThreshold, PersistentNorm, WeightGrowth};
use steadygrad::{Guard, Step};

/// The alarm of a step with these weights, or with none.
fn watch(guard: &mut Guard, weights: Option<&[f64]>) -> Option<Alarm> {
    let mut grads = vec![1.0; weights.map_or(1, <[f64]>::len)];
    let step = Step::new(&mut grads);
    let report = match &weights {
        Some(weights) => guard.step(step.params(weights)),
        None => guard.step(step),
    };
    report.unwrap().alarms().first().cloned()
}

#[test]
fn growth_is_divided_by_the_steps_that_went_by() {
    let growth = |per_step, window| {
        let detector = WeightGrowth::new(f64::INFINITY).unwrap();
        Guard::new().detect(detector.per_step(per_step, window).unwrap())
    };
    // 0.125 a step, seen every eighth step only.
    let mut guard = growth(0.25, 1);
    for w in 1..20 {
        assert_eq!(watch(&mut guard, Some(&[f64::from(w)])), None, "{w}");
        for _ in 0..7 {
            watch(&mut guard, None);
        }
    }
    // 0.5 a step, seen every other step.
    let mut guard = growth(0.25, 2);
    let mut fired = vec![];
    for step in 1..=7 {
        let weights = [1.0 + 0.5 * f64::from(step)];
        let seen = step % 2 == 1;
        fired.extend(watch(&mut guard, seen.then_some(&weights[..])));
    }
    let told: Vec<_> = fired.iter().map(|a| (a.step(), a.value())).collect();
    assert_eq!(told, [(5, 0.5), (7, 0.5)]);
    // Weights that are not finite are no measure either, and their steps go by all the same.
    let mut guard = growth(1.0, 1);
    assert_eq!(watch(&mut guard, Some(&[1.0])), None);
    assert_eq!(watch(&mut guard, Some(&[f64::INFINITY])), None);
    assert_eq!(watch(&mut guard, Some(&[3.0])), None);
    assert_eq!(watch(&mut guard, Some(&[5.0])).unwrap().value(), 2.0);
}

#[test]
fn weights_whose_norm_no_f64_holds_are_seen() {
    let grown = |max: f64| [max, max];
    // From √2·MAX/4 to √2·MAX, which is finite and past the range.
    let mut guard = Guard::new().detect(WeightGrowth::new(3.0).unwrap());
    assert_eq!(watch(&mut guard, Some(&grown(f64::MAX / 4.0))), None);
    let alarm = watch(&mut guard, Some(&grown(f64::MAX))).unwrap();
    assert_eq!(
        alarm.to_string(),
        "step 2: the norm of the parameter is 2.542e308, above 1.907e308 (weight growth)"
    );
    // From past the range to further past it: by a third, of which 1.25 is less and 1.5 is more.
    let (start, end) = (grown(f64::MAX * 0.75), grown(f64::MAX));
    for (ratio, fires) in [(1.25, true), (1.5, false)] {
        let mut guard = Guard::new().detect(WeightGrowth::new(ratio).unwrap());
        assert_eq!(watch(&mut guard, Some(&start)), None);
        assert_eq!(watch(&mut guard, Some(&end)).is_some(), fires, "{ratio}");
    }
    // Growth per step: √2·MAX/4 in one step.
    let per_step = |growth| {
        let detector = WeightGrowth::new(f64::INFINITY).unwrap();
        Guard::new().detect(detector.per_step(growth, 1).unwrap())
    };
    for (growth, fires) in [(f64::MAX / 4.0, true), (f64::MAX / 2.0, false)] {
        let mut guard = per_step(growth);
        assert_eq!(watch(&mut guard, Some(&start)), None);
        assert_eq!(watch(&mut guard, Some(&end)).is_some(), fires, "{growth}");
    }
}

#[test]
fn norms_of_gradients_past_the_range_are_told_as_what_they_are() {
    let mut guard = Guard::new()
        .detect(NormThreshold::new(f64::MAX).unwrap())
        .detect(PersistentNorm::new(1.0, 1).unwrap());
    let report = guard.step(&mut [f64::MAX, f64::MAX]).unwrap();
    let said: Vec<_> = report.alarms().iter().map(Alarm::to_string).collect();
    assert_eq!(
        said,
        [
            "step 1: the norm of the gradients is 2.542e308, above 1.798e308 (norm threshold)",
            "step 1: the norm of the gradients is 2.542e308, above 1.000 (persistent norm)",
        ]
    );
}
