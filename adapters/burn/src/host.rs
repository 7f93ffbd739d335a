//! Tensors of the flex back end, lent where they lie.

use burn::backend::{BackendTypes, Flex};
use burn::tensor::DType;
use steadygrad::device::Lend;
use steadygrad::{Error, Result, SliceMut, SliceRef};

type FlexTensor = <Flex as BackendTypes>::FloatTensorPrimitive;

/// A float tensor in host memory, its elements in row-major order.
#[derive(Debug)]
pub(crate) struct Host(FlexTensor);

impl Host {
    /// A tensor in another order (a transposed view, a broadcast scalar) is copied once.
    pub(crate) fn new(tensor: FlexTensor) -> Self {
        if tensor.is_contiguous() {
            Self(tensor)
        } else {
            Self(tensor.to_contiguous())
        }
    }

    pub(crate) fn into_inner(self) -> FlexTensor {
        self.0
    }

    fn slice(&self) -> Result<SliceRef<'_>> {
        let slice = match self.0.dtype() {
            DType::F32 => self.0.as_slice().map(SliceRef::F32),
            DType::F64 => self.0.as_slice().map(SliceRef::F64),
            DType::F16 => self.0.as_slice().map(SliceRef::F16),
            DType::BF16 => self.0.as_slice().map(SliceRef::BF16),
            other => return Err(unknown(other)),
        };
        slice.ok_or_else(scattered)
    }

    /// Copies first if someone else holds the same storage, so that an edit never shows elsewhere.
    fn slice_mut(&mut self) -> Result<SliceMut<'_>> {
        let (start, end) = self.0.layout().contiguous_offsets().ok_or_else(scattered)?;
        let slice = match self.0.dtype() {
            DType::F32 => self.0.storage_mut().get_mut(start..end).map(SliceMut::F32),
            DType::F64 => self.0.storage_mut().get_mut(start..end).map(SliceMut::F64),
            DType::F16 => self.0.storage_mut().get_mut(start..end).map(SliceMut::F16),
            DType::BF16 => self.0.storage_mut().get_mut(start..end).map(SliceMut::BF16),
            other => return Err(unknown(other)),
        };
        slice.ok_or_else(scattered)
    }
}

fn unknown(dtype: DType) -> Error {
    let error = format!("expected f32, f64, f16 or bf16 elements, found {dtype:?}");
    Error::Storage(error)
}

fn scattered() -> Error {
    Error::Storage("expected elements in row-major order".into())
}

impl Lend for Host {
    fn dims(&self) -> &[usize] {
        self.0.layout().shape()
    }

    fn lend(&self, f: &mut dyn FnMut(SliceRef<'_>) -> Result<()>) -> Result<()> {
        f(self.slice()?)
    }

    fn lend_mut(&mut self, f: &mut dyn FnMut(SliceMut<'_>) -> Result<()>) -> Result<()> {
        f(self.slice_mut()?)
    }

    fn as_slice_ref(&self) -> Option<SliceRef<'_>> {
        self.slice().ok()
    }

    fn as_slice_mut_ref(&mut self) -> Option<SliceMut<'_>> {
        self.slice_mut().ok()
    }

    fn is_shared(&self) -> bool {
        !self.0.is_unique()
    }
}
