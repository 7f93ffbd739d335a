//! Whether the units of other gradients have as many factors as they need.

use crate::{Ask, Edits, Result, Tensor, TensorSet};

/// Whether each list of factors fits the units of its tensor, so that none is found wanting when others are
/// edited already: the tensor is read as the edit would leave it, and says so itself.
pub(super) fn check_units<G: TensorSet + ?Sized>(grads: &G, edits: &Edits) -> Result<()> {
    let scales_units = |index: usize| edits.get(index).scales_units();
    if edits.common_factor().is_some() || !(0..edits.len()).any(scales_units) {
        return Ok(());
    }
    let mut index = 0;
    grads.visit(&mut |_, tensor| {
        let edit = edits.get(index);
        index += 1;
        if edit.scales_units() {
            tensor.stats(&mut Ask::least().after(edit)).map(drop)
        } else {
            Ok(())
        }
    })
}
