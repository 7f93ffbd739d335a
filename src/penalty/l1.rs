//! The sum of magnitudes.

use super::{Choice, Penalty, strength};
use crate::{Covers, Result};

/// The sum of magnitudes times a strength: drives weights to zero.
///
/// ```text
/// λ Σ|w|,   subgradient λ·sign(w), 0 at w = 0
/// ```
///
/// # Examples
///
/// ```
/// use steadygrad::penalty::{Penalty, L1};
///
/// let (weights, mut grads) = ([2.0_f64, 0.0, -3.0], [0.0_f64; 3]);
/// assert_eq!(L1::new(0.5)?.apply(&weights, &mut grads)?, 2.5);
/// assert_eq!(grads, [0.5, 0.0, -0.5]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// Tibshirani, "Regression shrinkage and selection via the lasso", 1996.
#[derive(Clone, Debug, PartialEq)]
pub struct L1 {
    lambda: f64,
    choice: Choice,
}

impl L1 {
    /// A penalty of this strength on every tensor but biases.
    ///
    /// ```
    /// use steadygrad::penalty::{L1, Penalty};
    /// assert_eq!(L1::new(0.5)?.value(&[2.0, -4.0])?, 3.0);
    /// assert_eq!(
    ///     L1::new(-1.0).unwrap_err().to_string(),
    ///     "strength of L1: expected a finite number ≥ 0, found -1",
    /// );
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if `lambda` is negative or not finite.
    pub fn new(lambda: f64) -> Result<Self> {
        Ok(Self {
            lambda: strength("strength of L1", lambda)?,
            choice: Choice::default(),
        })
    }

    /// Chooses the tensors by their names: by a function, which may capture, or by how they begin.
    ///
    /// ```
    /// use steadygrad::penalty::{L1, Penalty};
    /// let weights = [("w_in", [2.0]), ("w_rec", [-4.0])];
    /// assert_eq!(L1::new(0.5)?.on(|name: &str| name == "w_in").value(&weights)?, 1.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn on(self, covers: impl Into<Covers>) -> Self {
        Self {
            choice: Choice(Some(covers.into())),
            ..self
        }
    }
}

/// −1, 0 or 1; NaN for NaN.
#[inline(always)]
pub(super) fn sign(w: f64) -> f64 {
    // What is not zero becomes at least 1 this way, in two steps since one factor cannot do it.
    let far = w * HUGE * HUGE;
    let above = if far < -1.0 { -1.0 } else { far };
    if above > 1.0 { 1.0 } else { above }
}

/// 2^540
const HUGE: f64 = f64::from_bits((1023 + 540) << 52);

impl Penalty for L1 {
    #[inline(always)]
    fn at(&self, w: f64) -> (f64, f64) {
        let slope = self.lambda * sign(w);
        (slope * w, slope)
    }

    fn covers(&self, name: &str, dims: Option<&[usize]>) -> bool {
        self.choice.covers(name, dims)
    }
}

#[cfg(test)]
mod tests {
    use super::sign;

    #[test]
    fn the_sign_of_every_kind_of_number() {
        let least = f64::from_bits(1);
        for x in [
            least,
            f64::MIN_POSITIVE,
            1e-30,
            1.0,
            1.5,
            f64::MAX,
            f64::INFINITY,
        ] {
            assert_eq!((sign(x), sign(-x)), (1.0, -1.0), "{x:e}");
        }
        assert_eq!((sign(0.0), sign(-0.0)), (0.0, 0.0));
        assert!(sign(f64::NAN).is_nan() && sign(-f64::NAN).is_nan());
    }
}
