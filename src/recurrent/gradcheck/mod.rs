//! Gradients against the slopes they claim to be.

mod nudged;
mod report;

pub use report::{Deviation, GradCheck};

use alloc::vec::Vec;

use ndarray::Array3;

use self::nudged::{Nudged, Side, numbers, pair, tensors};
use super::{Layer, Sequence, Trace, Upstream};
use crate::tensor::Tensor;
use crate::{Result, TensorSet, TensorSetMut};

/// Compares every gradient of a layer with central differences: of parameters, inputs and initial state.
///
/// ```text
/// L = Σ U ⊙ outputs + Σ V ⊙ final state        dL/dw ≈ (L(w + ε) − L(w − ε)) / 2ε,  ε = 6e-6·max(1, |w|)
/// ```
///
/// with numbers U and V between a half and three halves in magnitude, the same in each call; so outputs and final state
/// both send gradients back. It costs two forward passes for each number in the layer, its inputs and its state: take few
/// units and few steps. Next to a kink of the layer (a rectifier at zero) there is no slope to be found.
///
/// # Examples
///
/// ```
/// use ndarray::Array3;
/// use steadygrad::recurrent::{Layer, Lstm, gradcheck};
///
/// let mut x = 0.0_f64;
/// let mut draw = move || { x = (x + 0.381_966).fract(); x };
/// let lstm = Lstm::<f64>::builder(2, 3).build(&mut draw)?;
/// let xs = Array3::from_shape_simple_fn((5, 2, 2), &mut draw);
///
/// let check = gradcheck(&lstm, xs.view(), &lstm.zero_state(2))?;
/// assert!(check.is_within(1e-7), "{check}");
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// A cell whose way back forgets that the tape is to be multiplied:
///
/// ```
/// use ndarray::{Array3, Array2, ArrayView2, ArrayViewMut2, Array1, Axis, array};
/// use steadygrad::recurrent::{Layer, RnnState, StepCell, Unrolled, gradcheck};
/// # use steadygrad::{Result, tensor_set};
///
/// # #[derive(Clone)]
/// # struct Leaky { a: Array1<f64> }
/// # tensor_set!(Leaky { a });
/// impl StepCell for Leaky {
/// #   type Elem = f64;
/// #   type State = RnnState<f64>;
/// #   type Tape = Array2<f64>;
/// #   type Grads = Leaky;
/// #   fn zero_state(&self, batch: usize) -> RnnState<f64> { RnnState { h: Array2::zeros((batch, self.a.len())) } }
/// #   fn zero_grads(&self) -> Leaky { Leaky { a: Array1::zeros(self.a.len()) } }
/// #   fn output<'s>(&self, s: &'s RnnState<f64>) -> ArrayView2<'s, f64> { s.h.view() }
/// #   fn output_mut<'s>(&self, s: &'s mut RnnState<f64>) -> ArrayViewMut2<'s, f64> { s.h.view_mut() }
/// #   fn step_forward(&self, x: ArrayView2<'_, f64>, s: &RnnState<f64>) -> Result<(RnnState<f64>, Array2<f64>)> {
/// #       Ok((RnnState { h: &s.h * &self.a + x }, s.h.clone()))
/// #   }
///     // …
///     fn step_backward(
///         &self, before: &Array2<f64>, d: &mut RnnState<f64>, mut d_x: ArrayViewMut2<'_, f64>, grads: &mut Leaky,
///     ) -> Result<()> {
///         d_x.assign(&d.h);
///         grads.a += &d.h.sum_axis(Axis(0));   // without `* before`
///         d.h *= &self.a;
/// #       let _ = before;
///         Ok(())
///     }
/// }
/// let cell = Unrolled::new(Leaky { a: array![0.5] });
/// let check = gradcheck(&cell, Array3::ones((3, 1, 1)).view(), &cell.zero_state(1))?;
/// let worst = check.worst().map(|worst| (worst.tensor.as_str(), &worst.index[..]));
/// assert_eq!(worst, Some(("grads.a", &[0][..])));
/// assert!(!check.is_within(0.1));
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// What the layer gives; [`Error::Name`](crate::Error::Name) and [`Error::Count`](crate::Error::Count) if its gradients are not of its parameters.
pub fn gradcheck<'a, L>(
    layer: &L,
    xs: impl Into<Sequence<'a, f64>>,
    s0: &L::State,
) -> Result<GradCheck>
where
    L: Layer<Elem = f64> + Clone,
{
    let xs = xs.into();
    let pass = layer.forward(xs, s0)?;
    let mut draw = weights();
    let d_outputs = Array3::from_shape_simple_fn(pass.outputs().raw_dim(), &mut draw);
    let mut d_final = pass.final_state();
    d_final.visit_mut(&mut |_, tensor| {
        (0..tensor.len()).try_for_each(|k| tensor.write(k, &[draw()]))
    })?;
    let upstream = Upstream::outputs(d_outputs.view()).final_state(&d_final);
    let back = layer.backward(&pass, upstream)?;

    let mut nudged = Nudged {
        layer: layer.clone(),
        xs: xs.xs().to_owned(),
        lengths: (0..xs.xs().dim().1).map(|b| xs.length(b)).collect(),
        s0: s0.clone(),
        d_outputs,
        d_final: numbers(&d_final)?,
        ahead: None,
        behind: None,
    };
    let mut compared = Vec::new();
    for (side, name, found) in [
        (Side::Layer, "grads", &back.grads as &dyn TensorSet),
        (Side::Inputs, "d_inputs", &back.d_inputs),
        (Side::State, "d_state0", &back.d_state0),
    ] {
        let (found, of) = (tensors(found)?, tensors(nudged.side(side))?);
        pair(&found, &of)?;
        for (index, found) in found.into_iter().enumerate() {
            let slopes = 0..found.values.len();
            let slopes = slopes.map(|k| nudged.slope(side, index, k));
            let expected = slopes.collect::<Result<Vec<_>>>()?;
            compared.push((name, found, expected));
        }
    }
    Ok(GradCheck::of(&compared))
}

/// Numbers between a half and three halves in magnitude, of either sign (a golden-ratio sequence).
fn weights() -> impl FnMut() -> f64 {
    let mut x = 0.0_f64;
    move || {
        x = (x + 0.618_033_988_749_895) % 1.0;
        let magnitude = 0.5 + x;
        if ((x * 64.0) as u32).is_multiple_of(2) {
            magnitude
        } else {
            -magnitude
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_of_either_sign_and_never_small() {
        let mut draw = weights();
        let drawn: Vec<f64> = (0..1000).map(|_| draw()).collect();
        assert!(drawn.iter().all(|w| (0.5..1.5).contains(&w.abs())));
        let negative = drawn.iter().filter(|w| **w < 0.0).count();
        assert!((400..600).contains(&negative), "{negative}");
    }
}
