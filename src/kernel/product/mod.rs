//! Products of matrices, of which the right one is packed once and used often.
//!
//! Each element is one sum along the inner dimension (of a transposed left matrix, one for each part of it), in its order,
//! whatever else is computed beside it: so the bits depend on no thread count and no way of cutting the left matrix into
//! rows. They depend on whether the processor multiplies and adds in one rounding, which with `std` is found out. A single
//! row has a product of its own, in several sums, chosen by its caller.

use core::ops::Range;

mod panels;
mod tile;
mod unit;

pub(crate) use panels::Panels;
pub(crate) use tile::{Begin, Rows};
use tile::{OfColumns, OfOneRow, OfRows, Place};
pub(crate) use unit::Multiply;
use unit::{OnVectors, TALLEST, Vectors};

/// Rows of the left matrix that are done with one panel after the other while they are near.
const NEAR: usize = 240;

/// Inner elements of a product with a transposed matrix that are done together, and so read and write y once: of them a
/// panel stays in a near cache.
const DEPTH: usize = 512;

/// Tiles of its rows that are then done with one panel after the other.
const TILES: usize = 4;

/// Products of less work than this stay on one thread.
#[cfg(feature = "rayon")]
const SEVERAL: usize = 1 << 21;

/// y ← begin + x·M, row by row: so many as y has. Element (r, k) of x is `x[r·stride + k]`, and rows of y lie apart as said.
pub(crate) fn multiply<T: Multiply>(
    rows: Rows<'_, T>,
    m: &Panels<T>,
    begin: Begin<'_, T>,
    y: &mut [T],
    stride: usize,
) {
    if y.is_empty() || m.columns() == 0 {
        return;
    }
    #[cfg(feature = "rayon")]
    {
        let height = y.len().div_ceil(stride);
        let work = height.saturating_mul(m.columns()).saturating_mul(m.inner());
        if height >= NEAR && work > SEVERAL && rayon::current_num_threads() > 1 {
            let half = height / 2;
            let (upper, lower) = y.split_at_mut(half * stride);
            rayon::join(
                || multiply(rows, m, begin, upper, stride),
                || multiply(rows.after(half), m, begin, lower, stride),
            );
            return;
        }
    }
    for (near, y) in y.chunks_mut(NEAR * stride).enumerate() {
        T::on_vectors(ByRows {
            rows: rows.after(near * NEAR),
            m,
            begin,
            y,
            stride,
        });
    }
}

/// The same for a single row, which is faster in several sums.
pub(crate) fn multiply_one<T: Multiply>(
    x: Rows<'_, T>,
    m: &Panels<T>,
    begin: Begin<'_, T>,
    y: &mut [T],
) {
    if !y.is_empty() {
        let x = x.first(m.inner());
        T::on_vectors(ByOne { x, m, begin, y });
    }
}

/// y ← begin + xᵀ·M for a left matrix whose element (k, r) is `x[k·stride + r]`; y is `[rows, columns]`.
pub(crate) fn multiply_transposed<T: Multiply>(
    x: &[T],
    stride: usize,
    m: &Panels<T>,
    begin: Begin<'_, T>,
    y: &mut [T],
) {
    if y.is_empty() {
        return;
    }
    if m.inner() == 0 {
        match begin {
            Begin::Zero => y.fill(T::default()),
            Begin::Kept => {}
            Begin::Row(row) => {
                for y in y.chunks_exact_mut(row.len()) {
                    y.copy_from_slice(row);
                }
            }
        }
        return;
    }
    #[cfg(feature = "rayon")]
    {
        let columns = m.columns();
        let rows = y.len() / columns;
        let work = rows.saturating_mul(columns).saturating_mul(m.inner());
        if rows >= 4 * TILES * TALLEST && work > SEVERAL && rayon::current_num_threads() > 1 {
            let half = rows / 2;
            let (upper, lower) = y.split_at_mut(half * columns);
            rayon::join(
                || multiply_transposed(x, stride, m, begin, upper),
                || multiply_transposed(&x[half..], stride, m, begin, lower),
            );
            return;
        }
    }
    T::on_vectors(Transposed {
        x,
        stride,
        m,
        begin,
        y,
    });
}

/// Rows that are done together.
fn blocks(rows: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows)
        .step_by(most)
        .map(move |first| first..rows.min(first + most))
}

/// So many rows into tiles of nearly the same height.
#[inline(always)]
fn tiles(rows: usize, tallest: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = rows.div_ceil(tallest).max(1);
    (0..count).map(move |i| (i * rows / count, (i + 1) * rows / count))
}

/// Does a tile with the numbers of rows and of registers as constants.
macro_rules! tile {
    ($unit:ident, $rows:expr, $across:expr, $tile:ident { $($field:ident),* }) => {
        match $across {
            1 => tile!(@rows $unit, $rows, 1, $tile { $($field),* }),
            2 => tile!(@rows $unit, $rows, 2, $tile { $($field),* }),
            3 if U::ACROSS >= 3 => tile!(@rows $unit, $rows, 3, $tile { $($field),* }),
            _ => {}
        }
    };
    (@rows $unit:ident, $rows:expr, $across:literal, $tile:ident $fields:tt) => {
        match $rows {
            1 => tile!(@one $unit, $tile::<_, _, 1, $across> $fields),
            2 => tile!(@one $unit, $tile::<_, _, 2, $across> $fields),
            3 => tile!(@one $unit, $tile::<_, _, 3, $across> $fields),
            4 => tile!(@one $unit, $tile::<_, _, 4, $across> $fields),
            5 if U::ROWS >= 6 => tile!(@one $unit, $tile::<_, _, 5, $across> $fields),
            6 if U::ROWS >= 6 => tile!(@one $unit, $tile::<_, _, 6, $across> $fields),
            7 if U::ROWS >= 7 => tile!(@one $unit, $tile::<_, _, 7, $across> $fields),
            _ => {}
        }
    };
    (@one $unit:ident, $tile:ident::<_, _, $r:literal, $c:literal> { $($field:ident),* }) => {
        $unit.apart($tile::<'_, T, U, $r, $c> { unit: $unit, $($field),* })
    };
}

struct ByRows<'a, T> {
    rows: Rows<'a, T>,
    m: &'a Panels<T>,
    begin: Begin<'a, T>,
    y: &'a mut [T],
    stride: usize,
}

impl<T: Multiply> OnVectors<T> for ByRows<'_, T> {
    fn run<U: Vectors<T>>(self, unit: U) {
        let Self {
            rows,
            m,
            begin,
            y,
            stride,
        } = self;
        let height = y.len().div_ceil(stride);
        for (span, panel) in m.panels() {
            for (from, to) in tiles(height, U::ROWS) {
                let left = rows.after(from);
                let place = Place {
                    y: &mut y[from * stride..],
                    stride,
                    column: span.first,
                    width: span.columns,
                };
                let across = span.width / U::LANES;
                tile!(
                    unit,
                    to - from,
                    across,
                    OfRows {
                        left,
                        panel,
                        begin,
                        place
                    }
                );
            }
        }
    }
}

struct ByOne<'a, T> {
    x: &'a [T],
    m: &'a Panels<T>,
    begin: Begin<'a, T>,
    y: &'a mut [T],
}

impl<T: Multiply> OnVectors<T> for ByOne<'_, T> {
    fn run<U: Vectors<T>>(self, unit: U) {
        let Self { x, m, begin, y } = self;
        let left = &x[..m.inner()];
        for (span, panel) in m.panels() {
            let place = Place {
                stride: y.len(),
                y: &mut *y,
                column: span.first,
                width: span.columns,
            };
            match span.width / U::LANES {
                1 => unit.apart(OfOneRow::<'_, T, U, 1> {
                    unit,
                    left,
                    panel,
                    begin,
                    place,
                }),
                2 => unit.apart(OfOneRow::<'_, T, U, 2> {
                    unit,
                    left,
                    panel,
                    begin,
                    place,
                }),
                3 if U::ACROSS >= 3 => {
                    unit.apart(OfOneRow::<'_, T, U, 3> {
                        unit,
                        left,
                        panel,
                        begin,
                        place,
                    });
                }
                _ => {}
            }
        }
    }
}

struct Transposed<'a, T> {
    x: &'a [T],
    stride: usize,
    m: &'a Panels<T>,
    begin: Begin<'a, T>,
    y: &'a mut [T],
}

impl<T: Multiply> OnVectors<T> for Transposed<'_, T> {
    fn run<U: Vectors<T>>(self, unit: U) {
        let Self {
            x,
            stride,
            m,
            begin,
            y,
        } = self;
        let (inner, columns) = (m.inner(), m.columns());
        let rows = y.len() / columns;
        let mut near = [T::default(); TILES * TALLEST * DEPTH];
        for first in (0..inner).step_by(DEPTH) {
            let depth = DEPTH.min(inner - first);
            for block in blocks(rows, TILES * U::ROWS) {
                // Rows of a matrix lie so far apart that a cache would hold few of them.
                let left = &mut near[..depth * block.len()];
                let rows = x[first * stride + block.start..].chunks(stride);
                for (to, x) in left.chunks_exact_mut(block.len()).zip(rows) {
                    to.copy_from_slice(&x[..block.len()]);
                }
                let (left, stride) = (&*left, block.len());
                for (span, panel) in m.panels() {
                    let panel = &panel[first * span.width..][..depth * span.width];
                    for (from, to) in tiles(block.len(), U::ROWS) {
                        let left = &left[from..];
                        let place = Place {
                            y: &mut y[(block.start + from) * columns..],
                            stride: columns,
                            column: span.first,
                            width: span.columns,
                        };
                        let (rows, across) = (to - from, span.width / U::LANES);
                        let begin = if first == 0 { begin } else { Begin::Kept };
                        tile!(
                            unit,
                            rows,
                            across,
                            OfColumns {
                                left,
                                stride,
                                panel,
                                begin,
                                place
                            }
                        );
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn numbers(n: usize, seed: usize) -> Vec<f64> {
        (0..n)
            .map(|i| ((i * 37 + seed * 11) % 101) as f64 / 16.0 - 3.0)
            .collect()
    }

    /// Sixteenths up to 3: products and sums of some hundreds of them are exact in any order, in `f32` too.
    fn all_products_of<T: Multiply + From<f32> + PartialEq + core::fmt::Debug>() {
        let narrow = |xs: &[f64]| -> Vec<T> { xs.iter().map(|&x| T::from(x as f32)).collect() };
        for rows in [0, 1, 2, 3, 5, 7, 11, 12, 13, 25, 31, 250] {
            for (inner, columns) in [
                (0, 3),
                (1, 1),
                (3, 5),
                (7, 32),
                (8, 33),
                (50, 200),
                (300, 17),
            ] {
                let (x, m) = (numbers(rows * inner, 1), numbers(inner * columns, 2));
                let begin = numbers(columns, 3);
                let mut expected = Vec::new();
                for r in 0..rows {
                    for j in 0..columns {
                        let products = (0..inner).map(|k| x[r * inner + k] * m[k * columns + j]);
                        expected.push(begin[j] + products.sum::<f64>());
                    }
                }
                let expected = narrow(&expected);
                let (x, m, begin) = (narrow(&x), narrow(&m), narrow(&begin));
                let turned = |m: &[T], rows: usize, columns: usize| -> Vec<T> {
                    (0..rows * columns)
                        .map(|i| m[i % rows * columns + i / rows])
                        .collect()
                };
                let (mut panels, mut from_turned) = (Panels::default(), Panels::default());
                panels.pack(&m, [inner, columns], columns);
                from_turned.pack_transposed(&turned(&m, inner, columns), [inner, columns], 0);

                let mut y = narrow(&numbers(rows * columns, 4));
                multiply(
                    Rows::new(&x, inner),
                    &panels,
                    Begin::Row(&begin),
                    &mut y,
                    columns,
                );
                assert_eq!(y, expected, "{rows}x{inner}x{columns}");
                let mut y: Vec<T> = begin.iter().copied().cycle().take(rows * columns).collect();
                multiply(
                    Rows::new(&x, inner),
                    &from_turned,
                    Begin::Kept,
                    &mut y,
                    columns,
                );
                assert_eq!(y, expected, "{rows}x{inner}x{columns}");

                let mut y: Vec<T> = begin.iter().copied().cycle().take(rows * columns).collect();
                multiply_transposed(&turned(&x, rows, inner), rows, &panels, Begin::Kept, &mut y);
                assert_eq!(y, expected, "transposed {rows}x{inner}x{columns}");
                y.fill(T::from(7.0));
                let x_turned = turned(&x, rows, inner);
                multiply_transposed(&x_turned, rows, &panels, Begin::Row(&begin), &mut y);
                assert_eq!(y, expected, "transposed {rows}x{inner}x{columns}");

                if rows == 1 {
                    let mut y = narrow(&numbers(columns, 4));
                    multiply_one(Rows::new(&x, inner), &panels, Begin::Row(&begin), &mut y);
                    assert_eq!(y, expected, "one {inner}x{columns}");
                }
            }
        }
    }

    #[test]
    fn products_are_what_they_should_be() {
        all_products_of::<f32>();
        all_products_of::<f64>();
    }

    #[test]
    fn a_row_comes_out_the_same_beside_any_others() {
        let (x, m): (Vec<f32>, Vec<f32>) = (
            numbers(40 * 19, 5)
                .iter()
                .map(|&x| (x / 7.0) as f32)
                .collect(),
            numbers(19 * 50, 6)
                .iter()
                .map(|&x| (x / 3.0) as f32)
                .collect(),
        );
        let mut panels = Panels::default();
        panels.pack(&m, [19, 50], 50);
        let mut whole = [0.0; 40 * 50];
        multiply(Rows::new(&x, 19), &panels, Begin::Zero, &mut whole, 50);
        for rows in [1, 2, 5, 9, 12, 39] {
            let mut y = [0.0; 40 * 50];
            for (x, y) in x.chunks(rows * 19).zip(y.chunks_mut(rows * 50)) {
                multiply(Rows::new(x, 19), &panels, Begin::Zero, y, 50);
            }
            assert_eq!(y, whole, "{rows}");
        }
    }
}
