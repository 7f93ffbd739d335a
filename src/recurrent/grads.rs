//! The gradients of a cell's parameters.

use ndarray::{Array1, Array2};

use super::Real;
use super::linear::make_room;
use crate::{Element, Result, tensor_set};

/// The gradients of the parameters of an [`Rnn`](super::Rnn) or an [`Lstm`](super::Lstm), under the parameters' names.
///
/// # Examples
///
/// ```
/// use ndarray::Array3;
/// use steadygrad::recurrent::{CellGrads, Layer, Lstm};
///
/// let lstm = Lstm::<f64>::builder(1, 2).build(&mut || 0.75)?;
/// let pass = lstm.forward(Array3::ones((3, 1, 1)).view(), &lstm.zero_state(1))?;
/// let CellGrads { w_in, w_rec, bias } = lstm.backward(&pass, pass.outputs())?.grads;
/// assert_eq!((w_in.dim(), w_rec.dim(), bias.dim()), ((8, 1), (8, 2), 8));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CellGrads<A> {
    /// `dL/dW_in`, shaped as the input weights: `[hidden, inputs]`, of an LSTM `[4·hidden, inputs]`.
    pub w_in: Array2<A>,
    /// `dL/dW_rec`, shaped as the recurrent weights: `[hidden, hidden]`, of an LSTM `[4·hidden, hidden]`.
    pub w_rec: Array2<A>,
    /// dL/db, shaped as the bias: `[hidden]`, of an LSTM `[4·hidden]`.
    pub bias: Array1<A>,
}

impl<A: Real> CellGrads<A> {
    /// Of no parameters.
    pub(super) fn none() -> Self {
        Self {
            w_in: Array2::zeros((0, 0)),
            w_rec: Array2::zeros((0, 0)),
            bias: Array1::zeros(0),
        }
    }

    /// Takes the shape of these parameters; the bias becomes zero, and so do the weights if nothing will be written to them.
    pub(super) fn begin(
        &mut self,
        w_in: &Array2<A>,
        w_rec: &Array2<A>,
        bias: &Array1<A>,
        time: usize,
    ) -> Result<()> {
        make_room(&mut self.w_in, "input weights", w_in.raw_dim())?;
        make_room(&mut self.w_rec, "recurrent weights", w_rec.raw_dim())?;
        make_room(&mut self.bias, "bias", bias.raw_dim())?;
        if time == 0 {
            self.w_in.fill(A::zero());
            self.w_rec.fill(A::zero());
        }
        self.bias.fill(A::zero());
        Ok(())
    }
}

tensor_set!(impl[A: Element] CellGrads<A> { w_in, w_rec, bias });
