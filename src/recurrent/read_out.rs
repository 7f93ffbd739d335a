//! An affine map over every step: what makes predictions of states.

#![expect(clippy::needless_pass_by_value, reason = "views are given as they are")]

use core::marker::PhantomData;

use ndarray::linalg::{general_mat_mul, general_mat_vec_mul};
use ndarray::{Array1, Array2, Array3, ArrayRef2, ArrayView3, Axis, Ix1, Ix3};

use super::linear::{check, flat, flat_mut, make_room};
use super::{Init, Real};
use crate::{Element, Error, Result, tensor_set};

/// An affine map that is applied to every step by itself: PyTorch's `nn.Linear` over a sequence.
///
/// ```text
/// y_t = h_t·wᵀ + b
/// ```
///
/// Inputs are `[time, batch, inputs]` in whatever order they lie in memory; outputs are `[time, batch, outputs]`,
/// always in the order of their axes, and of all steps one matrix product. A bias of no elements is none.
///
/// The parameters are public, to be read, edited and stepped by an optimiser; the shapes they must
/// have together are checked on every pass.
///
/// # Examples
///
/// A net, its loss, and the gradients of all it has:
///
/// ```
/// use ndarray::Array3;
/// use steadygrad::recurrent::{Layer, ReadOut, Rnn, loss};
///
/// let rnn = Rnn::<f64>::builder(2, 8).build(&mut || 0.75)?;
/// let read_out = ReadOut::builder(8, 3).build(&mut || 0.25)?;
/// let (xs, targets) = (Array3::ones((10, 4, 2)), Array3::zeros((10, 4, 3)));
///
/// let pass = rnn.forward(xs.view(), &rnn.zero_state(4))?;
/// let outputs = read_out.forward(pass.outputs())?;
/// let (loss, d_outputs) = loss::squared_error(outputs.view(), targets.view())?;
///
/// let top = read_out.backward(pass.outputs(), d_outputs.view())?;
/// let back = rnn.backward(&pass, top.d_inputs.view())?;
/// assert_eq!((top.grads.w.dim(), back.grads.w_rec.dim()), ((3, 8), (8, 8)));
/// assert!(loss > 0.0);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ReadOut<A> {
    /// Weights: `[outputs, inputs]`.
    pub w: Array2<A>,
    /// Bias: `[outputs]`, or `[0]` for none.
    pub bias: Array1<A>,
}

/// The gradients of a [`ReadOut`]'s parameters, under the parameters' names.
///
/// # Examples
///
/// ```
/// use ndarray::{Array3, array};
/// use steadygrad::recurrent::{ReadOut, ReadOutGrads};
///
/// let read_out = ReadOut::new(array![[2.0, 3.0]], array![1.0])?;
/// let back = read_out.backward(Array3::ones((4, 1, 2)).view(), Array3::ones((4, 1, 1)).view())?;
/// assert_eq!(back.grads, ReadOutGrads { w: array![[4.0, 4.0]], bias: array![4.0] });
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadOutGrads<A> {
    /// dL/dw, shaped as the weights: `[outputs, inputs]`.
    pub w: Array2<A>,
    /// dL/db, shaped as the bias.
    pub bias: Array1<A>,
}

/// What comes back through a [`ReadOut`].
///
/// # Examples
///
/// ```
/// use ndarray::{Array3, array};
/// use steadygrad::recurrent::{ReadOut, ReadOutBackward};
///
/// let read_out = ReadOut::new(array![[2.0, 3.0]], array![1.0])?;
/// let mut back = ReadOutBackward::default(); // one for the whole training
/// read_out.backward_into(Array3::ones((1, 1, 2)).view(), array![[[10.0]]].view(), &mut back)?;
/// assert_eq!(back.d_inputs, array![[[20.0, 30.0]]]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ReadOutBackward<A> {
    /// The gradients of the parameters.
    pub grads: ReadOutGrads<A>,
    /// dL/dh of every step, shaped as the inputs.
    pub d_inputs: Array3<A>,
}

tensor_set!(impl[A: Element] ReadOut<A> { w, bias });
tensor_set!(impl[A: Element] ReadOutGrads<A> { w, bias });

impl<A: Real> ReadOut<A> {
    /// A map with the given weights: `w` `[outputs, inputs]`, `bias` `[outputs]`, or of no elements for none.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array1, Array2};
    /// use steadygrad::recurrent::ReadOut;
    ///
    /// let error = ReadOut::<f64>::new(Array2::zeros((3, 8)), Array1::zeros(8)).unwrap_err();
    /// assert_eq!(error.to_string(), "bias: expected shape [3], found [8]");
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the shapes do not go together.
    pub fn new(w: Array2<A>, bias: Array1<A>) -> Result<Self> {
        let map = Self { w, bias };
        map.check_parameters()?;
        Ok(map)
    }

    /// Settings for a map of so many inputs, which are the units of the layer below, and outputs, whose weights are
    /// drawn by [`build`](ReadOutBuilder::build).
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::ReadOut;
    ///
    /// let read_out = ReadOut::<f64>::builder(8, 3).build(&mut || 0.25)?;
    /// assert_eq!(read_out.w.dim(), (3, 8));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn builder(inputs: usize, outputs: usize) -> ReadOutBuilder<A> {
        ReadOutBuilder {
            inputs,
            outputs,
            w: None,
            has_bias: true,
            element: PhantomData,
        }
    }

    /// How many features an input has.
    ///
    /// # Examples
    ///
    /// ```
    /// # use steadygrad::recurrent::ReadOut;
    /// assert_eq!(ReadOut::<f64>::builder(8, 3).build(&mut || 0.5)?.inputs(), 8);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.w.ncols()
    }

    /// How many features an output has.
    ///
    /// # Examples
    ///
    /// ```
    /// # use steadygrad::recurrent::ReadOut;
    /// assert_eq!(ReadOut::<f64>::builder(8, 3).build(&mut || 0.5)?.outputs(), 3);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.w.nrows()
    }

    /// The outputs of all steps: `[time, batch, inputs]` to `[time, batch, outputs]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::ReadOut;
    ///
    /// let read_out = ReadOut::new(array![[2.0, 3.0]], array![1.0])?;
    /// let outputs = read_out.forward(array![[[1.0, 0.0]], [[0.0, 1.0]]].view())?;
    /// assert_eq!(outputs, array![[[3.0]], [[4.0]]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the inputs do not fit the weights, [`Error::TooLarge`] if the outputs do not fit into memory.
    pub fn forward(&self, h: ArrayView3<'_, A>) -> Result<Array3<A>> {
        let mut outputs = Array3::zeros((0, 0, 0));
        self.forward_into(h, &mut outputs)?;
        Ok(outputs)
    }

    /// [`forward`](Self::forward) into an array that is used again; one of another shape, or in another memory order, is
    /// replaced.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::ReadOut;
    ///
    /// let read_out = ReadOut::new(array![[2.0, 3.0]], array![1.0])?;
    /// let mut outputs = Array3::zeros((0, 0, 0)); // of no shape yet
    /// for x in [1.0, 2.0] {
    ///     read_out.forward_into(Array3::from_elem((1, 1, 2), x).view(), &mut outputs)?;
    ///     assert_eq!(outputs, array![[[5.0 * x + 1.0]]]);
    /// }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward).
    pub fn forward_into(&self, h: ArrayView3<'_, A>, outputs: &mut Array3<A>) -> Result<()> {
        self.check_parameters()?;
        let (time, batch, _) = h.dim();
        check("inputs", h.shape(), &[time, batch, self.inputs()])?;
        make_room(outputs, "outputs", Ix3(time, batch, self.outputs()))?;
        if outputs.is_empty() {
            return Ok(());
        }
        let h = h.as_standard_layout();
        let (h, mut y) = (flat(&h.view())?, flat_mut(outputs.view_mut())?);
        if self.bias.is_empty() {
            y.fill(A::zero());
        } else {
            y.assign(&self.bias);
        }
        if self.outputs() == 1 {
            // A product of one column is a dot product a row.
            let (w, mut y) = (self.w.row(0), y.index_axis_mut(Axis(1), 0));
            general_mat_vec_mul(A::one(), &h, &w, A::one(), &mut y);
        } else {
            general_mat_mul(A::one(), &h, &self.w.t(), A::one(), &mut y);
        }
        Ok(())
    }

    /// Carries the gradients of the outputs back to the parameters and the inputs `h`, which are those of the
    /// [`forward`](Self::forward).
    ///
    /// ```text
    /// dL/dw = Σ_t dyᵀ_t·h_t    dL/db = Σ_t dy_t    dL/dh_t = dy_t·w
    /// ```
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::ReadOut;
    ///
    /// let read_out = ReadOut::new(array![[2.0, 3.0]], array![1.0])?;
    /// let h = array![[[1.0, 0.0]], [[0.0, 1.0]]];
    /// let back = read_out.backward(h.view(), array![[[1.0]], [[10.0]]].view())?;
    /// assert_eq!((back.grads.w, back.grads.bias), (array![[1.0, 10.0]], array![11.0]));
    /// assert_eq!(back.d_inputs, array![[[2.0, 3.0]], [[20.0, 30.0]]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the inputs do not fit the weights or the gradients do not fit the outputs.
    pub fn backward(
        &self,
        h: ArrayView3<'_, A>,
        d_outputs: ArrayView3<'_, A>,
    ) -> Result<ReadOutBackward<A>> {
        let mut back = ReadOutBackward {
            grads: ReadOutGrads {
                w: Array2::zeros((0, 0)),
                bias: Array1::zeros(0),
            },
            d_inputs: Array3::zeros((0, 0, 0)),
        };
        self.backward_into(h, d_outputs, &mut back)?;
        Ok(back)
    }

    /// [`backward`](Self::backward) into the memory of earlier gradients. After an error what is there means nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{ReadOut, ReadOutBackward};
    ///
    /// let (read_out, mut back) = (ReadOut::new(array![[2.0]], array![1.0])?, ReadOutBackward::default());
    /// for _ in 0..3 {
    ///     read_out.backward_into(Array3::ones((5, 1, 1)).view(), Array3::ones((5, 1, 1)).view(), &mut back)?;
    ///     assert_eq!(back.grads.bias, array![5.0]); // of this call alone
    /// }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`backward`](Self::backward).
    pub fn backward_into(
        &self,
        h: ArrayView3<'_, A>,
        d_outputs: ArrayView3<'_, A>,
        back: &mut ReadOutBackward<A>,
    ) -> Result<()> {
        self.check_parameters()?;
        let (time, batch, inputs) = h.dim();
        check("inputs", h.shape(), &[time, batch, self.inputs()])?;
        let shape = [time, batch, self.outputs()];
        check("output gradients", d_outputs.shape(), &shape)?;
        let ReadOutBackward { grads, d_inputs } = back;
        make_room(&mut grads.w, "weights", self.w.raw_dim())?;
        make_room(&mut grads.bias, "bias", Ix1(self.bias.len()))?;
        make_room(d_inputs, "input gradients", Ix3(time, batch, inputs))?;

        let (h, d_y) = (h.as_standard_layout(), d_outputs.as_standard_layout());
        let (h, d_y) = (flat(&h.view())?, flat(&d_y.view())?);
        let mut d_h = flat_mut(d_inputs.view_mut())?;
        if self.outputs() == 1 {
            self.backward_of_one(&h, &d_y, &mut grads.w, &mut d_h);
        } else {
            general_mat_mul(A::one(), &d_y.t(), &h, A::zero(), &mut grads.w);
            general_mat_mul(A::one(), &d_y, &self.w, A::zero(), &mut d_h);
        }
        grads.bias.fill(A::zero());
        if !grads.bias.is_empty() {
            for d_y in d_y.rows() {
                grads.bias += &d_y;
            }
        }
        Ok(())
    }

    /// Of one output both products are a row scaled, step by step: packing would cost more than they do.
    fn backward_of_one(
        &self,
        h: &ArrayRef2<A>,
        d_y: &ArrayRef2<A>,
        d_w: &mut ArrayRef2<A>,
        d_h: &mut ArrayRef2<A>,
    ) {
        let (w, mut d_w) = (self.w.row(0), d_w.row_mut(0));
        d_w.fill(A::zero());
        for ((h, &d_y), mut d_h) in h.rows().into_iter().zip(d_y).zip(d_h.rows_mut()) {
            d_w.scaled_add(d_y, &h);
            d_h.zip_mut_with(&w, |d_h, &w| *d_h = d_y * w);
        }
    }

    fn check_parameters(&self) -> Result<()> {
        if self.bias.is_empty() {
            Ok(())
        } else {
            check("bias", self.bias.shape(), &[self.outputs()])
        }
    }
}

/// Settings for a [`ReadOut`], made by [`ReadOut::builder`].
///
/// Without a word: weights uniform within ±1/√inputs, as in PyTorch's `nn.Linear`, and a bias of zero (which PyTorch
/// draws like the weights).
///
/// # Examples
///
/// ```
/// use steadygrad::recurrent::{Init, ReadOut};
///
/// let read_out = ReadOut::<f32>::builder(8, 3).w(Init::Xavier).without_bias().build(&mut || 0.75)?;
/// assert_eq!((read_out.w.dim(), read_out.bias.len()), ((3, 8), 0));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct ReadOutBuilder<A> {
    inputs: usize,
    outputs: usize,
    w: Option<Init>,
    has_bias: bool,
    element: PhantomData<A>,
}

impl<A: Real> ReadOutBuilder<A> {
    /// How the weights are drawn, as a matrix `[outputs, inputs]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::{Init, ReadOut};
    ///
    /// let read_out = ReadOut::<f64>::builder(3, 2).w(Init::Identity).build(&mut || 0.5)?;
    /// assert_eq!(read_out.w, array![[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn w(self, init: Init) -> Self {
        Self {
            w: Some(init),
            ..self
        }
    }

    /// A linear map: no bias.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::ReadOut;
    ///
    /// let read_out = ReadOut::<f64>::builder(2, 1).without_bias().build(&mut || 0.5)?;
    /// assert_eq!(read_out.forward(Array3::zeros((1, 1, 2)).view())?, array![[[0.0]]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn without_bias(self) -> Self {
        Self {
            has_bias: false,
            ..self
        }
    }

    /// Draws the weights from numbers uniform in [0, 1).
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::ReadOut;
    ///
    /// let mut draws = [0.0, 0.25, 0.5, 0.75].into_iter();
    /// let read_out = ReadOut::<f64>::builder(4, 1).build(&mut || draws.next().unwrap())?;
    /// assert_eq!(read_out.w, array![[-0.5, -0.25, 0.0, 0.25]]); // within ±1/√4
    /// assert!(ReadOut::<f64>::builder(4, 0).build(&mut || 0.5).is_err());   // no output
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if there is no output, and what [`Init::matrix`] says.
    pub fn build(self, uniform: &mut impl FnMut() -> f64) -> Result<ReadOut<A>> {
        let (inputs, outputs) = (self.inputs, self.outputs);
        if outputs == 0 {
            return Err(Error::Setting {
                what: "outputs",
                expected: "at least one",
                found: 0.0,
            });
        }
        let w = if let Some(init) = self.w {
            init.matrix(outputs, inputs, uniform)?
        } else {
            // `Init::Uniform` goes by the rows, which of nn.Linear's rule are the inputs.
            let w = Init::Uniform.matrix(inputs, outputs, uniform)?;
            w.reversed_axes().as_standard_layout().into_owned()
        };
        let bias = Array1::zeros(if self.has_bias { outputs } else { 0 });
        ReadOut::new(w, bias)
    }
}
