//! candle's tensors where they lie.

use candle_core::Tensor;
use steadygrad::device::{self, InHost, Remote};

use crate::engine::Operations;
use crate::host::Host;

pub(crate) type Place = device::Place<InHost<Host>, Operations>;
pub(crate) type Places = device::Places<InHost<Host>, Operations>;

/// A tensor, or the lack of it, or why it cannot be used.
pub(crate) fn place(tensor: candle_core::Result<Option<Tensor>>) -> Place {
    match tensor {
        Ok(None) => Place::Missing,
        Ok(Some(tensor)) if tensor.device().is_cpu() => Place::Host(InHost(Host(tensor))),
        Ok(Some(tensor)) => Place::Remote(Remote::new(Operations, tensor)),
        Err(error) => Place::Unusable(Box::new(crate::storage(error))),
    }
}

/// Has candle's own operations do everything, also in host memory.
pub(crate) fn on_device(place: Place) -> Place {
    match place {
        Place::Host(InHost(Host(tensor))) => Place::Remote(Remote::new(Operations, tensor)),
        other => other,
    }
}
