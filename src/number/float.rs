//! `f32` and `f64`.

use super::{Eight, Number, Part, name_slices};
use crate::slice::{SliceMut, SliceRef};
use crate::{Wide, math};

impl Part for f64 {
    const INFINITY: Self = Self::INFINITY;
    const ZERO: Self = 0.0;
    const SQUARES_ARE_EXACT: bool = false;

    #[inline(always)]
    fn is_nan(self) -> bool {
        f64::is_nan(self)
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }

    #[inline(always)]
    fn magnitude(self) -> Self {
        self.abs()
    }

    #[inline(always)]
    fn times(self, factor: Self) -> Self {
        self * factor
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
    const INFINITY: Self = Self::INFINITY;
    const ZERO: Self = 0.0;
    const SQUARES_ARE_EXACT: bool = true;

    #[inline(always)]
    fn is_nan(self) -> bool {
        f32::is_nan(self)
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn magnitude(self) -> Self {
        self.abs()
    }

    #[inline(always)]
    fn times(self, factor: Self) -> Self {
        self * factor
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

impl Number for f64 {
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
    fn exact(self) -> f64 {
        self
    }

    #[inline(always)]
    fn near(x: f64) -> Self {
        x
    }

    #[inline]
    fn inward(x: f64) -> Self {
        x
    }
}

impl Number for f32 {
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
    fn exact(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn near(x: f64) -> Self {
        x as f32
    }

    #[inline]
    fn inward(x: f64) -> Self {
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
            let y = f32::inward(x);
            assert!(y.exact().abs() <= x.abs(), "{x} became {y}");
            assert!(y.is_finite());
            // No other f32 lies between y and x.
            let next = f32::from_bits(y.to_bits() + 1);
            assert!(
                next.exact().abs() > x.abs(),
                "{x}: {next} would fit better than {y}"
            );
        }
        assert_eq!(f32::inward(f64::INFINITY), f32::INFINITY);
        assert_eq!(f32::inward(f64::NEG_INFINITY), f32::NEG_INFINITY);
        assert!(f32::inward(f64::NAN).is_nan());
    }
}
