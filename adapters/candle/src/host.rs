//! Tensors in host memory, lent where they lie.

use std::cell::RefCell;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Storage, Tensor};
use steadygrad::device::Lend;
use steadygrad::{Ask, Element, Error, Result, SliceMut, SliceRef, Stats, Tensor as _};

fn not_here() -> Error {
    Error::Storage("expected contiguous memory of the host, found something else".into())
}

fn unknown(found: DType) -> Error {
    Error::Storage(format!("expected F32, F64, F16 or BF16, found {found:?}"))
}

/// The elements of candle's storage, which lie in row-major order.
fn elements<'s>(storage: &'s CpuStorage, layout: &Layout) -> Result<SliceRef<'s>> {
    let (start, end) = layout.contiguous_offsets().ok_or_else(not_here)?;
    let slice = match storage {
        CpuStorage::F32(xs) => xs.get(start..end).map(SliceRef::F32),
        CpuStorage::F64(xs) => xs.get(start..end).map(SliceRef::F64),
        CpuStorage::F16(xs) => xs.get(start..end).map(SliceRef::F16),
        CpuStorage::BF16(xs) => xs.get(start..end).map(SliceRef::BF16),
        other => return Err(unknown(other.dtype())),
    };
    slice.ok_or_else(not_here)
}

fn elements_mut<'s>(storage: &'s mut CpuStorage, layout: &Layout) -> Result<SliceMut<'s>> {
    let (start, end) = layout.contiguous_offsets().ok_or_else(not_here)?;
    let slice = match storage {
        CpuStorage::F32(xs) => xs.get_mut(start..end).map(SliceMut::F32),
        CpuStorage::F64(xs) => xs.get_mut(start..end).map(SliceMut::F64),
        CpuStorage::F16(xs) => xs.get_mut(start..end).map(SliceMut::F16),
        CpuStorage::BF16(xs) => xs.get_mut(start..end).map(SliceMut::BF16),
        other => return Err(unknown(other.dtype())),
    };
    slice.ok_or_else(not_here)
}

/// A closure on the elements as an operation of candle's, and what it returned.
struct InPlace<'f>(RefCell<(&'f mut ToChange<'f>, Result<()>)>);

type ToChange<'f> = dyn FnMut(SliceMut<'_>) -> Result<()> + 'f;

impl InplaceOp1 for InPlace<'_> {
    fn name(&self) -> &'static str {
        "steadygrad"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (f, returned) = &mut *self.0.borrow_mut();
        *returned = elements_mut(storage, layout).and_then(f);
        Ok(())
    }
}

fn change(tensor: &Tensor, f: &mut ToChange<'_>) -> Result<()> {
    if tensor.elem_count() == 0 {
        // candle takes strides of 0 for repeated elements, also where there is none.
        return match tensor.dtype() {
            DType::F32 | DType::F64 | DType::F16 | DType::BF16 => f(SliceMut::F32(&mut [])),
            other => Err(unknown(other)),
        };
    }
    let op = InPlace(RefCell::new((f, Err(not_here()))));
    tensor.inplace_op1(&op).map_err(crate::storage)?;
    op.0.into_inner().1
}

/// A contiguous tensor in host memory.
#[derive(Debug)]
pub(crate) struct Host(pub(crate) Tensor);

impl Lend for Host {
    fn dims(&self) -> &[usize] {
        self.0.dims()
    }

    fn lend(&self, f: &mut dyn FnMut(SliceRef<'_>) -> Result<()>) -> Result<()> {
        let (storage, layout) = self.0.storage_and_layout();
        match &*storage {
            Storage::Cpu(storage) => f(elements(storage, layout)?),
            _ => Err(not_here()),
        }
    }

    fn lend_mut(&mut self, f: &mut dyn FnMut(SliceMut<'_>) -> Result<()>) -> Result<()> {
        change(&self.0, f)
    }
}

/// What one read says of a part of candle's storage, as of one run of elements.
pub(crate) fn stats_of(storage: &CpuStorage, layout: &Layout, ask: &mut Ask<'_>) -> Result<Stats> {
    elements(storage, layout)?.stats(ask)
}

/// Changes each element of a contiguous tensor, in place; in `f64`, rounded once.
pub(crate) fn map(tensor: &Tensor, f: impl Fn(f64) -> f64) -> Result<()> {
    fn each<E: Element>(xs: &mut [E], f: impl Fn(f64) -> f64) {
        xs.iter_mut().for_each(|x| *x = E::narrow(f(x.widen())));
    }
    change(tensor, &mut |xs| {
        match xs {
            SliceMut::F32(xs) => each(xs, &f),
            SliceMut::F64(xs) => each(xs, &f),
            SliceMut::F16(xs) => each(xs, &f),
            SliceMut::BF16(xs) => each(xs, &f),
            _ => return Err(not_here()),
        }
        Ok(())
    })
}
