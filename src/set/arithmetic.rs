//! Arithmetic over sets: what every trainer of one's own needs.

use alloc::vec::Vec;

use super::pairing::{Found, Pairing};
use super::{TensorSet, TensorSetMut};
use crate::edit::Alone;
use crate::kernel;
use crate::names::Names;
use crate::number::Number;
use crate::slice::{SliceMut, SliceRef, each_slice};
use crate::tell::Tell;
use crate::tensor::{BLOCK, Tensor, TensorMut, TensorRef};
use crate::{Factor, Result};

/// `y ← y + a·x`, in `f64` and rounded once: a step of gradient descent, with `a` the negative rate.
///
/// The sets are paired by name, number and size, and by shape where both tell theirs; element types and layouts may
/// differ. A tensor of `x` without elements is a missing gradient, and a missing set stands for all below its name:
/// what belongs to it stays as it is.
///
/// # Examples
///
/// ```
/// use steadygrad::{set, Error};
///
/// let mut params = [("w", vec![1.0_f32, 2.0]), ("b", vec![3.0])];
/// let grads = [("w", Some(vec![10.0_f64, 20.0])), ("b", None)];
/// set::axpy(-0.1, &grads, &mut params)?;
/// assert_eq!(params, [("w", vec![0.0, 0.0]), ("b", vec![3.0])]);
///
/// let others = [("w", vec![1.0_f32]), ("b", vec![1.0])];
/// assert!(matches!(set::axpy(1.0, &others, &mut params), Err(Error::Count { expected: 2, found: 1, .. })));
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Name`](crate::Error::Name), [`Error::Count`](crate::Error::Count) or
/// [`Error::Shape`](crate::Error::Shape) if the sets do not fit together; nothing is changed then. And what the
/// tensors give.
pub fn axpy<X: TensorSet + ?Sized, Y: TensorSetMut + ?Sized>(
    a: f64,
    x: &X,
    y: &mut Y,
) -> Result<()> {
    paired(x, y, true, |x, y| combine(x, y, |x, y| y + a * x))
}

/// `y ← y + x`: adds the gradients of one more part of a batch. As [`axpy`] with a factor of 1.
///
/// # Examples
///
/// ```
/// use steadygrad::set;
///
/// let (mut sum, micro_batches) = (vec![vec![0.0_f32; 2]], [[[1.0, 2.0]], [[0.5, -2.0]]]);
/// for grads in &micro_batches {
///     set::accumulate(grads, &mut sum)?;
/// }
/// assert_eq!(sum, [[1.5, 0.0]]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// As [`axpy`].
pub fn accumulate<X: TensorSet + ?Sized, Y: TensorSetMut + ?Sized>(x: &X, y: &mut Y) -> Result<()> {
    paired(x, y, true, |x, y| combine(x, y, |x, y| y + x))
}

/// `y ← x`: the values of another set of the same tensors, bit for bit where the element types are the same.
///
/// # Examples
///
/// ```
/// use steadygrad::set;
///
/// let (best, mut params) = ([("w", [1.5_f32, -0.0])], [("w", vec![f32::NAN, 7.0])]);
/// set::copy(&best, &mut params)?;
/// assert_eq!(params[0].1, [1.5, -0.0]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// As [`axpy`], but that no tensor may be missing on one side alone.
pub fn copy<X: TensorSet + ?Sized, Y: TensorSetMut + ?Sized>(x: &X, y: &mut Y) -> Result<()> {
    paired(x, y, false, |x, y| {
        match (x.as_slice_ref(), y.as_slice_mut_ref()) {
            // Of the same length, or they would not be paired.
            (Some(SliceRef::F32(x)), Some(SliceMut::F32(y))) => y.copy_from_slice(x),
            (Some(SliceRef::F64(x)), Some(SliceMut::F64(y))) => y.copy_from_slice(x),
            #[cfg(feature = "half")]
            (Some(SliceRef::F16(x)), Some(SliceMut::F16(y))) => y.copy_from_slice(x),
            #[cfg(feature = "half")]
            (Some(SliceRef::BF16(x)), Some(SliceMut::BF16(y))) => y.copy_from_slice(x),
            _ => return combine(x, y, |x, _| x),
        }
        Ok(())
    })
}

/// `y ← a·y`, in `f64` and rounded once: a decay of weights, or a mean of what was accumulated.
///
/// # Examples
///
/// ```
/// use steadygrad::set;
///
/// let mut grads = [("w", [2.0_f32, -4.0]), ("b", [f32::INFINITY, 1.0])];
/// set::scale(&mut grads, 0.25)?;
/// assert_eq!(grads, [("w", [0.5, -1.0]), ("b", [f32::INFINITY, 0.25])]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// What the tensors give.
pub fn scale<Y: TensorSetMut + ?Sized>(y: &mut Y, a: f64) -> Result<()> {
    let factor = Factor::new(a).ok().map(Alone::scale);
    y.visit_mut(&mut |_, tensor| match &factor {
        // Where it lies, which may be on a device.
        Some(scale) if tensor.as_slice_ref().is_none() => {
            tensor.edit(&scale.edit(), Tell::nothing())
        }
        _ => map(tensor, |y| a * y),
    })
}

/// `y ← +0.0` everywhere, also in place of NaN and infinities.
///
/// # Examples
///
/// ```
/// use steadygrad::set;
///
/// let mut grads = [("w", [2.0_f32, f32::NAN])];
/// set::zero(&mut grads)?;
/// assert_eq!(grads, [("w", [0.0, 0.0])]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// What the tensors give.
pub fn zero<Y: TensorSetMut + ?Sized>(y: &mut Y) -> Result<()> {
    y.visit_mut(&mut |_, tensor| {
        if let Some(slice) = tensor.as_slice_mut_ref() {
            each_slice!(slice, SliceMut, ys => fill(ys));
            return Ok(());
        }
        tensor.edit(&Alone::zero().edit(), Tell::nothing())
    })
}

fn fill<E: Number>(ys: &mut [E]) {
    ys.fill(E::default());
}

/// Calls `f` with each tensor of `y` and its partner in `x`.
fn paired<X: TensorSet + ?Sized, Y: TensorSetMut + ?Sized>(
    x: &X,
    y: &mut Y,
    may_miss: bool,
    f: impl Fn(&TensorRef<'_>, &mut dyn TensorMut) -> Result<()>,
) -> Result<()> {
    let (mut names, mut lens) = (Names::default(), Vec::new());
    y.visit(&mut |name, tensor| {
        names.push(name, tensor.dims());
        lens.push(tensor.len());
        Ok(())
    })?;
    let len_of = |index: usize| lens[index];
    let mut pairing = if may_miss {
        Pairing::with_gradients(&names, len_of)
    } else {
        Pairing::same(&names, len_of)
    };
    let mut partners: Vec<Option<TensorRef<'_>>> = Vec::new();
    x.visit(&mut |name, tensor| {
        let (dims, len) = (tensor.dims(), tensor.len());
        let taken = pairing.take(Found { name, dims, len })?;
        // Of a missing one there is nothing to be said, nor of those below it.
        partners.extend(taken.map(|_| Some(tensor).filter(|_| len > 0)));
        Ok(())
    })?;
    pairing.finish()?;
    let mut partners = partners.into_iter();
    y.visit_mut(&mut |_, tensor| match partners.next().flatten() {
        Some(partner) => f(&partner, tensor),
        None => Ok(()),
    })
}

fn combine(
    x: &TensorRef<'_>,
    y: &mut dyn TensorMut,
    f: impl Fn(f64, f64) -> f64 + Sync,
) -> Result<()> {
    if let (Some(xs), Some(ys)) = (x.as_slice_ref(), y.as_slice_mut_ref()) {
        each_slice!(xs, SliceRef, xs => each_slice!(ys, SliceMut, ys => kernel::combine(xs, ys, f)));
        return Ok(());
    }
    let mut from = [0.0; BLOCK];
    in_blocks(y, |start, ys| {
        let xs = &mut from[..ys.len()];
        x.read(start, xs)?;
        for (x, y) in xs.iter().zip(ys) {
            *y = f(*x, *y);
        }
        Ok(())
    })
}

fn map(y: &mut dyn TensorMut, f: impl Fn(f64) -> f64 + Sync) -> Result<()> {
    if let Some(ys) = y.as_slice_mut_ref() {
        each_slice!(ys, SliceMut, ys => kernel::map(ys, f));
        return Ok(());
    }
    in_blocks(y, |_, ys| {
        ys.iter_mut().for_each(|y| *y = f(*y));
        Ok(())
    })
}

/// Reads, changes and writes block after block.
fn in_blocks(
    y: &mut dyn TensorMut,
    mut f: impl FnMut(usize, &mut [f64]) -> Result<()>,
) -> Result<()> {
    let (len, mut block) = (y.len(), [0.0; BLOCK]);
    for start in (0..len).step_by(BLOCK) {
        let block = &mut block[..BLOCK.min(len - start)];
        y.read(start, block)?;
        f(start, block)?;
        y.write(start, block)?;
    }
    Ok(())
}
