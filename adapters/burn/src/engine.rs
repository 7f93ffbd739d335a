//! What burn can do with its own tensors, on any back end.

use std::mem;
use std::ops::Range;

use burn::tensor::{DType, Int, Tensor, TensorData, Transaction};
use steadygrad::device::{Axes, Engine, Fold, Kind, Map, Zip};
use steadygrad::{Error, Result};

/// burn's operations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operations;

/// A tensor of any rank: its elements in row-major order, and how many there are along each axis.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    flat: Tensor<1>,
    dims: Vec<usize>,
}

impl Array {
    pub(crate) fn new<const D: usize>(tensor: Tensor<D>) -> Self {
        let dims = tensor.dims().to_vec();
        let len = dims.iter().product::<usize>();
        Self {
            flat: tensor.reshape([len]),
            dims,
        }
    }

    /// Of the rank that it had.
    pub(crate) fn into_tensor<const D: usize>(self) -> Tensor<D> {
        let dims: [usize; D] =
            std::array::from_fn(|axis| self.dims.get(axis).copied().unwrap_or(1));
        self.flat.reshape(dims)
    }

    /// Its elements in a row.
    pub(crate) fn tensor(&self) -> Tensor<1> {
        self.flat.clone()
    }

    fn of(flat: Tensor<1>) -> Self {
        Self {
            dims: flat.dims().to_vec(),
            flat,
        }
    }

    fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// The widest type that its device has.
    fn widest(&self) -> DType {
        if self.flat.device().supports_dtype(DType::F64) {
            DType::F64
        } else {
            DType::F32
        }
    }
}

fn unknown(what: &impl std::fmt::Debug) -> Error {
    Error::Storage(format!(
        "expected an operation known to steadygrad-burn, found {what:?}"
    ))
}

impl Engine for Operations {
    type Array = Array;

    fn dims(&self, x: &Array) -> Vec<usize> {
        x.dims.clone()
    }

    fn kind(&self, x: &Array) -> Result<Kind> {
        match x.flat.dtype() {
            DType::F16 => Ok(Kind::F16),
            DType::BF16 => Ok(Kind::Bf16),
            DType::F32 | DType::Flex32 => Ok(Kind::F32),
            DType::F64 => Ok(Kind::F64),
            other => Err(Error::Storage(format!(
                "expected f32, f64, f16 or bf16 elements, found {other:?}"
            ))),
        }
    }

    fn arithmetic(&self, x: &Array) -> Kind {
        // As burn itself: a wider type would take several times as long.
        match x.flat.dtype() {
            DType::F64 => Kind::F64,
            _ => Kind::F32,
        }
    }

    fn widest(&self, x: &Array) -> Kind {
        if x.widest() == DType::F64 {
            Kind::F64
        } else {
            Kind::F32
        }
    }

    fn together(&self, x: &Array, y: &Array) -> bool {
        x.flat.device() == y.flat.device()
    }

    fn take(&self, x: &mut Array) -> Array {
        let none = Tensor::empty([0], &x.flat.device());
        Array {
            flat: mem::replace(&mut x.flat, none),
            dims: x.dims.clone(),
        }
    }

    fn part(&self, x: &Array, axes: Axes, range: Range<usize>) -> Result<Array> {
        let [before, len, after] = axes;
        let flat = x.flat.clone();
        let flat = if range == (0..len) {
            flat
        } else if after == 1 && before == 1 {
            flat.slice([range])
        } else {
            let count = before * range.len() * after;
            flat.reshape(axes)
                .slice([0..before, range, 0..after])
                .reshape([count])
        };
        Ok(Array::of(flat))
    }

    fn to_front(&self, x: &Array, axes: Axes) -> Result<Array> {
        let front = x.flat.clone().reshape(axes).swap_dims(0, 1);
        Ok(Array::of(front.reshape([x.len()])))
    }

    fn cast(&self, x: Array, kind: Kind) -> Result<Array> {
        let dtype = match kind {
            Kind::F16 => DType::F16,
            Kind::Bf16 => DType::BF16,
            Kind::F32 => DType::F32,
            Kind::F64 => DType::F64,
        };
        Ok(Array {
            flat: x.flat.cast(dtype),
            ..x
        })
    }

    fn map(&self, Array { flat: x, dims }: Array, f: Map) -> Result<Array> {
        let dtype = x.dtype();
        let flat = match f {
            Map::Abs => x.abs(),
            Map::Square => x.square(),
            Map::Sqrt => x.sqrt(),
            Map::Power(p) => x.powf_scalar(p),
            Map::Times(y) => x.mul_scalar(y),
            Map::Under(y) => x.recip().mul_scalar(y),
            // By comparison: NaN compares with nothing and stays.
            Map::AtMost(y) => {
                let above = x.clone().greater_scalar(y);
                x.mask_fill(above, y)
            }
            Map::Clamp { min, max } => {
                let below = x.clone().lower_scalar(min);
                let x = x.mask_fill(below, min);
                let above = x.clone().greater_scalar(max);
                x.mask_fill(above, max)
            }
            Map::Zero => x.zeros_like(),
            Map::FiniteOr(y) => {
                let finite = x.clone().is_finite();
                x.mask_fill(finite.bool_not(), y)
            }
            Map::IsNan => x.is_nan().float().cast(dtype),
            Map::IsFinite => x.is_finite().float().cast(dtype),
            Map::Above(y) => x.greater_scalar(y).float().cast(dtype),
            Map::Below(y) => x.lower_scalar(y).float().cast(dtype),
            other => return Err(unknown(&other)),
        };
        Ok(Array { flat, dims })
    }

    fn zip(&self, x: Array, axes: Axes, by: &Array, f: Zip) -> Result<Array> {
        let len = x.len();
        let (x, by) = (
            x.flat.reshape(axes),
            by.flat.clone().reshape([1, axes[1], 1]),
        );
        let flat = match f {
            Zip::Plus => x + by,
            Zip::Times => x * by,
            Zip::Over => x / by,
            other => return Err(unknown(&other)),
        };
        Ok(Array::of(flat.reshape([len])))
    }

    fn fold(&self, x: Array, rows: usize, f: Fold) -> Result<Array> {
        let len = x.len() / rows;
        let x = x.flat.reshape([rows, len]);
        let flat = match f {
            Fold::Sum => x.sum_dim(1),
            Fold::Max => x.max_dim(1),
            Fold::Min => x.min_dim(1),
            other => return Err(unknown(&other)),
        };
        Ok(Array::of(flat.reshape([rows])))
    }

    fn values(&self, values: &[f64], like: &Array) -> Result<Array> {
        let options = (&like.flat.device(), like.widest());
        let data = TensorData::new(values.to_vec(), [values.len()]);
        Ok(Array::of(Tensor::from_data(data, options)))
    }

    fn count(&self, len: usize, like: &Array) -> Result<Array> {
        let count = Tensor::<1, Int>::arange(0..len as i64, &like.flat.device());
        Ok(Array::of(count.float().cast(like.widest())))
    }

    fn put(&self, x: &mut Array, start: usize, values: Array) -> Result<()> {
        x.flat = if values.len() == x.len() {
            values.flat
        } else {
            let range = start..start + values.len();
            x.flat.clone().slice_assign([range], values.flat)
        };
        Ok(())
    }

    fn to_host(&self, all: Vec<Array>) -> Result<Vec<f64>> {
        let numbers = all.into_iter().map(|x| x.flat);
        let transaction = numbers.fold(Transaction::default(), Transaction::register);
        let data = transaction
            .try_execute()
            .map_err(|error| Error::Storage(format!("{error:?}")))?;
        let mut numbers = Vec::with_capacity(data.iter().map(TensorData::num_elements).sum());
        for data in &data {
            match data.as_slice::<f32>() {
                Ok(narrow) => numbers.extend(narrow.iter().map(|&x| f64::from(x))),
                Err(_) => numbers.extend(data.iter::<f64>()),
            }
        }
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use steadygrad::device::conformance;

    use super::*;

    #[test]
    fn burn_conforms() {
        let kinds = [Kind::F32, Kind::F64, Kind::F16, Kind::Bf16];
        let make = |values: &[f64], dims: &[usize], kind| {
            let data = TensorData::new(values.to_vec(), [values.len()]);
            let flat = Tensor::from_data(data, (&Device::flex(), DType::F64));
            let array = Operations.cast(Array::of(flat), kind)?;
            Ok(Array {
                dims: dims.to_vec(),
                ..array
            })
        };
        assert_eq!(conformance(&Operations, &kinds, make), Ok(()));
    }
}
