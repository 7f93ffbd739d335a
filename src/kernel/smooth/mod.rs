//! e^x, tanh x and 1/(1 + e^−x), without a branch and without a table, so that a loop over a slice becomes vector code
//! in a function that is compiled for a processor.
//!
//! Everything is `+ − × ÷`, comparisons and moves of bits, each of which is rounded alike on every processor; nothing
//! is contracted. So the bits are the same everywhere, in a vector of any length and outside of one.

mod binary;
mod slices;

use binary::{Binary, Reduced, at_least, at_most, sum};
pub(crate) use slices::{exp, sigmoid, tanh};

/// Elementary functions of one element, to be inlined into the loops of kernels. NaN stays NaN.
pub trait Smooth: Copy {
    /// e^x.
    fn exp_(self) -> Self;

    /// tanh x.
    fn tanh_(self) -> Self;

    /// 1/(1 + e^−x).
    fn sigmoid_(self) -> Self;
}

impl<T: Binary> Smooth for T {
    #[inline(always)]
    fn exp_(self) -> Self {
        let [min, max] = T::EXP_RANGE;
        let e = Reduced::new(at_most(at_least(self, min), max));
        let [near, rest] = sum(T::ONE, e.near);
        // In two steps, of which the first is exact.
        let [a, b] = e.shifted.two_powers();
        (near + (rest + e.tail)) * a * b
    }

    /// With N = 1 − e^(−2|x|), N/(2 − N): nothing cancels, also near zero.
    #[inline(always)]
    fn tanh_(self) -> Self {
        let x = at_least(self.negative(), -T::TANH_RANGE);
        let e = Reduced::new(x + x);
        let scale = e.shifted.power();
        // Numerator and denominator carry along what rounding took from them,
        let [one, one_rest] = sum(T::ONE, -scale);
        let [near, rest] = sum(one, -(scale * e.near));
        let [n, n_rest] = sum(near, (rest + one_rest) - scale * e.tail);
        let [d, d_rest] = sum(T::TWO, -n);
        let d_rest = d_rest - n_rest;
        // and the quotient is corrected for it: 1/d is (1 + quotient)/2.
        let quotient = n / d;
        let correction = (n_rest - quotient * d_rest) * (T::HALF + T::HALF * quotient);
        (quotient + correction).signed_as(self)
    }

    /// With e = e^−|x|, e/(1 + e) on the left, and on the right what it is short of 1.
    #[inline(always)]
    fn sigmoid_(self) -> Self {
        let x = at_least(self.negative(), T::EXP_RANGE[0]);
        let e = Reduced::new(x);
        let [near, rest] = sum(T::ONE, e.near);
        let [m, m_rest] = sum(near, rest + e.tail);
        let [a, b] = e.shifted.two_powers();
        let (e, e_rest) = (m * a * b, m_rest * a * b);
        let [d, d_rest] = sum(T::ONE, e);
        // As above; 1/d is 1 − quotient.
        let quotient = e / d;
        let correction = (e_rest - quotient * (d_rest + e_rest)) * (T::ONE - quotient);
        let left = quotient + correction;
        if self < T::ZERO { left } else { T::ONE - left }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// f(x), of `f64` and of `f32`, is within 2ε of y.
    fn near(x: f64, y: f64, f64_of: fn(f64) -> f64, f32_of: fn(f32) -> f32) {
        let apart = |found: f64, unit: f64| (found - y).abs() / (unit * y.abs());
        assert!(apart(f64_of(x), f64::EPSILON) <= 2.0, "{x}: {}", f64_of(x));
        let found = f32_of(x as f32);
        assert!(
            apart(found.into(), f32::EPSILON.into()) <= 2.0,
            "{x}: {found}"
        );
    }

    /// At points that an `f32` holds. The values are from mpmath.
    #[test]
    fn values() {
        for (x, exp, tanh, sigmoid) in [
            (
                0.125,
                1.133_148_453_066_826_3,
                0.124_353_001_771_596_21,
                0.531_209_373_373_756_3,
            ),
            (
                -0.343_75,
                0.709_106_182_437_398_4,
                -0.330_821_117_493_628,
                0.414_898_845_796_768_83,
            ),
            (
                1.75,
                5.754_602_676_005_731,
                0.941_375_538_497_287_4,
                0.851_952_801_968_310_6,
            ),
            (
                -5.5,
                0.004_086_771_438_464_067,
                -0.999_966_597_156_303_8,
                0.004_070_137_715_896_128,
            ),
            (
                8.75,
                6_310.688_108_089_024,
                0.999_999_949_780_018_2,
                0.999_841_563_780_897_5,
            ),
            (
                -80.5,
                1.094_697_702_953_141_7e-35,
                -1.0,
                1.094_697_702_953_141_7e-35,
            ),
        ] {
            near(x, exp, f64::exp_, f32::exp_);
            near(x, tanh, f64::tanh_, f32::tanh_);
            near(x, sigmoid, f64::sigmoid_, f32::sigmoid_);
            near(-x, -tanh, f64::tanh_, f32::tanh_);
        }
    }

    #[test]
    fn ends() {
        fn of<T: Binary + Smooth + core::fmt::Debug>([zero, half, one, inf, nan, tiny]: [T; 6]) {
            for (x, exp, tanh, sigmoid) in [
                (zero, one, zero, half),
                (-zero, one, -zero, half),
                (tiny, one, tiny, half),
                (-tiny, one, -tiny, half),
                (inf, inf, one, one),
                (-inf, zero, -one, zero),
            ] {
                assert_eq!(
                    (x.exp_(), x.tanh_(), x.sigmoid_()),
                    (exp, tanh, sigmoid),
                    "{x:?}"
                );
            }
            for y in [nan.exp_(), nan.tanh_(), nan.sigmoid_()] {
                assert_ne!(y, y, "NaN became {y:?}");
            }
        }
        of([0.0, 0.5, 1.0, f32::INFINITY, f32::NAN, f32::from_bits(1)]);
        of([0.0, 0.5, 1.0, f64::INFINITY, f64::NAN, f64::from_bits(1)]);
        assert!((-0.0_f32).tanh_().is_sign_negative());
        assert!((-0.0_f64).tanh_().is_sign_negative());
    }
}
