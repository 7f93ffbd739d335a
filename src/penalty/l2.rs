//! The sum of squares.

use super::{Choice, Penalty, strength};
use crate::{Covers, Result};

/// Half the sum of squares times a strength: weight decay.
///
/// ```text
/// (λ/2) Σw²,   gradient λ·w
/// ```
///
/// As PyTorch and optax have it; what Keras calls `l2(λ)` is `L2::new(2.0 * λ)`.
///
/// # Examples
///
/// ```
/// use steadygrad::penalty::{Penalty, L2};
///
/// let params = [("w", vec![3.0_f32, 4.0]), ("bias", vec![100.0])];
/// let mut grads = [("w", vec![0.0_f32, 0.0]), ("bias", vec![0.0])];
/// let penalty = L2::new(0.1)?.apply(&params, &mut grads)?;
/// assert_eq!(penalty, 1.25);   // biases are left out
/// assert_eq!(grads, [("w", vec![0.3, 0.4]), ("bias", vec![0.0])]);
///
/// assert_eq!(L2::new(0.5)?.on(|name: &str| name == "bias").value(&params)?, 2500.0);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// Hoerl and Kennard, "Ridge regression", 1970; Krogh and Hertz, "A simple weight decay can improve
/// generalization", 1992.
#[derive(Clone, Debug, PartialEq)]
pub struct L2 {
    lambda: f64,
    choice: Choice,
}

impl L2 {
    /// A penalty of this strength on every tensor but biases.
    ///
    /// ```
    /// use steadygrad::penalty::{L2, Penalty};
    /// assert_eq!(L2::new(0.5)?.value(&[2.0, -4.0])?, 5.0);
    /// assert!(L2::new(f64::INFINITY).is_err());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if `lambda` is negative or not finite.
    pub fn new(lambda: f64) -> Result<Self> {
        Ok(Self {
            lambda: strength("strength of L2", lambda)?,
            choice: Choice::default(),
        })
    }

    /// Chooses the tensors by their names: by a function, which may capture, or by how they begin.
    ///
    /// ```
    /// use steadygrad::penalty::{L2, Penalty};
    /// let weights = [("w", [2.0]), ("bias", [4.0])];
    /// assert_eq!(L2::new(0.5)?.value(&weights)?, 1.0);
    /// assert_eq!(L2::new(0.5)?.on(|_name: &str| true).value(&weights)?, 5.0);
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

impl Penalty for L2 {
    #[inline(always)]
    fn at(&self, w: f64) -> (f64, f64) {
        let slope = self.lambda * w;
        // In this order a small λ keeps the square of a large w within range.
        (0.5 * slope * w, slope)
    }

    fn covers(&self, name: &str, dims: Option<&[usize]>) -> bool {
        self.choice.covers(name, dims)
    }
}
