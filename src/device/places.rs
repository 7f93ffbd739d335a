//! Tensors under their names, each where it lies.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;
use core::ops::Range;

use super::engine::Engine;
use super::measure::{Clamping, Transfers, count, measure};
use super::remote::Remote;
use super::sums::Asked;
use crate::edit::Edit;
use crate::slice::{SliceMut, SliceRef};
use crate::tell::{Clamped, Tell};
use crate::tensor::{Ask, Tensor, TensorMut, TensorRef};
use crate::{Error, Reading, Result, Stats, TensorSet, TensorSetMut, Visitor, VisitorMut, Writing};

/// Where a tensor is found: `H` is a tensor in host memory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Place<H, E: Engine> {
    /// Nowhere, as the gradient of a parameter that had no part in the loss: it counts as one without elements.
    Missing,
    /// In host memory, measured and edited by this crate's kernels.
    Host(H),
    /// On a device.
    Remote(Remote<E>),
    /// Somewhere, but not to be used; whoever looks at it is given the error.
    Unusable(Box<Error>),
}

impl<H: Tensor, E: Engine> Place<H, E> {
    fn tensor(&self) -> Result<Option<&dyn Tensor>> {
        match self {
            Self::Missing => Ok(None),
            Self::Host(tensor) => Ok(Some(tensor)),
            Self::Remote(tensor) => Ok(Some(tensor)),
            Self::Unusable(error) => Err(Error::clone(error)),
        }
    }
}

impl<H: TensorMut, E: Engine> Place<H, E> {
    fn tensor_mut(&mut self) -> Result<Option<&mut dyn TensorMut>> {
        match self {
            Self::Missing => Ok(None),
            Self::Host(tensor) => Ok(Some(tensor)),
            Self::Remote(tensor) => Ok(Some(tensor)),
            Self::Unusable(error) => Err(Error::clone(error)),
        }
    }
}

impl<H: Tensor, E: Engine> Tensor for Place<H, E> {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        self.tensor()?.stats(ask)
    }

    fn len(&self) -> usize {
        self.tensor().map_or(0, |tensor| tensor.len())
    }

    fn dims(&self) -> Option<&[usize]> {
        self.tensor().ok()??.dims()
    }

    fn as_slice_ref(&self) -> Option<SliceRef<'_>> {
        self.tensor().ok()??.as_slice_ref()
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        self.tensor()?.read(start, out)
    }
}

impl<H: TensorMut, E: Engine> TensorMut for Place<H, E> {
    fn edit(&mut self, edit: &Edit<'_>, tell: Tell<'_>) -> Result<()> {
        self.tensor_mut()?.edit(edit, tell)
    }

    fn write(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.tensor_mut()?.write(start, values)
    }

    fn as_slice_mut_ref(&mut self) -> Option<SliceMut<'_>> {
        match self {
            Self::Host(tensor) => tensor.as_slice_mut_ref(),
            _ => None,
        }
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.tensor_mut()?.add(start, values)
    }
}

/// Tensors under their names, each where it lies, as one set: what an adapter hands to a guard.
///
/// A measurement of all of them makes one transfer for each device (and more only for the tensors of which
/// [`Remote`] says so), an edit none, a clip by value alone one, of counts.
///
/// # Examples
///
/// See the example `engine`.
#[derive(Clone, Debug)]
pub struct Places<H, E: Engine> {
    /// The names of all, end to end.
    names: String,
    list: Vec<(Range<usize>, Place<H, E>)>,
    transfers: Arc<Transfers>,
    /// Gradients that were found and belong to no tensor of the set.
    unmatched: usize,
}

impl<H, E: Engine> Default for Places<H, E> {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl<H, E: Engine> Places<H, E> {
    /// With room for `count` tensors.
    #[must_use]
    pub fn with_capacity(count: usize) -> Self {
        Self {
            names: String::new(),
            list: Vec::with_capacity(count),
            transfers: Arc::default(),
            unmatched: 0,
        }
    }

    /// The next tensor.
    pub fn push(&mut self, name: &str, place: Place<H, E>) {
        let start = self.names.len();
        self.names.push_str(name);
        let place = self.counted(place);
        self.list.push((start..self.names.len(), place));
    }

    /// Says that so many gradients were found which belong to no tensor of the set, as [`Reading::unmatched`] does.
    pub fn unmatched(&mut self, gradients: usize) {
        self.unmatched = gradients;
    }

    /// Refuses gradients of which none belongs to a tensor of the set.
    pub(super) fn matched(&self) -> Result<()> {
        let is_missing = |(_, place): &(_, Place<H, E>)| matches!(place, Place::Missing);
        if self.unmatched > 0 && self.list.iter().all(is_missing) {
            return Err(Error::Unmatched {
                found: self.unmatched,
            });
        }
        Ok(())
    }

    /// Has the transfers of a tensor counted with those of the set.
    fn counted(&self, place: Place<H, E>) -> Place<H, E> {
        match place {
            Place::Remote(mut remote) => {
                remote.transfers = Arc::clone(&self.transfers);
                Place::Remote(remote)
            }
            other => other,
        }
    }

    /// Puts each tensor somewhere else.
    #[must_use]
    pub fn map(mut self, mut f: impl FnMut(Place<H, E>) -> Place<H, E>) -> Self {
        let mut list = mem::take(&mut self.list);
        for (_, place) in &mut list {
            let moved = f(mem::replace(place, Place::Missing));
            *place = self.counted(moved);
        }
        Self { list, ..self }
    }

    /// The tensors in order, which leave the set.
    pub fn drain(&mut self) -> impl Iterator<Item = Place<H, E>> {
        self.names.clear();
        self.list.drain(..).map(|(_, place)| place)
    }

    /// The tensors in order, under their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Place<H, E>)> {
        self.list
            .iter()
            .map(|(name, place)| (&self.names[name.clone()], place))
    }

    pub(super) fn places_mut(&mut self) -> impl Iterator<Item = &mut Place<H, E>> {
        self.list.iter_mut().map(|(_, place)| place)
    }

    /// How often numbers went from a device to the host.
    #[must_use]
    pub fn transfers(&self) -> usize {
        self.transfers.count()
    }

    /// The tensors on devices, with their places in the list.
    fn remote(&self) -> impl Iterator<Item = (usize, &str, &Remote<E>)> {
        self.iter()
            .enumerate()
            .filter_map(|(index, (name, place))| match place {
                Place::Remote(remote) => Some((index, name, remote)),
                _ => None,
            })
    }

    /// What a clamp will do to each tensor on a device; the others tell it while they are clamped.
    fn count(&self, edits: &[Edit<'_>]) -> Result<Vec<Option<Clamped>>> {
        let mut told = vec![None; edits.len()];
        let clamps = self
            .remote()
            .filter_map(|(index, _, remote)| Some((index, remote, edits[index].clamp()?)));
        let (places, clamps): (Vec<usize>, Vec<Clamping<'_, E>>) = clamps
            .map(|(index, remote, clamp)| (index, (remote.array(), remote.dims(), clamp)))
            .unzip();
        if let Some((_, _, remote)) = self.remote().next() {
            for (index, counts) in
                places
                    .into_iter()
                    .zip(count(remote.engine(), &clamps, &self.transfers)?)
            {
                told[index] = Some(counts);
            }
        }
        Ok(told)
    }
}

impl<H: Tensor, E: Engine> TensorSet for Places<H, E> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.iter()
            .try_for_each(|(name, place)| f(name, TensorRef::Other(place)))
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        reading.unmatched(self.unmatched);
        let asked = Asked::of(reading.needs());
        let mut jobs = vec![];
        for (index, name, remote) in self.remote() {
            let axis = reading.unit_axis(name, remote.dims())?;
            jobs.push(remote.job(reading.edit(index), asked, axis)?);
        }
        let found = match self.remote().next() {
            Some((_, _, remote)) => measure(remote.engine(), &mut jobs, &self.transfers)?,
            None => vec![],
        };
        let mut found = found.into_iter();
        for (name, place) in self.iter() {
            match (
                place,
                matches!(place, Place::Remote(_))
                    .then(|| found.next())
                    .flatten(),
            ) {
                (Place::Remote(remote), Some(found)) => {
                    reading.push(name, Some(remote.dims()), found.whole, &found.units)?;
                }
                _ => reading.tensor(name, TensorRef::Other(place))?,
            }
        }
        Ok(())
    }
}

impl<H: TensorMut, E: Engine> TensorSetMut for Places<H, E> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        let Self { names, list, .. } = self;
        list.iter_mut()
            .try_for_each(|(name, place)| f(&names[name.clone()], place))
    }

    /// Tensor by tensor in host memory. On a device what is to be told is told of all with one transfer.
    fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        if !writing.is_planned() {
            self.matched()?;
        }
        if self.remote().next().is_none() {
            return self.visit_mut(&mut |name, place| writing.tensor(name, place));
        }
        let names = self.iter().map(|(name, _)| name);
        let edits: Vec<Edit<'_>> = names
            .map(|name| writing.next(name))
            .collect::<Result<_>>()?;
        let told = match writing.clamped() {
            Some(_) => self.count(&edits)?,
            None => vec![None; edits.len()],
        };
        for (((_, place), edit), told) in self.list.iter_mut().zip(&edits).zip(told) {
            match (writing.clamped(), told) {
                (Some(counts), Some(told)) => {
                    *counts += told;
                    if told.is_clipped() {
                        place.edit(edit, Tell::nothing())?;
                    }
                }
                (Some(counts), None) => place.edit(edit, Tell::clamped(counts))?,
                (None, _) if edit.is_keep() => (),
                (None, _) => place.edit(edit, Tell::nothing())?,
            }
        }
        writing.left(|reading| self.measure(reading))
    }
}
