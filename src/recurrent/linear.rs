//! Matrix products in the layouts that run fast, and the shape checks before them.

use alloc::vec::Vec;

use ndarray::linalg::{general_mat_mul, general_mat_vec_mul};
use ndarray::{
    Array, Array2, Array3, ArrayRef1, ArrayRef2, ArrayRef3, ArrayView2, ArrayView3, ArrayViewMut2,
    ArrayViewMut3, Axis, Dimension, Ix2, Ix3,
};

use super::Real;
use super::scratch::Scratch;
use crate::{Error, Result};

/// Refuses an array whose shape is not the one that its place asks for.
pub(super) fn check(what: &'static str, found: &[usize], expected: &[usize]) -> Result<()> {
    if found == expected {
        Ok(())
    } else {
        Err(Error::Shape {
            what,
            expected: Vec::from(expected),
            found: Vec::from(found),
        })
    }
}

/// Bytes for which nobody asks the allocator beforehand whether it has them.
const MODEST: usize = 1 << 30;

/// Refuses the shape of an array that is about to be made if no memory holds it.
pub(super) fn fits<A>(what: &'static str, shape: &[usize]) -> Result<()> {
    // An array without elements has strides all the same, made of its other axes.
    let lengths = shape.iter().filter(|&&len| len > 0);
    let bytes = lengths
        .copied()
        .try_fold(size_of::<A>(), usize::checked_mul);
    let fits = bytes
        .filter(|&bytes| isize::try_from(bytes).is_ok())
        .is_some_and(|bytes| {
            bytes <= MODEST
                || shape.contains(&0)
                || Vec::<u8>::new().try_reserve_exact(bytes).is_ok()
        });
    if fits {
        Ok(())
    } else {
        Err(Error::TooLarge {
            what,
            found: Vec::from(shape),
        })
    }
}

/// The shape of a state of zeros: nothing at all if no memory holds it, which every cell refuses.
pub(super) fn state_shape<A>(batch: usize, hidden: usize) -> (usize, usize) {
    match fits::<A>("state", &[batch, hidden]) {
        Ok(()) => (batch, hidden),
        Err(_) => (0, 0),
    }
}

/// Gives an array this shape, in the order of its axes; one that has it stays as it is, numbers and all.
pub(super) fn make_room<A: Real, D: Dimension>(
    array: &mut Array<A, D>,
    what: &'static str,
    shape: D,
) -> Result<()> {
    if array.raw_dim() != shape || !array.is_standard_layout() {
        fits::<A>(what, shape.slice())?;
        *array = Array::zeros(shape);
    }
    Ok(())
}

/// The gradient of a part of the state where the way back begins: what came in for it, or zero.
pub(super) fn begin<A: Real>(
    d_state: &mut Array2<A>,
    given: Option<&Array2<A>>,
    shape: Ix2,
) -> Result<()> {
    make_room(d_state, "state gradients", shape)?;
    match given {
        Some(given) => d_state.assign(given),
        None => d_state.fill(A::zero()),
    }
    Ok(())
}

/// The matrix M of the products x·M that a cell takes step after step.
///
/// Contiguous rows are what both routines below want, so a transposed M is copied once here and not
/// once a step. A batch of one is a vector, for which the general product would do its packing in vain.
pub(super) enum Times<'a, A> {
    /// M itself, for a batch.
    Batch(ArrayView2<'a, A>),
    /// Mᵀ, for a single sequence: x·M = Mᵀ·x.
    Single(ArrayView2<'a, A>),
}

impl<'a, A: Real> Times<'a, A> {
    /// M for an x of this many rows; `copy` is where a copy goes if one is needed.
    pub(super) fn new(
        matrix: &ArrayView2<'a, A>,
        rows: usize,
        copy: &'a mut Scratch<A>,
    ) -> Result<Self> {
        let is_one = rows == 1;
        let matrix = if is_one {
            matrix.reversed_axes()
        } else {
            *matrix
        };
        let matrix = if matrix.is_standard_layout() {
            matrix
        } else {
            copy.copy(&matrix)?
        };
        Ok(if is_one {
            Self::Single(matrix)
        } else {
            Self::Batch(matrix)
        })
    }

    /// y ← beta·y + x·M.
    pub(super) fn multiply(&self, x: &ArrayRef2<A>, beta: A, y: &mut ArrayViewMut2<'_, A>) {
        if y.is_empty() {
            return;
        }
        match self {
            Self::Batch(m) => general_mat_mul(A::one(), x, m, beta, y),
            Self::Single(m) => {
                let x = x.index_axis(Axis(0), 0);
                general_mat_vec_mul(A::one(), m, &x, beta, &mut y.index_axis_mut(Axis(0), 0));
            }
        }
    }
}

/// y = x·Wᵀ + b over all rows of x at once.
pub(super) fn affine<A: Real>(
    x: &ArrayRef2<A>,
    w: &ArrayRef2<A>,
    bias: &ArrayRef1<A>,
    y: &mut ArrayViewMut2<'_, A>,
    copy: &mut Scratch<A>,
) -> Result<()> {
    y.assign(bias);
    Times::new(&w.t(), x.nrows(), copy)?.multiply(x, A::one(), y);
    Ok(())
}

/// `[time, batch, features]` as `[time·batch, features]`, without a copy.
pub(super) fn flat<'a, A>(array: &ArrayView3<'a, A>) -> Result<ArrayView2<'a, A>> {
    let (time, batch, features) = array.dim();
    array
        .into_shape_with_order((time * batch, features))
        .map_err(|_| not_contiguous(time, batch, features))
}

/// `[time, batch, features]` as `[time·batch, features]`, to write into.
pub(super) fn flat_mut<A>(array: ArrayViewMut3<'_, A>) -> Result<ArrayViewMut2<'_, A>> {
    let (time, batch, features) = array.dim();
    array
        .into_shape_with_order((time * batch, features))
        .map_err(|_| not_contiguous(time, batch, features))
}

/// Every array given to `flat` is contiguous, so this is never seen.
fn not_contiguous(time: usize, batch: usize, features: usize) -> Error {
    Error::Shape {
        what: "contiguous sequence",
        expected: Vec::from([time * batch, features]),
        found: Vec::from([time, batch, features]),
    }
}

/// Copies into memory in the order of the axes, which stays if the shape does.
pub(super) fn keep<A: Real>(copy: &mut Array3<A>, xs: &ArrayRef3<A>) {
    if copy.dim() != xs.dim() {
        *copy = Array3::zeros(xs.raw_dim());
    }
    copy.assign(xs);
}

/// Makes `states` a trajectory `[1 + time, batch, features]` that starts at `s0`; the other steps are not filled.
pub(super) fn trajectory<A: Real>(
    states: &mut Array3<A>,
    time: usize,
    s0: &ArrayRef2<A>,
) -> Result<()> {
    let (batch, features) = s0.dim();
    make_room(states, "states", Ix3(time + 1, batch, features))?;
    states.index_axis_mut(Axis(0), 0).assign(s0);
    Ok(())
}

/// The state before step t, and the state after it to write into.
pub(super) fn around<A>(
    states: &mut Array3<A>,
    t: usize,
) -> (ArrayViewMut2<'_, A>, ArrayViewMut2<'_, A>) {
    let (before, after) = states.view_mut().split_at(Axis(0), t + 1);
    (
        before.index_axis_move(Axis(0), t),
        after.index_axis_move(Axis(0), 0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn one_row_and_many_rows_agree_in_any_layout() {
        let m = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let turned = array![[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]];
        for matrix in [m.view(), turned.t()] {
            let copy = &mut Scratch::default();
            let mut one = array![[1.0, 1.0, 1.0]];
            let times = Times::new(&matrix, 1, copy).unwrap();
            times.multiply(&array![[1.0, -1.0]], 1.0, &mut one.view_mut());
            assert_eq!(one, array![[-2.0, -2.0, -2.0]]);
            let mut two = array![[1.0, 1.0, 1.0], [9.0, 9.0, 9.0]];
            let x = array![[1.0, -1.0], [0.0, 2.0]];
            let times = Times::new(&matrix, 2, copy).unwrap();
            times.multiply(&x, 0.0, &mut two.view_mut());
            assert_eq!(two, array![[-3.0, -3.0, -3.0], [8.0, 10.0, 12.0]]);
        }
    }

    #[test]
    fn an_inner_dimension_of_nothing_adds_nothing() {
        for rows in [1, 2] {
            let mut y = Array2::from_elem((rows, 3), 7.0);
            let (x, m) = (Array2::zeros((rows, 0)), Array2::zeros((0, 3)));
            let copy = &mut Scratch::default();
            let times = Times::new(&m.view(), rows, copy).unwrap();
            times.multiply(&x, 1.0, &mut y.view_mut());
            assert_eq!(y, Array2::from_elem((rows, 3), 7.0));
        }
    }
}
