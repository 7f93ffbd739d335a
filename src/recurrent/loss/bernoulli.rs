//! The cross-entropy of yes or no.

#![expect(clippy::needless_pass_by_value, reason = "views are given as they are")]

use ndarray::{Array3, ArrayView3, Axis};
use num_traits::Float;

use super::Counted;
use crate::recurrent::Real;
use crate::recurrent::linear::check;
use crate::{Error, Result};

/// The mean binary cross-entropy over all elements that count, of logits and targets `[time, batch, features]`, and its
/// gradient: PyTorch's `binary_cross_entropy_with_logits`.
///
/// ```text
/// L = −Σ (y·log σ(z) + (1 − y)·log(1 − σ(z))) / N        ∂L/∂z = (σ(z) − y) / N
/// ```
///
/// A target y is the probability of a yes: 0, 1, or between. No logarithm of a rounded probability is taken, so that
/// logits of any finite size are right: a sure and right prediction has the tiny loss it has, not 0. NaN shows in
/// the loss and in the gradient where it stands.
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use steadygrad::recurrent::loss;
///
/// let logits = array![[[0.0, -800.0, 800.0]]];
/// let (loss, d_logits) = loss::bernoulli(logits.view(), array![[[1.0, 0.0, 0.0]]].view())?;
/// assert_eq!(loss, (2.0_f64.ln() + 0.0 + 800.0) / 3.0);
/// assert_eq!(d_logits, array![[[-0.5 / 3.0, 0.0, 1.0 / 3.0]]]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Shape`] if targets and logits differ in shape, [`Error::Setting`] if a target that counts is not in [0, 1],
/// or if nothing counts.
pub fn bernoulli<'a, A: Real>(
    logits: impl Into<Counted<'a, A>>,
    targets: ArrayView3<'_, A>,
) -> Result<(f64, Array3<A>)> {
    let mut d_logits = Array3::zeros((0, 0, 0));
    let loss = bernoulli_into(logits, targets, &mut d_logits)?;
    Ok((loss, d_logits))
}

/// [`bernoulli`] with its gradient in an array that is used again; one of another shape is replaced. After an
/// error it holds nothing of meaning.
///
/// # Examples
///
/// ```
/// use ndarray::{Array3, array};
/// use steadygrad::recurrent::loss;
///
/// let mut d_logits = Array3::zeros((0, 0, 0)); // one for the whole training
/// for y in [0.0, 1.0] {
///     let loss = loss::bernoulli_into(array![[[0.0]]].view(), array![[[y]]].view(), &mut d_logits)?;
///     assert_eq!((loss, d_logits[[0, 0, 0]]), (2.0_f64.ln(), 0.5 - y));
/// }
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// As [`bernoulli`].
pub fn bernoulli_into<'a, A: Real>(
    logits: impl Into<Counted<'a, A>>,
    targets: ArrayView3<'_, A>,
    d_logits: &mut Array3<A>,
) -> Result<f64> {
    let logits = logits.into();
    let shape = logits.outputs();
    check("targets", targets.shape(), shape.shape())?;
    logits.mean(shape.dim().2, d_logits, |step, mut d_logits| {
        let (t, b) = step.at;
        let targets = targets.index_axis(Axis(0), t);
        let targets = targets.index_axis(Axis(0), b);
        let mut sum = 0.0;
        for ((d, z), y) in d_logits.iter_mut().zip(step.outputs).zip(targets) {
            let (z, y) = (z.widen(), y.widen());
            if !(0.0..=1.0).contains(&y) {
                return Err(Error::Setting {
                    what: "target",
                    expected: "a probability, from 0 to 1",
                    found: y,
                });
            }
            // By its sign the logit says one of the two; `against` is the target's share of the other.
            let (sign, against) = if z > 0.0 { (1.0, 1.0 - y) } else { (-1.0, y) };
            let e = Float::exp(-Float::abs(z));
            sum += Float::abs(z) * against + Float::ln_1p(e);
            *d = A::narrow(sign * (against - e / (1.0 + e)) * step.scale);
        }
        Ok(sum)
    })
}
