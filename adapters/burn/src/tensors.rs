//! A module's tensors under their names, each where it lies.

use std::mem;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::Tensor;
use steadygrad::{Edits, Measurement, Result, TensorRef, TensorSet, TensorSetMut};
use steadygrad::{Visitor, VisitorMut};

use crate::device::{self, Request, Transfers};
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

    pub(crate) fn is_on_host(&self) -> bool {
        let is_remote = |entry: &Entry| matches!(entry.place, Place::Remote(_));
        !self.list.iter().any(is_remote)
    }
}

impl TensorSet for Tensors {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.iter()
            .try_for_each(|(name, place)| f(name, TensorRef::Other(place)))
    }

    fn measure(&self, after: &Edits, into: &mut Measurement) -> Result<()> {
        let needs = into.needs();
        let requests: Vec<_> = self
            .iter()
            .enumerate()
            .filter_map(|(index, (_, place))| match place {
                Place::Remote(remote) => Some(Request {
                    tensor: &*remote.tensor,
                    after: after.get(index),
                }),
                _ => None,
            })
            .collect();
        let look = (needs.power(), needs.range);
        let answers = device::measure(&requests, look, needs.units, &self.transfers)?;
        let mut answers = answers.into_iter();
        for (index, (name, place)) in self.iter().enumerate() {
            match place {
                Place::Remote(_) => {
                    if let Some(answer) = answers.next() {
                        into.push_with_units(name, answer.stats, &answer.units);
                    }
                }
                _ => into.measure(name, place, after.get(index))?,
            }
        }
        Ok(())
    }
}

/// Tensor by tensor, which is well as long as all are in host memory.
impl TensorSetMut for Tensors {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        let Self { names, list, .. } = self;
        list.iter_mut()
            .try_for_each(|Entry { name, place, .. }| f(&names[name.clone()], place))
    }
}
