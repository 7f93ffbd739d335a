//! Losses: PyTorch's numbers, differences, extremes, and what counts.

use ndarray::{Array2, Array3, ArrayView3, Axis, ShapeBuilder, array};
use steadygrad::Error;
use steadygrad::recurrent::loss::{
    Counted, bernoulli, cross_entropy, squared_error, squared_error_into,
};
use steadygrad::recurrent::{Layer, Sequence};

use crate::common::{distance, lstm, signed};

struct Case {
    kind: String,
    tensors: Vec<(String, Vec<usize>, Vec<f64>)>,
}

impl Case {
    fn get(&self, name: &str) -> (&[usize], &[f64]) {
        let (_, shape, numbers) = self.tensors.iter().find(|(n, ..)| n == name).unwrap();
        (shape, numbers)
    }

    fn array(&self, name: &str) -> Array3<f64> {
        let (shape, numbers) = self.get(name);
        Array3::from_shape_vec((shape[0], shape[1], shape[2]), numbers.to_vec()).unwrap()
    }

    fn integers(&self, name: &str) -> Vec<usize> {
        self.get(name).1.iter().map(|x| *x as usize).collect()
    }
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let text = include_str!("../oracle/loss.txt");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once(' ').unwrap();
        if name == "case" {
            cases.push(Case {
                kind: rest.to_owned(),
                tensors: vec![],
            });
            continue;
        }
        let (shape, numbers) = rest.split_once(' ').unwrap();
        let shape = shape.split('x').map(|n| n.parse().unwrap()).collect();
        let numbers = numbers.split(' ').map(|x| x.parse().unwrap()).collect();
        let tensors = &mut cases.last_mut().unwrap().tensors;
        tensors.push((name.to_owned(), shape, numbers));
    }
    cases
}

#[test]
fn losses_are_pytorchs() {
    let cases = cases();
    for case in &cases {
        let outputs = case.array("outputs");
        let lengths = case.integers("lengths");
        let counted = Sequence::new(outputs.view()).lengths(&lengths).unwrap();
        let (found, d_outputs) = match &case.kind[..] {
            "squared_error" => squared_error(counted, case.array("targets").view()),
            "bernoulli" => bernoulli(counted, case.array("targets").view()),
            _ => {
                let targets = Array2::from_shape_vec((4, 3), case.integers("targets")).unwrap();
                cross_entropy(counted, targets.view())
            }
        }
        .unwrap();
        let expected = case.get("loss").1[0];
        assert!(
            (found / expected - 1.0).abs() < 1e-14,
            "{}: {found} {expected}",
            case.kind
        );
        let off = distance(&d_outputs, case.get("d_outputs").1);
        assert!(off < 1e-14, "{}: {off:e}", case.kind);
    }
    assert_eq!(cases.len(), 12);
}

type Loss<'l> = dyn Fn(ArrayView3<'_, f64>) -> steadygrad::Result<(f64, Array3<f64>)> + 'l;

/// Outputs that count by these weights, of a sequence of three steps and one of two.
fn counted<'a>(outputs: &ArrayView3<'a, f64>, weights: &'a Array2<f64>) -> Counted<'a, f64> {
    let outputs = Sequence::new(*outputs).lengths(&[3, 2]).unwrap();
    Counted::new(outputs).weights(weights.view()).unwrap()
}

/// Each loss over outputs `[3, 2, 4]` with lengths and weights.
fn each(mut check: impl FnMut(&str, &Loss<'_>)) {
    let mut draw = signed(5, 1.0);
    let targets = Array3::from_shape_simple_fn((3, 2, 4), || draw().abs());
    let classes = array![[0, 1], [3, 2], [1, 99]]; // the last counts for nothing
    let weights = array![[1.0, 0.25], [0.0, 2.0], [0.5, f64::MAX]];
    check("squared", &|y| {
        squared_error(counted(&y, &weights), targets.view())
    });
    check("bernoulli", &|y| {
        bernoulli(counted(&y, &weights), targets.view())
    });
    check("cross", &|y| {
        cross_entropy(counted(&y, &weights), classes.view())
    });
}

#[test]
fn gradients_are_central_differences() {
    const STEP: f64 = 1e-5;
    let mut draw = signed(6, 3.0);
    let outputs = Array3::from_shape_simple_fn((3, 2, 4), &mut draw);
    each(|name, loss| {
        let (_, d_outputs) = loss(outputs.view()).unwrap();
        for (at, d) in d_outputs.indexed_iter() {
            let [up, down] = [STEP, -STEP].map(|step| {
                let mut outputs = outputs.clone();
                outputs[at] += step;
                loss(outputs.view()).unwrap().0
            });
            let slope = (up - down) / (2.0 * STEP);
            assert!((slope - d).abs() < 1e-9, "{name} at {at:?}: {slope} {d}");
        }
    });
}

#[test]
fn what_counts_for_nothing_may_hold_anything() {
    let mut draw = signed(7, 3.0);
    let outputs = Array3::from_shape_simple_fn((3, 2, 4), &mut draw);
    let silent = [(1, 0), (2, 1)]; // weighs nothing, lies past the end
    let mut wild = outputs.clone();
    for (t, b) in silent {
        for k in 0..4 {
            wild[[t, b, k]] = [f64::NAN, f64::INFINITY, -1e300, f64::NEG_INFINITY][k];
        }
    }
    each(|name, loss| {
        let (tame, wild) = (loss(outputs.view()).unwrap(), loss(wild.view()).unwrap());
        assert_eq!(tame, wild, "{name}");
        for (t, b) in silent {
            assert!(
                tame.1
                    .index_axis(Axis(0), t)
                    .row(b)
                    .iter()
                    .all(|d| d.to_bits() == 0)
            );
        }
        assert!(tame.1.iter().filter(|d| **d == 0.0).count() == 8, "{name}");
    });
}

#[test]
fn weights_of_one_and_of_a_mask_are_lengths() {
    let mut draw = signed(8, 3.0);
    let outputs = Array3::from_shape_simple_fn((3, 2, 4), &mut draw);
    let targets = Array3::zeros((3, 2, 4));
    let mask = array![[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]];
    let by_mask = Counted::new(outputs.view()).weights(mask.view()).unwrap();
    let by_length = Sequence::new(outputs.view()).lengths(&[3, 2]).unwrap();
    assert_eq!(
        squared_error(by_mask, targets.view()).unwrap(),
        squared_error(by_length, targets.view()).unwrap()
    );
    // Weights are relative.
    let doubled = mask * 2.0;
    let by_mask = Counted::new(outputs.view())
        .weights(doubled.view())
        .unwrap();
    assert_eq!(
        squared_error(by_mask, targets.view()).unwrap(),
        squared_error(by_length, targets.view()).unwrap()
    );
}

#[test]
fn logits_of_any_size_are_right() {
    // A sure prediction: loss e^−x and gradient −e^−x, which 1 − p would round to 0.
    for x in [40.0_f64, 500.0, 700.0] {
        let (loss, d) = cross_entropy(array![[[x, 0.0]]].view(), array![[0]].view()).unwrap();
        assert!((loss / (-x).exp() - 1.0).abs() < 1e-15, "{loss}");
        assert!((d[[0, 0, 0]] / -(-x).exp() - 1.0).abs() < 1e-15);
        assert!((d[[0, 0, 1]] / (-x).exp() - 1.0).abs() < 1e-15);
        let (loss, d) = bernoulli(array![[[x, -x]]].view(), array![[[1.0, 0.0]]].view()).unwrap();
        assert!((loss / (-x).exp() - 1.0).abs() < 1e-15, "{loss}");
        assert!((d[[0, 0, 0]] / (-0.5 * (-x).exp()) - 1.0).abs() < 1e-15);
        assert!((d[[0, 0, 1]] / (0.5 * (-x).exp()) - 1.0).abs() < 1e-15);
    }
    // A sure and wrong one: loss x, gradient 1, up to the largest number there is.
    for x in [800.0, 1e30, f64::MAX / 2.0] {
        for shift in [0.0, x / 2.0, -x / 2.0] {
            let logits = array![[[x / 2.0 + shift, -x / 2.0 + shift]]];
            let (loss, d) = cross_entropy(logits.view(), array![[1]].view()).unwrap();
            assert_eq!((loss, d), (x, array![[[1.0, -1.0]]]));
        }
        let (loss, d) = bernoulli(array![[[x, -x]]].view(), array![[[0.0, 1.0]]].view()).unwrap();
        assert_eq!((loss, d), (x, array![[[0.5, -0.5]]]));
    }
    let (loss, d) = cross_entropy(array![[[200.0_f32, 0.0]]].view(), array![[1]].view()).unwrap();
    assert_eq!((loss, d), (200.0, array![[[1.0, -1.0]]]));
    // A shift of all logits changes nothing.
    let (near, d_near) =
        cross_entropy(array![[[1.0, 2.0, 4.0]]].view(), array![[1]].view()).unwrap();
    let (far, d_far) = cross_entropy(
        array![[[1025.0, 1026.0, 1028.0]]].view(),
        array![[1]].view(),
    )
    .unwrap();
    assert_eq!((near, d_near), (far, d_far));
}

#[test]
fn a_class_that_is_ruled_out_takes_no_part() {
    let logits = array![[[0.0, f64::NEG_INFINITY, 0.0]]];
    let (loss, d) = cross_entropy(logits.view(), array![[0]].view()).unwrap();
    assert_eq!((loss, d), (2.0_f64.ln(), array![[[-0.5, 0.0, 0.5]]]));
    let (loss, _) = cross_entropy(logits.view(), array![[1]].view()).unwrap();
    assert_eq!(loss, f64::INFINITY);
}

#[test]
fn what_is_not_finite_is_seen() {
    let mut draw = signed(9, 3.0);
    let outputs = Array3::from_shape_simple_fn((3, 2, 4), &mut draw);
    each(|name, loss| {
        for k in 0..4 {
            let mut nan = outputs.clone();
            nan[[0, 1, k]] = f64::NAN;
            let (loss, d) = loss(nan.view()).unwrap();
            assert!(loss.is_nan(), "{name}");
            assert!(d[[0, 1, k]].is_nan(), "{name}");
            assert!(
                d.index_axis(Axis(0), 0)
                    .row(0)
                    .iter()
                    .all(|d| d.is_finite())
            );
        }
    });
    for logits in [
        [f64::INFINITY, 0.0],
        [0.0, f64::INFINITY],
        [f64::NEG_INFINITY; 2],
    ] {
        let (loss, d) =
            cross_entropy(array![[[logits[0], logits[1]]]].view(), array![[0]].view()).unwrap();
        assert!(
            loss.is_nan() && d.iter().all(|d| d.is_nan()),
            "{logits:?}: {loss} {d}"
        );
    }
    let targets = array![[[f64::NAN]]];
    let (loss, d) = squared_error(array![[[1.0]]].view(), targets.view()).unwrap();
    assert!(loss.is_nan() && d[[0, 0, 0]].is_nan());
}

#[test]
fn targets_out_of_range_and_shapes_are_refused() {
    let outputs = Array3::<f64>::zeros((3, 2, 4));
    let words = |error: Error| error.to_string();
    let error = cross_entropy(outputs.view(), Array2::from_elem((3, 2), 4).view()).unwrap_err();
    assert_eq!(
        words(error),
        "target: expected a class that the logits have, found 4"
    );
    let error = cross_entropy(outputs.view(), Array2::from_elem((2, 3), 0).view()).unwrap_err();
    assert_eq!(words(error), "targets: expected shape [3, 2], found [2, 3]");
    for y in [-0.1, 1.1, f64::NAN] {
        let error = bernoulli(outputs.view(), Array3::from_elem((3, 2, 4), y).view()).unwrap_err();
        let words = words(error);
        assert!(
            words.starts_with("target: expected a probability, from 0 to 1, found"),
            "{words}"
        );
    }
    for refused in [
        squared_error(outputs.view(), Array3::zeros((3, 2, 3)).view()),
        bernoulli(outputs.view(), Array3::zeros((3, 2, 3)).view()),
    ] {
        assert_eq!(
            words(refused.unwrap_err()),
            "targets: expected shape [3, 2, 4], found [3, 2, 3]"
        );
    }
    for w in [-1.0, f64::NAN, f64::INFINITY] {
        let weights = Array2::from_elem((3, 2), w);
        assert!(
            Counted::new(outputs.view())
                .weights(weights.view())
                .is_err()
        );
    }
    let weights = Array2::zeros((2, 2));
    let error = Counted::new(outputs.view())
        .weights(weights.view())
        .unwrap_err();
    assert_eq!(
        words(error),
        "weights of steps: expected shape [3, 2], found [2, 2]"
    );
}

#[test]
fn a_mean_over_nothing_is_refused() {
    let outputs = Array3::<f64>::zeros((3, 2, 4));
    let (targets, classes) = (Array3::zeros((3, 2, 4)), Array2::zeros((3, 2)));
    let none = Sequence::new(outputs.view()).lengths(&[0, 0]).unwrap();
    let weights = Array2::zeros((3, 2));
    let weightless = Counted::new(outputs.view())
        .weights(weights.view())
        .unwrap();
    for counted in [Counted::new(none), weightless] {
        for refused in [
            squared_error(counted, targets.view()),
            bernoulli(counted, targets.view()),
            cross_entropy(counted, classes.view()),
        ] {
            let error = refused.unwrap_err();
            assert_eq!(
                error.to_string(),
                "steps that count: expected at least one, found 0"
            );
        }
    }
    for shape in [(0, 2, 4), (3, 0, 4), (3, 2, 0)] {
        let nothing = Array3::<f64>::zeros(shape);
        assert!(squared_error(nothing.view(), nothing.view()).is_err());
        let classes = Array2::zeros((shape.0, shape.1));
        assert!(cross_entropy(nothing.view(), classes.view()).is_err());
    }
}

#[test]
fn space_is_used_again_and_any_memory_order_is_right() {
    let mut draw = signed(10, 3.0);
    let outputs = Array3::from_shape_simple_fn((3, 2, 4), &mut draw);
    let targets = Array3::from_shape_simple_fn((3, 2, 4), &mut draw);
    let (loss, d_outputs) = squared_error(outputs.view(), targets.view()).unwrap();
    let mut turned = Array3::zeros(outputs.raw_dim().f());
    turned.assign(&outputs);
    let mut space = Array3::from_elem((3, 2, 4), f64::NAN);
    let place = space.as_ptr();
    let again = squared_error_into(turned.view(), targets.view(), &mut space).unwrap();
    assert_eq!((again, &space), (loss, &d_outputs));
    assert_eq!(space.as_ptr(), place);
    let mut space = turned; // of the right shape, in the wrong order
    squared_error_into(outputs.view(), targets.view(), &mut space).unwrap();
    assert!(space == d_outputs && space.is_standard_layout());
}

#[test]
fn single_precision_is_double_precision_rounded() {
    let mut draw = signed(11, 3.0);
    let outputs = Array3::from_shape_simple_fn((3, 2, 4), || draw() as f32);
    let wide = outputs.mapv(f64::from);
    let classes = array![[0, 1], [3, 2], [1, 3]];
    let (loss, d) = cross_entropy(outputs.view(), classes.view()).unwrap();
    let (wide_loss, wide_d) = cross_entropy(wide.view(), classes.view()).unwrap();
    assert_eq!(loss, wide_loss);
    for (d, wide) in d.iter().zip(&wide_d) {
        assert!((f64::from(*d) / wide - 1.0).abs() < 2e-7, "{d} {wide}");
    }
}

#[test]
fn padding_at_the_end_with_zero_gradients_is_exact() {
    let net = lstm::<f64>(2, 3);
    let mut draw = signed(12, 1.0);
    let xs = Array3::from_shape_simple_fn((9, 1, 2), &mut draw);
    let targets = Array3::from_shape_simple_fn((9, 1, 3), &mut draw);
    let s0 = net.zero_state(1);
    let end = |a: &Array3<f64>, steps: usize| a.slice_axis(Axis(0), (0..steps).into()).to_owned();

    let padded = net.forward(xs.view(), &s0).unwrap();
    let outputs = Sequence::new(padded.outputs()).lengths(&[6]).unwrap();
    let (padded_loss, d_outputs) = squared_error(outputs, targets.view()).unwrap();
    let padded = net.backward(&padded, d_outputs.view()).unwrap();

    let alone = net.forward(end(&xs, 6).view(), &s0).unwrap();
    let (loss, d_outputs) = squared_error(alone.outputs(), end(&targets, 6).view()).unwrap();
    let alone = net.backward(&alone, d_outputs.view()).unwrap();

    assert_eq!(padded_loss, loss);
    assert_eq!(padded.grads, alone.grads);
    assert_eq!(padded.d_state0, alone.d_state0);
    assert_eq!(end(&padded.d_inputs, 6), alone.d_inputs);
    assert!(padded.d_inputs.iter().skip(12).all(|d| *d == 0.0));
}
