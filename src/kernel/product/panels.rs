//! A matrix on the right of products, in the order in which they read it.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use super::unit::{LANES, Multiply, WIDEST};

/// Bytes of a cache line: a register that lies across two of them takes two loads.
const LINE: usize = 64;

/// Rows that are turned together, so that what cache lines hold is used while it is near.
const TURNED: usize = 64;

/// A matrix `[inner, columns]`, cut into panels, none wider than a tile of the processor; in a panel, row follows row.
///
/// What it holds is made anew by each `pack…`, so a copy holds nothing and any two are equal.
pub(crate) struct Panels<T> {
    held: Vec<T>,
    start: usize,
    inner: usize,
    columns: usize,
}

/// A panel: its first column, how many there are, and how many there is room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) first: usize,
    pub(super) columns: usize,
    pub(super) width: usize,
}

/// So many columns in panels of nearly the same width: a narrow one leaves registers empty.
fn spans<T: Multiply>(columns: usize) -> impl Iterator<Item = Span> {
    let [lanes, width] = T::widths();
    let registers = columns.div_ceil(lanes);
    let count = columns.div_ceil(width);
    (0..count).map(move |i| {
        let [first, end] = [i, i + 1].map(|i| i * registers / count * lanes);
        Span {
            first,
            columns: end.min(columns) - first,
            width: end - first,
        }
    })
}

impl<T: Multiply> Panels<T> {
    /// Takes the matrix whose element (k, j) is `m[k·stride + j]`.
    pub(crate) fn pack(&mut self, m: &[T], dims: [usize; 2], stride: usize) {
        self.make_room(dims);
        self.fill(m, 0..dims[0], stride);
    }

    /// Room for a matrix `[inner, columns]`, whose rows are then filled in.
    pub(crate) fn make_room(&mut self, [inner, columns]: [usize; 2]) {
        (self.inner, self.columns) = (inner, columns);
        let (len, spare) = (self.len(), LINE / size_of::<T>());
        if self.held.len() < len + spare {
            self.held = alloc::vec![T::default(); len + spare];
        }
        self.start = self.held.as_ptr().align_offset(LINE).min(spare);
    }

    /// Fills in some rows: element (first + k, j) is `m[k·stride + j]`.
    pub(crate) fn fill(&mut self, m: &[T], rows: Range<usize>, stride: usize) {
        for (span, panel) in self.panels_mut() {
            let panel = panel[rows.start * span.width..].chunks_exact_mut(span.width);
            for (k, to) in panel.take(rows.len()).enumerate() {
                let m = &m[k * stride + span.first..][..span.columns];
                to[..span.columns].copy_from_slice(m);
                to[span.columns..].fill(T::default());
            }
        }
    }

    /// Makes a row zero.
    pub(crate) fn clear(&mut self, row: usize) {
        for (span, panel) in self.panels_mut() {
            panel[row * span.width..][..span.width].fill(T::default());
        }
    }

    /// Takes the transpose of as many rows of inner elements, from row `first` on and then those before it.
    pub(crate) fn pack_transposed(&mut self, m: &[T], dims: [usize; 2], first: usize) {
        let [inner, columns] = dims;
        self.make_room(dims);
        // Whole rows come near faster than one element of each at a time.
        let mut near = [T::default(); TURNED * WIDEST * LANES];
        for (span, panel) in self.panels_mut() {
            let parts = panel.chunks_mut(TURNED * span.width);
            for (part, k) in parts.zip((0..).step_by(TURNED)) {
                let len = part.len() / span.width;
                for (j, row) in near.chunks_exact_mut(len).take(span.columns).enumerate() {
                    let of = (first + span.first + j) % columns;
                    row.copy_from_slice(&m[of * inner + k..][..len]);
                }
                for (j, row) in near.chunks_exact(len).take(span.columns).enumerate() {
                    for (to, x) in part[j..].iter_mut().step_by(span.width).zip(row) {
                        *to = *x;
                    }
                }
                for to in part.chunks_exact_mut(span.width) {
                    to[span.columns..].fill(T::default());
                }
            }
        }
    }

    pub(super) fn inner(&self) -> usize {
        self.inner
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// The panels, each `[inner, width]`.
    #[inline(always)]
    pub(super) fn panels(&self) -> impl Iterator<Item = (Span, &[T])> {
        let mut rest = &self.held[self.start..][..self.len()];
        spans::<T>(self.columns).map(move |span| {
            let (panel, others) = rest.split_at(self.inner * span.width);
            rest = others;
            (span, panel)
        })
    }

    fn panels_mut(&mut self) -> impl Iterator<Item = (Span, &mut [T])> {
        let (len, inner) = (self.len(), self.inner);
        let mut rest = &mut self.held[self.start..][..len];
        spans::<T>(self.columns).map(move |span| {
            let (panel, others) = core::mem::take(&mut rest).split_at_mut(inner * span.width);
            rest = others;
            (span, panel)
        })
    }

    fn len(&self) -> usize {
        self.inner * self.columns.next_multiple_of(T::widths()[0])
    }
}

impl<T> Default for Panels<T> {
    fn default() -> Self {
        Self {
            held: Vec::new(),
            start: 0,
            inner: 0,
            columns: 0,
        }
    }
}

impl<T> Clone for Panels<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T> PartialEq for Panels<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> fmt::Debug for Panels<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panels").finish_non_exhaustive()
    }
}
