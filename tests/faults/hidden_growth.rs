//! Kind 21: a weight that runs away unseen, behind a bias that starts at almost nothing.

use steadygrad::detect::{Alarm, Alarms, Detector, WeightGrowth};
use steadygrad::{Guard, Measurement, Outcome, Step, StepView, TensorSet, Verdict};

/// What is told of each step with these weights: of which tensor, and since when.
fn told<P: TensorSet>(growth: WeightGrowth, steps: &[P]) -> Vec<Vec<(String, u64)>> {
    let mut guard = Guard::new().detect(growth);
    let mut watch = |params: &P| {
        // Missing gradients fit any parameters.
        let mut grads = vec![];
        params
            .visit(&mut |name, _| {
                grads.push((name.to_string(), None::<Vec<f32>>));
                Ok(())
            })
            .unwrap();
        let report = guard.step(Step::new(&mut grads).params(params)).unwrap();
        assert!(report.abstained().is_empty(), "{report}");
        let alarms = report.alarms().iter();
        let say = |alarm: &Alarm| (alarm.tensor().unwrap().to_string(), alarm.since());
        alarms.map(say).collect()
    };
    steps.iter().map(&mut watch).collect()
}

/// A recurrent matrix that grows 80 times beside a bias that grows 10,000 times, or from nothing.
const GROWN: [f64; 4] = [1.0, 3.5, 20.0, 80.0];

fn bias(start: f64, step: usize) -> f64 {
    [start, 1e-3, 0.1, 1.0][step]
}

#[test]
fn a_bias_does_not_hide_the_weight_that_matters() {
    for start in [0.0, 1e-4] {
        let at = |step: usize| {
            [
                ("w_rec", vec![GROWN[step]; 4]),
                ("bias", vec![bias(start, step)]),
            ]
        };
        let said = told(WeightGrowth::new(3.0).unwrap(), &[0, 1, 2, 3].map(at));
        let w_rec = || vec![("w_rec".to_string(), 2)];
        assert_eq!(said, [vec![], w_rec(), w_rec(), w_rec()]);
    }
}

#[cfg(feature = "ndarray")]
#[test]
fn where_shapes_are_known_they_tell_which_tensors_are_weights() {
    use ndarray::{Array1, Array2};
    // Whatever they are called.
    let at = |step: usize| {
        [
            ("b", Array2::from_elem((2, 2), GROWN[step]).into_dyn()),
            ("w", Array1::from_elem(2, bias(1e-4, step)).into_dyn()),
        ]
    };
    let steps = [0, 1, 2, 3].map(at);
    let growth = WeightGrowth::new(3.0).unwrap();
    let b = || vec![("b".to_string(), 2)];
    let said = told(growth.clone(), &steps);
    assert_eq!(said, [vec![], b(), b(), b()]);
    // Unless they are chosen.
    let w = || vec![("w".to_string(), 2)];
    let said = told(growth.on("w"), &steps);
    assert_eq!(said, [vec![], w(), w(), w()]);
}

#[test]
fn all_that_are_over_the_bound_are_told_each_as_an_event_of_its_own() {
    let at = |[u, v, w]: [f64; 3]| [("u", [u]), ("v", [v]), ("w", [w]), ("b", [u * u])];
    let steps = [
        [1.0, 1.0, 2.0],
        [4.0, 3.0, 7.0],
        [2.0, 5.0, 7.0],
        [9.0, 5.0, 2.0],
    ];
    let names = |told: &[(&str, u64)]| -> Vec<(String, u64)> {
        let owned = |&(name, since): &(&str, u64)| (name.to_string(), since);
        told.iter().map(owned).collect()
    };
    let said = told(WeightGrowth::new(3.0).unwrap(), &steps.map(at));
    assert_eq!(
        said,
        [
            names(&[]),
            names(&[("u", 2), ("w", 2)]),
            names(&[("v", 3), ("w", 2)]),
            names(&[("u", 4), ("v", 3)]),
        ]
    );
}

#[test]
fn a_model_without_a_weight_is_not_watched_in_silence() {
    let params = [("b1", [1.0]), ("b2", [1.0])];
    let mut grads = [("b1", [1.0]), ("b2", [1.0])];
    let growth = || WeightGrowth::new(3.0).unwrap();
    for (growth, watched) in [(growth(), false), (growth().on("b2"), true)] {
        let mut guard = Guard::new().detect_with(Verdict::Stop, growth);
        let report = guard.step(Step::new(&mut grads).params(&params)).unwrap();
        let abstained: &[_] = &[("weight growth", "no weight is watched")];
        assert_eq!(report.abstained(), if watched { &[] } else { abstained });
    }
    let (grads, params) = (Measurement::default(), Measurement::of(&params).unwrap());
    for (mut growth, why) in [
        (growth(), Some("no weight is watched")),
        (growth().on("b2"), None),
    ] {
        let mut alarms = Alarms::default();
        growth.observe(&StepView::new(1, &grads).params(&params), &mut alarms);
        assert_eq!(alarms.abstained(), why);
    }
}

#[test]
fn what_is_watched_survives_a_restart_and_a_rollback() {
    let growth = || {
        let growth = WeightGrowth::new(3.0).unwrap();
        growth.floor(0.5).unwrap().per_step(1.0, 2).unwrap()
    };
    let observe = |detector: &mut WeightGrowth, number: u64, [w, b]: [f64; 2]| {
        let params = Measurement::of(&[("w", [w]), ("b", [b])]).unwrap();
        let grads = Measurement::default();
        let mut alarms = Alarms::default();
        detector.observe(&StepView::new(number, &grads).params(&params), &mut alarms);
        alarms.iter().map(Alarm::bound).collect::<Vec<_>>()
    };
    let mut first = growth();
    for (number, w) in [(1, 1.0), (2, 1.5), (3, 2.0)] {
        assert!(observe(&mut first, number, [w, w]).is_empty(), "{number}");
    }
    let mut state = steadygrad::State::default();
    first.save(&mut state);
    let mut second = growth();
    second.load(&state).unwrap();
    for detector in [&mut first, &mut second] {
        // Above both bounds: 3 times its first value, and 1 a step.
        assert_eq!(observe(detector, 4, [4.5, 99.0]), [3.0, 1.0]);
        // The window begins anew, the first value stays.
        detector.settle(&Outcome::new(4, Verdict::Rollback));
        assert_eq!(observe(detector, 5, [9.0, 9.0]), [3.0]);
    }
    assert_eq!(first, second);
}
