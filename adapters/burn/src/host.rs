//! Tensors of the flex back end, read and edited where they lie.

use burn::backend::{BackendTypes, Flex};
use burn::tensor::{DType, bf16, f16};
use ndarray::{ArrayViewD, ArrayViewMutD};
use steadygrad::{
    Ask, Clamped, Edit, Error, Op, Result, SliceMut, SliceRef, Stats, Tell, Tensor, TensorMut,
};

pub(crate) type FlexTensor = <Flex as BackendTypes>::FloatTensorPrimitive;

/// A float tensor in host memory, its elements in row-major order.
#[derive(Debug)]
pub(crate) struct Host(FlexTensor);

/// Does the same for each element type that flex has.
macro_rules! each_type {
    ($host:expr, $e:ident => $body:expr) => {
        match $host.0.dtype() {
            DType::F32 => {
                type $e = f32;
                $body
            }
            DType::F64 => {
                type $e = f64;
                $body
            }
            DType::F16 => {
                type $e = f16;
                $body
            }
            DType::BF16 => {
                type $e = bf16;
                $body
            }
            other => Err(Error::Storage(format!(
                "expected f32, f64, f16 or bf16 elements, found {other:?}"
            ))),
        }
    };
}

/// The elements, or what to do when they do not lie as they were put.
macro_rules! elements {
    ($host:expr, $e:ty) => {
        $host.0.as_slice::<$e>().ok_or_else(scattered)
    };
}

macro_rules! elements_mut {
    ($host:expr, $e:ty) => {{
        let place = $host.0.layout().contiguous_offsets();
        // Copies first if someone else holds the same storage, so that an edit never shows elsewhere.
        place
            .and_then(|(start, end)| $host.0.storage_mut::<$e>().get_mut(start..end))
            .ok_or_else(scattered)
    }};
}

fn scattered() -> Error {
    Error::Storage("expected elements in row-major order".into())
}

fn shape_error(error: &ndarray::ShapeError) -> Error {
    Error::Storage(error.to_string())
}

fn scales_units(edit: &Edit<'_>) -> bool {
    edit.ops().any(|op| matches!(op, Op::ScaleUnits { .. }))
}

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

    fn shape(&self) -> &[usize] {
        self.0.layout().shape()
    }

    /// Only units need to know more than how many elements there are.
    fn has_units(&self) -> bool {
        self.shape().len() > 1
    }

    /// Lends the elements to be changed, with their axes if the edit looks at them.
    fn lend_to<R>(
        &mut self,
        edit: &Edit<'_>,
        f: impl FnOnce(&mut dyn TensorMut) -> Result<R>,
    ) -> Result<R> {
        let shape = (self.has_units() && scales_units(edit)).then(|| self.shape().to_vec());
        each_type!(self, E => {
            let mut xs = elements_mut!(self, E)?;
            match shape {
                Some(shape) => {
                    let view = ArrayViewMutD::from_shape(shape, xs);
                    f(&mut view.map_err(|error| shape_error(&error))?)
                }
                None => f(&mut xs),
            }
        })
    }
}

impl Tensor for Host {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        each_type!(self, E => {
            let xs = elements!(self, E)?;
            if self.has_units() && (ask.units.is_some() || scales_units(&ask.after)) {
                let view = ArrayViewD::from_shape(self.shape(), xs);
                view.map_err(|error| shape_error(&error))?.stats(ask)
            } else {
                xs.stats(ask)
            }
        })
    }

    fn len(&self) -> usize {
        self.0.layout().num_elements()
    }

    fn dims(&self) -> Option<&[usize]> {
        Some(self.shape())
    }

    fn as_slice_ref(&self) -> Option<SliceRef<'_>> {
        each_type!(self, E => elements!(self, E).map(Tensor::as_slice_ref)).ok()?
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        each_type!(self, E => elements!(self, E)?.read(start, out))
    }
}

impl TensorMut for Host {
    fn edit(&mut self, edit: &Edit<'_>, mut tell: Tell<'_>) -> Result<()> {
        let mut changes = !edit.is_keep();
        // Storage that someone else holds too is copied before a write, so look first whether there is one.
        if let (Some(counts), Some((min, max)), false) =
            (&mut tell.clamped, edit.clamp(), self.0.is_unique())
        {
            let stats = self.stats(&mut Ask::least())?;
            if stats.inf() == 0 && stats.max_abs() <= max.min(-min) {
                **counts += Clamped::of(stats.len(), 0, stats.nan(), 0);
                changes = false;
            }
        }
        if changes {
            return self.lend_to(edit, |tensor| tensor.edit(edit, tell));
        }
        if let Some(after) = tell.after {
            let mut ask = Ask::least();
            (ask.magnitudes, ask.power) = (tell.magnitudes, tell.power);
            *after = self.stats(&mut ask)?;
        }
        Ok(())
    }

    fn write(&mut self, start: usize, values: &[f64]) -> Result<()> {
        each_type!(self, E => elements_mut!(self, E)?.write(start, values))
    }

    fn as_slice_mut_ref(&mut self) -> Option<SliceMut<'_>> {
        each_type!(self, E => elements_mut!(self, E).map(TensorMut::as_slice_mut_ref)).ok()?
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        each_type!(self, E => elements_mut!(self, E)?.add(start, values))
    }
}
