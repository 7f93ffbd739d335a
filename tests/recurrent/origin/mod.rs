//! Who made what is not finite: the exact place, for every cell and wrapper.

mod cells;
mod guarded;
mod planted;
mod variants;
mod walked;
mod wrapped;

use ndarray::{Array1, Array2, Array3};
use steadygrad::recurrent::{Activation, Layer, Rnn, Sequence, Upstream};

/// A linear net of one unit.
pub(crate) fn linear(w_in: f32, w_rec: f32) -> Rnn<f32> {
    let one = |w| Array2::from_elem((1, 1), w);
    Rnn::new(
        one(w_in),
        one(w_rec),
        Array1::zeros(1),
        Activation::Identity,
    )
    .unwrap()
}

/// A batch of sequences, all of which is zero but one number of one of them.
pub(crate) fn spike(time: usize, batch: usize, (t, b): (usize, usize), x: f32) -> Array3<f32> {
    let mut xs = Array3::zeros((time, batch, 1));
    xs[[t, b, 0]] = x;
    xs
}

#[expect(clippy::needless_pass_by_value, reason = "it was told for this")]
pub(crate) fn is(told: Option<String>, expected: &str) {
    assert_eq!(told.as_deref(), Some(expected));
}

/// What is said of a sequence and the gradients of its outputs.
pub(crate) fn told<L: Layer>(
    layer: &L,
    xs: &Array3<L::Elem>,
    s0: &L::State,
    d_outputs: &Array3<L::Elem>,
) -> Option<String> {
    let pass = layer.forward(xs.view(), s0).unwrap();
    let origin = layer.origin(&pass, d_outputs.view()).unwrap();
    origin.map(|origin| origin.to_string())
}

/// The same for sequences of these lengths, with gradients of the final state.
pub(crate) fn told_of<L: Layer>(
    layer: &L,
    (xs, lengths): (&Array3<L::Elem>, &[usize]),
    s0: &L::State,
    d: Upstream<'_, L>,
) -> Option<String> {
    let xs = Sequence::new(xs.view()).lengths(lengths).unwrap();
    let pass = layer.forward(xs, s0).unwrap();
    let origin = layer.origin(&pass, d).unwrap();
    origin.map(|origin| origin.to_string())
}
