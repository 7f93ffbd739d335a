//! What a processor multiplies and adds at once.

/// Vectors of a processor, for elements of one type.
pub trait Vectors<T>: Copy {
    /// A register.
    type V: Copy;

    /// Elements in a register.
    const LANES: usize;

    /// Rows of a tile: with two registers of columns, their sums fill the registers there are.
    const ROWS: usize;

    fn zero(self) -> Self::V;

    fn splat(self, x: T) -> Self::V;

    /// The first elements of a slice that has as many.
    fn load(self, xs: &[T]) -> Self::V;

    fn store(self, v: Self::V, to: &mut [T]);

    fn add(self, a: Self::V, b: Self::V) -> Self::V;

    /// a·b + c, rounded once where the processor can do that as fast.
    fn multiply_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
}

/// Something to be done with the vectors of the processor at hand.
pub trait OnVectors<T> {
    fn run<U: Vectors<T>>(self, unit: U);
}

/// Elements of matrices: `f32` and `f64`.
pub trait Multiply: Copy + Default + Send + Sync + 'static {
    /// Does `what` with the widest vectors there are.
    fn on_vectors(what: impl OnVectors<Self>);

    /// Columns of a panel on this processor.
    fn panel() -> usize;
}

/// Registers of columns in a tile.
pub(super) const ACROSS: usize = 2;

/// Vectors as the compiler makes them of arrays.
#[derive(Clone, Copy, Debug)]
struct Plain;

macro_rules! plain {
    ($($t:ty),*) => {$(
        impl Vectors<$t> for Plain {
            type V = [$t; 4];
            const LANES: usize = 4;
            const ROWS: usize = 4;

            #[inline(always)]
            fn zero(self) -> [$t; 4] {
                [0.0; 4]
            }

            #[inline(always)]
            fn splat(self, x: $t) -> [$t; 4] {
                [x; 4]
            }

            #[inline(always)]
            fn load(self, xs: &[$t]) -> [$t; 4] {
                [xs[0], xs[1], xs[2], xs[3]]
            }

            #[inline(always)]
            fn store(self, v: [$t; 4], to: &mut [$t]) {
                to[..4].copy_from_slice(&v);
            }

            #[inline(always)]
            fn add(self, a: [$t; 4], b: [$t; 4]) -> [$t; 4] {
                [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]
            }

            #[inline(always)]
            fn multiply_add(self, a: [$t; 4], b: [$t; 4], c: [$t; 4]) -> [$t; 4] {
                let mut sum = c;
                for j in 0..4 {
                    sum[j] += a[j] * b[j];
                }
                sum
            }
        }
    )*};
}

plain!(f32, f64);

#[cfg(not(all(feature = "std", target_arch = "x86_64")))]
macro_rules! multiply {
    ($($t:ty),*) => {$(
        impl Multiply for $t {
            fn on_vectors(what: impl OnVectors<Self>) {
                what.run(Plain);
            }

            fn panel() -> usize {
                ACROSS * <Plain as Vectors<$t>>::LANES
            }
        }
    )*};
}

#[cfg(not(all(feature = "std", target_arch = "x86_64")))]
multiply!(f32, f64);

#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod x86 {
    use super::{ACROSS, Multiply, OnVectors, Plain, Vectors};
    use pulp::x86::{V3, V4};
    use pulp::{NullaryFnOnce, cast, f32x8, f32x16, f64x4, f64x8};
    use std::sync::OnceLock;

    /// AVX-512, if the processor has it.
    #[inline]
    fn v4() -> Option<V4> {
        static FOUND: OnceLock<Option<V4>> = OnceLock::new();
        *FOUND.get_or_init(V4::try_new)
    }

    struct With<U, W> {
        unit: U,
        what: W,
    }

    macro_rules! vectors {
        ($unit:ident, $t:ty, $v:ty, $lanes:literal, $rows:literal, $splat:ident, $add:ident, $multiply_add:ident) => {
            impl Vectors<$t> for $unit {
                type V = $v;
                const LANES: usize = $lanes;
                const ROWS: usize = $rows;

                #[inline(always)]
                fn zero(self) -> $v {
                    self.$splat(0.0)
                }

                #[inline(always)]
                fn splat(self, x: $t) -> $v {
                    self.$splat(x)
                }

                #[inline(always)]
                fn load(self, xs: &[$t]) -> $v {
                    let mut lanes = [0.0; $lanes];
                    lanes.copy_from_slice(&xs[..$lanes]);
                    cast(lanes)
                }

                #[inline(always)]
                fn store(self, v: $v, to: &mut [$t]) {
                    let lanes: [$t; $lanes] = cast(v);
                    to[..$lanes].copy_from_slice(&lanes);
                }

                #[inline(always)]
                fn add(self, a: $v, b: $v) -> $v {
                    self.$add(a, b)
                }

                #[inline(always)]
                fn multiply_add(self, a: $v, b: $v, c: $v) -> $v {
                    self.$multiply_add(a, b, c)
                }
            }

            impl<W: OnVectors<$t>> NullaryFnOnce for With<($unit, $t), W> {
                type Output = ();

                #[inline(always)]
                fn call(self) {
                    self.what.run(self.unit.0);
                }
            }
        };
    }

    vectors!(V3, f32, f32x8, 8, 6, splat_f32x8, add_f32x8, mul_add_f32x8);
    vectors!(V3, f64, f64x4, 4, 6, splat_f64x4, add_f64x4, mul_add_f64x4);
    vectors!(V4, f32, f32x16, 16, 12, splat_f32x16, add_f32x16, mul_add_f32x16);
    vectors!(V4, f64, f64x8, 8, 12, splat_f64x8, add_f64x8, mul_add_f64x8);

    macro_rules! multiply {
        ($($t:ty),*) => {$(
            impl Multiply for $t {
                fn on_vectors(what: impl OnVectors<Self>) {
                    if let Some(unit) = v4() {
                        let unit_of = (unit, 0.0 as $t);
                        return unit.vectorize(With { unit: unit_of, what });
                    }
                    if let Some(unit) = crate::kernel::unit::v3() {
                        let unit_of = (unit, 0.0 as $t);
                        return unit.vectorize(With { unit: unit_of, what });
                    }
                    what.run(Plain);
                }

                fn panel() -> usize {
                    ACROSS * if v4().is_some() {
                        <V4 as Vectors<$t>>::LANES
                    } else if crate::kernel::unit::v3().is_some() {
                        <V3 as Vectors<$t>>::LANES
                    } else {
                        <Plain as Vectors<$t>>::LANES
                    }
                }
            }
        )*};
    }

    multiply!(f32, f64);
}
