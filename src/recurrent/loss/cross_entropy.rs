//! The cross-entropy of classes.

#![expect(clippy::needless_pass_by_value, reason = "views are given as they are")]

use ndarray::{Array3, ArrayView2};
use num_traits::Float;

use super::Counted;
use super::counted::Step;
use crate::recurrent::Real;
use crate::recurrent::linear::check;
use crate::{Error, Result};

/// The mean cross-entropy over all steps that count, of logits `[time, batch, classes]` and the class `[time, batch]` that
/// was right, and its gradient: PyTorch's `cross_entropy`.
///
/// ```text
/// L = Σ_steps (log Σ_k e^{z_k} − z_target) / N        ∂L/∂z_k = (p_k − [k = target]) / N        p = softmax z
/// ```
///
/// The largest logit is taken out of the sum, so that logits of any size are right: a sure and right prediction has
/// the tiny loss it has, not 0, and its gradient is the share of the other classes. A logit of −∞ rules its class
/// out; NaN and +∞ make the loss and the step's gradient NaN.
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use steadygrad::recurrent::loss;
///
/// let logits = array![[[0.0, 0.0, 0.0, 0.0]], [[1000.0, 0.0, 0.0, 0.0]]];
/// let (loss, d_logits) = loss::cross_entropy(logits.view(), array![[2], [0]].view())?;
/// assert_eq!(loss, 4.0_f64.ln() / 2.0);   // of not knowing, and of knowing
/// assert_eq!(d_logits, array![[[0.125, 0.125, -0.375, 0.125]], [[0.0, 0.0, 0.0, 0.0]]]);
///
/// let error = loss::cross_entropy(logits.view(), array![[2], [4]].view()).unwrap_err();
/// assert_eq!(error.to_string(), "target: expected a class that the logits have, found 4");
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Shape`] if there is not one target for each step, [`Error::Setting`] if a target of a step that counts is not
/// below the number of classes, or if nothing counts.
pub fn cross_entropy<'a, A: Real>(
    logits: impl Into<Counted<'a, A>>,
    targets: ArrayView2<'_, usize>,
) -> Result<(f64, Array3<A>)> {
    let mut d_logits = Array3::zeros((0, 0, 0));
    let loss = cross_entropy_into(logits, targets, &mut d_logits)?;
    Ok((loss, d_logits))
}

/// [`cross_entropy`] with its gradient in an array that is used again; one of another shape is replaced. After an
/// error it holds nothing of meaning.
///
/// # Examples
///
/// ```
/// use ndarray::{Array3, array};
/// use steadygrad::recurrent::loss;
///
/// let mut d_logits = Array3::zeros((0, 0, 0)); // one for the whole training
/// for class in [0, 1] {
///     let loss = loss::cross_entropy_into(array![[[0.0, 0.0]]].view(), array![[class]].view(), &mut d_logits)?;
///     assert_eq!((loss, d_logits[[0, 0, class]]), (2.0_f64.ln(), -0.5));
/// }
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// As [`cross_entropy`].
pub fn cross_entropy_into<'a, A: Real>(
    logits: impl Into<Counted<'a, A>>,
    targets: ArrayView2<'_, usize>,
    d_logits: &mut Array3<A>,
) -> Result<f64> {
    let logits = logits.into();
    let (time, batch, classes) = logits.outputs().dim();
    check("targets", targets.shape(), &[time, batch])?;
    logits.mean(usize::from(classes > 0), d_logits, |step, mut d_z| {
        let target = targets[step.at];
        if target >= classes {
            return Err(Error::Setting {
                what: "target",
                expected: "a class that the logits have",
                found: target as f64,
            });
        }
        let Step {
            outputs: z, scale, ..
        } = step;
        let (mut largest, mut max) = (0, f64::NEG_INFINITY);
        for (k, z) in z.iter().enumerate() {
            if z.widen() > max {
                (largest, max) = (k, z.widen());
            }
        }
        // e^{z − max}; that of the largest is 1 and left out of the sum, where what is tiny beside it would be lost.
        let mut others = 0.0;
        for (k, (d_z, z)) in d_z.iter_mut().zip(z).enumerate() {
            let e = Float::exp(z.widen() - max);
            *d_z = A::narrow(e);
            // Of an infinite maximum, e is NaN and shall be seen.
            if k != largest || e.is_nan() {
                others += e;
            }
        }
        let whole = 1.0 + others;
        for (k, d_z) in d_z.iter_mut().enumerate() {
            let slope = match (k == target, k == largest) {
                (true, true) => -others / whole,
                (true, false) => d_z.widen() / whole - 1.0,
                (false, _) => d_z.widen() / whole,
            };
            *d_z = A::narrow(slope * scale);
        }
        Ok((max - z[target].widen()) + Float::ln_1p(others))
    })
}
