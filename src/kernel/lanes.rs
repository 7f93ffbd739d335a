//! How many numbers are added side by side, and sums with what rounding took from them.

/// Lanes that a block folds to.
pub(super) const LANES: usize = 8;
/// Elements of a row.
pub(super) const ROW: usize = 2 * LANES;
/// Rows of a leaf.
pub(super) const ROWS: usize = 4;
/// Elements of a leaf.
pub(super) const LEAF: usize = ROWS * ROW;
/// Elements of a block.
pub(super) const BLOCK: usize = 4 * LEAF;

/// Sums of eight lanes, and what rounding took from them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Twofold {
    pub(super) sum: [f64; LANES],
    pub(super) rest: [f64; LANES],
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
}

/// The `index`-th `N` of `xs`, which holds them whole.
#[inline(always)]
pub(super) fn part<P, const N: usize>(xs: &[P], index: usize) -> &[P; N] {
    match xs[index * N..].first_chunk() {
        Some(part) => part,
        None => unreachable!("cut into whole parts before"),
    }
}

/// Slices from here on are cut.
const LONG: usize = 1024;

/// A slice in two, so that vectors of the second lie in one line of the cache each: half of those that do not cost twice.
#[inline(always)]
pub(super) fn along_lines<T>(xs: &mut [T]) -> [&mut [T]; 2] {
    let head = if xs.len() < LONG {
        0
    } else {
        xs.as_ptr().align_offset(64).min(xs.len())
    };
    let (head, rest) = xs.split_at_mut(head);
    [head, rest]
}
