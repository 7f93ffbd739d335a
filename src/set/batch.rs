//! Slices that are measured together, so that many small ones cost little each and, with the feature
//! `rayon`, share the threads.

use crate::kernel;
use crate::measurement::Measurement;
use crate::slice::SliceRef;
use crate::tensor::Tensor;

/// Slices that wait in a small set.
const FEW: usize = 32;
/// Slices that wait in a large one, where there are threads to share the work.
const MANY: usize = if cfg!(feature = "rayon") { 512 } else { FEW };
/// Elements with which the wait ends: enough for every thread.
const ENOUGH: usize = 1 << 22;

/// Slices that wait for their statistics. Names and order are settled when they come.
pub(super) struct Batch<'a> {
    few: [Option<SliceRef<'a>>; FEW],
    /// Only made for a set that fills the few.
    many: Option<[Option<SliceRef<'a>>; MANY]>,
    waiting: usize,
    elements: usize,
}

impl<'a> Batch<'a> {
    pub(super) fn new() -> Self {
        Self {
            few: [None; FEW],
            many: None,
            waiting: 0,
            elements: 0,
        }
    }

    /// Takes in the next tensor of the set.
    #[inline]
    pub(super) fn push(
        &mut self,
        name: &str,
        dims: Option<&[usize]>,
        slice: SliceRef<'a>,
        into: &mut Measurement,
    ) {
        into.leave_room(name, dims);
        let space: &mut [_] = match &mut self.many {
            Some(many) => many,
            None => &mut self.few,
        };
        space[self.waiting] = Some(slice);
        self.waiting += 1;
        self.elements += slice.len();
        let is_full = self.waiting == space.len();
        if is_full || self.elements >= ENOUGH {
            self.measure(into);
        }
        if is_full && self.many.is_none() && MANY > FEW {
            self.many = Some([None; MANY]);
        }
    }

    /// Measures what waits, in whatever order, since each has its place.
    pub(super) fn measure(&mut self, into: &mut Measurement) {
        let slices: &[_] = match &self.many {
            Some(many) => &many[..self.waiting],
            None => &self.few[..self.waiting],
        };
        let elements = self.elements;
        into.fill(slices.len(), |look, places| {
            kernel::stats_of_slices(slices, elements, look, places);
        });
        (self.waiting, self.elements) = (0, 0);
    }
}
