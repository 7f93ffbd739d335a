//! Checkpoints against the layer they are of: the same bits.

use core::ops::ControlFlow;

use ndarray::{Axis, Slice};
use steadygrad::recurrent::{
    At, Checkpointed, Gru, Layer, Lstm, Rnn, Sequence, Stacked, Trace, Unrolled, Upstream,
};
use steadygrad::set;
use steadygrad::set::Two;

use crate::common::numbers;
use crate::torch::{LstmSteps, Run, Torch};
use crate::unrolled::Elman;

/// The same bits as the layer has, and its parameters' gradients over the same segments.
fn same_bits<L>(layer: &L, time: usize, batch: usize, lengths: Option<&[usize]>)
where
    L: Layer<Elem = f64> + Clone,
    L::State: PartialEq + core::fmt::Debug,
{
    let run = Run::new(layer.clone(), time, batch, 2);
    let mut xs = Sequence::new(run.xs.view());
    if let Some(lengths) = lengths {
        xs = xs.lengths(lengths).unwrap();
    }
    let plain = layer.forward(xs, &run.s0).unwrap();
    let upstreams = [
        Upstream::outputs(run.d_outputs.view()).final_state(&run.d_final),
        Upstream::outputs(run.d_outputs.view()),
        Upstream::default().final_state(&run.d_final),
    ];
    for every in [1, 2, 3, 4, time, time + 5] {
        let what = format!("{time}x{batch} every {every}");
        let sparing = Checkpointed::new(layer.clone()).every(every).unwrap();
        let pass = sparing.forward(xs, &run.s0).unwrap();
        assert_eq!(pass.outputs(), plain.outputs(), "{what}");
        assert_eq!(pass.final_state(), plain.final_state(), "{what}");
        for d in upstreams {
            let expected = layer.backward(&plain, d).unwrap();
            let mut upstream = Upstream::default();
            (upstream.outputs, upstream.final_state) = (d.outputs, d.final_state);
            let found = sparing.backward(&pass, upstream).unwrap();
            assert_eq!(found.d_inputs, expected.d_inputs, "{what}");
            assert_eq!(found.d_state0, expected.d_state0, "{what}");
            let by_hand = by_segments(&run, xs, every, d);
            assert_eq!(numbers(&found.grads), by_hand, "{what}");
        }
    }
}

/// The gradients of the parameters by passes over the segments, from the last to the first.
fn by_segments<L: Layer<Elem = f64>>(
    run: &Run<L>,
    xs: Sequence<'_, f64>,
    every: usize,
    d: Upstream<'_, L>,
) -> Vec<f64> {
    let mut passes = Vec::new();
    let mut state = run.s0.clone();
    let time = run.xs.dim().0;
    for start in (0..time).step_by(every) {
        let pass = run
            .layer
            .forward(xs.steps(start..start + every), &state)
            .unwrap();
        state = pass.final_state();
        passes.push((start, pass));
    }
    let mut sum: Option<L::Grads> = None;
    let mut d_state = d.final_state.cloned();
    for (start, pass) in passes.iter().rev() {
        let mut upstream = Upstream::default();
        upstream.final_state = d_state.as_ref();
        upstream.outputs = d.outputs.map(|mut d| {
            d.slice_axis_inplace(Axis(0), Slice::from(*start..time.min(start + every)));
            d
        });
        let back = run.layer.backward(pass, upstream).unwrap();
        d_state = Some(back.d_state0);
        match &mut sum {
            None => sum = Some(back.grads),
            Some(sum) => set::accumulate(&back.grads, sum).unwrap(),
        }
    }
    numbers(&sum.unwrap())
}

#[test]
fn states_and_gradients_are_those_of_the_layer_bit_for_bit() {
    for batch in [1, 3] {
        same_bits(&Rnn::random(2, 5, 1), 11, batch, None);
        same_bits(&Lstm::random(2, 5, 1), 11, batch, None);
        same_bits(&Gru::random(2, 5, 1), 11, batch, None);
        same_bits(&Unrolled::<Elman>::random(2, 5, 1), 11, batch, None);
        let stack = Stacked(Two(Rnn::random(2, 5, 1), Lstm::random(5, 4, 2)));
        same_bits(&stack, 11, batch, None);
    }
    let lengths = Some(&[11, 0, 6, 3][..]);
    same_bits(&Rnn::random(2, 5, 1), 11, 4, lengths);
    same_bits(&Lstm::random(2, 5, 1), 11, 4, lengths);
    same_bits(&Gru::random(2, 5, 1), 11, 4, lengths);
    same_bits(&Unrolled::<Elman>::random(2, 5, 1), 11, 4, lengths);
    same_bits(&Unrolled::<LstmSteps>::random(2, 5, 1), 11, 4, lengths);
}

#[test]
fn a_hook_sees_what_it_sees_of_the_layer() {
    let layer = Lstm::<f64>::random(2, 3, 1);
    let run = Run::new(layer.clone(), 11, 2, 2);
    let d = Upstream::outputs(run.d_outputs.view()).final_state(&run.d_final);
    let plain = layer.forward(run.xs.view(), &run.s0).unwrap();
    let sparing = Checkpointed::new(layer.clone()).every(4).unwrap();
    let pass = sparing.forward(run.xs.view(), &run.s0).unwrap();
    for stop in [None, Some(10), Some(9), Some(8), Some(7), Some(1), Some(0)] {
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        let hook = |seen: &mut Vec<(At, Vec<f64>)>, at: At, d: &mut _| {
            seen.push((at, numbers(d)));
            Ok(if Some(at.time) == stop {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        };
        let plain = layer
            .backward_with(&plain, d, &mut |at, d| hook(&mut expected, at, d))
            .unwrap();
        let mut upstream = Upstream::default();
        (upstream.outputs, upstream.final_state) = (d.outputs, d.final_state);
        let back = sparing
            .backward_with(&pass, upstream, &mut |at, d| hook(&mut found, at, d))
            .unwrap();
        assert_eq!(found, expected);
        assert_eq!(back.stopped_at, stop.map(At::time));
        assert_eq!(back.d_inputs, plain.d_inputs, "{stop:?}");
        assert_eq!(back.d_state0, plain.d_state0, "{stop:?}");
    }
}

#[test]
fn what_is_kept_is_every_kth_state_and_no_more() {
    let run = Run::new(Rnn::<f64>::random(2, 3, 1), 11, 2, 2);
    let plain = run.layer.forward(run.xs.view(), &run.s0).unwrap();
    for (sparing, kept) in [
        (Checkpointed::new(run.layer.clone()), vec![0, 4, 8]),
        (
            Checkpointed::new(run.layer.clone()).every(5).unwrap(),
            vec![0, 5, 10],
        ),
        (
            Checkpointed::new(run.layer.clone()).every(11).unwrap(),
            vec![0],
        ),
    ] {
        let pass = sparing.forward(run.xs.view(), &run.s0).unwrap();
        assert_eq!(pass.states().len(), kept.len());
        for (state, t) in pass.states().iter().zip(kept) {
            assert_eq!(state.h, plain.hidden().index_axis(Axis(0), t));
        }
    }
}
