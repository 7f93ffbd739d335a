//! burn's tensors where they lie.

use burn::backend::{BackendTensor, DispatchTensor, DispatchTensorKind, Flex};
use burn::tensor::{DType, Tensor};
use steadygrad::device::{self, InHost, Remote};

use crate::engine::{Array, Operations};
use crate::host::Host;

pub(crate) type Place = device::Place<InHost<Host>, Operations>;
pub(crate) type Places = device::Places<InHost<Host>, Operations>;

/// A tensor, or the lack of it.
pub(crate) fn place<const D: usize>(tensor: Option<Tensor<D>>) -> Place {
    let Some(tensor) = tensor else {
        return Place::Missing;
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
        } => Place::Host(InHost(Host::new(tensor))),
        other => remote(Tensor::<D>::from_dispatch(other)),
    }
}

fn remote<const D: usize>(tensor: Tensor<D>) -> Place {
    Place::Remote(Remote::new(Operations, Array::new(tensor)))
}

/// Of rank `D` as it was.
pub(crate) fn into_tensor<const D: usize>(place: Place) -> Option<Tensor<D>> {
    match place {
        Place::Host(InHost(host)) => Some(Tensor::from_primitive::<Flex>(host.into_inner())),
        Place::Remote(remote) => Some(remote.into_array().into_tensor()),
        _ => None,
    }
}

/// Has burn's own operations do everything, also in host memory.
pub(crate) fn on_device<const D: usize>(place: Place) -> Place {
    into_tensor::<D>(place).map_or(Place::Missing, remote)
}
