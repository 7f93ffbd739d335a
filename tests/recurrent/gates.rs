//! Gate orders: the other framework's equations, written out, beside a cell with converted weights.
#![expect(clippy::needless_pass_by_value, reason = "views are given as they are")]

use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView2, Axis, array, concatenate, s};
use steadygrad::Error;
use steadygrad::recurrent::{Activation, BurnGate, Gates, Gru, Layer, Lstm, Rnn};

use crate::common::{distance, signed};

const INPUTS: usize = 2;
const HIDDEN: usize = 3;
const TIME: usize = 6;

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

fn draw<D: ndarray::Dimension>(
    seed: u64,
    shape: impl ndarray::IntoDimension<Dim = D>,
) -> ndarray::Array<f64, D> {
    ndarray::Array::from_shape_simple_fn(shape.into_dimension(), signed(seed, 0.8))
}

fn inputs() -> Array2<f64> {
    draw(1, (TIME, INPUTS))
}

/// `x·W` of one step, as frameworks with `[inputs, units]` write it.
fn times(x: &[f64], w: ArrayView2<'_, f64>, unit: usize) -> f64 {
    x.iter().zip(w.column(unit)).map(|(x, w)| x * w).sum()
}

/// An LSTM by what its gates come to: `gate(name, x, h, unit)` before the nonlinearity.
fn lstm_by(gate: impl Fn(char, &[f64], &[f64], usize) -> f64) -> Array2<f64> {
    let (mut h, mut c) = (vec![0.0; HIDDEN], vec![0.0; HIDDEN]);
    let mut outputs = Array2::zeros((TIME, HIDDEN));
    for (t, x) in inputs().outer_iter().enumerate() {
        let x = x.to_vec();
        let before = h.clone();
        for j in 0..HIDDEN {
            let [i, f, o] = ['i', 'f', 'o'].map(|name| sigmoid(gate(name, &x, &before, j)));
            c[j] = f * c[j] + i * gate('c', &x, &before, j).tanh();
            h[j] = o * c[j].tanh();
            outputs[[t, j]] = h[j];
        }
    }
    outputs
}

/// A GRU that resets after the product: `gate(name, x, h, unit)` gives the parts of the input and of the state.
fn gru_by(gate: impl Fn(char, &[f64], &[f64], usize) -> (f64, f64)) -> Array2<f64> {
    let mut h = vec![0.0; HIDDEN];
    let mut outputs = Array2::zeros((TIME, HIDDEN));
    for (t, x) in inputs().outer_iter().enumerate() {
        let x = x.to_vec();
        let before = h.clone();
        for j in 0..HIDDEN {
            let [z, r] = ['z', 'r'].map(|name| {
                let (of_x, of_h) = gate(name, &x, &before, j);
                sigmoid(of_x + of_h)
            });
            let (of_x, of_h) = gate('h', &x, &before, j);
            h[j] = z * before[j] + (1.0 - z) * (of_x + r * of_h).tanh();
            outputs[[t, j]] = h[j];
        }
    }
    outputs
}

fn lstm_of(gates: Gates<f64>) -> Array2<f64> {
    assert_eq!(gates.bias_rec.len(), 0);
    assert!(gates.w_in.is_standard_layout() && gates.w_rec.is_standard_layout());
    let lstm = Lstm::new(gates.w_in, gates.w_rec, gates.bias).unwrap();
    let xs = inputs().insert_axis(Axis(1));
    let pass = lstm.forward(xs.view(), &lstm.zero_state(1)).unwrap();
    pass.outputs().index_axis(Axis(1), 0).to_owned()
}

fn gru_of(gates: Gates<f64>) -> Array2<f64> {
    let gru = Gru::new(gates.w_in, gates.w_rec, gates.bias, gates.bias_rec).unwrap();
    let xs = inputs().insert_axis(Axis(1));
    let pass = gru.forward(xs.view(), &gru.zero_state(1)).unwrap();
    pass.outputs().index_axis(Axis(1), 0).to_owned()
}

fn same(found: &Array2<f64>, expected: &Array2<f64>) {
    assert!(distance(found, expected) < 1e-14, "{found}\n{expected}");
}

/// The unit of a gate in a row of blocks.
fn at(order: &str, name: char, unit: usize) -> usize {
    order.find(name).unwrap() * HIDDEN + unit
}

#[test]
fn keras_lstm() {
    let (kernel, recurrent) = (draw(2, (INPUTS, 4 * HIDDEN)), draw(3, (HIDDEN, 4 * HIDDEN)));
    let bias = draw(4, 4 * HIDDEN);
    let expected = lstm_by(|name, x, h, j| {
        let k = at("ifco", name, j);
        times(x, kernel.view(), k) + times(h, recurrent.view(), k) + bias[k]
    });
    let gates = Gates::from_keras(kernel.view(), recurrent.view(), bias.view()).unwrap();
    same(&lstm_of(gates), &expected);

    // use_bias=False
    let expected = lstm_by(|name, x, h, j| {
        let k = at("ifco", name, j);
        times(x, kernel.view(), k) + times(h, recurrent.view(), k)
    });
    let none = Array1::zeros(0);
    let gates = Gates::from_keras(kernel.view(), recurrent.view(), none.view()).unwrap();
    same(&lstm_of(gates), &expected);
}

#[test]
fn keras_gru() {
    let (kernel, recurrent) = (draw(5, (INPUTS, 3 * HIDDEN)), draw(6, (HIDDEN, 3 * HIDDEN)));
    let bias = draw(7, (2, 3 * HIDDEN));
    let expected = gru_by(|name, x, h, j| {
        let k = at("zrh", name, j);
        (
            times(x, kernel.view(), k) + bias[[0, k]],
            times(h, recurrent.view(), k) + bias[[1, k]],
        )
    });
    let gates = Gates::from_keras(kernel.view(), recurrent.view(), bias.view()).unwrap();
    same(&gru_of(gates), &expected);
}

#[test]
fn keras_simple_rnn() {
    let (kernel, recurrent) = (draw(8, (INPUTS, HIDDEN)), draw(9, (HIDDEN, HIDDEN)));
    let bias = draw(10, HIDDEN);
    let mut h = vec![0.0; HIDDEN];
    let mut expected = Array2::zeros((TIME, HIDDEN));
    for (t, x) in inputs().outer_iter().enumerate() {
        let x = x.to_vec();
        let next =
            |j| (times(&x, kernel.view(), j) + times(&h, recurrent.view(), j) + bias[j]).tanh();
        h = (0..HIDDEN).map(next).collect();
        expected.row_mut(t).assign(&Array1::from_vec(h.clone()));
    }
    let gates = Gates::from_keras(kernel.view(), recurrent.view(), bias.view()).unwrap();
    let rnn = Rnn::new(gates.w_in, gates.w_rec, gates.bias, Activation::Tanh).unwrap();
    let pass = rnn
        .forward(inputs().insert_axis(Axis(1)).view(), &rnn.zero_state(1))
        .unwrap();
    same(&pass.outputs().index_axis(Axis(1), 0).to_owned(), &expected);
}

#[test]
fn onnx_lstm_and_gru() {
    // One direction of W[iofc], R[iofc] and B = [Wb[iofc], Rb[iofc]].
    let (w, r) = (
        draw(11, (4 * HIDDEN, INPUTS)),
        draw(12, (4 * HIDDEN, HIDDEN)),
    );
    let b = draw(13, 8 * HIDDEN);
    let expected = lstm_by(|name, x, h, j| {
        let k = at("iofc", name, j);
        times(x, w.t(), k) + times(h, r.t(), k) + b[k] + b[4 * HIDDEN + k]
    });
    let gates = Gates::from_onnx(w.view(), r.view(), b.view()).unwrap();
    same(&lstm_of(gates), &expected);

    let (w, r) = (
        draw(14, (3 * HIDDEN, INPUTS)),
        draw(15, (3 * HIDDEN, HIDDEN)),
    );
    let b = draw(16, 6 * HIDDEN);
    let expected = gru_by(|name, x, h, j| {
        let k = at("zrh", name, j);
        (
            times(x, w.t(), k) + b[k],
            times(h, r.t(), k) + b[3 * HIDDEN + k],
        )
    });
    let gates = Gates::from_onnx(w.view(), r.view(), b.view()).unwrap();
    same(&gru_of(gates), &expected);
}

/// A burn module's gate, that owns its arrays.
struct Owned {
    input_weight: Array2<f64>,
    input_bias: Array1<f64>,
    hidden_weight: Array2<f64>,
    hidden_bias: Array1<f64>,
}

impl Owned {
    fn new(seed: u64) -> Self {
        Self {
            input_weight: draw(seed, (INPUTS, HIDDEN)),
            input_bias: draw(seed + 1, HIDDEN),
            hidden_weight: draw(seed + 2, (HIDDEN, HIDDEN)),
            hidden_bias: draw(seed + 3, HIDDEN),
        }
    }

    fn view(&self) -> BurnGate<'_, f64> {
        BurnGate {
            input_weight: self.input_weight.view(),
            input_bias: self.input_bias.view(),
            hidden_weight: self.hidden_weight.view(),
            hidden_bias: self.hidden_bias.view(),
        }
    }

    fn parts(&self, x: &[f64], h: &[f64], unit: usize) -> (f64, f64) {
        (
            times(x, self.input_weight.view(), unit) + self.input_bias[unit],
            times(h, self.hidden_weight.view(), unit) + self.hidden_bias[unit],
        )
    }
}

#[test]
fn burn_lstm_and_gru() {
    // The fields of burn's Lstm: input, forget, output, cell.
    let lstm = [20, 30, 40, 50].map(Owned::new);
    let expected = lstm_by(|name, x, h, j| {
        let (of_x, of_h) = lstm["ifoc".find(name).unwrap()].parts(x, h, j);
        of_x + of_h
    });
    let gates = Gates::from_burn(&lstm.each_ref().map(Owned::view)).unwrap();
    same(&lstm_of(gates), &expected);

    // Of its Gru: update, reset, new.
    let gru = [60, 70, 80].map(Owned::new);
    let expected = gru_by(|name, x, h, j| gru["zrh".find(name).unwrap()].parts(x, h, j));
    let gates = Gates::from_burn(&gru.each_ref().map(Owned::view)).unwrap();
    same(&gru_of(gates), &expected);
}

#[test]
fn cudnn_is_pytorch_is_here() {
    let (w, r) = (
        draw(90, (4 * HIDDEN, INPUTS)),
        draw(91, (4 * HIDDEN, HIDDEN)),
    );
    let (b_w, b_r) = (draw(92, 4 * HIDDEN), draw(93, 4 * HIDDEN));
    let gates = Gates::from_pytorch(w.view(), r.view(), b_w.view(), b_r.view()).unwrap();
    assert_eq!((gates.w_in, gates.w_rec, gates.bias), (w, r, b_w + b_r));
}

#[test]
fn a_zero_beside_a_negative_zero_leaves_it() {
    let one = array![[1.0]];
    let bias = |x: f64| array![x];
    for (a, b) in [(-0.0, 0.0), (-0.0, -0.0)] {
        let gates =
            Gates::from_pytorch(one.view(), one.view(), bias(a).view(), bias(b).view()).unwrap();
        assert!(gates.bias[0].is_sign_negative());
    }
}

#[test]
fn shapes_of_no_cell_are_refused() {
    let words = |result: steadygrad::Result<Gates<f64>>| result.unwrap_err().to_string();
    let zeros = |rows, cols| Array2::<f64>::zeros((rows, cols));
    let none = Array1::zeros(0);
    let keras = |kernel: Array2<f64>, recurrent: Array2<f64>, bias: ArrayView1<'_, f64>| {
        Gates::from_keras(kernel.view(), recurrent.view(), bias)
    };
    assert_eq!(
        words(keras(zeros(2, 10), zeros(5, 10), none.view())),
        "recurrent_kernel: expected shape [5, 20], found [5, 10]"
    );
    assert_eq!(
        words(keras(zeros(2, 15), zeros(5, 20), none.view())),
        "kernel: expected shape [2, 20], found [2, 15]"
    );
    assert_eq!(
        words(keras(zeros(2, 20), zeros(5, 20), Array1::zeros(15).view())),
        "bias: expected shape [20], found [15]"
    );
    // reset_after=False
    assert_eq!(
        words(keras(zeros(2, 15), zeros(5, 15), Array1::zeros(15).view())),
        "bias: expected shape [2, 15], found [15]"
    );
    // Both directions at once, or Keras' matrices.
    assert!(Gates::from_onnx(zeros(2, 20).view(), zeros(5, 20).view(), none.view()).is_err());
    assert_eq!(
        words(Gates::from_onnx(
            zeros(20, 2).view(),
            zeros(20, 5).view(),
            Array1::zeros(20).view()
        )),
        "B: expected shape [40], found [20]"
    );
    let (w, r) = (zeros(20, 2), zeros(20, 5));
    let wrong = Array1::zeros(5);
    assert_eq!(
        words(Gates::from_pytorch(
            w.view(),
            r.view(),
            none.view(),
            wrong.view()
        )),
        "bias_hh: expected shape [20], found [5]"
    );
    let gate = Owned::new(1);
    for count in [0, 2, 5] {
        let gates = vec![gate.view(); count];
        assert!(matches!(Gates::from_burn(&gates), Err(Error::Count { .. })));
    }
    let mut odd = Owned::new(1);
    odd.hidden_bias = Array1::zeros(HIDDEN + 1);
    assert_eq!(
        words(Gates::from_burn(&[odd.view()])),
        "hidden bias: expected shape [3], found [4]"
    );
}

#[test]
fn a_bidirectional_onnx_node_has_a_direction_a_time() {
    let both = Array3::from_shape_simple_fn((2, 4 * HIDDEN, INPUTS), signed(99, 1.0));
    let r = Array3::from_shape_simple_fn((2, 4 * HIDDEN, HIDDEN), signed(98, 1.0));
    let b = Array2::zeros((2, 8 * HIDDEN));
    for direction in 0..2 {
        let [w, r] = [&both, &r].map(|a| a.index_axis(Axis(0), direction));
        let gates = Gates::from_onnx(w, r, b.row(direction)).unwrap();
        let (i, o, fc) = (
            w.slice(s![..HIDDEN, ..]),
            w.slice(s![HIDDEN..2 * HIDDEN, ..]),
            w.slice(s![2 * HIDDEN.., ..]),
        );
        assert_eq!(gates.w_in, concatenate![Axis(0), i, fc, o]);
    }
}
