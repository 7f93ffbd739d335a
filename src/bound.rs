//! A bound as code or a configuration gives it.

use crate::{Error, Result};

/// How large something may be at most, as code or a configuration gives it: an `f64`, an `f32`, or an `Option` of one,
/// whose `None` is no bound, as +∞ is. **A bound of 0 is a bound**: clippers zero by it.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, Guard};
///
/// struct Config { max_grad_norm: Option<f64>, clip_value: f32 }
///
/// let config = Config { max_grad_norm: None, clip_value: 2.0 };
/// let mut guard = Guard::new()
///     .clip(clip::Value::new(config.clip_value)?)
///     .clip(clip::GlobalNorm::new(config.max_grad_norm)?);
/// let mut grads = [3.0, 1.0];
/// assert!(guard.step(&mut grads)?.verdict().is_apply());
/// assert_eq!(grads, [2.0, 1.0]);   // by value alone
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// Where a configuration writes 0 for *off*, this says so:
///
/// ```
/// # use steadygrad::clip;
/// let max_grad_norm = 0.0_f32;
/// let clipped = clip::global_norm(&mut [3.0, 4.0], (max_grad_norm > 0.0).then_some(max_grad_norm))?;
/// assert!(!clipped.is_clipped());
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bound(Option<f64>);

/// How it is told that a bound of 0 has left nothing.
pub(crate) const ZEROED: &str = "zeroed by a bound of 0";

impl Bound {
    /// The number, or this where there is no bound.
    pub(crate) fn or(self, none: f64) -> f64 {
        self.0.unwrap_or(none)
    }

    /// The number, if it can be one that sizes are compared with; +∞ where there is no bound.
    pub(crate) fn of_size(self, what: &'static str) -> Result<f64> {
        let found = self.or(f64::INFINITY);
        if found >= 0.0 {
            // The magnitude, since a negative zero would print as one, and give zeros of both signs.
            Ok(found.abs())
        } else {
            Err(Error::Setting {
                what,
                expected: "a number ≥ 0",
                found,
            })
        }
    }
}

impl From<f64> for Bound {
    fn from(bound: f64) -> Self {
        Self(Some(bound))
    }
}

impl From<f32> for Bound {
    fn from(bound: f32) -> Self {
        Self(Some(bound.into()))
    }
}

impl From<Option<f64>> for Bound {
    fn from(bound: Option<f64>) -> Self {
        Self(bound)
    }
}

impl From<Option<f32>> for Bound {
    fn from(bound: Option<f32>) -> Self {
        Self(bound.map(f64::from))
    }
}
