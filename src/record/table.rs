//! Rows end to end, in memory that is used again.

use alloc::collections::VecDeque;

use super::newest::{Line, Newest, Told};
use super::row::{Row, TensorRow};

/// Some of the rows that were recorded, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    lines: VecDeque<Line>,
    tensors: VecDeque<TensorRow>,
    told: VecDeque<Told>,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Makes room for so many rows like this one.
    pub(super) fn make_room(&mut self, rows: usize, like: &Newest) {
        fn reserve<T>(space: &mut VecDeque<T>, len: usize) {
            space.reserve_exact(len.saturating_sub(space.len()));
        }
        reserve(&mut self.lines, rows);
        reserve(&mut self.tensors, rows.saturating_mul(like.tensors.len()));
        reserve(&mut self.told, rows.max(8));
    }

    pub(super) fn push(&mut self, newest: &Newest) {
        self.lines.push_back(newest.line);
        self.tensors.extend(&newest.tensors);
        self.told.extend(newest.told.iter().cloned());
    }

    /// Forgets the oldest.
    pub(super) fn pop(&mut self) {
        if let Some(line) = self.lines.pop_front() {
            self.tensors.drain(..line.tensors as usize);
            self.told.drain(..line.alarms as usize);
        }
    }

    pub(super) fn clear(&mut self) {
        self.lines.clear();
        self.tensors.clear();
        self.told.clear();
    }

    /// Forgets all but those.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&Line) -> bool) {
        // What is kept goes round once, so that all is in order again and nothing is asked of the heap.
        for _ in 0..self.lines.len() {
            match self.lines.front() {
                Some(line) if is_kept(line) => {
                    let line = *line;
                    self.lines.rotate_left(1);
                    self.tensors.rotate_left(line.tensors as usize);
                    self.told.rotate_left(line.alarms as usize);
                }
                _ => self.pop(),
            }
        }
    }

    /// Each row with its place.
    pub(super) fn rows(&self) -> impl Iterator<Item = (u64, Row)> {
        let (mut tensors, mut told) = (self.tensors.iter(), self.told.iter());
        self.lines.iter().map(move |line| {
            let tensors = tensors.by_ref().take(line.tensors as usize);
            let told = told.by_ref().take(line.alarms as usize);
            (line.place, line.row(tensors, told))
        })
    }
}
