//! `f16` and `bf16`.

use half::{bf16, f16};

use super::{Number, name_slices};
use crate::slice::{SliceMut, SliceRef};

/// Between numbers and the bits of half types, without a branch or a call, so that loops vectorise.
mod bits {
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

macro_rules! half_element {
    ($t:ident, $variant:ident, $widen:ident, $m:literal, $bias:literal) => {
        impl Number for $t {
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
                bits::$widen(self.to_bits())
            }

            #[inline(always)]
            fn exact(self) -> f64 {
                f64::from(self.value())
            }

            #[inline(always)]
            fn near(x: f64) -> Self {
                Self::from_bits(bits::narrow::<$m, $bias>(x))
            }

            #[inline]
            fn inward(x: f64) -> Self {
                let near = Self::near(x);
                if near.exact().abs() > x.abs() && !x.is_infinite() {
                    Self::from_bits(near.to_bits() - 1)
                } else {
                    near
                }
            }
        }
    };
}

half_element!(f16, F16, widen_f16, 10, 15);
half_element!(bf16, BF16, widen_bf16, 7, 127);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_types_round_once() {
        // Midway between two neighbours plus a trace that an f32 cannot hold: up. Minus it: down.
        let one = 1.0;
        let half_step = 2f64.powi(-11);
        let trace = 2f64.powi(-40);
        assert_eq!(
            f16::near(one + half_step + trace).to_bits(),
            f16::ONE.to_bits() + 1
        );
        assert_eq!(
            f16::near(one + half_step - trace).to_bits(),
            f16::ONE.to_bits()
        );
        assert_eq!(f16::near(one + half_step), f16::ONE);
        // The same among the subnormal ones, with a trace that only an f64 can hold.
        let (tie, little) = (1.5 * 2f64.powi(-133), 2f64.powi(-180));
        assert_eq!(bf16::near(tie).to_bits(), 2);
        assert_eq!(bf16::near(tie - little).to_bits(), 1);
        assert_eq!(
            bf16::near(-(2.5 * 2f64.powi(-133) + little)).to_bits(),
            0x8003
        );
        let (tie, little) = (1.5 * 2f64.powi(-24), 2f64.powi(-70));
        assert_eq!(f16::near(tie).to_bits(), 2);
        assert_eq!(f16::near(tie - little).to_bits(), 1);
        let half_step = 2f64.powi(-8);
        assert_eq!(
            bf16::near(one + half_step + trace).to_bits(),
            bf16::ONE.to_bits() + 1
        );
        assert_eq!(
            bf16::near(one + half_step - trace).to_bits(),
            bf16::ONE.to_bits()
        );
        // Every f16 and bf16 comes back as itself, NaN as NaN.
        for bits in 0..=u16::MAX {
            let (x, y) = (f16::from_bits(bits), bf16::from_bits(bits));
            for (value, whole) in [(x.value(), x.to_f32()), (y.value(), y.to_f32())] {
                assert!(value.to_bits() == whole.to_bits() || value.is_nan() && whole.is_nan());
            }
            if x.is_nan() {
                assert!(f16::near(x.exact()).is_nan());
            } else {
                assert_eq!(f16::near(x.exact()).to_bits(), bits);
            }
            if y.is_nan() {
                assert!(bf16::near(y.exact()).is_nan());
            } else {
                assert_eq!(bf16::near(y.exact()).to_bits(), bits);
            }
        }
        // The conversions of the crate `half` agree, on a sample of all f32.
        for bits in (0..=u32::MAX).step_by(9973) {
            let x = f32::from_bits(bits);
            let (a, b) = (f16::from_f32(x), bf16::from_f32(x));
            let x = f64::from(x);
            let (c, d) = (f16::near(x), bf16::near(x));
            assert!(a.to_bits() == c.to_bits() || a.is_nan() && c.is_nan());
            assert!(b.to_bits() == d.to_bits() || b.is_nan() && d.is_nan());
        }
        assert_eq!(f16::near(65_520.0), f16::INFINITY);
        assert_eq!(f16::near(65_519.999_999_9), f16::MAX);
        assert_eq!(f16::inward(1e9), f16::MAX);
        assert!(bf16::inward(0.1).exact() < 0.1);
    }
}
