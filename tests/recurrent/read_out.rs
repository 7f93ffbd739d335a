//! The affine map over every step: its gradients, its shapes, any memory order.

use ndarray::{Array1, Array2, Array3, Axis, ShapeBuilder, array};
use steadygrad::recurrent::{Init, ReadOut, ReadOutBackward};
use steadygrad::{Error, Measurement};

use crate::common::{distance, signed, uniform};

fn problem(outputs: usize, has_bias: bool) -> (ReadOut<f64>, Array3<f64>, Array3<f64>) {
    let mut draw = signed(outputs as u64, 1.0);
    let w = Array2::from_shape_simple_fn((outputs, 4), &mut draw);
    let bias = Array1::from_shape_simple_fn(if has_bias { outputs } else { 0 }, &mut draw);
    let h = Array3::from_shape_simple_fn((5, 3, 4), &mut draw);
    let d_outputs = Array3::from_shape_simple_fn((5, 3, outputs), &mut draw);
    (ReadOut::new(w, bias).unwrap(), h, d_outputs)
}

/// The same numbers with the first axis innermost.
fn turned(a: &Array3<f64>) -> Array3<f64> {
    let mut turned = Array3::zeros(a.raw_dim().f());
    turned.assign(a);
    turned
}

#[test]
fn outputs_are_the_formula() {
    for outputs in [1, 2, 7] {
        for has_bias in [false, true] {
            let (map, h, _) = problem(outputs, has_bias);
            let expected = Array3::from_shape_fn((5, 3, outputs), |(t, b, o)| {
                let bias = map.bias.get(o).copied().unwrap_or(0.0);
                (0..4).fold(bias, |sum, k| sum + map.w[[o, k]] * h[[t, b, k]])
            });
            assert!(distance(&map.forward(h.view()).unwrap(), &expected) < 1e-15);
        }
    }
}

/// Moves one number by a step.
type Nudge<'n> = dyn Fn(&mut ReadOut<f64>, &mut Array3<f64>, f64) + 'n;

#[test]
fn gradients_are_central_differences() {
    const STEP: f64 = 1e-6;
    for outputs in [1, 3] {
        let (map, h, d_outputs) = problem(outputs, true);
        let loss = |map: &ReadOut<f64>, h: &Array3<f64>| {
            (map.forward(h.view()).unwrap() * &d_outputs).sum()
        };
        let back = map.backward(h.view(), d_outputs.view()).unwrap();
        // The loss is linear in each, so differences are exact but for rounding.
        let slope = |nudge: &Nudge<'_>| {
            let [up, down] = [STEP, -STEP].map(|step| {
                let (mut map, mut h) = (map.clone(), h.clone());
                nudge(&mut map, &mut h, step);
                loss(&map, &h)
            });
            (up - down) / (2.0 * STEP)
        };
        for ((o, k), d) in back.grads.w.indexed_iter() {
            let slope = slope(&|map, _, step| map.w[[o, k]] += step);
            assert!((slope - d).abs() < 1e-8, "w {o} {k}: {slope} {d}");
        }
        for (o, d) in back.grads.bias.indexed_iter() {
            let slope = slope(&|map, _, step| map.bias[o] += step);
            assert!((slope - d).abs() < 1e-8, "bias {o}: {slope} {d}");
        }
        for ((t, b, k), d) in back.d_inputs.indexed_iter() {
            let slope = slope(&|_, h, step| h[[t, b, k]] += step);
            assert!((slope - d).abs() < 1e-8, "h {t} {b} {k}: {slope} {d}");
        }
    }
}

#[test]
fn no_memory_order_changes_a_bit_and_all_that_comes_out_is_in_order() {
    for outputs in [1, 3] {
        let (map, h, d_outputs) = problem(outputs, true);
        let plain = map.forward(h.view()).unwrap();
        let back = map.backward(h.view(), d_outputs.view()).unwrap();
        let mut columns = Array2::zeros(map.w.raw_dim().f());
        columns.assign(&map.w);
        let other = ReadOut::new(columns, map.bias.clone()).unwrap();
        // Batch first, as other frameworks keep it, seen as time first.
        let batch_first = h
            .view()
            .permuted_axes([1, 0, 2])
            .as_standard_layout()
            .into_owned();
        for h in [turned(&h), batch_first.permuted_axes([1, 0, 2])] {
            let outputs = other.forward(h.view()).unwrap();
            assert_eq!(outputs, plain);
            assert!(outputs.is_standard_layout());
            let again = other.backward(h.view(), turned(&d_outputs).view()).unwrap();
            assert_eq!(again, back);
            assert!(again.d_inputs.is_standard_layout() && again.grads.w.is_standard_layout());
        }
        // An array of the right shape in the wrong order is not written into as it is.
        let mut space = turned(&plain);
        map.forward_into(h.view(), &mut space).unwrap();
        assert!(space == plain && space.is_standard_layout());
    }
}

#[test]
fn memory_is_used_again_whatever_it_held() {
    let (map, h, d_outputs) = problem(3, true);
    let (mut outputs, mut back) = (Array3::zeros((0, 0, 0)), ReadOutBackward::default());
    map.forward_into(h.view(), &mut outputs).unwrap();
    map.backward_into(h.view(), d_outputs.view(), &mut back)
        .unwrap();
    let places = |o: &Array3<f64>, b: &ReadOutBackward<f64>| {
        [
            o.as_ptr(),
            b.d_inputs.as_ptr(),
            b.grads.w.as_ptr(),
            b.grads.bias.as_ptr(),
        ]
    };
    let before = places(&outputs, &back);
    let expected = (outputs.clone(), back.clone());
    outputs.fill(f64::NAN);
    back.d_inputs.fill(f64::NAN);
    back.grads.w.fill(f64::NAN);
    back.grads.bias.fill(f64::NAN);
    map.forward_into(h.view(), &mut outputs).unwrap();
    map.backward_into(h.view(), d_outputs.view(), &mut back)
        .unwrap();
    assert_eq!((&outputs, &back), (&expected.0, &expected.1));
    assert_eq!(places(&outputs, &back), before);
    // Shorter, then longer.
    for time in [2, 5] {
        let h = h.slice_axis(Axis(0), (0..time).into());
        map.forward_into(h, &mut outputs).unwrap();
        assert_eq!(outputs, map.forward(h).unwrap());
    }
}

#[test]
fn parameters_and_gradients_are_sets_of_the_same_names() {
    let (map, h, d_outputs) = problem(3, true);
    let back = map.backward(h.view(), d_outputs.view()).unwrap();
    let (mine, grads) = (
        Measurement::of(&map).unwrap(),
        Measurement::of(&back.grads).unwrap(),
    );
    for (k, name) in ["w", "bias"].into_iter().enumerate() {
        assert_eq!((mine.name(k), grads.name(k)), (name, name));
        assert_eq!(mine.tensor(k).len(), grads.tensor(k).len());
    }
}

#[test]
fn nothing_gives_nothing() {
    let map = ReadOut::<f64>::builder(4, 2)
        .build(&mut uniform(1))
        .unwrap();
    for shape in [(0, 3, 4), (3, 0, 4)] {
        let outputs = map.forward(Array3::zeros(shape).view()).unwrap();
        assert_eq!(outputs.dim(), (shape.0, shape.1, 2));
        let back = map
            .backward(Array3::zeros(shape).view(), outputs.view())
            .unwrap();
        assert_eq!(
            (back.grads.w, back.d_inputs.dim()),
            (Array2::zeros((2, 4)), shape)
        );
        assert_eq!(back.grads.bias, array![0.0, 0.0]);
    }
    // Of no inputs, the bias.
    let map = ReadOut::new(Array2::zeros((2, 0)), array![1.0, 2.0]).unwrap();
    assert_eq!(
        map.forward(Array3::zeros((1, 1, 0)).view()).unwrap(),
        array![[[1.0, 2.0]]]
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let (mut map, h, d_outputs) = problem(3, true);
    let wrong = Array3::zeros((5, 3, 5));
    let error = map.forward(wrong.view()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "inputs: expected shape [5, 3, 4], found [5, 3, 5]"
    );
    let error = map.backward(h.view(), wrong.view()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "output gradients: expected shape [5, 3, 3], found [5, 3, 5]"
    );
    map.bias = Array1::zeros(2);
    let error = map.backward(h.view(), d_outputs.view()).unwrap_err();
    assert_eq!(error.to_string(), "bias: expected shape [3], found [2]");
}

#[test]
fn weights_are_drawn_as_nn_linear_draws_them() {
    let map = ReadOut::<f64>::builder(400, 3)
        .build(&mut uniform(2))
        .unwrap();
    let largest = map.w.iter().fold(0.0, |max, w| f64::max(max, w.abs()));
    assert!((0.0497..0.05).contains(&largest), "{largest}"); // 1/√400
    assert!(map.w.is_standard_layout() && map.bias == Array1::<f64>::zeros(3));
    let map = ReadOut::<f64>::builder(4, 4)
        .w(Init::Orthogonal)
        .build(&mut uniform(3))
        .unwrap();
    assert!(distance(&map.w.dot(&map.w.t()), &Array2::<f64>::eye(4)) < 1e-14);
    assert!(matches!(
        ReadOut::<f64>::builder(4, 0).build(&mut uniform(4)),
        Err(Error::Setting {
            what: "outputs",
            ..
        })
    ));
}
