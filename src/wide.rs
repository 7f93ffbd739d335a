//! Non-negative reals that outgrow `f64`: sums of squares, norms, factors.

use core::cmp::Ordering;

use crate::math;

/// A non-negative real number `m · 2^e` with the precision of an `f64` and an exponent that cannot
/// run out.
///
/// The norm of the `f64` gradient `[MAX, MAX]` is such a number, and so is the sum of squares of
/// anything above 1e154. NaN and +∞ are represented too, so that a norm of non-finite elements can
/// say what it is.
///
/// # Examples
///
/// ```
/// use steadygrad::Wide;
///
/// let max = Wide::from(f64::MAX);
/// let norm = (max * max + max * max).sqrt();      // √2 · MAX
/// assert_eq!(norm.to_f64(), f64::INFINITY);       // no f64 can hold it
/// assert!((norm / max).to_f64() - 2f64.sqrt() < 1e-15);
/// assert!(norm > max);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wide {
    /// In [1, 2), or 0, +∞, NaN with `e = 0`.
    m: f64,
    e: i64,
}

impl Wide {
    /// So that two exponents, and their sum, never overflow.
    const LIMIT: u64 = 1 << 60;

    /// Zero.
    ///
    /// ```
    /// use steadygrad::Wide;
    /// assert_eq!((Wide::ZERO + Wide::from(3.0)) * Wide::ZERO, Wide::ZERO);
    /// ```
    pub const ZERO: Self = Self { m: 0.0, e: 0 };
    /// One.
    ///
    /// ```
    /// use steadygrad::Wide;
    /// assert_eq!(Wide::new(3.0, 5000) * Wide::ONE, Wide::new(3.0, 5000));
    /// ```
    pub const ONE: Self = Self { m: 1.0, e: 0 };
    /// Not a number: unknown, or the sum of something that holds NaN.
    ///
    /// ```
    /// use steadygrad::Wide;
    /// assert!((Wide::NAN + Wide::ONE).to_f64().is_nan());
    /// assert_eq!(Wide::NAN.partial_cmp(&Wide::ONE), None);
    /// ```
    pub const NAN: Self = Self { m: f64::NAN, e: 0 };
    /// Plus infinity: the sum of something that holds an infinity.
    ///
    /// ```
    /// use steadygrad::Wide;
    /// assert!(Wide::INFINITY > Wide::new(1.0, 1_000_000));
    /// assert_eq!(Wide::INFINITY + Wide::ONE, Wide::INFINITY);
    /// ```
    pub const INFINITY: Self = Self {
        m: f64::INFINITY,
        e: 0,
    };

    /// `|x| · 2^e`; zero or +∞ past 2^(±2^60).
    ///
    /// ```
    /// use steadygrad::Wide;
    /// assert_eq!(Wide::new(3.0, -1).to_f64(), 1.5);
    /// ```
    #[must_use]
    #[inline]
    pub fn new(x: f64, e: i64) -> Self {
        let bits = x.to_bits() & !(1 << 63);
        let biased = (bits >> 52) as i64;
        if biased == 0x7ff || bits == 0 {
            return Self {
                m: f64::from_bits(bits),
                e: 0,
            };
        }
        if biased == 0 {
            return Self::new(x * math::pow2(64), e.saturating_sub(64));
        }
        let e = e.saturating_add(biased - 1023);
        if e.unsigned_abs() > Self::LIMIT {
            return if e > 0 { Self::INFINITY } else { Self::ZERO };
        }
        let m = f64::from_bits(bits & 0x000f_ffff_ffff_ffff | 0x3ff0_0000_0000_0000);
        Self { m, e }
    }

    /// The nearest `f64`: +∞ where it is too large, rounded once where it is subnormal.
    ///
    /// ```
    /// use steadygrad::Wide;
    /// assert_eq!(Wide::new(1.0, 2000).to_f64(), f64::INFINITY);
    /// assert_eq!(Wide::new(1.0, -1074).to_f64(), 5e-324);
    /// ```
    #[must_use]
    #[inline]
    pub fn to_f64(self) -> f64 {
        match self.e {
            0 => self.m,
            -1022..=1023 => self.m * math::pow2(self.e),
            1024.. => f64::INFINITY,
            // The first product is exact, so the second rounds once.
            -1100..=-1023 => self.m * math::pow2(-1000) * math::pow2(self.e + 1000),
            _ => 0.0,
        }
    }

    /// Neither NaN nor infinite.
    ///
    /// ```
    /// use steadygrad::Wide;
    /// assert!(Wide::new(1.0, 1_000_000).is_finite());
    /// assert!(!Wide::INFINITY.is_finite());
    /// ```
    #[must_use]
    #[inline]
    pub fn is_finite(self) -> bool {
        self.m.is_finite()
    }

    /// The correctly rounded square root.
    ///
    /// ```
    /// use steadygrad::Wide;
    /// assert_eq!(Wide::from(25.0).sqrt().to_f64(), 5.0);
    /// ```
    #[must_use]
    #[inline]
    pub fn sqrt(self) -> Self {
        let odd = self.e & 1;
        let m = if odd == 1 { 2.0 * self.m } else { self.m };
        Self::new(math::sqrt(m), (self.e - odd) / 2)
    }

    /// The `p`-th root.
    ///
    /// ```
    /// use steadygrad::Wide;
    /// let cube_root = Wide::new(1.0, 3000).root(3.0);
    /// assert_eq!(cube_root, Wide::new(1.0, 1000));
    /// ```
    #[must_use]
    pub fn root(self, p: f64) -> Self {
        if self.m == 0.0 || !self.is_finite() {
            return self;
        }
        // 2^(e/p) = 2^whole · 2^rest, the rest taken from e − whole·p, without rounding.
        let whole = math::floor(self.e as f64 / p);
        let (below, part) = exponent(whole as i64, p);
        let rest = ((self.e - below) as f64 - part) / p;
        Self::new(math::powf(self.m, 1.0 / p) * math::exp2(rest), whole as i64)
    }

    /// `self^p`.
    ///
    /// ```
    /// use steadygrad::Wide;
    /// assert_eq!(Wide::new(1.0, 1000).power(3.0), Wide::new(1.0, 3000));
    /// ```
    #[must_use]
    pub fn power(self, p: f64) -> Self {
        if self.m == 0.0 || !self.is_finite() {
            return self;
        }
        // The mantissa lies in [1, 2), so its power overflows only past p = 1024: in two halves then.
        let half = Self::new(math::powf(self.m, p / 2.0), 0);
        let (whole, part) = exponent(self.e, p);
        let power = if half.is_finite() {
            half * half
        } else {
            Self::ONE.times_exp2(math::log2(self.m) * p)
        };
        power.times_exp2(part) * Self::new(1.0, whole)
    }

    /// `self · 2^t` for any real `t`.
    pub(crate) fn times_exp2(self, t: f64) -> Self {
        let whole = math::floor(t);
        Self::new(
            self.m * math::exp2(t - whole),
            self.e.saturating_add(whole as i64),
        )
    }

    /// By how much a finite number is larger than another: `self − other`, rounded once; zero if it is not.
    pub(crate) fn beyond(self, other: Self) -> Self {
        if self.partial_cmp(&other) != Some(Ordering::Greater) {
            return Self::ZERO;
        }
        if other.m == 0.0 {
            return self;
        }
        // Past 2^-1000 the smaller one is too small to be seen.
        let shift = (other.e - self.e).max(-1000);
        Self::new(self.m - other.m * math::pow2(shift), self.e)
    }

    /// The mantissa in [1, 2) (or 0, +∞, NaN) and the exponent.
    ///
    /// ```
    /// use steadygrad::Wide;
    /// assert_eq!(Wide::from(12.0).parts(), (1.5, 3));
    /// ```
    #[must_use]
    #[inline]
    pub fn parts(self) -> (f64, i64) {
        (self.m, self.e)
    }
}

/// `e·p` for p ≥ 1 as an integer and a part in [0, 1), of which only the part is rounded: an error in the
/// exponent would be one of the number, times as large as the exponent.
fn exponent(e: i64, p: f64) -> (i64, f64) {
    let bits = p.to_bits();
    let mantissa = i128::from(bits & 0x000f_ffff_ffff_ffff | 1 << 52);
    // p = mantissa · 2^-below.
    let below = 1075 - (bits >> 52 & 0x7ff) as i64;
    if !(1..=52).contains(&below) {
        // Below 1 or past 2^52 there is no part worth the name.
        let product = e as f64 * p;
        let whole = math::floor(product);
        return (whole as i64, product - whole);
    }
    let product = i128::from(e) * mantissa;
    let part = product & ((1 << below) - 1);
    ((product >> below) as i64, part as f64 * math::pow2(-below))
}

impl From<f64> for Wide {
    /// `|x|`: a `Wide` has no sign.
    #[inline]
    fn from(x: f64) -> Self {
        Self::new(x.abs(), 0)
    }
}

impl core::ops::Mul for Wide {
    type Output = Self;

    #[inline]
    fn mul(self, other: Self) -> Self {
        Self::new(self.m * other.m, self.e + other.e)
    }
}

impl core::ops::Div for Wide {
    type Output = Self;

    #[inline]
    fn div(self, other: Self) -> Self {
        Self::new(self.m / other.m, self.e - other.e)
    }
}

impl core::ops::Add for Wide {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        if self.m == 0.0 || !other.is_finite() {
            return if self.m.is_nan() { self } else { other };
        }
        if other.m == 0.0 || !self.is_finite() {
            return self;
        }
        let (big, small) = if self.e >= other.e {
            (self, other)
        } else {
            (other, self)
        };
        let shift = small.e - big.e;
        // Past 2^-1000 the smaller one cannot move the larger, but it may not turn into a NaN either.
        let small = if shift < -1000 {
            0.0
        } else {
            small.m * math::pow2(shift)
        };
        Self::new(big.m + small, big.e)
    }
}

impl PartialOrd for Wide {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let plain = self.m == 0.0 || other.m == 0.0 || !self.is_finite() || !other.is_finite();
        if plain || self.e == other.e {
            self.m.partial_cmp(&other.m)
        } else {
            self.e.partial_cmp(&other.e)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_f64_comes_back_as_itself() {
        for x in [
            0.0,
            5e-324,
            1e-310,
            f64::MIN_POSITIVE,
            0.1,
            1.0,
            3.0,
            1e300,
            f64::MAX,
            f64::INFINITY,
        ] {
            assert_eq!(Wide::from(x).to_f64().to_bits(), x.to_bits());
        }
        assert!(Wide::from(f64::NAN).to_f64().is_nan());
    }

    #[test]
    fn order_is_the_order_of_the_reals() {
        let rising = [
            0.0,
            5e-324,
            1e-310,
            0.5,
            0.75,
            1.0,
            1.5,
            2.0,
            1e300,
            f64::INFINITY,
        ];
        for pair in rising.windows(2) {
            assert!(Wide::from(pair[0]) < Wide::from(pair[1]), "{pair:?}");
        }
        assert!(Wide::new(1.0, 5000) < Wide::INFINITY);
        assert!(Wide::new(1.0, -5000) > Wide::ZERO);
        assert_eq!(Wide::NAN.partial_cmp(&Wide::ONE), None);
    }

    #[test]
    fn differences_are_rounded_once_wherever_they_lie() {
        let far = Wide::new(1.0, 5000);
        assert_eq!((far * Wide::from(3.0)).beyond(far), far * Wide::from(2.0));
        assert_eq!(far.beyond(Wide::ONE), far);
        assert_eq!(
            Wide::new(1.0, -5000).beyond(Wide::ZERO),
            Wide::new(1.0, -5000)
        );
        assert_eq!(Wide::from(0.3).beyond(Wide::from(0.2)).to_f64(), 0.3 - 0.2);
        assert_eq!(Wide::ONE.beyond(far), Wide::ZERO);
        assert_eq!(Wide::NAN.beyond(Wide::ONE), Wide::ZERO);
    }

    #[test]
    fn roots_of_what_no_f64_holds() {
        assert_eq!(Wide::new(1.0, 4001).sqrt(), Wide::new(2f64.sqrt(), 2000));
        assert_eq!(Wide::new(1.0, -4001).sqrt(), Wide::new(2f64.sqrt(), -2001));
        assert_eq!(Wide::ZERO.sqrt(), Wide::ZERO);
        assert!(Wide::NAN.root(3.0).to_f64().is_nan());
    }

    #[test]
    fn rounding_to_a_subnormal_happens_once() {
        // 1.5 ulp of the smallest subnormals: ties to even, decided on the exact value.
        assert_eq!(Wide::new(1.5, -1074).to_f64(), 1e-323);
        assert_eq!(Wide::new(1.25, -1074).to_f64(), 5e-324);
        assert_eq!(Wide::new(1.0, -1075).to_f64(), 0.0);
        assert_eq!(Wide::new(1.000_000_1, -1075).to_f64(), 5e-324);
    }
}
