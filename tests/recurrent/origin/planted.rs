//! A number that is not finite, put anywhere into any net, is found where it was put.

use ndarray::{Array2, Array3};
use steadygrad::recurrent::origin::{Cause, NotFinite, Part, Way};
use steadygrad::recurrent::{
    At, Bidirectional, Checkpointed, Dropout, Gru, Layer, Lstm, Merge, Rnn, Sequence, Stacked,
    Unrolled, Upstream,
};
use steadygrad::set::Two;
use steadygrad::{TensorMut, TensorSetMut};

use crate::common::{numbers, uniform};
use crate::torch::{LstmSteps, Run, Torch};
use crate::unrolled::Elman;
use crate::variants::with;
use crate::wrappers::each_wrapper;

type Tanh = Rnn<f64>;
type Gated = Lstm<f64>;
type Reset = Gru<f64>;

const TIME: usize = 5;
const BATCH: usize = 3;
const ALL: &[f64] = &[f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
/// A cell of one's own does not tell what was infinite and came to nothing until the way back.
const NAN: &[f64] = &[f64::NAN];

/// An element of a set: the tensor's name, the index along its axes, and what it was before it became `value`.
fn poke(set: &mut dyn TensorSetMut, element: usize, value: f64) -> (String, Vec<usize>, f64) {
    let (mut first, mut found) = (0, None);
    set.visit_mut(&mut |name, tensor: &mut dyn TensorMut| {
        if let Some(k) = element.checked_sub(first).filter(|&k| k < tensor.len()) {
            let dims = tensor.dims().unwrap().to_vec();
            let index = match dims[..] {
                [_, columns] => vec![k / columns, k % columns],
                _ => vec![k],
            };
            let mut before = [0.0];
            tensor.read(k, &mut before)?;
            tensor.write(k, &[value])?;
            found = Some((name.to_string(), index, before[0]));
        }
        first += tensor.len();
        Ok(())
    })
    .unwrap();
    found.unwrap()
}

fn len(set: &mut dyn TensorSetMut) -> usize {
    let mut len = 0;
    set.visit_mut(&mut |_, tensor: &mut dyn TensorMut| {
        len += tensor.len();
        Ok(())
    })
    .unwrap();
    len
}

/// The letter of a part of the state, its layer, and whether that runs from the end.
fn place(state: &mut dyn TensorSetMut, name: &str) -> (String, usize, bool) {
    let split = |name: &str| -> (Vec<String>, String, bool) {
        let mut path: Vec<String> = name.split('.').map(str::to_string).collect();
        let letter = path.pop().unwrap();
        let turns = path.iter().filter(|part| *part == "reverse").count();
        path.retain(|part| part != "forwards" && part != "reverse");
        (path, letter, turns % 2 == 1)
    };
    let (path, letter, reverse) = split(name);
    let mut layers: Vec<Vec<String>> = Vec::new();
    state
        .visit_mut(&mut |name, _: &mut dyn TensorMut| {
            let (path, ..) = split(name);
            if !layers.contains(&path) {
                layers.push(path);
            }
            Ok(())
        })
        .unwrap();
    let layer = layers.iter().position(|other| *other == path).unwrap();
    (letter, layer, reverse)
}

fn at(time: usize, layer: usize, reverse: bool) -> At {
    let mut at = At::time(time);
    (at.layer, at.reverse) = (layer, reverse);
    at
}

fn not_finite(x: f64) -> NotFinite {
    match x {
        x if x.is_nan() => NotFinite::Nan,
        x if x > 0.0 => NotFinite::Infinity,
        _ => NotFinite::NegativeInfinity,
    }
}

/// Where a number is put.
#[derive(Clone, Copy, Debug)]
enum Spot {
    Parameter(usize),
    InitialState(usize),
    FinalState(usize),
    Input([usize; 3]),
    Output([usize; 3]),
}

impl Spot {
    /// Puts a number there: the tensor's name, the index in it, and what was there.
    fn put<L: Layer<Elem = f64>>(self, run: &mut Run<L>, value: f64) -> (String, Vec<usize>, f64) {
        let (array, place) = match self {
            Self::Parameter(k) => return poke(&mut run.layer, k, value),
            Self::InitialState(k) => return poke(&mut run.s0, k, value),
            Self::FinalState(k) => return poke(&mut run.d_final, k, value),
            Self::Input(place) => (&mut run.xs, place),
            Self::Output(place) => (&mut run.d_outputs, place),
        };
        let before = core::mem::replace(&mut array[place], value);
        let name = if matches!(self, Self::Input(_)) {
            "x"
        } else {
            ""
        };
        (name.to_string(), place.to_vec(), before)
    }

    /// What is to be said of it: which way, what, its name, its place, its sequence, its index.
    fn expected<L: Layer<Elem = f64>>(
        self,
        run: &mut Run<L>,
        (name, index): (String, Vec<usize>),
        lengths: [usize; BATCH],
    ) -> (Way, Part, String, Option<At>, Option<usize>, Vec<usize>) {
        let top = run.layer.layers() - 1;
        let mut state = |is_initial: bool| {
            let (letter, layer, reverse) = place(&mut run.s0, &name);
            let last = lengths[index[0]].saturating_sub(1);
            let time = if reverse == is_initial { last } else { 0 };
            (
                letter,
                Some(at(time, layer, reverse)),
                Some(index[0]),
                vec![index[1]],
            )
        };
        let (way, part, (name, at, sequence, index)) = match self {
            Self::Parameter(_) => (Way::Forward, Part::Parameter, (name, None, None, index)),
            Self::InitialState(_) => (Way::Forward, Part::InitialState, state(true)),
            Self::FinalState(_) => (Way::Backward, Part::FinalState, state(false)),
            Self::Input([t, b, k]) => {
                let place = (name, Some(at(t, 0, false)), Some(b), vec![k]);
                (Way::Forward, Part::Input, place)
            }
            Self::Output([t, b, k]) => {
                let place = (name, Some(at(t, top, false)), Some(b), vec![k]);
                (Way::Backward, Part::Output, place)
            }
        };
        (way, part, name, at, sequence, index)
    }
}

/// Numbers of each kind in a net and what goes into it, one at a time.
fn found_where_put<L: Layer<Elem = f64>>(what: &str, layer: L, values: &[f64]) {
    let mut run = Run::new(layer, TIME, BATCH, 2);
    let mut draw = uniform(what.bytes().map(u64::from).sum());
    let mut below = |n: usize| (draw() * n as f64) as usize;
    for trial in 0..200 {
        let mut lengths = [TIME; BATCH].map(|most| below(most + 1));
        lengths[below(BATCH)] = TIME;
        let running: Vec<usize> = (0..BATCH).filter(|&b| lengths[b] > 0).collect();
        let value = values[below(values.len())];
        let b = running[below(running.len())];
        let spot = match trial % 5 {
            0 => Spot::Parameter(below(len(&mut run.layer))),
            1 => Spot::InitialState(below(len(&mut run.s0))),
            2 => Spot::FinalState(below(len(&mut run.d_final))),
            3 => Spot::Input([below(lengths[b]), b, below(run.xs.dim().2)]),
            _ => Spot::Output([below(lengths[b]), b, below(run.d_outputs.dim().2)]),
        };
        let (name, index, before) = spot.put(&mut run, value);
        let expected = spot.expected(&mut run, (name, index), lengths);

        let xs = Sequence::new(run.xs.view()).lengths(&lengths).unwrap();
        let pass = run.layer.forward(xs, &run.s0).unwrap();
        let d = Upstream::outputs(run.d_outputs.view()).final_state(&run.d_final);
        let found = run.layer.origin(&pass, d).unwrap();
        let told = format!("{what}, {lengths:?}, {value} at {spot:?}: {found:?}");
        let Some(mut found) = found else {
            // What was clamped comes to nothing, and gradients end there.
            let back = run.layer.backward(&pass, d).unwrap();
            let is_clipped = match spot {
                Spot::InitialState(_) => value.is_infinite(), // NaN stays NaN.
                spot => matches!(spot, Spot::FinalState(_)),
            };
            assert!(
                what.contains("options")
                    && is_clipped
                    && numbers(&back.grads).iter().all(|d| d.is_finite()),
                "{told}"
            );
            spot.put(&mut run, before);
            continue;
        };
        if let (Spot::Input(_) | Spot::Output(_), Some(at)) = (spot, &mut found.at) {
            at.reverse = false; // Whichever direction meets it.
        }
        // A mask makes 0·inf of it.
        if !(matches!(spot, Spot::Input(_)) && what.contains("dropout")) {
            assert_eq!(found.value, not_finite(value), "{told}");
        }
        assert_eq!(found.cause, Cause::Given, "{told}");
        let found = (
            found.way,
            found.part,
            found.name,
            found.at,
            found.sequence,
            found.index,
        );
        assert_eq!(found, expected, "{told}");
        spot.put(&mut run, before);
    }
    let pass = run.layer.forward(run.xs.view(), &run.s0).unwrap();
    let d = Upstream::outputs(run.d_outputs.view()).final_state(&run.d_final);
    assert_eq!(run.layer.origin(&pass, d).unwrap(), None, "{what}");
}

macro_rules! of_all {
    ($what:expr, $layer:expr) => {
        found_where_put($what, $layer, ALL)
    };
}

macro_rules! of_nan {
    ($what:expr, $layer:expr) => {
        found_where_put($what, $layer, NAN)
    };
}

#[test]
fn in_cells() {
    found_where_put("a vanilla cell", Tanh::random(2, 3, 1), ALL);
    found_where_put("an LSTM", Gated::random(2, 3, 1), ALL);
    found_where_put("a GRU", Reset::random(2, 3, 1), ALL);
    found_where_put(
        "a vanilla cell by steps",
        Unrolled::<Elman>::random(2, 3, 1),
        NAN,
    );
    found_where_put(
        "an LSTM by steps",
        Unrolled::<LstmSteps>::random(2, 3, 1),
        NAN,
    );
}

#[test]
fn in_wrapped_cells() {
    each_wrapper!(of_all, Tanh, Gated);
}

#[test]
fn in_wrapped_grus() {
    each_wrapper!(of_all, Reset, Reset);
}

#[test]
fn in_wrapped_cells_of_ones_own() {
    each_wrapper!(of_nan, Unrolled<LstmSteps>, Unrolled<Elman>);
}

#[test]
fn in_lstms_with_every_combination_of_options() {
    for bits in 0..32 {
        let lstm = with::<f64>(bits, 4)
            .build(&mut uniform(bits as u64))
            .unwrap();
        found_where_put(&format!("options {bits:05b}"), lstm, ALL);
    }
}

/// In a batch of one, and without lengths.
#[test]
fn in_a_single_sequence() {
    let gru = Reset::random(2, 3, 1);
    let (mut xs, d_outputs) = (Array3::zeros((4, 1, 2)), Array3::ones((4, 1, 3)));
    xs[[2, 0, 1]] = f64::NAN;
    let s0 = steadygrad::recurrent::RnnState {
        h: Array2::zeros((1, 3)),
    };
    let told = super::told(&gru, &xs, &s0, &d_outputs);
    assert_eq!(
        told.as_deref(),
        Some("the input x, which is NaN at time 2 (sequence 0, feature 1)")
    );
}
