//! The units of a tensor: its rows, columns or planes along an axis.

use crate::{Error, Result};

/// What a tensor of at most one axis says of its units along `axis`: it is one.
pub(crate) fn one_unit(axis: usize) -> Result<usize> {
    if axis == 0 {
        Ok(1)
    } else {
        Err(Error::Axis { axes: 1, axis })
    }
}
/// The number of units along `axis`.
pub(crate) fn units(shape: &[usize], axis: usize) -> Result<usize> {
    match shape {
        [] | [_] => one_unit(axis),
        _ => shape.get(axis).copied().ok_or(Error::Axis {
            axes: shape.len(),
            axis,
        }),
    }
}
