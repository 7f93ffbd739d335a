//! The one read: maximum, Σ|x| and Σx² of a slice.
//!
//! The order of the additions is fixed by the length alone. Elements enter in blocks of
//! [`BLOCK`] = 4 rows of [`ROW`] lanes; a block is folded to eight lanes by a tree of depth 5, and
//! the eight lane sums of each block are added to running sums without error (`TwoSum`, the error
//! kept beside the sum). So a sum of squares of `f32` elements, whose squares are exact in `f64`,
//! carries at most 5 roundings of 2^-53 and a last one, whatever its length; one of `f64` elements
//! one more, of the square itself. No fused multiply-add: the bits do not depend on the processor.

use crate::element::{Element, Part};

/// Lanes of a row.
pub(super) const ROW: usize = 64;
/// Elements of a block.
pub(super) const BLOCK: usize = 4 * ROW;
/// Lanes that a block folds to.
const LANES: usize = 8;

/// Running sums over a stream of blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes<P> {
    max: [P; 2 * LANES],
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

    /// Folds a row to eight lanes and adds them.
    #[inline(always)]
    pub(super) fn add(&mut self, mut row: [f64; ROW]) {
        let mut width = ROW;
        while width > LANES {
            width /= 2;
            for j in 0..width {
                row[j] += row[j + width];
            }
        }
        for j in 0..LANES {
            let (sum, error) = two_sum(self.sum[j], row[j]);
            self.sum[j] = sum;
            self.rest[j] += error;
        }
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
        max: [P::ZERO; 2 * LANES],
        l1: Twofold::ZERO,
        sq: Twofold::ZERO,
    };

    pub(super) fn finish(self) -> Sums {
        let max = self
            .max
            .iter()
            .fold(P::ZERO, |m, &x| if x > m { x } else { m });
        Sums {
            max: max.to_f64(),
            l1: self.l1.total(),
            sq: self.sq.total(),
        }
    }

    #[inline(always)]
    fn add<const ROWS: usize>(&mut self, part: impl Fn(usize) -> P) {
        let larger = |a: P, b: P| if b > a { b } else { a };
        let at = |row: usize, j: usize| {
            if row < ROWS {
                part(row * ROW + j)
            } else {
                P::ZERO
            }
        };
        let (mut max, mut l1, mut sq) = ([P::ZERO; ROW], [0.0; ROW], [0.0; ROW]);
        for j in 0..ROW {
            let [a, b, c, d] = [at(0, j), at(1, j), at(2, j), at(3, j)];
            max[j] = larger(larger(a, b), larger(c, d));
            let [a, b, c, d] = [a.to_f64(), b.to_f64(), c.to_f64(), d.to_f64()];
            l1[j] = (a + b) + (c + d);
            sq[j] = (a * a + b * b) + (c * c + d * d);
        }
        for j in 0..ROW / 2 {
            max[j] = larger(max[j], max[j + ROW / 2]);
        }
        for j in 0..2 * LANES {
            self.max[j] = larger(self.max[j], larger(max[j], max[j + 2 * LANES]));
        }
        self.l1.add(l1);
        self.sq.add(sq);
    }
}

/// Adds `xs`; only the last slice of a stream may end inside a block.
#[cfg_attr(
    feature = "std",
    multiversion::multiversion(targets(
        "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+f16c",
        "x86_64+avx2+f16c",
        "aarch64+neon"
    ))
)]
pub(super) fn add<T: Element>(lanes: &mut Lanes<T::Part>, xs: &[T]) {
    let mut tail = xs;
    while let Some((block, rest)) = tail.split_first_chunk::<BLOCK>() {
        lanes.add::<4>(|i| block[i].part());
        tail = rest;
    }
    if tail.is_empty() {
        return;
    }
    // Zeros beyond the end change no sum, so only as many rows as there are need be added.
    let mut last = [T::Part::ZERO; BLOCK];
    for (to, x) in last.iter_mut().zip(tail) {
        *to = x.part();
    }
    match tail.len().div_ceil(ROW) {
        1 => lanes.add::<1>(|i| last[i]),
        2 => lanes.add::<2>(|i| last[i]),
        3 => lanes.add::<3>(|i| last[i]),
        _ => lanes.add::<4>(|i| last[i]),
    }
}
