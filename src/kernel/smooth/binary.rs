//! The two binary formats, and e^x reduced to a polynomial near zero.

use core::ops::{Add, Div, Mul, Neg, Sub};

/// What [`Smooth`](super::Smooth) needs of a format: constants, and the moves that its bits allow.
pub trait Binary:
    Copy
    + PartialOrd
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
{
    const ZERO: Self;
    const HALF: Self;
    const ONE: Self;
    const TWO: Self;

    /// 1/ln 2.
    const LOG2_E: Self;

    /// ln 2 in two parts. The high one has so many zeros at its end that its product with the exponent of any value
    /// is exact.
    const LN_2: [Self; 2];

    /// 1.5 times the first power of two at which only integers are left: added to a number, it rounds it to one, which
    /// then stands in the last bits.
    const TO_INTEGER: Self;

    /// Where e^x has long been 0, and where it has been infinite. Between them, exponents are at most twice as large
    /// as those of normal numbers.
    const EXP_RANGE: [Self; 2];

    /// Where tanh x has long been 1.
    const TANH_RANGE: Self;

    /// −|x|.
    fn negative(self) -> Self;

    /// A number without a sign, with that of `other`.
    fn signed_as(self, other: Self) -> Self;

    /// The polynomial q of e^r ≈ 1 + r + r²·q(r), |r| ≤ ln 2 / 2. `tests/oracle/exponential.py` finds it.
    fn tail(r: Self) -> Self;

    /// 2^n, a normal number, if `self` is n + [`TO_INTEGER`](Self::TO_INTEGER).
    fn power(self) -> Self;

    /// Two normal numbers whose product is 2^n.
    fn two_powers(self) -> [Self; 2];
}

/// e^x as 2^n·(1 + near + tail).
#[derive(Clone, Copy)]
pub(super) struct Reduced<T> {
    /// n + [`Binary::TO_INTEGER`].
    pub(super) shifted: T,
    /// x less n times the high part of ln 2, exactly: at most 0.35 in magnitude.
    pub(super) near: T,
    /// What is left, at most 0.07 in magnitude, and at most the square of `near` if n = 0.
    pub(super) tail: T,
}

impl<T: Binary> Reduced<T> {
    #[inline(always)]
    pub(super) fn new(x: T) -> Self {
        let [high, low] = T::LN_2;
        let shifted = x * T::LOG2_E + T::TO_INTEGER;
        let n = shifted - T::TO_INTEGER;
        let (near, rest) = (x - n * high, n * low);
        let r = near - rest;
        Self {
            shifted,
            near,
            tail: r * r * T::tail(r) - rest,
        }
    }
}

/// By comparison, so that NaN stays NaN.
#[inline(always)]
pub(super) fn at_most<T: PartialOrd>(x: T, max: T) -> T {
    if x > max { max } else { x }
}

/// By comparison, so that NaN stays NaN.
#[inline(always)]
pub(super) fn at_least<T: PartialOrd>(x: T, min: T) -> T {
    if x < min { min } else { x }
}

/// The sum, rounded, and what rounding took from it: of two numbers the first of which is the larger in magnitude,
/// or zero (Dekker).
#[inline(always)]
pub(super) fn sum<T: Binary>(large: T, small: T) -> [T; 2] {
    let sum = large + small;
    [sum, (large - sum) + small]
}

impl Binary for f32 {
    const ZERO: Self = 0.0;
    const HALF: Self = 0.5;
    const ONE: Self = 1.0;
    const TWO: Self = 2.0;
    const LOG2_E: Self = core::f32::consts::LOG2_E;
    const LN_2: [Self; 2] = [0.693_145_75, 1.428_606_8e-6];
    const TO_INTEGER: Self = 12_582_912.0;
    const EXP_RANGE: [Self; 2] = [-105.0, 89.0];
    const TANH_RANGE: Self = 9.5;

    #[inline(always)]
    fn negative(self) -> Self {
        Self::from_bits(self.to_bits() | (1 << 31))
    }

    #[inline(always)]
    fn signed_as(self, other: Self) -> Self {
        Self::from_bits(self.to_bits() | (other.to_bits() & (1 << 31)))
    }

    #[inline(always)]
    fn tail(r: Self) -> Self {
        let square = r * r;
        let high = (0.041_666_481_6 + 0.008_333_419_45 * r)
            + square * (0.001_393_330_63 + 0.000_198_241_047 * r);
        (0.5 + 0.166_666_657 * r) + square * high
    }

    #[inline(always)]
    fn power(self) -> Self {
        // What lies above n is shifted out.
        Self::from_bits((self.to_bits() << 23).wrapping_add(127 << 23))
    }

    #[inline(always)]
    fn two_powers(self) -> [Self; 2] {
        let n = (self.to_bits() << 23) as i32;
        let half = (n >> 24) << 23;
        let rest = n.wrapping_sub(half);
        [half, rest].map(|n| Self::from_bits(n.wrapping_add(127 << 23) as u32))
    }
}

impl Binary for f64 {
    const ZERO: Self = 0.0;
    const HALF: Self = 0.5;
    const ONE: Self = 1.0;
    const TWO: Self = 2.0;
    const LOG2_E: Self = core::f64::consts::LOG2_E;
    const LN_2: [Self; 2] = [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10];
    const TO_INTEGER: Self = 6_755_399_441_055_744.0;
    const EXP_RANGE: [Self; 2] = [-746.0, 710.0];
    const TANH_RANGE: Self = 20.0;

    #[inline(always)]
    fn negative(self) -> Self {
        Self::from_bits(self.to_bits() | (1 << 63))
    }

    #[inline(always)]
    fn signed_as(self, other: Self) -> Self {
        Self::from_bits(self.to_bits() | (other.to_bits() & (1 << 63)))
    }

    #[inline(always)]
    fn tail(r: Self) -> Self {
        let square = r * r;
        let fourth = square * square;
        let low = (0.5 + 0.166_666_666_666_666_77 * r)
            + square * (4.166_666_666_666_657_4e-2 + 8.333_333_333_322_104e-3 * r);
        let middle = (1.388_888_888_894_293e-3 + 1.984_126_988_510_258_7e-4 * r)
            + square * (2.480_158_719_783_578e-5 + 2.755_724_511_354_946_4e-6 * r);
        let high = (2.755_738_721_841_593e-7 + 2.510_875_557_900_446_4e-8 * r)
            + square * 2.087_891_139_652_429_5e-9;
        low + fourth * (middle + fourth * high)
    }

    #[inline(always)]
    fn power(self) -> Self {
        Self::from_bits((self.to_bits() << 52).wrapping_add(1023 << 52))
    }

    #[inline(always)]
    fn two_powers(self) -> [Self; 2] {
        // The lowest 12 bits hold n, of either sign.
        let n = (self.to_bits() << 52) as i64;
        let half = (n >> 53) << 52;
        let rest = n.wrapping_sub(half);
        [half, rest].map(|n| Self::from_bits(n.wrapping_add(1023 << 52) as u64))
    }
}
