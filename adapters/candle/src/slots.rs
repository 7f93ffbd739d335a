//! Slots under names, in order.

use std::mem;
use std::ops::Range;

use steadygrad::{Edit, Reading, Result, Tell, TensorMut, TensorRef, TensorSet, TensorSetMut};
use steadygrad::{Visitor, VisitorMut, Writing};

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

    fn is_on_host(&self) -> bool {
        let is_on_device = |(_, slot): &_| matches!(slot, Slot::OnDevice(_));
        !self.list.iter().any(is_on_device)
    }
}

impl TensorSet for Slots {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.iter()
            .try_for_each(|(name, slot)| f(name, TensorRef::Other(slot)))
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        device::measure(self, reading, &self.transfers)
    }
}

impl TensorSetMut for Slots {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        let Self { names, list, .. } = self;
        list.iter_mut()
            .try_for_each(|(name, slot)| f(&names[name.clone()], slot))
    }

    /// Slot by slot on the host. On a device what is to be told is told of all slots with one transfer.
    fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        if self.is_on_host() {
            return self.visit_mut(&mut |name, slot| writing.tensor(name, slot));
        }
        let names = self.iter().map(|(name, _)| name);
        let edits: Vec<Edit<'_>> = names
            .map(|name| writing.next(name))
            .collect::<Result<_>>()?;
        let told = match writing.clamped() {
            Some(_) => device::count(self, &edits, &self.transfers)?,
            None => vec![None; edits.len()],
        };
        for (((_, slot), edit), told) in self.list.iter_mut().zip(&edits).zip(told) {
            match (writing.clamped(), told) {
                (Some(counts), Some(told)) => {
                    *counts += told;
                    if told.is_clipped() {
                        slot.edit(edit, Tell::nothing())?;
                    }
                }
                (Some(counts), None) => slot.edit(edit, Tell::clamped(counts))?,
                (None, _) if edit.is_keep() => (),
                (None, _) => slot.edit(edit, Tell::nothing())?,
            }
        }
        writing.left(|reading| self.measure(reading))
    }
}
