//! The gate orders of other frameworks.

#![expect(clippy::needless_pass_by_value, reason = "views are given as they are")]

use alloc::vec::Vec;

use ndarray::{
    Array1, Array2, ArrayView, ArrayView1, ArrayView2, Axis, Dimension, Slice, concatenate,
};

use super::Real;
use super::linear::check;
use crate::{Error, Result};

/// The weights of a cell in this crate's order, which is PyTorch's, made of another framework's.
///
/// How many gates there are, and so which cell it is, follows from the shapes: one for an [`Rnn`](super::Rnn), three for
/// a [`Gru`](super::Gru), four for an [`Lstm`](super::Lstm).
///
/// ```text
///                 LSTM                              GRU                 weights are
/// here, PyTorch   i f g o                           r z n               [n·hidden, inputs], two biases
/// cuDNN           i f g o                           r z n               as PyTorch's
/// Keras           i f c o                           z r h               [inputs, n·hidden], one bias; GRU two
/// ONNX            i o f c                           z r h               [n·hidden, inputs], both biases end to end
/// burn            input, forget, output, cell       update, reset, new  a module for each gate, [inputs, hidden]
/// ```
///
/// g, c and *cell* are the tanh that is let in; n, h and *new* likewise. In every one of them z keeps the old state. Cells
/// add their two biases, so here they are one; but in a GRU's n the recurrent one lies inside the reset, and is kept
/// apart as `bias_rec`:
///
/// ```text
/// n = tanh(W_n·x_t + b_n + r ⊙ (U_n·h_{t−1} + b_rec))        h_t = (1 − z) ⊙ n + z ⊙ h_{t−1}
/// ```
///
/// A GRU that resets before the product (Keras' `reset_after=False`, ONNX's `linear_before_reset = 0`, burn's
/// `reset_after: false`) is another function, and no order of its weights makes it this one.
///
/// # Examples
///
/// ```
/// use ndarray::{Array1, Array2};
/// use steadygrad::recurrent::{Gates, Lstm};
///
/// // layer.get_weights() of keras.layers.LSTM(3) with two inputs
/// let (kernel, recurrent_kernel) = (Array2::<f32>::zeros((2, 12)), Array2::zeros((3, 12)));
/// let bias = Array1::ones(12);
///
/// let Gates { w_in, w_rec, bias, .. } = Gates::from_keras(kernel.view(), recurrent_kernel.view(), bias.view())?;
/// let lstm = Lstm::new(w_in, w_rec, bias)?;
/// assert_eq!((lstm.inputs(), lstm.hidden()), (2, 3));
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// - Keras 3, `keras.layers.LSTM`, `GRU` and `SimpleRNN`; ONNX operators LSTM, GRU and RNN; burn 0.22, `Lstm`, `Gru` and
///   `Rnn`; cuDNN, `cudnnRNNMode_t`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Gates<A> {
    /// Input weights: `[n·hidden, inputs]`.
    pub w_in: Array2<A>,
    /// Recurrent weights: `[n·hidden, hidden]`.
    pub w_rec: Array2<A>,
    /// Bias: `[n·hidden]`.
    pub bias: Array1<A>,
    /// A GRU's recurrent bias of n: `[hidden]`; of other cells `[0]`.
    pub bias_rec: Array1<A>,
}

/// One gate of a burn module: its `input_transform` and its `hidden_transform`.
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use steadygrad::recurrent::{BurnGate, Gates};
///
/// let (input_weight, hidden_weight) = (array![[1.0], [2.0]], array![[3.0]]); // two inputs, one unit
/// let (input_bias, hidden_bias) = (array![4.0], array![5.0]);
/// let gate = BurnGate {
///     input_weight: input_weight.view(),
///     input_bias: input_bias.view(),
///     hidden_weight: hidden_weight.view(),
///     hidden_bias: hidden_bias.view(),
/// };
/// let rnn = Gates::from_burn(&[gate])?;
/// assert_eq!((rnn.w_in, rnn.w_rec, rnn.bias), (array![[1.0, 2.0]], array![[3.0]], array![9.0]));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BurnGate<'a, A> {
    /// `input_transform.weight`: `[inputs, hidden]`.
    pub input_weight: ArrayView2<'a, A>,
    /// `input_transform.bias`: `[hidden]`, or `[0]` for none.
    pub input_bias: ArrayView1<'a, A>,
    /// `hidden_transform.weight`: `[hidden, hidden]`.
    pub hidden_weight: ArrayView2<'a, A>,
    /// `hidden_transform.bias`: `[hidden]`, or `[0]` for none.
    pub hidden_bias: ArrayView1<'a, A>,
}

/// Where in another order the gates i, f, g, o or r, z, n stand.
struct Order {
    lstm: [usize; 4],
    gru: [usize; 3],
}

const PYTORCH: Order = Order {
    lstm: [0, 1, 2, 3],
    gru: [0, 1, 2],
};
const KERAS: Order = Order {
    lstm: [0, 1, 2, 3],
    gru: [1, 0, 2],
};
const ONNX: Order = Order {
    lstm: [0, 2, 3, 1],
    gru: [1, 0, 2],
};
const BURN: Order = Order {
    lstm: [0, 1, 3, 2],
    gru: [1, 0, 2],
};

impl Order {
    fn of(&self, gates: usize) -> &[usize] {
        match gates {
            4 => &self.lstm,
            3 => &self.gru,
            _ => &[0],
        }
    }
}

impl<A: Real> Gates<A> {
    /// From PyTorch's `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0` and `bias_hh_l0`, which are cuDNN's too.
    ///
    /// A file that PyTorch wrote is read by [`StateDict`](super::StateDict), feature `safetensors`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::Gates;
    ///
    /// // nn.GRU(1, 1): r, z, n
    /// let (weight_ih, weight_hh) = (array![[1.0], [2.0], [3.0]], array![[4.0], [5.0], [6.0]]);
    /// let (bias_ih, bias_hh) = (array![1.0, 2.0, 3.0], array![10.0, 20.0, 30.0]);
    /// let gru = Gates::from_pytorch(weight_ih.view(), weight_hh.view(), bias_ih.view(), bias_hh.view())?;
    /// assert_eq!((gru.bias, gru.bias_rec), (array![11.0, 22.0, 3.0], array![30.0]));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the shapes do not go together, or are those of no cell.
    pub fn from_pytorch(
        weight_ih: ArrayView2<'_, A>,
        weight_hh: ArrayView2<'_, A>,
        bias_ih: ArrayView1<'_, A>,
        bias_hh: ArrayView1<'_, A>,
    ) -> Result<Self> {
        let shapes = Shapes::of("weight_hh", weight_hh.shape(), weight_hh.ncols(), 0)?;
        let rows = shapes.rows();
        check("weight_ih", weight_ih.shape(), &[rows, weight_ih.ncols()])?;
        shapes.ordered(
            &PYTORCH,
            &weight_ih,
            &weight_hh,
            &[
                or_zeros("bias_ih", &bias_ih, rows)?,
                or_zeros("bias_hh", &bias_hh, rows)?,
            ],
        )
    }

    /// From Keras' `kernel` `[inputs, n·hidden]`, `recurrent_kernel` `[hidden, n·hidden]` and `bias`, `[n·hidden]` or of a
    /// GRU `[2, 3·hidden]`: what `layer.get_weights()` gives, in that order. A bias of no elements is none.
    ///
    /// The nonlinearities are to be Keras' defaults, `tanh` and `sigmoid`; a GRU with `reset_after=False` is refused, for
    /// its bias has one row.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::Gates;
    ///
    /// // GRU(1): z, r, h
    /// let (kernel, recurrent_kernel) = (array![[1.0, 2.0, 3.0]], array![[4.0, 5.0, 6.0]]);
    /// let bias = array![[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]];
    /// let gru = Gates::from_keras(kernel.view(), recurrent_kernel.view(), bias.view())?;
    /// assert_eq!(gru.w_in, array![[2.0], [1.0], [3.0]]); // r, z, n
    /// assert_eq!((gru.bias, gru.bias_rec), (array![22.0, 11.0, 3.0], array![30.0]));
    ///
    /// let bias = array![1.0, 2.0, 3.0]; // of reset_after=False
    /// let error = Gates::from_keras(kernel.view(), recurrent_kernel.view(), bias.view()).unwrap_err();
    /// assert_eq!(error.to_string(), "bias: expected shape [2, 3], found [3]");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the shapes do not go together, or are those of no cell.
    pub fn from_keras<D: Dimension>(
        kernel: ArrayView2<'_, A>,
        recurrent_kernel: ArrayView2<'_, A>,
        bias: ArrayView<'_, A, D>,
    ) -> Result<Self> {
        let hidden = recurrent_kernel.nrows();
        let shapes = Shapes::of("recurrent_kernel", recurrent_kernel.shape(), hidden, 1)?;
        let rows = shapes.rows();
        check("kernel", kernel.shape(), &[kernel.nrows(), rows])?;
        let mut biases = [Array1::zeros(rows), Array1::zeros(rows)];
        if !bias.is_empty() {
            if shapes.gates == 3 {
                check("bias", bias.shape(), &[2, rows])?;
            } else {
                check("bias", bias.shape(), &[rows])?;
            }
            let places = biases.iter_mut().flat_map(|bias| bias.iter_mut());
            places.zip(&bias).for_each(|(place, &b)| *place = b);
        }
        shapes.ordered(&KERAS, &kernel.t(), &recurrent_kernel.t(), &biases)
    }

    /// From ONNX' `W` `[n·hidden, inputs]`, `R` `[n·hidden, hidden]` and `B` `[2·n·hidden]`, each of them of one direction,
    /// which there is the first axis. A `B` of no elements is none.
    ///
    /// The nonlinearities are to be ONNX' defaults, and of a GRU `linear_before_reset` 1, which the shapes do not tell.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array1, array};
    /// use steadygrad::recurrent::Gates;
    ///
    /// let (w, r) = (array![[1.0], [2.0], [3.0], [4.0]], array![[5.0], [6.0], [7.0], [8.0]]);
    /// let lstm = Gates::from_onnx(w.view(), r.view(), Array1::zeros(0).view())?; // i, o, f, c
    /// assert_eq!(lstm.w_in, array![[1.0], [3.0], [4.0], [2.0]]); // i, f, g, o
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the shapes do not go together, or are those of no cell.
    pub fn from_onnx(
        w: ArrayView2<'_, A>,
        r: ArrayView2<'_, A>,
        b: ArrayView1<'_, A>,
    ) -> Result<Self> {
        let shapes = Shapes::of("R", r.shape(), r.ncols(), 0)?;
        let rows = shapes.rows();
        check("W", w.shape(), &[rows, w.ncols()])?;
        let b = or_zeros("B", &b, 2 * rows)?;
        let (b_in, b_rec) = b.view().split_at(Axis(0), rows);
        shapes.ordered(&ONNX, &w, &r, &[b_in.to_owned(), b_rec.to_owned()])
    }

    /// From the gates of a burn module, in the order of its fields: `input_gate`, `forget_gate`, `output_gate` and
    /// `cell_gate` of an `Lstm`; `update_gate`, `reset_gate` and `new_gate` of a `Gru`; the `gate` of an `Rnn`.
    ///
    /// A `Gru` is to have `reset_after`, its default; an `Lstm` its forget gate.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array1, Array2, array};
    /// use steadygrad::recurrent::{BurnGate, Gates};
    ///
    /// let weights = [1.0, 2.0, 3.0, 4.0].map(|w| Array2::from_elem((1, 1), w));
    /// let none = Array1::zeros(0);
    /// let gates = weights.each_ref().map(|w| BurnGate {
    ///     input_weight: w.view(),
    ///     input_bias: none.view(),
    ///     hidden_weight: w.view(),
    ///     hidden_bias: none.view(),
    /// });
    /// let lstm = Gates::from_burn(&gates)?;
    /// assert_eq!(lstm.w_rec, array![[1.0], [2.0], [4.0], [3.0]]); // input, forget, cell, output
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Count`] if there are as many gates as no cell has, [`Error::Shape`] if the gates' shapes differ.
    pub fn from_burn(gates: &[BurnGate<'_, A>]) -> Result<Self> {
        let Some(first) = gates.first().filter(|_| [1, 3, 4].contains(&gates.len())) else {
            return Err(Error::Count {
                what: "gates (1 of an Rnn, 3 of a Gru, 4 of an Lstm)",
                expected: 4,
                found: gates.len(),
            });
        };
        let (inputs, hidden) = first.input_weight.dim();
        for gate in gates {
            check("input weight", gate.input_weight.shape(), &[inputs, hidden])?;
            check(
                "hidden weight",
                gate.hidden_weight.shape(),
                &[hidden, hidden],
            )?;
        }
        let shapes = Shapes {
            gates: gates.len(),
            hidden,
        };
        let (mut w_in, mut w_rec) = (Vec::new(), Vec::new());
        let mut biases = [Array1::zeros(shapes.rows()), Array1::zeros(shapes.rows())];
        let [b_in, b_rec] = &mut biases;
        for (k, gate) in gates.iter().enumerate() {
            w_in.push(gate.input_weight.t());
            w_rec.push(gate.hidden_weight.t());
            let rows = shapes.block(k);
            let b = or_zeros("input bias", &gate.input_bias, hidden)?;
            b_in.slice_axis_mut(Axis(0), rows).assign(&b);
            let b = or_zeros("hidden bias", &gate.hidden_bias, hidden)?;
            b_rec.slice_axis_mut(Axis(0), rows).assign(&b);
        }
        let [w_in, w_rec] = [stacked(&w_in)?, stacked(&w_rec)?];
        shapes.ordered(&BURN, &w_in.view(), &w_rec.view(), &biases)
    }
}

/// How many gates a cell has, of how many units each.
struct Shapes {
    gates: usize,
    hidden: usize,
}

impl Shapes {
    /// Those of recurrent weights whose gates lie along `axis`.
    fn of(what: &'static str, found: &[usize], hidden: usize, axis: usize) -> Result<Self> {
        let gates = [1, 3, 4]
            .into_iter()
            .find(|n: &usize| found[axis] == n.saturating_mul(hidden));
        gates.map(|gates| Self { gates, hidden }).ok_or_else(|| {
            let mut expected = Vec::from([hidden; 2]);
            expected[axis] = hidden.saturating_mul(4);
            Error::Shape {
                what,
                expected,
                found: Vec::from(found),
            }
        })
    }

    fn rows(&self) -> usize {
        self.gates * self.hidden
    }

    fn block(&self, k: usize) -> Slice {
        Slice::from(k * self.hidden..(k + 1) * self.hidden)
    }

    /// Both matrices and both biases with their gates in this crate's order.
    fn ordered<A: Real>(
        &self,
        order: &Order,
        w_in: &ArrayView2<'_, A>,
        w_rec: &ArrayView2<'_, A>,
        biases: &[Array1<A>; 2],
    ) -> Result<Gates<A>> {
        let order = order.of(self.gates);
        let blocks = |w: &ArrayView2<'_, A>| {
            let blocks = order
                .iter()
                .map(|&k| w.slice_axis(Axis(0), self.block(k)).to_owned());
            let blocks: Vec<_> = blocks.collect();
            let views: Vec<_> = blocks.iter().map(|block| block.view()).collect();
            stacked(&views)
        };
        let (mut bias, mut bias_rec) = (Array1::zeros(self.rows()), Array1::zeros(0));
        let [b_in, b_rec] = biases;
        for (to, &from) in order.iter().enumerate() {
            let mut bias = bias.slice_axis_mut(Axis(0), self.block(to));
            bias.assign(&b_in.slice_axis(Axis(0), self.block(from)));
            let b_rec = b_rec.slice_axis(Axis(0), self.block(from));
            if self.gates == 3 && to == 2 {
                bias_rec = b_rec.to_owned();
            } else {
                bias.zip_mut_with(&b_rec, |b, &b_rec| *b = joined(*b, b_rec));
            }
        }
        Ok(Gates {
            w_in: blocks(w_in)?,
            w_rec: blocks(w_rec)?,
            bias,
            bias_rec,
        })
    }
}

/// The sum of two biases. A zero adds nothing, so that a −0 beside one stays what it is.
pub(super) fn joined<A: Real>(a: A, b: A) -> A {
    if b == A::zero() { a } else { a + b }
}

/// A bias, or zeros for one of no elements.
fn or_zeros<A: Real>(
    what: &'static str,
    bias: &ArrayView1<'_, A>,
    len: usize,
) -> Result<Array1<A>> {
    if bias.is_empty() {
        return Ok(Array1::zeros(len));
    }
    check(what, bias.shape(), &[len])?;
    Ok(bias.to_owned())
}

/// Matrices of as many columns above each other.
fn stacked<A: Real>(blocks: &[ArrayView2<'_, A>]) -> Result<Array2<A>> {
    concatenate(Axis(0), blocks).map_err(|_| Error::Shape {
        what: "gates",
        expected: blocks.first().map_or(Vec::new(), |w| Vec::from(w.shape())),
        found: blocks.last().map_or(Vec::new(), |w| Vec::from(w.shape())),
    })
}
