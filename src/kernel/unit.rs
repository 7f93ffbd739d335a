//! Eight lanes of `f64`, on whatever the processor has for them.

use super::lanes::{LANES, LEAF, Twofold, two_sum};
#[cfg(all(feature = "std", target_arch = "x86_64"))]
use crate::number::Eight;
use crate::number::Part;

/// How a processor adds eight lanes. Every implementation gives the same bits.
pub(super) trait Unit: Copy {
    /// Eight lanes of `f64`.
    type Lanes: Copy;

    fn load(self, xs: &[f64; LANES]) -> Self::Lanes;
    fn store(self, xs: Self::Lanes) -> [f64; LANES];
    fn widen<P: Part>(self, xs: &[P; LANES]) -> Self::Lanes;
    fn add(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    fn sub(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    fn abs(self, x: Self::Lanes) -> Self::Lanes;
    fn square(self, x: Self::Lanes) -> Self::Lanes;

    /// Makes each of `max` the largest of itself and the magnitudes of every second eight of `leaf`.
    fn raise<P: Part>(self, max: &mut [[P; LANES]; 2], leaf: &[P; LEAF]);

    /// The largest of them.
    fn largest<P: Part>(self, max: &[[P; LANES]; 2]) -> P;

    /// The lower half of the lanes plus the upper, and what rounding took.
    fn halve(self, lanes: &Twofold) -> ([f64; LANES / 2], [f64; LANES / 2]);

    /// `sum + x²`, where the square is exact.
    fn add_exact_square(self, sum: Self::Lanes, x: Self::Lanes) -> Self::Lanes;
}

/// Arrays, which the compiler makes vectors of where it can.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl Unit for Plain {
    type Lanes = [f64; LANES];

    #[inline(always)]
    fn load(self, xs: &[f64; LANES]) -> Self::Lanes {
        *xs
    }

    #[inline(always)]
    fn store(self, xs: Self::Lanes) -> [f64; LANES] {
        xs
    }

    #[inline(always)]
    fn widen<P: Part>(self, xs: &[P; LANES]) -> Self::Lanes {
        xs.map(P::to_f64)
    }

    #[inline(always)]
    fn add(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        core::array::from_fn(|j| a[j] + b[j])
    }

    #[inline(always)]
    fn sub(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        core::array::from_fn(|j| a[j] - b[j])
    }

    #[inline(always)]
    fn abs(self, x: Self::Lanes) -> Self::Lanes {
        x.map(f64::abs)
    }

    #[inline(always)]
    fn square(self, x: Self::Lanes) -> Self::Lanes {
        x.map(|x| x * x)
    }

    #[inline(always)]
    fn add_exact_square(self, sum: Self::Lanes, x: Self::Lanes) -> Self::Lanes {
        self.add(sum, self.square(x))
    }

    #[inline(always)]
    fn raise<P: Part>(self, max: &mut [[P; LANES]; 2], leaf: &[P; LEAF]) {
        let max = max.as_flattened_mut();
        for row in leaf.chunks_exact(max.len()) {
            for (max, &x) in max.iter_mut().zip(row) {
                *max = max.larger(x.magnitude());
            }
        }
    }

    #[inline(always)]
    fn largest<P: Part>(self, max: &[[P; LANES]; 2]) -> P {
        let mut largest = P::ZERO;
        for &x in max.as_flattened() {
            largest = largest.larger(x);
        }
        largest
    }

    #[inline(always)]
    fn halve(self, lanes: &Twofold) -> ([f64; LANES / 2], [f64; LANES / 2]) {
        let (mut sum, mut rest) = ([0.0; LANES / 2], [0.0; LANES / 2]);
        for j in 0..LANES / 2 {
            let (new, error) = two_sum(lanes.sum[j], lanes.sum[j + LANES / 2]);
            (sum[j], rest[j]) = (new, lanes.rest[j] + (lanes.rest[j + LANES / 2] + error));
        }
        (sum, rest)
    }
}

/// What is compiled for the vectors of a processor.
pub(super) trait Run<U> {
    type Output;

    fn run(self, unit: U) -> Self::Output;
}

/// Does `what` with the widest vectors that there are.
#[cfg(not(all(feature = "std", target_arch = "x86_64")))]
#[inline]
pub(super) fn widest<R: Run<Plain>>(what: R) -> R::Output {
    what.run(Plain)
}

#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub(super) use x86::{Singles, on_v3, v3, widest};
#[cfg(all(feature = "std", feature = "ndarray", target_arch = "x86_64"))]
pub(super) use x86::{on_v4, v4};

#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod x86 {
    use super::{Eight, LANES, LEAF, Part, Plain, Run, Twofold, Unit};
    use crate::kernel::lanes::part;
    use core::arch::x86_64::__m256i;
    use pulp::x86::{V3, V4};
    use pulp::{NullaryFnOnce, Simd, b16, cast, f64x4, m32x8, u32x4, u32x8};
    use std::sync::OnceLock;

    /// AVX2 and FMA, if the processor has them.
    #[inline]
    pub(in crate::kernel) fn v3() -> Option<V3> {
        static FOUND: OnceLock<Option<V3>> = OnceLock::new();
        *FOUND.get_or_init(V3::try_new)
    }

    /// AVX-512, if the processor has it.
    #[inline]
    pub(in crate::kernel) fn v4() -> Option<V4> {
        static FOUND: OnceLock<Option<V4>> = OnceLock::new();
        *FOUND.get_or_init(V4::try_new)
    }

    struct Call<U, R>(U, R);

    impl<U, R: Run<U>> NullaryFnOnce for Call<U, R> {
        type Output = R::Output;

        #[inline(always)]
        fn call(self) -> R::Output {
            self.1.run(self.0)
        }
    }

    /// Does `what` in a function of its own, compiled for AVX2 and FMA.
    #[inline(always)]
    pub(in crate::kernel) fn on_v3<R: Run<V3>>(unit: V3, what: R) -> R::Output {
        unit.vectorize(Call(unit, what))
    }

    /// The same for AVX-512.
    #[inline(always)]
    pub(in crate::kernel) fn on_v4<R: Run<V4>>(unit: V4, what: R) -> R::Output {
        unit.vectorize(Call(unit, what))
    }

    /// Does `what` with the widest vectors that there are.
    #[inline]
    pub(in crate::kernel) fn widest<R, O>(what: R) -> O
    where
        R: Run<V4, Output = O> + Run<V3, Output = O> + Run<Plain, Output = O>,
    {
        if let Some(unit) = v4() {
            on_v4(unit, what)
        } else if let Some(unit) = v3() {
            on_v3(unit, what)
        } else {
            what.run(Plain)
        }
    }

    /// Registers of `f32`.
    pub(in crate::kernel) trait Singles: Simd {
        /// Whether the mask holds anywhere.
        fn any(self, mask: Self::m32s) -> bool;

        /// The elements of a slice that fills no register, and `pad` behind them.
        #[inline(always)]
        fn padded(self, xs: &[f32], pad: f32) -> Self::f32s {
            let inside = self.mask_between_m32s(0, xs.len() as u32).mask();
            self.select_f32s(inside, self.partial_load_f32s(xs), self.splat_f32s(pad))
        }
    }

    impl Singles for V3 {
        #[inline(always)]
        fn any(self, mask: m32x8) -> bool {
            let mask: __m256i = cast(mask);
            self.avx._mm256_testz_si256(mask, mask) == 0
        }
    }

    impl Singles for V4 {
        #[inline(always)]
        fn any(self, mask: b16) -> bool {
            mask.0 != 0
        }
    }

    // Written with vectors because what the compiler makes of the arrays runs at half the speed:
    // it keeps neither the lanes in registers nor the rows in order.
    impl Unit for V3 {
        type Lanes = [f64x4; 2];

        #[inline(always)]
        fn load(self, xs: &[f64; LANES]) -> Self::Lanes {
            cast(*xs)
        }

        #[inline(always)]
        fn store(self, xs: Self::Lanes) -> [f64; LANES] {
            cast(xs)
        }

        #[inline(always)]
        fn widen<P: Part>(self, xs: &[P; LANES]) -> Self::Lanes {
            match P::eight(*xs) {
                Eight::F64(xs) => cast(xs),
                Eight::F32([a, b, c, d, e, f, g, h]) => [
                    self.convert_f32x4_to_f64x4(cast([a, b, c, d])),
                    self.convert_f32x4_to_f64x4(cast([e, f, g, h])),
                ],
            }
        }

        #[inline(always)]
        fn add(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
            [self.add_f64x4(a[0], b[0]), self.add_f64x4(a[1], b[1])]
        }

        #[inline(always)]
        fn sub(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
            [self.sub_f64x4(a[0], b[0]), self.sub_f64x4(a[1], b[1])]
        }

        #[inline(always)]
        fn abs(self, x: Self::Lanes) -> Self::Lanes {
            [self.abs_f64x4(x[0]), self.abs_f64x4(x[1])]
        }

        #[inline(always)]
        fn square(self, x: Self::Lanes) -> Self::Lanes {
            [self.mul_f64x4(x[0], x[0]), self.mul_f64x4(x[1], x[1])]
        }

        #[inline(always)]
        fn add_exact_square(self, sum: Self::Lanes, x: Self::Lanes) -> Self::Lanes {
            [
                self.mul_add_f64x4(x[0], x[0], sum[0]),
                self.mul_add_f64x4(x[1], x[1], sum[1]),
            ]
        }

        #[inline(always)]
        fn raise<P: Part>(self, max: &mut [[P; LANES]; 2], leaf: &[P; LEAF]) {
            match (P::eight(max[0]), P::eight(max[1])) {
                (Eight::F32(a), Eight::F32(b)) => {
                    let mut most: [u32x8; 2] = [cast(a), cast(b)];
                    let magnitude = self.splat_u32x8(0x7fff_ffff);
                    for i in 0..LEAF / LANES {
                        if let Eight::F32(row) = P::eight(*part(leaf, i)) {
                            let row = self.and_u32x8(cast(row), magnitude);
                            most[i % 2] = self.max_u32x8(most[i % 2], row);
                        }
                    }
                    *max = [
                        P::own(Eight::F32(cast(most[0]))),
                        P::own(Eight::F32(cast(most[1]))),
                    ];
                }
                (Eight::F64(a), Eight::F64(b)) => {
                    let mut most: [[f64x4; 2]; 2] = [cast(a), cast(b)];
                    for i in 0..LEAF / LANES {
                        if let Eight::F64(row) = P::eight(*part(leaf, i)) {
                            let (row, most) = (self.abs(cast(row)), &mut most[i % 2]);
                            most[0] = self.max_f64x4(row[0], most[0]);
                            most[1] = self.max_f64x4(row[1], most[1]);
                        }
                    }
                    *max = [
                        P::own(Eight::F64(cast(most[0]))),
                        P::own(Eight::F64(cast(most[1]))),
                    ];
                }
                _ => (),
            }
        }

        #[inline(always)]
        fn largest<P: Part>(self, max: &[[P; LANES]; 2]) -> P {
            let eight = match (P::eight(max[0]), P::eight(max[1])) {
                (Eight::F32(a), Eight::F32(b)) => {
                    let [a, b]: [u32x4; 2] = cast(self.max_u32x8(cast(a), cast(b)));
                    let [a, b, c, d]: [f32; 4] = cast(self.max_u32x4(a, b));
                    Eight::F32([a, b, c, d, 0.0, 0.0, 0.0, 0.0])
                }
                (Eight::F64(a), Eight::F64(b)) => {
                    let ([a, b], [c, d]): ([f64x4; 2], [f64x4; 2]) = (cast(a), cast(b));
                    let most = self.max_f64x4(self.max_f64x4(a, b), self.max_f64x4(c, d));
                    let [a, b, c, d]: [f64; 4] = cast(most);
                    Eight::F64([a, b, c, d, 0.0, 0.0, 0.0, 0.0])
                }
                _ => return P::ZERO,
            };
            let [a, b, c, d, ..] = P::own(eight);
            a.larger(b).larger(c.larger(d))
        }

        #[inline(always)]
        fn halve(self, lanes: &Twofold) -> ([f64; LANES / 2], [f64; LANES / 2]) {
            let [a, b]: [f64x4; 2] = cast(lanes.sum);
            let sum = self.add_f64x4(a, b);
            let part = self.sub_f64x4(sum, a);
            let back = self.sub_f64x4(a, self.sub_f64x4(sum, part));
            let error = self.add_f64x4(back, self.sub_f64x4(b, part));
            let [a, b]: [f64x4; 2] = cast(lanes.rest);
            let rest = self.add_f64x4(a, self.add_f64x4(b, error));
            (cast(sum), cast(rest))
        }
    }
}
