//! Cells that `PyTorch` has too, so that one test can be written for any of them.

use ndarray::{Array1, Array2, Array3, ArrayView2, ArrayViewMut2, Axis, concatenate};
use steadygrad::recurrent::origin::Part;
use steadygrad::recurrent::{
    Activation, CellGrads, Gru, Layer, Lstm, LstmState, Origin, Rnn, RnnState, StepCell, Unrolled,
};
use steadygrad::{Result, TensorSet, TensorSetMut, Visitor, VisitorMut};

use crate::common::{fill, signed};
use crate::unrolled::Elman;

/// A cell with the weights of `PyTorch`'s.
pub(crate) trait Torch: Layer<Elem = f64> + Clone {
    /// What the oracle calls it.
    const KIND: &'static str;

    fn zeros(inputs: usize, hidden: usize) -> Self;

    /// A state out of its parts, `h` and perhaps `c`.
    fn state(parts: Vec<Array2<f64>>) -> Self::State;

    fn parts(state: &Self::State) -> Vec<Array2<f64>>;

    /// A cell in the middle of its range.
    fn random(inputs: usize, hidden: usize, seed: u64) -> Self {
        let mut cell = Self::zeros(inputs, hidden);
        fill(&mut cell, signed(seed, 0.8));
        cell
    }
}

macro_rules! torch {
    ($cell:ty, $kind:literal, $gates:literal, $state:ident { $($part:ident),* }, $of:expr) => {
        impl Torch for $cell {
            const KIND: &'static str = $kind;

            fn zeros(inputs: usize, hidden: usize) -> Self {
                let rows = $gates * hidden;
                let matrix = |columns| Array2::zeros((rows, columns));
                $of(matrix(inputs), matrix(hidden), Array1::zeros(rows))
            }

            fn state(parts: Vec<Array2<f64>>) -> $state<f64> {
                let mut parts = parts.into_iter();
                $state { $($part: parts.next().unwrap()),* }
            }

            fn parts(state: &$state<f64>) -> Vec<Array2<f64>> {
                vec![$(state.$part.clone()),*]
            }
        }
    };
}

fn tanh(w_in: Array2<f64>, w_rec: Array2<f64>, bias: Array1<f64>) -> Rnn<f64> {
    Rnn::new(w_in, w_rec, bias, Activation::Tanh).unwrap()
}

torch!(Rnn<f64>, "rnn", 1, RnnState { h }, tanh);
torch!(Lstm<f64>, "lstm", 4, LstmState { h, c }, |w, r, b| {
    Lstm::new(w, r, b).unwrap()
});
torch!(
    Gru<f64>,
    "gru",
    3,
    RnnState { h },
    |w, r: Array2<f64>, b| {
        let bias_rec = Array1::zeros(r.ncols());
        Gru::new(w, r, b, bias_rec).unwrap()
    }
);
torch!(Unrolled<Elman>, "rnn", 1, RnnState { h }, |w, r, b| {
    Unrolled::new(Elman(tanh(w, r, b)))
});
torch!(
    Unrolled<LstmSteps>,
    "lstm",
    4,
    LstmState { h, c },
    |w, r, b| Unrolled::new(LstmSteps(Lstm::new(w, r, b).unwrap()))
);

/// [`Lstm`]'s equations as a user would write them down: a state with a part that is no output.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LstmSteps(Lstm<f64>);

impl TensorSet for LstmSteps {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.0.visit(f)
    }
}

impl TensorSetMut for LstmSteps {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        self.0.visit_mut(f)
    }
}

/// The input, the state before, the gates i, f, g, o, and tanh c.
pub(crate) struct Tape(Array2<f64>, LstmState<f64>, [Array2<f64>; 4], Array2<f64>);

impl StepCell for LstmSteps {
    type Elem = f64;
    type State = LstmState<f64>;
    type Tape = Tape;
    type Grads = CellGrads<f64>;

    fn zero_state(&self, batch: usize) -> LstmState<f64> {
        self.0.zero_state(batch)
    }

    fn zero_grads(&self) -> CellGrads<f64> {
        CellGrads {
            w_in: &self.0.w_in * 0.0,
            w_rec: &self.0.w_rec * 0.0,
            bias: &self.0.bias * 0.0,
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
        s: &LstmState<f64>,
    ) -> Result<(LstmState<f64>, Tape)> {
        let z = x.dot(&self.0.w_in.t()) + s.h.dot(&self.0.w_rec.t()) + &self.0.bias;
        let mut blocks = z.axis_chunks_iter(Axis(1), s.h.ncols());
        let mut gate = |f: fn(f64) -> f64| blocks.next().unwrap().mapv(f);
        let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
        let gates = [gate(sigmoid), gate(sigmoid), gate(f64::tanh), gate(sigmoid)];
        let [i, f, g, o] = &gates;
        let c = f * &s.c + i * g;
        let tanh_c = c.mapv(f64::tanh);
        let h = o * &tanh_c;
        let tape = Tape(x.to_owned(), s.clone(), gates, tanh_c);
        Ok((LstmState { h, c }, tape))
    }

    fn step_backward(
        &self,
        Tape(x, before, [i, f, g, o], tanh_c): &Tape,
        d_state: &mut LstmState<f64>,
        mut d_x: ArrayViewMut2<'_, f64>,
        grads: &mut CellGrads<f64>,
    ) -> Result<()> {
        let one = Array2::<f64>::ones(i.raw_dim());
        let d_c = &d_state.c + &d_state.h * o * (&one - tanh_c * tanh_c);
        let d_z = [
            &d_c * g * i * (&one - i),
            &d_c * &before.c * f * (&one - f),
            &d_c * i * (&one - g * g),
            &d_state.h * tanh_c * o * (&one - o),
        ];
        let d_z = concatenate(Axis(1), &d_z.each_ref().map(|d| d.view())).unwrap();
        grads.w_in += &d_z.t().dot(x);
        grads.w_rec += &d_z.t().dot(&before.h);
        grads.bias += &d_z.sum_axis(Axis(0));
        d_x.assign(&d_z.dot(&self.0.w_in));
        d_state.h = d_z.dot(&self.0.w_rec);
        d_state.c = d_c * f;
        Ok(())
    }

    fn forward_origin(&self, tape: &Tape, seen: &Origin) -> Option<Origin> {
        let Tape(x, before, gates, _) = tape;
        let came = [
            seen.among(Part::Input, "x", x.view()),
            seen.among(Part::InitialState, "h", before.h.view()),
            seen.among(Part::InitialState, "c", before.c.view()),
        ];
        let mut gates = ["i", "f", "g", "o"].into_iter().zip(gates);
        let gate = gates.find_map(|(name, gate)| seen.among(Part::Gate, name, gate.view()));
        came.into_iter().flatten().next().or(gate)
    }
}

/// A layer, a batch of sequences, a start, and gradients of all that comes out.
pub(crate) struct Run<L: Layer> {
    pub(crate) layer: L,
    pub(crate) xs: Array3<f64>,
    pub(crate) s0: L::State,
    pub(crate) d_outputs: Array3<f64>,
    pub(crate) d_final: L::State,
}

impl<L: Layer<Elem = f64>> Run<L> {
    pub(crate) fn new(layer: L, time: usize, batch: usize, inputs: usize) -> Self {
        let mut draw = signed((time * 10 + batch) as u64, 1.0);
        let xs = Array3::from_shape_simple_fn((time, batch, inputs), &mut draw);
        let (mut s0, mut d_final) = (layer.zero_state(batch), layer.zero_state(batch));
        fill(&mut s0, &mut draw);
        fill(&mut d_final, &mut draw);
        let pass = layer.forward(xs.view(), &s0).unwrap();
        let shape = steadygrad::recurrent::Trace::outputs(&pass).raw_dim();
        let d_outputs = Array3::from_shape_simple_fn(shape, &mut draw);
        Self {
            layer,
            xs,
            s0,
            d_outputs,
            d_final,
        }
    }
}
