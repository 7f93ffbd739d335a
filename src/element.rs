//! The numbers a tensor can hold.

use core::fmt::{Debug, Display};

use crate::set::TensorSetMut;
use crate::tensor::{SliceMut, SliceRef};
use crate::{Wide, math};

mod sealed {
    pub trait Sealed {}
}

/// A floating-point element type: `f32`, `f64`, and with the feature `half` also `f16` and `bf16`.
///
/// Everything the crate decides, it decides in `f64`. An element only needs to enter `f64`, which is
/// exact for every type here, and to leave it again with a single rounding.
///
/// The trait is sealed: the kernels know each of its types.
///
/// # Examples
///
/// ```
/// use steadygrad::Element;
///
/// assert_eq!(f32::narrow(0.1), 0.1_f32);
/// assert_eq!(0.1_f32.widen(), f64::from(0.1_f32));
/// // 0.1 as an f32 lies above 0.1; a bound may not grow, so it takes the float below.
/// assert!(f32::toward_zero(0.1).widen() < 0.1);
/// ```
pub trait Element:
    Copy
    + Debug
    + Default
    + Display
    + PartialEq
    + PartialOrd
    + Send
    + Sync
    + sealed::Sealed
    + TensorSetMut
    + 'static
{
    /// The type's name, as Rust spells it.
    ///
    /// ```
    /// use steadygrad::Element;
    /// fn of<E: Element>(_: &[E]) -> &'static str { E::NAME }
    /// assert_eq!(of(&[0.5_f32]), "f32");
    /// ```
    const NAME: &'static str;

    /// The narrowest type of the processor that holds every value: what sums start from.
    #[doc(hidden)]
    type Part: Part;

    /// The value, exactly.
    #[doc(hidden)]
    fn value(self) -> Self::Part;

    /// What sums start from: the value, or its magnitude, in units of [`Element::PART_UNIT`]. What is not finite
    /// comes out above [`Element::LARGEST_PART`], or as NaN.
    #[doc(hidden)]
    fn part(self) -> Self::Part;

    /// The power of two that parts are counted in.
    #[doc(hidden)]
    const PART_UNIT: f64;

    /// The part of the largest finite value.
    #[doc(hidden)]
    const LARGEST_PART: Self::Part;

    /// The parts as they lie, if they are the values themselves.
    #[doc(hidden)]
    fn parts(xs: &[Self]) -> Option<&[Self::Part]>;

    /// Names the slice's type.
    #[doc(hidden)]
    fn slice_ref(xs: &[Self]) -> SliceRef<'_>;

    /// Names the slice's type.
    #[doc(hidden)]
    fn slice_mut(xs: &mut [Self]) -> SliceMut<'_>;

    /// The value as an `f64`, exactly.
    ///
    /// ```
    /// use steadygrad::Element;
    /// assert_eq!(0.1_f32.widen(), 0.100_000_001_490_116_12);
    /// ```
    fn widen(self) -> f64;

    /// The element nearest to `x`, ties to even, rounded once.
    ///
    /// ```
    /// use steadygrad::Element;
    /// assert_eq!(f32::narrow(16_777_217.0), 16_777_216.0);   // half way: to the even one
    /// assert_eq!(f32::narrow(1e300), f32::INFINITY);
    /// ```
    fn narrow(x: f64) -> Self;

    /// The element nearest to `x` among those no larger in magnitude. Infinities and NaN stay.
    ///
    /// ```
    /// use steadygrad::Element;
    /// assert_eq!(f32::toward_zero(1e300), f32::MAX);
    /// assert_eq!(f32::toward_zero(f64::INFINITY), f32::INFINITY);
    /// assert!(f32::toward_zero(-0.1).widen() > -0.1);
    /// ```
    fn toward_zero(x: f64) -> Self;
}

/// A number on its way into a sum: `f32` or `f64`.
#[doc(hidden)]
pub trait Part: Copy + PartialOrd + Send + Sync + sealed::Sealed {
    const ZERO: Self;

    /// Whether an `f64` holds the square of every value.
    const SQUARES_ARE_EXACT: bool;

    fn to_f64(self) -> f64;

    fn magnitude(self) -> Self;

    /// The larger of two magnitudes. What comes of a NaN does not matter: sums tell of it.
    fn larger(self, other: Self) -> Self;

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
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub enum Eight {
    F32([f32; 8]),
    F64([f64; 8]),
}

impl Part for f64 {
    const ZERO: Self = 0.0;
    const SQUARES_ARE_EXACT: bool = false;

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }

    #[inline(always)]
    fn magnitude(self) -> Self {
        self.abs()
    }

    #[inline(always)]
    fn times_up_to(self, largest: Self, factor: Self) -> Self {
        let size = self.abs();
        if size <= largest { size * factor } else { 0.0 }
    }

    /// Squares, and sums of 2^60 of them, neither overflow nor lose what counts: what underflows next to a
    /// maximum of 2^-400 lies more than 200 bits below the sum.
    #[inline(always)]
    fn squares_are_safe(max: f64) -> bool {
        (math::pow2(-400)..=math::pow2(480)).contains(&max) || max == 0.0
    }

    fn shift(max: f64) -> (i64, Self) {
        // Within what an f64 can multiply by.
        let e = Wide::from(max).parts().1.clamp(-1000, 1000);
        (e, math::pow2(-e))
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if other > self { other } else { self }
    }

    #[inline(always)]
    fn eight(xs: [Self; 8]) -> Eight {
        Eight::F64(xs)
    }

    #[inline(always)]
    fn own(xs: Eight) -> [Self; 8] {
        match xs {
            Eight::F64(xs) => xs,
            Eight::F32(_) => [0.0; 8],
        }
    }
}

impl Part for f32 {
    const ZERO: Self = 0.0;
    const SQUARES_ARE_EXACT: bool = true;

    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn magnitude(self) -> Self {
        self.abs()
    }

    #[inline(always)]
    fn times_up_to(self, largest: Self, factor: Self) -> Self {
        let size = self.abs();
        if size <= largest { size * factor } else { 0.0 }
    }

    #[inline(always)]
    fn squares_are_safe(max: f64) -> bool {
        max.is_finite()
    }

    fn shift(_max: f64) -> (i64, Self) {
        (0, 1.0)
    }

    /// Magnitudes order like their bits, and integers compare beside the unit that adds.
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        Self::from_bits(self.to_bits().max(other.to_bits()))
    }

    #[inline(always)]
    fn eight(xs: [Self; 8]) -> Eight {
        Eight::F32(xs)
    }

    #[inline(always)]
    fn own(xs: Eight) -> [Self; 8] {
        match xs {
            Eight::F32(xs) => xs,
            Eight::F64(_) => [0.0; 8],
        }
    }
}

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

impl sealed::Sealed for f64 {}
impl Element for f64 {
    const NAME: &'static str = "f64";
    type Part = Self;
    name_slices!(F64);

    const PART_UNIT: f64 = 1.0;
    const LARGEST_PART: Self = Self::MAX;

    #[inline(always)]
    fn part(self) -> Self {
        self
    }

    #[inline(always)]
    fn parts(xs: &[Self]) -> Option<&[Self]> {
        Some(xs)
    }

    #[inline(always)]
    fn value(self) -> Self {
        self
    }

    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }

    #[inline(always)]
    fn narrow(x: f64) -> Self {
        x
    }

    #[inline]
    fn toward_zero(x: f64) -> Self {
        x
    }
}

impl sealed::Sealed for f32 {}
impl Element for f32 {
    const NAME: &'static str = "f32";
    type Part = Self;
    name_slices!(F32);

    const PART_UNIT: f64 = 1.0;
    const LARGEST_PART: Self = Self::MAX;

    #[inline(always)]
    fn part(self) -> Self {
        self
    }

    #[inline(always)]
    fn parts(xs: &[Self]) -> Option<&[Self]> {
        Some(xs)
    }

    #[inline(always)]
    fn value(self) -> Self {
        self
    }

    #[inline(always)]
    fn widen(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn narrow(x: f64) -> Self {
        x as f32
    }

    #[inline]
    fn toward_zero(x: f64) -> Self {
        let near = x as f32;
        if f64::from(near).abs() > x.abs() {
            // Magnitudes order like their bits, so one less is the next float toward zero
            // (for an overflow to infinity: the largest finite float).
            let down = f32::from_bits(near.to_bits() - 1);
            if x.is_infinite() { near } else { down }
        } else {
            near
        }
    }
}

/// Between numbers and the bits of half types, without a branch or a call, so that loops vectorise.
#[cfg(feature = "half")]
mod half_bits {
    #[inline(always)]
    pub(super) fn widen_bf16(bits: u16) -> f32 {
        f32::from_bits(u32::from(bits) << 16)
    }

    /// Shifted into place, the bits read as an `f32` with an exponent too small by 112; the product
    /// mends it, exactly, and makes a subnormal `f16` normal.
    #[inline(always)]
    pub(super) fn widen_f16(bits: u16) -> f32 {
        let sign = u32::from(bits & 0x8000) << 16;
        let shifted = u32::from(bits & 0x7fff) << 13;
        let finite = f32::from_bits(shifted) * f32::from_bits((112 + 127) << 23);
        let magnitude = if bits & 0x7fff >= 0x7c00 {
            shifted | 0x7f80_0000
        } else {
            finite.to_bits()
        };
        f32::from_bits(magnitude | sign)
    }

    /// The nearest half with `M` bits behind the point and this `BIAS`, ties to even, rounded once: a
    /// normal one by an addition to the bits, a subnormal one by adding a number whose last place is
    /// the smallest half.
    #[inline(always)]
    pub(super) fn narrow<const M: u64, const BIAS: u64>(x: f64) -> u16 {
        let infinity = (2 * BIAS + 1) << M;
        let dropped = 52 - M;
        let bits = x.to_bits() & (u64::MAX >> 1);
        let places = f64::from_bits((1023 + 1 - BIAS + dropped) << 52);
        let small = (f64::from_bits(bits) + places).to_bits() - places.to_bits();
        let even = bits >> dropped & 1;
        let near = (bits + (1 << (dropped - 1)) - 1 + even) >> dropped;
        let normal = near.wrapping_sub((1023 - BIAS) << M);
        let finite = if bits < (1024 - BIAS) << 52 {
            small
        } else {
            normal
        };
        // Out of range from half a unit above the largest on, and there at the latest from 2^(BIAS + 1).
        let out = bits >= (1024 + BIAS) << 52;
        let ordered = if out { infinity } else { finite };
        let quiet = infinity | 1 << (M - 1) | bits >> dropped & ((1 << M) - 1);
        let is_nan = bits > 0x7ff0_0000_0000_0000;
        let magnitude = if is_nan { quiet } else { ordered };
        (magnitude | x.to_bits() >> 48 & 0x8000) as u16
    }
}

#[cfg(feature = "half")]
macro_rules! half_element {
    ($t:ident, $variant:ident, $widen:ident, $m:literal, $bias:literal) => {
        impl sealed::Sealed for half::$t {}
        impl Element for half::$t {
            const NAME: &'static str = stringify!($t);
            type Part = f32;
            name_slices!($variant);

            const PART_UNIT: f64 = f64::from_bits((1023 + 127 - $bias) << 52);
            const LARGEST_PART: f32 = f32::from_bits((((2 * $bias + 1) << $m) - 1) << (23 - $m));

            /// Shifted into place, the bits read as an `f32` with an exponent too small by 127 less the bias.
            #[inline(always)]
            fn part(self) -> f32 {
                f32::from_bits(u32::from(self.to_bits() & 0x7fff) << (23 - $m))
            }

            #[inline(always)]
            fn parts(_xs: &[Self]) -> Option<&[f32]> {
                None
            }

            #[inline(always)]
            fn value(self) -> f32 {
                half_bits::$widen(self.to_bits())
            }

            #[inline(always)]
            fn widen(self) -> f64 {
                f64::from(self.value())
            }

            #[inline(always)]
            fn narrow(x: f64) -> Self {
                Self::from_bits(half_bits::narrow::<$m, $bias>(x))
            }

            #[inline]
            fn toward_zero(x: f64) -> Self {
                let near = Self::narrow(x);
                if near.widen().abs() > x.abs() && !x.is_infinite() {
                    Self::from_bits(near.to_bits() - 1)
                } else {
                    near
                }
            }
        }
    };
}

#[cfg(feature = "half")]
half_element!(f16, F16, widen_f16, 10, 15);
#[cfg(feature = "half")]
half_element!(bf16, BF16, widen_bf16, 7, 127);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_never_grows() {
        for x in [
            0.1,
            -0.1,
            1e-46,
            -1e-46,
            3.5e38,
            -1e300,
            1.0,
            0.0,
            16_777_217.0,
        ] {
            let y = f32::toward_zero(x);
            assert!(y.widen().abs() <= x.abs(), "{x} became {y}");
            assert!(y.is_finite());
            // No other f32 lies between y and x.
            let next = f32::from_bits(y.to_bits() + 1);
            assert!(
                next.widen().abs() > x.abs(),
                "{x}: {next} would fit better than {y}"
            );
        }
        assert_eq!(f32::toward_zero(f64::INFINITY), f32::INFINITY);
        assert_eq!(f32::toward_zero(f64::NEG_INFINITY), f32::NEG_INFINITY);
        assert!(f32::toward_zero(f64::NAN).is_nan());
    }

    #[cfg(feature = "half")]
    #[test]
    fn half_types_round_once() {
        use half::{bf16, f16};
        // Midway between two neighbours plus a trace that an f32 cannot hold: up. Minus it: down.
        let one = 1.0;
        let half_step = 2f64.powi(-11);
        let trace = 2f64.powi(-40);
        assert_eq!(
            f16::narrow(one + half_step + trace).to_bits(),
            f16::ONE.to_bits() + 1
        );
        assert_eq!(
            f16::narrow(one + half_step - trace).to_bits(),
            f16::ONE.to_bits()
        );
        assert_eq!(f16::narrow(one + half_step), f16::ONE);
        // The same among the subnormal ones, with a trace that only an f64 can hold.
        let (tie, little) = (1.5 * 2f64.powi(-133), 2f64.powi(-180));
        assert_eq!(bf16::narrow(tie).to_bits(), 2);
        assert_eq!(bf16::narrow(tie - little).to_bits(), 1);
        assert_eq!(
            bf16::narrow(-(2.5 * 2f64.powi(-133) + little)).to_bits(),
            0x8003
        );
        let (tie, little) = (1.5 * 2f64.powi(-24), 2f64.powi(-70));
        assert_eq!(f16::narrow(tie).to_bits(), 2);
        assert_eq!(f16::narrow(tie - little).to_bits(), 1);
        let half_step = 2f64.powi(-8);
        assert_eq!(
            bf16::narrow(one + half_step + trace).to_bits(),
            bf16::ONE.to_bits() + 1
        );
        assert_eq!(
            bf16::narrow(one + half_step - trace).to_bits(),
            bf16::ONE.to_bits()
        );
        // Every f16 and bf16 comes back as itself, NaN as NaN.
        for bits in 0..=u16::MAX {
            let (x, y) = (f16::from_bits(bits), bf16::from_bits(bits));
            for (value, whole) in [(x.value(), x.to_f32()), (y.value(), y.to_f32())] {
                assert!(value.to_bits() == whole.to_bits() || value.is_nan() && whole.is_nan());
            }
            if x.is_nan() {
                assert!(f16::narrow(x.widen()).is_nan());
            } else {
                assert_eq!(f16::narrow(x.widen()).to_bits(), bits);
            }
            if y.is_nan() {
                assert!(bf16::narrow(y.widen()).is_nan());
            } else {
                assert_eq!(bf16::narrow(y.widen()).to_bits(), bits);
            }
        }
        // The conversions of the crate `half` agree, on a sample of all f32.
        for bits in (0..=u32::MAX).step_by(9973) {
            let x = f32::from_bits(bits);
            let (a, b) = (f16::from_f32(x), bf16::from_f32(x));
            let x = f64::from(x);
            let (c, d) = (f16::narrow(x), bf16::narrow(x));
            assert!(a.to_bits() == c.to_bits() || a.is_nan() && c.is_nan());
            assert!(b.to_bits() == d.to_bits() || b.is_nan() && d.is_nan());
        }
        assert_eq!(f16::narrow(65_520.0), f16::INFINITY);
        assert_eq!(f16::narrow(65_519.999_999_9), f16::MAX);
        assert_eq!(f16::toward_zero(1e9), f16::MAX);
        assert!(bf16::toward_zero(0.1).widen() < 0.1);
    }
}
