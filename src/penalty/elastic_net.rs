//! Both at once.

use super::l1::sign;
use super::{Choice, Penalty, strength};
use crate::{Covers, Result};

/// The sum of an [`L1`](super::L1) and an [`L2`](super::L2) penalty.
///
/// ```text
/// λ₁ Σ|w| + (λ₂/2) Σw²,   subgradient λ₁·sign(w) + λ₂·w
/// ```
///
/// # Examples
///
/// ```
/// use steadygrad::penalty::{ElasticNet, Penalty};
///
/// let (weights, mut grads) = ([2.0_f64, 0.0, -4.0], [0.0_f64; 3]);
/// assert_eq!(ElasticNet::new(0.5, 0.25)?.apply(&weights, &mut grads)?, 3.0 + 2.5);
/// assert_eq!(grads, [1.0, 0.0, -1.5]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// Zou and Hastie, "Regularization and variable selection via the elastic net", 2005.
#[derive(Clone, Debug, PartialEq)]
pub struct ElasticNet {
    l1: f64,
    l2: f64,
    choice: Choice,
}

impl ElasticNet {
    /// Penalties of these strengths on every tensor but biases.
    ///
    /// ```
    /// use steadygrad::penalty::{ElasticNet, L1, L2, Penalty};
    /// let weights = [2.0, -4.0];
    /// let sum = L1::new(0.5)?.value(&weights)? + L2::new(0.25)?.value(&weights)?;
    /// assert_eq!(ElasticNet::new(0.5, 0.25)?.value(&weights)?, sum);
    /// assert!(ElasticNet::new(0.5, -0.25).is_err());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if one is negative or not finite.
    pub fn new(l1: f64, l2: f64) -> Result<Self> {
        let l1 = strength("L1 strength of an elastic net", l1)?;
        let l2 = strength("L2 strength of an elastic net", l2)?;
        Ok(Self {
            l1,
            l2,
            choice: Choice::default(),
        })
    }

    /// Chooses the tensors by their names: by a function, which may capture, or by how they begin.
    ///
    /// ```
    /// use steadygrad::penalty::{ElasticNet, Penalty};
    /// let weights = [("encoder.w", [2.0]), ("head.w", [-4.0])];
    /// let penalty = ElasticNet::new(0.5, 0.25)?.on("head.");
    /// assert_eq!(penalty.value(&weights)?, 2.0 + 2.0);
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

impl Penalty for ElasticNet {
    #[inline(always)]
    fn at(&self, w: f64) -> (f64, f64) {
        let (edge, slope) = (self.l1 * sign(w), self.l2 * w);
        ((edge + 0.5 * slope) * w, edge + slope)
    }

    fn covers(&self, name: &str, dims: Option<&[usize]>) -> bool {
        self.choice.covers(name, dims)
    }
}
