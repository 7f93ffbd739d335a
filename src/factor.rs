//! What gradients are scaled by.

use crate::{Error, Result, Wide, math};

/// A factor `m · 2^e ≥ 0` for scaling.
///
/// Clipping the `f64` gradient `[MAX, MAX]` to 1e-300 takes the factor 4e-609, which no `f64` can hold.
///
/// # Examples
///
/// ```
/// use steadygrad::{Factor, Wide};
///
/// let half = Factor::ratio(Wide::from(1.0), Wide::from(2.0));
/// assert_eq!(half.times(3.0), 1.5);
///
/// let far = Factor::ratio(Wide::from(1e-300), Wide::from(1e308));
/// assert_eq!(far.to_f64(), 0.0);
/// assert_eq!((far.times(1e308) / 1e-300 - 1.0).abs() < 1e-15, true);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Factor(Wide);

impl Factor {
    /// Changes nothing.
    ///
    /// ```
    /// use steadygrad::Factor;
    /// let half = Factor::new(0.5)?;
    /// assert_eq!(Factor::ONE.then(half), half);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub const ONE: Self = Self(Wide::ONE);

    /// A factor from a number.
    ///
    /// ```
    /// use steadygrad::Factor;
    /// assert_eq!(Factor::new(0.5)?.then(Factor::new(0.25)?).to_f64(), 0.125);
    /// assert!(Factor::new(-1.0).is_err());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `x` is negative or not finite.
    pub fn new(x: f64) -> Result<Self> {
        if x >= 0.0 && x.is_finite() {
            Ok(Self(Wide::from(x)))
        } else {
            Err(Error::Setting {
                what: "factor",
                expected: "a finite number ≥ 0",
                found: x,
            })
        }
    }

    /// `target / norm`: what scales a gradient of norm `norm` to norm `target`. One if the quotient
    /// is not finite, so that no NaN can come of it.
    ///
    /// ```
    /// use steadygrad::{Factor, Wide};
    /// assert_eq!(Factor::ratio(Wide::from(1.0), Wide::from(8.0)).to_f64(), 0.125);
    /// assert_eq!(Factor::ratio(Wide::ONE, Wide::ZERO), Factor::ONE);   // nothing to scale
    /// assert_eq!(Factor::ratio(Wide::ONE, Wide::NAN), Factor::ONE);    // no norm to go by
    /// ```
    #[must_use]
    pub fn ratio(target: Wide, norm: Wide) -> Self {
        let quotient = target / norm;
        if quotient.is_finite() {
            Self(quotient)
        } else {
            Self::ONE
        }
    }

    /// Both factors in one.
    ///
    /// ```
    /// use steadygrad::Factor;
    /// let (tiny, huge) = (Factor::new(1e-300)?, Factor::new(1e300)?);
    /// assert_eq!(tiny.then(tiny).to_f64(), 0.0);   // for an f64; the factor knows better
    /// assert!((tiny.then(tiny).then(huge).then(huge).to_f64() - 1.0).abs() < 1e-14);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        Self(self.0 * next.0)
    }

    /// `x` times the factor.
    ///
    /// ```
    /// use steadygrad::Factor;
    /// assert_eq!(Factor::new(0.25)?.times(-8.0), -2.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn times(self, x: f64) -> f64 {
        let [a, b, c] = self.in_steps();
        x * a * b * c
    }

    /// The nearest `f64`; 0 or +∞ out of its range.
    ///
    /// ```
    /// use steadygrad::{Factor, Wide};
    /// assert_eq!(Factor::ratio(Wide::from(3.0), Wide::from(4.0)).to_f64(), 0.75);
    /// assert_eq!(Factor::ratio(Wide::ONE, Wide::new(1.0, 2000)).to_f64(), 0.0);
    /// ```
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0.to_f64()
    }

    /// The factor as a [`Wide`].
    ///
    /// ```
    /// use steadygrad::{Factor, Wide};
    /// let factor = Factor::ratio(Wide::ONE, Wide::new(1.0, 2000));
    /// assert_eq!(factor.to_wide(), Wide::new(1.0, -2000));   // as an f64 it would be 0
    /// ```
    #[must_use]
    pub fn to_wide(self) -> Wide {
        self.0
    }

    pub(crate) fn min(self, other: Self) -> Self {
        if other < self { other } else { self }
    }

    /// Three `f64`s that multiply to the factor, and that applied in turn round like it: what
    /// shrinks loses nothing but what the result cannot hold, what grows is exact up to the last.
    /// One is enough, with two ones behind it, unless the factor is out of the range of normal `f64`s.
    pub(crate) fn in_steps(self) -> [f64; 3] {
        let (m, e) = self.0.parts();
        if (-1022..=1023).contains(&e) {
            return [self.0.to_f64(), 1.0, 1.0];
        }
        // Beyond 2^±2100 every f64 becomes 0 or infinite.
        let e = e.clamp(-2100, 2100);
        let third = e / 3;
        [
            math::pow2(third),
            math::pow2(third),
            m * math::pow2(e - 2 * third),
        ]
    }
}
