//! The hook: what it sees, and what editing and breaking do.

use core::ops::ControlFlow;

use ndarray::{Array1, Array2, Array3, Axis, Slice};
use steadygrad::recurrent::{Activation, At, Backward, Layer, Lstm, Trace};
use steadygrad::{Error, Result};

use crate::common::{Named, Problem, distance, gru, lstm, rnn, scalar};

const GO_ON: Result<ControlFlow<()>> = Ok(ControlFlow::Continue(()));
const BREAK: Result<ControlFlow<()>> = Ok(ControlFlow::Break(()));

#[test]
fn the_scalar_picture_explodes_and_vanishes() {
    for (w, expected) in [(0.9, 2.656e-5), (1.0, 1.0), (1.1, 13_780.6)] {
        let net = scalar(w);
        let pass = net
            .forward(Array3::zeros((100, 1, 1)).view(), &net.zero_state(1))
            .unwrap();
        let mut d_outputs = Array3::zeros((100, 1, 1));
        d_outputs[[99, 0, 0]] = 1.0;
        let mut profile = Vec::new();
        let back = net
            .backward_with(&pass, d_outputs.view(), &mut |at, d| {
                profile.push((at.time, d.h[[0, 0]]));
                GO_ON
            })
            .unwrap();
        // From the last step down to the first, a factor w each; one more to the initial state.
        assert_eq!(profile.len(), 100);
        for (k, (t, norm)) in profile.into_iter().enumerate() {
            assert_eq!(t, 99 - k);
            let exact: f64 = w.powi(k as i32);
            assert!(
                (norm / exact - 1.0).abs() < 1e-13,
                "w {w}, step {t}: {norm}"
            );
        }
        let arrived: f64 = back.d_state0.h[[0, 0]];
        assert!((arrived / expected - 1.0).abs() < 1e-4, "w {w}: {arrived}");
    }
}

#[test]
fn an_open_forget_gate_carries_the_gradient_unchanged() {
    // f = σ(800) = 1 and o = 1 exactly, i = 0, and no weight leads anywhere.
    let bias = Array1::from(vec![-800.0, 800.0, 0.0, 800.0]);
    let cell = Lstm::<f64>::new(Array2::zeros((4, 1)), Array2::zeros((4, 1)), bias).unwrap();
    let mut s0 = cell.zero_state(1);
    s0.c.fill(0.3);
    let pass = cell.forward(Array3::ones((100, 1, 1)).view(), &s0).unwrap();
    assert!(pass.cells().iter().all(|&c| c == 0.3));
    let mut d_outputs = Array3::zeros((100, 1, 1));
    d_outputs[[99, 0, 0]] = 1.0;
    let mut profile = Vec::new();
    let back = cell
        .backward_with(&pass, d_outputs.view(), &mut |_, d| {
            profile.push(d.c[[0, 0]]);
            GO_ON
        })
        .unwrap();
    let start = 1.0 - 0.3_f64.tanh().powi(2);
    // At the last step all of it still sits in h.
    assert_eq!(profile[0], 0.0);
    assert!(profile[1..].iter().all(|&d| d == start));
    assert_eq!(back.d_state0.c[[0, 0]], start);
}

/// The same problem from step `from` on, with the state there as a constant start.
fn tail<C: Named<Elem = f64>>(problem: &Problem<C>, from: usize) -> Backward<C> {
    let head = problem.xs.slice_axis(Axis(0), Slice::from(..from));
    let start = problem
        .cell
        .forward(head, &problem.s0)
        .unwrap()
        .final_state();
    let xs = problem.xs.slice_axis(Axis(0), Slice::from(from..));
    let d_outputs = problem.d_outputs.slice_axis(Axis(0), Slice::from(from..));
    let pass = problem.cell.forward(xs, &start).unwrap();
    problem.cell.backward(&pass, d_outputs).unwrap()
}

fn breaking_is_a_shorter_window<C: Named<Elem = f64>>(problem: &Problem<C>) {
    let (time, batch, inputs) = problem.xs.dim();
    for stop in [0, 3, time - 1] {
        let mut last_seen = time;
        let mut back = problem
            .cell
            .backward_with(&problem.pass(), problem.d_outputs.view(), &mut |at, _| {
                last_seen = at.time;
                if at.time == stop { BREAK } else { GO_ON }
            })
            .unwrap();
        assert_eq!((last_seen, back.stopped_at), (stop, Some(At::time(stop))));

        let shorter = tail(problem, stop + 1);
        for (found, expected) in C::grads(&back.grads).iter().zip(C::grads(&shorter.grads)) {
            assert!(distance(found, &expected) < 1e-13);
        }
        let (before, after) = back.d_inputs.view().split_at(Axis(0), stop + 1);
        assert_eq!(before, Array3::<f64>::zeros((stop + 1, batch, inputs)));
        assert!(distance(after, &shorter.d_inputs) < 1e-13);
        assert!(
            C::state(&mut back.d_state0)
                .iter()
                .all(|(_, d)| d.iter().all(|&x| x == 0.0))
        );
    }
}

#[test]
fn breaking_is_truncated_backpropagation() {
    breaking_is_a_shorter_window(&Problem::new(rnn(Activation::Tanh, 2, 3, 1.2), 8, 2, 2, 3));
    breaking_is_a_shorter_window(&Problem::new(rnn(Activation::Relu, 2, 3, 1.2), 8, 1, 2, 3));
    breaking_is_a_shorter_window(&Problem::new(lstm(2, 3), 8, 2, 2, 3));
    breaking_is_a_shorter_window(&Problem::new(gru(2, 3), 8, 2, 2, 3));
}

fn the_cut_is_clean<C: Named<Elem = f64>>(mut problem: Problem<C>) {
    // An infinite input saturates tanh and the gates, so all later states are finite, but 0·∞ must not
    // come into the sums.
    for weight in C::weights(&mut problem.cell).swap_remove(0).1 {
        *weight = weight.abs();
    }
    problem.xs.index_axis_mut(Axis(0), 0).fill(f64::INFINITY);
    let pass = problem.pass();
    assert!(pass.outputs().iter().all(|h| h.is_finite()));
    let run = |stop: usize| {
        let at = &mut |at: At, _: &mut _| if at.time == stop { BREAK } else { GO_ON };
        let back = problem
            .cell
            .backward_with(&pass, problem.d_outputs.view(), at)
            .unwrap();
        C::grads(&back.grads).swap_remove(0)
    };
    assert!(run(0).iter().all(|d| d.is_finite()));
    assert!(run(5).iter().any(|d| d.is_nan()));
}

#[test]
fn what_lies_before_the_cut_cannot_spoil_what_comes_after() {
    the_cut_is_clean(Problem::new(rnn(Activation::Tanh, 2, 3, 1.0), 5, 2, 2, 3));
    the_cut_is_clean(Problem::new(lstm(2, 3), 5, 2, 2, 3));
    the_cut_is_clean(Problem::new(gru(2, 3), 5, 2, 2, 3));
}

fn zeroing_is_breaking<C: Named<Elem = f64>>(problem: &Problem<C>) {
    let pass = problem.pass();
    let run = |stop: usize, zero: bool| {
        let at = &mut |at: At, d: &mut C::State| {
            if zero && at.time <= stop {
                for (_, values) in C::state(d) {
                    values.fill(0.0);
                }
            }
            if !zero && at.time == stop {
                BREAK
            } else {
                GO_ON
            }
        };
        problem
            .cell
            .backward_with(&pass, problem.d_outputs.view(), at)
            .unwrap()
    };
    let (mut zeroed, mut broken) = (run(4, true), run(4, false));
    assert_eq!(
        (zeroed.stopped_at, broken.stopped_at),
        (None, Some(At::time(4)))
    );
    for (a, b) in C::grads(&zeroed.grads).iter().zip(C::grads(&broken.grads)) {
        assert!(distance(a, &b) < 1e-13);
    }
    assert!(distance(&zeroed.d_inputs, &broken.d_inputs) < 1e-13);
    for ((_, a), (_, b)) in C::state(&mut zeroed.d_state0)
        .iter()
        .zip(C::state(&mut broken.d_state0))
    {
        assert_eq!(a, &b);
    }
}

#[test]
fn zeroing_a_step_and_all_before_it_is_breaking_there() {
    zeroing_is_breaking(&Problem::new(rnn(Activation::Tanh, 2, 3, 1.2), 8, 2, 2, 3));
    zeroing_is_breaking(&Problem::new(lstm(2, 3), 8, 2, 2, 3));
    zeroing_is_breaking(&Problem::new(gru(2, 3), 8, 2, 2, 3));
}

#[test]
fn an_edit_changes_what_earlier_steps_get() {
    // h_t = x_t + 2·h_{t−1}, the loss is h_3: unedited, x_t gets 8, 4, 2, 1. Clamped to 3 at each step
    // the state gradients are 1, 2, 3 (from 4), 3 (from 6).
    let net = scalar(2.0);
    let pass = net
        .forward(Array3::ones((4, 1, 1)).view(), &net.zero_state(1))
        .unwrap();
    let mut d_outputs = Array3::zeros((4, 1, 1));
    d_outputs[[3, 0, 0]] = 1.0;
    let back = net
        .backward_with(&pass, d_outputs.view(), &mut |_, d| {
            d.h.mapv_inplace(|x| x.min(3.0));
            GO_ON
        })
        .unwrap();
    assert_eq!(back.d_inputs.as_slice(), Some(&[3.0, 3.0, 2.0, 1.0][..]));
    assert_eq!(back.grads.bias[0], 9.0);
    assert_eq!(back.d_state0.h[[0, 0]], 6.0);
}

#[test]
fn the_hook_sees_the_whole_gradient_of_the_state() {
    sees_the_whole_gradient(&Problem::new(rnn(Activation::Tanh, 2, 3, 1.2), 6, 2, 2, 3));
    sees_the_whole_gradient(&Problem::new(lstm(2, 3), 6, 2, 2, 3));
    sees_the_whole_gradient(&Problem::new(gru(2, 3), 6, 2, 2, 3));
}

fn sees_the_whole_gradient<C: Named<Elem = f64>>(problem: &Problem<C>) {
    // Against central differences: start anew from the state after step t.
    let pass = problem.pass();
    let mut seen = Vec::new();
    problem
        .cell
        .backward_with(&pass, problem.d_outputs.view(), &mut |at, d| {
            seen.push((at.time, d.clone()));
            GO_ON
        })
        .unwrap();
    assert_eq!(seen.len(), 6);
    for (t, mut d) in seen {
        let mut whole = problem.cell.zero_state(2);
        if t < 5 {
            whole = tail(problem, t + 1).d_state0;
        }
        let (mut found, mut whole) = (C::state(&mut d), C::state(&mut whole));
        for (whole, d) in whole[0]
            .1
            .iter_mut()
            .zip(problem.d_outputs.index_axis(Axis(0), t))
        {
            *whole += d;
        }
        for ((part, found), (_, whole)) in found.iter_mut().zip(&mut whole) {
            assert!(
                distance(found.iter(), whole.iter()) < 1e-14,
                "{part} at {t}"
            );
        }
    }
}

#[test]
fn the_hooks_error_and_a_state_it_reshaped_come_back_as_errors() {
    let problem = Problem::new(lstm::<f64>(2, 3), 4, 2, 2, 3);
    let pass = problem.pass();
    let error = Error::Storage("device lost".to_owned());
    let found = problem
        .cell
        .backward_with(&pass, problem.d_outputs.view(), &mut |_, _| {
            Err(error.clone())
        });
    assert_eq!(found.unwrap_err(), error);

    let found = problem
        .cell
        .backward_with(&pass, problem.d_outputs.view(), &mut |_, d| {
            d.c = Array2::zeros((2, 5));
            GO_ON
        });
    let message = found.unwrap_err().to_string();
    assert_eq!(
        message,
        "state c from the hook: expected shape [2, 3], found [2, 5]"
    );
}
