//! Elementary functions over slices.

use super::Real;
use crate::kernel::smooth;

/// e^x in place of each x.
///
/// Within one unit in the last place, `docs/ulp.md` has the measured errors, subnormal results among them; the same bits
/// on every processor.
///
/// # Examples
///
/// ```
/// use steadygrad::recurrent;
///
/// let mut xs = [0.0_f32, 1.0, f32::NEG_INFINITY];
/// recurrent::exp(&mut xs);
/// assert_eq!(xs, [1.0, core::f32::consts::E, 0.0]);
/// ```
pub fn exp<A: Real>(xs: &mut [A]) {
    smooth::exp(xs);
}

/// tanh x in place of each x.
///
/// Within two units in the last place; the same bits on every processor. It is odd to the bit, and −0 stays −0.
///
/// # Examples
///
/// ```
/// use steadygrad::recurrent;
///
/// let mut xs = [0.0, 0.5, -0.5, f64::INFINITY];
/// recurrent::tanh(&mut xs);
/// assert_eq!(xs, [0.0, 0.462_117_157_260_009_8, -0.462_117_157_260_009_8, 1.0]);
/// ```
pub fn tanh<A: Real>(xs: &mut [A]) {
    smooth::tanh(xs);
}

/// The logistic function 1/(1 + e^−x) in place of each x.
///
/// Within two units in the last place, subnormal results among them; the same bits on every processor.
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
