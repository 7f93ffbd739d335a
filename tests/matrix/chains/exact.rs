//! Magnitudes with 64 bits of mantissa and any exponent: next to an `f64` as good as exact.

use std::cmp::Ordering;
use std::ops::{Add, Div, Mul};

/// `m · 2^e`, the top bit of `m` set unless it is zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Real {
    m: u64,
    e: i64,
}

impl Real {
    pub(crate) const ZERO: Self = Self { m: 0, e: 0 };

    /// `|x|`
    pub(crate) fn of(x: f64) -> Self {
        assert!(x.is_finite());
        let bits = x.to_bits() & !(1 << 63);
        let (m, e) = match bits >> 52 {
            0 => (bits, -1074),
            biased => (bits & ((1 << 52) - 1) | 1 << 52, biased as i64 - 1075),
        };
        Self::new(m.into(), e)
    }

    pub(crate) fn pow2(e: i64) -> Self {
        Self::new(1, e)
    }

    fn new(m: u128, e: i64) -> Self {
        if m == 0 {
            return Self::ZERO;
        }
        let shift = 64 - i64::from(m.leading_zeros());
        let m = if shift > 0 { m >> shift } else { m << -shift };
        Self {
            m: m as u64,
            e: e + shift,
        }
    }

    pub(crate) fn is_zero(self) -> bool {
        self.m == 0
    }

    pub(crate) fn max(self, other: Self) -> Self {
        if self < other { other } else { self }
    }

    /// The exponent of the leading bit.
    pub(crate) fn exponent(self) -> i64 {
        self.e + 63
    }

    /// Near enough to be printed.
    pub(crate) fn to_f64(self) -> f64 {
        self.m as f64 * 2_f64.powi(self.e as i32)
    }

    /// `|self − other|`
    pub(crate) fn distance(self, other: Self) -> Self {
        let (large, small) = if self < other {
            (other, self)
        } else {
            (self, other)
        };
        let [a, b] = large.aligned(small);
        Self::new(a - b, large.e - 63)
    }

    pub(crate) fn sqrt(self) -> Self {
        let odd = self.e & 1;
        Self::new(
            (u128::from(self.m) << (62 + odd)).isqrt(),
            (self.e - odd - 62) / 2,
        )
    }

    pub(crate) fn cbrt(self) -> Self {
        if self.is_zero() {
            return self;
        }
        let third = self.exponent().div_euclid(3);
        let near = Self {
            e: self.e - 3 * third,
            ..self
        };
        let start = near.m as f64 * 2_f64.powi(near.e as i32);
        let mut root = Self::of(start.cbrt());
        for _ in 0..3 {
            let twice = root + root;
            root = (twice + near / (root * root)) / Self::of(3.0);
        }
        Self {
            e: root.e + third,
            ..root
        }
    }

    /// Both mantissas in units of the first one's, 63 places behind it; the second is not larger.
    fn aligned(self, small: Self) -> [u128; 2] {
        let apart = if small.is_zero() { 0 } else { self.e - small.e };
        let small = u128::from(small.m) << 63;
        let small = if apart < 128 { small >> apart } else { 0 };
        [u128::from(self.m) << 63, small]
    }
}

impl PartialOrd for Real {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(match (self.m, other.m) {
            (0, _) | (_, 0) => self.m.cmp(&other.m),
            _ => (self.e, self.m).cmp(&(other.e, other.m)),
        })
    }
}

impl Add for Real {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (large, small) = if self < other {
            (other, self)
        } else {
            (self, other)
        };
        if small.is_zero() {
            return large;
        }
        let [a, b] = large.aligned(small);
        Self::new(a + b, large.e - 63)
    }
}

impl Mul for Real {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self::new(u128::from(self.m) * u128::from(other.m), self.e + other.e)
    }
}

impl Div for Real {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        Self::new(
            (u128::from(self.m) << 64) / u128::from(other.m),
            self.e - other.e - 64,
        )
    }
}

#[test]
fn reals_are_right() {
    let of = Real::of;
    assert_eq!(of(3.0) * of(5e-324) / of(5e-324), of(3.0));
    assert!((of(9e-300) + of(16e-300)).distance(of(25e-300)) < of(1e-310));
    let far = of(2_f64.powi(1000));
    assert_eq!(far * far, Real::pow2(2000));
    assert_eq!(
        (of(2.25) * Real::pow2(4001)).sqrt(),
        (of(4.5) * Real::pow2(4000)).sqrt()
    );
    assert_eq!(
        (of(2.25) * Real::pow2(4000)).sqrt(),
        of(1.5) * Real::pow2(2000)
    );
    let root = (of(27.0) * Real::pow2(-3000)).cbrt();
    assert!(root.distance(of(3.0) * Real::pow2(-1000)) < Real::pow2(-1058));
    assert_eq!(of(1.0).distance(of(0.75)), of(0.25));
    assert_eq!(
        of(1.0) + of(2_f64.powi(-60)),
        of(1.0 + 2_f64.powi(-52)).distance(of(2_f64.powi(-52) - 2_f64.powi(-60)))
    );
    assert!(Real::ZERO < of(5e-324) && of(1.0) < of(1.5) && of(0.75) < of(1.0));
}
