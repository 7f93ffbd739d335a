//! Tensors on loan.

use super::{Ask, Tensor};
use crate::slice::SliceRef;
use crate::{Result, Stats};

/// A tensor on loan from a [`TensorSet`](crate::TensorSet): a slice, or anything else that is a [`Tensor`].
///
/// # Examples
///
/// ```
/// use steadygrad::{Tensor, TensorRef, TensorSet};
///
/// let grads = vec![vec![1.0_f32, 2.0], vec![3.0]];
/// let mut all: Vec<TensorRef<'_>> = vec![];
/// grads.visit(&mut |_name, tensor| Ok(all.push(tensor)))?;
/// assert_eq!(all[1].len(), 1);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy)]
pub enum TensorRef<'a> {
    /// A slice, which has no size of its own and so cannot stand behind `dyn`.
    Slice(SliceRef<'a>),
    /// Anything else.
    Other(&'a dyn Tensor),
}

impl core::fmt::Debug for TensorRef<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TensorRef")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl<'a> TensorRef<'a> {
    /// The elements, for as long as the tensor is on loan.
    #[inline]
    pub(crate) fn lent_slice(self) -> Option<SliceRef<'a>> {
        match self {
            Self::Slice(slice) => Some(slice),
            Self::Other(tensor) => tensor.as_slice_ref(),
        }
    }

    fn inner(&self) -> &(dyn Tensor + 'a) {
        match self {
            Self::Slice(slice) => slice,
            Self::Other(tensor) => *tensor,
        }
    }
}

impl Tensor for TensorRef<'_> {
    #[inline]
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        match self {
            Self::Slice(slice) => slice.stats(ask),
            Self::Other(tensor) => tensor.stats(ask),
        }
    }

    fn len(&self) -> usize {
        self.inner().len()
    }

    fn dims(&self) -> Option<&[usize]> {
        match self {
            Self::Slice(_) => None,
            Self::Other(tensor) => tensor.dims(),
        }
    }

    fn as_slice_ref(&self) -> Option<SliceRef<'_>> {
        self.inner().as_slice_ref()
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        self.inner().read(start, out)
    }
}
