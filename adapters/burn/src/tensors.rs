//! A module's tensors under their names, each where it lies.

use std::mem;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::Tensor;
use steadygrad::{Clamped, Edit, Reading, Result, Tell, TensorMut, TensorRef, TensorSet};
use steadygrad::{TensorSetMut, Visitor, VisitorMut, Writing};

use crate::device::{self, Answer, OnDevice, Request, Transfers, clamp_of};
use crate::place::Place;

/// One tensor of a module.
#[derive(Debug)]
struct Entry {
    name: Range<usize>,
    place: Place,
    /// Moves the tensor, whose rank it knows, to where burn's operations reach it.
    remote: fn(Place, &Arc<Transfers>) -> Place,
}

/// The tensors of a module.
#[derive(Debug, Default)]
pub(crate) struct Tensors {
    /// The names of all, end to end.
    names: String,
    list: Vec<Entry>,
    transfers: Arc<Transfers>,
}

impl Tensors {
    pub(crate) fn with_capacity(count: usize) -> Self {
        Self {
            list: Vec::with_capacity(count),
            ..Self::default()
        }
    }

    pub(crate) fn push<const D: usize>(&mut self, name: &str, tensor: Option<Tensor<D>>) {
        let start = self.names.len();
        self.names.push_str(name);
        self.list.push(Entry {
            name: start..self.names.len(),
            place: Place::new(tensor, &self.transfers),
            remote: |place, transfers| match place.into_tensor::<D>() {
                Some(tensor) => Place::remote(tensor, transfers),
                None => Place::Missing,
            },
        });
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &Place)> {
        let entries = self.list.iter();
        entries.map(|entry| (&self.names[entry.name.clone()], &entry.place))
    }

    pub(crate) fn on_device(&mut self) {
        for Entry { place, remote, .. } in &mut self.list {
            *place = remote(mem::replace(place, Place::Missing), &self.transfers);
        }
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Place> {
        self.list.drain(..).map(|entry| entry.place)
    }

    pub(crate) fn transfers(&self) -> usize {
        self.transfers.count()
    }

    fn is_on_host(&self) -> bool {
        let is_remote = |entry: &Entry| matches!(entry.place, Place::Remote(_));
        !self.list.iter().any(is_remote)
    }

    /// What a clamp will do to each tensor on a device; the others tell it while they are clamped.
    fn count(&self, edits: &[Edit<'_>]) -> Result<Vec<Option<Clamped>>> {
        let clamps = self.list.iter().zip(edits).enumerate();
        let clamps = clamps.filter_map(|(index, (entry, edit))| match &entry.place {
            Place::Remote(remote) => Some((index, (&*remote.tensor, clamp_of(edit)?))),
            _ => None,
        });
        let (places, clamps): (Vec<usize>, Vec<(&dyn OnDevice, _)>) = clamps.unzip();
        let mut told = vec![None; edits.len()];
        for (index, counts) in places
            .into_iter()
            .zip(device::count(&clamps, &self.transfers)?)
        {
            told[index] = Some(counts);
        }
        Ok(told)
    }
}

impl TensorSet for Tensors {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.iter()
            .try_for_each(|(name, place)| f(name, TensorRef::Other(place)))
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        let mut requests = vec![];
        for (index, (name, place)) in self.iter().enumerate() {
            if let Place::Remote(remote) = place {
                let tensor = &*remote.tensor;
                requests.push(Request {
                    tensor,
                    after: reading.edit(index),
                    axis: reading.unit_axis(name, tensor.dims())?,
                });
            }
        }
        let look = (reading.needs().power, reading.needs().range);
        let answers = device::measure(&requests, look, &self.transfers)?;
        let mut answers = answers.iter();
        for (name, place) in self.iter() {
            match place {
                Place::Remote(remote) => {
                    if let Some(Answer { stats, units }) = answers.next() {
                        reading.push(name, Some(remote.tensor.dims()), *stats, units)?;
                    }
                }
                _ => reading.tensor(name, TensorRef::Other(place))?,
            }
        }
        Ok(())
    }
}

impl TensorSetMut for Tensors {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        let Self { names, list, .. } = self;
        list.iter_mut()
            .try_for_each(|Entry { name, place, .. }| f(&names[name.clone()], place))
    }

    /// Tensor by tensor in host memory. On a device what is to be told is told of all with one transfer.
    fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        if self.is_on_host() {
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
        for ((Entry { place, .. }, edit), told) in self.list.iter_mut().zip(&edits).zip(told) {
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
