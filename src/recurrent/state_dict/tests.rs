//! Files that PyTorch wrote (`tests/oracle/weights.py`): what is loaded computes what PyTorch computed.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use ndarray::{Array, Array1, Array2, Array3, Axis, Dimension};

use super::{Pytorch, StateDict};
use crate::Error;
use crate::recurrent::{
    Activation, Bidirectional, Checkpointed, Directions, Dropout, Gates, Gru, Layer, Lstm,
    LstmState, ReadOut, Rnn, RnnState, Stacked, Trace,
};
use crate::set::Two;

const FILE: &[u8] = include_bytes!("../../../tests/oracle/weights.safetensors");

/// Sums of at most some dozen terms, in another order than PyTorch's.
const BOUND: f64 = 1e-12;

fn file() -> StateDict<'static> {
    StateDict::from_safetensors(FILE).unwrap()
}

fn oracle<D: Dimension>(name: &str) -> Array<f64, D> {
    let tensor = file().tensor(&format!("of.{name}")).unwrap();
    tensor.into_dimensionality().unwrap()
}

fn agree<D: Dimension>(found: &Array<f64, D>, name: &str) {
    let expected = oracle::<D>(name);
    assert_eq!(found.shape(), expected.shape());
    let apart = (found - &expected).mapv(f64::abs);
    assert!(apart.iter().all(|x| *x < BOUND), "{name}: {apart}");
}

/// The parts of a state as PyTorch has them: of each layer and direction h, and of an LSTM c.
trait Parts {
    fn parts(self, to: &mut Vec<Vec<Array2<f64>>>);
}

impl Parts for RnnState<f64> {
    fn parts(self, to: &mut Vec<Vec<Array2<f64>>>) {
        to.push(vec![self.h]);
    }
}

impl Parts for LstmState<f64> {
    fn parts(self, to: &mut Vec<Vec<Array2<f64>>>) {
        to.push(vec![self.h, self.c]);
    }
}

impl<P: Parts> Parts for Directions<P> {
    fn parts(self, to: &mut Vec<Vec<Array2<f64>>>) {
        self.forwards.parts(to);
        self.reverse.parts(to);
    }
}

impl<P: Parts> Parts for Vec<P> {
    fn parts(self, to: &mut Vec<Vec<Array2<f64>>>) {
        self.into_iter().for_each(|part| part.parts(to));
    }
}

impl<P: Parts, Q: Parts> Parts for Two<P, Q> {
    fn parts(self, to: &mut Vec<Vec<Array2<f64>>>) {
        self.0.parts(to);
        self.1.parts(to);
    }
}

/// Outputs and final state, as PyTorch has it: all h, then all c.
fn run<L>(net: &L, xs: &Array3<f64>) -> (Array3<f64>, Vec<Array2<f64>>)
where
    L: Layer<Elem = f64>,
    L::State: Parts,
{
    let pass = net.forward(xs.view(), &net.zero_state(xs.dim().1)).unwrap();
    let mut ends = Vec::new();
    pass.final_state().parts(&mut ends);
    let parts = 0..ends[0].len();
    let parts = parts.flat_map(|part| ends.iter().map(move |end| end[part].clone()));
    (pass.outputs().to_owned(), parts.collect())
}

fn rnn(inputs: usize, activation: Activation) -> Rnn<f64> {
    let builder = Rnn::builder(inputs, 3).activation(activation);
    builder.build(&mut || 0.5).unwrap()
}

fn lstm(inputs: usize) -> Lstm<f64> {
    Lstm::builder(inputs, 3).build(&mut || 0.5).unwrap()
}

fn gru(inputs: usize) -> Gru<f64> {
    Gru::builder(inputs, 3).build(&mut || 0.5).unwrap()
}

fn both<L: Clone>(cell: L) -> Bidirectional<L> {
    Bidirectional::new(cell.clone(), cell)
}

/// The net as PyTorch saved it, and as this crate saves it again, computes what PyTorch computed.
fn computes_the_same<N>(prefix: &str, new: impl Fn() -> N)
where
    N: Layer<Elem = f64> + Pytorch,
    N::State: Parts,
{
    let mut net = new();
    file().load(prefix, &mut net).unwrap();
    let mut dict = StateDict::default();
    dict.insert("again.", &net).unwrap();
    let bytes = dict.to_safetensors().unwrap();
    let mut again = new();
    let dict = StateDict::from_safetensors(&bytes).unwrap();
    dict.load("again.", &mut again).unwrap();

    let xs = oracle::<ndarray::Ix3>(&format!("{prefix}xs"));
    for net in [net, again] {
        let (outputs, ends) = run(&net, &xs);
        agree(&outputs, &format!("{prefix}outputs"));
        let directions = oracle::<ndarray::Ix3>(&format!("{prefix}h_n")).dim().0;
        for (part, ends) in ["h_n", "c_n"].iter().zip(ends.chunks(directions)) {
            let views: Vec<_> = ends.iter().map(|end| end.view()).collect();
            agree(
                &ndarray::stack(Axis(0), &views).unwrap(),
                &format!("{prefix}{part}"),
            );
        }
    }
}

#[test]
fn single_nets_are_pytorchs() {
    computes_the_same("rnn.", || rnn(2, Activation::Tanh));
    computes_the_same("relu.", || rnn(2, Activation::Relu));
    computes_the_same("lstm.", || lstm(2));
    computes_the_same("gru.", || gru(2));
}

#[test]
fn layers_and_directions_are_pytorchs() {
    let tanh = |inputs| both(rnn(inputs, Activation::Tanh));
    computes_the_same("deep.rnn.", || Stacked(vec![tanh(2), tanh(6)]));
    computes_the_same("deep.lstm.", || Stacked(vec![both(lstm(2)), both(lstm(6))]));
    computes_the_same("deep.gru.", || Stacked(vec![both(gru(2)), both(gru(6))]));
}

#[test]
fn wrappers_have_the_weights_of_what_they_hold() {
    computes_the_same("lstm.", || Checkpointed::new(lstm(2)).every(2).unwrap());
    computes_the_same("lstm.", || Dropout::new(lstm(2), 0.5).unwrap());
    computes_the_same("gru.", || Checkpointed::new(gru(2)).every(3).unwrap());
    computes_the_same("deep.lstm.", || {
        let below = Dropout::new(both(lstm(2)), 0.5).unwrap();
        Stacked(Two(below, both(lstm(6))))
    });
    // A nest counts its layers through.
    computes_the_same("deep.lstm.", || {
        Stacked(Two(
            Stacked(vec![both(lstm(2))]),
            Stacked(vec![both(lstm(6))]),
        ))
    });
}

#[test]
fn a_projection_is_pytorchs_and_other_options_are_not() {
    let builder = || Lstm::builder(2, 3);
    let half = &mut || 0.5;
    computes_the_same("proj.", || {
        builder().projection(2).build(&mut || 0.5).unwrap()
    });
    let mut coupled = builder().coupled().build(half).unwrap();
    let mut normed = builder().layer_norm().build(half).unwrap();
    for cell in [&mut coupled, &mut normed] {
        let error = file().load("lstm.", cell).unwrap_err();
        assert!(matches!(error, Error::Weights { .. }), "{error}");
        assert!(StateDict::default().insert("", cell).is_err());
    }
}

#[test]
fn a_read_out_is_pytorchs_linear() {
    let mut fc = ReadOut::builder(2, 3).build(&mut || 0.5).unwrap();
    file().load("fc.", &mut fc).unwrap();
    let xs = oracle::<ndarray::Ix3>("fc.xs");
    agree(&fc.forward(xs.view()).unwrap(), "fc.outputs");
}

#[test]
fn gates_from_pytorch_are_those_of_a_file() {
    let mut loaded = gru(2);
    file().load("gru.", &mut loaded).unwrap();
    let matrix = |name| file().tensor(name).unwrap().into_dimensionality().unwrap();
    let vector = |name| file().tensor(name).unwrap().into_dimensionality().unwrap();
    let gates: Gates<f64> = Gates::from_pytorch(
        matrix("gru.weight_ih_l0").view(),
        matrix("gru.weight_hh_l0").view(),
        vector("gru.bias_ih_l0").view(),
        vector("gru.bias_hh_l0").view(),
    )
    .unwrap();
    assert_eq!((gates.w_in, gates.w_rec), (loaded.w_in, loaded.w_rec));
    assert_eq!((gates.bias, gates.bias_rec), (loaded.bias, loaded.bias_rec));
}

#[test]
fn what_is_kept_apart_is_written_apart() {
    let mut cell = gru(2);
    cell.bias.assign(&Array1::range(1.0, 10.0, 1.0));
    cell.bias_rec.assign(&Array1::range(10.0, 13.0, 1.0));
    let mut dict = StateDict::default();
    dict.insert("", &cell).unwrap();
    let bias = |name| {
        dict.tensor::<f64>(name)
            .unwrap()
            .into_raw_vec_and_offset()
            .0
    };
    assert_eq!(
        bias("bias_ih_l0"),
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    );
    assert_eq!(
        bias("bias_hh_l0"),
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 10.0, 11.0, 12.0]
    );
}
