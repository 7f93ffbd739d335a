//! Tensors in host memory: read and edited where they lie, by the core's own kernels.

use std::cell::RefCell;
use std::marker::PhantomData;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Storage, Tensor as Values};
use half::{bf16, f16};
use ndarray::{ArrayViewD, ArrayViewMutD, IxDyn};
use steadygrad::{Ask, Edit, Element, Error, Result, Stats, Tell, Tensor, TensorMut};

/// An element type that candle keeps in a `Vec` of its own.
trait Stored: Element {
    fn of(storage: &CpuStorage) -> Option<&[Self]>;
    fn of_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;
}

macro_rules! stored {
    ($($t:ty: $variant:ident),*) => {$(
        impl Stored for $t {
            fn of(storage: &CpuStorage) -> Option<&[Self]> {
                if let CpuStorage::$variant(xs) = storage { Some(xs) } else { None }
            }

            fn of_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
                if let CpuStorage::$variant(xs) = storage { Some(xs) } else { None }
            }
        }
    )*};
}

stored!(f32: F32, f64: F64, f16: F16, bf16: BF16);

/// Does the same for each element type that a gradient can have.
macro_rules! each_dtype {
    ($dtype:expr, $E:ident => $body:expr) => {
        match $dtype {
            DType::F32 => {
                type $E = f32;
                $body
            }
            DType::F64 => {
                type $E = f64;
                $body
            }
            DType::F16 => {
                type $E = half::f16;
                $body
            }
            DType::BF16 => {
                type $E = half::bf16;
                $body
            }
            other => Err(Error::Storage(format!(
                "expected F32, F64, F16 or BF16, found {other:?}"
            ))),
        }
    };
}

fn not_here() -> Error {
    Error::Storage("expected contiguous memory of the host, found something else".into())
}

/// Lends the elements, which lie in row-major order.
fn with_slice<E: Stored, R>(tensor: &Values, f: impl FnOnce(&[E]) -> Result<R>) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        return Err(not_here());
    };
    let (start, end) = layout.contiguous_offsets().ok_or_else(not_here)?;
    let xs = E::of(storage).and_then(|xs| xs.get(start..end));
    f(xs.ok_or_else(not_here)?)
}

/// Lends the elements, which lie in row-major order, to be changed.
fn with_slice_mut<E: Stored, R>(
    tensor: &Values,
    f: impl FnOnce(&mut [E]) -> Result<R>,
) -> Result<R> {
    if tensor.elem_count() == 0 {
        // candle takes strides of 0 for repeated elements, also where there is none.
        return f(&mut []);
    }
    let op = InPlace::<E, _, R>(RefCell::new((Some(f), None)), PhantomData);
    tensor.inplace_op1(&op).map_err(crate::storage)?;
    op.0.into_inner().1.unwrap_or_else(|| Err(not_here()))
}

/// A closure on the elements as an operation of candle's, and what the closure returned.
struct InPlace<E, F, R>(RefCell<(Option<F>, Option<Result<R>>)>, PhantomData<E>);

impl<E: Stored, R, F: FnOnce(&mut [E]) -> Result<R>> InplaceOp1 for InPlace<E, F, R> {
    fn name(&self) -> &'static str {
        "steadygrad"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (f, returned) = &mut *self.0.borrow_mut();
        let xs = layout
            .contiguous_offsets()
            .and_then(|(start, end)| E::of_mut(storage)?.get_mut(start..end));
        *returned = Some(match (f.take(), xs) {
            (Some(f), Some(xs)) => f(xs),
            _ => Err(not_here()),
        });
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` passes")]
fn misshapen(error: ndarray::ShapeError) -> Error {
    Error::Storage(error.to_string())
}

/// A contiguous tensor in host memory.
#[derive(Debug)]
pub(crate) struct Host(pub(crate) Values);

impl Host {
    /// Lends the elements with their axes to be changed.
    fn lend_to<R>(&self, f: impl FnOnce(&mut dyn TensorMut) -> Result<R>) -> Result<R> {
        each_dtype!(self.0.dtype(), E => with_slice_mut(&self.0, |mut xs: &mut [E]| match self.0.dims() {
            [_] => f(&mut xs),
            dims => f(&mut ArrayViewMutD::from_shape(IxDyn(dims), xs).map_err(misshapen)?),
        }))
    }
}

impl Tensor for Host {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        each_dtype!(self.0.dtype(), E => with_slice(&self.0, |xs: &[E]| match self.0.dims() {
            [_] => xs.stats(ask),
            dims => ArrayViewD::from_shape(IxDyn(dims), xs).map_err(misshapen)?.stats(ask),
        }))
    }

    fn len(&self) -> usize {
        self.0.elem_count()
    }

    fn dims(&self) -> Option<&[usize]> {
        Some(self.0.dims())
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        each_dtype!(self.0.dtype(), E => with_slice(&self.0, |xs: &[E]| xs.read(start, out)))
    }
}

impl TensorMut for Host {
    fn edit(&mut self, edit: &Edit<'_>, tell: Tell<'_>) -> Result<()> {
        self.lend_to(|tensor| tensor.edit(edit, tell))
    }

    fn write(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.lend_to(|tensor| tensor.write(start, values))
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.lend_to(|tensor| tensor.add(start, values))
    }
}

/// What one read says of a part of candle's storage, as of one run of elements.
pub(crate) fn stats_of(storage: &CpuStorage, layout: &Layout, ask: &mut Ask<'_>) -> Result<Stats> {
    each_dtype!(storage.dtype(), E => {
        let (start, end) = layout.contiguous_offsets().ok_or_else(not_here)?;
        let xs = E::of(storage).and_then(|xs: &[E]| xs.get(start..end));
        xs.ok_or_else(not_here)?.stats(ask)
    })
}

/// Changes each element of a contiguous tensor, in place; in `f64`, rounded once.
pub(crate) fn map(tensor: &Values, f: impl Fn(f64) -> f64) -> Result<()> {
    each_dtype!(tensor.dtype(), E => with_slice_mut(tensor, |xs: &mut [E]| {
        for x in xs {
            *x = E::narrow(f(x.widen()));
        }
        Ok(())
    }))
}
