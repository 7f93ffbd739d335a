//! Sequences in segments, sequences of several lengths, and passes that use the memory of others.

use core::ops::ControlFlow;

use ndarray::{Array2, Array3, Axis};
use steadygrad::recurrent::{
    Activation, At, Backward, Layer, Lstm, LstmState, RnnState, Sequence, Trace, Upstream,
};
use steadygrad::{Error, Result, TensorMut, TensorSetMut};

use crate::common::{Named, Problem, distance, gru, lstm, rnn};
use crate::unrolled::elman;

/// Two segments, chained there by the state and back by its gradient, are one pass.
fn two_segments_are_one<C: Named<Elem = f64>>(problem: &Problem<C>) {
    let same_state = |mut found: C::State, expected: &C::State| {
        let mut expected = expected.clone();
        for ((name, a), (_, b)) in C::state(&mut found).iter().zip(C::state(&mut expected)) {
            assert!(distance(a.iter(), b.iter()) < 1e-14, "{name}");
        }
    };
    let whole = problem.backward();
    let end = problem.pass().final_state();
    let (xs, d) = (problem.xs.view(), problem.d_outputs.view());
    for cut in [0, 1, 4, 8, 9] {
        let ((early, late), (d_early, d_late)) =
            (xs.split_at(Axis(0), cut), d.split_at(Axis(0), cut));
        let first = problem.cell.forward(early, &problem.s0).unwrap();
        let second = problem.cell.forward(late, &first.final_state()).unwrap();
        same_state(second.final_state(), &end);

        let mut upstream = Upstream::outputs(d_late);
        upstream.final_state = problem.d_final.as_ref();
        let after = problem.cell.backward(&second, upstream).unwrap();
        let upstream = Upstream::outputs(d_early).final_state(&after.d_state0);
        let before = problem.cell.backward(&first, upstream).unwrap();

        same_state(before.d_state0, &whole.d_state0);
        let (d_early, d_late) = whole.d_inputs.view().split_at(Axis(0), cut);
        assert!(distance(&before.d_inputs, d_early) < 1e-14);
        assert!(distance(&after.d_inputs, d_late) < 1e-14);
        let (a, b) = (C::grads(&before.grads), C::grads(&after.grads));
        for ((a, b), whole) in a.iter().zip(b).zip(C::grads(&whole.grads)) {
            let sum: Vec<f64> = a.iter().zip(b).map(|(a, b)| a + b).collect();
            assert!(distance(&sum, &whole) < 1e-14);
        }
    }
}

#[test]
fn two_segments_chained_by_the_state_and_its_gradient_are_one_pass() {
    for batch in [1, 3] {
        let cell = || rnn(Activation::Tanh, 2, 4, 1.2);
        two_segments_are_one(&Problem::new(cell(), 9, batch, 2, 4));
        two_segments_are_one(&Problem::new(cell(), 9, batch, 2, 4).of_final_state());
        two_segments_are_one(&Problem::new(lstm(2, 4), 9, batch, 2, 4));
        two_segments_are_one(&Problem::new(lstm(2, 4), 9, batch, 2, 4).of_final_state());
        two_segments_are_one(&Problem::new(gru(2, 4), 9, batch, 2, 4));
        two_segments_are_one(&Problem::new(gru(2, 4), 9, batch, 2, 4).of_final_state());
        two_segments_are_one(&Problem::new(elman(), 9, batch, 2, 4).of_final_state());
    }
}

fn first_seen<C: Named<Elem = f64>>(problem: Problem<C>) {
    let mut problem = problem.of_final_state();
    let pass = problem.pass();
    let mut seen = None;
    let upstream = Upstream::default().final_state(problem.d_final.as_ref().unwrap());
    problem
        .cell
        .backward_with(&pass, upstream, &mut |at, d| {
            seen.get_or_insert((at, d.clone()));
            Ok(ControlFlow::Break(()))
        })
        .unwrap();
    let (at, mut seen) = seen.unwrap();
    assert_eq!(at, At::time(4));
    let given = problem.d_final.as_mut().unwrap();
    assert_eq!(C::state(&mut seen), C::state(given));
}

#[test]
fn the_hook_sees_what_came_in_for_the_final_state_at_the_last_step() {
    first_seen(Problem::new(rnn(Activation::Relu, 2, 4, 1.2), 5, 3, 2, 4));
    first_seen(Problem::new(lstm(2, 4), 5, 3, 2, 4));
    first_seen(Problem::new(gru(2, 4), 5, 3, 2, 4));
    first_seen(Problem::new(elman(), 5, 3, 2, 4));
}

fn message<T>(result: Result<T>) -> String {
    result.err().unwrap().to_string()
}

#[test]
fn a_final_states_gradient_of_another_shape_is_refused() {
    let zeros = Array2::<f64>::zeros;
    let cell = rnn(Activation::Tanh, 2, 4, 1.2);
    let pass = cell
        .forward(Array3::ones((5, 3, 2)).view(), &cell.zero_state(3))
        .unwrap();
    let wrong = RnnState { h: zeros((3, 5)) };
    assert_eq!(
        message(cell.backward(&pass, Upstream::default().final_state(&wrong))),
        "final state h gradients: expected shape [3, 4], found [3, 5]"
    );
    let cell = lstm(2, 4);
    let pass = cell
        .forward(Array3::ones((5, 3, 2)).view(), &cell.zero_state(3))
        .unwrap();
    let (h, c) = (zeros((3, 4)), zeros((1, 4)));
    let wrong = LstmState { h, c };
    assert_eq!(
        message(cell.backward(&pass, Upstream::default().final_state(&wrong))),
        "final state c gradients: expected shape [3, 4], found [1, 4]"
    );
    let cell = gru(2, 4);
    let pass = cell
        .forward(Array3::ones((5, 3, 2)).view(), &cell.zero_state(3))
        .unwrap();
    let wrong = RnnState { h: zeros((3, 1)) };
    assert_eq!(
        message(cell.backward(&pass, Upstream::default().final_state(&wrong))),
        "final state h gradients: expected shape [3, 4], found [3, 1]"
    );
    let cell = elman();
    let pass = cell
        .forward(Array3::ones((5, 3, 2)).view(), &cell.zero_state(3))
        .unwrap();
    let wrong = RnnState { h: zeros((2, 4)) };
    assert_eq!(
        message(cell.backward(&pass, Upstream::default().final_state(&wrong))),
        "final state gradients: expected shape [3, 4], found [2, 4]"
    );
}

#[test]
fn lengths_are_checked() {
    let xs = Array3::<f64>::zeros((6, 2, 2));
    assert_eq!(
        message(Sequence::new(xs.view()).lengths(&[6])),
        "lengths of sequences: expected 2, found 1"
    );
}

/// Whatever the memory held before, a pass and its gradients are those of fresh memory, bit for bit.
fn memory_leaves_no_trace<C>(problems: &[Problem<C>])
where
    C: Named<Elem = f64>,
    C::Pass: PartialEq + core::fmt::Debug,
    Backward<C>: PartialEq + core::fmt::Debug,
{
    let (mut pass, mut back) = (None, None);
    for stop in [None, Some(2), None] {
        for problem in problems {
            let hook = &mut |at: At, _: &mut C::State| {
                Ok(if Some(at.time) == stop {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            };
            let (cell, s0, xs) = (&problem.cell, &problem.s0, problem.xs.view());
            cell.forward_into(xs, s0, &mut pass).unwrap();
            assert_eq!(pass.as_ref(), Some(&problem.pass()));
            let pass = pass.as_mut().unwrap();
            cell.backward_into(pass, problem.upstream(), Some(hook), &mut back)
                .unwrap();
            let fresh = cell.backward_with(pass, problem.upstream(), hook);
            let found = back.as_mut().unwrap();
            assert_eq!(found, &fresh.unwrap());
            // What somebody else makes of the results must not come back.
            found.d_inputs.fill(f64::NAN);
            found.d_inputs.swap_axes(0, 1);
            for (_, d) in C::state(&mut found.d_state0) {
                d.fill(f64::NAN);
            }
            let spoil = &mut |_: &str, grad: &mut dyn TensorMut| grad.add(0, &[f64::NAN]);
            found.grads.visit_mut(spoil).unwrap();
        }
    }
}

#[test]
fn a_pass_into_used_memory_is_a_fresh_one_bit_for_bit() {
    // Square in time and batch, so that a layout that somebody has turned has the same shape.
    let shapes = [(5, 5), (5, 5), (9, 1), (4, 2), (0, 3), (4, 0), (1, 1)];
    let relu = || rnn(Activation::Relu, 2, 4, 1.2);
    memory_leaves_no_trace(&shapes.map(|(t, b)| Problem::new(relu(), t, b, 2, 4).of_final_state()));
    memory_leaves_no_trace(&shapes.map(|(t, b)| Problem::new(lstm(2, 4), t, b, 2, 4)));
    memory_leaves_no_trace(&shapes.map(|(t, b)| Problem::new(gru(2, 4), t, b, 2, 4)));
    memory_leaves_no_trace(&shapes.map(|(t, b)| Problem::new(elman(), t, b, 2, 4)));
}

#[test]
fn after_an_error_there_is_no_pass_and_there_are_no_gradients() {
    let problem = Problem::new(lstm(2, 4), 5, 2, 2, 4);
    let mut pass = Some(problem.pass());
    let too_wide = Array3::zeros((5, 2, 3));
    let refused = problem
        .cell
        .forward_into(too_wide.view(), &problem.s0, &mut pass);
    assert!(refused.is_err() && pass.is_none());

    let mut back: Option<Backward<Lstm<f64>>> = Some(problem.backward());
    let error = Error::Storage("device lost".to_owned());
    let failed = problem.cell.backward_into(
        &problem.pass(),
        problem.upstream(),
        Some(&mut |_, _| Err(error.clone())),
        &mut back,
    );
    assert_eq!(failed, Err(error.clone()));
    assert!(back.is_none());
}
