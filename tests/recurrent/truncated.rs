//! Streams in windows: states are carried, gradients are cut.

use core::ops::ControlFlow;

use ndarray::{Array1, Array3, Axis, Slice};
use steadygrad::recurrent::{At, Layer, Lstm, Stacked, Truncated, Unrolled, Upstream};

use crate::common::{distance, fill, numbers, signed};
use crate::torch::{LstmSteps, Run, Torch};

#[test]
fn gradients_of_a_window_are_those_of_a_pass_that_is_cut_before_it() {
    let stack = Stacked(vec![Lstm::<f64>::random(2, 3, 1), Lstm::random(3, 3, 2)]);
    let run = Run::new(stack, 9, 2, 2);
    let mut stream = Truncated::new(&run.layer, 4, 2).unwrap();
    stream.carry = run.s0.clone();
    let mut start = 0;
    for window in stream.windows(run.xs.view()) {
        let end = start + window.xs().dim().0;
        let steps = Slice::from(start..end);
        let pass = stream.forward(&run.layer, window).unwrap();
        let d_outputs = run.d_outputs.slice_axis(Axis(0), steps);
        let found = run.layer.backward(pass, d_outputs).unwrap();

        let so_far = run.xs.slice_axis(Axis(0), Slice::from(..end));
        let whole = run.layer.forward(so_far, &run.s0).unwrap();
        let mut d = Array3::zeros(whole.outputs().raw_dim());
        d.slice_axis_mut(Axis(0), steps).assign(&d_outputs);
        let hook = &mut |at: At, _: &mut _| {
            Ok(if at.time + 1 == start {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        };
        let whole = run.layer.backward_with(&whole, d.view(), hook).unwrap();
        let expected = whole.d_inputs.slice_axis(Axis(0), steps);
        assert!(distance(&found.d_inputs, expected) < 1e-13);
        assert!(distance(&numbers(&found.grads), &numbers(&whole.grads)) < 1e-13);
        start = end;
    }
    assert_eq!(start, 9);
}

#[test]
fn what_is_refused_leaves_the_carried_state() {
    let cell = Lstm::<f64>::random(2, 3, 1);
    let mut stream = Truncated::new(&cell, 4, 2).unwrap();
    fill(&mut stream.carry, signed(1, 1.0));
    let before = stream.carry.clone();
    assert!(
        stream
            .forward(&cell, Array3::zeros((4, 2, 5)).view())
            .is_err()
    );
    assert!(
        stream
            .forward(&cell, Array3::zeros((5, 2, 2)).view())
            .is_err()
    );
    assert_eq!(stream.carry, before);
    let pass = stream
        .forward(&cell, Array3::zeros((4, 2, 2)).view())
        .unwrap();
    let end = pass.final_state();
    let d = Upstream::outputs(pass.outputs()).final_state(&end);
    assert!(cell.backward(pass, d).is_ok());
    assert_eq!(stream.carry, end);
}

#[test]
fn a_stream_is_restarted_by_rows() {
    let cell = Unrolled::<LstmSteps>::random(2, 3, 1);
    let mut stream = Truncated::new(&cell, 3, 2).unwrap();
    fill(&mut stream.carry, signed(1, 1.0));
    let before = stream.carry.clone();
    stream.restart(1).unwrap();
    assert_eq!(stream.carry.h.row(0), before.h.row(0));
    assert_eq!(stream.carry.c.row(1), Array1::<f64>::zeros(3));
    let error = stream.restart(2).unwrap_err();
    assert_eq!(error.to_string(), "streams: expected 3, found 2");
    let error = stream
        .forward(&cell, Array3::zeros((4, 2, 2)).view())
        .map(|_| ());
    assert_eq!(
        error.unwrap_err().to_string(),
        "steps of a window: expected at most those that it was made for, found 4"
    );
}
