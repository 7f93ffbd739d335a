//! Wrong shapes, empty sequences, layouts, element types.

use ndarray::{Array1, Array2, Array3, Axis};
use steadygrad::recurrent::{
    Activation, Backward, Bidirectional, Checkpointed, Dropout, GradCheck, Gru, Init, Layer, Lstm,
    LstmState, Merge, Profile, RecurrentCell, Rnn, RnnState, Stacked, Trace, Truncated,
};
use steadygrad::set::Two;
use steadygrad::spectral::{spectral_norm, spectral_radius};
use steadygrad::{Error, Result};

use crate::common::{ACTIVATIONS, Named, Problem, distance, gru, lstm, rnn, uniform};

fn refused<T>(result: Result<T>, what: &str, expected: &[usize], found: &[usize]) {
    match result.err() {
        Some(Error::Shape {
            what: w,
            expected: e,
            found: f,
        }) => {
            assert_eq!((w, &e[..], &f[..]), (what, expected, found));
        }
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn wrong_weights_are_named() {
    let zeros2 = Array2::<f64>::zeros;
    let tanh = Activation::Tanh;
    refused(
        Rnn::new(zeros2((3, 2)), zeros2((3, 3)), Array1::zeros(4), tanh),
        "w_in",
        &[4, 2],
        &[3, 2],
    );
    refused(
        Rnn::new(zeros2((4, 2)), zeros2((4, 3)), Array1::zeros(4), tanh),
        "w_rec",
        &[4, 4],
        &[4, 3],
    );
    refused(
        Lstm::new(zeros2((12, 2)), zeros2((9, 3)), Array1::zeros(12)),
        "w_rec",
        &[12, 3],
        &[9, 3],
    );
    refused(
        Lstm::new(zeros2((4, 2)), zeros2((12, 3)), Array1::zeros(12)),
        "w_in",
        &[12, 2],
        &[4, 2],
    );
    refused(
        Lstm::new(zeros2((12, 2)), zeros2((12, 3)), Array1::zeros(3)),
        "bias",
        &[12],
        &[3],
    );
    let zeros1 = Array1::<f64>::zeros;
    refused(
        Gru::new(zeros2((9, 2)), zeros2((12, 3)), zeros1(9), zeros1(3)),
        "w_rec",
        &[9, 3],
        &[12, 3],
    );
    refused(
        Gru::new(zeros2((12, 2)), zeros2((9, 3)), zeros1(9), zeros1(3)),
        "w_in",
        &[9, 2],
        &[12, 2],
    );
    refused(
        Gru::new(zeros2((9, 2)), zeros2((9, 3)), zeros1(3), zeros1(3)),
        "bias",
        &[9],
        &[3],
    );
    refused(
        Gru::new(zeros2((9, 2)), zeros2((9, 3)), zeros1(9), zeros1(9)),
        "bias_rec",
        &[3],
        &[9],
    );
}

#[test]
fn wrong_shapes_in_and_out_of_an_rnn_are_named() {
    let zeros2 = Array2::<f64>::zeros;
    let zeros3 = Array3::<f64>::zeros;
    let tanh = Activation::Tanh;
    let mut cell = rnn::<f64>(tanh, 2, 4, 1.0);
    let s = cell.zero_state(3);
    refused(
        cell.forward(zeros3((5, 3, 1)).view(), &s),
        "inputs",
        &[5, 3, 2],
        &[5, 3, 1],
    );
    refused(
        cell.forward(zeros3((5, 2, 2)).view(), &s),
        "state h",
        &[2, 4],
        &[3, 4],
    );
    refused(
        cell.step(zeros2((3, 1)).view(), &s),
        "input",
        &[3, 2],
        &[3, 1],
    );
    refused(
        cell.step(zeros2((2, 2)).view(), &s),
        "state h",
        &[2, 4],
        &[3, 4],
    );
    let pass = cell.forward(zeros3((5, 3, 2)).view(), &s).unwrap();
    for wrong in [(4, 3, 4), (5, 1, 4), (5, 3, 5)] {
        let found = [wrong.0, wrong.1, wrong.2];
        refused(
            cell.backward(&pass, zeros3(wrong).view()),
            "output gradients",
            &[5, 3, 4],
            &found,
        );
    }
    let other = rnn::<f64>(tanh, 2, 3, 1.0);
    refused(
        other.backward(&pass, zeros3((5, 3, 3)).view()),
        "pass states",
        &[6, 3, 3],
        &[6, 3, 4],
    );
    let other = rnn::<f64>(tanh, 1, 4, 1.0);
    refused(
        other.backward(&pass, zeros3((5, 3, 4)).view()),
        "pass inputs",
        &[5, 3, 1],
        &[5, 3, 2],
    );
    // Parameters are public; what an assignment breaks, the next pass says.
    cell.w_rec = zeros2((4, 5));
    refused(
        cell.forward(zeros3((5, 3, 2)).view(), &s),
        "w_rec",
        &[4, 4],
        &[4, 5],
    );
}

#[test]
fn wrong_shapes_in_and_out_of_an_lstm_are_named() {
    let zeros2 = Array2::<f64>::zeros;
    let zeros3 = Array3::<f64>::zeros;
    let cell = lstm::<f64>(2, 4);
    let s = cell.zero_state(3);
    refused(
        cell.forward(zeros3((5, 3, 1)).view(), &s),
        "inputs",
        &[5, 3, 2],
        &[5, 3, 1],
    );
    refused(
        cell.step(zeros2((3, 1)).view(), &s),
        "input",
        &[3, 2],
        &[3, 1],
    );
    let bad = LstmState {
        c: zeros2((3, 5)),
        ..s.clone()
    };
    refused(
        cell.forward(zeros3((5, 3, 2)).view(), &bad),
        "state c",
        &[3, 4],
        &[3, 5],
    );
    let bad = LstmState {
        h: zeros2((1, 4)),
        ..s.clone()
    };
    refused(
        cell.step(zeros2((3, 2)).view(), &bad),
        "state h",
        &[3, 4],
        &[1, 4],
    );
    let pass = cell.forward(zeros3((5, 3, 2)).view(), &s).unwrap();
    refused(
        cell.backward(&pass, zeros3((5, 3, 2)).view()),
        "output gradients",
        &[5, 3, 4],
        &[5, 3, 2],
    );
}

#[test]
fn wrong_shapes_in_and_out_of_a_gru_are_named() {
    let zeros3 = Array3::<f64>::zeros;
    let mut cell = gru::<f64>(2, 4);
    let s = cell.zero_state(3);
    refused(
        cell.forward(zeros3((5, 3, 1)).view(), &s),
        "inputs",
        &[5, 3, 2],
        &[5, 3, 1],
    );
    refused(
        cell.forward(zeros3((5, 2, 2)).view(), &s),
        "state h",
        &[2, 4],
        &[3, 4],
    );
    refused(
        cell.step(Array2::zeros((3, 1)).view(), &s),
        "input",
        &[3, 2],
        &[3, 1],
    );
    let pass = cell.forward(zeros3((5, 3, 2)).view(), &s).unwrap();
    refused(
        cell.backward(&pass, zeros3((5, 3, 2)).view()),
        "output gradients",
        &[5, 3, 4],
        &[5, 3, 2],
    );
    refused(
        gru::<f64>(2, 3).backward(&pass, zeros3((5, 3, 3)).view()),
        "pass states",
        &[6, 3, 3],
        &[6, 3, 4],
    );
    refused(
        gru::<f64>(1, 4).backward(&pass, zeros3((5, 3, 4)).view()),
        "pass inputs",
        &[5, 3, 1],
        &[5, 3, 2],
    );
    let upstream = &mut |_: steadygrad::recurrent::At, d: &mut RnnState<f64>| {
        d.h = Array2::zeros((3, 5));
        Ok(core::ops::ControlFlow::Continue(()))
    };
    refused(
        cell.backward_with(&pass, pass.outputs(), upstream),
        "state h from the hook",
        &[3, 4],
        &[3, 5],
    );
    cell.bias_rec = Array1::zeros(5);
    refused(
        cell.forward(zeros3((5, 3, 2)).view(), &s),
        "bias_rec",
        &[4],
        &[5],
    );
}

#[test]
fn a_radius_needs_a_square() {
    let zeros2 = Array2::<f64>::zeros;
    refused(spectral_radius(&zeros2((2, 3))), "matrix", &[2, 2], &[2, 3]);
    let scaled = Init::Scaled { radius: 1.0 };
    let what = "matrix with a spectral radius";
    refused(
        scaled.matrix::<f64>(3, 2, &mut uniform(1)),
        what,
        &[3, 3],
        &[3, 2],
    );
}

/// Everything empty is well defined: outputs empty, parameter gradients zero, the state passes through.
fn nothing_happens<C: Named<Elem = f64>>(cell: C, time: usize, batch: usize) {
    let mut problem = Problem::new(cell, time, batch, 2, 3);
    let pass = problem.pass();
    assert_eq!(pass.outputs().dim(), (time, batch, 3));
    let mut end = pass.final_state();
    for ((_, a), (_, b)) in C::state(&mut end).iter().zip(C::state(&mut problem.s0)) {
        assert_eq!(a, &b);
    }
    let mut calls = 0;
    let mut back = problem
        .cell
        .backward_with(&pass, problem.d_outputs.view(), &mut |_, _| {
            calls += 1;
            Ok(core::ops::ControlFlow::Continue(()))
        })
        .unwrap();
    assert_eq!(calls, time);
    assert_eq!(back.d_inputs.dim(), (time, batch, 2));
    assert_eq!(back.stopped_at, None);
    let lengths: Vec<usize> = C::weights(&mut problem.cell)
        .iter()
        .map(|(_, w)| w.len())
        .collect();
    for (grad, n) in C::grads(&back.grads).iter().zip(lengths) {
        assert_eq!(grad, &vec![0.0; n]);
    }
    assert!(
        C::state(&mut back.d_state0)
            .iter()
            .all(|(_, d)| d.len() == batch * 3 && d.iter().all(|&x| x == 0.0))
    );
}

#[test]
fn an_empty_sequence_and_an_empty_batch_change_nothing() {
    for (time, batch) in [(0, 1), (0, 3), (0, 0), (4, 0)] {
        nothing_happens(rnn(Activation::Tanh, 2, 3, 1.0), time, batch);
        nothing_happens(lstm(2, 3), time, batch);
        nothing_happens(gru(2, 3), time, batch);
    }
    let cell = rnn::<f64>(Activation::Tanh, 2, 3, 1.0);
    assert_eq!(
        cell.step(Array2::zeros((0, 2)).view(), &cell.zero_state(0))
            .unwrap()
            .h
            .dim(),
        (0, 3)
    );
}

#[test]
fn a_cell_without_inputs_runs_on_its_own() {
    // h_t = 2·h_{t−1}: no input feature at all.
    let w = Array2::from_elem((1, 1), 2.0);
    let cell = Rnn::new(
        Array2::zeros((1, 0)),
        w,
        Array1::zeros(1),
        Activation::Identity,
    )
    .unwrap();
    for batch in [1, 2] {
        let pass = cell
            .forward(
                Array3::zeros((3, batch, 0)).view(),
                &RnnState {
                    h: Array2::ones((batch, 1)),
                },
            )
            .unwrap();
        assert!(pass.final_state().h.iter().all(|&h| h == 8.0));
        let back = cell
            .backward(&pass, Array3::ones((3, batch, 1)).view())
            .unwrap();
        assert!(back.d_state0.h.iter().all(|&d| d == 14.0));
        assert_eq!(back.grads.w_in.dim(), (1, 0));
    }
}

fn stepping_is_the_pass<C: Named<Elem = f64>>(problem: &Problem<C>) {
    let pass = problem.pass();
    let mut s = problem.s0.clone();
    for (x, h) in problem.xs.outer_iter().zip(pass.outputs().outer_iter()) {
        s = problem.cell.step(x, &s).unwrap();
        assert!(distance(C::state(&mut s)[0].1.iter(), h) < 1e-14);
    }
    let mut end = pass.final_state();
    for ((name, a), (_, b)) in C::state(&mut s).iter().zip(C::state(&mut end)) {
        assert!(distance(a.iter(), b.iter()) < 1e-14, "{name}");
    }
}

#[test]
fn step_by_step_is_the_whole_pass() {
    for batch in [1, 3, 20] {
        for activation in ACTIVATIONS {
            stepping_is_the_pass(&Problem::new(rnn(activation, 2, 9, 0.9), 12, batch, 2, 9));
        }
        stepping_is_the_pass(&Problem::new(lstm(2, 9), 12, batch, 2, 9));
        stepping_is_the_pass(&Problem::new(gru(2, 9), 12, batch, 2, 9));
    }
}

#[test]
fn the_memory_order_of_what_goes_in_does_not_matter() {
    let plain = Problem::new(rnn::<f64>(Activation::Tanh, 2, 4, 1.2), 6, 3, 2, 4);
    let mut turned = rnn::<f64>(Activation::Tanh, 2, 4, 1.2);
    turned.bias = plain.cell.bias.clone();
    turned.w_in = plain
        .cell
        .w_in
        .t()
        .as_standard_layout()
        .into_owned()
        .reversed_axes();
    turned.w_rec = plain
        .cell
        .w_rec
        .t()
        .as_standard_layout()
        .into_owned()
        .reversed_axes();
    assert!(!turned.w_rec.is_standard_layout());
    // Batch first in memory, as a data loader may hand it over; and a view that runs backwards.
    let mut xs = plain.xs.clone();
    xs.invert_axis(Axis(0));
    let mut xs = xs.as_standard_layout().into_owned();
    xs.invert_axis(Axis(0));
    let d_outputs = plain
        .d_outputs
        .t()
        .as_standard_layout()
        .into_owned()
        .reversed_axes();
    assert_eq!((&xs, &d_outputs), (&plain.xs, &plain.d_outputs));
    assert!(!xs.is_standard_layout() && !d_outputs.is_standard_layout());

    let (pass, expected) = (turned.forward(xs.view(), &plain.s0).unwrap(), plain.pass());
    assert_eq!(pass.outputs(), expected.outputs());
    assert_eq!(
        turned.backward(&pass, d_outputs.view()).unwrap().grads,
        plain.backward().grads
    );
}

fn f32_follows_f64<C: Named<Elem = f32>, D: Named<Elem = f64>>(
    single: Problem<C>,
    mut double: Problem<D>,
) {
    // The same numbers: those of f32, widened.
    let mut single = single;
    for ((_, a), (_, b)) in C::weights(&mut single.cell)
        .into_iter()
        .zip(D::weights(&mut double.cell))
    {
        a.iter().zip(b).for_each(|(a, b)| *b = f64::from(*a));
    }
    for ((_, a), (_, b)) in C::state(&mut single.s0)
        .into_iter()
        .zip(D::state(&mut double.s0))
    {
        a.iter().zip(b).for_each(|(a, b)| *b = f64::from(*a));
    }
    double.xs = single.xs.mapv(f64::from);
    double.d_outputs = single.d_outputs.mapv(f64::from);

    let widen = |xs: &[f32]| -> Vec<f64> { xs.iter().map(|&x| f64::from(x)).collect() };
    let (a, b) = (single.backward(), double.backward());
    // Some tens of roundings of 6e-8 each, carried on by factors near one.
    for (a, b) in C::grads(&a.grads).iter().zip(D::grads(&b.grads)) {
        let off = distance(&widen(a), &b);
        assert!(off < 1e-5 && off > 0.0, "{off:e}");
    }
    assert!(distance(&a.d_inputs.mapv(f64::from), &b.d_inputs) < 1e-5);
    let (mut a, mut b) = (a.d_state0, b.d_state0);
    for ((part, a), (_, b)) in C::state(&mut a).into_iter().zip(D::state(&mut b)) {
        assert!(distance(&widen(a), b.iter()) < 1e-5, "{part}");
    }
    let (a, b) = (single.pass(), double.pass());
    assert!(distance(&a.outputs().mapv(f64::from), b.outputs()) < 1e-5);
}

#[test]
fn f32_agrees_with_f64_to_f32_precision() {
    for (time, batch, hidden) in [(30, 1, 8), (30, 3, 8), (20, 3, 50)] {
        for activation in ACTIVATIONS {
            let single = rnn::<f32>(activation, 2, hidden, 0.9);
            let double = rnn::<f64>(activation, 2, hidden, 0.9);
            f32_follows_f64(
                Problem::new(single, time, batch, 2, hidden),
                Problem::new(double, time, batch, 2, hidden),
            );
        }
        f32_follows_f64(
            Problem::new(lstm::<f32>(2, hidden), time, batch, 2, hidden),
            Problem::new(lstm::<f64>(2, hidden), time, batch, 2, hidden),
        );
        f32_follows_f64(
            Problem::new(gru::<f32>(2, hidden), time, batch, 2, hidden),
            Problem::new(gru::<f64>(2, hidden), time, batch, 2, hidden),
        );
    }
}

#[test]
fn a_non_finite_weight_is_never_hidden() {
    let mut cell = rnn::<f64>(Activation::Relu, 2, 3, 1.0);
    cell.w_rec[[0, 0]] = f64::NAN;
    let pass = cell
        .forward(Array3::ones((3, 1, 2)).view(), &cell.zero_state(1))
        .unwrap();
    assert!(pass.outputs().iter().any(|h| h.is_nan()));
    match spectral_norm(&cell.w_rec) {
        Err(Error::NonFinite {
            nan: 1,
            inf: 0,
            index: 0,
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn public_types_cross_threads() {
    fn check<T: Send + Sync + core::fmt::Debug>() {}
    check::<Rnn<f32>>();
    check::<steadygrad::recurrent::RnnBuilder<f32>>();
    check::<steadygrad::recurrent::RnnPass<f32>>();
    check::<Backward<Rnn<f32>>>();
    check::<Lstm<f64>>();
    check::<steadygrad::recurrent::LstmBuilder<f64>>();
    check::<steadygrad::recurrent::LstmPass<f64>>();
    check::<Backward<Lstm<f64>>>();
    check::<Gru<f32>>();
    check::<steadygrad::recurrent::GruBuilder<f32>>();
    check::<steadygrad::recurrent::GruPass<f32>>();
    check::<Backward<Gru<f32>>>();
    check::<(Activation, Init)>();
    check::<Backward<Stacked<Vec<Bidirectional<Lstm<f32>>>>>>();
    check::<<Stacked<Two<Rnn<f32>, Checkpointed<Dropout<Lstm<f32>>>>> as Layer>::Pass>();
    check::<(Profile, GradCheck, Truncated<Lstm<f32>>, Merge)>();
}
