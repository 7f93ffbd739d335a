//! Slices that are measured or edited together, so that many small ones cost little each and, with the feature
//! `rayon`, share the threads.

#[cfg(feature = "rayon")]
use crate::edit::Edit;
#[cfg(feature = "rayon")]
use crate::kernel;
use crate::slice::SliceRef;
#[cfg(feature = "rayon")]
use crate::slice::{SliceMut, each_slice};
#[cfg(feature = "rayon")]
use crate::tell::{Clamped, Tell};
#[cfg(feature = "rayon")]
use crate::tensor::edit_slice;

/// Slices that wait in a small set.
const FEW: usize = 32;
/// Slices that wait in a large one, where there are threads to share the work.
const MANY: usize = if cfg!(feature = "rayon") { 512 } else { FEW };
/// Elements with which the wait ends: enough for every thread.
const ENOUGH: usize = 1 << 22;

/// Slices that wait for their statistics.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    few: [Option<SliceRef<'a>>; FEW],
    /// Only made for a set that fills the few.
    many: Option<[Option<SliceRef<'a>>; MANY]>,
    waiting: usize,
    elements: usize,
}

impl<'a> Batch<'a> {
    pub(crate) fn new() -> Self {
        Self {
            few: [None; FEW],
            many: None,
            waiting: 0,
            elements: 0,
        }
    }

    /// Takes in a slice, and says whether no more should wait.
    #[inline]
    pub(crate) fn push(&mut self, slice: SliceRef<'a>, len: usize) -> bool {
        let space: &mut [_] = match &mut self.many {
            Some(many) => many,
            None => &mut self.few,
        };
        space[self.waiting] = Some(slice);
        self.waiting += 1;
        self.elements += len;
        self.waiting == space.len() || self.elements >= ENOUGH
    }

    /// What waits, and how many elements that is; nothing does any more.
    pub(crate) fn take(&mut self) -> (&[Option<SliceRef<'a>>], usize) {
        let (waiting, elements) = (self.waiting, self.elements);
        (self.waiting, self.elements) = (0, 0);
        if MANY > FEW && waiting == FEW && self.many.is_none() {
            self.many = Some([None; MANY]);
            return (&self.few, elements);
        }
        let space: &[_] = match &self.many {
            Some(many) => many,
            None => &self.few,
        };
        (&space[..waiting], elements)
    }
}

/// Slices that wait to be edited, each its own way.
#[cfg(feature = "rayon")]
#[derive(Debug)]
pub(crate) struct Writes<'s, 'w> {
    waiting: [Option<Write<'s, 'w>>; MANY],
    count: usize,
    elements: usize,
}

#[cfg(feature = "rayon")]
#[derive(Debug)]
struct Write<'s, 'w> {
    slice: SliceMut<'s>,
    edit: Edit<'w>,
    clamped: Clamped,
}

#[cfg(feature = "rayon")]
impl<'s, 'w> Writes<'s, 'w> {
    #[expect(clippy::large_stack_arrays, reason = "no step allocates")]
    pub(crate) fn new() -> Self {
        Self {
            waiting: [const { None }; MANY],
            count: 0,
            elements: 0,
        }
    }

    /// Takes in a slice, and says whether no more should wait.
    pub(crate) fn push(&mut self, slice: SliceMut<'s>, edit: Edit<'w>) -> bool {
        self.elements += slice.len();
        self.waiting[self.count] = Some(Write {
            slice,
            edit,
            clamped: Clamped::default(),
        });
        self.count += 1;
        self.count == MANY || self.elements >= ENOUGH
    }

    /// Edits what waits and, if somebody counts, tells what clamps did.
    pub(crate) fn carry_out(&mut self, counts: Option<&mut Clamped>) {
        let waiting = &mut self.waiting[..self.count];
        let counting = counts.is_some();
        kernel::change_side_by_side(waiting, self.elements, |write| {
            let Some(Write {
                slice,
                edit,
                clamped,
            }) = write
            else {
                return;
            };
            let tell = if counting {
                Tell::clamped(clamped)
            } else {
                Tell::nothing()
            };
            each_slice!(slice, SliceMut, xs => edit_slice(xs, edit, tell));
        });
        let told = waiting.iter_mut().filter_map(Option::take);
        let told = told.map(|write| write.clamped);
        match counts {
            Some(counts) => told.for_each(|clamped| *counts += clamped),
            None => told.for_each(drop),
        }
        (self.count, self.elements) = (0, 0);
    }
}
