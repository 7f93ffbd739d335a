//! Agreement with `PyTorch` in float64: numbers printed by `tests/oracle/recurrent.py`.

use std::collections::HashMap;

use ndarray::{Array1, Array2, Array3, Axis, Ix1, Ix2, Ix3, Slice};
use steadygrad::recurrent::{Activation, Gru, Layer, Lstm, LstmState, Rnn, RnnState};

use crate::common::distance;

/// Sums of at most some hundred terms, in another order than `PyTorch`'s.
const BOUND: f64 = 1e-12;

/// A net that `PyTorch` ran, and what came of it.
pub(crate) struct Case {
    pub(crate) title: String,
    pub(crate) tensors: HashMap<String, (Vec<usize>, Vec<f64>)>,
}

impl Case {
    pub(crate) fn kind(&self) -> &str {
        self.title.split(' ').next().unwrap()
    }

    pub(crate) fn array<D: ndarray::Dimension>(&self, name: &str) -> ndarray::Array<f64, D> {
        let (shape, numbers) = &self.tensors[name];
        let array = ndarray::ArrayD::from_shape_vec(shape.clone(), numbers.clone()).unwrap();
        array.into_dimensionality().unwrap()
    }

    pub(crate) fn agrees<'a>(&self, name: &str, found: impl IntoIterator<Item = &'a f64>) {
        let off = distance(found, &self.tensors[name].1);
        assert!(off < BOUND, "{}: {name} off by {off:e}", self.title);
    }

    fn weights(&self) -> (Array2<f64>, Array2<f64>, Array1<f64>) {
        let bias = self.array::<Ix1>("bias_ih") + self.array::<Ix1>("bias_hh");
        (self.array::<Ix2>("w_in"), self.array::<Ix2>("w_rec"), bias)
    }

    fn sequence(&self) -> (Array3<f64>, Array3<f64>) {
        (self.array::<Ix3>("xs"), self.array::<Ix3>("d_outputs"))
    }
}

fn cases() -> Vec<Case> {
    read(include_str!("../oracle/recurrent.txt"))
}

/// The cases that a script has printed.
pub(crate) fn read(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let (name, rest) = line.split_once(' ').unwrap();
        if name == "case" {
            cases.push(Case {
                title: rest.to_owned(),
                tensors: HashMap::new(),
            });
            continue;
        }
        let (shape, numbers) = rest.split_once(' ').unwrap();
        let shape = shape.split('x').map(|n| n.parse().unwrap()).collect();
        let numbers = numbers.split(' ').map(|x| x.parse().unwrap()).collect();
        cases
            .last_mut()
            .unwrap()
            .tensors
            .insert(name.to_owned(), (shape, numbers));
    }
    cases
}

#[test]
fn rnn_is_pytorchs() {
    let mut seen = 0;
    let others = ["lstm", "gru"];
    for case in cases().iter().filter(|case| !others.contains(&case.kind())) {
        let activation = match case.kind() {
            "tanh" => Activation::Tanh,
            "relu" => Activation::Relu,
            "sigmoid" => Activation::Sigmoid,
            _ => Activation::Identity,
        };
        let (w_in, w_rec, bias) = case.weights();
        let (xs, d_outputs) = case.sequence();
        let rnn = Rnn::new(w_in, w_rec, bias, activation).unwrap();
        let pass = rnn
            .forward(
                xs.view(),
                &RnnState {
                    h: case.array("h0"),
                },
            )
            .unwrap();
        case.agrees("outputs", pass.outputs());
        case.agrees("h_n", &pass.final_state().h);
        let back = rnn.backward(&pass, d_outputs.view()).unwrap();
        case.agrees("d_w_in", &back.grads.w_in);
        case.agrees("d_w_rec", &back.grads.w_rec);
        case.agrees("d_bias", &back.grads.bias);
        case.agrees("d_xs", &back.d_inputs);
        case.agrees("d_h0", &back.d_state0.h);
        seen += 1;
    }
    assert_eq!(seen, 16);
}

#[test]
fn lstm_is_pytorchs() {
    let mut seen = 0;
    for case in cases().iter().filter(|case| case.kind() == "lstm") {
        let (w_in, w_rec, bias) = case.weights();
        let (xs, d_outputs) = case.sequence();
        let lstm = Lstm::new(w_in, w_rec, bias).unwrap();
        let s0 = LstmState {
            h: case.array("h0"),
            c: case.array("c0"),
        };
        let pass = lstm.forward(xs.view(), &s0).unwrap();
        case.agrees("outputs", pass.outputs());
        case.agrees("h_n", &pass.final_state().h);
        case.agrees("c_n", &pass.final_state().c);
        let back = lstm.backward(&pass, d_outputs.view()).unwrap();
        case.agrees("d_w_in", &back.grads.w_in);
        case.agrees("d_w_rec", &back.grads.w_rec);
        case.agrees("d_bias", &back.grads.bias);
        case.agrees("d_xs", &back.d_inputs);
        case.agrees("d_h0", &back.d_state0.h);
        case.agrees("d_c0", &back.d_state0.c);
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[test]
fn gru_is_pytorchs() {
    let mut seen = 0;
    for case in cases().iter().filter(|case| case.kind() == "gru") {
        let (w_in, w_rec, mut bias) = case.weights();
        let (bias_in, bias_rec) = (case.array::<Ix1>("bias_ih"), case.array::<Ix1>("bias_hh"));
        // Of the last gate the two biases stay apart.
        let last = Slice::from(2 * w_rec.ncols()..);
        bias.slice_axis_mut(Axis(0), last)
            .assign(&bias_in.slice_axis(Axis(0), last));
        let bias_rec = bias_rec.slice_axis(Axis(0), last).to_owned();
        let (xs, d_outputs) = case.sequence();
        let gru = Gru::new(w_in, w_rec, bias, bias_rec).unwrap();
        let s0 = RnnState {
            h: case.array("h0"),
        };
        let pass = gru.forward(xs.view(), &s0).unwrap();
        case.agrees("outputs", pass.outputs());
        case.agrees("h_n", &pass.final_state().h);
        let back = gru.backward(&pass, d_outputs.view()).unwrap();
        case.agrees("d_w_in", &back.grads.w_in);
        case.agrees("d_w_rec", &back.grads.w_rec);
        case.agrees("d_bias", &back.grads.bias);
        case.agrees("d_bias_rec", &back.grads.bias_rec);
        case.agrees("d_xs", &back.d_inputs);
        case.agrees("d_h0", &back.d_state0.h);
        seen += 1;
    }
    assert_eq!(seen, 12);
}
