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

    /// f(x), of f64 and of the f32 nearest to it, is within `ulps` units in the last place of `y`.
    fn near(x: f64, y: f64, f64_of: fn(f64) -> f64, f32_of: fn(f32) -> f32) {
        let apart = |found: f64, unit: f64| (found - y).abs() / (unit * y.abs());
        assert!(apart(f64_of(x), f64::EPSILON) <= 2.0, "{x}: {}", f64_of(x));
        let found = f32_of(x as f32);
        assert!(
            apart(found.into(), f32::EPSILON.into()) <= 2.0,
            "{x}: {found}"
        );
    }

    /// At points that an `f32` holds. The values are from mpmath, 20 digits.
    #[test]
    fn values() {
        for (x, exp, tanh, sigmoid) in [
            (
                0.0009765625,
                1.0009770394924165352,
                0.00097656218955926021858,
                0.50024414060559744821,
            ),
            (
                0.125,
                1.1331484530668263168,
                0.12435300177159620805,
                0.53120937337375625725,
            ),
            (
                -0.34375,
                0.70910618243739841172,
                -0.33082111749362800819,
                0.41489884579676882565,
            ),
            (
                0.5,
                1.6487212707001281468,
                0.4621171572600097585,
                0.62245933120185456464,
            ),
            (
                -1.0,
                0.3678794411714423216,
                -0.76159415595576488812,
                0.26894142136999512075,
            ),
            (
                1.75,
                5.7546026760057304369,
                0.94137553849728736227,
                0.85195280196831053029,
            ),
            (
                -5.5,
                0.0040867714384640669935,
                -0.99996659715630380964,
                0.0040701377158961273252,
            ),
            (
                8.75,
                6310.688108089023997,
                0.99999994978001814614,
                0.99984156378089747407,
            ),
            (
                20.25,
                622964442.19844548365,
                0.99999999999999999485,
                0.99999999839477194739,
            ),
            (
                -80.5,
                1.0946977029531416782e-35,
                -1.0,
                1.0946977029531416782e-35,
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
        fn of<T: Smooth + PartialEq + core::fmt::Debug>([zero, half, one, inf, nan, tiny]: [T; 6])
        where
            T: core::ops::Neg<Output = T>,
        {
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
