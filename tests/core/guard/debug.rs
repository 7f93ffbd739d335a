//! A guard's `Debug` is short, however many tensors it has seen.

use steadygrad::clip::{self, Clipper};
use steadygrad::{Guard, Measurement, OnNonFinite, Pen, Step, StepView, Verdict, detect};

/// A rule that keeps all that it sees.
#[derive(Debug, Default)]
struct Hoard {
    name: String,
    seen: Vec<Measurement>,
}

impl Clipper for Hoard {
    fn name(&self) -> &'static str {
        "hoard"
    }

    fn plan(&mut self, step: &StepView<'_>, _: &mut Pen<'_>) {
        assert!(!self.name.is_empty());
        self.seen.push(step.grads.clone());
    }
}

#[test]
fn it_names_every_rule_and_no_tensor() {
    let growth = detect::WeightGrowth::new(10.0).unwrap();
    let growth = growth.per_step(1.0, 50).unwrap();
    let hoard = |name: &str| Hoard {
        name: name.into(),
        ..Hoard::default()
    };
    let make = || {
        Guard::new()
            .detect(detect::NonFinite)
            .detect(detect::NormThreshold::new(1.0).unwrap().per_tensor())
            .detect_with(Verdict::Rollback, growth.clone())
            .detect(detect::Plateau::new(0.1, 5).unwrap())
            .detect(detect::PersistentNorm::new(1.0, 10).unwrap())
            .detect(detect::Vanishing::per_tensor())
            .detect(detect::Spike::of_loss())
            .clip(clip::Value::new(5.0).unwrap())
            .clip(clip::TensorNorm::new(2.0).unwrap().on("layer_1"))
            .tap(|_| ())
            .clip(hoard("é"))
            // Of which no byte more than half of a letter would fit.
            .clip(hoard(&"é".repeat(300)))
            .clip(hoard(&["x", &"é".repeat(300)].concat()))
            .clip(clip::GlobalNorm::new(1.0).unwrap())
            .on_non_finite(OnNonFinite::ZeroTensor)
    };
    let mut guard = make();
    let set = |x: f32| -> Vec<(String, Vec<f32>)> {
        (0..148)
            .map(|i| (format!("layer_{i}.w"), vec![x; 8]))
            .collect()
    };
    let new = format!("{guard:?}").len();
    for x in [1.0, 2.0, 40.0] {
        let (mut grads, params) = (set(x), set(x));
        let _ = guard
            .step(Step::new(&mut grads).params(&params).loss(1.0))
            .unwrap();
    }
    assert!(!guard.report().alarms().is_empty());
    let said = format!("{guard:?}");
    for name in [
        "non-finite: NonFinite",
        "norm threshold: NormThreshold { max: 1.0, per_tensor: true }",
        "weight growth, roll back: WeightGrowth { ratio: 10.0",
        "plateau: Plateau { delta: 0.1, steps: 5",
        "persistent norm: PersistentNorm",
        "value clip: Value { min: -5.0, max: 5.0 }",
        "tensor norm clip: On { rule: TensorNorm",
        "tap",
        "hoard: Hoard { name: \"é\"",
        "global norm clip: GlobalNorm",
        "on_non_finite: ZeroTensor",
        "step: 3, skips: 0",
    ] {
        assert!(said.contains(name), "{name:?} in {said}");
    }
    // The first of them are shown by the rule that keeps them, as far as there is room.
    assert!(!said.contains("layer_20"), "{said}");
    assert!(
        said.len() < new + 300 && said.len() < 2000,
        "{}: {said}",
        said.len()
    );
    // Over several lines it is as short.
    let lines = format!("{guard:#?}");
    assert!(lines.lines().count() < 40 && lines.len() < 3000, "{lines}");
    let skipped = format!("{:?}", {
        let mut guard = make().on_non_finite(OnNonFinite::Skip);
        let mut bad = [f32::NAN];
        let step = Step::new(&mut bad).params(&[1.0]).loss(1.0);
        assert_eq!(guard.step(step).unwrap().verdict(), Verdict::Skip);
        guard
    });
    assert!(
        skipped.contains("on_non_finite: Skip, step: 1, skips: 1"),
        "{skipped}"
    );
}
