//! The vanilla recurrent cell.

use ndarray::{Array1, Array2, Array3, ArrayView2, ArrayView3, Axis, Ix2, Ix3, Slice};

use super::lengths::Lengths;
use super::linear::{begin, check, in_order, keep, make_room, state_shape, trajectory};
use super::recurrence::{Found, Projection, Weights, over_threads, segments, slice};
use super::rnn_parts::{Backwards, Forwards};
use super::{
    Activation, At, Backward, CellGrads, CellSpace, Hook, Layer, Origin, Real, RecurrentCell,
    Sequence, Trace, Upstream, origin,
};
use crate::{Element, Result, tensor_set};

/// The vanilla (Elman) recurrent cell.
///
/// ```text
/// h_t = φ(x_t·W_inᵀ + h_{t−1}·W_recᵀ + b)
/// ```
///
/// The output is the state. PyTorch's `nn.RNN` has two biases, which only ever act through their sum:
/// its weights load as `w_in = weight_ih_l0`, `w_rec = weight_hh_l0`, `bias = bias_ih_l0 + bias_hh_l0`,
/// and the gradient of `bias` is the gradient of either.
///
/// The parameters are public, to be read, edited and stepped by an optimiser; the shapes they must
/// have together are checked on every pass.
///
/// # Examples
///
/// ```
/// use ndarray::Array3;
/// use steadygrad::recurrent::{Activation, Init, Layer, Rnn};
///
/// let mut bits = 1_u64;
/// let mut uniform = || {
///     bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
///     (bits >> 11) as f64 / (1_u64 << 53) as f64
/// };
///
/// let mut rnn = Rnn::<f32>::builder(2, 16)
///     .activation(Activation::Tanh)
///     .w_rec(Init::Orthogonal)
///     .build(&mut uniform)?;
///
/// let xs = Array3::ones((10, 4, 2)); // 10 steps, batch of 4, 2 inputs
/// let pass = rnn.forward(xs.view(), &rnn.zero_state(4))?;
/// let d_outputs = pass.outputs().to_owned(); // the gradient of the loss ½·Σh²
/// let back = rnn.backward(&pass, d_outputs.view())?;
/// rnn.w_rec.scaled_add(-0.1, &back.grads.w_rec);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// - Elman, "Finding structure in time", 1990.
#[derive(Clone, Debug, PartialEq)]
pub struct Rnn<A> {
    /// Input weights: `[hidden, inputs]`.
    pub w_in: Array2<A>,
    /// Recurrent weights: `[hidden, hidden]`.
    pub w_rec: Array2<A>,
    /// Bias: `[hidden]`.
    pub bias: Array1<A>,
    activation: Activation,
}

/// The state of an [`Rnn`], or the gradient with respect to it.
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use steadygrad::recurrent::{Activation, RecurrentCell, Rnn, RnnState};
///
/// let rnn = Rnn::new(array![[1.0]], array![[0.5]], array![0.0], Activation::Relu)?;
/// let s = rnn.step(array![[3.0]].view(), &RnnState { h: array![[4.0]] })?;
/// assert_eq!(s.h, array![[5.0]]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RnnState<A> {
    /// The hidden state: `[batch, hidden]`.
    pub h: Array2<A>,
}

/// What an [`Rnn`] keeps of a forward pass.
///
/// # Examples
///
/// ```
/// use ndarray::{Array3, array};
/// use steadygrad::recurrent::{Activation, Layer, Rnn, RnnState};
///
/// let rnn = Rnn::new(array![[1.0]], array![[2.0]], array![0.0], Activation::Identity)?;
/// let pass = rnn.forward(Array3::ones((2, 1, 1)).view(), &RnnState { h: array![[1.0]] })?;
/// assert_eq!(pass.outputs(), array![[[3.0]], [[7.0]]]);
/// assert_eq!(pass.hidden(), array![[[1.0]], [[3.0]], [[7.0]]]);
/// assert_eq!(pass.final_state().h, array![[7.0]]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RnnPass<A> {
    pub(super) xs: Array3<A>,
    pub(super) hidden: Array3<A>,
    pub(super) activation: Activation,
    pub(super) lengths: Lengths,
    weights: Weights<A>,
}

tensor_set!(impl[A: Element] Rnn<A> { w_in, w_rec, bias });
tensor_set!(impl[A: Element] RnnState<A> { h });

impl<A: Real> Rnn<A> {
    /// A cell with the given weights: `w_in` `[hidden, inputs]`, `w_rec` `[hidden, hidden]`, `bias` `[hidden]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array1, Array2};
    /// use steadygrad::recurrent::{Activation, Rnn};
    ///
    /// let w_in = Array2::<f64>::zeros((4, 2));
    /// let error = Rnn::new(w_in, Array2::zeros((4, 3)), Array1::zeros(4), Activation::Tanh).unwrap_err();
    /// assert_eq!(error.to_string(), "w_rec: expected shape [4, 4], found [4, 3]");
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) if the shapes do not go together.
    pub fn new(
        w_in: Array2<A>,
        w_rec: Array2<A>,
        bias: Array1<A>,
        activation: Activation,
    ) -> Result<Self> {
        let cell = Self {
            w_in,
            w_rec,
            bias,
            activation,
        };
        cell.check_parameters()?;
        Ok(cell)
    }

    /// The nonlinearity.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::{Activation, Rnn};
    ///
    /// let rnn = Rnn::<f64>::builder(1, 1).activation(Activation::Relu).build(&mut || 0.5)?;
    /// assert_eq!(rnn.activation(), Activation::Relu);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// How many features an input has.
    ///
    /// # Examples
    ///
    /// ```
    /// # use steadygrad::recurrent::Rnn;
    /// assert_eq!(Rnn::<f64>::builder(3, 5).build(&mut || 0.5)?.inputs(), 3);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.w_in.ncols()
    }

    /// How many units the state has.
    ///
    /// # Examples
    ///
    /// ```
    /// # use steadygrad::recurrent::Rnn;
    /// assert_eq!(Rnn::<f64>::builder(3, 5).build(&mut || 0.5)?.hidden(), 5);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.bias.len()
    }

    fn check_parameters(&self) -> Result<()> {
        let hidden = self.hidden();
        check("w_in", self.w_in.shape(), &[hidden, self.inputs()])?;
        check("w_rec", self.w_rec.shape(), &[hidden, hidden])
    }

    fn check_pass(&self, pass: &RnnPass<A>) -> Result<()> {
        self.check_parameters()?;
        let (time, batch, _) = pass.xs.dim();
        let inputs = [time, batch, self.inputs()];
        check("pass inputs", pass.xs.shape(), &inputs)?;
        let states = [time + 1, batch, self.hidden()];
        check("pass states", pass.hidden.shape(), &states)
    }

    fn check_state(&self, s: &RnnState<A>, batch: usize, what: &'static str) -> Result<()> {
        check(what, s.h.shape(), &[batch, self.hidden()])
    }
}

impl<A: Real> RnnPass<A> {
    /// Of no step of nothing.
    fn empty() -> Self {
        let none = Array3::zeros((0, 0, 0));
        Self {
            xs: none.clone(),
            hidden: none,
            activation: Activation::default(),
            lengths: Lengths::default(),
            weights: Weights::default(),
        }
    }

    /// `h_1, …, h_T`: `[time, batch, hidden]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, Layer, Rnn};
    ///
    /// let rnn = Rnn::new(array![[1.0]], array![[2.0]], array![0.0], Activation::Identity)?;
    /// let pass = rnn.forward(Array3::ones((3, 1, 1)).view(), &rnn.zero_state(1))?;
    /// assert_eq!(pass.outputs(), array![[[1.0]], [[3.0]], [[7.0]]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn outputs(&self) -> ArrayView3<'_, A> {
        self.hidden.slice_axis(Axis(0), Slice::from(1..))
    }

    /// The states from the initial one to the last, `h_0, h_1, …, h_T`: `[1 + time, batch, hidden]`.
    /// Past the end of a shorter sequence they are zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, Layer, Rnn, RnnState};
    ///
    /// let rnn = Rnn::new(array![[1.0]], array![[2.0]], array![0.0], Activation::Identity)?;
    /// let pass = rnn.forward(Array3::zeros((2, 1, 1)).view(), &RnnState { h: array![[5.0]] })?;
    /// assert_eq!(pass.hidden(), array![[[5.0]], [[10.0]], [[20.0]]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn hidden(&self) -> ArrayView3<'_, A> {
        self.hidden.view()
    }

    /// The state after the last step, of each sequence its own; after none, the initial one.
    ///
    /// # Examples
    ///
    /// A long sequence in two halves is the same as in one go:
    ///
    /// ```
    /// use ndarray::{Array3, Axis};
    /// use steadygrad::recurrent::{Layer, Rnn};
    ///
    /// let (rnn, xs) = (Rnn::<f64>::builder(2, 3).build(&mut || 0.75)?, Array3::ones((10, 4, 2)));
    /// let (early, late) = xs.view().split_at(Axis(0), 6);
    /// let first = rnn.forward(early, &rnn.zero_state(4))?;
    /// let second = rnn.forward(late, &first.final_state())?;
    /// assert_eq!(second.final_state(), rnn.forward(xs.view(), &rnn.zero_state(4))?.final_state());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn final_state(&self) -> RnnState<A> {
        RnnState {
            h: self.lengths.last(&self.hidden),
        }
    }
}

impl<A: Real> Trace for RnnPass<A> {
    type Elem = A;
    type State = RnnState<A>;

    fn outputs(&self) -> ArrayView3<'_, A> {
        self.outputs()
    }

    fn final_state(&self) -> RnnState<A> {
        self.final_state()
    }

    fn final_state_into(&self, state: &mut RnnState<A>) {
        self.lengths.last_into(&self.hidden, &mut state.h);
    }
}

impl<A: Real> Layer for Rnn<A> {
    type Elem = A;
    type State = RnnState<A>;
    type At<'t> = &'t mut RnnState<A>;
    type Pass = RnnPass<A>;
    type Grads = CellGrads<A>;
    type Space = CellSpace<A>;

    fn zero_state(&self, batch: usize) -> RnnState<A> {
        RnnState {
            h: Array2::zeros(state_shape::<A>(batch, self.hidden())),
        }
    }

    fn forward_into<'a>(
        &self,
        xs: impl Into<Sequence<'a, A>>,
        s0: &RnnState<A>,
        pass: &mut Option<RnnPass<A>>,
    ) -> Result<()> {
        let mut next = pass.take().unwrap_or_else(RnnPass::empty);
        self.check_parameters()?;
        let xs = xs.into();
        next.lengths.keep(&xs);
        next.activation = self.activation;
        let xs = xs.xs();
        let (time, batch, _) = xs.dim();
        check("inputs", xs.shape(), &[time, batch, self.inputs()])?;
        self.check_state(s0, batch, "state h")?;

        let RnnPass {
            xs: kept,
            hidden,
            activation,
            lengths,
            weights,
        } = &mut next;
        trajectory(hidden, time, &s0.h)?;
        keep(kept, &xs)?;
        lengths.zero_padding(kept);
        weights.pack_transposed(&self.w_in, &self.w_rec, 0);
        let bias = self.bias.as_standard_layout();
        let projection = Projection::new(kept.view(), &weights.input, slice(&bias), self.hidden());
        // Projections are written where the states will be, and each step finishes its own.
        projection.begin(&mut hidden.slice_axis_mut(Axis(0), Slice::from(1..)));
        let forwards = Forwards {
            projection,
            recurrent: &weights.recurrent,
            activation: *activation,
            lengths,
            batch,
            first: 0,
            hidden: hidden.view_mut(),
        };
        over_threads(forwards, &Forwards::run);
        *pass = Some(next);
        Ok(())
    }

    fn backward_into(
        &self,
        pass: &RnnPass<A>,
        d: Upstream<'_, Self>,
        mut at: Option<&mut Hook<'_, Self>>,
        back: &mut Option<Backward<Self>>,
    ) -> Result<()> {
        let mut next = back.take().unwrap_or_else(|| {
            let none = RnnState {
                h: Array2::zeros((0, 0)),
            };
            Backward::new(CellGrads::none(), Array3::zeros((0, 0, 0)), none)
        });
        self.check_pass(pass)?;
        let (time, batch, inputs) = pass.xs.dim();
        let hidden = self.hidden();
        d.check_outputs(&[time, batch, hidden])?;
        if let Some(d) = d.final_state {
            self.check_state(d, batch, "final state h gradients")?;
        }

        let Backward {
            grads,
            d_inputs,
            d_state0: d_state,
            stopped_at,
            space,
        } = &mut next;
        let (given, lengths, shape) = (
            d.final_state.map(|d| &d.h),
            &pass.lengths,
            Ix2(batch, hidden),
        );
        begin(&mut d_state.h, given, shape)?;
        lengths.zero_shorter(time, &mut d_state.h);
        make_room(d_inputs, "input gradients", Ix3(time, batch, inputs))?;
        grads.begin(&self.w_in, &self.w_rec, &self.bias, time)?;
        space.weights.pack(&self.w_in, &self.w_rec, 0);
        *stopped_at = None;
        let recurrent = &space.weights.recurrent;
        for steps in segments(time, batch).rev() {
            let mut d_z = space.d_z.array(Ix3(steps.len(), batch, hidden))?;
            let mut start = steps.start;
            if let Some(at) = &mut at {
                for t in steps.clone().rev() {
                    Backwards::new(pass, d.outputs, d.final_state, recurrent, &mut d_z, d_state)
                        .arrive(t);
                    if at(At::time(t), d_state)?.is_break() {
                        (*stopped_at, start) = (Some(At::time(t)), t + 1);
                        break;
                    }
                    self.check_state(d_state, batch, "state h from the hook")?;
                    in_order(&mut d_state.h);
                    lengths.zero_ended(t, &mut d_state.h);
                    Backwards::new(pass, d.outputs, d.final_state, recurrent, &mut d_z, d_state)
                        .step(t, steps.start);
                }
            } else {
                over_threads(
                    Backwards::new(pass, d.outputs, d.final_state, recurrent, &mut d_z, d_state),
                    &|mut part| {
                        for t in steps.clone().rev() {
                            part.arrive(t);
                            part.step(t, steps.start);
                        }
                    },
                );
            }
            let found = Found::new(slice(&d_z), hidden, pass.xs.dim(), &steps, start);
            let all = [(0..hidden, 0)];
            found.inputs(0, &space.weights.input, d_inputs);
            let beside = &mut space.beside;
            found.weights(
                [&pass.xs, &pass.hidden],
                lengths,
                beside,
                [&all, &all],
                [&mut grads.w_in, &mut grads.w_rec],
            );
            found.add_bias(&all, &mut grads.bias);
            if stopped_at.is_some() {
                d_inputs
                    .slice_axis_mut(Axis(0), Slice::from(..start))
                    .fill(A::zero());
                begin(&mut d_state.h, None, shape)?;
                break;
            }
        }
        if stopped_at.is_none() {
            lengths.enter_empty(given, &mut d_state.h);
        }
        *back = Some(next);
        Ok(())
    }

    fn forward_origin(&self, pass: &RnnPass<A>) -> Result<Option<Origin>> {
        self.check_pass(pass)?;
        Ok(origin::forward_of_rnn(self, pass))
    }

    fn backward_origin(&self, pass: &RnnPass<A>, d: Upstream<'_, Self>) -> Result<Option<Origin>> {
        origin::backward_of_cell(self, pass, d)
    }
}

impl<A: Real> RecurrentCell for Rnn<A> {
    fn step(&self, x: ArrayView2<'_, A>, s: &RnnState<A>) -> Result<RnnState<A>> {
        check("input", x.shape(), &[x.nrows(), self.inputs()])?;
        let pass = self.forward(x.insert_axis(Axis(0)), s)?;
        Ok(pass.final_state())
    }
}
