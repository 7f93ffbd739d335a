//! What a processor multiplies and adds at once.

/// Vectors of a processor, for elements of one type.
pub trait Vectors<T>: Copy {
    /// A register.
    type V: Copy;

    /// Elements in a register.
    const LANES: usize;

    /// Registers of columns in a tile, at most [`WIDEST`].
    const ACROSS: usize;

    /// Rows of a tile, at most [`TALLEST`]: their sums, and what is added to them, fill the registers there are.
    const ROWS: usize;

    fn zero(self) -> Self::V;

    fn splat(self, x: T) -> Self::V;

    /// The first elements of a slice that has as many.
    fn load(self, xs: &[T]) -> Self::V;

    fn store(self, v: Self::V, to: &mut [T]);

    fn add(self, a: Self::V, b: Self::V) -> Self::V;

    /// a·b + c, rounded once where the processor can do that as fast.
    fn multiply_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;

    /// Does `what` in a function of its own, compiled for these vectors: small enough for the compiler to find a register
    /// for each sum.
    fn apart(self, what: impl Apart);
}

/// What is compiled as a function of its own.
pub trait Apart {
    fn run(self);
}

/// Something to be done with the vectors of the processor at hand.
pub trait OnVectors<T> {
    fn run<U: Vectors<T>>(self, unit: U);
}

/// Elements of matrices: `f32` and `f64`.
pub trait Multiply: Copy + Default + Send + Sync + 'static {
    /// Does `what` with the widest vectors there are.
    fn on_vectors(what: impl OnVectors<Self>);

    /// Columns of a register, and of a panel, on this processor.
    fn widths() -> [usize; 2];
}

/// Lanes of the widest register.
pub(super) const LANES: usize = 16;

/// Most registers of columns in a tile.
pub(super) const WIDEST: usize = 3;

/// Most rows of a tile.
pub(super) const TALLEST: usize = 7;

fn widths<T, U: Vectors<T>>() -> [usize; 2] {
    [U::LANES, U::ACROSS * U::LANES]
}

/// Vectors as the compiler makes them of arrays.
#[derive(Clone, Copy, Debug)]
struct Plain;

macro_rules! plain {
    ($($t:ty),*) => {$(
        impl Vectors<$t> for Plain {
            type V = [$t; 4];
            const LANES: usize = 4;
            const ACROSS: usize = 2;
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

            fn apart(self, what: impl Apart) {
                what.run();
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

            fn widths() -> [usize; 2] {
                widths::<$t, Plain>()
            }
        }
    )*};
}

#[cfg(not(all(feature = "std", target_arch = "x86_64")))]
multiply!(f32, f64);

#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod x86 {
    use super::{Apart, Multiply, OnVectors, Plain, Vectors, widths};
    use crate::kernel::unit::{Run, on_v3, on_v4, v3, v4};
    use pulp::x86::{V3, V4};
    use pulp::{cast, f32x8, f32x16, f64x4, f64x8};

    struct Whatever<W>(W);

    impl<W: Apart, U> Run<U> for Whatever<W> {
        type Output = ();

        #[inline(always)]
        fn run(self, _unit: U) {
            self.0.run();
        }
    }

    macro_rules! vectors {
        ($unit:ident, $apart:ident, $t:ty, $v:ty, $lanes:literal, $across:literal, $rows:literal, $splat:ident, $add:ident, $multiply_add:ident) => {
            impl Vectors<$t> for $unit {
                type V = $v;
                const LANES: usize = $lanes;
                const ACROSS: usize = $across;
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

                #[inline]
                fn apart(self, what: impl Apart) {
                    $apart(self, Whatever(what));
                }
            }
        };
    }

    vectors!(
        V3,
        on_v3,
        f32,
        f32x8,
        8,
        2,
        6,
        splat_f32x8,
        add_f32x8,
        mul_add_f32x8
    );
    vectors!(
        V3,
        on_v3,
        f64,
        f64x4,
        4,
        2,
        6,
        splat_f64x4,
        add_f64x4,
        mul_add_f64x4
    );
    vectors!(
        V4,
        on_v4,
        f32,
        f32x16,
        16,
        3,
        7,
        splat_f32x16,
        add_f32x16,
        mul_add_f32x16
    );
    vectors!(
        V4,
        on_v4,
        f64,
        f64x8,
        8,
        3,
        7,
        splat_f64x8,
        add_f64x8,
        mul_add_f64x8
    );

    macro_rules! multiply {
        ($($t:ty),*) => {$(
            impl Multiply for $t {
                fn on_vectors(what: impl OnVectors<Self>) {
                    if let Some(unit) = v4() {
                        what.run(unit);
                    } else if let Some(unit) = v3() {
                        what.run(unit);
                    } else {
                        what.run(Plain);
                    }
                }

                fn widths() -> [usize; 2] {
                    if v4().is_some() {
                        widths::<$t, V4>()
                    } else if v3().is_some() {
                        widths::<$t, V3>()
                    } else {
                        widths::<$t, Plain>()
                    }
                }
            }
        )*};
    }

    multiply!(f32, f64);
}
