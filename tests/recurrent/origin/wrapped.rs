//! Layers of layers: which of them, in its own order, under its own name.

use ndarray::{Array1, Array2, Array3, Axis};
use steadygrad::recurrent::{
    Activation, Bidirectional, Checkpointed, Directions, Dropout, Gru, Layer, Lstm, Merge, Rnn,
    RnnState, Stacked, Truncated, Upstream,
};
use steadygrad::set::Two;

use super::{is, linear, spike, told, told_of};
use crate::common::uniform;

#[test]
fn the_layer_of_a_stack_is_counted_from_the_inputs() {
    // Only the second of three grows.
    let stack = Stacked(vec![linear(1.0, 0.0), linear(1.0, 2.0), linear(0.0, 0.0)]);
    let zeros = Array3::zeros((150, 2, 1));
    is(
        told(
            &stack,
            &spike(150, 2, (3, 1), 1.0),
            &stack.zero_state(2),
            &zeros,
        ),
        "the forward pass: the state h of layer 1 at time 131 (sequence 1, unit 0) is +inf, from finite numbers (a product overflows)",
    );
    let stack = Stacked(vec![linear(1.0, 0.0), linear(0.0, 2.0), linear(1.0, 0.0)]);
    is(
        told(
            &stack,
            &zeros,
            &stack.zero_state(2),
            &spike(150, 2, (140, 1), 1.0),
        ),
        "the backward pass: the gradient of the state h of layer 1 at time 12 (sequence 1, unit 0) is +inf, from finite numbers (a product overflows)",
    );
    // Of what comes from the layer above, the layer below makes too much.
    let stack = Stacked(vec![linear(1e30, 0.0), linear(1e20, 0.0)]);
    is(
        told(
            &stack,
            &Array3::zeros((5, 1, 1)),
            &stack.zero_state(1),
            &spike(5, 1, (2, 0), 1.0),
        ),
        "the backward pass: the gradient of the input x of layer 0 at time 2 (sequence 0, feature 0) is +inf, from finite numbers (a product overflows)",
    );
}

#[test]
fn a_parameter_has_the_name_that_the_guard_knows() {
    let uniform = &mut uniform(3);
    let lstm = |inputs, uniform: &mut _| Lstm::<f32>::builder(inputs, 4).build(uniform).unwrap();
    let both = Bidirectional::new(lstm(2, uniform), lstm(2, uniform));
    let gru = Gru::<f32>::builder(8, 4).build(uniform).unwrap();
    let mut net = Stacked(Two(both, Stacked(vec![Checkpointed::new(gru)])));
    net.0.0.reverse.w_rec[[7, 2]] = f32::NAN;
    let (xs, d_outputs) = (Array3::ones((5, 2, 2)), Array3::ones((5, 2, 4)));
    is(
        told(&net, &xs, &net.zero_state(2), &d_outputs),
        "the parameter 0.reverse.w_rec, which is NaN at [7, 2]",
    );
    net.0.0.reverse.w_rec[[7, 2]] = 0.0;
    net.0.1.0[0].layer.bias_rec[1] = f32::INFINITY;
    let told = told(&net, &xs, &net.zero_state(2), &d_outputs);
    is(told, "the parameter 1.0.bias_rec, which is +inf at [1]");
    let seen = steadygrad::Measurement::of(&net).unwrap();
    let names: Vec<_> = (0..seen.len()).map(|k| seen.name(k)).collect();
    assert!(
        names.contains(&"0.reverse.w_rec") && names.contains(&"1.0.bias_rec"),
        "{names:?}"
    );
}

#[test]
fn the_reverse_direction_goes_in_its_own_order_and_tells_the_sequences_time() {
    let net = Bidirectional::new(linear(1.0, 0.5), linear(1.0, 2.0));
    let s0 = net.zero_state(2);
    let zeros = Array3::zeros((200, 2, 2));
    // It starts at the end, 180, comes to the spike at 150, and 128 steps later is at 22.
    let xs = spike(200, 2, (150, 1), 1.0);
    for lengths in [[200, 180], [200, 151], [160, 200]] {
        is(
            told_of(&net, (&xs, &lengths), &s0, zeros.view().into()),
            "the forward pass: the state h of layer 0 (reverse) at time 22 (sequence 1, unit 0) is +inf, from finite numbers (a product overflows)",
        );
    }
    // And back from its last step, the first of the sequence.
    let net = Bidirectional::new(linear(0.0, 0.5), linear(0.0, 2.0));
    let mut d_outputs = Array3::zeros((200, 2, 2));
    d_outputs[[10, 1, 1]] = 1.0;
    for lengths in [[200, 180], [0, 139], [160, 200]] {
        is(
            told_of(
                &net,
                (&Array3::zeros((200, 2, 1)), &lengths),
                &s0,
                d_outputs.view().into(),
            ),
            "the backward pass: the gradient of the state h of layer 0 (reverse) at time 138 (sequence 1, unit 0) is +inf, from finite numbers (a product overflows)",
        );
    }
    // A step less, and two.
    let of = |length| {
        let (xs, d) = (Array3::zeros((200, 2, 1)), d_outputs.view().into());
        told_of(&net, (&xs, &[200, length]), &s0, d)
    };
    is(
        of(138),
        "the backward pass: the gradient of the initial state h of layer 0 (reverse) (sequence 1, unit 0) is +inf, \
         from finite numbers (a product overflows)",
    );
    assert_eq!(of(137), None);
}

#[test]
fn what_directions_share_overflows_in_their_sum() {
    let sum = Bidirectional::new(linear(1.0, 0.0), linear(1.0, 0.0)).merge(Merge::Sum);
    let zeros = Array3::zeros((4, 2, 1));
    is(
        told(&sum, &spike(4, 2, (1, 1), 3e38), &sum.zero_state(2), &zeros),
        "the forward pass: the output of layer 0 at time 1 (sequence 1, unit 0) is +inf, from finite numbers (a sum overflows)",
    );
    is(
        told(&sum, &zeros, &sum.zero_state(2), &spike(4, 2, (2, 0), 3e38)),
        "the backward pass: the gradient of the input x of layer 0 at time 2 (sequence 0, feature 0) is +inf, from finite numbers (a sum overflows)",
    );
    // Each has a half of the gradient of outputs that stand side by side.
    let both = Bidirectional::new(linear(1.0, 0.5), linear(1.0, 0.5));
    let mut d_outputs = Array3::zeros((4, 2, 2));
    d_outputs[[3, 0, 1]] = f32::NAN;
    is(
        told(&both, &zeros, &both.zero_state(2), &d_outputs),
        "the gradient of the output, which came in as NaN at time 3 (sequence 0, unit 1)",
    );
}

#[test]
fn stacks_of_both_directions_go_up_layer_by_layer() {
    let both = |inputs| {
        let rnn = |seed| {
            let rnn = Rnn::<f32>::builder(inputs, 2);
            rnn.build(&mut uniform(seed)).unwrap()
        };
        Bidirectional::new(rnn(1), rnn(2))
    };
    let mut net = Stacked(vec![both(1), both(4)]);
    net.0[1].reverse = Rnn::new(
        Array2::ones((2, 4)),
        Array2::eye(2) * 1e3,
        Array1::zeros(2),
        Activation::Identity,
    )
    .unwrap();
    let (xs, s0) = (Array3::ones((40, 3, 1)), net.zero_state(3));
    let pass = net.forward(xs.view(), &s0).unwrap();
    let found = net.forward_origin(&pass).unwrap().unwrap();
    let place = found.at.unwrap();
    assert_eq!((place.layer, place.reverse), (1, true));
    // From the end, it is the first that is not finite.
    let mut outputs = pass.outputs().index_axis_move(Axis(2), 2);
    outputs.invert_axis(Axis(0));
    let first = outputs
        .outer_iter()
        .position(|rows| rows.iter().any(|h| !h.is_finite()));
    assert_eq!(place.time, 39 - first.unwrap());
}

#[test]
fn checkpoints_change_nothing_that_is_said() {
    let mut draw = uniform(8);
    let plain = Rnn::<f32>::builder(1, 3).activation(Activation::Identity);
    let mut plain = plain.build(&mut draw).unwrap();
    plain.w_rec *= 9.0;
    let xs = Array3::from_shape_simple_fn((90, 2, 1), || draw() as f32);
    let d_outputs = Array3::from_shape_simple_fn((90, 2, 3), || draw() as f32 * 1e15);
    let s0 = plain.zero_state(2);
    let d_final = RnnState {
        h: Array2::ones((2, 3)),
    };
    let mut said = Vec::new();
    for lengths in [[90, 90], [20, 31], [0, 25]] {
        for scale in [0.0, 1e36] {
            let xs = &xs * scale;
            let d = Upstream::outputs(d_outputs.view()).final_state(&d_final);
            let expected = told_of(&plain, (&xs, &lengths), &s0, d);
            for every in [1, 2, 7, 100] {
                let net = Checkpointed::new(plain.clone()).every(every).unwrap();
                let d = Upstream::outputs(d_outputs.view()).final_state(&d_final);
                let found = told_of(&net, (&xs, &lengths), &s0, d);
                assert_eq!(found, expected, "{lengths:?} {scale} {every}");
            }
            said.extend(expected);
        }
    }
    let ways = ["the forward pass", "the backward pass"];
    for way in ways {
        assert!(said.iter().any(|said| said.starts_with(way)), "{said:?}");
    }
}

#[test]
fn segments_share_a_sum_over_time() {
    let net = Checkpointed::new(linear(1.0, 0.0)).every(2).unwrap();
    let (ones, d_outputs) = (Array3::ones((6, 1, 1)), Array3::from_elem((6, 1, 1), 1e38));
    is(
        told(&net, &ones, &net.zero_state(1), &d_outputs),
        "the backward pass: the gradient of w_in at [0, 0] is +inf, a sum over time of finite numbers",
    );
    // The state before a segment is one like any other.
    let net = Checkpointed::new(linear(0.0, 10.0)).every(5).unwrap();
    is(
        told(
            &net,
            &Array3::zeros((60, 1, 1)),
            &net.zero_state(1),
            &spike(60, 1, (48, 0), 1.0),
        ),
        "the backward pass: the gradient of the state h of layer 0 at time 9 (sequence 0, unit 0) is +inf, from finite numbers (a product overflows)",
    );
}

#[test]
fn a_mask_multiplies_too() {
    let mut net = Dropout::new(linear(1.0, 0.0), 0.5).unwrap();
    net.set_mask(Array3::from_elem((1, 1, 1), 2.0));
    is(
        told(
            &net,
            &Array3::zeros((4, 1, 1)),
            &net.zero_state(1),
            &spike(4, 1, (2, 0), 3e38),
        ),
        "the backward pass: the gradient of the input x of layer 0 at time 2 (sequence 0, feature 0) is +inf, from finite numbers (a product overflows)",
    );
}

#[test]
fn windows_of_a_stream_are_asked_one_by_one() {
    let rnn = linear(1.0, 2.0);
    let mut stream = Truncated::new(&rnn, 50, 1).unwrap();
    let xs = spike(150, 1, (0, 0), 1.0);
    let windows: Vec<_> = stream.windows(xs.view()).collect();
    let mut said = Vec::new();
    for window in windows {
        let pass = stream.forward(&rnn, window).unwrap();
        said.push(
            rnn.forward_origin(pass)
                .unwrap()
                .map(|origin| origin.to_string()),
        );
    }
    assert_eq!(said[..2], [None, None]);
    is(
        said[2].clone(),
        "the forward pass: the state h of layer 0 at time 28 (sequence 0, unit 0) is +inf, from finite numbers (a product overflows)",
    );
    let pass = stream
        .forward(&rnn, Array3::zeros((50, 1, 1)).view())
        .unwrap();
    is(
        rnn.forward_origin(pass)
            .unwrap()
            .map(|origin| origin.to_string()),
        "the initial state h of layer 0, which is +inf (sequence 0, unit 0)",
    );
}

/// What a wrapper over wrappers says of gradients is what each says of its own.
#[test]
fn nests_add_up() {
    let inner = Stacked(Two(
        linear(1.0, 0.0),
        Checkpointed::new(linear(1.0, 3.0)).every(4).unwrap(),
    ));
    let net = Bidirectional::new(inner.clone(), inner);
    let s0 = net.zero_state(2);
    let xs = spike(120, 2, (100, 0), 1.0);
    is(
        told(&net, &xs, &s0, &Array3::zeros((120, 2, 2))),
        "the forward pass: the state h of layer 1 (reverse) at time 19 (sequence 0, unit 0) is +inf, from finite numbers (a product overflows)",
    );
    let mut d_outputs = Array3::zeros((120, 2, 2));
    d_outputs[[119, 1, 0]] = 1.0;
    is(
        told(&net, &Array3::zeros((120, 2, 1)), &s0, &d_outputs),
        "the backward pass: the gradient of the state h of layer 1 at time 38 (sequence 1, unit 0) is +inf, from finite numbers (a product overflows)",
    );
    let mut d_final: Directions<_> = net.zero_state(2);
    d_final.reverse.1.h[[1, 0]] = f32::NAN;
    let d = Upstream::default().final_state(&d_final);
    is(
        told_of(&net, (&Array3::zeros((120, 2, 1)), &[120, 90]), &s0, d),
        "the gradient of the final state h of layer 1 (reverse), which came in as NaN at time 0 (sequence 1, unit 0)",
    );
}
