//! The gated recurrent unit.

use ndarray::{Array1, Array2, Array3, ArrayView2, ArrayView3, Axis, Ix2, Ix3, Slice};

use super::gru_parts::{Backwards, Forwards};
use super::lengths::Lengths;
use super::linear::{begin, check, in_order, keep, make_room, state_shape, trajectory};
use super::recurrence::{Found, Projection, Weights, over_threads, segments, slice};
use super::{
    At, Backward, CellSpace, Hook, Layer, Origin, Real, RecurrentCell, RnnState, Sequence, Trace,
    Upstream, origin,
};
use crate::{Element, Result, tensor_set};

/// The gated recurrent unit, with PyTorch's equations: the reset gate acts after the product.
///
/// ```text
/// r_t = σ(x_t·W_irᵀ + h_{t−1}·W_hrᵀ + b_r)
/// z_t = σ(x_t·W_izᵀ + h_{t−1}·W_hzᵀ + b_z)
/// n_t = tanh(x_t·W_inᵀ + b_n + r_t ⊙ (h_{t−1}·W_hnᵀ + b_rec))
/// h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t−1}
/// ```
///
/// The output is the state. The rows of the parameters are stacked gate by gate: r, z, n. Of PyTorch's two biases those of
/// r and z only ever act through their sum; that of n beside the recurrent product stands inside the reset gate, so it is
/// a parameter of its own: `bias[..2·hidden] = bias_ih + bias_hh`, `bias[2·hidden..] = bias_ih` and
/// `bias_rec = bias_hh` of n.
///
/// With z = 1 the state, and its gradient, pass through a step unchanged.
///
/// # Examples
///
/// ```
/// use ndarray::Array3;
/// use steadygrad::clip;
/// use steadygrad::recurrent::{Gru, Layer};
///
/// let mut bits = 1_u64;
/// let mut uniform = || {
///     bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
///     (bits >> 11) as f64 / (1_u64 << 53) as f64
/// };
///
/// let mut gru = Gru::<f32>::builder(2, 16).build(&mut uniform)?;
/// let xs = Array3::ones((10, 4, 2)); // 10 steps, batch of 4, 2 inputs
/// let pass = gru.forward(xs.view(), &gru.zero_state(4))?;
/// let mut back = gru.backward(&pass, pass.outputs())?; // of the loss ½·Σh²
/// clip::global_norm(&mut back.grads, 1.0)?;
/// gru.w_rec.scaled_add(-0.1, &back.grads.w_rec);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// - Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation", 2014,
///   arXiv:1406.1078 (there the reset gate acts before the product).
#[derive(Clone, Debug, PartialEq)]
pub struct Gru<A> {
    /// Input weights: `[3·hidden, inputs]`.
    pub w_in: Array2<A>,
    /// Recurrent weights: `[3·hidden, hidden]`.
    pub w_rec: Array2<A>,
    /// Bias: `[3·hidden]`.
    pub bias: Array1<A>,
    /// Bias inside the reset gate: `[hidden]`.
    pub bias_rec: Array1<A>,
}

/// The gradients of the parameters of a [`Gru`], under the parameters' names.
///
/// # Examples
///
/// ```
/// use ndarray::Array3;
/// use steadygrad::recurrent::{Gru, GruGrads, Layer};
///
/// let gru = Gru::<f64>::builder(1, 2).build(&mut || 0.75)?;
/// let pass = gru.forward(Array3::ones((3, 1, 1)).view(), &gru.zero_state(1))?;
/// let GruGrads { w_in, w_rec, bias, bias_rec } = gru.backward(&pass, pass.outputs())?.grads;
/// assert_eq!((w_in.dim(), w_rec.dim(), bias.dim(), bias_rec.dim()), ((6, 1), (6, 2), 6, 2));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GruGrads<A> {
    /// `dL/dW_in`: `[3·hidden, inputs]`.
    pub w_in: Array2<A>,
    /// `dL/dW_rec`: `[3·hidden, hidden]`.
    pub w_rec: Array2<A>,
    /// dL/db: `[3·hidden]`.
    pub bias: Array1<A>,
    /// `dL/db_rec`: `[hidden]`.
    pub bias_rec: Array1<A>,
}

/// What a [`Gru`] keeps of a forward pass.
///
/// # Examples
///
/// ```
/// use ndarray::{Array3, Axis};
/// use steadygrad::recurrent::{Gru, Layer};
///
/// let gru = Gru::<f64>::builder(1, 2).build(&mut || 0.75)?;
/// let pass = gru.forward(Array3::ones((3, 5, 1)).view(), &gru.zero_state(5))?;
/// assert_eq!((pass.outputs().dim(), pass.hidden().dim()), ((3, 5, 2), (4, 5, 2)));
/// assert_eq!(pass.final_state().h, pass.hidden().index_axis(Axis(0), 3));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GruPass<A> {
    pub(super) xs: Array3<A>,
    pub(super) hidden: Array3<A>,
    /// q = `h·W_hnᵀ + b_rec`, r, z, n side by side, after their nonlinearities: `[time, batch, 4·hidden]`.
    pub(super) gates: Array3<A>,
    pub(super) lengths: Lengths,
    weights: Weights<A>,
}

tensor_set!(impl[A: Element] Gru<A> { w_in, w_rec, bias, bias_rec });
tensor_set!(impl[A: Element] GruGrads<A> { w_in, w_rec, bias, bias_rec });

impl<A: Real> Gru<A> {
    /// A cell with the given weights: `w_in` `[3·hidden, inputs]`, `w_rec` `[3·hidden, hidden]`, `bias` `[3·hidden]`,
    /// `bias_rec` `[hidden]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array1, Array2};
    /// use steadygrad::recurrent::Gru;
    ///
    /// let (w_in, w_rec) = (Array2::<f64>::zeros((6, 3)), Array2::zeros((6, 2)));
    /// let error = Gru::new(w_in, w_rec, Array1::zeros(6), Array1::zeros(6)).unwrap_err();
    /// assert_eq!(error.to_string(), "bias_rec: expected shape [2], found [6]");
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) if the shapes do not go together.
    pub fn new(
        w_in: Array2<A>,
        w_rec: Array2<A>,
        bias: Array1<A>,
        bias_rec: Array1<A>,
    ) -> Result<Self> {
        let cell = Self {
            w_in,
            w_rec,
            bias,
            bias_rec,
        };
        cell.check_parameters()?;
        Ok(cell)
    }

    /// How many features an input has.
    ///
    /// # Examples
    ///
    /// ```
    /// # use steadygrad::recurrent::Gru;
    /// assert_eq!(Gru::<f64>::builder(3, 5).build(&mut || 0.5)?.inputs(), 3);
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
    /// # use steadygrad::recurrent::Gru;
    /// assert_eq!(Gru::<f64>::builder(3, 5).build(&mut || 0.5)?.hidden(), 5);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.w_rec.ncols()
    }

    fn check_parameters(&self) -> Result<()> {
        let hidden = self.hidden();
        let rows = hidden.saturating_mul(3);
        check("w_rec", self.w_rec.shape(), &[rows, hidden])?;
        check("w_in", self.w_in.shape(), &[rows, self.inputs()])?;
        check("bias", self.bias.shape(), &[rows])?;
        check("bias_rec", self.bias_rec.shape(), &[hidden])
    }

    fn check_pass(&self, pass: &GruPass<A>) -> Result<()> {
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

impl<A: Real> GruGrads<A> {
    /// Of no parameters.
    fn none() -> Self {
        let (none, nothing) = (Array2::zeros((0, 0)), Array1::zeros(0));
        Self {
            w_in: none.clone(),
            w_rec: none,
            bias: nothing.clone(),
            bias_rec: nothing,
        }
    }

    /// Takes the shape of a cell's parameters; biases become zero, and so do weights if nothing will be written to them.
    fn begin(&mut self, cell: &Gru<A>, time: usize) -> Result<()> {
        make_room(&mut self.w_in, "input weights", cell.w_in.raw_dim())?;
        make_room(&mut self.w_rec, "recurrent weights", cell.w_rec.raw_dim())?;
        make_room(&mut self.bias, "bias", cell.bias.raw_dim())?;
        make_room(
            &mut self.bias_rec,
            "recurrent bias",
            cell.bias_rec.raw_dim(),
        )?;
        if time == 0 {
            self.w_in.fill(A::zero());
            self.w_rec.fill(A::zero());
        }
        self.bias.fill(A::zero());
        self.bias_rec.fill(A::zero());
        Ok(())
    }
}

impl<A: Real> GruPass<A> {
    /// Of no step of nothing.
    fn empty() -> Self {
        let none = Array3::zeros((0, 0, 0));
        Self {
            xs: none.clone(),
            hidden: none.clone(),
            gates: none,
            lengths: Lengths::default(),
            weights: Weights::default(),
        }
    }

    /// `h_1, …, h_T`: `[time, batch, hidden]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::{Gru, Layer};
    ///
    /// let gru = Gru::<f64>::builder(1, 2).build(&mut || 0.75)?;
    /// let pass = gru.forward(Array3::ones((9, 1, 1)).view(), &gru.zero_state(1))?;
    /// assert!(pass.outputs().iter().all(|h| h.abs() < 1.0));   // a mean of tanhs
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
    /// use ndarray::{Array1, Array2, Array3, array};
    /// use steadygrad::recurrent::{Gru, Layer, RnnState};
    ///
    /// let zero = Array2::<f64>::zeros((3, 1));   // r = z = ½, n = 0
    /// let gru = Gru::new(zero.clone(), zero, Array1::zeros(3), Array1::zeros(1))?;
    /// let pass = gru.forward(Array3::ones((2, 1, 1)).view(), &RnnState { h: array![[8.0]] })?;
    /// assert_eq!(pass.hidden(), array![[[8.0]], [[4.0]], [[2.0]]]);
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
    /// ```
    /// use ndarray::{Array3, Axis};
    /// use steadygrad::recurrent::{Gru, Layer};
    ///
    /// let (gru, xs) = (Gru::<f64>::builder(2, 3).build(&mut || 0.75)?, Array3::ones((10, 4, 2)));
    /// let (early, late) = xs.view().split_at(Axis(0), 6);
    /// let first = gru.forward(early, &gru.zero_state(4))?;
    /// let second = gru.forward(late, &first.final_state())?;
    /// assert_eq!(second.final_state(), gru.forward(xs.view(), &gru.zero_state(4))?.final_state());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn final_state(&self) -> RnnState<A> {
        RnnState {
            h: self.lengths.last(&self.hidden),
        }
    }
}

impl<A: Real> Trace for GruPass<A> {
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

impl<A: Real> Layer for Gru<A> {
    type Elem = A;
    type State = RnnState<A>;
    type At<'t> = &'t mut RnnState<A>;
    type Pass = GruPass<A>;
    type Grads = GruGrads<A>;
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
        pass: &mut Option<GruPass<A>>,
    ) -> Result<()> {
        let mut next = pass.take().unwrap_or_else(GruPass::empty);
        self.check_parameters()?;
        let xs = xs.into();
        next.lengths.keep(&xs);
        let xs = xs.xs();
        let (time, batch, _) = xs.dim();
        check("inputs", xs.shape(), &[time, batch, self.inputs()])?;
        self.check_state(s0, batch, "state h")?;

        let columns = 4 * self.hidden();
        let GruPass {
            xs: kept,
            hidden,
            gates,
            lengths,
            weights,
        } = &mut next;
        make_room(gates, "gates", Ix3(time, batch, columns))?;
        trajectory(hidden, time, &s0.h)?;
        keep(kept, &xs)?;
        lengths.zero_padding(kept);
        weights.pack_transposed(&self.w_in, &self.w_rec, self.hidden());
        let bias = self.bias.as_standard_layout();
        let bias_rec = self.bias_rec.as_standard_layout();
        let projection = Projection::new(kept.view(), &weights.input, slice(&bias), columns);
        projection.begin(gates);
        let forwards = Forwards {
            projection,
            recurrent: &weights.recurrent,
            bias_rec: slice(&bias_rec),
            lengths,
            batch,
            first: 0,
            gates: gates.view_mut(),
            hidden: hidden.view_mut(),
        };
        over_threads(forwards, &Forwards::run);
        *pass = Some(next);
        Ok(())
    }

    fn backward_into(
        &self,
        pass: &GruPass<A>,
        d: Upstream<'_, Self>,
        mut at: Option<&mut Hook<'_, Self>>,
        back: &mut Option<Backward<Self>>,
    ) -> Result<()> {
        let mut next = back.take().unwrap_or_else(|| {
            let none = RnnState {
                h: Array2::zeros((0, 0)),
            };
            Backward::new(GruGrads::none(), Array3::zeros((0, 0, 0)), none)
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
        let (columns, shape) = (4 * hidden, Ix2(batch, hidden));
        let (given, lengths) = (d.final_state.map(|d| &d.h), &pass.lengths);
        begin(&mut d_state.h, given, shape)?;
        lengths.zero_shorter(time, &mut d_state.h);
        make_room(d_inputs, "input gradients", Ix3(time, batch, inputs))?;
        grads.begin(self, time)?;
        space.weights.pack(&self.w_in, &self.w_rec, hidden);
        *stopped_at = None;
        let recurrent = &space.weights.recurrent;
        for steps in segments(time, batch).rev() {
            let mut d_z = space.d_z.array(Ix3(steps.len(), batch, columns))?;
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
                let all =
                    Backwards::new(pass, d.outputs, d.final_state, recurrent, &mut d_z, d_state);
                over_threads(all, &|mut part| {
                    for t in steps.clone().rev() {
                        part.arrive(t);
                        part.step(t, steps.start);
                    }
                });
            }
            // dL/dz of q, r, z and n side by side: of the recurrent product the first three, of the input's the last.
            let found = Found::new(slice(&d_z), columns, pass.xs.dim(), &steps, start);
            let of_inputs = [(hidden..columns, 0)];
            let of_states = [(0..hidden, 2 * hidden), (hidden..3 * hidden, 0)];
            found.inputs(hidden, &space.weights.input, d_inputs);
            let beside = &mut space.beside;
            found.weights(
                [&pass.xs, &pass.hidden],
                lengths,
                beside,
                [&of_inputs, &of_states],
                [&mut grads.w_in, &mut grads.w_rec],
            );
            found.add_bias(&of_inputs, &mut grads.bias);
            found.add_bias(&[(0..hidden, 0)], &mut grads.bias_rec);
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

    fn forward_origin(&self, pass: &GruPass<A>) -> Result<Option<Origin>> {
        self.check_pass(pass)?;
        Ok(origin::forward_of_gru(self, pass))
    }

    fn backward_origin(&self, pass: &GruPass<A>, d: Upstream<'_, Self>) -> Result<Option<Origin>> {
        origin::backward_of_cell(self, pass, d)
    }
}

impl<A: Real> RecurrentCell for Gru<A> {
    fn step(&self, x: ArrayView2<'_, A>, s: &RnnState<A>) -> Result<RnnState<A>> {
        check("input", x.shape(), &[x.nrows(), self.inputs()])?;
        let pass = self.forward(x.insert_axis(Axis(0)), s)?;
        Ok(pass.final_state())
    }
}
