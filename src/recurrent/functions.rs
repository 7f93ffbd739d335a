//! Elementary functions over slices.

use super::Real;
use crate::kernel::smooth;

/// The exponential function, in place.
///
/// ```text
/// x ← e^x
/// ```
///
/// Within 0.8 units in the last place of the exact value, subnormal values among them. NaN stays NaN. The bits are the
/// same on every processor, for any number of threads, and wherever an element stands.
///
/// # Examples
///
/// ```
/// use steadygrad::recurrent;
///
/// let mut xs = [0.0, 1.0, 1000.0, f32::NEG_INFINITY];
/// recurrent::exp(&mut xs);
/// assert_eq!(xs, [1.0, core::f32::consts::E, f32::INFINITY, 0.0]);
/// ```
pub fn exp<A: Real>(xs: &mut [A]) {
    smooth::exp(xs);
}

/// The hyperbolic tangent, in place.
///
/// ```text
/// x ← tanh x
/// ```
///
/// Within 1.35 units in the last place of the exact value, never above 1, and odd to the bit: −0 stays −0. NaN stays
/// NaN. The bits are the same on every processor, for any number of threads, and wherever an element stands.
///
/// # Examples
///
/// ```
/// use steadygrad::recurrent;
///
/// let mut xs = [0.0, 1e-300, -1e-300, f64::INFINITY];
/// recurrent::tanh(&mut xs);
/// assert_eq!(xs, [0.0, 1e-300, -1e-300, 1.0]);
/// ```
pub fn tanh<A: Real>(xs: &mut [A]) {
    smooth::tanh(xs);
}

/// The logistic function, in place.
///
/// ```text
/// x ← 1/(1 + e^−x)
/// ```
///
/// Within 1.15 units in the last place of the exact value, subnormal values among them, and never above 1. NaN stays
/// NaN. The bits are the same on every processor, for any number of threads, and wherever an element stands.
///
/// # Examples
///
/// ```
/// use steadygrad::recurrent;
///
/// let mut xs = [0.0_f32, 1e4, -1e4];
/// recurrent::sigmoid(&mut xs);
/// assert_eq!(xs, [0.5, 1.0, 0.0]);
/// ```
pub fn sigmoid<A: Real>(xs: &mut [A]) {
    smooth::sigmoid(xs);
}
