//! A clamp that counts what it changes, in one walk.

use super::chunks;
use super::edit::clamped;
use super::lanes::along_lines;
use super::unit::{Plain, Run, widest};
use crate::number::{Number, Part};
use crate::tell::Clamped;

/// Elements that are looked at before they are written.
const BLOCK: usize = 256;

/// Clamps a slice into `[min, max]`. Where nothing lies outside, nothing is written.
pub(crate) fn clamp_and_count<T: Number>(xs: &mut [T], min: f64, max: f64) -> Clamped {
    let (low, high) = (T::inward(min), T::inward(max));
    let mut counts = Clamped::default();
    chunks::write(
        xs,
        |xs| widest(Clamp { xs, low, high }),
        |found| counts.add(found),
    );
    counts
}

struct Clamp<'a, T> {
    xs: &'a mut [T],
    low: T,
    high: T,
}

impl<T: Number> Run<Plain> for Clamp<'_, T> {
    type Output = Clamped;

    #[inline(always)]
    fn run(self, _unit: Plain) -> Clamped {
        let Self { xs, low, high } = self;
        let (len, mut found, mut bites) = (xs.len(), Found::default(), false);
        for xs in along_lines(xs) {
            let (blocks, rest) = xs.as_chunks_mut::<BLOCK>();
            for block in blocks {
                bites = of_block(block, low, high, bites, &mut found);
            }
            bites = of_block(rest, low, high, bites, &mut found);
        }
        found.of(len)
    }
}

/// What was found.
#[derive(Clone, Copy, Default)]
struct Found {
    clipped: u64,
    nan: u64,
    inf: u64,
}

impl Found {
    /// As the counts of so many elements; made at the end, since a whole that is copied right after its parts were
    /// written waits for them.
    #[inline(always)]
    fn of(self, len: usize) -> Clamped {
        Clamped::of(len as u64, self.clipped, self.nan, self.inf)
    }

    #[inline(always)]
    fn and(self, next: Self) -> Self {
        Self {
            clipped: self.clipped + next.clipped,
            nan: self.nan + next.nan,
            inf: self.inf + next.inf,
        }
    }
}

/// Within these an element lies inside and is finite.
fn calm<T: Number>(low: T, high: T) -> (T::Part, T::Part) {
    let (least, most) = (T::inward(f64::MIN).value(), T::inward(f64::MAX).value());
    let (low, high) = (low.value(), high.value());
    (
        if low < least { least } else { low },
        if high > most { most } else { high },
    )
}

/// Clamps a block, and says whether anything lay outside. If something did in the one before, so it will in this one.
#[inline(always)]
fn of_block<T: Number>(xs: &mut [T], low: T, high: T, bites: bool, found: &mut Found) -> bool {
    let count = |is: bool| u32::from(is);
    if !bites {
        let (least, most) = calm(low, high);
        let mut outside = 0;
        for x in &*xs {
            // By what is inside, so that NaN is not.
            let is_inside = (x.value() >= least) & (x.value() <= most);
            outside |= count(!is_inside);
        }
        if outside == 0 {
            return false;
        }
    }
    let mut not_finite = 0;
    for x in &*xs {
        let is_finite = x.value().magnitude() < T::Part::INFINITY;
        not_finite |= count(!is_finite);
    }
    if not_finite != 0 {
        let odd = one_by_one(xs, low, high);
        *found = found.and(odd);
        return odd.clipped > 0;
    }
    let mut clipped = 0;
    for x in xs {
        let was = *x;
        *x = clamped(was, low, high);
        clipped += count(x.value() != was.value());
    }
    found.clipped += u64::from(clipped);
    clipped > 0
}

/// Whatever they are.
#[cold]
fn one_by_one<T: Number>(xs: &mut [T], low: T, high: T) -> Found {
    let mut found = Found::default();
    for x in xs {
        let (was, value) = (*x, x.value());
        found.nan += u64::from(value.is_nan());
        found.inf += u64::from(value.magnitude() == T::Part::INFINITY);
        *x = clamped(was, low, high);
        found.clipped += u64::from(!value.is_nan() && x.value() != value);
    }
    found
}

#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod x86 {
    use super::{Clamp, Clamped, Found, Number, Plain, Run, along_lines, calm, one_by_one};
    use crate::kernel::unit::Singles;
    use crate::slice::SliceMut;
    use pulp::bytemuck::{Pod, cast_slice, cast_slice_mut};
    use pulp::x86::{V3, V4};

    impl<T: Number> Run<V4> for Clamp<'_, T> {
        type Output = Clamped;

        #[inline(always)]
        fn run(self, unit: V4) -> Clamped {
            on(unit, self)
        }
    }

    impl<T: Number> Run<V3> for Clamp<'_, T> {
        type Output = Clamped;

        #[inline(always)]
        fn run(self, unit: V3) -> Clamped {
            on(unit, self)
        }
    }

    /// Of `f32` the rest of a small slice is one more vector; of others the compiler makes what it can.
    #[inline(always)]
    fn on<S: Singles, T: Number>(simd: S, what: Clamp<'_, T>) -> Clamped {
        let Clamp { xs, low, high } = what;
        match T::slice_mut(&mut *xs) {
            SliceMut::F32(xs) => Ends::new(simd, low.exact() as f32, high.exact() as f32).clamp(xs),
            _ => Run::<Plain>::run(Clamp { xs, low, high }, Plain),
        }
    }

    /// The bounds, in every lane.
    #[derive(Clone, Copy)]
    struct Ends<S: Singles> {
        simd: S,
        low: S::f32s,
        high: S::f32s,
        least: S::f32s,
        most: S::f32s,
        scalars: [f32; 2],
    }

    impl<S: Singles> Ends<S> {
        #[inline(always)]
        fn new(simd: S, low: f32, high: f32) -> Self {
            let (least, most) = calm(low, high);
            Self {
                simd,
                low: simd.splat_f32s(low),
                high: simd.splat_f32s(high),
                least: simd.splat_f32s(least),
                most: simd.splat_f32s(most),
                scalars: [low, high],
            }
        }

        #[inline(always)]
        fn clamp(self, xs: &mut [f32]) -> Clamped {
            let (len, mut found, mut bites) = (xs.len(), Found::default(), false);
            if len <= 16 * S::F32_LANES {
                return self.few(xs).of(len);
            }
            let mut clipped = self.simd.splat_u32s(0);
            for xs in along_lines(xs) {
                let (rows, rest) = S::as_mut_simd_f32s(xs);
                let (groups, rows) = rows.as_chunks_mut::<8>();
                for group in groups {
                    bites = self.rows(group, bites, &mut clipped, &mut found);
                }
                bites = self.rows(rows, bites, &mut clipped, &mut found);
                if !rest.is_empty() {
                    let mut row = [self.padded(rest)];
                    bites = self.rows(&mut row, bites, &mut clipped, &mut found);
                    if bites {
                        self.simd.partial_store_f32s(rest, row[0]);
                    }
                }
            }
            found.clipped += total(clipped);
            found.of(len)
        }

        /// All at once: counts, and then writes.
        #[inline(always)]
        fn few(self, xs: &mut [f32]) -> Found {
            let simd = self.simd;
            let zero = simd.splat_f32s(0.0);
            let (rows, rest) = S::as_mut_simd_f32s(&mut *xs);
            let last = self.padded(rest);
            let (mut clipped, mut sum) = (self.changes(last), simd.mul_f32s(last, zero));
            for x in &*rows {
                clipped = simd.add_u32s(clipped, self.changes(*x));
                sum = simd.mul_add_f32s(*x, zero, sum);
            }
            if self.is_not_all(simd.equal_f32s(sum, zero)) {
                let [low, high] = self.scalars;
                return one_by_one(xs, low, high);
            }
            let mut found = Found::default();
            if self.is_not_all(simd.equal_u32s(clipped, simd.splat_u32s(0))) {
                for x in rows {
                    *x = self.clamped(*x);
                }
                simd.partial_store_f32s(rest, self.clamped(last));
                found.clipped = total(clipped);
            }
            found
        }

        /// With something inside behind them.
        #[inline(always)]
        fn padded(self, xs: &[f32]) -> S::f32s {
            let [low, high] = self.scalars;
            let inside = if low > 0.0 { low } else { high.min(0.0) };
            self.simd.padded(xs, inside)
        }

        #[inline(always)]
        fn clamped(self, x: S::f32s) -> S::f32s {
            // Of equal zeros, and of a number and a NaN, the second comes out.
            self.simd
                .min_f32s(self.high, self.simd.max_f32s(self.low, x))
        }

        /// One in each lane that a clamp changes, or that is NaN.
        #[inline(always)]
        fn changes(self, x: S::f32s) -> S::u32s {
            let simd = self.simd;
            let same = simd.equal_f32s(x, self.clamped(x));
            simd.select_u32s(same, simd.splat_u32s(0), simd.splat_u32s(1))
        }

        #[inline(always)]
        fn is_not_all(self, mask: S::m32s) -> bool {
            let (simd, none) = (self.simd, self.simd.splat_u32s(0));
            simd.any(simd.xor_m32s(mask, simd.equal_u32s(none, none)))
        }

        /// As [`of_block`](super::of_block); `clipped` counts in each lane.
        #[inline(always)]
        fn rows(
            self,
            rows: &mut [S::f32s],
            bites: bool,
            clipped: &mut S::u32s,
            found: &mut Found,
        ) -> bool {
            let simd = self.simd;
            let (zero, none) = (simd.splat_f32s(0.0), simd.splat_u32s(0));
            let (mut calm, mut sum) = (simd.equal_u32s(none, none), zero);
            for x in &*rows {
                if !bites {
                    let above = simd.greater_than_or_equal_f32s(*x, self.least);
                    let below = simd.less_than_or_equal_f32s(*x, self.most);
                    calm = simd.and_m32s(calm, simd.and_m32s(above, below));
                }
                // 0 times what is not finite is NaN.
                sum = simd.mul_add_f32s(*x, zero, sum);
            }
            if !bites && !self.is_not_all(calm) {
                return false;
            }
            if self.is_not_all(simd.equal_f32s(sum, zero)) {
                let [low, high] = self.scalars;
                let odd = one_by_one(cast_slice_mut(rows), low, high);
                *found = found.and(odd);
                return odd.clipped > 0;
            }
            let before = *clipped;
            for x in rows {
                *clipped = simd.add_u32s(*clipped, self.changes(*x));
                *x = self.clamped(*x);
            }
            self.is_not_all(simd.equal_u32s(before, *clipped))
        }
    }

    /// Of the lanes, none of which has counted more than a chunk.
    #[inline(always)]
    fn total<V: Pod>(lanes: V) -> u64 {
        let lanes = [lanes];
        u64::from(cast_slice(&lanes).iter().sum::<u32>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// One element after the other.
    fn plainly<T: Number>(xs: &mut [T], min: f64, max: f64) -> Clamped {
        let mut counts = Clamped::default();
        for x in xs {
            let clamped = match x.exact() {
                x if x < T::inward(min).exact() => T::inward(min),
                x if x > T::inward(max).exact() => T::inward(max),
                _ => *x,
            };
            let changed = u64::from(!x.exact().is_nan() && clamped != *x);
            let (nan, inf) = (x.exact().is_nan(), x.exact().is_infinite());
            counts.add(Clamped::of(1, changed, nan.into(), inf.into()));
            *x = clamped;
        }
        counts
    }

    fn as_one_by_one<T: Number>(xs: &[T]) {
        let inf = f64::INFINITY;
        for (min, max) in [
            (-0.7, 0.7),
            (-0.1, 2.0),
            (0.25, 0.25),
            (0.0, 0.0),
            (-2.0, 2.0),
            (-9.0, inf),
            (-inf, inf),
        ] {
            for len in [0, 1, 7, 64, 100, 255, 256, 257, 2049, xs.len()] {
                let mut expected = xs[..len].to_vec();
                let counts = plainly(&mut expected, min, max);
                let bits = |xs: &[T]| xs.iter().map(|x| x.exact().to_bits()).collect::<Vec<_>>();
                let on_all: [fn(Clamp<'_, T>) -> Clamped; 3] = [
                    |what| widest(what),
                    |what| Run::<Plain>::run(what, Plain),
                    |what| {
                        #[cfg(all(feature = "std", target_arch = "x86_64"))]
                        if let Some(unit) = crate::kernel::unit::v3() {
                            return crate::kernel::unit::on_v3(unit, what);
                        }
                        Run::<Plain>::run(what, Plain)
                    },
                ];
                for on in on_all {
                    let mut found = xs[..len].to_vec();
                    let (low, high) = (T::inward(min), T::inward(max));
                    let xs = &mut found[..];
                    assert_eq!(on(Clamp { xs, low, high }), counts, "{len} {min} {max}");
                    assert_eq!(bits(&found), bits(&expected));
                }
                let mut found = xs[..len].to_vec();
                assert_eq!(clamp_and_count(&mut found, min, max), counts);
                assert_eq!(bits(&found), bits(&expected));
            }
        }
    }

    #[test]
    fn counts_are_those_of_one_by_one() {
        let mut xs: Vec<f32> = (0..5000)
            .map(|i| ((i * 7919) % 3001) as f32 / 1500.0 - 1.0)
            .collect();
        for _ in 0..2 {
            as_one_by_one(&xs);
            as_one_by_one(&xs.iter().map(|&x| f64::from(x) / 3.0).collect::<Vec<_>>());
            #[cfg(feature = "half")]
            {
                use half::{bf16, f16};
                as_one_by_one(&xs.iter().map(|&x| f16::from_f32(x)).collect::<Vec<_>>());
                as_one_by_one(&xs.iter().map(|&x| bf16::from_f32(x)).collect::<Vec<_>>());
            }
            (xs[3], xs[2500], xs[2501]) = (f32::NAN, f32::INFINITY, f32::NEG_INFINITY);
        }
    }
}
