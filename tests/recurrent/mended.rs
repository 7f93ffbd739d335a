//! What a reading of the cells found: memory orders that a hook leaves, cells without units, states of padding.

use std::ops::ControlFlow;

use ndarray::{Array1, Array2, Array3};
use steadygrad::recurrent::{Gru, Layer, Lstm, LstmState, Rnn, RnnState, Sequence, Upstream};
use steadygrad::{Measurement, TensorSet};

use crate::common::{signed, uniform};

fn sequence(time: usize, batch: usize, features: usize) -> Array3<f64> {
    let mut draw = signed(5, 1.0);
    Array3::from_shape_simple_fn((time, batch, features), &mut draw)
}

/// The same numbers, column by column.
fn turned(state: &mut Array2<f64>) {
    *state = state.t().as_standard_layout().into_owned().reversed_axes();
    assert!(!state.is_standard_layout());
}

fn a_hook_may_turn<L>(layer: &L, turn: fn(&mut L::State))
where
    L: for<'t> Layer<Elem = f64, At<'t> = &'t mut <L as Layer>::State>,
    L::Grads: PartialEq + std::fmt::Debug,
    L::State: PartialEq + std::fmt::Debug,
{
    let xs = sequence(6, 3, 2);
    let pass = layer.forward(xs.view(), &layer.zero_state(3)).unwrap();
    let d = sequence(6, 3, 4);
    let plain = layer.backward(&pass, d.view()).unwrap();
    let back = layer.backward_with(&pass, d.view(), &mut |_, state| {
        turn(state);
        Ok(ControlFlow::Continue(()))
    });
    let back = back.unwrap();
    assert_eq!((back.grads, back.d_state0), (plain.grads, plain.d_state0));
    assert_eq!(back.d_inputs, plain.d_inputs);
}

#[test]
fn a_hook_may_leave_a_state_in_another_memory_order() {
    let draw = &mut uniform(3);
    a_hook_may_turn(
        &Rnn::builder(2, 4).build(draw).unwrap(),
        |s: &mut RnnState<f64>| turned(&mut s.h),
    );
    a_hook_may_turn(
        &Gru::builder(2, 4).build(draw).unwrap(),
        |s: &mut RnnState<f64>| turned(&mut s.h),
    );
    let lstm = Lstm::builder(2, 4).build(draw).unwrap();
    a_hook_may_turn(&lstm, |s: &mut LstmState<f64>| turned(&mut s.h));
    a_hook_may_turn(&lstm, |s: &mut LstmState<f64>| turned(&mut s.c));
}

#[test]
fn without_units_nothing_comes_back_to_the_inputs() {
    let xs = sequence(4, 2, 3);
    let full = Lstm::<f64>::builder(3, 5).build(&mut uniform(3)).unwrap();
    let pass = full.forward(xs.view(), &full.zero_state(2)).unwrap();
    let mut back = Some(full.backward(&pass, pass.outputs()).unwrap());
    assert!(back.as_ref().unwrap().d_inputs.iter().any(|&x| x != 0.0));
    let none = Lstm::new(
        Array2::zeros((0, 3)),
        Array2::zeros((0, 0)),
        Array1::zeros(0),
    )
    .unwrap();
    let pass = none.forward(xs.view(), &none.zero_state(2)).unwrap();
    none.backward_into(&pass, Upstream::default(), None, &mut back)
        .unwrap();
    assert_eq!(back.unwrap().d_inputs, Array3::<f64>::zeros((4, 2, 3)));
}

fn finite(set: &impl TensorSet) -> bool {
    Measurement::of(set).unwrap().total().l2().is_finite()
}

/// A sequence of no steps hands its state on, whatever it is; nothing is computed of it.
fn nan_in_the_state_of_no_steps<L: Layer<Elem = f64>>(layer: &L, s0: &L::State) {
    let (xs, d) = (sequence(3, 2, 2), sequence(3, 2, 4));
    let padded = Sequence::new(xs.view()).lengths(&[3, 0]).unwrap();
    let pass = layer.forward(padded, s0).unwrap();
    let back = layer.backward(&pass, d.view()).unwrap();
    assert!(finite(&back.grads));
    assert!(back.d_inputs.iter().all(|x| x.is_finite()));
}

#[test]
fn a_state_that_takes_no_step_does_not_reach_the_gradients() {
    let draw = &mut uniform(3);
    let mut h = Array2::zeros((2, 4));
    h.row_mut(1).fill(f64::NAN);
    let s0 = RnnState { h: h.clone() };
    nan_in_the_state_of_no_steps(&Rnn::builder(2, 4).build(draw).unwrap(), &s0);
    nan_in_the_state_of_no_steps(&Gru::builder(2, 4).build(draw).unwrap(), &s0);
    let s0 = LstmState { h: h.clone(), c: h };
    nan_in_the_state_of_no_steps(&Lstm::builder(2, 4).build(draw).unwrap(), &s0);
}
