//! What the tests of recurrent cells share.

use ndarray::{Array1, Array2, Array3, Dimension};
use steadygrad::recurrent::{
    Activation, Backward, Gru, Init, Layer, Lstm, LstmState, Real, RecurrentCell, Rnn, RnnState,
    Upstream,
};
use steadygrad::{Tensor, TensorMut, TensorSet, TensorSetMut};

/// Numbers uniform in [0, 1), the same for the same seed (the `SplitMix64` generator).
pub(crate) fn uniform(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Numbers uniform in [−scale, scale).
pub(crate) fn signed(seed: u64, scale: f64) -> impl FnMut() -> f64 {
    let mut draw = uniform(seed);
    move || (2.0 * draw() - 1.0) * scale
}

pub(crate) const ACTIVATIONS: [Activation; 4] = [
    Activation::Tanh,
    Activation::Relu,
    Activation::Sigmoid,
    Activation::Identity,
];

/// Numbers for every element of a set, whatever tensors it is made of.
pub(crate) fn fill<S: TensorSetMut + ?Sized>(set: &mut S, mut draw: impl FnMut() -> f64) {
    let f = &mut |_: &str, tensor: &mut dyn TensorMut| {
        (0..tensor.len()).try_for_each(|k| tensor.write(k, &[draw()]))
    };
    set.visit_mut(f).unwrap();
}

/// Every element of a set.
pub(crate) fn numbers<S: TensorSet + ?Sized>(set: &S) -> Vec<f64> {
    let mut numbers = Vec::new();
    set.visit(&mut |_, tensor| {
        let mut values = vec![0.0; tensor.len()];
        tensor.read(0, &mut values)?;
        numbers.append(&mut values);
        Ok(())
    })
    .unwrap();
    numbers
}

/// The tensors of a cell and of its states, by name, so that one test can walk over any cell.
pub(crate) trait Named:
    RecurrentCell + for<'t> Layer<At<'t> = &'t mut <Self as Layer>::State> + Clone
{
    fn weights(cell: &mut Self) -> Vec<(&'static str, &mut [Self::Elem])>;
    fn grads(grads: &Self::Grads) -> Vec<Vec<Self::Elem>>;
    fn state(state: &mut Self::State) -> Vec<(&'static str, &mut [Self::Elem])>;
}

pub(crate) fn slice<A, D: Dimension>(array: &mut ndarray::Array<A, D>) -> &mut [A] {
    array.as_slice_mut().expect("these arrays are contiguous")
}

macro_rules! named {
    ($cell:ident { $($w:ident),* }, $state:ident { $($s:ident),* }) => {
        impl<A: Real> Named for $cell<A> {
            fn weights(cell: &mut Self) -> Vec<(&'static str, &mut [A])> {
                vec![$((stringify!($w), slice(&mut cell.$w))),*]
            }
            fn grads(grads: &Self::Grads) -> Vec<Vec<A>> {
                vec![$(grads.$w.iter().copied().collect()),*]
            }
            fn state(state: &mut $state<A>) -> Vec<(&'static str, &mut [A])> {
                vec![$((stringify!($s), slice(&mut state.$s))),*]
            }
        }
    };
}
named!(Rnn { w_in, w_rec, bias }, RnnState { h });
named!(Lstm { w_in, w_rec, bias }, LstmState { h, c });
named!(
    Gru {
        w_in,
        w_rec,
        bias,
        bias_rec
    },
    RnnState { h }
);

/// A cell, a sequence, a start and output gradients: a whole problem.
pub(crate) struct Problem<C: Layer> {
    pub(crate) cell: C,
    pub(crate) xs: Array3<C::Elem>,
    pub(crate) s0: C::State,
    pub(crate) d_outputs: Array3<C::Elem>,
    pub(crate) d_final: Option<C::State>,
}

impl<C: Named> Problem<C> {
    pub(crate) fn new(cell: C, time: usize, batch: usize, inputs: usize, hidden: usize) -> Self {
        let mut draw = signed(time as u64 * 10 + batch as u64, 1.0);
        let mut cell = cell;
        for (name, weights) in C::weights(&mut cell) {
            if name.starts_with("bias") {
                weights.fill_with(|| narrow::<C>(draw()));
            }
        }
        let mut s0 = cell.zero_state(batch);
        for (_, values) in C::state(&mut s0) {
            values.fill_with(|| narrow::<C>(draw()));
        }
        let xs = Array3::from_shape_simple_fn((time, batch, inputs), || narrow::<C>(draw()));
        let d_outputs = Array3::from_shape_simple_fn((time, batch, hidden), || narrow::<C>(draw()));
        Self {
            cell,
            xs,
            s0,
            d_outputs,
            d_final: None,
        }
    }

    /// The same with a loss that looks at the final state too.
    pub(crate) fn of_final_state(mut self) -> Self {
        let mut draw = signed(77, 1.0);
        let mut d_final = self.s0.clone();
        for (_, values) in C::state(&mut d_final) {
            values.fill_with(|| narrow::<C>(draw()));
        }
        self.d_final = Some(d_final);
        self
    }

    pub(crate) fn upstream(&self) -> Upstream<'_, C> {
        let outputs = Upstream::outputs(self.d_outputs.view());
        match &self.d_final {
            Some(d_final) => outputs.final_state(d_final),
            None => outputs,
        }
    }

    pub(crate) fn pass(&self) -> C::Pass {
        self.cell.forward(self.xs.view(), &self.s0).unwrap()
    }

    pub(crate) fn backward(&self) -> Backward<C> {
        self.cell.backward(&self.pass(), self.upstream()).unwrap()
    }
}

fn narrow<C: Layer>(x: f64) -> C::Elem {
    steadygrad::Element::narrow(x)
}

pub(crate) fn rnn<A: Real>(
    activation: Activation,
    inputs: usize,
    hidden: usize,
    radius: f64,
) -> Rnn<A> {
    let builder = Rnn::builder(inputs, hidden).activation(activation);
    builder
        .w_in(Init::Xavier)
        .w_rec(Init::Scaled { radius })
        .build(&mut uniform(11))
        .unwrap()
}

pub(crate) fn lstm<A: Real>(inputs: usize, hidden: usize) -> Lstm<A> {
    let builder = Lstm::builder(inputs, hidden).w_in(Init::Xavier);
    builder
        .w_rec(Init::Scaled { radius: 1.0 })
        .build(&mut uniform(12))
        .unwrap()
}

pub(crate) fn gru<A: Real>(inputs: usize, hidden: usize) -> Gru<A> {
    let builder = Gru::builder(inputs, hidden).w_in(Init::Xavier);
    builder
        .w_rec(Init::Scaled { radius: 1.0 })
        .build(&mut uniform(13))
        .unwrap()
}

/// A linear net of one unit: `h_t = x_t + w·h_{t−1}`.
pub(crate) fn scalar(w: f64) -> Rnn<f64> {
    let (one, w) = (Array2::ones((1, 1)), Array2::from_elem((1, 1), w));
    Rnn::new(one, w, Array1::zeros(1), Activation::Identity).unwrap()
}

/// The largest difference, relative to the largest magnitude of the second.
pub(crate) fn distance<'a, 'b>(
    found: impl IntoIterator<Item = &'a f64>,
    expected: impl IntoIterator<Item = &'b f64>,
) -> f64 {
    let (found, expected): (Vec<f64>, Vec<f64>) = (
        found.into_iter().copied().collect(),
        expected.into_iter().copied().collect(),
    );
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(0.0, |m, x| f64::max(m, x.abs()));
    let worst = found
        .iter()
        .zip(&expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |m, d| {
            assert!(!d.is_nan(), "NaN among {found:?} or {expected:?}");
            f64::max(m, d)
        });
    if worst == 0.0 { 0.0 } else { worst / scale }
}
