//! Rules for some tensors.

use steadygrad::clip::{Clipper, GlobalNorm, TensorNorm, Value};
use steadygrad::detect::{Alarm, Alarms, Detector, NormThreshold, Subject, WeightGrowth};
use steadygrad::{Covers, Guard, Measurement, Needs, Norm, Step, StepView, Verdict};

/// Numbers of all sizes.
fn noise(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut one = || {
        let x = next();
        let size = 2_f64.powi((x % 40) as i32 - 20);
        ((x >> 11) as f64 / 2_f64.powi(52) - 1.0) * size
    };
    (0..count).map(|_| one()).collect()
}

fn named(seed: u64) -> Vec<(String, Vec<f64>)> {
    let name = |i: u64| format!("{}.{i}", if i.is_multiple_of(3) { "a" } else { "b" });
    let tensor = |i: u64| noise((i * 7 % 31) as usize, seed + i);
    (0..12).map(|i| (name(i), tensor(i))).collect()
}

fn only(all: &[(String, Vec<f64>)], covers: impl Fn(&str) -> bool) -> Vec<(String, Vec<f64>)> {
    let covered = all.iter().filter(|(name, _)| covers(name));
    covered.cloned().collect()
}

#[test]
fn a_groups_total_is_that_of_a_set_of_its_own() {
    for seed in 0..50 {
        let all = named(seed);
        let covers = Covers::from("a.");
        let needs = Needs::norms().of_magnitudes().of_group(covers.clone());
        let seen = Measurement::with_needs(&all, &needs).unwrap();
        let alone = Measurement::of(&only(&all, |name| name.starts_with("a."))).unwrap();
        assert_eq!(seen.group(&covers), Some(alone.total()));
    }
}

#[test]
fn a_rule_for_some_does_what_it_would_do_if_there_were_no_others() {
    type Make = fn() -> Box<dyn Clipper>;
    let rules: [Make; 4] = [
        || Box::new(GlobalNorm::new(1e-3).unwrap()),
        || Box::new(GlobalNorm::new(2.0).unwrap().norm(Norm::P(3.0)).unwrap()),
        || Box::new(TensorNorm::new(0.5).unwrap()),
        || Box::new(Value::between(-0.25, 1.0).unwrap()),
    ];
    for seed in 0..50 {
        for rule in rules {
            let mut all = named(seed);
            let mut alone = only(&all, |name| name.starts_with("a."));
            let others = only(&all, |name| !name.starts_with("a."));
            let mut guard = Guard::new().clip(rule().on("a."));
            assert!(guard.step(&mut all).unwrap().verdict().is_apply());
            assert!(
                Guard::new()
                    .clip(rule())
                    .step(&mut alone)
                    .unwrap()
                    .verdict()
                    .is_apply()
            );
            assert_eq!(only(&all, |name| name.starts_with("a.")), alone);
            assert_eq!(only(&all, |name| !name.starts_with("a.")), others);
        }
    }
}

#[test]
fn rules_for_some_of_some_see_what_both_cover() {
    let is_even = |name: &str| name.ends_with(['0', '2', '4', '6', '8']);
    for seed in 0..20 {
        let (mut nested, mut flat) = (named(seed), named(seed));
        let rule = || GlobalNorm::new(0.01).unwrap();
        let mut guard = Guard::new().clip(rule().on(is_even).on("b."));
        assert!(guard.step(&mut nested).unwrap().verdict().is_apply());
        let both = move |name: &str| is_even(name) && name.starts_with("b.");
        let mut guard = Guard::new().clip(rule().on(both));
        assert!(guard.step(&mut flat).unwrap().verdict().is_apply());
        assert_eq!(nested, flat);
    }
}

#[test]
fn what_a_rule_for_some_leaves_is_within_its_bound_for_the_rules_behind_it() {
    for seed in 0..2000 {
        let bound = 1.0 + (seed % 7) as f64 / 7.0;
        let mut grads: Vec<(String, Vec<f32>)> = named(seed)
            .into_iter()
            .map(|(name, xs)| (name, xs.iter().map(|&x| x as f32).collect()))
            .collect();
        let covers = Covers::from("a.");
        let mut guard = Guard::new()
            .clip(GlobalNorm::new(bound).unwrap().on(covers.clone()))
            .detect_with(Verdict::Stop, NormThreshold::new(bound).unwrap().on(covers))
            .detect_with(
                Verdict::Stop,
                NormThreshold::new(bound)
                    .unwrap()
                    .on(|name: &str| name.starts_with("a.")),
            );
        let report = guard.step(&mut grads).unwrap();
        assert_eq!(report.verdict(), Verdict::Apply, "{seed}: {report}");
    }
}

#[test]
fn what_is_summed_and_what_is_scaled_may_differ() {
    let grads = || [("w", [2.0]), ("b", [8.0]), ("c", [16.0])];
    let mut guard = Guard::new().clip(
        GlobalNorm::new(1.0)
            .unwrap()
            .on("w")
            .reaching(|name: &str| name != "c"),
    );
    let mut reached = grads();
    assert!(guard.step(&mut reached).unwrap().verdict().is_apply());
    assert_eq!(reached, [("w", [1.0]), ("b", [4.0]), ("c", [16.0])]);
    let mut guard = Guard::new().clip(
        TensorNorm::new(1.0)
            .unwrap()
            .on(|_: &str| true)
            .reaching("b"),
    );
    let mut reached = grads();
    assert!(guard.step(&mut reached).unwrap().verdict().is_apply());
    assert_eq!(reached, [("w", [2.0]), ("b", [1.0]), ("c", [16.0])]);
}

#[test]
fn a_detector_for_some_names_the_tensor_and_learns_from_its_own() {
    // Chosen by itself, and handed nothing else.
    let growth = WeightGrowth::new(2.0).unwrap();
    in_a_alone(growth.clone().on("a"));
    in_a_alone(Detector::on(growth, "a"));
}

fn in_a_alone(growth: impl Detector + 'static) {
    let mut guard = Guard::new().detect(growth);
    let mut fired = vec![];
    for (a, b) in [(1.0, 1.0), (1.5, 50.0), (3.0, 99.0)] {
        let params = [("b", [b]), ("a", [a])];
        let mut grads = [("b", [0.0]), ("a", [0.0])];
        let report = guard.step(Step::new(&mut grads).params(&params)).unwrap();
        fired.extend(report.alarms().iter().map(ToString::to_string));
    }
    assert_eq!(fired.len(), 1, "{fired:?}");
    assert!(
        fired[0].contains("parameter a is 3.000, above 2.000"),
        "{fired:?}"
    );
}

/// Fires when the updates are large beside the parameters.
#[derive(Debug)]
struct UpdateRatio;

impl Detector for UpdateRatio {
    fn name(&self) -> &'static str {
        "update ratio"
    }

    fn needs(&self) -> Needs {
        Needs::norms().of_params()
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        if let (Some(updates), Some(params)) = (step.updates, step.params) {
            let ratio = updates.total().l2() / params.total().l2();
            if ratio > 0.1 {
                let alarm = step.alarm("update ratio", Subject::Parameters);
                alarms.raise(alarm.above("update ratio", ratio, 0.1));
            }
        }
    }
}

#[test]
fn parameters_and_updates_of_a_group_have_totals_of_their_own() {
    let mut guard = Guard::new()
        .detect(UpdateRatio)
        .detect(UpdateRatio.on("a"))
        .detect(UpdateRatio.on("b"));
    let (params, updates) = ([("a", [4.0]), ("b", [30.0])], [("a", [2.0]), ("b", [1.5])]);
    let mut grads = [("a", [1.0]), ("b", [1.0])];
    let step = Step::new(&mut grads).params(&params).updates(&updates);
    let report = guard.step(step).unwrap();
    let ratios: Vec<f64> = report.alarms().iter().map(Alarm::value).collect();
    assert_eq!(ratios, [0.5], "of a; that of b is 0.05, of all 0.08");
}

#[test]
fn nobody_is_in_a_group_of_none() {
    let mut grads = [("w", [9.0])];
    let mut guard = Guard::new().clip(GlobalNorm::new(1.0).unwrap().on("no one."));
    assert!(!guard.step(&mut grads).unwrap().is_clipped());
    assert_eq!(grads, [("w", [9.0])]);
}

#[test]
fn groups_are_told_apart_also_behind_a_clamp_that_bites() {
    for seed in 0..50 {
        let (mut together, mut one_by_one) = (named(seed), named(seed));
        let clamp = || Value::new(0.5).unwrap();
        let of = |group: &'static str, max: f64| GlobalNorm::new(max).unwrap().on(group);
        let mut guard = Guard::new()
            .clip(clamp())
            .clip(of("a.", 0.1))
            .clip(of("b.", 0.2));
        assert!(guard.step(&mut together).unwrap().verdict().is_apply());
        let mut alone = |mut guard: Guard| {
            assert!(guard.step(&mut one_by_one).unwrap().verdict().is_apply());
        };
        alone(Guard::new().clip(clamp()));
        alone(Guard::new().clip(of("a.", 0.1)));
        alone(Guard::new().clip(of("b.", 0.2)));
        for ((name, xs), (_, ys)) in together.iter().zip(&one_by_one) {
            // Clamped and scaled at once, or rounded in between.
            let near = |(x, y): (&f64, &f64)| (x - y).abs() <= 4.0 * f64::EPSILON * y.abs();
            assert!(xs.iter().zip(ys).all(near), "{seed} {name}: {xs:?} {ys:?}");
        }
    }
}

#[test]
fn members_follow_the_names() {
    let mut guard = Guard::new().clip(GlobalNorm::new(1.0).unwrap().on("a"));
    follow(&mut guard);
    // Behind a clamp that bites, where they are read apart.
    let clamp = Value::new(1e3).unwrap().on("z");
    let mut guard = Guard::new()
        .clip(clamp)
        .clip(GlobalNorm::new(1.0).unwrap().on("a"));
    for _ in 0..2 {
        let mut one = [("a", [2.0]), ("b", [2.0]), ("z", [1e9])];
        assert!(guard.step(&mut one).unwrap().verdict().is_apply());
        assert_eq!(one, [("a", [1.0]), ("b", [2.0]), ("z", [1e3])]);
        let mut other = [("z", [1e9]), ("b", [2.0]), ("a", [4.0])];
        assert!(guard.step(&mut other).unwrap().verdict().is_apply());
        assert_eq!(other, [("z", [1e3]), ("b", [2.0]), ("a", [1.0])]);
    }
}

fn follow(guard: &mut Guard) {
    for _ in 0..2 {
        let mut one = [("a", [2.0]), ("b", [2.0])];
        assert!(guard.step(&mut one).unwrap().verdict().is_apply());
        assert_eq!(one, [("a", [1.0]), ("b", [2.0])]);
        let mut other = [("b", [2.0]), ("c", [2.0]), ("a", [4.0])];
        assert!(guard.step(&mut other).unwrap().verdict().is_apply());
        assert_eq!(other, [("b", [2.0]), ("c", [2.0]), ("a", [1.0])]);
    }
}

#[cfg(feature = "ndarray")]
#[test]
fn units_of_matrices_go_with_biases() {
    use ndarray::{Array1, Array2, array};
    use steadygrad::{Factor, Pen, TensorMut, Units, Wide};

    /// Each unit to norm 1.
    #[derive(Debug)]
    struct UnitNorm(Units);

    impl Clipper for UnitNorm {
        fn name(&self) -> &'static str {
            "unit norm"
        }

        fn needs(&self) -> Needs {
            Needs::norms().of_units(self.0.clone())
        }

        fn plan(&mut self, step: &StepView<'_>, pen: &mut Pen<'_>) {
            for i in 0..pen.len() {
                let factor = |unit: &steadygrad::Stats| {
                    Factor::ratio(Wide::ONE, Wide::from(unit.l2().max(1.0)))
                };
                let factors: Vec<Factor> = step.grads.units(i).iter().map(factor).collect();
                pen.scale_units(i, &factors);
            }
        }
    }

    // As burn keeps them, [in, out].
    let mut w: Array2<f32> = array![[3.0, 0.0], [4.0, 0.5]];
    let mut b: Array1<f32> = array![0.0, 2.0];
    let mut set: [(&str, &mut dyn TensorMut); 2] = [("w", &mut w), ("b", &mut b)];
    let mut guard = Guard::new().clip(UnitNorm(Units::Last));
    assert!(guard.step(&mut set).unwrap().verdict().is_apply());
    assert_eq!(w, array![[0.6, 0.0], [0.8, 0.5]]);
    assert_eq!(b, array![0.0, 1.0]);

    // Examples are units of vectors, too.
    let mut x: Array1<f32> = array![0.5, -4.0];
    let mut set: [(&str, &mut dyn TensorMut); 1] = [("x", &mut x)];
    let mut guard = Guard::new().clip(UnitNorm(Units::Examples));
    assert!(guard.step(&mut set).unwrap().verdict().is_apply());
    assert_eq!(x, array![0.5, -1.0]);
}

#[test]
fn a_rule_for_other_tensors_sees_to_nothing_of_the_one_there_is() {
    let mut guard = Guard::new()
        .clip(TensorNorm::new(0.1).unwrap().on("b."))
        .clip(GlobalNorm::new(1.0).unwrap());
    let mut grads = [("a.w", [3.0_f32, 4.0])];
    assert!(guard.step(&mut grads).unwrap().verdict().is_apply());
    assert_eq!(grads[0].1, [0.6, 0.8]);
}
