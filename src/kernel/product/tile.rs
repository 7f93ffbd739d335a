//! A tile of a product: some rows by one panel, whose sums stay in registers.

use super::unit::{ACROSS, Vectors};

/// What a product begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Begin<'a, T> {
    /// Nothing.
    Zero,
    /// What stands there.
    Kept,
    /// This in each row.
    Row(&'a [T]),
}

/// Rows of the left matrix, `x[r·stride + k]`.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, T> {
    pub(super) x: &'a [T],
    pub(super) stride: usize,
}

/// Where a tile goes: `y[r·stride + column]`, so many columns of it.
pub(super) struct Place<'a, T> {
    pub(super) y: &'a mut [T],
    pub(super) stride: usize,
    pub(super) column: usize,
    pub(super) width: usize,
}

/// `R` rows of x by a panel. Each sum runs along the rows of the panel, in their order, so it is the same whatever other
/// rows are in the tile.
#[inline(always)]
pub(super) fn of_rows<T: Copy + Default, U: Vectors<T>, const R: usize>(
    unit: U,
    rows: Rows<'_, T>,
    panel: &[T],
    begin: Begin<'_, T>,
    place: Place<'_, T>,
) {
    let width = ACROSS * U::LANES;
    let inner = panel.len() / width;
    let mut sums = [[unit.zero(); ACROSS]; R];
    let mut x = [rows.x; R];
    for r in 0..R {
        x[r] = &rows.x[r * rows.stride..][..inner];
    }
    for (k, b) in panel.chunks_exact(width).enumerate().take(inner) {
        let b = [unit.load(b), unit.load(&b[U::LANES..])];
        for r in 0..R {
            let a = unit.splat(x[r][k]);
            for j in 0..ACROSS {
                sums[r][j] = unit.multiply_add(a, b[j], sums[r][j]);
            }
        }
    }
    store(unit, &sums, begin, place);
}

/// `R` rows of a left matrix that is given column by column: `x[k·R + r]`.
#[inline(always)]
pub(super) fn of_columns<T: Copy + Default, U: Vectors<T>, const R: usize>(
    unit: U,
    x: &[T],
    panel: &[T],
    begin: Begin<'_, T>,
    place: Place<'_, T>,
) {
    let width = ACROSS * U::LANES;
    let mut sums = [[unit.zero(); ACROSS]; R];
    for (x, b) in x.chunks_exact(R).zip(panel.chunks_exact(width)) {
        let b = [unit.load(b), unit.load(&b[U::LANES..])];
        for r in 0..R {
            let a = unit.splat(x[r]);
            for j in 0..ACROSS {
                sums[r][j] = unit.multiply_add(a, b[j], sums[r][j]);
            }
        }
    }
    store(unit, &sums, begin, place);
}

/// Chains of sums in a product of one row, which would otherwise wait for each other.
const CHAINS: usize = 4;

/// One row by a panel, in several sums that are added up at the end.
#[inline(always)]
pub(super) fn of_one_row<T: Copy + Default, U: Vectors<T>>(
    unit: U,
    x: &[T],
    panel: &[T],
    begin: Begin<'_, T>,
    place: Place<'_, T>,
) {
    let width = ACROSS * U::LANES;
    let mut sums = [[unit.zero(); ACROSS]; CHAINS];
    let (fours, rest) = x.as_chunks::<CHAINS>();
    let (panels, last) = panel.split_at(fours.len() * CHAINS * width);
    for (x, b) in fours.iter().zip(panels.chunks_exact(CHAINS * width)) {
        for c in 0..CHAINS {
            let a = unit.splat(x[c]);
            for j in 0..ACROSS {
                let b = unit.load(&b[c * width + j * U::LANES..]);
                sums[c][j] = unit.multiply_add(a, b, sums[c][j]);
            }
        }
    }
    for (c, (x, b)) in rest.iter().zip(last.chunks_exact(width)).enumerate() {
        let a = unit.splat(*x);
        for j in 0..ACROSS {
            let b = unit.load(&b[j * U::LANES..]);
            sums[c][j] = unit.multiply_add(a, b, sums[c][j]);
        }
    }
    let mut sum = [unit.zero(); ACROSS];
    for j in 0..ACROSS {
        let (left, right) = (
            unit.add(sums[0][j], sums[1][j]),
            unit.add(sums[2][j], sums[3][j]),
        );
        sum[j] = unit.add(left, right);
    }
    store(unit, &[sum], begin, place);
}

/// Widest panel there is, for the last one of a matrix, of which not every column is wanted.
const WIDEST: usize = 32;

#[inline(always)]
fn store<T: Copy + Default, U: Vectors<T>, const R: usize>(
    unit: U,
    sums: &[[U::V; ACROSS]; R],
    begin: Begin<'_, T>,
    place: Place<'_, T>,
) {
    let Place {
        y,
        stride,
        column,
        width,
    } = place;
    let begin = match begin {
        Begin::Row(row) => Begin::Row(&row[column..][..width]),
        other => other,
    };
    for r in 0..R {
        let y = &mut y[r * stride + column..][..width];
        if width == ACROSS * U::LANES {
            for j in 0..ACROSS {
                let at = j * U::LANES;
                let sum = match begin {
                    Begin::Zero => sums[r][j],
                    Begin::Kept => unit.add(unit.load(&y[at..]), sums[r][j]),
                    Begin::Row(row) => unit.add(unit.load(&row[at..]), sums[r][j]),
                };
                unit.store(sum, &mut y[at..]);
            }
        } else {
            let mut all = [T::default(); WIDEST];
            match begin {
                Begin::Zero => {}
                Begin::Kept => all[..width].copy_from_slice(y),
                Begin::Row(row) => all[..width].copy_from_slice(row),
            }
            for j in 0..ACROSS {
                let at = j * U::LANES;
                let sum = match begin {
                    Begin::Zero => sums[r][j],
                    _ => unit.add(unit.load(&all[at..]), sums[r][j]),
                };
                unit.store(sum, &mut all[at..]);
            }
            y.copy_from_slice(&all[..width]);
        }
    }
}
