//! Tensors in host memory that another library owns.

use alloc::format;
use core::fmt;

use ndarray::{ArrayViewD, ArrayViewMutD};

use crate::edit::Edit;
use crate::slice::{SliceMut, SliceRef, each_slice};
use crate::tell::{Clamped, Tell};
use crate::tensor::{Ask, Tensor, TensorMut, TensorRef};
use crate::{Error, Result, Stats, TensorSet, TensorSetMut, Visitor, VisitorMut};

/// Host memory that another library owns and lends: contiguous, in row-major order.
///
/// # Examples
///
/// ```
/// use std::sync::RwLock;
/// use steadygrad::device::{InHost, Lend};
/// use steadygrad::{Result, SliceMut, SliceRef, clip};
///
/// /// Memory behind a lock.
/// #[derive(Debug)]
/// struct Locked { dims: [usize; 2], values: RwLock<Vec<f32>> }
///
/// impl Lend for Locked {
///     fn dims(&self) -> &[usize] { &self.dims }
///     fn lend(&self, f: &mut dyn FnMut(SliceRef<'_>) -> Result<()>) -> Result<()> {
///         f(SliceRef::F32(&self.values.read().unwrap()))
///     }
///     fn lend_mut(&mut self, f: &mut dyn FnMut(SliceMut<'_>) -> Result<()>) -> Result<()> {
///         f(SliceMut::F32(self.values.get_mut().unwrap()))
///     }
/// }
///
/// let mut w = InHost(Locked { dims: [2, 1], values: RwLock::new(vec![3.0, 4.0]) });
/// assert_eq!(clip::global_norm(&mut [("w", &mut w)], 1.0)?.before(), 5.0);
/// assert_eq!(*w.0.values.read().unwrap(), [0.6, 0.8]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait Lend: fmt::Debug {
    /// The number of elements along each axis.
    fn dims(&self) -> &[usize];

    /// Lends all elements to `f`, once.
    ///
    /// # Errors
    ///
    /// What `f` gives, and [`Error::Storage`] where there is nothing to lend.
    fn lend(&self, f: &mut dyn FnMut(SliceRef<'_>) -> Result<()>) -> Result<()>;

    /// Lends all elements to `f`, once, to be changed.
    ///
    /// # Errors
    ///
    /// As [`Lend::lend`].
    fn lend_mut(&mut self, f: &mut dyn FnMut(SliceMut<'_>) -> Result<()>) -> Result<()>;

    /// The elements, where they can be had without being lent.
    fn as_slice_ref(&self) -> Option<SliceRef<'_>> {
        None
    }

    /// The elements to be changed, where they can be had without being lent.
    fn as_slice_mut_ref(&mut self) -> Option<SliceMut<'_>> {
        None
    }

    /// Whether somebody else holds the memory too, so that it is copied before it is changed.
    fn is_shared(&self) -> bool {
        false
    }
}

/// A tensor in lent memory, read and edited where it lies by this crate's kernels: the same bits as slices give.
#[derive(Clone, Debug)]
pub struct InHost<L>(pub L);

fn misshapen(error: &ndarray::ShapeError) -> Error {
    Error::Storage(format!("{error}"))
}

impl<L: Lend> InHost<L> {
    fn lend<R>(&self, mut f: impl FnMut(SliceRef<'_>) -> Result<R>) -> Result<R> {
        let mut returned = None;
        self.0.lend(&mut |xs| {
            returned = Some(f(xs)?);
            Ok(())
        })?;
        returned.ok_or_else(not_lent)
    }

    /// Lends the elements to be changed, with their axes if `by_unit`.
    fn lend_mut(
        &mut self,
        by_unit: bool,
        f: impl FnOnce(&mut dyn TensorMut) -> Result<()>,
    ) -> Result<()> {
        // Only units need to know more than how many elements there are.
        let dims = (by_unit && self.0.dims().len() > 1).then(|| self.0.dims().to_vec());
        let mut f = Some(f);
        self.0.lend_mut(&mut |xs| {
            let f = f.take().ok_or_else(not_lent)?;
            each_slice!(xs, SliceMut, xs => if let Some(dims) = &dims {
                let view = ArrayViewMutD::from_shape(&dims[..], xs);
                f(&mut view.map_err(|error| misshapen(&error))?)
            } else {
                let mut xs = xs;
                f(&mut xs)
            })
        })?;
        f.map_or(Ok(()), |_| Err(not_lent()))
    }
}

fn not_lent() -> Error {
    Error::Storage("expected elements, lent once".into())
}

impl<L: Lend> Tensor for InHost<L> {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        let dims = self.0.dims();
        let by_unit = dims.len() > 1 && (ask.units.is_some() || ask.after.scales_units());
        self.lend(|xs| {
            each_slice!(xs, SliceRef, xs => if by_unit {
                let view = ArrayViewD::from_shape(dims, xs);
                view.map_err(|error| misshapen(&error))?.stats(ask)
            } else {
                xs.stats(ask)
            })
        })
    }

    fn len(&self) -> usize {
        self.0.dims().iter().product()
    }

    fn dims(&self) -> Option<&[usize]> {
        Some(self.0.dims())
    }

    fn as_slice_ref(&self) -> Option<SliceRef<'_>> {
        self.0.as_slice_ref()
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        self.lend(|xs| xs.read(start, out))
    }
}

impl<L: Lend> TensorMut for InHost<L> {
    fn edit(&mut self, edit: &Edit<'_>, mut tell: Tell<'_>) -> Result<()> {
        let mut changes = !edit.is_keep();
        // What is shared is copied before a write, so look first whether there is one.
        if let (Some(counts), Some((min, max)), true) =
            (&mut tell.clamped, edit.clamp(), self.0.is_shared())
        {
            let stats = self.stats(&mut Ask::least())?;
            if stats.inf() == 0 && stats.max_abs() <= max.min(-min) {
                **counts += Clamped::of(stats.len(), 0, stats.nan(), 0);
                changes = false;
            }
        }
        if changes {
            return self.lend_mut(edit.scales_units(), |tensor| tensor.edit(edit, tell));
        }
        if let Some(after) = tell.after {
            let mut ask = Ask::least();
            (ask.magnitudes, ask.power, ask.largest) = (tell.magnitudes, tell.power, tell.largest);
            *after = self.stats(&mut ask)?;
        }
        Ok(())
    }

    fn write(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.lend_mut(false, |tensor| tensor.write(start, values))
    }

    fn as_slice_mut_ref(&mut self) -> Option<SliceMut<'_>> {
        self.0.as_slice_mut_ref()
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.lend_mut(false, |tensor| tensor.add(start, values))
    }
}

impl<L: Lend> TensorSet for InHost<L> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        f("", TensorRef::Other(self))
    }
}

impl<L: Lend> TensorSetMut for InHost<L> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        f("", self)
    }
}
