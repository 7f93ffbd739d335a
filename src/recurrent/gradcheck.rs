//! Gradients against the slopes they claim to be.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use ndarray::{Array3, Zip};

use super::layer::nothing;
use super::{Layer, Sequence, Trace, Upstream};
use crate::tensor::{Tensor, TensorMut};
use crate::{Error, Result, TensorSet, TensorSetMut};

/// The cube root of the unit in the last place, where rounding (u/ε) and curvature (ε²) err alike: near 1e-10.
const STEP: f64 = 6e-6;

/// Below this share of the largest slope of all, a difference tells nothing of a tensor's own.
const FLOOR: f64 = 1e-3;

/// Compares every gradient of a layer with central differences: of parameters, inputs and initial state.
///
/// ```text
/// L = Σ U ⊙ outputs + Σ V ⊙ final state        dL/dw ≈ (L(w + ε) − L(w − ε)) / 2ε,  ε = 6e-6·max(1, |w|)
/// ```
///
/// with numbers U and V between a half and three halves in magnitude, the same in each call; so outputs and final state
/// both send gradients back. It costs two forward passes for each number in the layer, its inputs and its state: take few
/// units and few steps. Next to a kink of the layer (a ReLU at zero) there is no slope to be found.
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
/// What the layer gives; [`Error::Name`] and [`Error::Count`] if its gradients are not of its parameters.
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

/// What [`gradcheck`] found: the place of each tensor where gradient and slope differ most.
///
/// # Examples
///
/// ```
/// use ndarray::{Array3, array};
/// use steadygrad::recurrent::{Activation, Layer, Rnn, gradcheck};
///
/// let rnn = Rnn::new(array![[0.5]], array![[2.0]], array![0.1], Activation::Tanh)?;
/// let check = gradcheck(&rnn, Array3::ones((3, 2, 1)).view(), &rnn.zero_state(2))?;
/// let tensors: Vec<&str> = check.deviations().iter().map(|at| at.tensor.as_str()).collect();
/// assert_eq!(tensors, ["grads.w_in", "grads.w_rec", "grads.bias", "d_inputs", "d_state0.h"]);
/// assert!(check.to_string().starts_with("11 derivatives, the worst "));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GradCheck {
    derivatives: usize,
    deviations: Vec<Deviation>,
}

/// A place where a gradient and the slope of the loss are compared.
///
/// # Examples
///
/// ```
/// use ndarray::{Array3, array};
/// use steadygrad::recurrent::{Activation, Layer, Rnn, gradcheck};
///
/// let rnn = Rnn::new(array![[0.5]], array![[2.0]], array![0.1], Activation::Identity)?;
/// let check = gradcheck(&rnn, Array3::zeros((3, 2, 1)).view(), &rnn.zero_state(2))?;
/// let inputs = &check.deviations()[3];
/// assert_eq!((inputs.tensor.as_str(), inputs.index.len()), ("d_inputs", 3));
/// assert!((inputs.found - inputs.expected).abs() <= inputs.relative * inputs.largest);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Deviation {
    /// Which tensor of a [`Backward`](super::Backward): `grads.w_in`, `d_inputs`, `d_state0.h`.
    pub tensor: String,
    /// Where in it, an index for each of its axes.
    pub index: Vec<usize>,
    /// The gradient that the layer gives.
    pub found: f64,
    /// The slope of the loss.
    pub expected: f64,
    /// Their difference, relative to the largest slope of the tensor or a thousandth of the largest of all, whichever is
    /// more; infinite if one of them is not finite.
    pub relative: f64,
    /// The largest slope of the tensor, by magnitude: where that is zero, nothing was checked but zeros.
    pub largest: f64,
}

impl GradCheck {
    fn of(compared: &[(&str, Found, Vec<f64>)]) -> Self {
        let largest = |slopes: &[f64]| slopes.iter().fold(0.0, |m, x| f64::max(m, x.abs()));
        let of_all = compared.iter().map(|(_, _, slopes)| largest(slopes));
        let floor = FLOOR * of_all.fold(0.0, f64::max);
        let deviations = compared.iter().filter_map(|(side, found, slopes)| {
            let largest = largest(slopes);
            let scale = largest.max(floor);
            let relative = |k: &usize| {
                let apart = (found.values[*k] - slopes[*k]).abs();
                match apart {
                    0.0 => 0.0,
                    _ if apart.is_finite() => apart / scale,
                    _ => f64::INFINITY,
                }
            };
            let worst = (0..slopes.len()).max_by(|a, b| relative(a).total_cmp(&relative(b)))?;
            let name = found.name.as_str();
            let dot = if name.is_empty() { "" } else { "." };
            Some(Deviation {
                tensor: [side, dot, name].concat(),
                index: unravel(worst, &found.dims),
                found: found.values[worst],
                expected: slopes[worst],
                relative: relative(&worst),
                largest,
            })
        });
        Self {
            derivatives: compared.iter().map(|(_, _, slopes)| slopes.len()).sum(),
            deviations: deviations.collect(),
        }
    }

    /// Whether no relative error is above `bound`. With 1e-7, what differences themselves err by is let pass in nets of
    /// some tens of steps, and a forgotten term is not.
    ///
    /// ```
    /// # use ndarray::{Array3, array};
    /// # use steadygrad::recurrent::{Activation, Layer, Rnn, gradcheck};
    /// let rnn = Rnn::new(array![[0.5]], array![[2.0]], array![0.1], Activation::Tanh)?;
    /// let check = gradcheck(&rnn, Array3::ones((3, 2, 1)).view(), &rnn.zero_state(2))?;
    /// assert!(check.is_within(1e-7) && !check.is_within(1e-16), "{check}");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn is_within(&self, bound: f64) -> bool {
        self.deviations.iter().all(|at| at.relative <= bound)
    }

    /// The place where gradient and slope differ most; none if there was nothing to compare.
    ///
    /// ```
    /// # use ndarray::{Array3, array};
    /// # use steadygrad::recurrent::{Activation, Layer, Rnn, gradcheck};
    /// let rnn = Rnn::new(array![[0.5]], array![[2.0]], array![0.1], Activation::Tanh)?;
    /// let check = gradcheck(&rnn, Array3::ones((3, 2, 1)).view(), &rnn.zero_state(2))?;
    /// assert!(check.worst().is_some_and(|worst| worst.relative < 1e-7));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn worst(&self) -> Option<&Deviation> {
        let places = self.deviations.iter();
        places.max_by(|a, b| a.relative.total_cmp(&b.relative))
    }

    /// The worst place of each tensor that has elements: parameters first, then inputs, then initial state.
    ///
    /// ```
    /// # use ndarray::{Array3, array};
    /// # use steadygrad::recurrent::{Activation, Layer, Rnn, gradcheck};
    /// let rnn = Rnn::new(array![[0.5]], array![[2.0]], array![0.1], Activation::Tanh)?;
    /// let check = gradcheck(&rnn, Array3::ones((3, 2, 1)).view(), &rnn.zero_state(2))?;
    /// // None of the gradients is zero everywhere, where an agreement would tell little:
    /// assert!(check.deviations().iter().all(|at| at.largest > 1e-3));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn deviations(&self) -> &[Deviation] {
        &self.deviations
    }
}

impl fmt::Display for GradCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} derivatives", self.derivatives)?;
        match self.worst() {
            Some(worst) => write!(f, ", the worst {worst}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{:?}: found {:.9e}, expected {:.9e}, a relative error of {:.1e}",
            self.tensor, self.index, self.found, self.expected, self.relative
        )
    }
}

/// What is nudged.
#[derive(Clone, Copy)]
enum Side {
    Layer,
    Inputs,
    State,
}

/// A copy of everything that a pass takes, one number of which is moved a little to either side.
struct Nudged<L: Layer<Elem = f64>> {
    layer: L,
    xs: Array3<f64>,
    lengths: Vec<usize>,
    s0: L::State,
    d_outputs: Array3<f64>,
    d_final: Vec<f64>,
    ahead: Option<L::Pass>,
    behind: Option<L::Pass>,
}

impl<L: Layer<Elem = f64>> Nudged<L> {
    fn side(&mut self, side: Side) -> &mut dyn TensorSetMut {
        match side {
            Side::Layer => &mut self.layer,
            Side::Inputs => &mut self.xs,
            Side::State => &mut self.s0,
        }
    }

    /// The slope of the loss along element k of a tensor.
    fn slope(&mut self, side: Side, tensor: usize, k: usize) -> Result<f64> {
        let kept = at(self.side(side), tensor, k, None)?;
        let step = STEP * kept.abs().max(1.0);
        let (above, below) = (kept + step, kept - step);

        at(self.side(side), tensor, k, Some(above))?;
        let xs = Sequence::new(self.xs.view()).lengths(&self.lengths)?;
        self.layer.forward_into(xs, &self.s0, &mut self.ahead)?;
        at(self.side(side), tensor, k, Some(below))?;
        let xs = Sequence::new(self.xs.view()).lengths(&self.lengths)?;
        self.layer.forward_into(xs, &self.s0, &mut self.behind)?;
        at(self.side(side), tensor, k, Some(kept))?;

        let (Some(ahead), Some(behind)) = (&self.ahead, &self.behind) else {
            return Err(nothing("passes that a layer made"));
        };
        // Differences before sums: those of what does not change are zero, and add no rounding.
        let mut apart = 0.0;
        Zip::from(&ahead.outputs())
            .and(&behind.outputs())
            .and(&self.d_outputs)
            .for_each(|above, below, d| apart += d * (above - below));
        let (ahead, behind) = (ahead.final_state(), behind.final_state());
        let ends = numbers(&ahead)?.into_iter().zip(numbers(&behind)?);
        for ((above, below), d) in ends.zip(&self.d_final) {
            apart += d * (above - below);
        }
        Ok(apart / (above - below))
    }
}

/// A tensor that was read.
struct Found {
    name: String,
    dims: Vec<usize>,
    values: Vec<f64>,
}

fn tensors(set: &(impl TensorSet + ?Sized)) -> Result<Vec<Found>> {
    let mut tensors = Vec::new();
    set.visit(&mut |name, tensor| {
        let mut values = alloc::vec![0.0; tensor.len()];
        tensor.read(0, &mut values)?;
        let dims = tensor
            .dims()
            .map_or_else(|| Vec::from([tensor.len()]), Vec::from);
        tensors.push(Found {
            name: name.into(),
            dims,
            values,
        });
        Ok(())
    })?;
    Ok(tensors)
}

fn numbers(set: &(impl TensorSet + ?Sized)) -> Result<Vec<f64>> {
    let tensors = tensors(set)?.into_iter();
    Ok(tensors.flat_map(|tensor| tensor.values).collect())
}

/// Refuses gradients that are not those of `of`.
fn pair(found: &[Found], of: &[Found]) -> Result<()> {
    if found.len() != of.len() {
        return Err(Error::Count {
            what: "gradient tensors",
            expected: of.len(),
            found: found.len(),
        });
    }
    for (index, (found, of)) in found.iter().zip(of).enumerate() {
        if found.name != of.name {
            return Err(Error::Name {
                index,
                expected: of.name.clone(),
                found: found.name.clone(),
            });
        }
        if found.values.len() != of.values.len() {
            return Err(Error::Count {
                what: "elements of a gradient",
                expected: of.values.len(),
                found: found.values.len(),
            });
        }
    }
    Ok(())
}

/// Element k of a tensor of a set, which is first written if there is something to write.
fn at(set: &mut dyn TensorSetMut, tensor: usize, k: usize, write: Option<f64>) -> Result<f64> {
    let (mut next, mut value) = (0, [0.0]);
    set.visit_mut(&mut |_, found: &mut dyn TensorMut| {
        if next == tensor {
            if let Some(write) = write {
                found.write(k, &[write])?;
            }
            found.read(k, &mut value)?;
        }
        next += 1;
        Ok(())
    })?;
    Ok(value[0])
}

/// The index of the k-th element in row-major order, an index for each axis.
fn unravel(mut k: usize, dims: &[usize]) -> Vec<usize> {
    let mut index = Vec::from(dims);
    for place in index.iter_mut().rev() {
        let len = (*place).max(1);
        *place = k % len;
        k /= len;
    }
    index
}

/// Numbers between a half and three halves in magnitude, of either sign (a golden-ratio sequence).
fn weights() -> impl FnMut() -> f64 {
    let mut x = 0.0_f64;
    move || {
        x = (x + 0.618_033_988_749_895) % 1.0;
        let magnitude = 0.5 + x;
        if (x * 64.0) as u32 % 2 == 0 {
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
    fn an_index_is_row_major() {
        assert_eq!(unravel(7, &[2, 5]), [1, 2]);
        assert_eq!(unravel(59, &[3, 4, 5]), [2, 3, 4]);
        assert_eq!(unravel(3, &[9]), [3]);
        assert!(unravel(0, &[]).is_empty());
    }

    #[test]
    fn weights_are_of_either_sign_and_never_small() {
        let mut draw = weights();
        let drawn: Vec<f64> = (0..1000).map(|_| draw()).collect();
        assert!(drawn.iter().all(|w| (0.5..1.5).contains(&w.abs())));
        let negative = drawn.iter().filter(|w| **w < 0.0).count();
        assert!((400..600).contains(&negative), "{negative}");
    }
}
