//! Kind 5: a norm of another p than was measured.

use steadygrad::detect::Alarm;
use steadygrad::{Error, Guard, Measurement, Needs, Norm, Total, Wide, clip::GlobalNorm};

use crate::random::Watch;

fn powers(p: f64) -> Needs {
    Needs::norms().of_magnitudes().of_power(p)
}

#[test]
fn it_is_nan_and_not_another_number() {
    let seen = Measurement::with_needs(&[3.0, 4.0], &powers(3.0)).unwrap();
    let norm = |p| seen.total().norm(Norm::P(p)).to_f64();
    assert!((norm(3.0) - 91_f64.cbrt()).abs() < 1e-15);
    assert!(norm(4.0).is_nan());
    assert!(norm(2.5).is_nan());
    assert_eq!(norm(2.0), 5.0);
    let seen = Measurement::with_needs(&[3.0, 4.0], &powers(4.0)).unwrap();
    let fourth = seen.total().norm(Norm::P(4.0)).to_f64();
    assert!((fourth - 337_f64.sqrt().sqrt()).abs() < 1e-15, "{fourth}");
    // Nor after scaling by arithmetic, nor for one tensor.
    assert!(seen.tensor(0).norm(Norm::P(3.0)).to_f64().is_nan());
    let sums = seen.total().with_power(3.0, Wide::from(91.0));
    assert!(sums.norm(Norm::P(4.0)).to_f64().is_nan());
    assert!((sums.norm(Norm::P(3.0)).to_f64() - 91_f64.cbrt()).abs() < 1e-15);
}

#[test]
fn totals_of_different_powers_do_not_merge() {
    let total = |p, xs: [f64; 2]| -> Total {
        Measurement::with_needs(&xs, &powers(p))
            .unwrap()
            .exact()
            .clone()
    };
    let (cubes, fourths, more) = (
        total(3.0, [3.0, 4.0]),
        total(4.0, [5.0, 6.0]),
        total(3.0, [7.0, 8.0]),
    );
    let merged = |parts: &[&Total]| {
        let mut all = Total::default();
        parts.iter().for_each(|part| all.merge(part));
        all
    };
    let all = merged(&[&cubes, &fourths, &more]);
    for p in [3.0, 4.0] {
        assert!(all.stats().norm(Norm::P(p)).to_f64().is_nan());
    }
    assert_eq!(all.stats().l1(), 33.0);
    // In any order they come to the same.
    assert_eq!(all, merged(&[&more, &fourths, &cubes]));
    assert_eq!(all, merged(&[&fourths, &merged(&[&cubes, &more])]));
    let same = merged(&[&cubes, &more]).stats().norm(Norm::P(3.0)).to_f64();
    assert!((same - (91.0_f64 + 343.0 + 512.0).cbrt()).abs() < 1e-14);
}

#[test]
fn each_rule_of_a_guard_sees_its_own_power() {
    let watch = |p, max| Watch {
        norm: Norm::P(p),
        max,
        each: false,
    };
    let mut guard = Guard::new()
        .detect(watch(3.0, 1.0))
        .detect(watch(4.0, 1.0))
        .clip(GlobalNorm::new(1.0).unwrap().norm(Norm::P(4.0)).unwrap())
        .detect(watch(3.0, 0.5));
    let mut grads = [3.0, 4.0];
    let report = guard.step(&mut grads).unwrap();
    let values: Vec<f64> = report.alarms().iter().map(Alarm::value).collect();
    let (cubes, fourths) = (91_f64.cbrt(), 337_f64.sqrt().sqrt());
    for (value, expected) in values.iter().zip([cubes, fourths, cubes / fourths]) {
        assert!((value / expected - 1.0).abs() < 1e-15, "{values:?}");
    }
    assert_eq!(values.len(), 3);
}

#[test]
fn a_second_power_for_the_report_is_refused_aloud() {
    let mut guard = Guard::new()
        .also_measure(&powers(3.0))
        .also_measure(&powers(4.0));
    let error = guard.step(&mut [3.0, 4.0]).map(|_| ()).unwrap_err();
    assert!(
        matches!(error, Error::Setting { found: 4.0, .. }),
        "{error}"
    );
    // Asked for once, it is there whatever the rules before and behind it want.
    let rule = || GlobalNorm::new(9.0).unwrap().norm(Norm::P(3.0)).unwrap();
    for first in [true, false] {
        let mut guard = if first {
            Guard::new().also_measure(&powers(4.0)).clip(rule())
        } else {
            Guard::new().clip(rule()).also_measure(&powers(4.0))
        };
        let report = guard.step(&mut [3.0, 4.0]).unwrap();
        let fourth = report.measurement().total().norm(Norm::P(4.0)).to_f64();
        assert!((fourth - 337_f64.sqrt().sqrt()).abs() < 1e-15, "{fourth}");
    }
}
