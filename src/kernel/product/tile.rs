//! A tile of a product: some rows by one panel, whose sums stay in registers.

use super::unit::{Apart, LANES, Vectors, WIDEST};

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
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a, T> {
    x: &'a [T],
    stride: usize,
}

impl<'a, T: Copy> Rows<'a, T> {
    pub(crate) fn new(x: &'a [T], stride: usize) -> Self {
        Self { x, stride }
    }

    /// So many elements of the first one.
    pub(super) fn first(self, inner: usize) -> &'a [T] {
        &self.x[..inner]
    }

    /// Those behind the first so many.
    #[inline(always)]
    pub(super) fn after(self, rows: usize) -> Self {
        let x = self.x.get(rows * self.stride..).unwrap_or_default();
        Self { x, ..self }
    }
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
pub(super) struct OfRows<'a, T, U, const R: usize, const C: usize> {
    pub(super) unit: U,
    pub(super) left: Rows<'a, T>,
    pub(super) panel: &'a [T],
    pub(super) begin: Begin<'a, T>,
    pub(super) place: Place<'a, T>,
}

impl<T: Copy + Default, U: Vectors<T>, const R: usize, const C: usize> Apart
    for OfRows<'_, T, U, R, C>
{
    #[inline(always)]
    fn run(self) {
        let Self {
            unit,
            left,
            panel,
            begin,
            place,
        } = self;
        let width = C * U::LANES;
        let inner = panel.len() / width;
        let mut sums = [[unit.zero(); C]; R];
        let mut x = [left.x; R];
        for r in 0..R {
            x[r] = &left.x[r * left.stride..][..inner];
        }
        for (k, b) in panel.chunks_exact(width).enumerate().take(inner) {
            let mut columns = [unit.zero(); C];
            for j in 0..C {
                columns[j] = unit.load(&b[j * U::LANES..]);
            }
            for r in 0..R {
                let a = unit.splat(x[r][k]);
                for j in 0..C {
                    sums[r][j] = unit.multiply_add(a, columns[j], sums[r][j]);
                }
            }
        }
        store(unit, &sums, begin, place);
    }
}

/// `R` rows of a left matrix that is given column by column: `left[k·stride + r]`.
pub(super) struct OfColumns<'a, T, U, const R: usize, const C: usize> {
    pub(super) unit: U,
    pub(super) left: &'a [T],
    pub(super) stride: usize,
    pub(super) panel: &'a [T],
    pub(super) begin: Begin<'a, T>,
    pub(super) place: Place<'a, T>,
}

impl<T: Copy + Default, U: Vectors<T>, const R: usize, const C: usize> Apart
    for OfColumns<'_, T, U, R, C>
{
    #[inline(always)]
    fn run(self) {
        let Self {
            unit,
            left,
            stride,
            panel,
            begin,
            place,
        } = self;
        let width = C * U::LANES;
        let mut sums = [[unit.zero(); C]; R];
        for (x, b) in left.chunks(stride).zip(panel.chunks_exact(width)) {
            let x = &x[..R];
            let mut columns = [unit.zero(); C];
            for j in 0..C {
                columns[j] = unit.load(&b[j * U::LANES..]);
            }
            for r in 0..R {
                let a = unit.splat(x[r]);
                for j in 0..C {
                    sums[r][j] = unit.multiply_add(a, columns[j], sums[r][j]);
                }
            }
        }
        store(unit, &sums, begin, place);
    }
}

/// Chains of sums in a product of one row, which would otherwise wait for each other.
const CHAINS: usize = 4;

/// One row by a panel, in several sums that are added up at the end.
pub(super) struct OfOneRow<'a, T, U, const C: usize> {
    pub(super) unit: U,
    pub(super) left: &'a [T],
    pub(super) panel: &'a [T],
    pub(super) begin: Begin<'a, T>,
    pub(super) place: Place<'a, T>,
}

impl<T: Copy + Default, U: Vectors<T>, const C: usize> Apart for OfOneRow<'_, T, U, C> {
    #[inline(always)]
    fn run(self) {
        let Self {
            unit,
            left,
            panel,
            begin,
            place,
        } = self;
        let width = C * U::LANES;
        let mut sums = [[unit.zero(); C]; CHAINS];
        let (fours, rest) = left.as_chunks::<CHAINS>();
        let (panels, last) = panel.split_at(fours.len() * CHAINS * width);
        for (x, b) in fours.iter().zip(panels.chunks_exact(CHAINS * width)) {
            for c in 0..CHAINS {
                let a = unit.splat(x[c]);
                for j in 0..C {
                    let b = unit.load(&b[c * width + j * U::LANES..]);
                    sums[c][j] = unit.multiply_add(a, b, sums[c][j]);
                }
            }
        }
        for (c, (x, b)) in rest.iter().zip(last.chunks_exact(width)).enumerate() {
            let a = unit.splat(*x);
            for j in 0..C {
                let b = unit.load(&b[j * U::LANES..]);
                sums[c][j] = unit.multiply_add(a, b, sums[c][j]);
            }
        }
        let mut sum = [unit.zero(); C];
        for j in 0..C {
            let (left, right) = (
                unit.add(sums[0][j], sums[1][j]),
                unit.add(sums[2][j], sums[3][j]),
            );
            sum[j] = unit.add(left, right);
        }
        store(unit, &[sum], begin, place);
    }
}

#[inline(always)]
fn store<T: Copy + Default, U: Vectors<T>, const R: usize, const C: usize>(
    unit: U,
    sums: &[[U::V; C]; R],
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
        if width == C * U::LANES {
            for j in 0..C {
                let at = j * U::LANES;
                let sum = match begin {
                    Begin::Zero => sums[r][j],
                    Begin::Kept => unit.add(unit.load(&y[at..]), sums[r][j]),
                    Begin::Row(row) => unit.add(unit.load(&row[at..]), sums[r][j]),
                };
                unit.store(sum, &mut y[at..]);
            }
        } else {
            let mut all = [T::default(); WIDEST * LANES];
            match begin {
                Begin::Zero => {}
                Begin::Kept => all[..width].copy_from_slice(y),
                Begin::Row(row) => all[..width].copy_from_slice(row),
            }
            for j in 0..C {
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
