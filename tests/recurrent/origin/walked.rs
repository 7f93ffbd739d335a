//! Against what can be seen from outside: in wild nets, the first state and the first gradient that are not finite.

use core::ops::ControlFlow;

use ndarray::{Array3, ArrayView3};
use steadygrad::recurrent::origin::{Cause, Part, Way};
use steadygrad::recurrent::{
    Activation, At, Backward, Gru, Layer, Lstm, Origin, Rnn, Sequence, Trace, Upstream,
};
use steadygrad::{Result, TensorSet};

use crate::common::{fill, numbers, uniform};

/// Numbers of all sizes.
fn wild(seed: u64, most: f64) -> impl FnMut() -> f64 {
    let mut draw = uniform(seed);
    move || {
        let size = 10_f64.powf((2.0 * draw() - 1.0) * most);
        if draw() < 0.5 { -size } else { size }
    }
}

fn finite(set: &impl TensorSet) -> bool {
    numbers(set).iter().all(|x| x.is_finite())
}

fn is_finite<L: Layer>(back: &Backward<L>) -> bool {
    finite(&back.grads) && finite(&back.d_inputs) && finite(&back.d_state0)
}

/// The first step, and the sequence and the unit in it, of states that are not finite.
fn first(states: &ArrayView3<'_, f32>) -> Option<(usize, usize, usize)> {
    let mut all = states.indexed_iter();
    all.find(|(_, x)| !x.is_finite()).map(|(place, _)| place)
}

/// Asks of what is made in nets of huge numbers, until each kind has been seen.
fn agrees<L: Layer<Elem = f32>>(
    fresh: impl Fn(&mut dyn FnMut() -> f64) -> L,
    may_be_before: &dyn Fn(&Origin) -> bool,
) -> [usize; 3] {
    let (time, batch) = (12, 4);
    let mut seen = [0; 3];
    for seed in 0..480 {
        // From tame nets with huge gradients to wild ones.
        let mut draw = wild(seed, [0.3, 1.0, 4.0, 19.0][seed as usize % 4]);
        let mut gradients = wild(seed + 1000, [10.0, 30.0, 37.0][seed as usize % 3]);
        let layer = fresh(&mut draw);
        let xs = Array3::from_shape_simple_fn((time, batch, 2), || draw() as f32);
        let mut s0 = layer.zero_state(batch);
        if seed % 5 == 0 {
            fill(&mut s0, wild(seed + 2000, 30.0));
        }
        let lengths = [time, 5, 9, (seed % 3) as usize];
        let sequence = Sequence::new(xs.view()).lengths(&lengths).unwrap();
        let pass = layer.forward(sequence, &s0).unwrap();
        let outputs = pass.outputs();
        let d_outputs = Array3::from_shape_simple_fn(outputs.raw_dim(), || gradients() as f32);
        let found = layer.origin(&pass, d_outputs.view()).unwrap();
        let back = layer.backward(&pass, d_outputs.view()).unwrap();
        let forward = finite(&outputs.to_owned()) && finite(&pass.final_state());
        let told = format!("seed {seed}: {found:?}");
        match &found {
            None => {
                seen[0] += 1;
                assert!(forward && is_finite(&back), "{told}");
            }
            Some(origin) if origin.way == Way::Forward => {
                seen[1] += 1;
                // Of what was finite, and of no sequence that has ended.
                assert_ne!(origin.cause, Cause::Given, "{told}");
                assert_ne!(origin.cause, Cause::Unknown, "{told}");
                let (t, b) = (origin.at.unwrap().time, origin.sequence.unwrap());
                assert!(t < lengths[b], "{told}");
                if let Some((first, ..)) = first(&outputs) {
                    assert!(t == first || !forward && may_be_before(origin), "{told}");
                }
            }
            Some(origin) => {
                seen[2] += 1;
                assert!(forward && !is_finite(&back), "{told}");
                assert_ne!(origin.cause, Cause::Unknown, "{told}");
                assert_ne!(origin.cause, Cause::Given, "{told}");
                let hooked = hooked(&layer, &pass, d_outputs.view().into());
                let time = origin.at.map(|at| at.time);
                match (origin.part, hooked) {
                    // Made on the way from the step after, or as it arrives.
                    (Part::State, Some(seen)) if origin.name == "h" => {
                        assert_eq!(time, Some(seen), "{told}");
                    }
                    (Part::Gate | Part::State, Some(seen)) => {
                        assert_eq!(time, Some(seen + 1), "{told}");
                    }
                    (Part::Gate | Part::State | Part::InitialState, None) => {
                        assert_eq!(time, Some(0), "{told}");
                    }
                    (Part::Input, seen) => {
                        assert!(seen.is_none_or(|seen| time > Some(seen)), "{told}");
                    }
                    (Part::Parameter, seen) => {
                        assert!(seen.is_none_or(|seen| time > Some(seen)), "{told}");
                    }
                    other => panic!("{other:?}, {told}"),
                }
                if let (Some(t), Some(b)) = (time, origin.sequence) {
                    assert!(t < lengths[b], "{told}");
                }
            }
        }
    }
    seen
}

/// The step at which a hook first sees a gradient that is not finite.
fn hooked<L: Layer<Elem = f32>>(layer: &L, pass: &L::Pass, d: Upstream<'_, L>) -> Option<usize> {
    let mut seen = None;
    let watch = &mut |at: At, d_state: L::At<'_>| -> Result<ControlFlow<()>> {
        if seen.is_none() && !finite(&d_state) {
            seen = Some(at.time);
        }
        Ok(ControlFlow::Continue(()))
    };
    layer.backward_with(pass, d, watch).unwrap();
    seen
}

/// Each of the three came up often enough to mean something.
fn all_seen(seen: [usize; 3]) {
    assert!(seen.iter().all(|&n| n >= 10), "{seen:?}");
}

#[test]
fn a_vanilla_cell_is_explained_by_its_first_state_and_gradient() {
    for activation in [Activation::Identity, Activation::Relu] {
        all_seen(agrees(
            |draw| {
                let rnn = Rnn::<f32>::builder(2, 3).activation(activation);
                let mut rnn = rnn.build(&mut || 0.5).unwrap();
                fill(&mut rnn, draw);
                rnn
            },
            &|_| false,
        ));
    }
}

#[test]
fn an_lstm_is_explained_by_its_first_state_and_gradient() {
    let seen = agrees(
        |draw| {
            let mut lstm = Lstm::<f32>::builder(2, 3).build(&mut || 0.5).unwrap();
            fill(&mut lstm, draw);
            lstm
        },
        &|_| false,
    );
    assert!(seen[0] >= 10 && seen[2] >= 10, "{seen:?}");
}

#[test]
fn a_gru_is_explained_by_its_first_state_and_gradient() {
    let seen = agrees(
        |draw| {
            let mut gru = Gru::<f32>::builder(2, 3).build(&mut || 0.5).unwrap();
            fill(&mut gru, draw);
            gru
        },
        // What came to nothing in the outputs may come to something on the way back.
        &|origin| origin.name == "q",
    );
    assert!(seen[0] >= 10 && seen[1] + seen[2] >= 5, "{seen:?}");
}
