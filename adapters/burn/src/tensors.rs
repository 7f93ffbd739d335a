//! A module's tensors under their names, each where it lies.

use std::collections::HashSet;
use std::mem;
use std::sync::Arc;

use burn::module::ParamId;
use burn::tensor::Tensor;
use steadygrad::{Edits, Measurement, Result, TensorRef, TensorSet, TensorSetMut};
use steadygrad::{Visitor, VisitorMut};

use crate::device::{self, Request, Transfers};
use crate::place::Place;

/// Tells the names of a module's parameters while they are visited, and which come again.
#[derive(Debug, Default)]
pub(crate) struct Path {
    parts: Vec<String>,
    seen: HashSet<ParamId>,
}

impl Path {
    pub(crate) fn enter(&mut self, name: &str) {
        self.parts.push(name.to_owned());
    }

    pub(crate) fn exit(&mut self) {
        self.parts.pop();
    }

    /// The name of the parameter that is being visited; `None` if it was visited before.
    pub(crate) fn name(&mut self, id: ParamId) -> Option<String> {
        self.seen.insert(id).then(|| self.parts.join("."))
    }
}

/// One tensor of a module.
#[derive(Debug)]
struct Entry {
    name: String,
    place: Place,
    /// Moves the tensor, whose rank it knows, to where burn's operations reach it.
    remote: fn(Place, &Arc<Transfers>) -> Place,
}

/// The tensors of a module.
#[derive(Debug, Default)]
pub(crate) struct Tensors {
    list: Vec<Entry>,
    transfers: Arc<Transfers>,
}

impl Tensors {
    pub(crate) fn push<const D: usize>(&mut self, name: String, tensor: Option<Tensor<D>>) {
        self.list.push(Entry {
            name,
            place: Place::new(tensor, &self.transfers),
            remote: |place, transfers| match place.into_tensor::<D>() {
                Some(tensor) => Place::remote(tensor, transfers),
                None => Place::Missing,
            },
        });
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
        self.list
            .iter()
            .try_for_each(|entry| f(&entry.name, TensorRef::Other(&entry.place)))
    }

    fn measure(&self, after: &Edits, into: &mut Measurement) -> Result<()> {
        let needs = into.needs();
        let requests: Vec<_> = self
            .list
            .iter()
            .enumerate()
            .filter_map(|(index, entry)| match &entry.place {
                Place::Remote(remote) => Some(Request {
                    tensor: &*remote.tensor,
                    after: after.get(index),
                }),
                _ => None,
            })
            .collect();
        let answers = device::measure(&requests, needs.power(), needs.units, &self.transfers)?;
        let mut answers = answers.into_iter();
        for (index, Entry { name, place, .. }) in self.list.iter().enumerate() {
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
        self.list
            .iter_mut()
            .try_for_each(|entry| f(&entry.name, &mut entry.place))
    }
}
