//! Checks of shapes, and arrays in the shape and order that passes want.

use alloc::vec::Vec;

use ndarray::{
    Array, Array2, Array3, ArrayRef2, ArrayRef3, ArrayView2, ArrayView3, ArrayViewMut2,
    ArrayViewMut3, Axis, Dimension, Ix2, Ix3,
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

/// Gives an array its numbers in the order of its axes, which is how passes walk it: a hook may have left another.
pub(super) fn in_order<A: Real>(array: &mut Array2<A>) {
    if !array.is_standard_layout() {
        *array = array.as_standard_layout().into_owned();
    }
}

/// Copies into memory in the order of the axes, which stays if the shape does.
pub(super) fn keep<A: Real>(copy: &mut Array3<A>, xs: &ArrayRef3<A>) -> Result<()> {
    make_room(copy, "inputs", xs.raw_dim())?;
    copy.assign(xs);
    Ok(())
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
    states: &mut ArrayRef3<A>,
    t: usize,
) -> (ArrayViewMut2<'_, A>, ArrayViewMut2<'_, A>) {
    let (before, after) = states.view_mut().split_at(Axis(0), t + 1);
    (
        before.index_axis_move(Axis(0), t),
        after.index_axis_move(Axis(0), 0),
    )
}
