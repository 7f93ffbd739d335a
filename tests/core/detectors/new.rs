//! The detectors that go by what is usual, and by what one step does.

use steadygrad::detect::{Spike, UpdateRatio, Vanishing};

use super::*;

#[test]
fn spike_of_the_loss() {
    let loss = ritual(&|| Box::new(Spike::of_loss()));
    let noise: Vec<f64> = (0..60).map(|i| 2.0 + f64::from(i * i % 7) / 10.0).collect();
    loss.fires("noise", &losses(&noise), &[]);
    let falls: Vec<f64> = (0..60).map(|i| 0.9_f64.powi(i)).collect();
    loss.fires("falls", &losses(&falls), &[]);
    let back = [of(1.0, 20), of(9.0, 1), of(1.0, 10), of(7.0, 2), of(1.0, 2)].concat();
    loss.fires("comes back", &losses(&back), &[21, 32, 33]);
    // 1.1^6 is 1.77.
    let jump = [of(1.0, 20), of(1.77, 1), of(1.78, 1)].concat();
    loss.fires("a constant, then a jump", &losses(&jump), &[22]);
    let levels = [of(1.0, 20), of(50.0, 30), of(5000.0, 10), of(1.0, 20)].concat();
    let expected = [(21..=25).collect(), (51..=55).collect::<Vec<_>>()].concat();
    loss.fires("each level once", &losses(&levels), &expected);
    loss.fires("zeros", &losses(&of(0.0, 30)), &[]);
    let below = [[-3.0, -3.2].repeat(10), of(-1.3, 1), of(-1.1, 1)].concat();
    loss.fires("losses below 0", &losses(&below), &[22]);
    loss.fires("at first", &losses(&[1.0, 10.0, 9.0, 101.0]), &[4]);
    assert_eq!(
        loss.says(&losses(&levels[..25])),
        [
            "step 25: the value of the loss is 50.00, above 1.772 for 5 steps in a row (loss spike)",
            "step 25: the value of the loss is 50.00, above 1.772 on 5 of the last 8 steps (loss shift)",
        ]
    );
}

#[test]
fn spike_of_the_norm() {
    let norm = ritual(&|| Box::new(Spike::of_norm()));
    let jump = [of(1e9, 20), of(1.77e9, 1), of(1.78e9, 1), of(1e9, 3)].concat();
    norm.fires("a constant, then a jump", &norms(&jump), &[22]);
    let levels = [of(1e-9, 20), of(1e-7, 30)].concat();
    norm.fires("each level once", &norms(&levels), &[21, 22, 23, 24, 25]);
    let zeros = [of(0.0, 20), of(1e-3, 1), of(0.0, 5)].concat();
    norm.fires("zeros, then a jump", &norms(&zeros), &[21]);
    // √2 · MAX is past the range of f64, and no infinity.
    let mut far = norms(&of(1.0, 12));
    far.extend(each(&[[f64::MAX, f64::MAX], [1.0, 0.0], [2.0, 0.0]]));
    norm.fires("past the range", &far, &[13, 15]);
    assert_eq!(
        norm.says(&far[..13]),
        ["step 13: the norm of the gradients is 2.542e308, above 1.772 (norm spike)"]
    );
}

#[test]
fn vanishing() {
    let whole = ritual(&|| Box::new(Vanishing::default()));
    let brief = [of(1.0, 20), of(1e-4, 9), of(1.0, 5)].concat();
    whole.fires("comes back", &norms(&brief), &[]);
    let levels = [of(1.0, 20), of(1e-4, 30), of(1e-8, 30), of(1.0, 30)].concat();
    whole.fires("each level once", &norms(&levels), &[30, 60]);
    let jump = [of(1.0, 20), of(1e9, 20)].concat();
    whole.fires("a constant, then a jump", &norms(&jump), &[]);
    whole.fires(
        "zeros from the beginning",
        &norms(&of(0.0, 12)),
        &[10, 11, 12],
    );
    let slow: Vec<f64> = (0..90).map(|i| 0.9_f64.powi(i)).collect();
    whole.fires("as a loss that is learnt", &norms(&slow), &[]);
    assert_eq!(
        whole.says(&norms(&levels[..30])),
        [
            "step 30: the norm of the gradients is 1.000e-4, below 0.001000 for 10 steps in a row (vanishing)"
        ]
    );

    let floor = ritual(&|| {
        let floor = Vanishing::default().fraction(0.0).unwrap();
        Box::new(floor.below(1e-3).unwrap().steps(2).unwrap())
    });
    floor.fires(
        "below a floor",
        &norms(&[1.0, 1e-3, 1e-4, 1e-5, 1e-6, 1.0]),
        &[4, 5],
    );

    let tensors = ritual(&|| {
        let each = Vanishing::per_tensor().below_total(1e-3).unwrap();
        Box::new(each.steps(2).unwrap())
    });
    let series = each(&[
        [1.0, 1e-2],
        [1.0, 1e-4],
        [0.0, 1e-4],
        [1.0, 1e-4],
        [1.0, 1e-4],
    ]);
    tensors.fires("beside the others", &series, &[5]);
    assert_eq!(
        tensors.says(&series),
        [
            "step 5: the norm of gradient w_rec is 1.000e-4, below 0.001000 for 2 steps in a row (vanishing)"
        ]
    );

    let flow = ritual(&|| Box::new(Vanishing::of_signal("flow").steps(3).unwrap()));
    let fades = [of(0.5, 12), of(1e-4, 9)].concat();
    flow.fires("a signal", &flows(&fades), &[15]);
    assert_eq!(
        flow.says(&flows(&fades[..15])),
        [
            "step 15: the flow of the gradients is 1.000e-4, below 5.000e-4 for 3 steps in a row (vanishing)"
        ]
    );
    let mut guard = Guard::new().detect(Vanishing::of_signal("flow"));
    let silent = Moment { flow: None, ..CALM };
    assert!(go(&mut guard, silent).is_empty());
    assert_eq!(
        guard.report().abstained(),
        [("vanishing", "its signal was not given")]
    );
}

#[test]
fn a_missing_gradient_has_not_vanished() {
    let mut guard = Guard::new().detect(Vanishing::per_tensor().steps(1).unwrap());
    let mut step = |head: Option<[f64; 1]>| {
        let report = guard
            .step(&mut [("w", Some([1.0])), ("head", head)])
            .unwrap();
        report.alarms().len()
    };
    assert_eq!((step(None), step(Some([0.0])), step(None)), (0, 1, 0));
    let mut whole = Guard::new().detect(Vanishing::default().steps(1).unwrap());
    assert!(
        whole
            .step(&mut Vec::<[f64; 1]>::new())
            .unwrap()
            .alarms()
            .is_empty()
    );
}

#[test]
fn update_ratio() {
    let ratio = ritual(&|| Box::new(UpdateRatio::default()));
    ratio.fires("within", &updates(&[[1e-5, 0.1], [1e-3, 1e-3]]), &[]);
    let series = updates(&[[1e-3, 0.2], [1e-6, 1e-3], [0.0, 0.0], [1e-6, 0.2]]);
    ratio.fires("above and below", &series, &[1, 2, 4]);
    let jump = [vec![[1e-3; 2]; 20], vec![[1e-3, 0.11]; 3]].concat();
    ratio.fires(
        "a constant, then a jump that stays",
        &updates(&jump),
        &[21, 22, 23],
    );
    assert_eq!(
        ratio.says(&series),
        [
            "step 4: the update ratio of parameter w_in is 1.000e-6, below 1.000e-5 (update ratio)",
            "step 4: the update ratio of parameter w_rec is 0.2000, above 0.1000 (update ratio)",
        ]
    );
    let mut guard = Guard::new().detect(UpdateRatio::default());
    let first = Moment {
        updates: None,
        ..CALM
    };
    assert!(go(&mut guard, first).is_empty());
    assert_eq!(
        guard.report().abstained(),
        [("update ratio", "no updates were given")]
    );
}
