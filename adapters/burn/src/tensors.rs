//! A module's tensors under their names, each where it lies.

use std::collections::HashSet;
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
    pub(crate) fn new<const D: usize>(
        tensor: Option<Tensor<D>>,
        how: &Access,
    ) -> Self {
        let Some(tensor) = tensor else {
            return Self::Missing;
        };
        // Gradients and values only: no edit of ours belongs to an autodiff graph.
        let tensor = match tensor.dtype() {
            DType::QFloat(_) => tensor.inner().dequantize(),
            _ => tensor.inner(),
        };
        let tensor = if how.remote {
            tensor
        } else {
            match tensor.into_dispatch() {
                DispatchTensor {
                    kind: DispatchTensorKind::Flex(BackendTensor::Float(tensor)),
                    ..
                } => return Self::Host(Host::new(tensor)),
                other => Tensor::from_dispatch(other),
            }
        };
        Self::Remote(Remote {
            tensor: Box::new(Ranked::new(tensor)),
            transfers: Arc::clone(&how.transfers),
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

/// How tensors are reached.
#[derive(Debug, Default)]
pub(crate) struct Access {
    /// By burn's operations even where they lie in host memory.
    pub(crate) remote: bool,
    pub(crate) transfers: Arc<Transfers>,
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

/// The tensors of a module.
#[derive(Debug, Default)]
pub(crate) struct Tensors {
    pub(crate) list: Vec<(String, Place)>,
    pub(crate) how: Access,
}

impl TensorSet for Tensors {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.list
            .iter()
            .try_for_each(|(name, place)| f(name, TensorRef::Other(place)))
    }

    fn measure(&self, after: &Edits, into: &mut Measurement) -> Result<()> {
        let needs = into.needs();
        let requests: Vec<_> = self
            .list
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
        let answers = device::measure(&requests, needs.p, needs.units, &self.how.transfers)?;
        let mut answers = answers.into_iter();
        for (index, (name, place)) in self.list.iter().enumerate() {
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
            .try_for_each(|(name, place)| f(name, place))
    }
}
