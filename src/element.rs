//! The numbers a tensor can hold.

use core::fmt::{Debug, Display};

use crate::set::MemberMut;
use crate::tensor::{SliceMut, SliceRef};

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
    + MemberMut
    + 'static
{
    /// The type's name, as Rust spells it.
    const NAME: &'static str;

    /// The narrowest type of the processor that holds every value: what sums start from.
    #[doc(hidden)]
    type Part: Part;

    /// The magnitude, exactly.
    #[doc(hidden)]
    fn part(self) -> Self::Part;

    /// Names the slice's type.
    #[doc(hidden)]
    fn slice_ref(xs: &[Self]) -> SliceRef<'_>;

    /// Names the slice's type.
    #[doc(hidden)]
    fn slice_mut(xs: &mut [Self]) -> SliceMut<'_>;

    /// The value as an `f64`, exactly.
    fn widen(self) -> f64;

    /// The element nearest to `x`, ties to even, rounded once.
    fn narrow(x: f64) -> Self;

    /// The element nearest to `x` among those no larger in magnitude. Infinities and NaN stay.
    fn toward_zero(x: f64) -> Self;
}

/// A magnitude on its way into a sum: `f32` or `f64`.
#[doc(hidden)]
pub trait Part: Copy + PartialOrd + Send + Sync + sealed::Sealed {
    const ZERO: Self;
    fn to_f64(self) -> f64;
}

impl Part for f64 {
    const ZERO: Self = 0.0;

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
}

impl Part for f32 {
    const ZERO: Self = 0.0;

    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
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

    #[inline(always)]
    fn part(self) -> Self {
        self.abs()
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

    #[inline(always)]
    fn part(self) -> Self {
        self.abs()
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

/// `x` as an `f32` rounded to odd: if it is not exact, the last bit of the result is set. A second
/// rounding to at most 22 bits then gives what rounding `x` once would give.
///
/// Source: Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using
/// rounding to odd", 2008.
#[cfg(feature = "half")]
#[inline(always)]
fn round_to_odd(x: f64) -> f32 {
    let near = x as f32;
    let back = f64::from(near);
    let bits = near.to_bits();
    // Exact, NaN, or already odd: nothing to mend. Otherwise step to the odd neighbour on x's side.
    let step_in = back.abs() > x.abs();
    let odd = if step_in {
        bits.wrapping_sub(1)
    } else {
        bits.wrapping_add(1)
    };
    let mend = back != x && !x.is_nan() && bits & 1 == 0;
    f32::from_bits(if mend { odd } else { bits })
}

/// From the bits of a magnitude to its `f32`, without a branch or a call, so that loops vectorise.
#[cfg(feature = "half")]
mod half_part {
    #[inline(always)]
    pub(super) fn bf16(bits: u16) -> f32 {
        f32::from_bits(u32::from(bits) << 16)
    }

    /// Shifted into place, the bits read as an `f32` with an exponent too small by 112; the product
    /// mends it, exactly, and makes a subnormal `f16` normal.
    #[inline(always)]
    pub(super) fn f16(bits: u16) -> f32 {
        let shifted = u32::from(bits) << 13;
        let finite = f32::from_bits(shifted) * f32::from_bits((112 + 127) << 23);
        let special = f32::from_bits(shifted | 0x7f80_0000);
        if bits >= 0x7c00 { special } else { finite }
    }
}

#[cfg(feature = "half")]
macro_rules! half_element {
    ($t:ident, $variant:ident) => {
        impl sealed::Sealed for half::$t {}
        impl Element for half::$t {
            const NAME: &'static str = stringify!($t);
            type Part = f32;
            name_slices!($variant);

            #[inline(always)]
            fn part(self) -> f32 {
                half_part::$t(self.to_bits() & 0x7fff)
            }

            #[inline(always)]
            fn widen(self) -> f64 {
                f64::from(self.to_f32())
            }

            #[inline(always)]
            fn narrow(x: f64) -> Self {
                Self::from_f32(round_to_odd(x))
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
half_element!(f16, F16);
#[cfg(feature = "half")]
half_element!(bf16, BF16);

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
            for (part, whole) in [(x.part(), x.to_f32()), (y.part(), y.to_f32())] {
                assert!(part == whole.abs() || part.is_nan() && whole.is_nan());
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
        assert_eq!(f16::narrow(65_520.0), f16::INFINITY);
        assert_eq!(f16::narrow(65_519.999_999_9), f16::MAX);
        assert_eq!(f16::toward_zero(1e9), f16::MAX);
        assert!(bf16::toward_zero(0.1).widen() < 0.1);
    }
}
