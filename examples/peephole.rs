//! A cell of one's own: the peephole LSTM, which is not among the crate's cells, in a page of code.
//!
//! Its gates look at the cell state itself, not only at what the output gate lets through of it; so it can count steps
//! and act on time (Gers, Schraudolph and Schmidhuber, "Learning precise timing with LSTM recurrent networks", 2002).
//!
//! ```text
//! i = σ(x_t·W_iᵀ + h_{t−1}·R_iᵀ + b_i + p_i ⊙ c_{t−1})      f likewise
//! g = tanh(x_t·W_gᵀ + h_{t−1}·R_gᵀ + b_g)                    c_t = f ⊙ c_{t−1} + i ⊙ g
//! o = σ(x_t·W_oᵀ + h_{t−1}·R_oᵀ + b_o + p_o ⊙ c_t)          h_t = o ⊙ tanh c_t
//! ```
//!
//! The program checks its gradients against the slopes of a loss, and teaches it to answer a spike five steps later.

use std::io::Write;
use std::process::ExitCode;

use ndarray::{Array1, Array2, Array3, ArrayView2, ArrayViewMut2, Axis, Slice, concatenate};
use steadygrad::recurrent::{Layer, Lstm, LstmState, StepCell, Unrolled, gradcheck};
use steadygrad::{Error, Guard, Result, Step, clip, set, tensor_set};
use tell::{Told, tell};

mod tell;

/// The parameters, and their gradients. Gates are stacked in the order i, f, g, o.
#[derive(Clone, Debug)]
pub(crate) struct Peephole {
    pub(crate) w_in: Array2<f64>,
    pub(crate) w_rec: Array2<f64>,
    pub(crate) bias: Array1<f64>,
    pub(crate) peep_i: Array1<f64>,
    pub(crate) peep_f: Array1<f64>,
    pub(crate) peep_o: Array1<f64>,
}
tensor_set!(Peephole {
    w_in,
    w_rec,
    bias,
    peep_i,
    peep_f,
    peep_o
});

/// What a step keeps.
#[derive(Clone, Debug)]
pub(crate) struct Tape {
    x: Array2<f64>,
    before: LstmState<f64>,
    gates: [Array2<f64>; 4],
    c: Array2<f64>,
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// σ′, by what σ gave.
fn slope(gate: &Array2<f64>) -> Array2<f64> {
    gate * (1.0 - gate)
}

impl StepCell for Peephole {
    type Elem = f64;
    type State = LstmState<f64>;
    type Tape = Tape;
    type Grads = Peephole;

    fn zero_state(&self, batch: usize) -> LstmState<f64> {
        let zeros = Array2::zeros((batch, self.peep_i.len()));
        LstmState {
            h: zeros.clone(),
            c: zeros,
        }
    }

    fn zero_grads(&self) -> Peephole {
        let zeros = Array1::zeros(self.peep_i.len());
        Peephole {
            w_in: Array2::zeros(self.w_in.raw_dim()),
            w_rec: Array2::zeros(self.w_rec.raw_dim()),
            bias: Array1::zeros(self.bias.len()),
            peep_i: zeros.clone(),
            peep_f: zeros.clone(),
            peep_o: zeros,
        }
    }

    fn output<'s>(&self, s: &'s LstmState<f64>) -> ArrayView2<'s, f64> {
        s.h.view()
    }

    fn output_mut<'s>(&self, s: &'s mut LstmState<f64>) -> ArrayViewMut2<'s, f64> {
        s.h.view_mut()
    }

    fn step_forward(
        &self,
        x: ArrayView2<'_, f64>,
        before: &LstmState<f64>,
    ) -> Result<(LstmState<f64>, Tape)> {
        let (batch, hidden) = (x.nrows(), self.peep_i.len());
        if x.ncols() != self.w_in.ncols() {
            return Err(Error::Shape {
                what: "input",
                expected: vec![batch, self.w_in.ncols()],
                found: x.shape().to_vec(),
            });
        }
        let z = x.dot(&self.w_in.t()) + before.h.dot(&self.w_rec.t()) + &self.bias;
        let sum = |gate: usize| {
            let columns = Slice::from(gate * hidden..(gate + 1) * hidden);
            z.slice_axis(Axis(1), columns)
        };
        let i = (&self.peep_i * &before.c + sum(0)).mapv(sigmoid);
        let f = (&self.peep_f * &before.c + sum(1)).mapv(sigmoid);
        let g = sum(2).mapv(f64::tanh);
        let c = &f * &before.c + &i * &g;
        let o = (&self.peep_o * &c + sum(3)).mapv(sigmoid);
        let after = LstmState {
            h: &o * &c.mapv(f64::tanh),
            c: c.clone(),
        };
        let tape = Tape {
            x: x.to_owned(),
            before: before.clone(),
            gates: [i, f, g, o],
            c,
        };
        Ok((after, tape))
    }

    fn step_backward(
        &self,
        tape: &Tape,
        d: &mut LstmState<f64>,
        mut d_x: ArrayViewMut2<'_, f64>,
        grads: &mut Peephole,
    ) -> Result<()> {
        let Tape { before, c, .. } = tape;
        let [i, f, g, o] = &tape.gates;
        let tanh_c = c.mapv(f64::tanh);
        // d_i … d_o are the gradients of the gates' sums. The output gate looks at c_t, so it comes first.
        let d_o = &d.h * &tanh_c * slope(o);
        let d_c = &d.c + &d.h * o * (1.0 - &tanh_c * &tanh_c) + &d_o * &self.peep_o;
        let d_i = &d_c * g * slope(i);
        let d_f = &d_c * &before.c * slope(f);
        let d_g = &d_c * i * (1.0 - g * g);

        grads.peep_i += &(&d_i * &before.c).sum_axis(Axis(0));
        grads.peep_f += &(&d_f * &before.c).sum_axis(Axis(0));
        grads.peep_o += &(&d_o * c).sum_axis(Axis(0));
        d.c = d_c * f + &d_i * &self.peep_i + &d_f * &self.peep_f;

        let gates = [d_i.view(), d_f.view(), d_g.view(), d_o.view()];
        let d_z = concatenate(Axis(1), &gates).map_err(|why| Error::Storage(why.to_string()))?;
        grads.w_in += &d_z.t().dot(&tape.x);
        grads.w_rec += &d_z.t().dot(&before.h);
        grads.bias += &d_z.sum_axis(Axis(0));
        d_x.assign(&d_z.dot(&self.w_in));
        d.h = d_z.dot(&self.w_rec);
        Ok(())
    }
}

/// A cell whose weights are drawn like an [`Lstm`]'s, and whose peepholes are drawn like its recurrent weights.
pub(crate) fn drawn(
    inputs: usize,
    hidden: usize,
    uniform: &mut impl FnMut() -> f64,
) -> Result<Unrolled<Peephole>> {
    let Lstm { w_in, w_rec, bias } = Lstm::builder(inputs, hidden).build(uniform)?;
    let bound = 1.0 / (hidden as f64).sqrt();
    let [peep_i, peep_f, peep_o] =
        [(); 3].map(|()| Array1::from_shape_simple_fn(hidden, || (2.0 * uniform() - 1.0) * bound));
    Ok(Unrolled::new(Peephole {
        w_in,
        w_rec,
        bias,
        peep_i,
        peep_f,
        peep_o,
    }))
}

/// Numbers uniform in [0, 1); any source will do.
fn uniform() -> impl FnMut() -> f64 {
    let mut bits = 7_u64;
    move || {
        bits = bits
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn main() -> ExitCode {
    tell(program)
}

fn program(out: &mut dyn Write) -> Told {
    let mut uniform = uniform();
    let cell = drawn(2, 3, &mut uniform)?;
    let xs = Array3::from_shape_simple_fn((10, 2, 2), || 2.0 * uniform() - 1.0);
    writeln!(out, "gradients apart from slopes of a loss")?;
    for at in gradcheck(&cell, xs.view(), &cell.zero_state(2))?.deviations() {
        writeln!(out, "  {:12} {:.0e}", at.tensor, at.relative)?;
    }
    learn(&mut uniform, out)
}

const TIME: usize = 16;
const DELAY: usize = 5;

/// Every sequence has one spike, in a step of its own. The first unit is to answer it five steps later.
fn learn(uniform: &mut impl FnMut() -> f64, out: &mut dyn Write) -> Told {
    let batch = TIME - DELAY;
    let spikes = |delay: usize, height: f64| {
        Array3::from_shape_fn(
            (TIME, batch, 1),
            |(t, b, _)| {
                if t == b + delay { height } else { 0.0 }
            },
        )
    };
    let (xs, answers) = (spikes(0, 1.0), spikes(DELAY, 0.7));
    let mut cell = drawn(1, 4, uniform)?;
    let mut velocity = cell.cell.zero_grads();
    let mut guard = Guard::new().clip(clip::GlobalNorm::new(0.1)?);
    writeln!(out, "a spike, and an answer {DELAY} steps later")?;
    for step in 0..=500 {
        let pass = cell.forward(xs.view(), &cell.zero_state(batch))?;
        let mut misses = pass.outputs().to_owned();
        misses.slice_axis_mut(Axis(2), Slice::from(1..)).fill(0.0);
        misses
            .slice_axis_mut(Axis(2), Slice::from(..1))
            .zip_mut_with(&answers, |miss, y| *miss -= y);
        let count = answers.len() as f64;
        let loss = misses.fold(0.0, |sum, miss| sum + miss * miss) / count;
        if step % 100 == 0 {
            writeln!(out, "  step {step:3}: loss {loss:.5}")?;
        }
        let d_outputs = misses * (2.0 / count);
        let mut back = cell.backward(&pass, d_outputs.view())?;
        let report = guard.step(Step::new(&mut back.grads).params(&cell).loss(loss))?;
        if report.verdict().is_apply() {
            set::scale(&mut velocity, 0.9)?;
            set::axpy(-2.0, &back.grads, &mut velocity)?;
            set::accumulate(&velocity, &mut cell)?;
        }
    }
    Ok(())
}
