//! Eight lanes of `f64`, on whatever the processor has for them.

use super::measure::LANES;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
use crate::element::Eight;
use crate::element::Part;

/// How a processor adds eight lanes. Every implementation gives the same bits.
pub(super) trait Unit: Copy {
    /// Eight lanes of `f64`.
    type Lanes: Copy;

    fn load(self, xs: &[f64; LANES]) -> Self::Lanes;
    fn store(self, xs: Self::Lanes) -> [f64; LANES];
    fn widen<P: Part>(self, xs: &[P; LANES]) -> Self::Lanes;
    fn add(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    fn sub(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    fn square(self, x: Self::Lanes) -> Self::Lanes;

    /// Makes `max` the largest of itself and every second of `rows`, its other half of the others.
    fn raise<P: Part>(self, max: &mut [[P; LANES]; 2], rows: &[[P; LANES]]);

    /// `sum + x²`, where the square is exact.
    fn add_exact_square(self, sum: Self::Lanes, x: Self::Lanes) -> Self::Lanes;

    /// Has `parts` written to memory before they are read again.
    fn settle<T>(self, parts: &mut T);
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
    fn square(self, x: Self::Lanes) -> Self::Lanes {
        x.map(|x| x * x)
    }

    #[inline(always)]
    fn add_exact_square(self, sum: Self::Lanes, x: Self::Lanes) -> Self::Lanes {
        self.add(sum, self.square(x))
    }

    #[inline(always)]
    fn raise<P: Part>(self, max: &mut [[P; LANES]; 2], rows: &[[P; LANES]]) {
        for rows in rows.chunks_exact(2) {
            for (max, &x) in max.as_flattened_mut().iter_mut().zip(rows.as_flattened()) {
                *max = P::larger(*max, x);
            }
        }
    }

    #[inline(always)]
    fn settle<T>(self, _parts: &mut T) {}
}

#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub(super) use x86::v3;

#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod x86 {
    use super::{Eight, LANES, Part, Unit};
    use pulp::x86::V3;
    use pulp::{cast, f64x4, u32x8};
    use std::sync::OnceLock;

    /// AVX2 and FMA, if the processor has them.
    #[inline]
    pub(in crate::kernel) fn v3() -> Option<V3> {
        static FOUND: OnceLock<Option<V3>> = OnceLock::new();
        *FOUND.get_or_init(V3::try_new)
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
        fn raise<P: Part>(self, max: &mut [[P; LANES]; 2], rows: &[[P; LANES]]) {
            match (P::eight(max[0]), P::eight(max[1])) {
                (Eight::F32(a), Eight::F32(b)) => {
                    let mut most: [u32x8; 2] = [cast(a), cast(b)];
                    for (i, row) in rows.iter().enumerate() {
                        if let Eight::F32(row) = P::eight(*row) {
                            most[i % 2] = self.max_u32x8(most[i % 2], cast(row));
                        }
                    }
                    *max = [
                        P::own(Eight::F32(cast(most[0]))),
                        P::own(Eight::F32(cast(most[1]))),
                    ];
                }
                (Eight::F64(a), Eight::F64(b)) => {
                    let mut most: [[f64x4; 2]; 2] = [cast(a), cast(b)];
                    for (i, row) in rows.iter().enumerate() {
                        if let Eight::F64(row) = P::eight(*row) {
                            let (row, most): ([f64x4; 2], _) = (cast(row), &mut most[i % 2]);
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

        /// Converting four lanes from memory is one instruction, from the upper half of a register two.
        #[inline(always)]
        fn settle<T>(self, parts: &mut T) {
            core::hint::black_box(parts);
        }
    }
}
