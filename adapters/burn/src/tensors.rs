//! A module's tensors under their names, each where it lies.

use std::collections::HashSet;
use std::mem;
use std::sync::Arc;

use burn::backend::{BackendTensor, DispatchTensor, DispatchTensorKind, Flex};
use burn::module::ParamId;
use burn::tensor::{DType, Tensor};
use steadygrad::{Ask, Edit, Edits, Error, Measurement, Result, SliceMut, SliceRef, Stats};
use steadygrad::{TensorRef, TensorSet, TensorSetMut, Visitor, VisitorMut};

use crate::device::{self, Ranked, Remote, Request, Transfers};
use crate::host::Host;

/// Where a tensor is found.
#[derive(Debug)]
pub(crate) enum Place {
    /// Nowhere: a parameter without gradient.
    Missing,
    /// In host memory, to be read and written with the core's kernels.
    Host(Host),
    /// Anywhere else, to be reached by burn's operations.
    Remote(Remote),
}

impl Place {
    fn new<const D: usize>(tensor: Option<Tensor<D>>, transfers: &Arc<Transfers>) -> Self {
        let Some(tensor) = tensor else {
            return Self::Missing;
        };
        // Gradients and values only: no edit of ours belongs to an autodiff graph.
        let tensor = match tensor.dtype() {
            DType::QFloat(_) => tensor.inner().dequantize(),
            _ => tensor.inner(),
        };
        match tensor.into_dispatch() {
            DispatchTensor {
                kind: DispatchTensorKind::Flex(BackendTensor::Float(tensor)),
                ..
            } => Self::Host(Host::new(tensor)),
            other => Self::remote(Tensor::<D>::from_dispatch(other), transfers),
        }
    }

    fn remote<const D: usize>(tensor: Tensor<D>, transfers: &Arc<Transfers>) -> Self {
        Self::Remote(Remote {
            tensor: Box::new(Ranked::new(tensor)),
            transfers: Arc::clone(transfers),
        })
    }

    /// The tensor, if there is one. Of rank `D` as it was.
    pub(crate) fn into_tensor<const D: usize>(self) -> Option<Tensor<D>> {
        match self {
            Self::Missing => None,
            Self::Host(host) => Some(Tensor::from_primitive::<Flex>(host.into_inner())),
            Self::Remote(remote) => Some(Tensor::from_dispatch(remote.tensor.into_dispatch())),
        }
    }
}

/// Does the same to a tensor wherever it is.
macro_rules! wherever {
    ($place:expr, $tensor:ident => $body:expr) => {
        match $place {
            Place::Missing => {
                let $tensor = None::<[f32; 0]>;
                $body
            }
            Place::Host($tensor) => $body,
            Place::Remote($tensor) => $body,
        }
    };
}

impl steadygrad::Tensor for Place {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        wherever!(self, tensor => tensor.stats(ask))
    }

    fn len(&self) -> usize {
        wherever!(self, tensor => steadygrad::Tensor::len(&tensor))
    }

    fn as_slice_ref(&self) -> Option<SliceRef<'_>> {
        match self {
            Self::Host(host) => host.as_slice_ref(),
            _ => None,
        }
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        wherever!(self, tensor => tensor.read(start, out))
    }
}

impl steadygrad::TensorMut for Place {
    fn edit(&mut self, edit: &Edit<'_>) -> Result<()> {
        match self {
            Self::Missing => Ok(()),
            Self::Host(host) => host.edit(edit),
            Self::Remote(remote) => remote.edit(edit),
        }
    }

    fn as_slice_mut_ref(&mut self) -> Option<SliceMut<'_>> {
        match self {
            Self::Host(host) => host.as_slice_mut_ref(),
            _ => None,
        }
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        match self {
            Self::Missing if values.is_empty() => Ok(()),
            Self::Missing => Err(Error::Count {
                what: "elements",
                expected: start.saturating_add(values.len()),
                found: 0,
            }),
            Self::Host(host) => host.add(start, values),
            Self::Remote(remote) => remote.add(start, values),
        }
    }
}

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

impl TensorSetMut for Tensors {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        self.list
            .iter_mut()
            .try_for_each(|entry| f(&entry.name, &mut entry.place))
    }
}
