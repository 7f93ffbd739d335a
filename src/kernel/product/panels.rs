//! A matrix on the right of products, in the order in which they read it.

use alloc::vec::Vec;
use core::fmt;

use super::unit::Multiply;

/// Bytes of a cache line: a register that lies across two of them takes two loads.
const LINE: usize = 64;

/// Rows that are turned together, so that what a cache line holds is used while it is near.
const TURNED: usize = 16;

/// A matrix `[inner, columns]`, cut into panels as wide as two registers of the processor; in a panel, row follows row.
///
/// What it holds is made anew by each `pack_…`, so a copy holds nothing and any two are equal.
pub(crate) struct Panels<T> {
    held: Vec<T>,
    start: usize,
    inner: usize,
    columns: usize,
}

impl<T: Multiply> Panels<T> {
    /// Takes the matrix whose element (k, j) is `m[k·stride + j]`.
    pub(crate) fn pack(&mut self, m: &[T], [inner, columns]: [usize; 2], stride: usize) {
        self.make_room(inner, columns);
        self.fill(m, 0, stride);
    }

    /// Room for a matrix, whose rows are then filled in.
    pub(crate) fn make_room(&mut self, inner: usize, columns: usize) {
        let len = inner * columns.next_multiple_of(T::panel());
        (self.inner, self.columns) = (inner, columns);
        let spare = LINE / size_of::<T>();
        if self.held.len() < len + spare {
            self.held = alloc::vec![T::default(); len + spare];
        }
        self.start = self.held.as_ptr().align_offset(LINE).min(spare);
    }

    /// Takes rows from `first` on: element (first + k, j) is `m[k·stride + j]`.
    pub(crate) fn fill(&mut self, m: &[T], first: usize, stride: usize) {
        let (inner, columns, width) = (self.inner, self.columns, T::panel());
        if columns == 0 {
            return;
        }
        let all = self.all_mut();
        for (row, m) in (first..inner).zip(m.chunks(stride)) {
            for (p, m) in m[..columns].chunks(width).enumerate() {
                let to = &mut all[(p * inner + row) * width..][..width];
                to[..m.len()].copy_from_slice(m);
                to[m.len()..].fill(T::default());
            }
        }
    }

    /// Takes the transpose of rows: element (k, j) is `m[j·stride + k]`.
    pub(crate) fn pack_transposed(&mut self, m: &[T], [inner, columns]: [usize; 2], stride: usize) {
        self.make_room(inner, columns);
        let width = T::panel();
        if inner == 0 || columns == 0 {
            return;
        }
        for (panel, first) in (self.all_mut().chunks_exact_mut(inner * width)).zip((0..).step_by(width)) {
            let rows = width.min(columns - first);
            for (part, k) in (panel.chunks_mut(TURNED * width)).zip((0..).step_by(TURNED)) {
                let len = part.len() / width;
                for j in 0..rows {
                    let row = &m[(first + j) * stride + k..][..len];
                    for (to, x) in part[j..].iter_mut().step_by(width).zip(row) {
                        *to = *x;
                    }
                }
                for to in part.chunks_exact_mut(width) {
                    to[rows..].fill(T::default());
                }
            }
        }
    }

    pub(super) fn inner(&self) -> usize {
        self.inner
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// The panels, each `[inner, width]`, one after the other.
    pub(super) fn all(&self) -> &[T] {
        let len = self.inner * self.columns.next_multiple_of(T::panel());
        &self.held[self.start..][..len]
    }

    fn all_mut(&mut self) -> &mut [T] {
        let len = self.inner * self.columns.next_multiple_of(T::panel());
        &mut self.held[self.start..][..len]
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
