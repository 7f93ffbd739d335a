//! The long short-term memory cell.

use ndarray::{Array1, Array2, Array3, ArrayView2, ArrayView3, Axis, Ix2, Ix3, Slice};

use super::lengths::Lengths;
use super::linear::{begin, check, in_order, keep, make_room, state_shape, trajectory};
use super::lstm_parts::{Backwards, Forwards};
use super::recurrence::{Found, Projection, Weights, over_threads, segments, slice};
use super::{
    At, Backward, CellGrads, CellSpace, Hook, Layer, Origin, Real, RecurrentCell, Sequence, Trace,
    Upstream, origin,
};
use crate::{Element, Result, tensor_set};

/// The long short-term memory cell, with PyTorch's equations.
///
/// ```text
/// [i f g o] = [σ σ tanh σ](x_t·W_inᵀ + h_{t−1}·W_recᵀ + b)
/// c_t = f ⊙ c_{t−1} + i ⊙ g
/// h_t = o ⊙ tanh c_t
/// ```
///
/// The output is h. The rows of the parameters are stacked gate by gate: i, f, g, o. With f = 1 the cell
/// state c, and its gradient, pass through a step unchanged: that is what keeps long gradients alive.
/// PyTorch's `nn.LSTM` has two biases, which only ever act through their sum: its weights load as
/// `w_in = weight_ih_l0`, `w_rec = weight_hh_l0`, `bias = bias_ih_l0 + bias_hh_l0`.
///
/// The parameters are public, to be read, edited and stepped by an optimiser; the shapes they must
/// have together are checked on every pass.
///
/// # Examples
///
/// A gradient crosses a hundred steps of open forget gates and arrives whole:
///
/// ```
/// use ndarray::{Array2, Array3, array};
/// use steadygrad::recurrent::{Layer, Lstm};
///
/// // σ(800) is 1, σ(−800) is 0: keep the state, let nothing in, show all of it.
/// let bias = array![-800.0, 800.0, 0.0, 800.0];
/// let lstm = Lstm::<f64>::new(Array2::zeros((4, 1)), Array2::zeros((4, 1)), bias)?;
/// let mut s0 = lstm.zero_state(1);
/// s0.c[[0, 0]] = 0.5;
///
/// let pass = lstm.forward(Array3::zeros((100, 1, 1)).view(), &s0)?;
/// assert_eq!(pass.final_state().c, s0.c);
///
/// let mut d_outputs = Array3::zeros((100, 1, 1));
/// d_outputs[[99, 0, 0]] = 1.0;
/// let back = lstm.backward(&pass, d_outputs.view())?;
/// let slope_of_tanh = 1.0 - 0.5_f64.tanh().powi(2);
/// assert_eq!(back.d_state0.c[[0, 0]], slope_of_tanh);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// - Hochreiter and Schmidhuber, "Long short-term memory", 1997.
/// - Gers, Schmidhuber and Cummins, "Learning to forget: continual prediction with LSTM", 2000.
#[derive(Clone, Debug, PartialEq)]
pub struct Lstm<A> {
    /// Input weights, gates stacked: `[4·hidden, inputs]`.
    pub w_in: Array2<A>,
    /// Recurrent weights, gates stacked: `[4·hidden, hidden]`.
    pub w_rec: Array2<A>,
    /// Bias, gates stacked: `[4·hidden]`.
    pub bias: Array1<A>,
}

/// The state of an [`Lstm`], or the gradient with respect to it.
///
/// As a gradient, `c` is what reaches the cell state from later steps through their forget gates; the share that
/// goes through `h = o ⊙ tanh c` is not in it, since h is an entry of its own.
///
/// # Examples
///
/// ```
/// use ndarray::{Array2, array};
/// use steadygrad::recurrent::{Lstm, LstmState, RecurrentCell};
///
/// let bias = array![-800.0, 800.0, 0.0, 800.0]; // i = 0, f = 1, o = 1
/// let lstm = Lstm::<f64>::new(Array2::zeros((4, 2)), Array2::zeros((4, 1)), bias)?;
/// let s = LstmState { h: array![[0.0]], c: array![[2.0]] };
/// let next = lstm.step(array![[1.0, 1.0]].view(), &s)?;
/// assert_eq!(next, LstmState { h: array![[2.0_f64.tanh()]], c: array![[2.0]] });
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LstmState<A> {
    /// The hidden state, which is the output: `[batch, hidden]`.
    pub h: Array2<A>,
    /// The cell state: `[batch, hidden]`.
    pub c: Array2<A>,
}

/// What an [`Lstm`] keeps of a forward pass.
///
/// # Examples
///
/// ```
/// use ndarray::{Array3, Axis};
/// use steadygrad::recurrent::{Layer, Lstm};
///
/// let lstm = Lstm::<f64>::builder(1, 2).build(&mut || 0.75)?;
/// let pass = lstm.forward(Array3::ones((3, 5, 1)).view(), &lstm.zero_state(5))?;
/// assert_eq!(pass.outputs().dim(), (3, 5, 2));
/// assert_eq!((pass.hidden().dim(), pass.cells().dim()), ((4, 5, 2), (4, 5, 2)));
/// assert_eq!(pass.final_state().c, pass.cells().index_axis(Axis(0), 3));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LstmPass<A> {
    pub(super) xs: Array3<A>,
    hidden: Array3<A>,
    pub(super) cells: Array3<A>,
    /// i, f, g, o side by side, after their nonlinearities: `[time, batch, 4·hidden]`.
    pub(super) gates: Array3<A>,
    pub(super) lengths: Lengths,
    weights: Weights<A>,
}

tensor_set!(impl[A: Element] Lstm<A> { w_in, w_rec, bias });
tensor_set!(impl[A: Element] LstmState<A> { h, c });

impl<A: Real> Lstm<A> {
    /// A cell with the given weights: `w_in` `[4·hidden, inputs]`, `w_rec` `[4·hidden, hidden]`, `bias` `[4·hidden]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array1, Array2};
    /// use steadygrad::recurrent::Lstm;
    ///
    /// let error = Lstm::<f64>::new(Array2::zeros((8, 3)), Array2::zeros((8, 2)), Array1::zeros(2)).unwrap_err();
    /// assert_eq!(error.to_string(), "bias: expected shape [8], found [2]");
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) if the shapes do not go together.
    pub fn new(w_in: Array2<A>, w_rec: Array2<A>, bias: Array1<A>) -> Result<Self> {
        let cell = Self { w_in, w_rec, bias };
        cell.check_parameters()?;
        Ok(cell)
    }

    /// How many features an input has.
    ///
    /// # Examples
    ///
    /// ```
    /// # use steadygrad::recurrent::Lstm;
    /// assert_eq!(Lstm::<f64>::builder(3, 5).build(&mut || 0.5)?.inputs(), 3);
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
    /// # use steadygrad::recurrent::Lstm;
    /// assert_eq!(Lstm::<f64>::builder(3, 5).build(&mut || 0.5)?.hidden(), 5);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.w_rec.ncols()
    }

    fn check_parameters(&self) -> Result<()> {
        let hidden = self.hidden();
        let rows = hidden.saturating_mul(4);
        check("w_rec", self.w_rec.shape(), &[rows, hidden])?;
        check("w_in", self.w_in.shape(), &[rows, self.inputs()])?;
        check("bias", self.bias.shape(), &[rows])
    }

    /// The gradient of a state as a hook left it, made what a step wants.
    fn take_back(
        &self,
        d: &mut LstmState<A>,
        lengths: &Lengths,
        t: usize,
        batch: usize,
    ) -> Result<()> {
        let what = ["state h from the hook", "state c from the hook"];
        self.check_state(d, batch, what)?;
        for d in [&mut d.h, &mut d.c] {
            in_order(d);
            lengths.zero_ended(t, d);
        }
        Ok(())
    }

    fn check_pass(&self, pass: &LstmPass<A>) -> Result<()> {
        self.check_parameters()?;
        let (time, batch, _) = pass.xs.dim();
        let inputs = [time, batch, self.inputs()];
        check("pass inputs", pass.xs.shape(), &inputs)?;
        let states = [time + 1, batch, self.hidden()];
        check("pass states", pass.hidden.shape(), &states)
    }

    fn check_state(&self, s: &LstmState<A>, batch: usize, what: [&'static str; 2]) -> Result<()> {
        check(what[0], s.h.shape(), &[batch, self.hidden()])?;
        check(what[1], s.c.shape(), &[batch, self.hidden()])
    }
}

impl<A: Real> LstmState<A> {
    /// Of no sequence.
    fn none() -> Self {
        let none = Array2::zeros((0, 0));
        Self {
            h: none.clone(),
            c: none,
        }
    }
}

impl<A: Real> LstmPass<A> {
    /// Of no step of nothing.
    fn empty() -> Self {
        let none = Array3::zeros((0, 0, 0));
        Self {
            xs: none.clone(),
            hidden: none.clone(),
            cells: none.clone(),
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
    /// use steadygrad::recurrent::{Layer, Lstm};
    ///
    /// let lstm = Lstm::<f64>::builder(1, 2).build(&mut || 0.75)?;
    /// let pass = lstm.forward(Array3::ones((9, 1, 1)).view(), &lstm.zero_state(1))?;
    /// assert!(pass.outputs().iter().all(|h| h.abs() < 1.0));   // a gate times a tanh
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn outputs(&self) -> ArrayView3<'_, A> {
        self.hidden.slice_axis(Axis(0), Slice::from(1..))
    }

    /// The hidden states from the initial one to the last, `h_0, h_1, …, h_T`: `[1 + time, batch, hidden]`.
    /// Past the end of a shorter sequence they are zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array, s};
    /// use steadygrad::recurrent::{Layer, Lstm, LstmState};
    ///
    /// let lstm = Lstm::<f64>::builder(1, 1).build(&mut || 0.75)?;
    /// let s0 = LstmState { h: array![[0.5]], c: array![[2.0]] };
    /// let pass = lstm.forward(Array3::ones((3, 1, 1)).view(), &s0)?;
    /// assert_eq!(pass.hidden().slice(s![0, .., ..]), s0.h);
    /// assert_eq!(pass.hidden().slice(s![1.., .., ..]), pass.outputs());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn hidden(&self) -> ArrayView3<'_, A> {
        self.hidden.view()
    }

    /// The cell states from the initial one to the last, `c_0, c_1, …, c_T`: `[1 + time, batch, hidden]`.
    /// Past the end of a shorter sequence they are zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array2, Array3, array};
    /// use steadygrad::recurrent::{Layer, Lstm, LstmState};
    ///
    /// let bias = array![-800.0, 0.0, 0.0, 800.0];   // i = 0, f = ½, o = 1
    /// let lstm = Lstm::<f64>::new(Array2::zeros((4, 1)), Array2::zeros((4, 1)), bias)?;
    /// let s0 = LstmState { h: array![[0.0]], c: array![[8.0]] };
    /// let pass = lstm.forward(Array3::ones((3, 1, 1)).view(), &s0)?;
    /// assert_eq!(pass.cells(), array![[[8.0]], [[4.0]], [[2.0]], [[1.0]]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn cells(&self) -> ArrayView3<'_, A> {
        self.cells.view()
    }

    /// The state after the last step, of each sequence its own; after none, the initial one.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, Axis};
    /// use steadygrad::recurrent::{Layer, Lstm};
    ///
    /// let (lstm, xs) = (Lstm::<f64>::builder(2, 3).build(&mut || 0.75)?, Array3::ones((10, 4, 2)));
    /// let (early, late) = xs.view().split_at(Axis(0), 6);
    /// let first = lstm.forward(early, &lstm.zero_state(4))?;
    /// let second = lstm.forward(late, &first.final_state())?;
    /// assert_eq!(second.final_state(), lstm.forward(xs.view(), &lstm.zero_state(4))?.final_state());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn final_state(&self) -> LstmState<A> {
        LstmState {
            h: self.lengths.last(&self.hidden),
            c: self.lengths.last(&self.cells),
        }
    }
}

impl<A: Real> Trace for LstmPass<A> {
    type Elem = A;
    type State = LstmState<A>;

    fn outputs(&self) -> ArrayView3<'_, A> {
        self.outputs()
    }

    fn final_state(&self) -> LstmState<A> {
        self.final_state()
    }

    fn final_state_into(&self, state: &mut LstmState<A>) {
        self.lengths.last_into(&self.hidden, &mut state.h);
        self.lengths.last_into(&self.cells, &mut state.c);
    }
}

impl<A: Real> Layer for Lstm<A> {
    type Elem = A;
    type State = LstmState<A>;
    type At<'t> = &'t mut LstmState<A>;
    type Pass = LstmPass<A>;
    type Grads = CellGrads<A>;
    type Space = CellSpace<A>;

    fn zero_state(&self, batch: usize) -> LstmState<A> {
        let zeros = Array2::zeros(state_shape::<A>(batch, self.hidden()));
        LstmState {
            h: zeros.clone(),
            c: zeros,
        }
    }

    fn forward_into<'a>(
        &self,
        xs: impl Into<Sequence<'a, A>>,
        s0: &LstmState<A>,
        pass: &mut Option<LstmPass<A>>,
    ) -> Result<()> {
        let mut next = pass.take().unwrap_or_else(LstmPass::empty);
        self.check_parameters()?;
        let xs = xs.into();
        next.lengths.keep(&xs);
        let xs = xs.xs();
        let (time, batch, _) = xs.dim();
        check("inputs", xs.shape(), &[time, batch, self.inputs()])?;
        self.check_state(s0, batch, ["state h", "state c"])?;

        let LstmPass {
            xs: kept,
            hidden,
            cells,
            gates,
            lengths,
            weights,
        } = &mut next;
        make_room(gates, "gates", Ix3(time, batch, 4 * self.hidden()))?;
        trajectory(hidden, time, &s0.h)?;
        trajectory(cells, time, &s0.c)?;
        keep(kept, &xs)?;
        lengths.zero_padding(kept);
        weights.pack_transposed(&self.w_in, &self.w_rec, 0);
        let bias = self.bias.as_standard_layout();
        let projection =
            Projection::new(kept.view(), &weights.input, slice(&bias), 4 * self.hidden());
        projection.begin(gates);
        let forwards = Forwards {
            projection,
            recurrent: &weights.recurrent,
            lengths,
            batch,
            first: 0,
            gates: gates.view_mut(),
            cells: cells.view_mut(),
            hidden: hidden.view_mut(),
        };
        over_threads(forwards, &Forwards::run);
        *pass = Some(next);
        Ok(())
    }

    fn backward_into(
        &self,
        pass: &LstmPass<A>,
        d: Upstream<'_, Self>,
        mut at: Option<&mut Hook<'_, Self>>,
        back: &mut Option<Backward<Self>>,
    ) -> Result<()> {
        let mut next = back.take().unwrap_or_else(|| {
            Backward::new(
                CellGrads::none(),
                Array3::zeros((0, 0, 0)),
                LstmState::none(),
            )
        });
        self.check_pass(pass)?;
        let (time, batch, inputs) = pass.xs.dim();
        let (hidden, columns) = (self.hidden(), 4 * self.hidden());
        d.check_outputs(&[time, batch, hidden])?;
        if let Some(d) = d.final_state {
            let what = ["final state h gradients", "final state c gradients"];
            self.check_state(d, batch, what)?;
        }

        let Backward {
            grads,
            d_inputs,
            d_state0: d_state,
            stopped_at,
            space,
        } = &mut next;
        let (lengths, shape) = (&pass.lengths, Ix2(batch, hidden));
        begin(&mut d_state.h, d.final_state.map(|d| &d.h), shape)?;
        begin(&mut d_state.c, d.final_state.map(|d| &d.c), shape)?;
        lengths.zero_shorter(time, &mut d_state.h);
        lengths.zero_shorter(time, &mut d_state.c);
        make_room(d_inputs, "input gradients", Ix3(time, batch, inputs))?;
        grads.begin(&self.w_in, &self.w_rec, &self.bias, time)?;
        space.weights.pack(&self.w_in, &self.w_rec, 0);
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
                    self.take_back(d_state, lengths, t, batch)?;
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
            let found = Found::new(slice(&d_z), columns, pass.xs.dim(), &steps, start);
            let all = [(0..columns, 0)];
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
                begin(&mut d_state.c, None, shape)?;
                break;
            }
        }
        if stopped_at.is_none() {
            let given = d.final_state;
            lengths.enter_empty(given.map(|d| &d.h), &mut d_state.h);
            lengths.enter_empty(given.map(|d| &d.c), &mut d_state.c);
        }
        *back = Some(next);
        Ok(())
    }

    fn forward_origin(&self, pass: &LstmPass<A>) -> Result<Option<Origin>> {
        self.check_pass(pass)?;
        Ok(origin::forward_of_lstm(self, pass))
    }

    fn backward_origin(&self, pass: &LstmPass<A>, d: Upstream<'_, Self>) -> Result<Option<Origin>> {
        origin::backward_of_cell(self, pass, d)
    }
}

impl<A: Real> RecurrentCell for Lstm<A> {
    fn step(&self, x: ArrayView2<'_, A>, s: &LstmState<A>) -> Result<LstmState<A>> {
        check("input", x.shape(), &[x.nrows(), self.inputs()])?;
        let pass = self.forward(x.insert_axis(Axis(0)), s)?;
        Ok(pass.final_state())
    }
}
