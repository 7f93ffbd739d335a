//! Slices that are measured together, so that many small ones cost little each and, with the feature
//! `rayon`, share the threads.

use crate::kernel;
use crate::measurement::Measurement;
use crate::tensor::SliceRef;

/// Slices that wait in a small set.
const FEW: usize = 32;
/// Slices that wait in a large one, where there are threads to share the work.
const MANY: usize = 32;

/// Slices that wait for their statistics. Names and order are settled when they come.
pub(super) struct Batch<'a> {
    few: [Option<SliceRef<'a>>; FEW],
    /// Only made for a set that fills the few.
    many: Option<[Option<SliceRef<'a>>; MANY]>,
    waiting: usize,
}

impl<'a> Batch<'a> {
    pub(super) fn new() -> Self {
        Self {
            few: [None; FEW],
            many: None,
            waiting: 0,
        }
    }

    /// Takes in the next tensor of the set.
    #[inline]
    pub(super) fn push(&mut self, name: &str, slice: SliceRef<'a>, into: &mut Measurement) {
        into.leave_room(name);
        let space: &mut [_] = match &mut self.many {
            Some(many) => many,
            None => &mut self.few,
        };
        space[self.waiting] = Some(slice);
        self.waiting += 1;
        if self.waiting == space.len() {
            self.measure(into);
            if MANY > FEW && self.many.is_none() {
                self.many = Some([None; MANY]);
            }
        }
    }

    /// Measures what waits, in whatever order, since each has its place.
    pub(super) fn measure(&mut self, into: &mut Measurement) {
        let slices: &[_] = match &self.many {
            Some(many) => &many[..self.waiting],
            None => &self.few[..self.waiting],
        };
        into.fill(slices.len(), |p, places| {
            kernel::stats_of_slices(slices, p, places);
        });
        self.waiting = 0;
    }
}
