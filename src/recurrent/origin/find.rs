//! Looking for the first number that is not finite.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ndarray::{ArrayRef2, ArrayRef3};

use super::{NotFinite, Origin, Part, Way};
use crate::recurrent::lengths::Lengths;
use crate::recurrent::{At, Real};
use crate::tensor::{BLOCK, Tensor};
use crate::{Result, TensorSet};

/// A row, a column, and what stands there.
pub(in crate::recurrent) type Found<A> = (usize, usize, A);

/// The first of these rows' numbers that is not finite.
pub(in crate::recurrent) fn first_row<A: Real>(
    rows: &ArrayRef2<A>,
    counts: impl Fn(usize) -> bool,
) -> Option<Found<A>> {
    let those = rows.outer_iter().enumerate().filter(|&(b, _)| counts(b));
    those.into_iter().find_map(|(b, row)| {
        let k = row.iter().position(|x| !x.is_finite())?;
        Some((b, k, row[k]))
    })
}

/// Where a set has a number that is not finite.
pub(in crate::recurrent) struct Spot {
    pub(super) name: String,
    /// The index along each axis.
    pub(super) index: Vec<usize>,
    pub(super) value: NotFinite,
}

/// The first number of a set that is not finite. Of tensors with several axes only those rows of the first axis count.
pub(in crate::recurrent) fn first(
    set: &(impl TensorSet + ?Sized),
    counts: &dyn Fn(usize) -> bool,
) -> Result<Option<Spot>> {
    let mut found = None;
    set.visit(&mut |name, tensor| {
        let dims = tensor.dims().map_or(Vec::new(), Vec::from);
        let len = tensor.len();
        let width = match dims.as_slice() {
            [rows, _, ..] => len / (*rows).max(1),
            _ => len,
        };
        let has_rows = dims.len() > 1;
        let mut block = [0.0; BLOCK];
        for start in (0..len).step_by(BLOCK) {
            if found.is_some() {
                break;
            }
            let block = &mut block[..BLOCK.min(len - start)];
            tensor.read(start, block)?;
            let first = block.iter().enumerate().find(|&(k, x)| {
                !x.is_finite() && (!has_rows || counts((start + k) / width.max(1)))
            });
            found = first.map(|(k, x)| Spot {
                name: name.to_string(),
                index: along(&dims, start + k),
                value: NotFinite::of(*x),
            });
        }
        Ok(())
    })?;
    Ok(found)
}

/// Whether all numbers of a set are finite.
pub(in crate::recurrent) fn is_finite(set: &(impl TensorSet + ?Sized)) -> Result<bool> {
    Ok(first(set, &|_| true)?.is_none())
}

/// The first number that is not finite in the last step that has one, of the steps that count of each sequence.
pub(in crate::recurrent) fn last_step<A: Real>(
    part: Part,
    name: &str,
    values: &ArrayRef3<A>,
    lengths: &Lengths,
) -> Option<Origin> {
    let steps = values.outer_iter().enumerate().rev();
    steps.into_iter().find_map(|(t, rows)| {
        let found = first_row(&rows, |b| lengths.is_running(b, t))?;
        Some(Origin::of_step(Way::Backward, part, name, t, found))
    })
}

impl Spot {
    /// Of a state, each tensor of which is `[batch, …]`.
    pub(super) fn of_state(self, way: Way, part: Part, at: Option<At>) -> Origin {
        let has_rows = self.index.len() > 1;
        Origin {
            way,
            part,
            name: self.name,
            at,
            sequence: has_rows.then(|| self.index[0]),
            index: self.index[usize::from(has_rows)..].into(),
            value: self.value,
            cause: super::Cause::Unknown,
        }
    }

    /// Of the gradients of parameters, or of a step's share of them.
    pub(in crate::recurrent) fn of_gradient(self, at: Option<At>) -> Origin {
        Origin {
            at,
            way: Way::Backward,
            ..self.of_parameter()
        }
        .because(super::Cause::Unknown)
    }

    /// Of the parameters.
    pub(super) fn of_parameter(self) -> Origin {
        Origin::parameter(&self.name, self.index, self.value)
    }
}

/// The index along each axis of a row-major one; itself where there are no axes.
fn along(dims: &[usize], k: usize) -> Vec<usize> {
    if dims.is_empty() {
        return Vec::from([k]);
    }
    let mut left = k;
    let mut index: Vec<usize> = dims
        .iter()
        .rev()
        .map(|&len| {
            let here = left % len.max(1);
            left /= len.max(1);
            here
        })
        .collect();
    index.reverse();
    index
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use ndarray::{Array2, Array3};

    #[test]
    fn the_first_of_a_set_is_told_by_its_axes() {
        let mut deep = Array3::<f32>::zeros((2, 30, 40));
        deep[[1, 29, 39]] = f32::NEG_INFINITY;
        let set = [("a", Array3::zeros((1, 1, 1))), ("b", deep)];
        let spot = first(&set, &|_| true).unwrap().unwrap();
        assert_eq!((spot.name.as_str(), spot.index), ("b", vec![1, 29, 39]));
        assert_eq!(spot.value, NotFinite::NegativeInfinity);
        assert!(first(&set, &|row| row == 0).unwrap().is_none());
        assert!(!is_finite(&set).unwrap());

        let flat = [("w", vec![0.0, f64::NAN])];
        let spot = first(&flat, &|_| false).unwrap().unwrap(); // no rows
        assert_eq!((spot.name.as_str(), spot.index), ("w", vec![1]));
    }

    #[test]
    fn rows_that_do_not_count_are_passed_over() {
        let mut rows = Array2::<f64>::zeros((3, 2));
        rows[[0, 1]] = f64::NAN;
        rows[[2, 0]] = f64::INFINITY;
        assert_eq!(first_row(&rows, |b| b > 0), Some((2, 0, f64::INFINITY)));
        assert_eq!(first_row(&rows, |b| b == 1), None);
    }
}
