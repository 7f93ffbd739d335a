//! e^x, tanh x and 1/(1 + e^−x) in pairs of `f64`, far more exactly than any `f64` tells: to 2^−95 of the value.
//!
//! Slow and plain: e^r − 1 by its series at r/64, doubled six times by (e^r − 1)·(e^r + 1). `tests/ulp` holds it beside
//! arithmetic of several hundred digits, and measures with it.

use std::ops::{Add, Div, Mul, Neg};

/// The unrounded sum of two numbers, the second at most half a unit in the last place of the first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Double(pub(crate) f64, pub(crate) f64);

/// A value times a power of two, which may take it past the range of `f64`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exact {
    pub(crate) value: Double,
    pub(crate) exponent: i32,
}

/// The functions that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Exp,
    Tanh,
    Sigmoid,
}

/// A format: its digits, the exponent of its smallest number, and that of the power of two past its largest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    pub(crate) digits: i32,
    pub(crate) smallest: i32,
    pub(crate) past: i32,
}

pub(crate) const F32: Format = Format {
    digits: 24,
    smallest: -149,
    past: 128,
};

pub(crate) const F64: Format = Format {
    digits: 53,
    smallest: -1074,
    past: 1024,
};

/// ln 2, of which n times the first two parts is exact for every exponent n.
const LN_2: [f64; 3] = [
    0.693_147_180_559_890_3,
    5.497_923_018_708_502_4e-14,
    -1.312_469_841_778_525_5e-27,
];

/// Terms of the series: at 0.0055 the next is below 2^−110.
const TERMS: usize = 13;

/// Halvings before the series, and doublings after it.
const HALVINGS: i32 = 6;

/// The functions, with the coefficients of their series.
#[derive(Debug)]
pub(crate) struct Reference {
    /// 1/k!
    inverses: [Double; TERMS],
}

impl Reference {
    pub(crate) fn new() -> Self {
        let mut inverses = [Double(1.0, 0.0); TERMS];
        for k in 1..TERMS {
            inverses[k] = inverses[k - 1] / Double(k as f64, 0.0);
        }
        Self { inverses }
    }

    /// The function at a finite x.
    pub(crate) fn of(&self, function: Function, x: f64) -> Exact {
        match function {
            Function::Exp => {
                let (n, m) = self.reduced(x.clamp(-1000.0, 1000.0));
                Exact::new(Double(1.0, 0.0) + m, n)
            }
            // What is missing is less than a third of its cube.
            Function::Tanh if x.abs() < power(-300) => Exact::new(Double(x, 0.0), 0),
            Function::Tanh => {
                // (1 − e)/(1 + e) with e = e^(−2|x|)
                let (n, m) = self.reduced(-2.0 * x.abs().min(100.0));
                let scale = power(n);
                let less = Double(1.0, 0.0) + Double(-scale, 0.0) + -(m * scale);
                let tanh = less / (Double(2.0, 0.0) + -less);
                Exact::new(if x < 0.0 { -tanh } else { tanh }, 0)
            }
            Function::Sigmoid => {
                let (n, m) = self.reduced(-x.abs().min(1000.0));
                let e = Double(1.0, 0.0) + m;
                // Below 2^−200 it adds nothing.
                let more = Double(1.0, 0.0) + e * power(n.max(-500));
                if x < 0.0 {
                    Exact::new(e / more, n)
                } else {
                    Exact::new(Double(1.0, 0.0) / more, 0)
                }
            }
        }
    }

    /// n and e^r − 1 with x = n·ln 2 + r.
    fn reduced(&self, x: f64) -> (i32, Double) {
        let n = (x / LN_2[0]).round();
        let r = Double(x - n * LN_2[0], 0.0)
            + Double(-n * LN_2[1], 0.0)
            + -(Double(n, 0.0) * Double(LN_2[2], 0.0));
        let r = r * power(-HALVINGS);
        let series = self.inverses[1..].iter().rev();
        let mut m = series.fold(Double(0.0, 0.0), |sum, &inverse| sum * r + inverse) * r;
        for _ in 0..HALVINGS {
            m = m * (Double(2.0, 0.0) + m);
        }
        (n as i32, m)
    }
}

impl Exact {
    pub(crate) fn new(value: Double, exponent: i32) -> Self {
        Self { value, exponent }
    }

    /// How far `found` lies from it, in units in the last place: distances of neighbours of the format where it lies.
    /// What rounds to infinity is met by infinity alone, which elsewhere counts as the power of two past the format.
    pub(crate) fn ulps(&self, found: f64, format: Format) -> f64 {
        let unit = self.unit(format);
        let [a, b] = powers((self.exponent - unit).clamp(-2000, 2000));
        let exact = self.value * a * b;
        let past = power(format.digits);
        let found = if found.is_infinite() {
            if exact.0 >= past - 0.5 {
                return 0.0;
            }
            power(format.past - unit).copysign(found)
        } else {
            let [a, b] = powers(-unit);
            found * a * b
        };
        ((found - exact.0) - exact.1).abs()
    }

    /// The exponent of a unit in the last place.
    pub(crate) fn unit(&self, format: Format) -> i32 {
        let Double(high, low) = self.value;
        if high == 0.0 {
            return format.smallest;
        }
        let mut leading = (high.abs().to_bits() >> 52) as i32 - 1023;
        // A little less than a power of two is in the interval below it.
        if high.to_bits() << 12 == 0 && low != 0.0 && (low < 0.0) == (high > 0.0) {
            leading -= 1;
        }
        let unit = leading + self.exponent + 1 - format.digits;
        unit.clamp(format.smallest, format.past - format.digits)
    }
}

/// 2^n, of an n that has one.
fn power(n: i32) -> f64 {
    assert!((-1022..1024).contains(&n), "2^{n}");
    f64::from_bits(((n + 1023) as u64) << 52)
}

/// Two powers of two whose product is 2^n.
fn powers(n: i32) -> [f64; 2] {
    [power(n / 2), power(n - n / 2)]
}

/// a + b, of which a is the larger in magnitude (Dekker).
fn fast_sum(a: f64, b: f64) -> Double {
    let sum = a + b;
    Double(sum, b - (sum - a))
}

/// a + b (Knuth).
fn sum(a: f64, b: f64) -> Double {
    let sum = a + b;
    let part = sum - a;
    Double(sum, (a - (sum - part)) + (b - part))
}

/// Two halves of the digits (Veltkamp).
fn split(a: f64) -> (f64, f64) {
    let large = 134_217_729.0 * a;
    let high = large - (large - a);
    (high, a - high)
}

/// a·b (Dekker).
fn product(a: f64, b: f64) -> Double {
    let product = a * b;
    let ((a, a_low), (b, b_low)) = (split(a), split(b));
    let rest = ((a * b - product) + a * b_low + a_low * b) + a_low * b_low;
    Double(product, rest)
}

impl Add for Double {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let high = sum(self.0, other.0);
        let low = sum(self.1, other.1);
        let near = fast_sum(high.0, high.1 + low.0);
        fast_sum(near.0, near.1 + low.1)
    }
}

impl Mul for Double {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let high = product(self.0, other.0);
        let rest = self.0 * other.1 + self.1 * other.0;
        fast_sum(high.0, high.1 + rest)
    }
}

/// By a power of two.
impl Mul<f64> for Double {
    type Output = Self;

    fn mul(self, power: f64) -> Self {
        Self(self.0 * power, self.1 * power)
    }
}

impl Neg for Double {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0, -self.1)
    }
}

impl Div for Double {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        // Three digits to the base 2^53, each of what is still left.
        let first = self.0 / other.0;
        let left = self + -(other * Self(first, 0.0));
        let second = left.0 / other.0;
        let left = left + -(other * Self(second, 0.0));
        let third = left.0 / other.0;
        fast_sum(first, second) + Self(third, 0.0)
    }
}
