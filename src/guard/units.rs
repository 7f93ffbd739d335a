//! Whether units have as many factors as they need.

use crate::{Ask, Edits, Measurement, Op, Result, Tensor, TensorSet};

/// Whether each list of factors fits the units of its tensor, so that none is found wanting when others are
/// edited already. `seen` tells at no cost, if the units of these gradients were measured along that axis; else the
/// tensor is read as the edit would leave it, and says so itself.
pub(super) fn check_units<G: TensorSet + ?Sized>(
    grads: &G,
    seen: Option<&Measurement>,
    edits: &Edits,
) -> Result<()> {
    if edits.common_factor().is_some() {
        return Ok(());
    }
    let along = |op: &Op<'_>| match *op {
        Op::ScaleUnits { axis, .. } => Some(axis),
        _ => None,
    };
    let units = |index: usize| edits.get(index).ops().filter_map(move |op| along(&op));
    if (0..edits.len()).all(|index| units(index).next().is_none()) {
        return Ok(());
    }
    let mut index = 0;
    grads.visit(&mut |_, tensor| {
        let edit = edits.get(index);
        let known =
            seen.filter(|seen| units(index).all(|axis| seen.unit_axis(index) == Some(axis)));
        let checked = match known {
            Some(seen) => edit.check_units(|_| Ok(seen.units(index).len())),
            None => tensor.stats(&mut Ask::least().after(edit)).map(drop),
        };
        index += 1;
        checked
    })
}
