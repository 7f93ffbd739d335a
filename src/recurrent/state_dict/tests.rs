//! Files that PyTorch wrote (`tests/oracle/weights.py`): what is loaded computes what PyTorch computed.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use ndarray::{Array, Array1, Array2, Array3, ArrayView3, Axis, Dimension, concatenate};

use super::layout::Layout;
use super::part::{Load, Save};
use super::{Pytorch, StateDict};
use crate::Error;
use crate::Result;
use crate::recurrent::{
    Activation, Bidirectional, Checkpointed, Directions, Dropout, Gates, Layer, Lstm, LstmState,
    ReadOut, Rnn, RnnState, Stacked, Trace,
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

/// A net that runs one step after another over a whole sequence, to its last state.
trait Runs: Pytorch {
    fn run(&self, xs: ArrayView3<'_, f64>) -> (Array3<f64>, Vec<Array2<f64>>);
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

impl<L: Layer<Elem = f64> + Pytorch> Runs for L
where
    L::State: Parts,
{
    fn run(&self, xs: ArrayView3<'_, f64>) -> (Array3<f64>, Vec<Array2<f64>>) {
        let pass = self.forward(xs, &self.zero_state(xs.dim().1)).unwrap();
        let mut ends = Vec::new();
        pass.final_state().parts(&mut ends);
        (pass.outputs().to_owned(), in_pytorchs_order(&ends))
    }
}

/// All h, then all c.
fn in_pytorchs_order(ends: &[Vec<Array2<f64>>]) -> Vec<Array2<f64>> {
    let parts = 0..ends[0].len();
    let parts = parts.flat_map(|part| ends.iter().map(move |end| end[part].clone()));
    parts.collect()
}

/// PyTorch's equations for a GRU, written out, over weights as the crate keeps them.
struct Gru {
    w_in: Array2<f64>,
    w_rec: Array2<f64>,
    bias: Array1<f64>,
    bias_rec: Array1<f64>,
}

impl Layout for Gru {
    fn load(&mut self, from: &mut Load<'_>) -> Result<()> {
        from.tensor("weight_ih", &mut self.w_in)?;
        from.tensor("weight_hh", &mut self.w_rec)?;
        from.biases(&mut self.bias, Some(&mut self.bias_rec))
    }

    fn save(&self, to: &mut Save<'_>) -> Result<()> {
        to.tensor("weight_ih", &self.w_in);
        to.tensor("weight_hh", &self.w_rec);
        to.biases(&self.bias, Some(&self.bias_rec));
        Ok(())
    }
}

impl Runs for Gru {
    fn run(&self, xs: ArrayView3<'_, f64>) -> (Array3<f64>, Vec<Array2<f64>>) {
        let (time, batch, _) = xs.dim();
        let hidden = self.bias_rec.len();
        let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
        let mut h = Array2::zeros((batch, hidden));
        let mut outputs = Array3::zeros((time, batch, hidden));
        for (x, mut out) in xs.outer_iter().zip(outputs.outer_iter_mut()) {
            let a = x.dot(&self.w_in.t()) + &self.bias;
            let u = h.dot(&self.w_rec.t());
            for b in 0..batch {
                for j in 0..hidden {
                    let r = sigmoid(a[[b, j]] + u[[b, j]]);
                    let z = sigmoid(a[[b, hidden + j]] + u[[b, hidden + j]]);
                    let inner = u[[b, 2 * hidden + j]] + self.bias_rec[j];
                    let n = (a[[b, 2 * hidden + j]] + r * inner).tanh();
                    out[[b, j]] = (1.0 - z) * n + z * h[[b, j]];
                }
            }
            h.assign(&out);
        }
        (outputs, vec![h])
    }
}

/// From the end to the start.
fn turned(xs: &Array3<f64>) -> ArrayView3<'_, f64> {
    let mut turned = xs.view();
    turned.invert_axis(Axis(0));
    turned
}

/// Two directions side by side, of as many layers as there are: `nn.LSTM(…, num_layers=2, bidirectional=True)`.
struct Deep(Vec<[Gru; 2]>);

impl Layout for Deep {
    fn load(&mut self, from: &mut Load<'_>) -> Result<()> {
        for (up, [forwards, reverse]) in self.0.iter_mut().enumerate() {
            let mut from = from.layer(up);
            forwards.load(&mut from)?;
            reverse.load(&mut from.reverse())?;
        }
        Ok(())
    }

    fn save(&self, to: &mut Save<'_>) -> Result<()> {
        for (up, [forwards, reverse]) in self.0.iter().enumerate() {
            let mut to = to.layer(up);
            forwards.save(&mut to)?;
            reverse.save(&mut to.reverse())?;
        }
        Ok(())
    }
}

impl Runs for Deep {
    fn run(&self, xs: ArrayView3<'_, f64>) -> (Array3<f64>, Vec<Array2<f64>>) {
        let (mut xs, mut ends) = (xs.to_owned(), Vec::new());
        for [forwards, reverse] in &self.0 {
            let (there, end) = forwards.run(xs.view());
            ends.push(end);
            let (back, end) = reverse.run(turned(&xs));
            ends.push(end);
            xs = concatenate![Axis(2), there, turned(&back)];
        }
        (xs, in_pytorchs_order(&ends))
    }
}

fn rnn(inputs: usize, activation: Activation) -> Rnn<f64> {
    let builder = Rnn::builder(inputs, 3).activation(activation);
    builder.build(&mut || 0.5).unwrap()
}

fn lstm(inputs: usize) -> Lstm<f64> {
    Lstm::builder(inputs, 3).build(&mut || 0.5).unwrap()
}

fn gru(inputs: usize) -> Gru {
    Gru {
        w_in: Array2::zeros((9, inputs)),
        w_rec: Array2::zeros((9, 3)),
        bias: Array1::zeros(9),
        bias_rec: Array1::zeros(3),
    }
}

fn both<L: Clone>(cell: L) -> Bidirectional<L> {
    Bidirectional::new(cell.clone(), cell)
}

/// The net as PyTorch saved it, and as this crate saves it again, computes what PyTorch computed.
fn computes_the_same<N: Runs>(prefix: &str, new: impl Fn() -> N) {
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
        let (outputs, ends) = net.run(xs.view());
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
    computes_the_same("deep.gru.", || {
        Deep(vec![[gru(2), gru(2)], [gru(6), gru(6)]])
    });
}

#[test]
fn wrappers_have_the_weights_of_what_they_hold() {
    computes_the_same("lstm.", || Checkpointed::new(lstm(2)).every(2).unwrap());
    computes_the_same("lstm.", || Dropout::new(lstm(2), 0.5).unwrap());
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
