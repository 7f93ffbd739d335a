//! Memory whose content means nothing.

use alloc::vec::Vec;
use core::fmt;

use ndarray::{ArrayViewMut, Dimension};

use super::Real;
use crate::{Error, Result};

/// Memory that is written before it is read. What it holds between two calls means nothing, so a copy holds nothing
/// and any two are equal.
pub(super) struct Scratch<A>(Vec<A>);

impl<A: Real> Scratch<A> {
    /// An array of this shape, with whatever stood there.
    pub(super) fn array<D: Dimension>(&mut self, shape: D) -> Result<ArrayViewMut<'_, A, D>> {
        let (slice, shape) = self.slice(shape);
        ArrayViewMut::from_shape(shape.clone(), slice).map_err(|_| too_large(&shape))
    }

    fn slice<D: Dimension>(&mut self, shape: D) -> (&mut [A], D) {
        let len = shape.size();
        if self.0.len() < len {
            self.0 = alloc::vec![A::zero(); len];
        }
        (&mut self.0[..len], shape)
    }
}

/// Whatever has a shape here is as large as something that exists, so this is never seen.
fn too_large<D: Dimension>(shape: &D) -> Error {
    Error::TooLarge {
        what: "working memory",
        found: Vec::from(shape.slice()),
    }
}

impl<A> Default for Scratch<A> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<A> Clone for Scratch<A> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<A> PartialEq for Scratch<A> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<A> fmt::Debug for Scratch<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scratch").finish_non_exhaustive()
    }
}
