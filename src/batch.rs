//! Slices that are measured together, so that many small ones cost little each and, with the feature
//! `rayon`, share the threads.

use crate::slice::SliceRef;

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
