//! The one read: maximum, Σ|x| and Σx² of a slice.
//!
//! The order of the additions is fixed by the length alone. Elements enter in blocks of [`BLOCK`] = 4
//! leaves of 4 rows of 2 × [`LANES`] elements. A leaf adds its rows one after the other (3 roundings),
//! the leaves of a block are added as a tree (2), its halves to one another (1), and the eight lane
//! sums of each block to running sums without error (`TwoSum`, the error kept beside the sum).
//!
//! With u = 2^-53, a sum of squares of `f32`, `f16` or `bf16` elements, whose squares are exact in
//! `f64`, is thus off by at most 6u and a last rounding, whatever its length, its square root by at
//! most 3.5u and a rounding: 4 units in the last place. The squares of `f64` elements round once more,
//! which makes it 4.5. A sum over tensors is exact but for its one rounding, half a unit more.
//!
//! Bits do not depend on the processor. A fused multiply-add serves only squares that are exact, where
//! it rounds just like a product and a sum.

use super::unit::{Plain, Unit};
use crate::element::{Element, Part};

/// Lanes that a block folds to.
pub(super) const LANES: usize = 8;
/// Elements of a row.
pub(super) const ROW: usize = 2 * LANES;
/// Rows of a leaf.
const ROWS: usize = 4;
/// Elements of a leaf.
const LEAF: usize = ROWS * ROW;
/// Elements of a block.
pub(super) const BLOCK: usize = 4 * LEAF;

/// The magnitudes of a block, eight by eight, where vector loads cross no cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Parts<P>([[P; LANES]; BLOCK / LANES]);

/// Running sums over a stream of blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes<P> {
    max: [[P; LANES]; 2],
    l1: Twofold,
    sq: Twofold,
}

/// Sums of eight lanes, and what rounding took from them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Twofold {
    sum: [f64; LANES],
    rest: [f64; LANES],
}

/// A sum and what rounding took from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair(pub(crate) f64, pub(crate) f64);

impl Pair {
    pub(crate) const ZERO: Self = Self(0.0, 0.0);

    #[inline(always)]
    pub(crate) fn add(&mut self, Pair(sum, rest): Pair) {
        let (sum, error) = two_sum(self.0, sum);
        *self = Self(sum, self.1 + (rest + error));
    }

    pub(crate) fn round(self) -> f64 {
        // After an overflow or a NaN the rest means nothing.
        if self.0.is_finite() {
            self.0 + self.1
        } else {
            self.0
        }
    }
}

/// What a run of blocks came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    pub(super) max: f64,
    pub(super) l1: Pair,
    pub(super) sq: Pair,
}

impl Sums {
    pub(super) const ZERO: Self = Self {
        max: 0.0,
        l1: Pair::ZERO,
        sq: Pair::ZERO,
    };

    /// Adds what comes next.
    pub(super) fn add(&mut self, next: Self) {
        self.max = if next.max > self.max {
            next.max
        } else {
            self.max
        };
        self.l1.add(next.l1);
        self.sq.add(next.sq);
    }
}

/// `a + b` as a rounded sum and its error, exactly (Knuth, 1969; Møller, 1965).
#[inline(always)]
pub(super) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

impl Twofold {
    pub(super) const ZERO: Self = Self {
        sum: [0.0; LANES],
        rest: [0.0; LANES],
    };

    /// Adds the lane sums of a block.
    #[inline(always)]
    pub(super) fn add<U: Unit>(&mut self, unit: U, lanes: U::Lanes) {
        let (sum, rest) = (unit.load(&self.sum), unit.load(&self.rest));
        let new = unit.add(sum, lanes);
        let part = unit.sub(new, sum);
        let error = unit.add(unit.sub(sum, unit.sub(new, part)), unit.sub(lanes, part));
        self.sum = unit.store(new);
        self.rest = unit.store(unit.add(rest, error));
    }

    pub(super) fn total(self) -> Pair {
        let mut lanes: [Pair; LANES] = core::array::from_fn(|j| Pair(self.sum[j], self.rest[j]));
        let mut width = LANES;
        while width > 1 {
            width /= 2;
            for j in 0..width {
                let upper = lanes[j + width];
                lanes[j].add(upper);
            }
        }
        lanes[0]
    }
}

impl<P: Part> Lanes<P> {
    pub(super) const ZERO: Self = Self {
        max: [[P::ZERO; LANES]; 2],
        l1: Twofold::ZERO,
        sq: Twofold::ZERO,
    };

    pub(super) fn finish(self) -> Sums {
        let max = self.max.as_flattened();
        let max = max.iter().fold(P::ZERO, |m, &x| m.larger(x));
        Sums {
            max: max.to_f64(),
            l1: self.l1.total(),
            sq: self.sq.total(),
        }
    }

    /// Adds the first `leaves` leaves of a block. The others are zeros, which change no sum.
    #[inline(always)]
    fn add<U: Unit>(&mut self, unit: U, parts: &mut Parts<P>, leaves: usize) {
        unit.raise(&mut self.max, &parts.0[..2 * ROWS * leaves]);
        unit.settle(parts);
        let sums = match leaves {
            1 => Leaf::of(unit, parts, 0),
            2 => Leaf::two(unit, parts, 0),
            3 => Leaf::two(unit, parts, 0).and(unit, Leaf::of(unit, parts, 2)),
            _ => Leaf::two(unit, parts, 0).and(unit, Leaf::two(unit, parts, 2)),
        };
        self.l1.add(unit, unit.add(sums.l1[0], sums.l1[1]));
        self.sq.add(unit, unit.add(sums.sq[0], sums.sq[1]));
    }
}

/// The sums of a leaf, or of several, in two times eight lanes.
#[derive(Clone, Copy)]
struct Leaf<L> {
    l1: [L; 2],
    sq: [L; 2],
}

// No closures here: they would be compiled apart from the function that is compiled for the processor.
impl<L: Copy> Leaf<L> {
    #[inline(always)]
    fn of<P: Part, U: Unit<Lanes = L>>(unit: U, parts: &Parts<P>, index: usize) -> Self {
        let rows = &parts.0[2 * ROWS * index..][..2 * ROWS];
        let l1 = [unit.widen(&rows[0]), unit.widen(&rows[1])];
        let sq = [unit.square(l1[0]), unit.square(l1[1])];
        let mut leaf = Self { l1, sq };
        for (i, row) in rows.iter().enumerate().skip(2) {
            let x = unit.widen(row);
            let (l1, sq) = (&mut leaf.l1[i % 2], &mut leaf.sq[i % 2]);
            *l1 = unit.add(*l1, x);
            *sq = if P::SQUARES_ARE_EXACT {
                unit.add_exact_square(*sq, x)
            } else {
                unit.add(*sq, unit.square(x))
            };
        }
        leaf
    }

    #[inline(always)]
    fn two<P: Part, U: Unit<Lanes = L>>(unit: U, parts: &Parts<P>, index: usize) -> Self {
        Self::of(unit, parts, index).and(unit, Self::of(unit, parts, index + 1))
    }

    #[inline(always)]
    fn and<U: Unit<Lanes = L>>(self, unit: U, other: Self) -> Self {
        let [a, b] = [self, other];
        Self {
            l1: [unit.add(a.l1[0], b.l1[0]), unit.add(a.l1[1], b.l1[1])],
            sq: [unit.add(a.sq[0], b.sq[0]), unit.add(a.sq[1], b.sq[1])],
        }
    }
}

/// Adds `xs`; only the last slice of a stream may end inside a block.
pub(super) fn add<T: Element>(lanes: &mut Lanes<T::Part>, xs: &[T]) {
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    if let Some(unit) = super::unit::v3() {
        return unit.vectorize(AddOn { unit, lanes, xs });
    }
    add_plain(lanes, xs);
}

#[cfg(all(feature = "std", target_arch = "x86_64"))]
struct AddOn<'a, T: Element> {
    unit: pulp::x86::V3,
    lanes: &'a mut Lanes<T::Part>,
    xs: &'a [T],
}

#[cfg(all(feature = "std", target_arch = "x86_64"))]
impl<T: Element> pulp::NullaryFnOnce for AddOn<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        add_on(self.unit, self.lanes, self.xs);
    }
}

#[cfg_attr(
    feature = "std",
    multiversion::multiversion(targets("x86_64+avx2+f16c", "aarch64+neon"))
)]
fn add_plain<T: Element>(lanes: &mut Lanes<T::Part>, xs: &[T]) {
    add_on(Plain, lanes, xs);
}

#[inline(always)]
fn add_on<T: Element, U: Unit>(unit: U, lanes: &mut Lanes<T::Part>, xs: &[T]) {
    let mut parts = Parts([[T::Part::ZERO; LANES]; BLOCK / LANES]);
    let mut tail = xs;
    while let Some((block, rest)) = tail.split_first_chunk::<BLOCK>() {
        for (to, x) in parts.0.as_flattened_mut().iter_mut().zip(block) {
            *to = x.part();
        }
        lanes.add(unit, &mut parts, BLOCK / LEAF);
        tail = rest;
    }
    if tail.is_empty() {
        return;
    }
    let leaves = tail.len().div_ceil(LEAF);
    let (filled, rest) = parts.0.as_flattened_mut()[..leaves * LEAF].split_at_mut(tail.len());
    for (to, x) in filled.iter_mut().zip(tail) {
        *to = x.part();
    }
    if xs.len() > BLOCK {
        rest.fill(T::Part::ZERO);
    }
    lanes.add(unit, &mut parts, leaves);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// Magnitudes over a span of `f32` exponents, some of them zero.
    fn input(len: usize) -> Vec<f32> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            state
        };
        (0..len)
            .map(|_| f32::from_bits(next() & 0x87ff_ffff | 0x3000_0000))
            .map(|x| {
                if x.to_bits().trailing_zeros() >= 3 {
                    0.0
                } else {
                    x
                }
            })
            .collect()
    }

    fn bits<P: Part>(lanes: Lanes<P>) -> [u64; 5] {
        let sums = lanes.finish();
        [sums.max, sums.l1.0, sums.l1.1, sums.sq.0, sums.sq.1].map(f64::to_bits)
    }

    fn the_same_on_every_processor<T: Element>(xs: &[T]) {
        for len in (0..70).chain([100, 127, 128, 192, 193, 255, 256, 257, 5000]) {
            let (mut best, mut plain) = (Lanes::ZERO, Lanes::ZERO);
            add(&mut best, &xs[..len]);
            add_on(Plain, &mut plain, &xs[..len]);
            assert_eq!(bits(best), bits(plain), "{} {len}", T::NAME);
            let mut other = Lanes::ZERO;
            add_plain(&mut other, &xs[..len]);
            assert_eq!(bits(best), bits(other), "{} {len}", T::NAME);
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_processor() {
        let xs = input(5000);
        the_same_on_every_processor(&xs);
        let wide: Vec<f64> = xs.iter().map(|&x| f64::from(x) * 1.000_000_1).collect();
        the_same_on_every_processor(&wide);
        #[cfg(feature = "half")]
        {
            let halves: Vec<_> = xs.iter().map(|&x| half::f16::from_f32(x)).collect();
            the_same_on_every_processor(&halves);
            let halves: Vec<_> = xs.iter().map(|&x| half::bf16::from_f32(x)).collect();
            the_same_on_every_processor(&halves);
        }
    }

    #[test]
    fn zeros_beyond_the_end_change_nothing() {
        let mut xs = input(1000);
        for len in [1, 63, 64, 65, 200, 256, 300, 900] {
            let mut short = Lanes::ZERO;
            add(&mut short, &xs[..len]);
            xs[len..].fill(0.0);
            let mut long = Lanes::ZERO;
            add(&mut long, &xs);
            assert_eq!(bits(short), bits(long), "{len}");
            xs = input(1000);
        }
    }
}
