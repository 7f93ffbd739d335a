//! What the gradients are once a step is carried out.

use crate::writing::Writing;
use crate::{Edits, Factor, Measurement, Result, Stats, TensorSetMut};

/// What the gradients are once the edits are carried out.
#[derive(Clone, Debug, Default)]
pub(crate) struct After {
    /// `None` while it is unknown: a clamp bites, and nobody has looked at what it left.
    pub(crate) total: Option<Stats>,
    pub(crate) told_by: ToldBy,
    space: Measurement,
}

/// How it is known what a tensor is now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum ToldBy {
    /// From what it was and its edit.
    #[default]
    Arithmetic,
    /// By a look: `space` holds what the edits left.
    Look,
    /// Not at all: the gradients could not be read to the end.
    NoRead,
    /// Not at all: a storage failed half-way while it was written.
    NoWrite,
}

impl After {
    /// Nothing is done.
    pub(crate) fn same(&mut self, before: &Measurement) {
        (self.total, self.told_by) = (Some(*before.total()), ToldBy::Arithmetic);
        self.space.make_room(before);
    }

    /// By arithmetic, where that tells.
    pub(crate) fn foresee(&mut self, before: &Measurement, edits: &Edits) {
        self.told_by = ToldBy::Arithmetic;
        self.total = match edits.common_factor() {
            Some(Factor::ONE) => Some(*before.total()),
            Some(factor) => Some(before.total().scaled(factor)),
            None => self
                .space
                .follow(before, edits)
                .map(|()| *self.space.total()),
        };
        if let Some(total) = &mut self.total {
            edits.settle_total(total);
        }
    }

    /// As all ranks agree on it, who say whether they read the gradients for it.
    pub(crate) fn agree(
        &mut self,
        agree: impl FnOnce(&mut Measurement) -> Result<bool>,
    ) -> Result<()> {
        let is_read = agree(&mut self.space)?;
        self.total = Some(*self.space.total());
        self.told_by = if is_read {
            ToldBy::Look
        } else {
            ToldBy::Arithmetic
        };
        Ok(())
    }

    /// Writes, and looks at what the writing left only if arithmetic did not tell.
    pub(crate) fn carry_out<G>(
        &mut self,
        grads: &mut G,
        before: &Measurement,
        edits: &Edits,
    ) -> Result<()>
    where
        G: TensorSetMut + ?Sized,
    {
        if edits.is_keep() {
            return Ok(());
        }
        if self.total.is_some() {
            let mut writing = Writing::of(edits);
            grads.carry_out(&mut writing)?;
            return writing.finish();
        }
        let mut writing = Writing::telling(edits, before, &mut self.space);
        grads.carry_out(&mut writing)?;
        writing.finish()?;
        self.space.settle(edits);
        (self.total, self.told_by) = (Some(*self.space.total()), ToldBy::Look);
        Ok(())
    }

    /// The edits could not be carried out to the end.
    pub(crate) fn lose(&mut self) {
        (self.total, self.told_by) = (None, ToldBy::NoWrite);
    }

    pub(crate) fn total(&self) -> Option<Stats> {
        self.total
    }

    pub(crate) fn tensor(
        &self,
        index: usize,
        before: &Measurement,
        edits: &Edits,
    ) -> Option<Stats> {
        match self.told_by {
            ToldBy::NoRead | ToldBy::NoWrite => None,
            ToldBy::Look => Some(*self.space.tensor(index)),
            ToldBy::Arithmetic => {
                let mut stats = edits.get(index).follow(before.tensor(index))?;
                edits.settle_tensor(index, &mut stats);
                Some(stats)
            }
        }
    }
}
