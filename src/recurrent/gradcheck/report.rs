//! What a check of gradients finds.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::nudged::Found;

/// Below this share of the largest slope of all, a difference tells nothing of a tensor's own.
const FLOOR: f64 = 1e-3;

/// What [`gradcheck`](super::gradcheck) found: the place of each tensor where gradient and slope differ most.
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
    /// Which tensor of a [`Backward`](crate::recurrent::Backward): `grads.w_in`, `d_inputs`, `d_state0.h`.
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
    pub(super) fn of(compared: &[(&str, Found, Vec<f64>)]) -> Self {
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
}
