//! Where a tensor is found, and the way to its elements.

use std::sync::Arc;

use burn::backend::{BackendTensor, DispatchTensor, DispatchTensorKind, Flex};
use burn::tensor::{DType, Tensor};
use steadygrad::{Ask, Edit, Result, SliceMut, SliceRef, Stats, Tell, TensorMut};

use crate::device::{Ranked, Remote, Transfers};
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
        transfers: &Arc<Transfers>,
    ) -> Self {
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

    pub(crate) fn remote<const D: usize>(tensor: Tensor<D>, transfers: &Arc<Transfers>) -> Self {
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

    fn tensor(&self) -> Option<&dyn steadygrad::Tensor> {
        match self {
            Self::Missing => None,
            Self::Host(host) => Some(host),
            Self::Remote(remote) => Some(remote),
        }
    }

    fn tensor_mut(&mut self) -> Option<&mut dyn TensorMut> {
        match self {
            Self::Missing => None,
            Self::Host(host) => Some(host),
            Self::Remote(remote) => Some(remote),
        }
    }
}

impl steadygrad::Tensor for Place {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        self.tensor().stats(ask)
    }

    fn len(&self) -> usize {
        self.tensor().len()
    }

    fn dims(&self) -> Option<&[usize]> {
        self.tensor()?.dims()
    }

    fn as_slice_ref(&self) -> Option<SliceRef<'_>> {
        self.tensor()?.as_slice_ref()
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        self.tensor().read(start, out)
    }
}

impl TensorMut for Place {
    fn edit(&mut self, edit: &Edit<'_>, tell: Tell<'_>) -> Result<()> {
        self.tensor_mut().edit(edit, tell)
    }

    fn write(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.tensor_mut().write(start, values)
    }

    fn as_slice_mut_ref(&mut self) -> Option<SliceMut<'_>> {
        match self {
            Self::Host(host) => host.as_slice_mut_ref(),
            _ => None,
        }
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.tensor_mut().add(start, values)
    }
}
