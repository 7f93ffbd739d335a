//! What a device can do with its own arrays.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::Result;
use crate::math::{self, pow2};

/// What a device can do with its own arrays: the little that an adapter has to write.
///
/// An array is seen as a flat list of numbers in row-major order, or as a block of three axes (see [`Axes`]): a
/// device needs no other ranks. Arrays in a tensor's own type are read and written; what is made of them on the way
/// is in [`Engine::arithmetic`]'s type. No method may look at numbers but [`Engine::to_host`], so that a device may
/// put off all work until then.
///
/// Which sums are taken, how far they may be off, what is done when something is not finite and what an edit comes to
/// is decided by this crate ([`Remote`](super::Remote)), the same for every device.
///
/// # Examples
///
/// The example `engine` is a whole adapter: a device that works on a thread of its own, the methods below in some
/// hundred lines, and the [conformance](super::conformance) suite that says whether they are right.
pub trait Engine: Clone + fmt::Debug {
    /// Numbers on the device. A clone is another handle, and changing one never shows in the other.
    type Array: Clone + fmt::Debug;

    /// The number of elements along each axis of a tensor.
    fn dims(&self, x: &Self::Array) -> Vec<usize>;

    /// The type of a tensor's elements.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`](crate::Error::Storage) for elements of any other type.
    fn kind(&self, x: &Self::Array) -> Result<Kind>;

    /// The type in which this tensor is summed up and edited, [`Kind::F32`] or [`Kind::F64`], no narrower than its own: the
    /// nearer one, or the one in which the device is fast.
    fn arithmetic(&self, x: &Self::Array) -> Kind;

    /// The widest type that the device of this tensor has, [`Kind::F64`] or [`Kind::F32`]: sums of rows are added up in it.
    fn widest(&self, x: &Self::Array) -> Kind;

    /// Whether two tensors lie on the same device, so that their sums can travel together.
    fn together(&self, x: &Self::Array, y: &Self::Array) -> bool {
        let _ = (x, y);
        true
    }

    /// A tensor that is to be changed and [put](Engine::put) back whole. A device that changes in place what nobody else
    /// holds leaves something small in `x`, which nobody looks at until then.
    fn take(&self, x: &mut Self::Array) -> Self::Array {
        x.clone()
    }

    /// The places `range` along the middle axis, flat, in the type they have.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`](crate::Error::Storage), here and below, for what the device refuses.
    fn part(&self, x: &Self::Array, axes: Axes, range: Range<usize>) -> Result<Self::Array>;

    /// The middle axis brought to the front: `[before, len, after]` becomes `[len, before, after]`, flat.
    ///
    /// # Errors
    ///
    /// As [`Engine::part`].
    fn to_front(&self, x: &Self::Array, axes: Axes) -> Result<Self::Array>;

    /// In another type: exact if that is wider, to the nearest if it is narrower.
    ///
    /// # Errors
    ///
    /// As [`Engine::part`].
    fn cast(&self, x: Self::Array, kind: Kind) -> Result<Self::Array>;

    /// Every element made into another.
    ///
    /// # Errors
    ///
    /// As [`Engine::part`].
    fn map(&self, x: Self::Array, f: Map) -> Result<Self::Array>;

    /// Each place along the middle axis together with its own number of `by`, which has as many.
    ///
    /// # Errors
    ///
    /// As [`Engine::part`].
    fn zip(&self, x: Self::Array, axes: Axes, by: &Self::Array, f: Zip) -> Result<Self::Array>;

    /// `rows` rows of equal length, each made into one number.
    ///
    /// # Errors
    ///
    /// As [`Engine::part`].
    fn fold(&self, x: Self::Array, rows: usize, f: Fold) -> Result<Self::Array>;

    /// Numbers of the host on the device of `like`, in the widest type.
    ///
    /// # Errors
    ///
    /// As [`Engine::part`].
    fn values(&self, values: &[f64], like: &Self::Array) -> Result<Self::Array>;

    /// 0, 1, 2, … on the device of `like`, in the widest type.
    ///
    /// # Errors
    ///
    /// As [`Engine::part`].
    fn count(&self, len: usize, like: &Self::Array) -> Result<Self::Array> {
        let values: Vec<f64> = (0..len).map(|i| i as f64).collect();
        self.values(&values, like)
    }

    /// Puts elements of its own type in place of those of a tensor from the `start`-th on.
    ///
    /// # Errors
    ///
    /// As [`Engine::part`].
    fn put(&self, x: &mut Self::Array, start: usize, values: Self::Array) -> Result<()>;

    /// All numbers of arrays that lie [together](Engine::together), of whatever types, one after the other. This alone
    /// waits for the device.
    ///
    /// # Errors
    ///
    /// As [`Engine::part`].
    fn to_host(&self, all: Vec<Self::Array>) -> Result<Vec<f64>>;
}

/// A block of three axes in row-major order: how many before the one that is looked at, along it, and behind it. A
/// flat list is `[1, len, 1]`.
pub type Axes = [usize; 3];

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// IEEE half precision: 11 bits, up to 65,504.
    F16,
    /// The upper half of an `f32`: 8 bits.
    Bf16,
    /// Single precision: 24 bits.
    F32,
    /// Double precision: 53 bits.
    F64,
}

impl Kind {
    /// Bits of the significand, exponents of the smallest and of the largest normal number.
    fn shape(self) -> (i64, i64, i64) {
        match self {
            Self::F16 => (11, -14, 15),
            Self::Bf16 => (8, -126, 127),
            Self::F32 => (24, -126, 127),
            Self::F64 => (53, -1022, 1023),
        }
    }

    /// The largest finite number.
    ///
    /// ```
    /// use steadygrad::device::Kind;
    /// assert_eq!((Kind::F16.largest(), Kind::F32.largest()), (65_504.0, f64::from(f32::MAX)));
    /// ```
    #[must_use]
    pub fn largest(self) -> f64 {
        let (bits, _, top) = self.shape();
        (2.0 - pow2(1 - bits)) * pow2(top)
    }

    /// The smallest normal number.
    ///
    /// ```
    /// use steadygrad::device::Kind;
    /// assert_eq!(Kind::Bf16.smallest(), f64::from(f32::MIN_POSITIVE));
    /// ```
    #[must_use]
    pub fn smallest(self) -> f64 {
        pow2(self.shape().1)
    }

    /// The exponents that a factor may have without leaving the range.
    pub(super) fn exponents(self) -> core::ops::RangeInclusive<i64> {
        let (_, low, top) = self.shape();
        low..=top
    }

    /// Half the distance from 1 to the next number: what one rounding is off at most, relatively.
    pub(super) fn unit(self) -> f64 {
        pow2(-self.shape().0)
    }

    /// Whether the square of no element leaves the range of the type in which it is taken.
    pub(super) fn has_squares_in(self, arithmetic: Self) -> bool {
        let ((_, low, top), (_, least, most)) = (self.shape(), arithmetic.shape());
        let subnormal = low - self.shape().0 + 1;
        2 * (top + 1) <= most + 1 && 2 * subnormal >= least
    }

    /// The bound as elements have it, rounded so that it lets through nothing that lies beyond.
    pub(super) fn toward_zero(self, bound: f64) -> f64 {
        let (bits, low, _) = self.shape();
        let largest = self.largest();
        if self == Self::F64 || bound == 0.0 || !bound.is_finite() {
            return bound;
        }
        if bound.abs() > largest {
            return largest.copysign(bound);
        }
        let exponent = ((bound.to_bits() >> 52) & 0x7ff) as i64 - 1023;
        let step = pow2(exponent.max(low) - bits + 1);
        math::trunc(bound / step) * step
    }
}

/// What every element is made into.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Map {
    /// |x|.
    Abs,
    /// x².
    Square,
    /// √x.
    Sqrt,
    /// `x^p` for x ≥ 0.
    Power(f64),
    /// x times a number.
    Times(f64),
    /// The reciprocal times a number.
    Under(f64),
    /// At most this; NaN stays NaN.
    AtMost(f64),
    /// Into `[min, max]` by comparison: NaN stays NaN.
    Clamp {
        /// The lower bound.
        min: f64,
        /// The upper bound.
        max: f64,
    },
    /// +0.0, whatever it was.
    Zero,
    /// Itself if it is finite, else this number.
    FiniteOr(f64),
    /// 1 if it is NaN, else 0.
    IsNan,
    /// 1 if it is finite, else 0.
    IsFinite,
    /// 1 if it is above this, else 0, as for NaN.
    Above(f64),
    /// 1 if it is below this, else 0, as for NaN.
    Below(f64),
}

/// What an element and a number that stands beside it are made into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Zip {
    /// The element plus the number.
    Plus,
    /// The element times the number.
    Times,
    /// The element over the number.
    Over,
}

/// What a row is made into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fold {
    /// The sum.
    Sum,
    /// The largest element, of rows without NaN.
    Max,
    /// The smallest element, of rows without NaN.
    Min,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_rounded_toward_zero() {
        for (bound, f32_bits) in [
            (0.1, 0x3dcc_cccc_u32),
            (-0.1, 0xbdcc_cccc),
            (1e-45, 0),
            (3e-45, 2),
        ] {
            assert_eq!(
                Kind::F32.toward_zero(bound),
                f64::from(f32::from_bits(f32_bits))
            );
        }
        assert_eq!(Kind::F32.toward_zero(1e300), f64::from(f32::MAX));
        assert_eq!(Kind::F16.toward_zero(-70_000.0), -65_504.0);
        assert_eq!(Kind::Bf16.toward_zero(1.01), 1.007_812_5);
        assert_eq!(Kind::F16.toward_zero(f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert_eq!(Kind::F64.toward_zero(0.1), 0.1);
    }

    #[test]
    fn squares_fit_where_they_do() {
        let fits = |kind: Kind, arithmetic| kind.has_squares_in(arithmetic);
        assert!(
            [Kind::F16, Kind::Bf16, Kind::F32]
                .into_iter()
                .all(|kind| fits(kind, Kind::F64))
        );
        assert!(fits(Kind::F16, Kind::F32));
        assert!(
            !fits(Kind::F64, Kind::F64)
                && !fits(Kind::F32, Kind::F32)
                && !fits(Kind::Bf16, Kind::F32)
        );
    }
}
