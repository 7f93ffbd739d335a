//! Tensors of which each rank has a part.

use alloc::vec::Vec;

use crate::edit::Edit;
use crate::edits::Edits;
use crate::measurement::Measurement;
use crate::tell::Tell;
use crate::tensor::{BLOCK, Tensor, TensorMut, TensorRef};
use crate::total::Total;
use crate::{Result, TensorSet};

/// The exact totals of this rank's parts.
#[derive(Debug, Default)]
pub(super) struct Parts {
    one: Total,
    /// Of each tensor, if it is asked for.
    pub(super) each: Vec<Total>,
}

impl Parts {
    /// Sums the elements of a set that was read into `seen`, as `after` would leave them before they are rounded to their
    /// type, and makes that the totals of `seen`.
    pub(super) fn sum<S: TensorSet + ?Sized>(
        &mut self,
        set: &S,
        after: &Edits,
        seen: &mut Measurement,
        counts: impl Fn(usize) -> bool,
    ) -> Result<()> {
        let each = seen.needs().tensors;
        let (p, magnitudes) = (seen.needs().power, seen.needs().magnitudes);
        self.each
            .resize_with(if each { seen.len() } else { 0 }, Total::default);
        self.each.iter_mut().for_each(Total::clear);
        seen.totals_mut().for_each(Total::clear);
        let mut index = 0;
        set.visit(&mut |_, tensor| {
            if counts(index) {
                self.one.clear();
                self.one.begin(p);
                self.one.add_all_but_sums(seen.tensor(index));
                let edit = after.get(index);
                in_blocks(&tensor, edit, |block| {
                    self.one.add_elements(block, magnitudes);
                })?;
                seen.add_to_totals(index, &self.one);
                if let Some(place) = self.each.get_mut(index) {
                    place.merge(&self.one);
                }
            }
            index += 1;
            Ok(())
        })
    }

    /// Says nothing.
    pub(super) fn be_empty(&mut self, tensors: usize) {
        self.each.resize_with(tensors, Total::default);
        self.each.iter_mut().for_each(Total::clear);
    }
}

/// Hands out the elements of a tensor as `f64`, edited.
pub(super) fn in_blocks(
    tensor: &TensorRef<'_>,
    edit: Edit<'_>,
    mut f: impl FnMut(&[f64]),
) -> Result<()> {
    let mut block = [0.0; BLOCK];
    for start in (0..tensor.len()).step_by(BLOCK) {
        let block = &mut block[..BLOCK.min(tensor.len() - start)];
        tensor.read(start, block)?;
        if !edit.is_keep() {
            block.edit(&edit, Tell::nothing())?;
        }
        f(block);
    }
    Ok(())
}
