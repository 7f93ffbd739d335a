//! The squared error.

#![expect(clippy::needless_pass_by_value, reason = "views are given as they are")]

use ndarray::{Array3, ArrayView3, Axis, Zip};

use super::Counted;
use crate::Result;
use crate::recurrent::Real;
use crate::recurrent::linear::check;

/// The mean squared error over all elements that count, and its gradient: PyTorch's `mse_loss`.
///
/// ```text
/// L = Σ (y − target)² / N        ∂L/∂y = 2·(y − target) / N
/// ```
///
/// N counts the elements, `[time, batch, features]`, and there is no ½. NaN, in an output or a target, shows in the loss
/// and in the gradient where it stands.
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use steadygrad::recurrent::loss;
///
/// let outputs = array![[[1.0, 2.0]], [[3.0, 4.0]]];
/// let (loss, d_outputs) = loss::squared_error(outputs.view(), array![[[1.0, 2.0]], [[3.0, 0.0]]].view())?;
/// assert_eq!(loss, 4.0);   // 16 / 4
/// assert_eq!(d_outputs, array![[[0.0, 0.0]], [[0.0, 2.0]]]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Shape`](crate::Error::Shape) if targets and outputs differ in shape,
/// [`Error::Setting`](crate::Error::Setting) if nothing counts.
pub fn squared_error<'a, A: Real>(
    outputs: impl Into<Counted<'a, A>>,
    targets: ArrayView3<'_, A>,
) -> Result<(f64, Array3<A>)> {
    let mut d_outputs = Array3::zeros((0, 0, 0));
    let loss = squared_error_into(outputs, targets, &mut d_outputs)?;
    Ok((loss, d_outputs))
}

/// [`squared_error`] with its gradient in an array that is used again; one of another shape is replaced. After an
/// error it holds nothing of meaning.
///
/// # Examples
///
/// ```
/// use ndarray::{Array3, array};
/// use steadygrad::recurrent::loss;
///
/// let mut d_outputs = Array3::zeros((0, 0, 0)); // one for the whole training
/// for y in [1.0, 2.0] {
///     let loss = loss::squared_error_into(array![[[y]]].view(), array![[[0.0]]].view(), &mut d_outputs)?;
///     assert_eq!((loss, d_outputs[[0, 0, 0]]), (y * y, 2.0 * y));
/// }
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// As [`squared_error`].
pub fn squared_error_into<'a, A: Real>(
    outputs: impl Into<Counted<'a, A>>,
    targets: ArrayView3<'_, A>,
    d_outputs: &mut Array3<A>,
) -> Result<f64> {
    let outputs = outputs.into();
    let shape = outputs.outputs();
    check("targets", targets.shape(), shape.shape())?;
    outputs.mean(shape.dim().2, d_outputs, |step, mut d_outputs| {
        let (t, b) = step.at;
        let targets = targets.index_axis(Axis(0), t);
        let targets = targets.index_axis(Axis(0), b);
        let mut sum = 0.0;
        Zip::from(&mut d_outputs)
            .and(step.outputs)
            .and(targets)
            .for_each(|d, &y, &target| {
                let apart = y.widen() - target.widen();
                sum += apart * apart;
                *d = A::narrow(2.0 * apart * step.scale);
            });
        Ok(sum)
    })
}
