//! The elements that recurrent cells compute with.

use core::ops::{AddAssign, MulAssign, SubAssign};

use ndarray::{LinalgScalar, ScalarOperand};
use num_traits::Float;

use crate::Element;
use crate::kernel::smooth::Smooth;

/// An element type with arithmetic and elementary functions: `f32` and `f64`.
///
/// An alias for the bounds that cells need, so that code generic over a cell's element can name one
/// trait instead of six.
///
/// # Examples
///
/// ```
/// use ndarray::Array2;
/// use steadygrad::recurrent::Real;
///
/// fn sum_of_squares<A: Real>(h: &Array2<A>) -> A {
///     h.fold(A::zero(), |sum, &x| sum + x * x)
/// }
///
/// assert_eq!(sum_of_squares(&Array2::<f32>::from_elem((2, 2), 3.0)), 36.0);
/// ```
pub trait Real:
    Element + Smooth + LinalgScalar + ScalarOperand + Float + AddAssign + SubAssign + MulAssign
{
}

impl Real for f32 {}
impl Real for f64 {}
