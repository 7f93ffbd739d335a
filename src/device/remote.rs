//! A tensor on a device.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::edited::{carry_out, check};
use super::engine::Engine;
use super::measure::{Transfers, count, measure};
use super::sums::{Asked, Job};
use crate::edit::Edit;
use crate::needs::Look;
use crate::tell::Tell;
use crate::tensor::{Ask, Tensor, TensorMut, range};
use crate::{Error, Result, Stats};

/// A tensor on a device, measured and edited there by what its [`Engine`] can do.
///
/// # What is measured
///
/// Sums are taken along rows of at most 256 numbers, in [`Engine::arithmetic`]'s type, then along rows of their sums, in
/// [`Engine::widest`]'s, and so on, until no more than 256 are left of a tensor (or one of each unit), which the host adds
/// up: the relative error of a sum of n numbers is at most
///
/// ```text
/// 257·u + 256·⌈log₂₅₆ n⌉·v        u and v: 2⁻²⁴ for f32, 2⁻⁵³ for f64
/// ```
///
/// and that of a norm half as much; roundings go up as often as down, so in practice it is far below. What
/// is to be known travels to the host in one transfer. A second one follows for a tensor in which something is not
/// finite, to count it and to find the first, and for one whose sum of squares is 0 or near an end of the type's range,
/// to see whether its elements are; if they are not, a third one, of elements scaled by a power of two.
///
/// A largest magnitude is found only if it is [asked for](crate::Needs::of_largest); the others come as from anywhere
/// else.
///
/// # What is edited
///
/// Operations are carried out in order in [`Engine::widest`]'s type and rounded once to the elements' own; factors alone,
/// of which one product is made first, in [`Engine::arithmetic`]'s. So elements are those that the host would leave, or
/// within one and a half units in the last place of them. No edit makes a transfer.
///
/// # Examples
///
/// See the example `engine`.
#[derive(Clone, Debug)]
pub struct Remote<E: Engine> {
    engine: E,
    array: E::Array,
    dims: Vec<usize>,
    pub(super) transfers: Arc<Transfers>,
}

impl<E: Engine> Remote<E> {
    /// A tensor of the engine's.
    #[must_use]
    pub fn new(engine: E, array: E::Array) -> Self {
        let dims = engine.dims(&array);
        Self {
            engine,
            array,
            dims,
            transfers: Arc::default(),
        }
    }

    /// The array as it is now.
    #[must_use]
    pub fn array(&self) -> &E::Array {
        &self.array
    }

    /// The array as it is now, without a copy.
    #[must_use]
    pub fn into_array(self) -> E::Array {
        self.array
    }

    /// How often numbers went from the device to the host, for this tensor and those it stands with in a set.
    #[must_use]
    pub fn transfers(&self) -> usize {
        self.transfers.count()
    }

    pub(super) fn engine(&self) -> &E {
        &self.engine
    }

    pub(super) fn array_mut(&mut self) -> &mut E::Array {
        &mut self.array
    }

    pub(super) fn dims(&self) -> &[usize] {
        &self.dims
    }

    pub(super) fn job<'a>(
        &'a self,
        after: Edit<'a>,
        asked: Asked,
        axis: Option<usize>,
    ) -> Result<Job<'a, E>> {
        Job::new(&self.engine, (&self.array, &self.dims), after, asked, axis)
    }

    /// Carries out an edit that changes something.
    pub(super) fn change(&mut self, edit: &Edit<'_>) -> Result<()> {
        check(edit, &self.dims)?;
        if edit.is_keep() || self.is_empty() {
            return Ok(());
        }
        carry_out(&self.engine, &mut self.array, &self.dims, edit)
    }

    /// Elements from the `start`-th on, in the widest type.
    fn part(&self, start: usize, len: usize) -> Result<E::Array> {
        let all = Tensor::len(self);
        let range = range(start, len, all)?;
        let part = self.engine.part(&self.array, [1, all, 1], range)?;
        self.engine.cast(part, self.engine.widest(&self.array))
    }

    fn put(&mut self, start: usize, new: E::Array) -> Result<()> {
        let new = self.engine.cast(new, self.engine.kind(&self.array)?)?;
        self.engine.put(&mut self.array, start, new)
    }
}

impl<E: Engine> Tensor for Remote<E> {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        let asked = Asked {
            look: ask.look(),
            largest: ask.largest,
        };
        let axis = ask.units.as_ref().map(|(axis, _)| *axis);
        let mut jobs = [self.job(ask.after, asked, axis)?];
        let found = measure(&self.engine, &mut jobs, &self.transfers)?;
        let found = found
            .into_iter()
            .next()
            .ok_or_else(|| Error::Storage("expected sums".into()))?;
        if let Some((_, units)) = &mut ask.units {
            units.extend(found.units);
        }
        Ok(found.whole)
    }

    fn len(&self) -> usize {
        self.dims.iter().product()
    }

    fn dims(&self) -> Option<&[usize]> {
        Some(&self.dims)
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        range(start, out.len(), Tensor::len(self))?;
        if out.is_empty() {
            return Ok(());
        }
        let part = self.part(start, out.len())?;
        out.copy_from_slice(&self.transfers.take(&self.engine, vec![part], out.len())?);
        Ok(())
    }
}

impl<E: Engine> TensorMut for Remote<E> {
    fn edit(&mut self, edit: &Edit<'_>, tell: Tell<'_>) -> Result<()> {
        check(edit, &self.dims)?;
        let mut changes = true;
        if let (Some(counts), Some(clamp)) = (tell.clamped, edit.clamp()) {
            let clamps = [(&self.array, &self.dims[..], clamp)];
            for told in count(&self.engine, &clamps, &self.transfers)? {
                *counts += told;
                changes = told.is_clipped();
            }
        }
        if changes {
            self.change(edit)?;
        }
        if let Some(after) = tell.after {
            let mut ask = Ask::least();
            (ask.magnitudes, ask.power, ask.largest) = (tell.magnitudes, tell.power, tell.largest);
            *after = self.stats(&mut ask)?;
        }
        Ok(())
    }

    fn write(&mut self, start: usize, values: &[f64]) -> Result<()> {
        range(start, values.len(), Tensor::len(self))?;
        if values.is_empty() {
            return Ok(());
        }
        let new = self.engine.values(values, &self.array)?;
        self.put(start, new)
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        range(start, values.len(), Tensor::len(self))?;
        if values.is_empty() {
            return Ok(());
        }
        let new = self.engine.values(values, &self.array)?;
        let old = self.part(start, values.len())?;
        let sum = self
            .engine
            .zip(old, [1, values.len(), 1], &new, super::Zip::Plus)?;
        self.put(start, sum)
    }
}

impl Asked {
    pub(super) fn of(needs: &crate::Needs) -> Self {
        Self {
            look: Look { ..needs.look() },
            largest: needs.largest,
        }
    }
}
