//! The two things a tensor does: it tells its [`Stats`] in one read and carries out an [`Edit`] in one
//! write.

mod ask;
mod forward;
mod lent;
mod slices;

pub use ask::Ask;
pub use lent::TensorRef;
#[cfg(any(feature = "ndarray", feature = "rayon"))]
pub(crate) use slices::edit_slice;

use crate::edit::Edit;
use crate::kernel;
use crate::number::Number;
use crate::slice::{SliceMut, SliceRef};
use crate::tell::{Clamped, Tell};
use crate::{Error, Result, Stats};

/// Something that can be measured: it owns or borrows numbers and tells its [`Stats`] in one read.
///
/// Slices, `Vec`, arrays, `Option` (a missing gradient has no elements) and ndarray arrays and views
/// are tensors. A tensor of your own needs [`Tensor::stats`], [`Tensor::len`] and [`Tensor::read`];
/// if it can lend a slice, they are a line each.
///
/// # Examples
///
/// ```
/// use steadygrad::{Ask, Result, Stats, Tensor};
///
/// #[derive(Debug)]
/// struct Shared(std::sync::Arc<Vec<f32>>);
///
/// impl Tensor for Shared {
///     fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> { self.0.stats(ask) }
///     fn len(&self) -> usize { self.0.len() }
///     fn read(&self, start: usize, out: &mut [f64]) -> Result<()> { self.0.read(start, out) }
/// }
///
/// let w = Shared(std::sync::Arc::new(vec![3.0, 4.0]));
/// assert_eq!(w.stats(&mut Ask::default())?.l2(), 5.0);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait Tensor {
    /// Reads the elements once and says what they come to.
    ///
    /// ```
    /// use steadygrad::{Ask, Edits, Factor, Tensor};
    /// let mut edits = Edits::for_count(1);
    /// edits.scale(0, Factor::new(2.0)?);
    /// let w = vec![3.0_f32, 4.0];
    /// assert_eq!(w.stats(&mut Ask::default())?.l2(), 5.0);
    /// assert_eq!(w.stats(&mut Ask::default().after(edits.get(0)))?.l2(), 10.0);   // if it were so
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Axis`] if units are asked for along an axis that the tensor does not have,
    /// [`Error::Count`] if the edit in `ask.after` has not one factor for each unit, and whatever the
    /// storage behind the tensor gives.
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats>;

    /// The number of elements.
    ///
    /// ```
    /// use steadygrad::Tensor;
    /// assert_eq!(Some(vec![1.0_f32, 2.0]).len(), 2);
    /// assert_eq!(None::<Vec<f32>>.len(), 0);   // a missing gradient
    /// ```
    fn len(&self) -> usize;

    /// Whether there is no element.
    ///
    /// ```
    /// use steadygrad::Tensor;
    /// assert!(None::<Vec<f32>>.is_empty());
    /// assert!(!Some(vec![0.0_f32]).is_empty());
    /// ```
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The length of each axis; none of a flat tensor, which only knows its number of elements and fits any
    /// dims that come to it.
    ///
    /// ```
    /// use steadygrad::Tensor;
    /// assert_eq!(vec![1.0_f32, 2.0].dims(), None);
    /// # #[cfg(feature = "ndarray")]
    /// assert_eq!(Some(ndarray::Array2::<f32>::zeros((2, 3))).dims(), Some(&[2, 3][..]));
    /// ```
    fn dims(&self) -> Option<&[usize]> {
        None
    }

    /// The elements in row-major order, if they stand so in host memory.
    ///
    /// ```
    /// use steadygrad::{SliceRef, Tensor};
    /// let w: &dyn Tensor = &vec![1.0_f64, 2.0];
    /// assert_eq!(w.as_slice_ref(), Some(SliceRef::F64(&[1.0, 2.0])));
    /// assert_eq!(None::<Vec<f64>>.as_slice_ref(), None);
    /// ```
    fn as_slice_ref(&self) -> Option<SliceRef<'_>> {
        None
    }

    /// Copies elements to `out` in row-major order, from the `start`-th on.
    ///
    /// ```
    /// use steadygrad::Tensor;
    /// let w = vec![1.0_f32, 2.0, 3.0];
    /// let mut out = [0.0; 2];
    /// w.read(1, &mut out)?;
    /// assert_eq!(out, [2.0, 3.0]);
    /// assert_eq!(w.read(2, &mut out).unwrap_err().to_string(), "elements: expected 4, found 3");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Count`] if there are fewer, and whatever the storage behind the tensor gives.
    fn read(&self, start: usize, out: &mut [f64]) -> Result<()>;
}

/// A tensor that can be edited in place, in one write.
///
/// # Examples
///
/// ```
/// use steadygrad::{Edits, Factor, Tell, TensorMut};
///
/// let mut edits = Edits::for_count(1);
/// edits.scale_all(Factor::new(0.5)?);
/// let mut w = [2.0_f32, 4.0];
/// w.edit(&edits.get(0), Tell::nothing())?;
/// assert_eq!(w, [1.0, 2.0]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait TensorMut: Tensor {
    /// Carries out `edit`, and tells of it what is asked for, in one pass if the tensor can. A clamp that changes
    /// nothing need not be written.
    ///
    /// ```
    /// use steadygrad::{Edits, Stats, Tell, TensorMut};
    /// let mut edits = Edits::for_count(1);
    /// edits.clamp(0, -1.0, 1.0);
    /// let (mut w, mut left) = ([0.5_f32, -7.0], Stats::EMPTY);
    /// w.edit(&edits.get(0), Tell::after(&mut left))?;
    /// assert_eq!((w, left.l2()), ([0.5, -1.0], 1.25_f64.sqrt()));
    /// let mut w = [f32::NAN];
    /// w.edit(&edits.get(0), Tell::nothing())?;
    /// assert!(w[0].is_nan());   // by comparison, so NaN stays
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Axis`] or [`Error::Count`] if the edit scales units that the tensor does not have, and
    /// whatever the storage behind the tensor gives.
    fn edit(&mut self, edit: &Edit<'_>, tell: Tell<'_>) -> Result<()>;

    /// Puts `values` in place of the elements in row-major order, from the `start`-th on, each rounded once. What
    /// [`Tensor::read`] gave comes back bit for bit.
    ///
    /// ```
    /// use steadygrad::TensorMut;
    /// let mut w = vec![1.0_f32, 2.0, 3.0];
    /// w.write(1, &[-0.0, 0.25])?;
    /// assert_eq!(w, [1.0, -0.0, 0.25]);
    /// assert!(w.write(2, &[0.5, 0.25]).is_err());   // one too many
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Count`] if there are fewer elements, and whatever the storage behind the tensor gives.
    fn write(&mut self, start: usize, values: &[f64]) -> Result<()>;

    /// The elements in row-major order, if they stand so in host memory.
    ///
    /// ```
    /// use steadygrad::{SliceMut, TensorMut};
    /// let mut w = [1.0_f32, 2.0];
    /// let Some(SliceMut::F32(xs)) = w.as_slice_mut_ref() else { unreachable!() };
    /// xs.reverse();
    /// assert_eq!(w, [2.0, 1.0]);
    /// ```
    fn as_slice_mut_ref(&mut self) -> Option<SliceMut<'_>> {
        None
    }

    /// Adds `values` to the elements in row-major order, from the `start`-th on; in `f64`, rounded once.
    ///
    /// ```
    /// use steadygrad::TensorMut;
    /// let mut w = vec![1.0_f32, 2.0, 3.0];
    /// w.add(1, &[0.5, 0.25])?;
    /// assert_eq!(w, [1.0, 2.5, 3.25]);
    /// assert!(w.add(2, &[0.5, 0.25]).is_err());   // one too many
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Count`] if there are fewer elements, and whatever the storage behind the tensor gives.
    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        read_add_write(self, start, values)
    }
}

/// Elements worked on together where memory is not contiguous or types are foreign.
pub(crate) const BLOCK: usize = 1024;

/// [`TensorMut::add`] for any tensor. A function of its own, since whoever overrides a method cannot go back to its
/// default: a call of it from there, also through `dyn`, is a call of the override.
fn read_add_write<T>(tensor: &mut T, start: usize, values: &[f64]) -> Result<()>
where
    T: TensorMut + ?Sized,
{
    // Also when nothing is added.
    range(start, values.len(), tensor.len())?;
    let mut block = [0.0; BLOCK];
    for (i, values) in values.chunks(BLOCK).enumerate() {
        let (start, block) = (start + i * BLOCK, &mut block[..values.len()]);
        tensor.read(start, block)?;
        for (sum, value) in block.iter_mut().zip(values) {
            *sum += value;
        }
        tensor.write(start, block)?;
    }
    Ok(())
}

/// [`TensorMut::edit`] of elements of type `E`, in as many passes as it takes: looks, edits by `edit` unless it changes
/// nothing, looks.
pub(crate) fn edit_and_tell<E, T>(
    tensor: &mut T,
    edit: &Edit<'_>,
    tell: Tell<'_>,
    carry_out: impl FnOnce(&mut T) -> Result<()>,
) -> Result<()>
where
    E: Number,
    T: TensorMut + ?Sized,
{
    let mut changes = !edit.is_keep();
    if let Some(counts) = tell.clamped {
        let found = count::<E, T>(tensor, edit)?;
        counts.add(found);
        changes = found.is_clipped();
    }
    if changes {
        carry_out(tensor)?;
    }
    if let Some(after) = tell.after {
        *after = tensor.stats(&mut Ask {
            magnitudes: tell.magnitudes,
            largest: tell.largest,
            power: tell.power,
            ..Ask::least()
        })?;
    }
    Ok(())
}

/// What a clamp will do, block by block.
fn count<E: Number, T: Tensor + ?Sized>(tensor: &T, edit: &Edit<'_>) -> Result<Clamped> {
    let mut counts = Clamped::default();
    let Some((min, max)) = edit.clamp() else {
        return Ok(counts);
    };
    // The bounds as the elements have them, or an element on one of them would count.
    let (low, high) = (E::inward(min).exact(), E::inward(max).exact());
    let mut block = [0.0; BLOCK];
    for start in (0..tensor.len()).step_by(BLOCK) {
        let block = &mut block[..BLOCK.min(tensor.len() - start)];
        tensor.read(start, block)?;
        counts.add(kernel::clamp_and_count(block, low, high));
    }
    Ok(counts)
}

/// The part of `xs` that starts at `start` and is `len` long.
pub(crate) fn range(start: usize, len: usize, available: usize) -> Result<core::ops::Range<usize>> {
    match start.checked_add(len) {
        Some(end) if end <= available => Ok(start..end),
        _ => Err(Error::Count {
            what: "elements",
            expected: start.saturating_add(len),
            found: available,
        }),
    }
}
