//! Plain cells: numbers that overflow at a step known from a closed form, in each part and in each way.

use ndarray::{Array1, Array2, Array3, array};
use steadygrad::recurrent::{
    Activation, Gru, Layer, Lstm, LstmState, Rnn, RnnState, Sequence, Upstream,
};

use super::{is, linear, spike, told, told_of};

#[test]
fn a_state_that_grows_overflows_at_the_step_of_the_closed_form() {
    // |w|^k is above the largest f32 from this k on.
    for (w, k, sign) in [
        (2.0, 128, "+"),
        (-3.0, 81, "-"),
        (3.0, 81, "+"),
        (10.0, 39, "+"),
    ] {
        for start in [0, 7] {
            let (rnn, xs) = (linear(1.0, w), spike(150, 3, (start, 1), 1.0));
            let told = told(&rnn, &xs, &rnn.zero_state(3), &Array3::zeros((150, 3, 1)));
            let t = start + k;
            is(
                told,
                &format!(
                    "the forward pass: the state h of layer 0 at time {t} (sequence 1, unit 0) is {sign}inf, \
                 from finite numbers (a product overflows)"
                ),
            );
        }
    }
}

#[test]
fn a_gradient_that_grows_overflows_at_the_step_of_the_closed_form() {
    for (w, k) in [(2.0, 128), (3.0, 81), (10.0, 39)] {
        let rnn = linear(0.0, w);
        let d_outputs = spike(150, 3, (140, 2), 1.0);
        let told = told(
            &rnn,
            &Array3::zeros((150, 3, 1)),
            &rnn.zero_state(3),
            &d_outputs,
        );
        let t = 140 - k;
        is(
            told,
            &format!(
                "the backward pass: the gradient of the state h of layer 0 at time {t} (sequence 2, unit 0) is +inf, \
             from finite numbers (a product overflows)"
            ),
        );
    }
    // Just one step too few, and at the start of all.
    let (zeros, rnn) = (Array3::zeros((39, 1, 1)), linear(0.0, 10.0));
    let s0 = rnn.zero_state(1);
    let of = |at| told(&rnn, &zeros, &s0, &spike(39, 1, (at, 0), 1.0));
    assert_eq!(of(37), None);
    is(
        of(38),
        "the backward pass: the gradient of the initial state h of layer 0 (sequence 0, unit 0) is +inf, \
                from finite numbers (a product overflows)",
    );
}

#[test]
fn sums_of_finite_products_overflow_by_themselves() {
    // 4·1e38 is too much.
    let (rnn, many) = (linear(1.0, 1.0), Array3::from_elem((9, 1, 1), 1e38));
    is(
        told(&rnn, &many, &rnn.zero_state(1), &Array3::zeros((9, 1, 1))),
        "the forward pass: the state h of layer 0 at time 3 (sequence 0, unit 0) is +inf, from finite numbers (a sum overflows)",
    );
    is(
        told(&rnn, &Array3::zeros((9, 1, 1)), &rnn.zero_state(1), &-many),
        "the backward pass: the gradient of the state h of layer 0 at time 5 (sequence 0, unit 0) is -inf, \
         from finite numbers (a sum overflows)",
    );
}

#[test]
fn overflow_to_both_sides_is_no_number() {
    let w_rec = array![[1e30_f32, 1e30], [0.0, 0.0]];
    let rnn = Rnn::new(
        Array2::zeros((2, 1)),
        w_rec,
        Array1::zeros(2),
        Activation::Tanh,
    )
    .unwrap();
    let s0 = RnnState {
        h: array![[1e30, -1e30]],
    };
    is(
        told(
            &rnn,
            &Array3::zeros((2, 1, 1)),
            &s0,
            &Array3::zeros((2, 1, 2)),
        ),
        "the forward pass: the state h of layer 0 at time 0 (sequence 0, unit 0) is NaN, from finite numbers (inf - inf)",
    );
    // In a gate too.
    let mut w_rec = Array2::zeros((8, 2));
    w_rec[[5, 0]] = 1e30_f32;
    w_rec[[5, 1]] = 1e30;
    let lstm = Lstm::new(Array2::zeros((8, 1)), w_rec, Array1::zeros(8)).unwrap();
    let s0 = LstmState {
        h: array![[1e30, -1e30]],
        c: array![[0.0, 0.0]],
    };
    is(
        told(
            &lstm,
            &Array3::zeros((2, 1, 1)),
            &s0,
            &Array3::zeros((2, 1, 2)),
        ),
        "the forward pass: gate g of layer 0 at time 0 (sequence 0, unit 1) is NaN, from finite numbers (inf - inf)",
    );
}

#[test]
fn what_saturates_a_gate_is_no_origin() {
    let weights = Array2::from_elem((4, 1), 1e30_f32);
    let lstm = Lstm::new(weights.clone(), weights, Array1::zeros(4)).unwrap();
    let xs = Array3::from_elem((5, 2, 1), 1e30);
    let ones = Array3::ones((5, 2, 1));
    assert_eq!(told(&lstm, &xs, &lstm.zero_state(2), &ones), None);

    // Infinite itself, it comes to something on the way back: 0·inf.
    let mut xs = xs;
    xs[[3, 1, 0]] = f32::NEG_INFINITY;
    let pass = lstm.forward(xs.view(), &lstm.zero_state(2)).unwrap();
    assert_eq!(lstm.forward_origin(&pass).unwrap(), None);
    is(
        told(&lstm, &xs, &lstm.zero_state(2), &ones),
        "the input x, which is -inf at time 3 (sequence 1, feature 0)",
    );
}

#[test]
fn a_parameter_that_comes_to_nothing_is_named_all_the_same() {
    let mut lstm = Lstm::<f32>::builder(1, 2).build(&mut || 0.75).unwrap();
    lstm.bias[3] = f32::NEG_INFINITY; // a forget gate that is shut for good
    let (xs, ones) = (Array3::ones((5, 2, 1)), Array3::ones((5, 2, 2)));
    let pass = lstm.forward(xs.view(), &lstm.zero_state(2)).unwrap();
    assert_eq!(lstm.forward_origin(&pass).unwrap(), None);
    assert_eq!(
        lstm.backward_origin(&pass, ones.view().into()).unwrap(),
        None
    );
    is(
        told(&lstm, &xs, &lstm.zero_state(2), &ones),
        "the parameter bias, which is -inf at [3]",
    );
}

/// An LSTM of one unit whose gates do not look at anything.
fn gates(bias: [f32; 4]) -> Lstm<f32> {
    let zeros = Array2::zeros((4, 1));
    Lstm::new(zeros.clone(), zeros, Array1::from(bias.to_vec())).unwrap()
}

/// What is said of three steps of the second of two sequences, the last of which the gradients of the final state come to.
fn of_final(lstm: &Lstm<f32>, c0: f32, (d_h, d_c): (f32, f32)) -> Option<String> {
    let s0 = LstmState {
        h: array![[0.0], [0.0]],
        c: array![[0.0], [c0]],
    };
    let d = LstmState {
        h: array![[0.0], [d_h]],
        c: array![[0.0], [d_c]],
    };
    let d = Upstream::default().final_state(&d);
    told_of(lstm, (&Array3::zeros((5, 2, 1)), &[5, 3]), &s0, d)
}

#[test]
fn gradients_of_gates_overflow_on_their_own() {
    // The state is kept, and half of it.
    let (open, half) = (
        gates([-800.0, 800.0, 0.0, 800.0]),
        gates([-800.0, 0.0, 0.0, 800.0]),
    );
    is(
        of_final(&half, 1e30, (0.0, 1e20)),
        "the backward pass: the gradient of gate f of layer 0 at time 2 (sequence 1, unit 0) is +inf, \
         from finite numbers (a product overflows)",
    );
    // With no slope left, that is no number.
    is(
        of_final(&open, 1e30, (0.0, 1e20)),
        "the backward pass: the gradient of gate f of layer 0 at time 2 (sequence 1, unit 0) is NaN, \
         from finite numbers (0·inf)",
    );
    is(
        of_final(&open, 0.0, (3e38, 3e38)),
        "the backward pass: the gradient of the state c of layer 0 at time 2 (sequence 1, unit 0) is +inf, \
         from finite numbers (a sum overflows)",
    );
    assert_eq!(of_final(&open, 1.0, (1e38, 1e38)), None);
}

#[test]
fn a_gru_overflows_in_what_its_reset_gate_lets_through() {
    let gru =
        |w_rec, bias| Gru::<f32>::new(Array2::zeros((3, 1)), w_rec, bias, array![0.0]).unwrap();
    let zeros = Array3::zeros((4, 1, 1));
    let s0 = RnnState { h: array![[1e30]] };
    let shut = gru(array![[0.0], [0.0], [1e30]], array![-800.0, 800.0, 0.0]);
    is(
        told(&shut, &zeros, &s0, &zeros),
        "the forward pass: q of layer 0 at time 0 (sequence 0, unit 0) is +inf, from finite numbers (a product overflows)",
    );

    // Open, it comes to n = 1 and to nothing; but the way back has 0·inf in it.
    let open = gru(array![[0.0], [0.0], [1e30]], array![800.0, -800.0, 0.0]);
    let pass = open.forward(zeros.view(), &s0).unwrap();
    assert_eq!(pass.outputs(), array![[[1.0]], [[1.0]], [[1.0]], [[1.0]]]);
    assert_eq!(open.forward_origin(&pass).unwrap(), None);
    let ones = Array3::ones((4, 1, 1));
    is(
        told(&open, &zeros, &s0, &ones),
        "the forward pass: q of layer 0 at time 0 (sequence 0, unit 0) is +inf, from finite numbers (a product overflows)",
    );

    // The update gate's gradient is times the old state.
    let half = gru(Array2::zeros((3, 1)), array![0.0, 0.0, 0.0]);
    let d_outputs = Array3::from_elem((1, 1, 1), 1e20);
    is(
        told(&half, &Array3::zeros((1, 1, 1)), &s0, &d_outputs),
        "the backward pass: the gradient of gate z of layer 0 at time 0 (sequence 0, unit 0) is +inf, \
         from finite numbers (a product overflows)",
    );
    // The reset gate's, times what it lets through.
    let mut half = gru(array![[0.0], [0.0], [1.0]], array![0.0, -800.0, 0.0]);
    half.bias_rec[0] = 1e30;
    half.bias[2] = -5e29; // so that n does not saturate
    is(
        told(
            &half,
            &Array3::zeros((1, 1, 1)),
            &half.zero_state(1),
            &d_outputs,
        ),
        "the backward pass: the gradient of gate r of layer 0 at time 0 (sequence 0, unit 0) is +inf, \
         from finite numbers (a product overflows)",
    );
}

#[test]
fn the_gradient_of_an_input_overflows_on_its_own() {
    let rnn = linear(1e30, 0.0);
    is(
        told(
            &rnn,
            &Array3::zeros((5, 2, 1)),
            &rnn.zero_state(2),
            &spike(5, 2, (3, 1), 1e20),
        ),
        "the backward pass: the gradient of the input x of layer 0 at time 3 (sequence 1, feature 0) is +inf, \
         from finite numbers (a product overflows)",
    );
}

#[test]
fn the_gradient_of_a_parameter_overflows_in_a_product_in_a_step_or_in_their_sum() {
    let rnn = linear(1.0, 0.0);
    let s0 = rnn.zero_state(4);
    let mut xs = Array3::zeros((6, 4, 1));
    xs[[3, 2, 0]] = 1e30;
    is(
        told(&rnn, &xs, &s0, &spike(6, 4, (3, 2), -1e20)),
        "the backward pass: the gradient of w_in at [0, 0] of layer 0 at time 3 (sequence 2) is -inf, \
         from finite numbers (a product overflows)",
    );
    is(
        told(&rnn, &xs, &s0, &spike(6, 4, (4, 2), 1e20)),
        "the backward pass: the gradient of w_rec at [0, 0] of layer 0 at time 4 (sequence 2) is +inf, \
         from finite numbers (a product overflows)",
    );

    let ones = Array3::ones((6, 4, 1));
    let mut d_outputs = Array3::zeros((6, 4, 1));
    (0..4).for_each(|b| d_outputs[[2, b, 0]] = 1e38);
    is(
        told(&rnn, &ones, &s0, &d_outputs),
        "the backward pass: the gradient of w_in at [0, 0] of layer 0 at time 2 is +inf, from finite numbers (a sum overflows)",
    );

    let (zeros, one) = (Array3::zeros((6, 1, 1)), Array3::from_elem((6, 1, 1), 1e38));
    is(
        told(&rnn, &Array3::ones((6, 1, 1)), &rnn.zero_state(1), &one),
        "the backward pass: the gradient of w_in at [0, 0] is +inf, a sum over time of finite numbers",
    );
    is(
        told(&rnn, &zeros, &rnn.zero_state(1), &-one),
        "the backward pass: the gradient of bias at [0] is -inf, a sum over time of finite numbers",
    );
}

#[test]
fn blocks_of_a_grus_parameters_are_named_by_the_parameters_own_rows() {
    // Both z and r are half open; n does not look at anything.
    let gru = Gru::<f32>::new(
        Array2::zeros((6, 1)),
        Array2::zeros((6, 2)),
        Array1::zeros(6),
        Array1::zeros(2),
    )
    .unwrap();
    let mut xs = Array3::zeros((3, 1, 1));
    xs[[1, 0, 0]] = 1e30;
    let mut d_outputs = Array3::zeros((3, 1, 2));
    d_outputs[[1, 0, 1]] = 1e20;
    // dn = d·(1 − z), of unit 1: row 2·2 + 1.
    is(
        told(&gru, &xs, &gru.zero_state(1), &d_outputs),
        "the backward pass: the gradient of w_in at [5, 0] of layer 0 at time 1 (sequence 0) is +inf, \
         from finite numbers (a product overflows)",
    );
    // dq = dn·r, times h.
    let s0 = RnnState {
        h: array![[4e30, 0.0]],
    };
    let mut d_outputs = Array3::zeros((1, 1, 2));
    d_outputs[[0, 0, 1]] = 1e20;
    is(
        told(&gru, &Array3::zeros((1, 1, 1)), &s0, &d_outputs),
        "the backward pass: the gradient of w_rec at [5, 0] of layer 0 at time 0 (sequence 0) is +inf, \
         from finite numbers (a product overflows)",
    );
}

#[test]
fn more_steps_than_a_segment_has_are_walked_all_the_same() {
    // 1024 steps and more, at the first of which something comes to 10^39.
    let rnn = linear(0.0, 1.0);
    let mut xs = Array3::zeros((3000, 1, 1));
    xs[[0, 0, 0]] = 1.0;
    let mut d_outputs = Array3::zeros((3000, 1, 1));
    d_outputs[[2999, 0, 0]] = f32::MAX;
    d_outputs[[5, 0, 0]] = f32::MAX;
    is(
        told(&rnn, &xs, &rnn.zero_state(1), &d_outputs),
        "the backward pass: the gradient of the state h of layer 0 at time 5 (sequence 0, unit 0) is +inf, \
         from finite numbers (a sum overflows)",
    );
}

#[test]
fn padding_does_not_count() {
    let nan = f32::NAN;
    let lstm = Lstm::<f32>::builder(1, 2).build(&mut || 0.75).unwrap();
    let (mut xs, mut d_outputs) = (Array3::ones((4, 2, 1)), Array3::ones((4, 2, 2)));
    for t in 2..4 {
        xs[[t, 1, 0]] = nan;
        d_outputs[[t, 1, 0]] = nan;
    }
    let s0 = lstm.zero_state(2);
    assert_eq!(
        told_of(&lstm, (&xs, &[4, 2]), &s0, d_outputs.view().into()),
        None
    );
    is(
        told_of(&lstm, (&xs, &[4, 3]), &s0, d_outputs.view().into()),
        "the input x, which is NaN at time 2 (sequence 1, feature 0)",
    );
    xs.fill(1.0);
    is(
        told_of(&lstm, (&xs, &[4, 3]), &s0, d_outputs.view().into()),
        "the gradient of the output, which came in as NaN at time 2 (sequence 1, unit 0)",
    );
}

#[test]
fn of_several_the_parameter_is_named_first_then_the_state_then_the_input() {
    let mut rnn = linear(1.0, 1.0);
    let mut s0 = rnn.zero_state(1);
    let xs = Array3::from_elem((3, 1, 1), f32::NAN);
    let d_outputs = Array3::from_elem((3, 1, 1), f32::NAN);
    is(
        told(&rnn, &xs, &s0, &d_outputs),
        "the input x, which is NaN at time 0 (sequence 0, feature 0)",
    );
    s0.h[[0, 0]] = f32::INFINITY;
    is(
        told(&rnn, &Array3::zeros((3, 1, 1)), &s0, &d_outputs),
        "the initial state h of layer 0, which is +inf (sequence 0, unit 0)",
    );
    rnn.w_rec[[0, 0]] = f32::NAN;
    is(
        told(&rnn, &xs, &s0, &d_outputs),
        "the parameter w_rec, which is NaN at [0, 0]",
    );
}

#[test]
fn sequences_of_no_steps_hand_on_what_they_get() {
    let lstm = Lstm::<f32>::builder(1, 2).build(&mut || 0.75).unwrap();
    let xs = Array3::ones((3, 2, 1));
    let bad = LstmState {
        h: array![[0.0, 0.0], [0.0, 0.0]],
        c: array![[0.0, 0.0], [0.0, f32::NAN]],
    };
    let s0 = lstm.zero_state(2);
    let zeros = Array3::zeros((3, 2, 2));
    let d = Upstream::outputs(zeros.view());
    is(
        told_of(&lstm, (&xs, &[3, 0]), &bad, d),
        "the initial state c of layer 0, which is NaN (sequence 1, unit 1)",
    );
    is(
        told_of(&lstm, (&xs, &[3, 0]), &s0, d.final_state(&bad)),
        "the gradient of the final state c of layer 0, which came in as NaN at time 0 (sequence 1, unit 1)",
    );
    is(
        told_of(&lstm, (&xs, &[3, 2]), &s0, d.final_state(&bad)),
        "the gradient of the final state c of layer 0, which came in as NaN at time 1 (sequence 1, unit 1)",
    );
    let none = Array3::zeros((0, 2, 1));
    let pass = lstm.forward(none.view(), &bad).unwrap();
    assert!(lstm.forward_origin(&pass).unwrap().is_some());
}

#[test]
fn a_pass_of_another_shape_is_refused() {
    let rnn = linear(1.0, 1.0);
    let pass = rnn
        .forward(Array3::zeros((3, 2, 1)).view(), &rnn.zero_state(2))
        .unwrap();
    let wide = Rnn::<f32>::builder(2, 1).build(&mut || 0.75).unwrap();
    let error = wide
        .origin(&pass, Array3::zeros((3, 2, 1)).view())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "pass inputs: expected shape [3, 2, 2], found [3, 2, 1]"
    );
    let error = rnn
        .origin(&pass, Array3::zeros((3, 2, 9)).view())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "output gradients: expected shape [3, 2, 1], found [3, 2, 9]"
    );
    let padded = Array3::zeros((3, 2, 1));
    let padded = Sequence::new(padded.view()).lengths(&[3, 1]).unwrap();
    let pass = rnn.forward(padded, &rnn.zero_state(2)).unwrap();
    let d = RnnState {
        h: Array2::zeros((1, 1)),
    };
    assert!(
        rnn.origin(&pass, Upstream::default().final_state(&d))
            .is_err()
    );
}
