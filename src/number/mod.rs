//! The numbers that kernels know, and what they do with them.

mod float;
#[cfg(feature = "half")]
mod half;

use core::fmt::{Debug, Display};

use crate::slice::{SliceMut, SliceRef};

/// What a kernel needs of an element type. Each is an [`Element`](crate::Element), which is its public face; nobody
/// outside can name this trait, so nobody can implement it.
pub trait Number:
    Copy + Debug + Default + Display + PartialEq + PartialOrd + Send + Sync + 'static
{
    /// The narrowest type of the processor that holds every value: what sums start from.
    type Part: Part;

    /// The power of two that parts are counted in.
    const PART_UNIT: f64;

    /// The part of the largest finite value.
    const LARGEST_PART: Self::Part;

    /// The value, exactly.
    fn value(self) -> Self::Part;

    /// What sums start from: the value, or its magnitude, in units of [`Number::PART_UNIT`]. What is not finite
    /// comes out above [`Number::LARGEST_PART`], or as NaN.
    fn part(self) -> Self::Part;

    /// The parts as they lie, if they are the values themselves.
    fn parts(xs: &[Self]) -> Option<&[Self::Part]>;

    /// Names the slice's type.
    fn slice_ref(xs: &[Self]) -> SliceRef<'_>;

    /// Names the slice's type.
    fn slice_mut(xs: &mut [Self]) -> SliceMut<'_>;

    /// The value as an `f64`, exactly.
    fn exact(self) -> f64;

    /// The nearest to `x`, ties to even, rounded once.
    fn near(x: f64) -> Self;

    /// The nearest to `x` among those no larger in magnitude. Infinities and NaN stay.
    fn inward(x: f64) -> Self;
}

/// A number on its way into a sum: `f32` or `f64`.
pub trait Part: Copy + PartialOrd + Send + Sync {
    const ZERO: Self;

    const INFINITY: Self;

    fn is_nan(self) -> bool;

    /// Whether an `f64` holds the square of every value.
    const SQUARES_ARE_EXACT: bool;

    fn to_f64(self) -> f64;

    fn magnitude(self) -> Self;

    /// The larger of two magnitudes. What comes of a NaN does not matter: sums tell of it.
    fn larger(self, other: Self) -> Self;

    fn times(self, factor: Self) -> Self;

    /// The magnitude times `factor`, or zero if it is above `largest` or NaN.
    fn times_up_to(self, largest: Self, factor: Self) -> Self;

    /// Whether the squares of elements of which the largest is `max` can be summed as they are.
    fn squares_are_safe(max: f64) -> bool;

    /// An exponent `e`, and 2^-e, which brings elements up to `max` to where their squares can be summed.
    fn shift(max: f64) -> (i64, Self);

    /// Names the type.
    fn eight(xs: [Self; 8]) -> Eight;

    /// Takes its own type back.
    fn own(xs: Eight) -> [Self; 8];
}

/// Eight numbers of either type.
#[derive(Clone, Copy, Debug)]
pub enum Eight {
    F32([f32; 8]),
    F64([f64; 8]),
}

/// The two methods that give a slice its name.
macro_rules! name_slices {
    ($variant:ident) => {
        fn slice_ref(xs: &[Self]) -> SliceRef<'_> {
            SliceRef::$variant(xs)
        }

        fn slice_mut(xs: &mut [Self]) -> SliceMut<'_> {
            SliceMut::$variant(xs)
        }
    };
}

use name_slices;
