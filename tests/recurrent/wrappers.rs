//! Stacks, both directions and dropout, alone and within each other: gradients, `PyTorch`'s numbers, the hook.

use core::ops::ControlFlow;

use ndarray::{Array3, Axis, concatenate};
use steadygrad::recurrent::{
    At, Bidirectional, Checkpointed, Directions, Dropout, Gru, Layer, Lstm, Merge, Profile,
    RecurrentCell, Rnn, Stacked, Trace, Unrolled, Upstream,
};
use steadygrad::set::Two;
use steadygrad::{Measurement, Result, Stats, TensorSet};

use crate::common::{distance, numbers, uniform};
use crate::differences::is_right;
use crate::lengths::{Case, is_pytorchs};
use crate::torch::{LstmSteps, Run, Torch};
use crate::unrolled::Elman;

type Tanh = Rnn<f64>;
type Gated = Lstm<f64>;
type Reset = Gru<f64>;

/// Every wrapper, and some in each other, over layers of inputs of two: each goes through `$check!(name, layer)`.
macro_rules! each_wrapper {
    ($check:ident, $a:ty, $b:ty) => {{
        let a = |inputs, seed| <$a>::random(inputs, 3, seed);
        let b = |inputs, seed| <$b>::random(inputs, 3, seed);
        let both = |inputs, seed| Bidirectional::new(a(inputs, seed), a(inputs, seed + 50));
        $check!("a list", Stacked(vec![a(2, 1), a(3, 2), a(3, 3)]));
        $check!("a list of one", Stacked(vec![a(2, 1)]));
        $check!("two kinds", Stacked(Two(a(2, 1), b(3, 2))));
        $check!(
            "a nest",
            Stacked(Two(
                Stacked(vec![a(2, 1), a(3, 2)]),
                Stacked(Two(b(3, 3), a(3, 4)))
            ))
        );
        $check!("side by side", both(2, 1));
        $check!("a sum", both(2, 1).merge(Merge::Sum));
        $check!(
            "both directions, stacked",
            Stacked(vec![both(2, 1), both(6, 2)])
        );
        $check!(
            "stacks in both directions",
            Bidirectional::new(
                Stacked(Two(a(2, 1), b(3, 2))),
                Stacked(Two(a(2, 3), b(3, 4))),
            )
        );
        $check!(
            "both directions of both",
            Bidirectional::new(both(2, 1), both(2, 2)).merge(Merge::Sum)
        );
        for every in [1, 2, 4, 99] {
            $check!(
                "checkpoints",
                Checkpointed::new(b(2, 1)).every(every).unwrap()
            );
        }
        $check!(
            "a stack between checkpoints",
            Checkpointed::new(Stacked(Two(a(2, 1), b(3, 2))))
        );
        $check!(
            "checkpoints in both directions",
            Bidirectional::new(
                Checkpointed::new(a(2, 1)).every(2).unwrap(),
                Checkpointed::new(a(2, 2)).every(3).unwrap(),
            )
        );
        $check!(
            "checkpoints of checkpoints",
            Checkpointed::new(Checkpointed::new(b(2, 1)).every(2).unwrap())
                .every(4)
                .unwrap()
        );
        let drop = |inputs, seed| Dropout::new(a(inputs, seed), 0.4).unwrap();
        $check!("dropout at rest", drop(2, 1));
        let mut stack = Stacked(vec![drop(2, 1), drop(3, 2)]);
        stack.0[1].draw([5, 3, 3], &mut uniform(4)).unwrap();
        $check!("dropout in each step", stack.clone());
        stack.0[1].draw_once([3, 3], &mut uniform(4)).unwrap();
        $check!("dropout of all steps", stack.clone());
        $check!(
            "dropout between checkpoints",
            Checkpointed::new(stack).every(2).unwrap()
        );
    }};
}
pub(crate) use each_wrapper;

macro_rules! agrees {
    ($what:expr, $layer:expr) => {
        is_right(&Run::new($layer, 5, 3, 2), None, $what)
    };
}

#[test]
fn gradients_of_wrappers_are_the_slopes_of_the_loss() {
    each_wrapper!(agrees, Tanh, Gated);
}

#[test]
fn gradients_of_wrapped_grus_are_the_slopes_of_the_loss() {
    each_wrapper!(agrees, Reset, Reset);
}

#[test]
fn gradients_of_wrapped_cells_of_ones_own_are_the_slopes_of_the_loss() {
    each_wrapper!(agrees, Unrolled<LstmSteps>, Unrolled<Elman>);
}

#[test]
fn wrapped_cells_are_pytorchs() {
    is_pytorchs::<Tanh>(Case::is_whole, 3);
    is_pytorchs::<Gated>(Case::is_whole, 3);
    is_pytorchs::<Reset>(Case::is_whole, 3);
}

#[test]
fn a_stack_is_its_layers_by_hand() {
    let (a, b) = (Tanh::random(2, 3, 1), Tanh::random(3, 3, 2));
    let run = Run::new(Stacked(vec![a.clone(), b.clone()]), 5, 3, 2);
    let d = Upstream::outputs(run.d_outputs.view()).final_state(&run.d_final);
    let pass = run.layer.forward(run.xs.view(), &run.s0).unwrap();
    let back = run.layer.backward(&pass, d).unwrap();

    let below = a.forward(run.xs.view(), &run.s0[0]).unwrap();
    let above = b.forward(below.outputs(), &run.s0[1]).unwrap();
    let d = Upstream::outputs(run.d_outputs.view()).final_state(&run.d_final[1]);
    let d_above = b.backward(&above, d).unwrap();
    let d = Upstream::outputs(d_above.d_inputs.view()).final_state(&run.d_final[0]);
    let d_below = a.backward(&below, d).unwrap();
    assert_eq!(pass.outputs(), above.outputs());
    assert_eq!(
        pass.final_state(),
        [below.final_state(), above.final_state()]
    );
    assert_eq!(back.d_inputs, d_below.d_inputs);
    assert_eq!(back.grads, [d_below.grads, d_above.grads]);
    assert_eq!(back.d_state0, [d_below.d_state0, d_above.d_state0]);

    // And the same as two of different kinds that happen to be one.
    let two = Stacked(Two(a, b));
    let s0 = Two(run.s0[0].clone(), run.s0[1].clone());
    let pass = two.forward(run.xs.view(), &s0).unwrap();
    let d_final = Two(run.d_final[0].clone(), run.d_final[1].clone());
    let d = Upstream::outputs(run.d_outputs.view()).final_state(&d_final);
    let same = two.backward(&pass, d).unwrap();
    assert_eq!(numbers(&same.grads), numbers(&back.grads));
    assert_eq!(same.d_inputs, back.d_inputs);
    assert_eq!(numbers(&same.d_state0), numbers(&back.d_state0));
}

#[test]
fn the_reverse_layer_is_the_layer_on_reversed_inputs() {
    let (a, b) = (Gated::random(2, 3, 1), Gated::random(2, 3, 2));
    let run = Run::new(Bidirectional::new(a.clone(), b.clone()), 5, 3, 2);
    let pass = run.layer.forward(run.xs.view(), &run.s0).unwrap();
    let there = a.forward(run.xs.view(), &run.s0.forwards).unwrap();
    let mut inverted = run.xs.view();
    inverted.invert_axis(Axis(0));
    let back = b.forward(inverted, &run.s0.reverse).unwrap();
    let mut outputs = back.outputs();
    outputs.invert_axis(Axis(0));
    let expected = concatenate(Axis(2), &[there.outputs(), outputs]).unwrap();
    assert_eq!(pass.outputs(), expected);
    let ends = Directions {
        forwards: there.final_state(),
        reverse: back.final_state(),
    };
    assert_eq!(pass.final_state(), ends);
}

/// The places a hook sees, and what a profile makes of them.
fn places<L: Layer<Elem = f64>>(layer: L) -> Vec<(usize, usize, bool)> {
    let run = Run::new(layer, 2, 1, 2);
    let pass = run.layer.forward(run.xs.view(), &run.s0).unwrap();
    let mut places = Vec::new();
    let hook = &mut |at: At, d: L::At<'_>| {
        assert!(Measurement::of(&d)?.total().l2() > 0.0);
        places.push((at.layer, at.time, at.reverse));
        Ok(ControlFlow::Continue(()))
    };
    run.layer
        .backward_with(&pass, run.d_outputs.view(), hook)
        .unwrap();
    let layers = places.iter().map(|place| place.0).max();
    assert_eq!(layers, Some(run.layer.layers() - 1));
    places
}

#[test]
fn a_hook_sees_layers_counted_from_the_inputs_through_nests() {
    let a = |inputs| Tanh::random(inputs, 3, 1);
    let nest = Stacked(Two(
        Stacked(vec![a(2), a(3)]),
        Stacked(Two(Gated::random(3, 3, 2), a(3))),
    ));
    let expected: Vec<_> = (0..4)
        .rev()
        .flat_map(|layer| [(layer, 1, false), (layer, 0, false)])
        .collect();
    assert_eq!(places(nest), expected);

    let both = |inputs| Bidirectional::new(a(inputs), a(inputs));
    let of_one = |layer| {
        [
            (layer, 1, false),
            (layer, 0, false),
            (layer, 0, true),
            (layer, 1, true),
        ]
    };
    let expected = [of_one(1), of_one(0)].concat();
    assert_eq!(places(Stacked(vec![both(2), both(6)])), expected);
    let stack = || Stacked(vec![a(2), a(3)]);
    let expected: Vec<_> = [false, true]
        .into_iter()
        .flat_map(|reverse| [1, 0].map(|layer| (layer, reverse)))
        .flat_map(|(layer, reverse)| {
            [1, 0].map(|t| (layer, if reverse { 1 - t } else { t }, reverse))
        })
        .collect();
    assert_eq!(places(Bidirectional::new(stack(), stack())), expected);
}

#[test]
fn a_break_ends_the_way_back_in_its_own_layer_and_direction() {
    let a = |inputs| Tanh::random(inputs, 3, 1);
    let run = Run::new(Stacked(vec![a(2), a(3)]), 6, 2, 2);
    let pass = run.layer.forward(run.xs.view(), &run.s0).unwrap();
    let stop = |at: At| {
        Ok(if at.layer == 1 && at.time == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    };
    let mut seen = Vec::new();
    let back = run
        .layer
        .backward_with(&pass, run.d_outputs.view(), &mut |at, d| {
            seen.push((at.layer, at.time, d.h.iter().any(|&x| x != 0.0)));
            stop(at)
        })
        .unwrap();
    let at = back.stopped_at.unwrap();
    assert_eq!((at.layer, at.time), (1, 3));
    assert!(back.d_state0[1].h.iter().all(|&d| d == 0.0));
    assert!(back.d_state0[0].h.iter().any(|&d| d != 0.0));
    let expected = [(1, 5), (1, 4), (1, 3)]
        .into_iter()
        .chain((0..6).rev().map(|t| (0, t)));
    assert_eq!(
        seen,
        expected
            .map(|(layer, t)| (layer, t, true))
            .collect::<Vec<_>>()
    );

    // Steps 2 and 3 of the reverse direction lie before its cut, which runs from the end.
    let run = Run::new(Bidirectional::new(a(2), a(2)).merge(Merge::Sum), 4, 2, 2);
    let pass = run.layer.forward(run.xs.view(), &run.s0).unwrap();
    let hook = &mut |at: At, _: &mut _| {
        Ok(if at.reverse && at.time == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    };
    let back = run
        .layer
        .backward_with(&pass, run.d_outputs.view(), hook)
        .unwrap();
    let at = back.stopped_at.unwrap();
    assert_eq!((at.time, at.reverse), (2, true));
    let alone = run
        .layer
        .forwards
        .forward(run.xs.view(), &run.s0.forwards)
        .unwrap();
    let alone = run
        .layer
        .forwards
        .backward(&alone, run.d_outputs.view())
        .unwrap();
    for t in 0..4 {
        let (both, one) = (
            back.d_inputs.index_axis(Axis(0), t),
            alone.d_inputs.index_axis(Axis(0), t),
        );
        assert_eq!(both == one, t >= 2, "step {t}");
    }
    assert_eq!(back.d_state0.forwards, alone.d_state0);
    assert!(back.d_state0.reverse.h.iter().all(|&d| d == 0.0));
}

#[test]
fn a_profile_is_the_norm_of_every_steps_gradient() {
    let both =
        |inputs| Bidirectional::new(Gated::random(inputs, 3, 1), Gated::random(inputs, 3, 2));
    let run = Run::new(Stacked(vec![both(2), both(6)]), 7, 2, 2);
    let pass = run.layer.forward(run.xs.view(), &run.s0).unwrap();
    let mut expected = vec![vec![[0.0; 2]; 7]; 4];
    let hook = &mut |at: At, d: &mut steadygrad::recurrent::LstmState<f64>| {
        let norms = [d.h.mapv(|x| x * x).sum(), d.c.mapv(|x| x * x).sum()];
        expected[2 * at.layer + usize::from(at.reverse)][at.time] = norms;
        Ok(ControlFlow::Continue(()))
    };
    run.layer
        .backward_with(&pass, run.d_outputs.view(), hook)
        .unwrap();
    let mut profiles = [Profile::new(), Profile::of("h"), Profile::of("c")];
    for profile in &mut profiles {
        profile.record(At::time(99), &[1.0]).unwrap(); // of another pass
        run.layer
            .backward_with(&pass, run.d_outputs.view(), &mut profile.hook(&run.layer))
            .unwrap();
    }
    for layer in [0, 1] {
        for reverse in [false, true] {
            let squares = &expected[2 * layer + usize::from(reverse)];
            let of: [fn(&[f64; 2]) -> f64; 3] = [|[h, c]| h + c, |[h, _]| *h, |[_, c]| *c];
            for (profile, of) in profiles.iter().zip(of) {
                let expected: Vec<f64> = squares.iter().map(|s| of(s).sqrt()).collect();
                assert!(distance(profile.norms(layer, reverse), &expected) < 1e-14);
            }
        }
    }
    assert!(profiles[0].norms(2, false).is_empty());
}

/// Once more into the memory of a pass of another shape, and of the same.
fn comes_again<L>(layer: &L)
where
    L: Layer<Elem = f64>,
    L::State: PartialEq + core::fmt::Debug,
{
    let (mut pass, mut back) = (None, None);
    for (time, batch) in [(5, 3), (9, 2), (0, 2), (0, 3), (5, 0), (5, 3), (5, 3)] {
        let mut run = None;
        // The masks of dropout are of one shape.
        let seen = Array3::<f64>::zeros((time, batch, 2));
        if layer.forward(seen.view(), &layer.zero_state(batch)).is_ok() {
            run = Some((seen + 0.3, layer.zero_state(batch)));
        }
        let Some((xs, s0)) = run else { continue };
        layer.forward_into(xs.view(), &s0, &mut pass).unwrap();
        let pass = pass.as_ref().unwrap();
        let fresh = layer.forward(xs.view(), &s0).unwrap();
        assert_eq!(pass.outputs(), fresh.outputs());
        assert_eq!(pass.final_state(), fresh.final_state());
        let mut end = layer.zero_state(batch + 1);
        pass.final_state_into(&mut end);
        assert_eq!(end, fresh.final_state());

        let hook = &mut |_: At, _: L::At<'_>| Ok(ControlFlow::Continue(()));
        let d = Upstream::outputs(fresh.outputs()).final_state(&end);
        layer.backward_into(pass, d, Some(hook), &mut back).unwrap();
        let (found, fresh) = (back.as_ref().unwrap(), layer.backward(&fresh, d).unwrap());
        assert_eq!(found.d_inputs, fresh.d_inputs);
        assert_eq!(found.d_state0, fresh.d_state0);
        assert_eq!(numbers(&found.grads), numbers(&fresh.grads));
    }
}

macro_rules! again {
    ($what:expr, $layer:expr) => {{
        let _ = $what;
        comes_again(&$layer)
    }};
}

#[test]
fn used_memory_changes_nothing() {
    each_wrapper!(again, Tanh, Gated);
    each_wrapper!(again, Reset, Tanh);
}

/// The steps of a stack one by one are its pass over the sequence.
fn steps_are_the_pass<L: RecurrentCell<Elem = f64>>(layer: L) {
    let run = Run::new(layer, 5, 3, 2);
    let pass = run.layer.forward(run.xs.view(), &run.s0).unwrap();
    let mut state = run.s0.clone();
    for x in run.xs.outer_iter() {
        state = run.layer.step(x, &state).unwrap();
    }
    let off = distance(&numbers(&state), &numbers(&pass.final_state()));
    assert!(off < 1e-14, "{off:e}");
}

#[test]
fn a_stack_goes_step_by_step() {
    let (a, b) = (|inputs| Tanh::random(inputs, 3, 1), Gated::random(3, 4, 2));
    steps_are_the_pass(Stacked(vec![a(2), a(3), a(3)]));
    steps_are_the_pass(Stacked(Two(
        Stacked(vec![a(2)]),
        Stacked(Two(b, Tanh::random(4, 3, 3))),
    )));
    steps_are_the_pass(Stacked(Two(Reset::random(2, 3, 1), a(3))));
    steps_are_the_pass(Checkpointed::new(Dropout::new(a(2), 0.5).unwrap()));
}

fn names<S: TensorSet>(set: &S) -> Vec<String> {
    let mut names = Vec::new();
    let f = &mut |name: &str, _| {
        names.push(name.to_owned());
        Ok(())
    };
    set.visit(f).unwrap();
    names
}

fn pairs_with_its_gradients<L: Layer<Elem = f64>>(layer: L) {
    let run = Run::new(layer, 5, 3, 2);
    let pass = run.layer.forward(run.xs.view(), &run.s0).unwrap();
    let back = run.layer.backward(&pass, run.d_outputs.view()).unwrap();
    assert_eq!(names(&back.grads), names(&run.layer));
    let lens = |seen: Measurement| {
        let tensors = seen.tensors().iter();
        tensors.map(Stats::len).collect::<Vec<_>>()
    };
    let (layer, grads) = (Measurement::of(&run.layer), Measurement::of(&back.grads));
    assert_eq!(lens(layer.unwrap()), lens(grads.unwrap()));
}

macro_rules! paired {
    ($what:expr, $layer:expr) => {{
        let _ = $what;
        pairs_with_its_gradients($layer)
    }};
}

#[test]
fn gradients_carry_the_names_of_the_parameters() {
    each_wrapper!(paired, Tanh, Gated);
    each_wrapper!(paired, Reset, Gated);
    let both = Bidirectional::new(Tanh::random(2, 3, 1), Tanh::random(2, 3, 1));
    let expected = [
        "0.w_in",
        "0.w_rec",
        "0.bias",
        "1.forwards.w_in",
        "1.forwards.w_rec",
        "1.forwards.bias",
    ];
    assert_eq!(
        names(&Stacked(Two(Tanh::random(2, 3, 1), both)))[..6],
        expected
    );
}

fn message<T>(result: Result<T>) -> String {
    result.err().unwrap().to_string()
}

#[test]
fn what_does_not_fit_is_refused() {
    let (a, b) = (Tanh::random(2, 3, 1), Tanh::random(3, 3, 2));
    let xs = Array3::zeros((5, 3, 2));
    let stack = Stacked(vec![a.clone(), b.clone()]);
    let s0 = stack.zero_state(3);
    assert_eq!(
        message(stack.forward(xs.view(), &vec![s0[0].clone()])),
        "states of a stack: expected 2, found 1"
    );
    assert_eq!(
        message(Stacked(Vec::<Tanh>::new()).forward(xs.view(), &vec![])),
        "layers of a stack: expected 1, found 0"
    );
    let pass = stack.forward(xs.view(), &s0).unwrap();
    let d = Upstream::default();
    let one = vec![s0[0].clone()];
    assert_eq!(
        message(stack.backward(&pass, d.final_state(&one))),
        "final state gradients of a stack: expected 2, found 1"
    );
    let shorter = Stacked(vec![a.clone()]);
    assert_eq!(
        message(shorter.backward(&pass, pass.outputs())),
        "layers of the pass: expected 1, found 2"
    );
    assert_eq!(
        message(
            Stacked(Two(a.clone(), a.clone()))
                .forward(xs.view(), &Two(s0[0].clone(), s0[1].clone()))
        ),
        "inputs: expected shape [5, 3, 2], found [5, 3, 3]"
    );

    let uneven = Bidirectional::new(a.clone(), Tanh::random(2, 4, 1));
    assert_eq!(
        message(uneven.forward(xs.view(), &uneven.zero_state(3))),
        "outputs of the reverse layer: expected shape [5, 3, 3], found [5, 3, 4]"
    );
    let both = Bidirectional::new(a.clone(), a.clone());
    let pass = both.forward(xs.view(), &both.zero_state(3)).unwrap();
    assert_eq!(
        message(both.backward(&pass, Array3::zeros((5, 3, 3)).view())),
        "output gradients: expected shape [5, 3, 6], found [5, 3, 3]"
    );
    let cut = Checkpointed::new(both);
    assert_eq!(
        message(cut.forward(xs.view(), &cut.zero_state(3))),
        "directions of a layer whose sequences are cut: expected 1, found 2"
    );
}

#[test]
fn in_f32_it_is_what_it_is_in_f64() {
    let both = |seed| Bidirectional::new(Gated::random(2, 3, seed), Gated::random(2, 3, seed + 1));
    let run = Run::new(Stacked(Two(both(1), Tanh::random(6, 4, 3))), 20, 3, 2);
    let narrow = |cell: &Gated| {
        let [w_in, w_rec] = [&cell.w_in, &cell.w_rec].map(|w| w.mapv(|x| x as f32));
        Lstm::new(w_in, w_rec, cell.bias.mapv(|x| x as f32)).unwrap()
    };
    let Two(below, above) = &run.layer.0;
    let [w_in, w_rec] = [&above.w_in, &above.w_rec].map(|w| w.mapv(|x| x as f32));
    let above = Rnn::new(
        w_in,
        w_rec,
        above.bias.mapv(|x| x as f32),
        above.activation(),
    )
    .unwrap();
    let below = Bidirectional::new(narrow(&below.forwards), narrow(&below.reverse));
    let narrow = Stacked(Two(below, above));

    let s0 = run.layer.zero_state(3);
    let pass = run.layer.forward(run.xs.view(), &s0).unwrap();
    let back = run.layer.backward(&pass, run.d_outputs.view()).unwrap();
    let (xs, d) = (run.xs.mapv(|x| x as f32), run.d_outputs.mapv(|x| x as f32));
    let found = narrow.forward(xs.view(), &narrow.zero_state(3)).unwrap();
    let wide = found.outputs().mapv(f64::from);
    assert!(distance(&wide, pass.outputs()) < 1e-5);
    let found = narrow.backward(&found, d.view()).unwrap();
    assert!(distance(&found.d_inputs.mapv(f64::from), &back.d_inputs) < 1e-5);
    assert!(distance(&numbers(&found.grads), &numbers(&back.grads)) < 1e-5);
    assert!(distance(&numbers(&found.d_state0), &numbers(&back.d_state0)) < 1e-5);
}
