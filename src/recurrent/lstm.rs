//! The long short-term memory cell.

use ndarray::{
    Array1, Array2, Array3, ArrayRef2, ArrayView2, ArrayView3, ArrayViewMut2, Axis, Ix2, Ix3,
    Slice, Zip,
};

use super::linear::{
    Times, affine, around, begin, check, flat, flat_mut, keep, make_room, state_shape, trajectory,
};
use super::scratch::Scratch;
use super::{
    At, Backward, CellGrads, CellSpace, Hook, Layer, Real, RecurrentCell, Sequence, Trace, Upstream,
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
    xs: Array3<A>,
    hidden: Array3<A>,
    cells: Array3<A>,
    /// i, f, g, o side by side, after their nonlinearities: `[time, batch, 4·hidden]`.
    gates: Array3<A>,
    tanh_c: Array3<A>,
    weights: Scratch<A>,
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

    fn check_state(&self, s: &LstmState<A>, batch: usize, what: [&'static str; 2]) -> Result<()> {
        check(what[0], s.h.shape(), &[batch, self.hidden()])?;
        check(what[1], s.c.shape(), &[batch, self.hidden()])
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
            gates: none.clone(),
            tanh_c: none,
            weights: Scratch::default(),
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

    /// The state after the last step; after none, the initial one.
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
        let last = Axis(0);
        let time = self.xs.dim().0;
        LstmState {
            h: self.hidden.index_axis(last, time).to_owned(),
            c: self.cells.index_axis(last, time).to_owned(),
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
        let xs = xs.into().unpadded()?;
        let (time, batch, _) = xs.dim();
        check("inputs", xs.shape(), &[time, batch, self.inputs()])?;
        self.check_state(s0, batch, ["state h", "state c"])?;

        let LstmPass {
            xs: kept,
            hidden,
            cells,
            gates,
            tanh_c,
            weights,
        } = &mut next;
        make_room(gates, "gates", Ix3(time, batch, 4 * self.hidden()))?;
        make_room(tanh_c, "states", Ix3(time, batch, self.hidden()))?;
        trajectory(hidden, time, &s0.h)?;
        trajectory(cells, time, &s0.c)?;
        keep(kept, &xs);
        let mut projected = flat_mut(gates.view_mut())?;
        affine(
            &flat(&kept.view())?,
            &self.w_in,
            &self.bias,
            &mut projected,
            weights,
        )?;

        let recurrent = Times::new(&self.w_rec.t(), batch, weights)?;
        for (t, (mut z, tanh_c)) in gates
            .outer_iter_mut()
            .zip(tanh_c.outer_iter_mut())
            .enumerate()
        {
            let (h_before, h) = around(hidden, t);
            let (c_before, c) = around(cells, t);
            recurrent.multiply(&h_before, A::one(), &mut z);
            open_gates(z, &c_before, c, h, tanh_c);
        }
        *pass = Some(next);
        Ok(())
    }

    fn backward_into(
        &self,
        pass: &LstmPass<A>,
        d: Upstream<'_, Self>,
        at: &mut Hook<'_, Self>,
        back: &mut Option<Backward<Self>>,
    ) -> Result<()> {
        let none = Array2::zeros((0, 0));
        let none = LstmState {
            h: none.clone(),
            c: none,
        };
        let mut next = Backward::reuse(back, none);
        self.check_parameters()?;
        let (time, batch, _) = pass.xs.dim();
        let hidden = self.hidden();
        check(
            "pass inputs",
            pass.xs.shape(),
            &[time, batch, self.inputs()],
        )?;
        check(
            "pass states",
            pass.hidden.shape(),
            &[time + 1, batch, hidden],
        )?;
        d.check_outputs(&[time, batch, hidden])?;
        if let Some(d) = d.final_state {
            let what = ["final state h gradients", "final state c gradients"];
            self.check_state(d, batch, what)?;
        }

        let (d_state, shape) = (&mut next.d_state0, Ix2(batch, hidden));
        begin(&mut d_state.h, d.final_state.map(|d| &d.h), shape)?;
        begin(&mut d_state.c, d.final_state.map(|d| &d.c), shape)?;
        let CellSpace { weights, d_z, .. } = &mut next.space;
        let recurrent = Times::new(&self.w_rec.view(), batch, weights)?;
        let mut d_zs = d_z.array(Ix3(time, batch, 4 * hidden))?;
        next.stopped_at = None;
        for t in (0..time).rev() {
            if let Some(d_outputs) = &d.outputs {
                d_state.h += &d_outputs.index_axis(Axis(0), t);
            }
            if at(At::time(t), d_state)?.is_break() {
                next.stopped_at = Some(At::time(t));
                begin(&mut d_state.h, None, shape)?;
                begin(&mut d_state.c, None, shape)?;
                break;
            }
            self.check_state(
                d_state,
                batch,
                ["state h from the hook", "state c from the hook"],
            )?;

            let mut d_z = d_zs.index_axis_mut(Axis(0), t);
            pull_back(
                &split(&pass.gates.index_axis(Axis(0), t), hidden),
                &pass.cells.index_axis(Axis(0), t),
                &pass.tanh_c.index_axis(Axis(0), t),
                d_state,
                d_z.view_mut(),
            );
            recurrent.multiply(&d_z, A::zero(), &mut d_state.h.view_mut());
        }

        let start = next.stopped_at.map_or(0, |at| at.time + 1);
        let previous = pass.hidden.slice_axis(Axis(0), Slice::from(..time));
        next.collect(&pass.xs, &previous, &self.w_in, start)?;
        *back = Some(next);
        Ok(())
    }
}

impl<A: Real> RecurrentCell for Lstm<A> {
    fn step(&self, x: ArrayView2<'_, A>, s: &LstmState<A>) -> Result<LstmState<A>> {
        self.check_parameters()?;
        let batch = x.nrows();
        check("input", x.shape(), &[batch, self.inputs()])?;
        self.check_state(s, batch, ["state h", "state c"])?;
        let mut gates = Array2::zeros((batch, 4 * self.hidden()));
        let (mut view, mut weights) = (gates.view_mut(), Scratch::default());
        affine(&x, &self.w_in, &self.bias, &mut view, &mut weights)?;
        let recurrent = Times::new(&self.w_rec.t(), batch, &mut weights)?;
        recurrent.multiply(&s.h, A::one(), &mut view);
        let mut next = self.zero_state(batch);
        let mut tanh_c = Array2::zeros(next.c.raw_dim());
        open_gates(
            view,
            &s.c,
            next.c.view_mut(),
            next.h.view_mut(),
            tanh_c.view_mut(),
        );
        Ok(next)
    }
}

/// The columns of the four gates: i, f, g, o.
fn split<'a, A>(gates: &'a ArrayView2<'_, A>, hidden: usize) -> [ArrayView2<'a, A>; 4] {
    let (i, rest) = gates.view().split_at(Axis(1), hidden);
    let (f, rest) = rest.split_at(Axis(1), hidden);
    let (g, o) = rest.split_at(Axis(1), hidden);
    [i, f, g, o]
}

fn split_mut<A>(gates: ArrayViewMut2<'_, A>, hidden: usize) -> [ArrayViewMut2<'_, A>; 4] {
    let (i, rest) = gates.split_at(Axis(1), hidden);
    let (f, rest) = rest.split_at(Axis(1), hidden);
    let (g, o) = rest.split_at(Axis(1), hidden);
    [i, f, g, o]
}

/// From the gates' sums z to the gates (in place), the cell state, its tanh, and the output.
fn open_gates<A: Real>(
    gates: ArrayViewMut2<'_, A>,
    c_before: &ArrayRef2<A>,
    mut c: ArrayViewMut2<'_, A>,
    h: ArrayViewMut2<'_, A>,
    tanh_c: ArrayViewMut2<'_, A>,
) {
    let hidden = c.ncols();
    let [mut i, mut f, mut g, mut o] = split_mut(gates, hidden);
    i.mapv_inplace(A::sigmoid_);
    f.mapv_inplace(A::sigmoid_);
    g.mapv_inplace(A::tanh_);
    o.mapv_inplace(A::sigmoid_);
    Zip::from(&mut c)
        .and(c_before)
        .and(&i)
        .and(&f)
        .and(&g)
        .for_each(|c, &before, &i, &f, &g| *c = f * before + i * g);
    Zip::from(h)
        .and(tanh_c)
        .and(&c)
        .and(&o)
        .for_each(|h, tanh_c, &c, &o| {
            *tanh_c = c.tanh_();
            *h = o * *tanh_c;
        });
}

/// From the gradient of a step's state to that of the gates' sums, and (in place) to the part of the
/// gradient of the cell state before it that comes through the forget gate.
fn pull_back<A: Real>(
    [i, f, g, o]: &[ArrayView2<'_, A>; 4],
    c_before: &ArrayRef2<A>,
    tanh_c: &ArrayRef2<A>,
    d: &mut LstmState<A>,
    d_z: ArrayViewMut2<'_, A>,
) {
    let one = A::one();
    let [d_i, d_f, d_g, d_o] = split_mut(d_z, tanh_c.ncols());
    Zip::from(&mut d.c)
        .and(&d.h)
        .and(o)
        .and(tanh_c)
        .for_each(|d_c, &d_h, &o, &tanh_c| *d_c += d_h * o * (one - tanh_c * tanh_c));
    Zip::from(d_o)
        .and(&d.h)
        .and(o)
        .and(tanh_c)
        .for_each(|d_o, &d_h, &o, &tanh_c| *d_o = d_h * tanh_c * (o * (one - o)));
    Zip::from(d_i)
        .and(&d.c)
        .and(i)
        .and(g)
        .for_each(|d_i, &d_c, &i, &g| *d_i = d_c * g * (i * (one - i)));
    Zip::from(d_g)
        .and(&d.c)
        .and(i)
        .and(g)
        .for_each(|d_g, &d_c, &i, &g| *d_g = d_c * i * (one - g * g));
    Zip::from(d_f)
        .and(&d.c)
        .and(c_before)
        .and(f)
        .for_each(|d_f, &d_c, &before, &f| *d_f = d_c * before * (f * (one - f)));
    d.c *= f;
}
