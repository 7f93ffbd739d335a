//! Matrix products in the layouts that run fast, and the shape checks before them.

use alloc::vec::Vec;

use ndarray::linalg::{general_mat_mul, general_mat_vec_mul};
use ndarray::{
    Array1, Array2, Array3, ArrayRef1, ArrayRef2, ArrayRef3, ArrayView2, ArrayView3, ArrayViewMut2,
    ArrayViewMut3, Axis, CowArray, Ix2, Slice,
};

use super::Real;
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

/// The matrix M of the products x·M that a cell takes step after step.
///
/// Contiguous rows are what both routines below want, so a transposed M is copied once here and not
/// once a step. A batch of one is a vector, for which the general product would do its packing in vain.
pub(super) enum Times<'a, A> {
    /// M itself, for a batch.
    Batch(CowArray<'a, A, Ix2>),
    /// Mᵀ, for a single sequence: x·M = Mᵀ·x.
    Single(CowArray<'a, A, Ix2>),
}

impl<'a, A: Real> Times<'a, A> {
    /// M for an x of this many rows.
    pub(super) fn new(matrix: &ArrayView2<'a, A>, rows: usize) -> Self {
        let contiguous = |m: ArrayView2<'a, A>| {
            if m.is_standard_layout() {
                CowArray::from(m)
            } else {
                CowArray::from(m.as_standard_layout().into_owned())
            }
        };
        if rows == 1 {
            Self::Single(contiguous(matrix.reversed_axes()))
        } else {
            Self::Batch(contiguous(*matrix))
        }
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
) {
    y.assign(bias);
    Times::new(&w.t(), x.nrows()).multiply(x, A::one(), y);
}

/// What a whole sequence gives to the parameters, and to its inputs, once dL/dz of every step is known.
pub(super) struct Collected<A> {
    pub(super) w_in: Array2<A>,
    pub(super) w_rec: Array2<A>,
    pub(super) bias: Array1<A>,
    pub(super) d_inputs: Array3<A>,
}

/// ```text
/// dL/dW_in = Σ_t dzᵀ_t·x_t    dL/dW_rec = Σ_t dzᵀ_t·h_{t−1}    dL/db = Σ_t dz_t    dL/dx_t = dz_t·W_in
/// ```
/// over the steps from `start` on, each sum over time and batch as one product.
pub(super) fn collect<A: Real>(
    d_z: &Array3<A>,
    xs: &Array3<A>,
    previous: &ArrayRef3<A>,
    w_in: &ArrayRef2<A>,
    start: usize,
) -> Result<Collected<A>> {
    let from = Slice::from(start..);
    let d_z = flat(&d_z.slice_axis(Axis(0), from))?;
    let x = flat(&xs.slice_axis(Axis(0), from))?;
    let previous = flat(&previous.slice_axis(Axis(0), from))?;

    let mut d_inputs = Array3::zeros(xs.raw_dim());
    let mut d_x = flat_mut(d_inputs.slice_axis_mut(Axis(0), from))?;
    Times::new(&w_in.view(), d_z.nrows()).multiply(&d_z, A::zero(), &mut d_x);

    let transposed = d_z.t().as_standard_layout().into_owned();
    Ok(Collected {
        w_in: transposed.dot(&x),
        w_rec: transposed.dot(&previous),
        bias: d_z.sum_axis(Axis(0)),
        d_inputs,
    })
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

/// A copy whose memory is in the order of its axes.
pub(super) fn own<A: Real>(xs: &ArrayRef3<A>) -> Array3<A> {
    let mut copy = Array3::zeros(xs.raw_dim());
    copy.assign(xs);
    copy
}

/// A trajectory `[1 + time, batch, features]` that starts at `s0`; the other steps are zero.
pub(super) fn trajectory<A: Real>(time: usize, s0: &ArrayRef2<A>) -> Array3<A> {
    let (batch, features) = s0.dim();
    let mut states = Array3::zeros((time + 1, batch, features));
    states.index_axis_mut(Axis(0), 0).assign(s0);
    states
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
            let mut one = array![[1.0, 1.0, 1.0]];
            Times::new(&matrix, 1).multiply(&array![[1.0, -1.0]], 1.0, &mut one.view_mut());
            assert_eq!(one, array![[-2.0, -2.0, -2.0]]);
            let mut two = array![[1.0, 1.0, 1.0], [9.0, 9.0, 9.0]];
            let x = array![[1.0, -1.0], [0.0, 2.0]];
            Times::new(&matrix, 2).multiply(&x, 0.0, &mut two.view_mut());
            assert_eq!(two, array![[-3.0, -3.0, -3.0], [8.0, 10.0, 12.0]]);
        }
    }

    #[test]
    fn an_inner_dimension_of_nothing_adds_nothing() {
        for rows in [1, 2] {
            let mut y = Array2::from_elem((rows, 3), 7.0);
            let (x, m) = (Array2::zeros((rows, 0)), Array2::zeros((0, 3)));
            Times::new(&m.view(), rows).multiply(&x, 1.0, &mut y.view_mut());
            assert_eq!(y, Array2::from_elem((rows, 3), 7.0));
        }
    }
}
