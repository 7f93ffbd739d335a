//! The numbers a tensor can hold.

use crate::number::Number;
use crate::set::TensorSetMut;

/// A floating-point element type: `f32`, `f64`, and with the feature `half` also `f16` and `bf16`.
///
/// Everything the crate decides, it decides in `f64`. An element only needs to enter `f64`, which is
/// exact for every type here, and to leave it again with a single rounding.
///
/// The trait is sealed: the kernels know each of its types.
///
/// # Examples
///
/// ```
/// use steadygrad::Element;
///
/// assert_eq!(f32::narrow(0.1), 0.1_f32);
/// assert_eq!(0.1_f32.widen(), f64::from(0.1_f32));
/// // 0.1 as an f32 lies above 0.1; a bound may not grow, so it takes the float below.
/// assert!(f32::toward_zero(0.1).widen() < 0.1);
/// ```
pub trait Element: Number + TensorSetMut {
    /// The type's name, as Rust spells it.
    ///
    /// ```
    /// use steadygrad::Element;
    /// fn of<E: Element>(_: &[E]) -> &'static str { E::NAME }
    /// assert_eq!(of(&[0.5_f32]), "f32");
    /// ```
    const NAME: &'static str;

    /// The value as an `f64`, exactly.
    ///
    /// ```
    /// use steadygrad::Element;
    /// assert_eq!(0.1_f32.widen(), 0.100_000_001_490_116_12);
    /// ```
    #[inline]
    fn widen(self) -> f64 {
        self.exact()
    }

    /// The element nearest to `x`, ties to even, rounded once.
    ///
    /// ```
    /// use steadygrad::Element;
    /// assert_eq!(f32::narrow(16_777_217.0), 16_777_216.0);   // half way: to the even one
    /// assert_eq!(f32::narrow(1e300), f32::INFINITY);
    /// ```
    #[must_use]
    #[inline]
    fn narrow(x: f64) -> Self {
        Self::near(x)
    }

    /// The element nearest to `x` among those no larger in magnitude. Infinities and NaN stay.
    ///
    /// ```
    /// use steadygrad::Element;
    /// assert_eq!(f32::toward_zero(1e300), f32::MAX);
    /// assert_eq!(f32::toward_zero(f64::INFINITY), f32::INFINITY);
    /// assert!(f32::toward_zero(-0.1).widen() > -0.1);
    /// ```
    #[must_use]
    #[inline]
    fn toward_zero(x: f64) -> Self {
        Self::inward(x)
    }
}

macro_rules! elements {
    ($($t:ty, $name:literal);*) => {$(
        impl Element for $t {
            const NAME: &'static str = $name;
        }
    )*};
}

elements!(f32, "f32"; f64, "f64");
#[cfg(feature = "half")]
elements!(half::f16, "f16"; half::bf16, "bf16");
