//! Slots under names, in order.

use std::mem;
use std::ops::Range;

use steadygrad::{Edits, Measurement, Result, TensorRef, TensorSet, TensorSetMut};
use steadygrad::{Visitor, VisitorMut};

use crate::device::{self, Transfers};
use crate::slot::Slot;

/// Slots in order.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// The names of all, end to end.
    names: String,
    list: Vec<(Range<usize>, Slot)>,
    transfers: Transfers,
}

impl Slots {
    /// Takes the name for a slot that is pushed later.
    pub(crate) fn name(&mut self, name: &str) -> Range<usize> {
        let start = self.names.len();
        self.names.push_str(name);
        start..self.names.len()
    }

    pub(crate) fn reserve(&mut self, count: usize) {
        self.list.reserve(count);
    }

    pub(crate) fn push(&mut self, name: Range<usize>, slot: Slot) {
        self.list.push((name, slot));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Slot)> {
        let slots = self.list.iter();
        slots.map(|(name, slot)| (&self.names[name.clone()], slot))
    }

    /// Lets candle's own operations do everything, also in host memory.
    pub(crate) fn move_on_device(&mut self) {
        for (_, slot) in &mut self.list {
            *slot = mem::replace(slot, Slot::Missing).on_device();
        }
    }

    pub(crate) fn transfers(&self) -> usize {
        let single = self.list.iter().map(|(_, slot)| match slot {
            Slot::OnDevice(tensor) => tensor.transfers(),
            _ => 0,
        });
        self.transfers.count() + single.sum::<usize>()
    }

    pub(crate) fn is_on_host(&self) -> bool {
        let is_on_device = |(_, slot): &_| matches!(slot, Slot::OnDevice(_));
        !self.list.iter().any(is_on_device)
    }
}

impl TensorSet for Slots {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.iter()
            .try_for_each(|(name, slot)| f(name, TensorRef::Other(slot)))
    }

    fn measure(&self, after: &Edits, into: &mut Measurement) -> Result<()> {
        if self.is_on_host() {
            let mut slots = self.iter().enumerate();
            return slots.try_for_each(|(i, (name, slot))| into.measure(name, slot, after.get(i)));
        }
        device::measure(self, after, into, &self.transfers)
    }
}

/// Slot by slot, which is well as long as all are on the host.
impl TensorSetMut for Slots {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        let Self { names, list, .. } = self;
        list.iter_mut()
            .try_for_each(|(name, slot)| f(&names[name.clone()], slot))
    }
}
