//! Kind 22: a bound of 0, which in many a configuration means *off*.

use steadygrad::clip::{self, Clipper, GlobalNorm, TensorNorm, Value};
use steadygrad::detect::{NormThreshold, PersistentNorm};
use steadygrad::{Clamped, Error, Guard, Norm, Report, Result, Verdict};

const SAYS: &str = "zeroed by a bound of 0";

/// What is left of two tensors behind this rule, and the report.
fn step(rule: impl Clipper + 'static, grads: [f64; 2]) -> ([f64; 2], Report) {
    let mut set = [("w", [grads[0]]), ("v", [grads[1]])];
    let mut guard = Guard::new().clip(rule);
    let report = guard.step(&mut set).unwrap().clone();
    (set.map(|(_, [x])| x), report)
}

fn clippers() -> [Box<dyn Clipper>; 6] {
    let global = GlobalNorm::new(0.0).unwrap();
    [
        Box::new(global),
        Box::new(global.norm(Norm::L1).unwrap()),
        Box::new(TensorNorm::new(0.0).unwrap()),
        Box::new(Value::new(-0.0).unwrap()),
        Box::new(Value::between(0.0, -0.0).unwrap()),
        Box::new(GlobalNorm::new(0.0).unwrap().on("").on("")),
    ]
}

#[test]
fn what_it_zeroes_it_says() {
    for rule in clippers() {
        let name = rule.name();
        let (left, report) = step(rule, [3.0, 0.0]);
        assert_eq!(left, [0.0, 0.0]);
        assert_eq!(
            (report.verdict(), report.zeroed_by()),
            (Verdict::Apply, &[name][..])
        );
        let said = format!(", {SAYS} ({name}); apply");
        assert!(report.to_string().ends_with(&said), "{report}");
    }
    // Of some tensors only, too.
    let (left, report) = step(TensorNorm::new(0.0).unwrap().on("v"), [3.0, 4.0]);
    assert_eq!(left, [3.0, 0.0]);
    assert_eq!(
        report.to_string(),
        "step 1: norm 5.000 -> 3.000, 1 of 2 tensors edited, zeroed by a bound of 0 (tensor norm clip); apply"
    );
}

#[test]
fn where_it_zeroes_nothing_it_says_nothing() {
    for rule in clippers() {
        let (_, report) = step(rule, [0.0, -0.0]);
        assert_eq!(report.to_string(), "step 1: norm 0; apply");
        assert!(report.zeroed_by().is_empty());
    }
    let small = f64::MIN_POSITIVE;
    for rule in [
        Box::new(GlobalNorm::new(small).unwrap()) as Box<dyn Clipper>,
        Box::new(Value::between(0.0, small).unwrap()),
        Box::new(Value::new(small).unwrap()),
    ] {
        let (_, report) = step(rule, [3.0, 0.0]);
        assert!(
            report.is_clipped() && !report.to_string().contains(SAYS),
            "{report}"
        );
    }
    // Nor of a step that is not taken, and nothing of the step before.
    let mut guard = Guard::new()
        .clip(GlobalNorm::new(0.0).unwrap())
        .tap(|_| ())
        .detect_with(Verdict::Skip, NormThreshold::new(0.0).unwrap())
        .clip(TensorNorm::new(0.0).unwrap());
    assert_eq!(
        guard.step(&mut [1.0]).unwrap().zeroed_by(),
        ["global norm clip"]
    );
    assert!(guard.step(&mut [0.0]).unwrap().zeroed_by().is_empty());
    let mut guard = Guard::new()
        .clip(GlobalNorm::new(0.0).unwrap().on("w"))
        .detect_with(Verdict::Skip, NormThreshold::new(0.0).unwrap());
    let report = guard.step(&mut [("w", [1.0]), ("v", [1.0])]).unwrap();
    assert_eq!(report.verdict(), Verdict::Skip);
    assert!(report.zeroed_by().is_empty() && !report.to_string().contains(SAYS));
}

#[test]
fn a_one_line_clip_says_it_too() -> Result<()> {
    let grads = || [3.0_f32, -4.0];
    let said = |clipped: &dyn ToString| clipped.to_string();
    let zeroed = [
        said(&clip::global_norm(&mut grads(), 0.0)?),
        said(&clip::tensor_norm(&mut grads(), 0.0)?),
        said(&clip::value(&mut grads(), 0.0)?),
        said(&Value::between(0.0, 0.0)?.apply(&mut grads())?),
    ];
    assert_eq!(zeroed[0], "norm 5.000 -> 0, zeroed by a bound of 0");
    assert_eq!(zeroed[2], "2 of 2 elements clipped, zeroed by a bound of 0");
    assert_eq!((&zeroed[0], &zeroed[2]), (&zeroed[1], &zeroed[3]));
    // Its counts are those that they are.
    assert_eq!(clip::value(&mut grads(), 0.0)?, Clamped::of(2, 2, 0, 0));
    for not in [
        said(&clip::global_norm(&mut [0.0], 0.0)?),
        said(&clip::value(&mut [0.0], 0.0)?),
        said(&clip::value(&mut grads(), 0.5)?),
        said(&Value::between(-1.0, 0.0)?.apply(&mut grads())?),
    ] {
        assert!(!not.contains(SAYS), "{not}");
    }
    Ok(())
}

#[test]
fn a_bound_comes_as_a_configuration_has_it() -> Result<()> {
    // Of every type, the same.
    let rules = [
        GlobalNorm::new(0.5)?,
        GlobalNorm::new(0.5_f32)?,
        GlobalNorm::new(0.5_f64)?,
        GlobalNorm::new(Some(0.5))?,
        GlobalNorm::new(Some(0.5_f32))?,
    ];
    assert!(rules.iter().all(|rule| *rule == rules[0]));
    assert_eq!(TensorNorm::new(Some(0.5_f32))?, TensorNorm::new(0.5)?);
    assert_eq!(Value::new(0.5_f32)?, Value::between(-0.5, Some(0.5))?);
    assert_eq!(NormThreshold::new(0.5_f32)?, NormThreshold::new(Some(0.5))?);
    assert_eq!(
        PersistentNorm::new(0.5_f32, 3)?,
        PersistentNorm::new(0.5, 3)?
    );

    // None is off.
    let (off, off32) = (None::<f64>, None::<f32>);
    let grads = || [f64::MAX, -f64::MAX];
    assert!(!clip::global_norm(&mut grads(), off)?.is_clipped());
    assert!(!clip::tensor_norm(&mut grads(), off32)?.is_clipped());
    assert!(!clip::value(&mut grads(), off)?.is_clipped());
    assert!(
        !Value::between(off, off32)?
            .apply(&mut grads())?
            .is_clipped()
    );
    let mut guard = Guard::new()
        .detect(NormThreshold::new(off)?)
        .detect(PersistentNorm::new(off, 1)?);
    assert!(guard.step(&mut grads())?.alarms().is_empty());
    // On one side.
    let mut both = grads();
    let clipped = Value::between(off, 1.0)?.apply(&mut both)?;
    assert_eq!((clipped.clipped(), both), (1, [1.0, -f64::MAX]));
    let clipped = Value::between(-1.0_f32, off)?.apply(&mut both)?;
    assert_eq!((clipped.clipped(), both), (1, [1.0, -1.0]));
    Ok(())
}

#[test]
fn errors_say_what_was_found_whatever_its_type() {
    let found = |error: Error| error.to_string();
    for (said, expected) in [
        (
            found(GlobalNorm::new(-1.0_f32).unwrap_err()),
            "max norm: expected a number ≥ 0, found -1",
        ),
        (
            found(TensorNorm::new(Some(-0.5)).unwrap_err()),
            "max norm: expected a number ≥ 0, found -0.5",
        ),
        (
            found(Value::new(f32::NAN).unwrap_err()),
            "clip value: expected a number ≥ 0, found NaN",
        ),
        (
            found(Value::between(1.0_f32, 0.0).unwrap_err()),
            "lower clip value: expected at most the upper one, found 1",
        ),
        (
            found(NormThreshold::new(Some(f32::NEG_INFINITY)).unwrap_err()),
            "norm threshold: expected a number ≥ 0, found -inf",
        ),
    ] {
        assert_eq!(said, expected);
    }
}
