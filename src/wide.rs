//! Non-negative reals that outgrow `f64`: sums of squares, norms, factors.

use alloc::format;
use alloc::string::ToString;
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

impl core::fmt::Display for Wide {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.is_finite() && self.e > 1023 {
            // Decimal exponent by logarithm: for reading, not for reckoning.
            let log10 = (self.e as f64 + math::log2(self.m)) * core::f64::consts::LOG10_2;
            let exponent = math::floor(log10);
            // Rounded to four figures, 9.9996 is ten: one digit and an exponent of its own.
            let digits = format!("{:.3e}", math::powf(10.0, log10 - exponent));
            let (digits, carry) = digits.split_once('e').unwrap_or((&digits, "0"));
            let carry = f64::from(u8::from(carry == "1"));
            return write!(f, "{digits}e{}", exponent + carry);
        }
        Short(self.to_f64()).fmt(f)
    }
}

/// How many significant digits people are shown.
const FIGURES: usize = 4;

/// A number for people: four significant digits, with an exponent where plain digits would be many.
pub(crate) struct Short(pub(crate) f64);

impl core::fmt::Display for Short {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        Figures(self.0, FIGURES).fmt(f)
    }
}

/// A number with so many significant digits.
pub(crate) struct Figures(pub(crate) f64, pub(crate) usize);

impl Figures {
    /// How many digits it takes, at least the usual ones, to see that `a` is not `b`.
    pub(crate) fn apart(a: f64, b: f64) -> usize {
        // With 17 no two numbers look alike.
        let seen =
            |&figures: &usize| Figures(a, figures).to_string() != Figures(b, figures).to_string();
        if a == b {
            FIGURES
        } else {
            (FIGURES..17).find(seen).unwrap_or(17)
        }
    }
}

impl core::fmt::Display for Figures {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self(x, figures) = *self;
        if x == 0.0 || !x.is_finite() {
            return write!(f, "{x}");
        }
        // The exponent that it has once it is rounded: 0.99999 is 1.000, not 1.0000.
        let last = figures - 1;
        let text = format!("{x:.last$e}");
        let exponent = text.rsplit_once('e').and_then(|(_, e)| e.parse().ok());
        match exponent {
            Some(exponent @ -3..6) => {
                let decimals = last.saturating_add_signed(-exponent);
                write!(f, "{x:.decimals$}")
            }
            _ => f.write_str(&text),
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

    #[test]
    fn people_read_short_numbers() {
        assert_eq!(Wide::from(4_216.303_6).to_string(), "4216");
        assert_eq!(Wide::from(0.7).to_string(), "0.7000");
        assert_eq!(Wide::from(1.414e25).to_string(), "1.414e25");
        assert_eq!(
            (Wide::from(f64::MAX) * Wide::from(10.0)).to_string(),
            "1.798e309"
        );
        assert_eq!(Wide::INFINITY.to_string(), "inf");
    }

    #[test]
    fn what_rounds_up_to_a_power_of_ten_has_four_figures_too() {
        for (x, text) in [
            (0.999_99, "1.000"),
            (1.0, "1.000"),
            (1.000_01, "1.000"),
            (0.999_949, "0.9999"),
            (-9.999_6, "-10.00"),
            (999.99, "1000"),
            (9_999.9, "10000"),
            (99_999.9, "100000"),
            (999_999.7, "1.000e6"),
            (1e6, "1.000e6"),
            (0.000_999_99, "0.001000"),
            (0.001, "0.001000"),
            (0.000_999_9, "9.999e-4"),
            (9.999_9e-10, "1.000e-9"),
            (5e-324, "4.941e-324"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(Short(x).to_string(), text);
        }
        let far = Wide::from(1e300) * Wide::from(1e300);
        assert_eq!((Wide::from(9.999_4) * far).to_string(), "9.999e600");
        assert_eq!((Wide::from(9.999_6) * far).to_string(), "1.000e601");
    }

    #[test]
    fn two_numbers_have_the_digits_that_tell_them_apart() {
        let told = |a: f64, b: f64| {
            let figures = Figures::apart(a, b);
            (
                Figures(a, figures).to_string(),
                Figures(b, figures).to_string(),
            )
        };
        let same = |a: &str, b: &str| (a.to_string(), b.to_string());
        assert_eq!(told(5.0, 1.0), same("5.000", "1.000"));
        assert_eq!(told(1.000_01, 1.0), same("1.00001", "1.00000"));
        assert_eq!(told(0.999_99, 1.0), same("0.99999", "1.0000"));
        assert_eq!(told(1.0, 1.0), same("1.000", "1.000"));
        let next = f64::from_bits(1e300_f64.to_bits() + 1);
        let (a, b) = told(next, 1e300);
        assert!(a != b && a.parse() == Ok(next), "{a}, {b}");
    }
}
