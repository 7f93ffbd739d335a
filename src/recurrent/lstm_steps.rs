//! One step of an LSTM with options, and its way back.

use ndarray::linalg::{general_mat_mul, general_mat_vec_mul};
use ndarray::{Array1, Array2, ArrayRef2, ArrayView2, ArrayViewMut2, Axis, Slice, Zip};

use super::layer_norm::{Normalised, add_rows};
use super::linear::{check, state_shape};
use super::{LstmNorm, LstmState, LstmVariant, LstmVariantGrads, Origin, Real, StepCell, origin};
use crate::Result;

/// What a step of an [`LstmVariant`] keeps for its way back.
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use steadygrad::recurrent::{Lstm, LstmVariantTape, StepCell};
///
/// let cell = Lstm::<f64>::builder(1, 1).coupled().build(&mut || 0.5)?.cell;
/// let (mut d_state, mut d_x) = (cell.zero_state(1), array![[0.0]]);
/// let (s, tape) = cell.step_forward(array![[1.0]].view(), &cell.zero_state(1))?;
/// let kept: LstmVariantTape<f64> = tape;
/// d_state.h.fill(1.0);
/// cell.step_backward(&kept, &mut d_state, d_x.view_mut(), &mut cell.zero_grads())?;
/// assert_eq!((s.h, d_x), (array![[0.0]], array![[0.0]]));   // with weights of 0 nothing comes through
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LstmVariantTape<A> {
    pub(super) x: Array2<A>,
    pub(super) h_before: Array2<A>,
    pub(super) c_before: Array2<A>,
    /// i, f, g, o side by side, after their nonlinearities: `[batch, 4·hidden]`.
    pub(super) gates: Array2<A>,
    /// The tanh that the output gate lets through: `[batch, hidden]`.
    pub(super) shown: Array2<A>,
    /// The gates' sums before they were clamped, where they are.
    pub(super) sums: Option<Array2<A>>,
    pub(super) norm: Option<NormTape<A>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct NormTape<A> {
    pub(super) from_x: Normalised<A>,
    pub(super) from_h: Normalised<A>,
    pub(super) c: Normalised<A>,
}

impl<A: Real> StepCell for LstmVariant<A> {
    type Elem = A;
    type State = LstmState<A>;
    type Tape = LstmVariantTape<A>;
    type Grads = LstmVariantGrads<A>;

    fn zero_state(&self, batch: usize) -> LstmState<A> {
        LstmState {
            h: Array2::zeros(state_shape::<A>(batch, self.outputs())),
            c: Array2::zeros(state_shape::<A>(batch, self.hidden())),
        }
    }

    fn zero_grads(&self) -> LstmVariantGrads<A> {
        let zeros = |like: &Array1<A>| Array1::zeros(like.raw_dim());
        LstmVariantGrads {
            w_in: Array2::zeros(self.w_in.raw_dim()),
            w_rec: Array2::zeros(self.w_rec.raw_dim()),
            bias: zeros(&self.bias),
            w_proj: self.w_proj.as_ref().map(|w| Array2::zeros(w.raw_dim())),
            norm: self.norm.as_ref().map(|norm| LstmNorm {
                gain_in: zeros(&norm.gain_in),
                gain_rec: zeros(&norm.gain_rec),
                gain_c: zeros(&norm.gain_c),
                shift_c: zeros(&norm.shift_c),
            }),
        }
    }

    fn output<'s>(&self, s: &'s LstmState<A>) -> ArrayView2<'s, A> {
        s.h.view()
    }

    fn output_mut<'s>(&self, s: &'s mut LstmState<A>) -> ArrayViewMut2<'s, A> {
        s.h.view_mut()
    }

    fn step_forward(
        &self,
        x: ArrayView2<'_, A>,
        s: &LstmState<A>,
    ) -> Result<(LstmState<A>, LstmVariantTape<A>)> {
        self.check_parameters()?;
        let batch = x.nrows();
        check("input", x.shape(), &[batch, self.inputs()])?;
        self.check_state(s, batch, ["state h", "state c"])?;

        let mut gates = Array2::zeros((batch, 4 * self.hidden()));
        let (mut sums, norms) = self.sums(&x, &s.h, &mut gates);
        let mut unclamped = None;
        if let Some(bound) = self.options.gate_clip {
            unclamped = Some(sums.to_owned());
            clamp(&mut sums, A::narrow(bound));
        }
        let c = self.new_cell(&mut gates, &s.c);
        let [.., o] = split(&gates, self.hidden());
        let (c_norm, mut shown) = match (&self.norm, self.options.layer_norm) {
            (Some(norm), Some(epsilon)) => {
                let normalised = Normalised::of(c.clone(), A::narrow(epsilon));
                let mut shown = Array2::zeros(c.raw_dim());
                shown += &norm.shift_c;
                normalised.add_to(&norm.gain_c, &mut shown);
                (Some(normalised), shown)
            }
            _ => (None, c.clone()),
        };
        shown.mapv_inplace(A::tanh);
        let h = match &self.w_proj {
            Some(w_proj) => (&o * &shown).dot(&w_proj.t()),
            None => &o * &shown,
        };
        let norm = norms
            .zip(c_norm)
            .map(|((from_x, from_h), c)| NormTape { from_x, from_h, c });
        let tape = LstmVariantTape {
            x: x.to_owned(),
            h_before: s.h.clone(),
            c_before: s.c.clone(),
            gates,
            shown,
            sums: unclamped,
            norm,
        };
        Ok((LstmState { h, c }, tape))
    }

    fn step_backward(
        &self,
        tape: &LstmVariantTape<A>,
        d: &mut LstmState<A>,
        mut d_x: ArrayViewMut2<'_, A>,
        grads: &mut LstmVariantGrads<A>,
    ) -> Result<()> {
        self.check_parameters()?;
        self.check_grads(grads)?;
        let (batch, hidden) = (tape.x.nrows(), self.hidden());
        self.check_tape(tape)?;
        check("input gradients", d_x.shape(), &[batch, self.inputs()])?;
        self.check_state(d, batch, ["state h gradients", "state c gradients"])?;

        let mut d_gates = Array2::zeros((batch, 4 * hidden));
        self.back_to_cell(tape, d, &mut d_gates, grads);
        self.back_to_gates(tape, &mut d.c, &mut d_gates);
        let mut d_sums = self.with_weights(&mut d_gates);
        if let (Some(bound), Some(sums)) = (self.options.gate_clip, &tape.sums) {
            let bound = A::narrow(bound);
            Zip::from(&mut d_sums)
                .and(sums)
                .for_each(|d, &z| stop_beyond(z, bound, d));
        }
        add_rows(&d_sums, &mut grads.bias);
        let (x, h) = (&tape.x, &tape.h_before);
        match (&self.norm, &tape.norm, &mut grads.norm) {
            (Some(norm), Some(kept), Some(d_norm)) => {
                let mut d_from_x = d_sums.to_owned();
                kept.from_x
                    .pull_back(&norm.gain_in, &mut d_from_x, &mut d_norm.gain_in);
                back_through(&self.w_in, x, &d_from_x, &mut d_x, &mut grads.w_in);
                kept.from_h
                    .pull_back(&norm.gain_rec, &mut d_sums, &mut d_norm.gain_rec);
            }
            _ => back_through(&self.w_in, x, &d_sums, &mut d_x, &mut grads.w_in),
        }
        back_through(&self.w_rec, h, &d_sums, &mut d.h, &mut grads.w_rec);
        Ok(())
    }

    fn forward_origin(&self, tape: &LstmVariantTape<A>, seen: &Origin) -> Option<Origin> {
        origin::forward_of_variant(self, tape, seen)
    }

    fn backward_origin(
        &self,
        tape: &LstmVariantTape<A>,
        d_state: &LstmState<A>,
        seen: &Origin,
    ) -> Option<Origin> {
        origin::backward_of_variant(self, tape, d_state, seen)
    }
}

impl<A: Real> LstmVariant<A> {
    fn check_state(&self, s: &LstmState<A>, batch: usize, what: [&'static str; 2]) -> Result<()> {
        check(what[0], s.h.shape(), &[batch, self.outputs()])?;
        check(what[1], s.c.shape(), &[batch, self.hidden()])
    }

    /// Refuses the tape of another cell.
    fn check_tape(&self, tape: &LstmVariantTape<A>) -> Result<()> {
        let (batch, hidden) = (tape.x.nrows(), self.hidden());
        let gates = self.options.gates() * hidden;
        check("tape of inputs", tape.x.shape(), &[batch, self.inputs()])?;
        let before = [batch, self.outputs()];
        check("tape of the state", tape.h_before.shape(), &before)?;
        check("tape of gates", tape.gates.shape(), &[batch, 4 * hidden])?;
        let clamped = self.options.gate_clip.map_or([0; 2], |_| [batch, gates]);
        let found = tape.sums.as_ref().map_or((0, 0), Array2::dim);
        check("tape of clamped sums", &[found.0, found.1], &clamped)?;
        let normalised = self.options.layer_norm.map_or([0; 2], |_| [batch, gates]);
        let found = tape.norm.as_ref().map_or((0, 0), |norm| norm.from_x.dim());
        check("tape of normalised sums", &[found.0, found.1], &normalised)
    }

    /// The columns of the gates that have weights: of coupled gates all but i.
    pub(super) fn with_weights<'g>(&self, gates: &'g mut Array2<A>) -> ArrayViewMut2<'g, A> {
        let first = (4 - self.options.gates()) * self.hidden();
        gates.slice_axis_mut(Axis(1), Slice::from(first..))
    }

    /// The gates' sums, written to their columns.
    #[expect(clippy::type_complexity, reason = "two of a kind, if any")]
    fn sums<'g>(
        &self,
        x: &ArrayRef2<A>,
        h: &ArrayRef2<A>,
        gates: &'g mut Array2<A>,
    ) -> (ArrayViewMut2<'g, A>, Option<(Normalised<A>, Normalised<A>)>) {
        let mut sums = self.with_weights(gates);
        sums += &self.bias;
        let (Some(norm), Some(epsilon)) = (&self.norm, self.options.layer_norm) else {
            through(&self.w_in, x, &mut sums);
            through(&self.w_rec, h, &mut sums);
            return (sums, None);
        };
        let normalised = |w: &Array2<A>, x: &ArrayRef2<A>| {
            let mut product = Array2::zeros(sums.raw_dim());
            through(w, x, &mut product);
            Normalised::of(product, A::narrow(epsilon))
        };
        let (from_x, from_h) = (normalised(&self.w_in, x), normalised(&self.w_rec, h));
        from_x.add_to(&norm.gain_in, &mut sums);
        from_h.add_to(&norm.gain_rec, &mut sums);
        (sums, Some((from_x, from_h)))
    }

    /// From the gates' sums to the gates, in place, and to the new cell state.
    fn new_cell(&self, gates: &mut Array2<A>, before: &Array2<A>) -> Array2<A> {
        let [mut i, mut f, mut g, mut o] = split_mut(gates, self.hidden());
        f.mapv_inplace(A::sigmoid_);
        g.mapv_inplace(A::tanh);
        o.mapv_inplace(A::sigmoid_);
        if self.options.coupled {
            Zip::from(&mut i)
                .and(&f)
                .for_each(|i, &f| *i = A::one() - f);
        } else {
            i.mapv_inplace(A::sigmoid_);
        }
        let mut c = Array2::zeros(before.raw_dim());
        Zip::from(&mut c)
            .and(before)
            .and(&i)
            .and(&f)
            .and(&g)
            .for_each(|c, &before, &i, &f, &g| *c = f * before + i * g);
        if let Some(bound) = self.options.cell_clip {
            clamp(&mut c, A::narrow(bound));
        }
        c
    }

    /// From the gradient of h to that of the output gate, with its slope, and to the whole gradient of the sum
    /// f ⊙ c + i ⊙ g, in `d.c`.
    pub(super) fn back_to_cell(
        &self,
        tape: &LstmVariantTape<A>,
        d: &mut LstmState<A>,
        d_gates: &mut Array2<A>,
        grads: &mut LstmVariantGrads<A>,
    ) {
        let (one, hidden) = (A::one(), self.hidden());
        let [i, f, g, o] = split(&tape.gates, hidden);
        let [.., d_o] = split_mut(d_gates, hidden);
        let projected = self.w_proj.as_ref().zip(grads.w_proj.as_mut());
        let projected = projected.map(|(w_proj, d_w_proj)| {
            let m = &o * &tape.shown;
            general_mat_mul(one, &d.h.t(), &m, one, d_w_proj);
            d.h.dot(w_proj)
        });
        let d_m = projected.as_ref().unwrap_or(&d.h);
        let mut d_shown = Array2::zeros(d.c.raw_dim());
        Zip::from(&mut d_shown)
            .and(d_o)
            .and(d_m)
            .and(o)
            .and(&tape.shown)
            .for_each(|d_shown, d_o, &d_m, &o, &shown| {
                *d_o = d_m * shown * (o * (one - o));
                *d_shown = d_m * o * (one - shown * shown);
            });
        if let (Some(norm), Some(kept), Some(d_norm)) = (&self.norm, &tape.norm, &mut grads.norm) {
            add_rows(&d_shown, &mut d_norm.shift_c);
            kept.c
                .pull_back(&norm.gain_c, &mut d_shown, &mut d_norm.gain_c);
        }
        d.c += &d_shown;
        if let Some(bound) = self.options.cell_clip {
            let bound = A::narrow(bound);
            Zip::from(&mut d.c)
                .and(&tape.c_before)
                .and(i)
                .and(f)
                .and(g)
                .for_each(|d, &before, &i, &f, &g| stop_beyond(f * before + i * g, bound, d));
        }
    }

    /// From the gradient of the cell state to those of the sums of i, f and g, and to its own share that comes through
    /// the forget gate.
    pub(super) fn back_to_gates(
        &self,
        tape: &LstmVariantTape<A>,
        d_c: &mut Array2<A>,
        d_gates: &mut Array2<A>,
    ) {
        let (one, hidden) = (A::one(), self.hidden());
        let [i, f, g, _] = split(&tape.gates, hidden);
        let [d_i, mut d_f, d_g, _] = split_mut(d_gates, hidden);
        Zip::from(&mut d_f)
            .and(&*d_c)
            .and(&tape.c_before)
            .for_each(|d_f, &d_c, &before| *d_f = d_c * before);
        if self.options.coupled {
            Zip::from(&mut d_f)
                .and(&*d_c)
                .and(g)
                .for_each(|d_f, &d_c, &g| *d_f -= d_c * g);
        } else {
            Zip::from(d_i)
                .and(&*d_c)
                .and(i)
                .and(g)
                .for_each(|d_i, &d_c, &i, &g| *d_i = d_c * g * (i * (one - i)));
        }
        Zip::from(d_f)
            .and(f)
            .for_each(|d_f, &f| *d_f *= f * (one - f));
        Zip::from(d_g)
            .and(&*d_c)
            .and(i)
            .and(g)
            .for_each(|d_g, &d_c, &i, &g| *d_g = d_c * i * (one - g * g));
        *d_c *= &f;
    }
}

/// NaN stays NaN.
fn clamp<A: Real>(values: &mut ArrayRef2<A>, bound: A) {
    values.mapv_inplace(|x| {
        if x > bound {
            bound
        } else if x < -bound {
            -bound
        } else {
            x
        }
    });
}

/// The slope of a clamp is 0 beyond its bound.
#[inline]
pub(super) fn stop_beyond<A: Real>(x: A, bound: A, d: &mut A) {
    if x > bound || x < -bound {
        *d = A::zero();
    }
}

/// y ← y + x·Wᵀ. A batch of one is a vector, for which the general product would do its packing in vain.
fn through<A: Real>(w: &ArrayRef2<A>, x: &ArrayRef2<A>, y: &mut ArrayRef2<A>) {
    let one = A::one();
    if x.nrows() == 1 {
        let (x, mut y) = (x.row(0), y.row_mut(0));
        general_mat_vec_mul(one, w, &x, one, &mut y);
    } else {
        general_mat_mul(one, x, &w.t(), one, y);
    }
}

/// The way back of x·Wᵀ: dW ← dW + dyᵀ·x, dx = dy·W.
fn back_through<A: Real>(
    w: &ArrayRef2<A>,
    x: &ArrayRef2<A>,
    d_y: &ArrayRef2<A>,
    d_x: &mut ArrayRef2<A>,
    d_w: &mut ArrayRef2<A>,
) {
    let (zero, one) = (A::zero(), A::one());
    general_mat_mul(one, &d_y.t(), x, one, d_w);
    general_mat_mul(one, d_y, w, zero, d_x);
}

/// The columns of the four gates: i, f, g, o.
fn split<A>(gates: &Array2<A>, hidden: usize) -> [ArrayView2<'_, A>; 4] {
    [0, 1, 2, 3]
        .map(|gate| gates.slice_axis(Axis(1), Slice::from(gate * hidden..(gate + 1) * hidden)))
}

fn split_mut<A>(gates: &mut Array2<A>, hidden: usize) -> [ArrayViewMut2<'_, A>; 4] {
    let (i, rest) = gates.view_mut().split_at(Axis(1), hidden);
    let (f, rest) = rest.split_at(Axis(1), hidden);
    let (g, o) = rest.split_at(Axis(1), hidden);
    [i, f, g, o]
}
