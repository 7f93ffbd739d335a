//! A place in a set: a tensor, or the lack of it.

use candle_core::Tensor as Values;
use steadygrad::{Ask, Edit, Error, Result, Stats, Tell, Tensor, TensorMut};

use crate::device::Remote;
use crate::host::Host;

/// What stands in a place.
#[derive(Debug)]
pub(crate) enum Slot {
    /// Nothing: no gradient has come for the variable.
    Missing,
    /// A contiguous tensor that shares no element with another place.
    OnHost(Host),
    /// The same, to be touched by candle's own operations only.
    OnDevice(Remote),
    /// A tensor that could not be brought into that form.
    Unusable(Box<Error>),
}

impl Slot {
    pub(crate) fn new(tensor: candle_core::Result<Option<Values>>) -> Self {
        match tensor {
            Ok(None) => Self::Missing,
            Ok(Some(values)) if values.device().is_cpu() => Self::OnHost(Host(values)),
            Ok(Some(values)) => Self::OnDevice(Remote::new(values)),
            Err(error) => Self::Unusable(Box::new(crate::storage(error))),
        }
    }

    /// Lets candle's own operations do everything, also in host memory.
    pub(crate) fn on_device(self) -> Self {
        match self {
            Self::OnHost(Host(values)) => Self::OnDevice(Remote::new(values)),
            other => other,
        }
    }

    fn tensor(&self) -> Result<Option<&dyn Tensor>> {
        match self {
            Self::Missing => Ok(None),
            Self::OnHost(tensor) => Ok(Some(tensor)),
            Self::OnDevice(tensor) => Ok(Some(tensor)),
            Self::Unusable(error) => Err(Error::clone(error)),
        }
    }

    fn tensor_mut(&mut self) -> Result<Option<&mut dyn TensorMut>> {
        match self {
            Self::Missing => Ok(None),
            Self::OnHost(tensor) => Ok(Some(tensor)),
            Self::OnDevice(tensor) => Ok(Some(tensor)),
            Self::Unusable(error) => Err(Error::clone(error)),
        }
    }
}

impl Tensor for Slot {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        self.tensor()?.stats(ask)
    }

    fn len(&self) -> usize {
        self.tensor().map_or(0, |tensor| tensor.len())
    }

    fn dims(&self) -> Option<&[usize]> {
        self.tensor().ok()??.dims()
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        self.tensor()?.read(start, out)
    }
}

impl TensorMut for Slot {
    fn edit(&mut self, edit: &Edit<'_>, tell: Tell<'_>) -> Result<()> {
        self.tensor_mut()?.edit(edit, tell)
    }

    fn write(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.tensor_mut()?.write(start, values)
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.tensor_mut()?.add(start, values)
    }
}
