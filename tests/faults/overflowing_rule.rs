//! Kind 6: nothing leaves a guard as *apply* with NaN or infinities inside.

use steadygrad::{
    Error, Factor, Guard, Needs, OnNonFinite, Pen, StepView, Units, Verdict, Wide,
    clip::{Clipper, GlobalNorm, Value},
};

/// Does one thing to the first tensor, or to all.
#[derive(Clone, Copy, Debug)]
enum Odd {
    Times(f64),
    Units([Factor; 2]),
    Clamp(f64, f64),
    All(f64),
}

impl Clipper for Odd {
    fn name(&self) -> &'static str {
        "odd"
    }

    fn needs(&self) -> Needs {
        match self {
            Self::Units(_) => Needs::norms().of_units(Units::Examples),
            _ => Needs::norms(),
        }
    }

    fn plan(&mut self, _: &StepView<'_>, pen: &mut Pen<'_>) {
        match *self {
            Self::Times(x) => pen.scale(0, Factor::new(x).unwrap()),
            Self::Units(factors) => pen.scale_units(0, &factors),
            Self::Clamp(min, max) => pen.clamp(0, min, max),
            Self::All(x) => pen.scale_all(Factor::new(x).unwrap()),
        }
    }
}

/// Larger than any `f64`.
fn far() -> Factor {
    Factor::ratio(Wide::new(1.0, 2000), Wide::ONE)
}

/// What the policies make of a rule that leaves something that is not finite in the first of two tensors.
fn is_met(grads: &[ndarray::ArrayD<f32>; 2], rule: Odd) {
    let guard = |policy| Guard::new().clip(rule).on_non_finite(policy);
    let finite = |grads: &[ndarray::ArrayD<f32>; 2]| grads.iter().flatten().all(|x| x.is_finite());

    let mut skipped = grads.clone();
    let mut skips = guard(OnNonFinite::Skip);
    {
        let report = skips.step(&mut skipped).unwrap();
        assert_eq!(report.verdict(), Verdict::Skip, "{rule:?}");
        let fault = report.non_finite().expect("told");
        assert_eq!(fault.tensor(), Some("0"), "{rule:?}");
        assert!(!report.is_clipped());
    }
    assert_eq!(skipped, *grads, "{rule:?}: untouched");

    let mut refused = grads.clone();
    let error = guard(OnNonFinite::Error)
        .step(&mut refused)
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, Error::NonFinite { .. }), "{error}");
    assert_eq!(refused, *grads);

    for (policy, kept) in [
        (OnNonFinite::ZeroTensor, true),
        (OnNonFinite::ZeroAll, false),
    ] {
        let mut zeroed = grads.clone();
        let verdict = guard(policy).step(&mut zeroed).unwrap().verdict();
        assert_eq!(verdict, Verdict::Apply);
        assert!(finite(&zeroed), "{rule:?} {zeroed:?}");
        assert!(zeroed[0].iter().all(|&x| x == 0.0));
        assert_eq!(zeroed[1].iter().any(|&x| x != 0.0), kept);
    }

    let mut passed = grads.clone();
    let verdict = guard(OnNonFinite::Propagate)
        .step(&mut passed)
        .unwrap()
        .verdict();
    assert_eq!(verdict, Verdict::Apply);
    assert!(!finite(&passed), "{rule:?}");
}

#[test]
fn results_that_overflow() {
    let rows = ndarray::array![[1e20_f32, 1.0], [0.0, 0.0]].into_dyn();
    let other = ndarray::array![2.0_f32].into_dyn();
    let grads = [rows, other];
    for rule in [
        Odd::Times(1e30),
        Odd::Units([Factor::new(1e30).unwrap(), Factor::ONE]),
        Odd::Units([far(), Factor::ONE]),
        Odd::Units([far(); 2]),
        Odd::Clamp(f64::INFINITY, f64::INFINITY),
        Odd::Clamp(f64::NEG_INFINITY, f64::NEG_INFINITY),
    ] {
        is_met(&grads, rule);
    }
}

#[test]
fn what_a_later_rule_brings_back_is_no_fault() {
    let mut guard = Guard::new()
        .clip(Odd::All(1e30))
        .clip(GlobalNorm::new(1.0).unwrap());
    let mut grads = [3e20_f32, 4e20];
    assert_eq!(guard.step(&mut grads).unwrap().verdict(), Verdict::Apply);
    assert_eq!(grads, [0.6, 0.8]);
    let mut guard = Guard::new()
        .clip(Odd::Times(1e30))
        .clip(Value::new(2.0).unwrap());
    let mut grads = [3e20_f32, -0.0];
    assert_eq!(guard.step(&mut grads).unwrap().verdict(), Verdict::Apply);
    assert_eq!(grads, [2.0, -0.0]);
}

#[test]
fn growth_that_every_type_can_hold_is_no_fault() {
    let mut grads = [3.0_f32, -4.0];
    let verdict = Guard::new()
        .clip(Odd::Times(1000.0))
        .step(&mut grads)
        .unwrap()
        .verdict();
    assert_eq!(verdict, Verdict::Apply);
    assert_eq!(grads, [3000.0, -4000.0]);
    // Zeros stay zeros, whatever they are multiplied by.
    let mut rows = ndarray::array![[1.0_f32, 2.0], [0.0, 0.0]];
    let mut guard = Guard::new().clip(Odd::Units([Factor::ONE, far()]));
    assert_eq!(guard.step(&mut rows).unwrap().verdict(), Verdict::Apply);
    assert_eq!(rows, ndarray::array![[1.0, 2.0], [0.0, 0.0]]);
    let mut wide = [1e100_f64];
    let verdict = Guard::new()
        .clip(Odd::Times(1e100))
        .step(&mut wide)
        .unwrap()
        .verdict();
    assert_eq!(verdict, Verdict::Apply);
}

#[cfg(feature = "half")]
#[test]
fn the_type_of_the_elements_decides() {
    let mut half = [half::f16::from_f32(60_000.0)];
    let mut guard = Guard::new().clip(Odd::Times(2.0));
    assert_eq!(guard.step(&mut half).unwrap().verdict(), Verdict::Skip);
    assert_eq!(
        guard.step(&mut [60_000.0_f32]).unwrap().verdict(),
        Verdict::Apply
    );
}

#[test]
fn a_refused_step_is_told_as_skipped_with_nothing_done() {
    let mut guard = Guard::new()
        .clip(Odd::Times(1e300))
        .on_non_finite(OnNonFinite::Error);
    for row in 1..3 {
        assert!(guard.step(&mut [1_f32, 2.0]).is_err());
        let report = guard.report();
        assert_eq!((report.verdict(), report.skips()), (Verdict::Skip, row));
        assert!(!report.is_clipped());
        assert_eq!(report.after(), report.before());
    }
}

#[test]
fn what_came_in_is_named_before_what_a_rule_made_of_the_rest() {
    let mut guard = Guard::new()
        .clip(Odd::Times(1e300))
        .on_non_finite(OnNonFinite::ZeroTensor);
    let mut grads = [("w", [1_f32, 2.0]), ("b", [f32::NAN, 1.0])];
    let report = guard.step(&mut grads).unwrap();
    assert_eq!(
        report.non_finite().and_then(|fault| fault.tensor()),
        Some("b")
    );
    let left: Vec<_> = report.alarms().iter().map(|alarm| alarm.tensor()).collect();
    assert_eq!(left, [Some("w")]);
    assert_eq!(grads, [("w", [0.0, 0.0]), ("b", [0.0, 0.0])]);
}
