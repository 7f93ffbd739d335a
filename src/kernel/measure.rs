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

use super::lanes::{BLOCK, LANES, LEAF, ROWS, Twofold, part, two_sum};
#[cfg(all(feature = "std", target_arch = "x86_64"))]
use super::unit;
use super::unit::{Plain, Run, Unit};
use crate::math;
use crate::needs::Look;
use crate::number::{Number, Part};

/// Running sums over a stream of blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes<T: Number> {
    max: [[T::Part; LANES]; 2],
    l1: Twofold,
    sq: Twofold,
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

    /// Times a power of two.
    #[inline(always)]
    fn times(self, factor: f64) -> Self {
        Self(self.0 * factor, self.1 * factor)
    }

    #[inline]
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
    /// Zero where it was not asked for.
    pub(super) l1: Pair,
    pub(super) sq: Pair,
    /// The sums are those of the elements times 2^-shift.
    pub(super) shift: i64,
}

impl Sums {
    pub(super) const ZERO: Self = Self {
        max: 0.0,
        l1: Pair::ZERO,
        sq: Pair::ZERO,
        shift: 0,
    };

    /// Whether every element was. A NaN among them makes the squares NaN, which no overflow does.
    #[inline]
    pub(super) fn are_finite(&self) -> bool {
        self.max.is_finite() && !self.sq.0.is_nan()
    }

    /// Adds what comes next.
    pub(super) fn add(&mut self, mut next: Self) {
        if self.shift != next.shift {
            let shift = match (self.max == 0.0, next.max == 0.0) {
                (true, _) => next.shift,
                (_, true) => self.shift,
                _ => self.shift.max(next.shift),
            };
            self.bring_to(shift);
            next.bring_to(shift);
        }
        self.max = if next.max > self.max {
            next.max
        } else {
            self.max
        };
        self.l1.add(next.l1);
        self.sq.add(next.sq);
    }

    /// Counts in powers that are no lower. What is lost of it lies a thousand bits below what is added to it.
    #[cold]
    fn bring_to(&mut self, shift: i64) {
        let power = |e: i64| if e < -1022 { 0.0 } else { math::pow2(e.min(0)) };
        let by = self.shift - shift;
        self.l1 = self.l1.times(power(by));
        self.sq = self.sq.times(power(2 * by));
        self.shift = shift;
    }
}

impl Twofold {
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

    /// The halves added to one another, again and again.
    #[inline(always)]
    pub(super) fn total<U: Unit>(&self, unit: U) -> Pair {
        let (sum, rest) = unit.halve(self);
        let mut lanes = [0, 1, 2, 3].map(|j| Pair(sum[j], rest[j]));
        let [_, _, c, d] = lanes;
        lanes[0].add(c);
        lanes[1].add(d);
        let [mut total, b, ..] = lanes;
        total.add(b);
        total
    }
}

impl<T: Number> Lanes<T> {
    pub(super) const ZERO: Self = Self {
        max: [[T::Part::ZERO; LANES]; 2],
        l1: Twofold::ZERO,
        sq: Twofold::ZERO,
    };

    pub(super) fn finish(&self) -> Sums {
        self.finish_on(Plain, true)
    }

    /// The largest magnitude; infinity if something is infinite.
    pub(super) fn max(&self) -> f64 {
        self.max_on(Plain)
    }

    #[inline(always)]
    fn max_on<U: Unit>(&self, unit: U) -> f64 {
        let max = unit.largest(&self.max);
        if max > T::LARGEST_PART {
            f64::INFINITY
        } else {
            max.to_f64() * T::PART_UNIT
        }
    }

    #[inline(always)]
    pub(super) fn finish_on<U: Unit>(&self, unit: U, l1: bool) -> Sums {
        Sums {
            max: self.max_on(unit),
            l1: if l1 {
                self.l1.total(unit).times(T::PART_UNIT)
            } else {
                Pair::ZERO
            },
            sq: self.sq.total(unit).times(T::PART_UNIT * T::PART_UNIT),
            shift: 0,
        }
    }

    /// Adds blocks; only the last of a stream may be short.
    #[inline(always)]
    fn add<U: Unit, const L1: bool>(&mut self, unit: U, xs: &[T::Part]) {
        let mut xs = xs;
        while let Some((block, rest)) = xs.split_first_chunk::<BLOCK>() {
            self.add_block::<U, L1>(unit, &whole(block));
            xs = rest;
        }
        let mut last = [T::Part::ZERO; LEAF];
        let (leaves, count) = short(xs, &mut last);
        self.add_block::<U, L1>(unit, &leaves[..count]);
    }

    /// Adds the leaves of a block; those that are missing are zeros.
    #[inline(always)]
    fn add_block<U: Unit, const L1: bool>(&mut self, unit: U, leaves: &[&[T::Part; LEAF]]) {
        let Some(sums) = Leaf::several::<T::Part, U, L1>(unit, leaves) else {
            return;
        };
        for leaf in leaves {
            unit.raise(&mut self.max, leaf);
        }
        if L1 {
            self.l1.add(unit, unit.add(sums.l1[0], sums.l1[1]));
        }
        self.sq.add(unit, unit.add(sums.sq[0], sums.sq[1]));
    }
}

/// The leaves of a block.
#[inline(always)]
fn whole<P>(block: &[P; BLOCK]) -> [&[P; LEAF]; BLOCK / LEAF] {
    [
        part(block, 0),
        part(block, 1),
        part(block, 2),
        part(block, 3),
    ]
}

/// The leaves of a block that ends early, and how many there are. The last goes on with zeros, which change
/// no sum, and so may the block do.
#[inline(always)]
fn short<'a, P: Part>(
    xs: &'a [P],
    last: &'a mut [P; LEAF],
) -> ([&'a [P; LEAF]; BLOCK / LEAF], usize) {
    let (whole, rest) = xs.split_at(xs.len() - xs.len() % LEAF);
    // Magnitudes do as well, and a plain copy would become a call.
    for (to, x) in last.iter_mut().zip(rest) {
        *to = x.magnitude();
    }
    let mut leaves = [&*last; BLOCK / LEAF];
    for (i, to) in leaves.iter_mut().enumerate().take(whole.len() / LEAF) {
        *to = part(whole, i);
    }
    (leaves, xs.len().div_ceil(LEAF))
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
    fn of<P: Part, U: Unit<Lanes = L>, const L1: bool>(unit: U, leaf: &[P; LEAF]) -> Self {
        let x = [unit.widen(part(leaf, 0)), unit.widen(part(leaf, 1))];
        let mut sums = Self {
            l1: [unit.abs(x[0]), unit.abs(x[1])],
            sq: [unit.square(x[0]), unit.square(x[1])],
        };
        for i in 2..2 * ROWS {
            let x = unit.widen(part(leaf, i));
            let (l1, sq) = (&mut sums.l1[i % 2], &mut sums.sq[i % 2]);
            if L1 {
                *l1 = unit.add(*l1, unit.abs(x));
            }
            *sq = if P::SQUARES_ARE_EXACT {
                unit.add_exact_square(*sq, x)
            } else {
                unit.add(*sq, unit.square(x))
            };
        }
        sums
    }

    /// Of one to four leaves, as a tree; nothing of none.
    #[inline(always)]
    fn several<P: Part, U: Unit<Lanes = L>, const L1: bool>(
        unit: U,
        leaves: &[&[P; LEAF]],
    ) -> Option<Self> {
        Some(match *leaves {
            [] => return None,
            [a] => Self::of::<P, U, L1>(unit, a),
            [a, b] => Self::two::<P, U, L1>(unit, a, b),
            [a, b, c] => {
                Self::two::<P, U, L1>(unit, a, b).and::<U, L1>(unit, Self::of::<P, U, L1>(unit, c))
            }
            [a, b, c, d, ..] => {
                let back = Self::two::<P, U, L1>(unit, c, d);
                Self::two::<P, U, L1>(unit, a, b).and::<U, L1>(unit, back)
            }
        })
    }

    #[inline(always)]
    fn two<P: Part, U: Unit<Lanes = L>, const L1: bool>(
        unit: U,
        a: &[P; LEAF],
        b: &[P; LEAF],
    ) -> Self {
        Self::of::<P, U, L1>(unit, a).and::<U, L1>(unit, Self::of::<P, U, L1>(unit, b))
    }

    #[inline(always)]
    fn and<U: Unit<Lanes = L>, const L1: bool>(self, unit: U, other: Self) -> Self {
        let [a, b] = [self, other];
        Self {
            l1: if L1 {
                [unit.add(a.l1[0], b.l1[0]), unit.add(a.l1[1], b.l1[1])]
            } else {
                a.l1
            },
            sq: [unit.add(a.sq[0], b.sq[0]), unit.add(a.sq[1], b.sq[1])],
        }
    }
}

/// What of the sums is wanted, and how the elements enter them.
#[derive(Clone, Copy, Debug)]
pub(super) struct How<P> {
    /// Σ|x| too.
    pub(super) l1: bool,
    /// Each element times this.
    pub(super) times: Option<P>,
    /// Zero in place of each element that is not finite, if there is a factor.
    pub(super) only_finite: bool,
}

impl<P: Part> How<P> {
    /// What is asked for with this `p`, of the elements as they are.
    #[inline(always)]
    pub(super) fn usual(look: Look) -> Self {
        Self {
            l1: look.l1,
            times: None,
            only_finite: false,
        }
    }
}

/// Adds `xs`; only the last slice of a stream may end inside a block.
pub(super) fn add<T: Number>(lanes: &mut Lanes<T>, xs: &[T], how: &How<T::Part>) {
    let what = Add { lanes, xs, how };
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    if let Some(unit) = unit::v3() {
        return unit::on_v3(unit, what);
    }
    what.run(Plain);
}

/// What one slice comes to.
pub(super) fn sums<T: Number>(xs: &[T], how: &How<T::Part>) -> Sums {
    let what = Sum { xs, how };
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    if let Some(unit) = unit::v3() {
        return unit::on_v3(unit, what);
    }
    what.run(Plain)
}

struct Add<'a, T: Number> {
    lanes: &'a mut Lanes<T>,
    xs: &'a [T],
    how: &'a How<T::Part>,
}

impl<T: Number, U: Unit> Run<U> for Add<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self, unit: U) {
        // Registers, not memory, are what the sums run in.
        let mut lanes = *self.lanes;
        add_on(unit, &mut lanes, self.xs, self.how);
        *self.lanes = lanes;
    }
}

struct Sum<'a, T: Number> {
    xs: &'a [T],
    how: &'a How<T::Part>,
}

impl<T: Number, U: Unit> Run<U> for Sum<'_, T> {
    type Output = Sums;

    #[inline(always)]
    fn run(self, unit: U) -> Sums {
        let mut lanes = Lanes::ZERO;
        add_on(unit, &mut lanes, self.xs, self.how);
        lanes.finish_on(unit, self.how.l1)
    }
}

#[inline(always)]
fn add_on<T: Number, U: Unit>(unit: U, lanes: &mut Lanes<T>, xs: &[T], how: &How<T::Part>) {
    match (how.times, T::parts(xs)) {
        (None, Some(parts)) if how.l1 => lanes.add::<U, true>(unit, parts),
        (None, Some(parts)) => lanes.add::<U, false>(unit, parts),
        (times, _) => {
            let mut parts = [T::Part::ZERO; BLOCK];
            for block in xs.chunks(BLOCK) {
                let parts = &mut parts[..block.len()];
                for (part, x) in parts.iter_mut().zip(block) {
                    *part = x.part();
                }
                if let Some(factor) = times {
                    for part in parts.iter_mut() {
                        *part = if how.only_finite {
                            part.times_up_to(T::LARGEST_PART, factor)
                        } else {
                            part.times(factor)
                        };
                    }
                }
                if how.l1 {
                    lanes.add::<U, true>(unit, parts);
                } else {
                    lanes.add::<U, false>(unit, parts);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const MAGNITUDES: Look = Look {
        l1: true,
        power: None,
        range: false,
    };

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

    fn bits<T: Number>(lanes: Lanes<T>) -> [u64; 5] {
        of(lanes.finish())
    }

    fn of(sums: Sums) -> [u64; 5] {
        [sums.max, sums.l1.0, sums.l1.1, sums.sq.0, sums.sq.1].map(f64::to_bits)
    }

    fn the_same_on_every_processor<T: Number>(xs: &[T]) {
        let (_, half) = T::Part::shift(2.0);
        for len in (0..70).chain([100, 127, 128, 192, 193, 255, 256, 257, 5000]) {
            let xs = &xs[..len];
            let squares = How::usual(Look::default());
            let times = Some(half);
            for how in [How::usual(MAGNITUDES), squares, How { times, ..squares }] {
                let (mut best, mut plain) = (Lanes::ZERO, Lanes::ZERO);
                add(&mut best, xs, &how);
                add_on(Plain, &mut plain, xs, &how);
                assert_eq!(
                    bits(best),
                    bits(plain),
                    "{} {len}",
                    core::any::type_name::<T>()
                );
                assert_eq!(
                    bits(best),
                    of(sums(xs, &how)),
                    "{} {len}",
                    core::any::type_name::<T>()
                );
            }
            // The squares do not depend on whether the magnitudes are summed too.
            let (all, less) = (sums(xs, &How::usual(MAGNITUDES)), sums(xs, &squares));
            assert_eq!(
                of(less),
                of(Sums {
                    l1: Pair::ZERO,
                    ..all
                })
            );
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
            add(&mut short, &xs[..len], &How::usual(MAGNITUDES));
            xs[len..].fill(0.0);
            let mut long = Lanes::ZERO;
            add(&mut long, &xs, &How::usual(MAGNITUDES));
            assert_eq!(bits(short), bits(long), "{len}");
            xs = input(1000);
        }
    }
}
