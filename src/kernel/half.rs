//! `f16` and `bf16` times a factor, in `f32`.
//!
//! The factor f is rounded to an `f32`, and so is the product, which is then rounded to 11 or 8 bits. With u = 2^-24 the
//! `f32` is within 2u·|x·f| of x·f and, where it is subnormal, another 2^-150: at most 2^-12 units in the last place of an
//! `f16`, the smallest of which is 2^-24, and 2^-15 units of a `bf16`, the smallest of which is 2^-133. So **the result is
//! within 1/2 + 2^-12 units of x·f**. That holds for factors that are normal `f32`s; others go the long way through `f64`.
//!
//! Bits do not depend on the processor, since each step rounds as IEEE 754 says. A product is NaN only where an element is,
//! and then has the element's bits: so the lower half of a NaN that is to be a `bf16` is zeros, and an addition that rounds
//! it does not carry.

use half::{bf16, f16};

use super::scale::{Bounds, Stay, Then};
use super::unit::{Plain, Run, widest};
use crate::number::Number;

/// The factor, if products can be had in `f32`.
pub(super) fn short(factor: f64) -> Option<f32> {
    Some(factor as f32).filter(|factor| factor.is_normal())
}

/// Scales, and then clamps if there are bounds.
pub(super) fn scale_f16(xs: &mut [f16], factor: f32, bounds: Option<Bounds>) {
    widest(Scale { xs, factor, bounds });
}

/// The same.
pub(super) fn scale_bf16(xs: &mut [bf16], factor: f32, bounds: Option<Bounds>) {
    widest(Scale { xs, factor, bounds });
}

struct Scale<'a, T> {
    xs: &'a mut [T],
    factor: f32,
    bounds: Option<Bounds>,
}

impl<T: Number<Part = f32>> Run<Plain> for Scale<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self, _unit: Plain) {
        match self.bounds {
            None => one_by_one(self.xs, self.factor, Stay),
            Some(bounds) => one_by_one(self.xs, self.factor, bounds),
        }
    }
}

#[inline(always)]
fn one_by_one<T: Number<Part = f32>>(xs: &mut [T], factor: f32, and: impl Then) {
    for x in xs {
        let y = and.then(x.value() * factor);
        *x = T::near(f64::from(y));
    }
}

#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod x86 {
    use core::arch::x86_64::__m256i;

    use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
    use half::{bf16, f16};
    use pulp::x86::{V3, V4};
    use pulp::{Simd, bytemuck, cast, f32x16};

    use super::{Run, Scale, Stay, Then, one_by_one};

    /// Halves that are converted together.
    const BLOCK: usize = 256;

    impl Run<V4> for Scale<'_, f16> {
        type Output = ();

        #[inline(always)]
        fn run(self, unit: V4) {
            match self.bounds {
                None => in_sixteens(unit, self.xs, self.factor, Stay),
                Some(bounds) => in_sixteens(unit, self.xs, self.factor, bounds),
            }
        }
    }

    #[inline(always)]
    fn in_sixteens(unit: V4, xs: &mut [f16], factor: f32, and: impl Then) {
        let factor = unit.splat_f32x16(factor);
        let (rows, rest) = xs.reinterpret_cast_mut().as_chunks_mut::<16>();
        for row in rows {
            sixteen(unit, row, factor, and);
        }
        if !rest.is_empty() {
            let mut row = [0; 16];
            row[..rest.len()].copy_from_slice(rest);
            sixteen(unit, &mut row, factor, and);
            rest.copy_from_slice(&row[..rest.len()]);
        }
    }

    #[inline(always)]
    fn sixteen(unit: V4, row: &mut [u16; 16], factor: f32x16, and: impl Then) {
        let x: __m256i = cast(*row);
        let x: f32x16 = cast(unit.avx512f._mm512_cvtph_ps(x));
        let y = and.then_all(unit, unit.mul_f32x16(x, factor));
        *row = cast(unit.avx512f._mm512_cvtps_ph::<0>(cast(y)));
    }

    impl Run<V3> for Scale<'_, f16> {
        type Output = ();

        /// The crate `half` has the instructions that convert.
        #[inline(always)]
        fn run(self, _unit: V3) {
            let Self { xs, factor, bounds } = self;
            let mut singles = [0.0; BLOCK];
            for halves in xs.chunks_mut(BLOCK) {
                let singles = &mut singles[..halves.len()];
                halves.convert_to_f32_slice(singles);
                match bounds {
                    None => each(singles, factor, Stay),
                    Some(bounds) => each(singles, factor, bounds),
                }
                halves.convert_from_f32_slice(singles);
            }
        }
    }

    #[inline(always)]
    fn each(xs: &mut [f32], factor: f32, and: impl Then) {
        for x in xs {
            *x = and.then(*x * factor);
        }
    }

    impl Run<V4> for Scale<'_, bf16> {
        type Output = ();

        #[inline(always)]
        fn run(self, unit: V4) {
            match self.bounds {
                None => in_pairs(unit, self.xs, self.factor, Stay),
                Some(bounds) => in_pairs(unit, self.xs, self.factor, bounds),
            }
        }
    }

    impl Run<V3> for Scale<'_, bf16> {
        type Output = ();

        #[inline(always)]
        fn run(self, unit: V3) {
            match self.bounds {
                None => in_pairs(unit, self.xs, self.factor, Stay),
                Some(bounds) => in_pairs(unit, self.xs, self.factor, bounds),
            }
        }
    }

    /// Two halves that lie in one word each become an `f32` where they lie, so none is moved from lane to lane.
    #[inline(always)]
    fn in_pairs<S: Simd>(simd: S, xs: &mut [bf16], factor: f32, and: impl Then) {
        let all = simd.splat_f32s(factor);
        let halves: &mut [u16] = xs.reinterpret_cast_mut();
        let (first, pairs, last) = bytemuck::pod_align_to_mut::<u16, u32>(halves);
        let (rows, rest) = S::as_mut_simd_u32s(pairs);
        for row in rows {
            *row = pair(simd, *row, all, and);
        }
        if !rest.is_empty() {
            let row = pair(simd, simd.partial_load_u32s(rest), all, and);
            simd.partial_store_u32s(rest, row);
        }
        for halves in [first, last] {
            let xs: &mut [bf16] = halves.reinterpret_cast_mut();
            one_by_one(xs, factor, and);
        }
    }

    #[inline(always)]
    fn pair<S: Simd>(simd: S, pair: S::u32s, factor: S::f32s, and: impl Then) -> S::u32s {
        let (sixteen, upper) = (simd.splat_u32s(16), simd.splat_u32s(0xffff_0000));
        let even = simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(pair, sixteen));
        let odd = simd.transmute_f32s_u32s(simd.and_u32s(pair, upper));
        let even = rounded(simd, and.then_all(simd, simd.mul_f32s(even, factor)));
        let odd = rounded(simd, and.then_all(simd, simd.mul_f32s(odd, factor)));
        let even = simd.wrapping_dyn_shr_u32s(even, sixteen);
        simd.or_u32s(even, simd.and_u32s(odd, upper))
    }

    /// The upper 16 bits are those of the nearest `bf16`, ties to even.
    #[inline(always)]
    fn rounded<S: Simd>(simd: S, y: S::f32s) -> S::u32s {
        let y = simd.transmute_u32s_f32s(y);
        let place = simd.wrapping_dyn_shr_u32s(y, simd.splat_u32s(16));
        let odd = simd.and_u32s(place, simd.splat_u32s(1));
        simd.add_u32s(simd.add_u32s(y, simd.splat_u32s(0x7fff)), odd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const EVERY: core::ops::RangeInclusive<u16> = 0..=u16::MAX;

    /// What every kind of processor makes of them, once it is seen that they agree.
    fn on_all<T: Number<Part = f32>>(
        xs: &[T],
        factor: f32,
        bounds: Option<Bounds>,
        scale: fn(&mut [T], f32, Option<Bounds>),
        on_v3: fn(Scale<'_, T>),
    ) -> Vec<T> {
        let (mut chosen, mut v3, mut plain) = (xs.to_vec(), xs.to_vec(), xs.to_vec());
        scale(&mut chosen, factor, bounds);
        on_v3(Scale {
            xs: &mut v3,
            factor,
            bounds,
        });
        Scale {
            xs: &mut plain,
            factor,
            bounds,
        }
        .run(Plain);
        for (i, x) in xs.iter().enumerate() {
            let [a, b, c] = [chosen[i], v3[i], plain[i]].map(|y| y.value().to_bits());
            assert!(a == b && b == c, "{x} times {factor:e}");
        }
        chosen
    }

    fn within_half_a_unit<T: Number<Part = f32>>(
        xs: &[T],
        (digits, least): (i32, i32),
        scale: fn(&mut [T], f32, Option<Bounds>),
        on_v3: fn(Scale<'_, T>),
    ) {
        let largest = T::inward(f64::MAX).exact();
        let exponents = (-126..128)
            .step_by(7)
            .chain([-126, -14, -3, -2, -1, 0, 1, 127]);
        let factors = exponents.flat_map(|e| {
            [
                1.0,
                1.0 + f64::EPSILON,
                1.1,
                4.0 / 3.0,
                1.75,
                2.0 - f64::from(f32::EPSILON),
            ]
            .map(|m| m * 2_f64.powi(e))
        });
        for factor in factors {
            let Some(short) = short(factor) else {
                panic!("{factor:e} is normal");
            };
            let found = on_all(xs, short, None, scale, on_v3);
            for (x, y) in xs.iter().zip(found) {
                let exact = x.exact() * factor;
                if x.exact().is_nan() {
                    assert!(y.exact().is_nan());
                    continue;
                }
                let exponent = (exact.abs().to_bits() >> 52) as i32 - 1023;
                let unit = 2_f64.powi((exponent - digits + 1).max(least));
                // An infinity stands for the number that would come next.
                let y = y.exact().clamp(-largest - unit, largest + unit);
                let off = (y - exact.clamp(-largest - unit, largest + unit)).abs() / unit;
                let most = 0.5 + 2_f64.powi(-12);
                assert!(
                    off <= most,
                    "{x} times {factor:e} became {y:e}, {off} units off"
                );
            }
            let bounds = Bounds {
                min: -0.25,
                max: 7.0,
            };
            let clamped = on_all(xs, short, Some(bounds), scale, on_v3);
            let free = on_all(xs, short, None, scale, on_v3);
            for (x, y) in free.iter().zip(clamped) {
                let expected = bounds.then(x.value());
                assert!(y.value().to_bits() == expected.to_bits() || y.value().is_nan());
                assert_eq!(x.value().is_nan(), y.value().is_nan());
            }
        }
    }

    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    fn on_v3<T: Number<Part = f32>>(what: Scale<'_, T>)
    where
        for<'a> Scale<'a, T>: Run<pulp::x86::V3, Output = ()>,
    {
        match crate::kernel::unit::v3() {
            Some(unit) => crate::kernel::unit::on_v3(unit, what),
            None => Run::<Plain>::run(what, Plain),
        }
    }

    #[cfg(not(all(feature = "std", target_arch = "x86_64")))]
    fn on_v3<T: Number<Part = f32>>(what: Scale<'_, T>) {
        what.run(Plain);
    }

    #[test]
    fn every_f16() {
        let xs: Vec<f16> = EVERY.map(f16::from_bits).collect();
        within_half_a_unit(&xs, (11, -24), scale_f16, on_v3);
    }

    #[test]
    fn every_bf16() {
        let xs: Vec<bf16> = EVERY.map(bf16::from_bits).collect();
        within_half_a_unit(&xs, (8, -133), scale_bf16, on_v3);
    }

    #[test]
    fn any_length_from_anywhere() {
        let xs: Vec<f16> = (0..700).map(|i| f16::from_bits(i * 91)).collect();
        let ys: Vec<bf16> = (0..700).map(|i| bf16::from_bits(i * 91)).collect();
        let (xs_scaled, ys_scaled) = (
            on_all(&xs, 0.3, None, scale_f16, on_v3),
            on_all(&ys, 0.3, None, scale_bf16, on_v3),
        );
        for start in [0, 1, 2, 3, 13] {
            for len in (0..70).chain([255, 256, 257, 600]) {
                let part = start..start + len;
                let found = on_all(&xs[part.clone()], 0.3, None, scale_f16, on_v3);
                let same = |(a, b): (&f16, &f16)| a.to_bits() == b.to_bits();
                assert!(found.iter().zip(&xs_scaled[part.clone()]).all(same));
                let found = on_all(&ys[part.clone()], 0.3, None, scale_bf16, on_v3);
                let same = |(a, b): (&bf16, &bf16)| a.to_bits() == b.to_bits();
                assert!(found.iter().zip(&ys_scaled[part]).all(same));
            }
        }
    }

    #[test]
    fn factors_that_are_no_normal_f32_are_not_taken() {
        for factor in [0.0, 1e-39, 1e-300, 3.5e38, 1e300] {
            assert_eq!(short(factor), None, "{factor:e}");
        }
        assert_eq!(short(0.1), Some(0.1_f32));
    }
}
