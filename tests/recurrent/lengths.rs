//! Sequences of different lengths in one batch: `PyTorch`'s packed sequences, and each sequence as if alone.

use core::ops::ControlFlow;

use ndarray::{Array2, Array3, Axis, Ix3, Slice, s, stack};
use steadygrad::recurrent::{
    At, Bidirectional, Checkpointed, Directions, Dropout, Gru, Layer, Lstm, Merge, Rnn, Sequence,
    Stacked, Trace, Truncated, Unrolled, Upstream,
};
use steadygrad::set::Two;
use steadygrad::{Tensor, TensorSet};

use crate::common::{distance, numbers, uniform};
use crate::differences::is_right;
use crate::oracle;
use crate::torch::{LstmSteps, Run, Torch};
use crate::unrolled::Elman;
use crate::wrappers::each_wrapper;

/// Each of these is put through all that is below.
macro_rules! cells {
    ($($name:ident: $cell:ty),* $(,)?) => {$(
        mod $name {
            use super::*;

            #[test]
            fn padded_batches_are_pytorchs() {
                is_pytorchs::<$cell>(|case| !case.is_whole(), 5);
            }

            #[test]
            fn gradients_are_the_slopes_of_the_loss() {
                for lengths in [[5, 2, 4], [1, 5, 3], [0, 3, 2], [0, 0, 0]] {
                    let run = Run::new(<$cell>::random(2, 3, 1), 5, 3, 2);
                    slopes(&run, &lengths, "a cell");
                }
            }

            #[test]
            fn each_sequence_is_as_if_alone() {
                alone(<$cell>::random(2, 3, 1));
            }

            #[test]
            fn what_the_padding_holds_does_not_matter() {
                padding_is_nothing(<$cell>::random(2, 3, 1), "a cell");
            }

            #[test]
            fn a_hook_sees_zeros_past_the_end_and_each_final_state_at_its_own() {
                a_hook_sees_each_end::<$cell>();
            }

            #[test]
            fn windows_carry_each_state_past_its_end() {
                windows(&<$cell>::random(2, 3, 1));
            }
        }
    )*};
}

cells!(rnn: Rnn<f64>, lstm: Lstm<f64>, gru: Gru<f64>, elman: Unrolled<Elman>, lstm_by_steps: Unrolled<LstmSteps>);

/// Every wrapper, and some in each other, over layers of these two kinds.
macro_rules! wrapped {
    ($($name:ident: $a:ty, $b:ty);*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn gradients_of_wrappers_are_the_slopes_of_the_loss() {
                macro_rules! agrees {
                    ($what:expr, $layer:expr) => {
                        is_right(&Run::new($layer, 5, 3, 2), Some(&[2, 5, 3]), $what)
                    };
                }
                each_wrapper!(agrees, $a, $b);
            }

            #[test]
            fn what_the_padding_of_wrappers_holds_does_not_matter() {
                macro_rules! any {
                    ($what:expr, $layer:expr) => {
                        padding_is_nothing($layer, $what)
                    };
                }
                each_wrapper!(any, $a, $b);
            }
        }
    )*};
}

wrapped!(whole: Rnn<f64>, Lstm<f64>; reset: Gru<f64>, Rnn<f64>; by_steps: Unrolled<LstmSteps>, Unrolled<Elman>);

/// A case of `tests/oracle/wrappers.py`.
pub(crate) struct Case(pub(crate) oracle::Case);

impl Case {
    pub(crate) fn all() -> Vec<Self> {
        let cases = oracle::read(include_str!("../oracle/wrappers.txt"));
        cases.into_iter().map(Self).collect()
    }

    fn layers(&self) -> usize {
        self.field(1).parse().unwrap()
    }

    fn directions(&self) -> usize {
        self.field(2).parse().unwrap()
    }

    /// Whether every sequence is as long as the array.
    pub(crate) fn is_whole(&self) -> bool {
        self.field(3) == "all"
    }

    fn field(&self, k: usize) -> &str {
        self.0.title.split(' ').nth(k).unwrap()
    }

    fn lengths(&self) -> Vec<usize> {
        let time = self.0.tensors["xs"].0[0];
        if self.is_whole() {
            return vec![time; 3];
        }
        self.field(3)
            .split('-')
            .map(|n| n.parse().unwrap())
            .collect()
    }

    pub(crate) fn cell<C: Torch>(&self, name: &str) -> C {
        let of = |part: &str| &self.0.tensors[&format!("{name}.{part}")];
        let mut cell = C::zeros(of("w_in").0[1], of("w_rec").0[1]);
        cell.visit_mut(&mut |part, tensor| {
            let (_, values) = of(part);
            assert_eq!(tensor.len(), values.len(), "{name}.{part}");
            tensor.write(0, values)
        })
        .unwrap();
        cell
    }

    pub(crate) fn grads_agree<G: TensorSet>(&self, name: &str, grads: &G) {
        grads
            .visit(&mut |part, tensor| {
                let mut values = vec![0.0; tensor.len()];
                tensor.read(0, &mut values)?;
                self.0.agrees(&format!("d_{name}.{part}"), &values);
                Ok(())
            })
            .unwrap();
    }

    /// The state of layer or direction k, out of `PyTorch`'s `h0`, `c0` or `d_h_n`, `d_c_n`.
    fn state<C: Torch>(&self, k: usize, name: impl Fn(&str) -> String) -> C::State {
        let parts = ["h", "c"].map(name).into_iter();
        let there = parts.filter(|name| self.0.tensors.contains_key(name));
        let of = |name: String| self.0.array::<Ix3>(&name).index_axis_move(Axis(0), k);
        C::state(there.map(of).collect())
    }

    fn start<C: Torch>(&self, k: usize) -> C::State {
        self.state::<C>(k, |part| format!("{part}0"))
    }

    fn d_final<C: Torch>(&self, k: usize) -> C::State {
        self.state::<C>(k, |part| format!("d_{part}_n"))
    }

    /// All that comes out of `net`, whose states are as many as layers times directions.
    fn net_agrees<C: Torch, L: Layer<Elem = f64>>(
        &self,
        net: &L,
        (s0, d_final): (L::State, L::State),
        states: impl Fn(&L::State) -> Vec<&C::State>,
        grads: impl Fn(&L::Grads) -> Vec<(String, &C::Grads)>,
    ) {
        let (xs, d_outputs) = (self.0.array::<Ix3>("xs"), self.0.array::<Ix3>("d_outputs"));
        let lengths = self.lengths();
        let padded = Sequence::new(xs.view()).lengths(&lengths).unwrap();
        let pass = net.forward(padded, &s0).unwrap();
        self.0.agrees("outputs", pass.outputs());
        let agree = |name: &dyn Fn(&str) -> String, of: &L::State| {
            let parts: Vec<Vec<Array2<f64>>> = states(of).into_iter().map(C::parts).collect();
            for (part, letter) in ["h", "c"].iter().enumerate().take(parts[0].len()) {
                let of: Vec<_> = parts.iter().map(|parts| parts[part].view()).collect();
                self.0.agrees(&name(letter), &stack(Axis(0), &of).unwrap());
            }
        };
        agree(&|part| format!("{part}_n"), &pass.final_state());
        let d = Upstream::outputs(d_outputs.view()).final_state(&d_final);
        let back = net.backward(&pass, d).unwrap();
        self.0.agrees("d_xs", &back.d_inputs);
        agree(&|part| format!("d_{part}0"), &back.d_state0);
        for (name, grads) in grads(&back.grads) {
            self.grads_agree(&name, grads);
        }
    }
}

/// The cases of the cell's kind, as stacks of it in one direction or both.
pub(crate) fn is_pytorchs<C: Torch>(which: impl Fn(&Case) -> bool, count: usize) {
    let cases = Case::all().into_iter();
    let cases: Vec<_> = cases
        .filter(|case| case.0.kind() == C::KIND && which(case))
        .collect();
    assert_eq!(cases.len(), count);
    for case in cases {
        let layers = 0..case.layers();
        if case.directions() == 1 {
            let net = Stacked(
                layers
                    .clone()
                    .map(|k| case.cell::<C>(&k.to_string()))
                    .collect::<Vec<_>>(),
            );
            let s0 = layers.clone().map(|k| case.start::<C>(k)).collect();
            let d_final = layers.map(|k| case.d_final::<C>(k)).collect();
            case.net_agrees::<C, _>(
                &net,
                (s0, d_final),
                |states| states.iter().collect(),
                |grads| {
                    grads
                        .iter()
                        .enumerate()
                        .map(|(k, g)| (k.to_string(), g))
                        .collect()
                },
            );
            continue;
        }
        let both = |of: &dyn Fn(usize) -> C::State, k| Directions {
            forwards: of(2 * k),
            reverse: of(2 * k + 1),
        };
        let net = layers.clone().map(|k| {
            let forwards = case.cell::<C>(&k.to_string());
            Bidirectional::new(forwards, case.cell(&format!("{k}_reverse")))
        });
        let net = Stacked(net.collect::<Vec<_>>());
        let s0 = layers
            .clone()
            .map(|k| both(&|k| case.start::<C>(k), k))
            .collect();
        let d_final = layers.map(|k| both(&|k| case.d_final::<C>(k), k)).collect();
        case.net_agrees::<C, _>(
            &net,
            (s0, d_final),
            |states| {
                states
                    .iter()
                    .flat_map(|s| [&s.forwards, &s.reverse])
                    .collect()
            },
            |grads| {
                let each = grads.iter().enumerate();
                let each = each.flat_map(|(k, g)| {
                    [
                        (k.to_string(), &g.forwards),
                        (format!("{k}_reverse"), &g.reverse),
                    ]
                });
                each.collect()
            },
        );
    }
}

/// As [`is_right`], where some gradients may be zero everywhere.
fn slopes<L: Layer<Elem = f64> + Clone>(run: &Run<L>, lengths: &[usize], what: &str) {
    let xs = Sequence::new(run.xs.view()).lengths(lengths).unwrap();
    let check = steadygrad::recurrent::gradcheck(&run.layer, xs, &run.s0).unwrap();
    assert!(check.is_within(1e-7), "{what} {lengths:?}: {check}");
}

/// A batch of padded sequences is what its sequences are one by one.
fn alone<C: Torch>(cell: C) {
    let (time, lengths) = (6, [6, 0, 3, 1, 6]);
    let run = Run::new(cell, time, lengths.len(), 2);
    let padded = Sequence::new(run.xs.view()).lengths(&lengths).unwrap();
    let pass = run.layer.forward(padded, &run.s0).unwrap();
    let d = Upstream::outputs(run.d_outputs.view()).final_state(&run.d_final);
    let back = run.layer.backward(&pass, d).unwrap();
    let row = |state: &C::State, b: usize| {
        let row = |part: Array2<f64>| part.slice(s![b..=b, ..]).to_owned();
        C::state(C::parts(state).into_iter().map(row).collect())
    };
    let mut sum = vec![0.0; numbers(&back.grads).len()];
    for (b, &length) in lengths.iter().enumerate() {
        let part = |array: &Array3<f64>| array.slice(s![..length, b..=b, ..]).to_owned();
        let (xs, d_outputs) = (part(&run.xs), part(&run.d_outputs));
        let own = run.layer.forward(xs.view(), &row(&run.s0, b)).unwrap();
        assert!(distance(own.outputs(), pass.outputs().slice(s![..length, b..=b, ..])) < 1e-14);
        let outside = Slice::from(length..);
        let zero = |a: ndarray::ArrayView3<'_, f64>| {
            let mut row = a.index_axis_move(Axis(1), b);
            row.slice_axis_inplace(Axis(0), outside);
            row.iter().all(|&x| x == 0.0)
        };
        assert!(zero(pass.outputs()) && zero(back.d_inputs.view()));
        let close = |a: &C::State, b: &C::State| distance(&numbers(a), &numbers(b)) < 1e-13;
        assert!(close(&row(&pass.final_state(), b), &own.final_state()));

        let d_final = row(&run.d_final, b);
        let d = Upstream::outputs(d_outputs.view()).final_state(&d_final);
        let own = run.layer.backward(&own, d).unwrap();
        assert!(distance(&own.d_inputs, back.d_inputs.slice(s![..length, b..=b, ..])) < 1e-13);
        assert!(close(&row(&back.d_state0, b), &own.d_state0));
        for (sum, grad) in sum.iter_mut().zip(numbers(&own.grads)) {
            *sum += grad;
        }
    }
    assert!(distance(&numbers(&back.grads), &sum) < 1e-13);
}

/// NaN in the padding of inputs and of output gradients changes not one bit.
fn padding_is_nothing<L>(layer: L, what: &str)
where
    L: Layer<Elem = f64>,
    L::State: PartialEq + core::fmt::Debug,
{
    let lengths = [2, 5, 3];
    let run = Run::new(layer, 5, 3, 2);
    let with = |padding: f64| {
        let (mut xs, mut d_outputs) = (run.xs.clone(), run.d_outputs.clone());
        for (b, &length) in lengths.iter().enumerate() {
            xs.slice_mut(s![length.., b, ..]).fill(padding);
            d_outputs.slice_mut(s![length.., b, ..]).fill(padding);
        }
        let padded = Sequence::new(xs.view()).lengths(&lengths).unwrap();
        let pass = run.layer.forward(padded, &run.s0).unwrap();
        let d = Upstream::outputs(d_outputs.view()).final_state(&run.d_final);
        let back = run.layer.backward(&pass, d).unwrap();
        let outputs = pass.outputs().to_owned();
        (
            outputs,
            pass.final_state(),
            numbers(&back.grads),
            back.d_inputs,
            back.d_state0,
        )
    };
    let (zeros, nans) = (with(0.0), with(f64::NAN));
    assert_eq!(zeros, nans, "{what}");
    assert!(zeros.2.iter().all(|g| g.is_finite()), "{what}");
}

/// At each step the rows of ended sequences are zero, whatever a hook wrote there at the step before.
fn a_hook_sees_each_end<C: Torch + for<'t> Layer<At<'t> = &'t mut <C as Layer>::State>>() {
    let (time, lengths) = (5, [5, 0, 3]);
    let run = Run::new(C::random(2, 3, 1), time, 3, 2);
    let padded = Sequence::new(run.xs.view()).lengths(&lengths).unwrap();
    let pass = run.layer.forward(padded, &run.s0).unwrap();
    let expected = run
        .layer
        .backward(&pass, Upstream::default().final_state(&run.d_final))
        .unwrap();
    let mut seen = 0;
    let hook = &mut |at: At, d_state: &mut C::State| {
        let mut parts = C::parts(d_state);
        for (part, given) in parts.iter_mut().zip(C::parts(&run.d_final)) {
            for (b, &length) in lengths.iter().enumerate() {
                let row = part.row(b);
                if at.time >= length {
                    assert!(row.iter().all(|&x| x == 0.0), "{at:?} row {b}");
                } else if at.time + 1 == length {
                    assert_eq!(row, given.row(b), "{at:?}");
                    seen += 1;
                }
                if at.time >= length {
                    part.row_mut(b).fill(f64::NAN);
                }
            }
        }
        *d_state = C::state(parts);
        Ok(ControlFlow::Continue(()))
    };
    let d = Upstream::default().final_state(&run.d_final);
    let back = run.layer.backward_with(&pass, d, hook).unwrap();
    assert!(seen >= 2);
    assert_eq!(numbers(&back.grads), numbers(&expected.grads));
    assert_eq!(numbers(&back.d_state0), numbers(&expected.d_state0));
    assert_eq!(back.d_inputs, expected.d_inputs);
    // What came in for the sequence of no steps is what goes out.
    let (zero, given) = (C::parts(&back.d_state0), C::parts(&run.d_final));
    assert_eq!(zero[0].row(1), given[0].row(1));
}

fn windows<C: Torch>(cell: &C) {
    let lengths = [7, 2, 4];
    let run = Run::new(cell.clone(), 8, 3, 2);
    let padded = Sequence::new(run.xs.view()).lengths(&lengths).unwrap();
    let mut stream = Truncated::new(cell, 3, 3).unwrap();
    stream.carry = run.s0.clone();
    for window in stream.windows(padded) {
        stream.forward(cell, window).unwrap();
    }
    let whole = cell.forward(padded, &run.s0).unwrap().final_state();
    assert_eq!(numbers(&stream.carry), numbers(&whole));
}

#[test]
fn the_reverse_rows_of_shorter_sequences_are_of_earlier_steps() {
    let net = Bidirectional::new(
        Unrolled::<Elman>::random(2, 3, 1),
        Unrolled::random(2, 3, 2),
    );
    let run = Run::new(net, 5, 2, 2);
    let padded = Sequence::new(run.xs.view()).lengths(&[5, 2]).unwrap();
    let pass = run.layer.forward(padded, &run.s0).unwrap();
    // A loss of the reverse output at step 1 of the shorter sequence, which only the steps from there on reach.
    let mut d_outputs = Array3::zeros((5, 2, 6));
    d_outputs[[1, 1, 4]] = 1.0;
    let mut seen = Vec::new();
    run.layer
        .backward_with(&pass, d_outputs.view(), &mut |at, d| {
            if at.reverse && d.h.row(1).iter().any(|&d| d != 0.0) {
                seen.push(at.time);
            }
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    // It is shorter by three: its step 1 is shown as 4.
    assert_eq!(seen, [4]);
}

#[test]
fn lengths_that_are_all_the_same_are_none() {
    let run = Run::new(Unrolled::<Elman>::random(2, 3, 1), 5, 3, 2);
    let plain = run.layer.forward(run.xs.view(), &run.s0).unwrap();
    let same = Sequence::new(run.xs.view()).lengths(&[5, 5, 5]).unwrap();
    assert!(run.layer.forward(same, &run.s0).unwrap() == plain);
    let shorter = Sequence::new(run.xs.view()).lengths(&[4, 4, 4]).unwrap();
    let shorter = run.layer.forward(shorter, &run.s0).unwrap();
    let first = run.xs.slice_axis(Axis(0), Slice::from(..4));
    let first = run.layer.forward(first, &run.s0).unwrap();
    assert_eq!(shorter.final_state(), first.final_state());
}
