//! What candle can do with its own tensors, on any device.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use steadygrad::device::{Axes, Engine, Fold, Kind, Map, Zip};
use steadygrad::{Error, Result};

type Candle<T> = candle_core::Result<T>;

/// candle's operations. An edit is written into the tensor's own storage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operations;

fn dtype(kind: Kind) -> DType {
    match kind {
        Kind::F16 => DType::F16,
        Kind::Bf16 => DType::BF16,
        Kind::F32 => DType::F32,
        Kind::F64 => DType::F64,
    }
}

/// A number wherever `x` has one.
fn full(y: f64, x: &Tensor) -> Candle<Tensor> {
    let y = Tensor::new(y, &Device::Cpu)?.to_dtype(x.dtype())?;
    y.to_device(x.device())?.broadcast_as(x.shape())
}

fn is_finite(x: &Tensor) -> Candle<Tensor> {
    let largest = if x.dtype() == DType::F64 {
        f64::MAX
    } else {
        f64::from(f32::MAX)
    };
    x.abs()?.le(largest)
}

fn map(x: &Tensor, f: Map) -> Candle<Tensor> {
    let flag = |mask: Candle<Tensor>| mask?.to_dtype(x.dtype());
    // By comparison, so that NaN stays NaN on every device.
    let at_most = |x: &Tensor, y| x.gt(&full(y, x)?)?.where_cond(&full(y, x)?, x);
    let at_least = |x: &Tensor, y| x.lt(&full(y, x)?)?.where_cond(&full(y, x)?, x);
    match f {
        Map::Abs => x.abs(),
        Map::Square => x.sqr(),
        Map::Sqrt => x.sqrt(),
        Map::Power(p) => x.powf(p),
        // What is added leaves zeros of both signs as they are.
        Map::Times(y) => x.affine(y, -0.0),
        Map::Under(y) => x.recip()?.affine(y, -0.0),
        Map::AtMost(y) => at_most(x, y),
        Map::Clamp { min, max } => at_most(&at_least(x, min)?, max),
        Map::Zero => x.zeros_like(),
        Map::FiniteOr(y) => is_finite(x)?.where_cond(x, &full(y, x)?),
        Map::IsNan => flag(x.ne(x)),
        Map::IsFinite => flag(is_finite(x)),
        Map::Above(y) => flag(x.gt(&full(y, x)?)),
        Map::Below(y) => flag(x.lt(&full(y, x)?)),
        other => {
            candle_core::bail!("expected an operation known to steadygrad-candle, found {other:?}")
        }
    }
}

fn zip(x: &Tensor, axes: Axes, by: &Tensor, f: Zip) -> Candle<Tensor> {
    let x = x.reshape(&axes)?;
    let by = by.reshape((1, axes[1], 1))?;
    let all = match f {
        Zip::Plus => x.broadcast_add(&by),
        Zip::Times => x.broadcast_mul(&by),
        Zip::Over => x.broadcast_div(&by),
        other => {
            candle_core::bail!("expected an operation known to steadygrad-candle, found {other:?}")
        }
    };
    all?.flatten_all()
}

fn fold(x: &Tensor, rows: usize, f: Fold) -> Candle<Tensor> {
    let x = x.reshape((rows, x.elem_count() / rows))?;
    match f {
        Fold::Sum => x.sum(1),
        Fold::Max => x.max(1),
        Fold::Min => x.min(1),
        other => {
            candle_core::bail!("expected an operation known to steadygrad-candle, found {other:?}")
        }
    }
}

/// The widest type that the device of a tensor has.
fn widest(x: &Tensor) -> Kind {
    if x.device().is_metal() {
        Kind::F32
    } else {
        Kind::F64
    }
}

/// Numbers of the host beside a tensor.
fn beside(x: &Tensor, numbers: Candle<Tensor>) -> Candle<Tensor> {
    numbers?.to_dtype(dtype(widest(x)))?.to_device(x.device())
}

fn to_host(all: Vec<Tensor>) -> Candle<Vec<f64>> {
    // Of tensors of several types the sums are, too.
    let wide = all.iter().any(|x| x.dtype() == DType::F64);
    let dtype = if wide { DType::F64 } else { DType::F32 };
    let all = all
        .into_iter()
        .map(|x| x.to_dtype(dtype))
        .collect::<Candle<Vec<_>>>()?;
    let all = Tensor::cat(&all, 0)?;
    if wide {
        all.to_vec1()
    } else {
        Ok(all.to_vec1::<f32>()?.into_iter().map(f64::from).collect())
    }
}

impl Engine for Operations {
    type Array = Tensor;

    fn dims(&self, x: &Tensor) -> Vec<usize> {
        x.dims().to_vec()
    }

    fn kind(&self, x: &Tensor) -> Result<Kind> {
        match x.dtype() {
            DType::F16 => Ok(Kind::F16),
            DType::BF16 => Ok(Kind::Bf16),
            DType::F32 => Ok(Kind::F32),
            DType::F64 => Ok(Kind::F64),
            other => Err(Error::Storage(format!(
                "expected F32, F64, F16 or BF16, found {other:?}"
            ))),
        }
    }

    fn arithmetic(&self, x: &Tensor) -> Kind {
        // As candle itself: a wider type would take several times as long.
        match x.dtype() {
            DType::F64 => Kind::F64,
            _ => Kind::F32,
        }
    }

    fn widest(&self, x: &Tensor) -> Kind {
        widest(x)
    }

    fn together(&self, x: &Tensor, y: &Tensor) -> bool {
        x.device().location() == y.device().location()
    }

    fn part(&self, x: &Tensor, axes: Axes, range: Range<usize>) -> Result<Tensor> {
        let part = x
            .reshape(&axes)
            .and_then(|x| x.narrow(1, range.start, range.len())?.flatten_all());
        part.map_err(crate::storage)
    }

    fn to_front(&self, x: &Tensor, axes: Axes) -> Result<Tensor> {
        let front = x
            .reshape(&axes)
            .and_then(|x| x.transpose(0, 1)?.flatten_all());
        front.map_err(crate::storage)
    }

    fn cast(&self, x: Tensor, kind: Kind) -> Result<Tensor> {
        x.to_dtype(dtype(kind)).map_err(crate::storage)
    }

    fn map(&self, x: Tensor, f: Map) -> Result<Tensor> {
        map(&x, f).map_err(crate::storage)
    }

    fn zip(&self, x: Tensor, axes: Axes, by: &Tensor, f: Zip) -> Result<Tensor> {
        zip(&x, axes, by, f).map_err(crate::storage)
    }

    fn fold(&self, x: Tensor, rows: usize, f: Fold) -> Result<Tensor> {
        fold(&x, rows, f).map_err(crate::storage)
    }

    fn values(&self, values: &[f64], like: &Tensor) -> Result<Tensor> {
        beside(like, Tensor::from_slice(values, values.len(), &Device::Cpu)).map_err(crate::storage)
    }

    fn count(&self, len: usize, like: &Tensor) -> Result<Tensor> {
        let count = u32::try_from(len).map_err(candle_core::Error::wrap);
        beside(
            like,
            count.and_then(|len| Tensor::arange(0, len, like.device())),
        )
        .map_err(crate::storage)
    }

    fn put(&self, x: &mut Tensor, start: usize, values: Tensor) -> Result<()> {
        let put = x
            .flatten_all()
            .and_then(|flat| flat.slice_set(&values, 0, start));
        put.map_err(crate::storage)
    }

    fn to_host(&self, all: Vec<Tensor>) -> Result<Vec<f64>> {
        to_host(all).map_err(crate::storage)
    }
}

#[cfg(test)]
mod tests {
    use steadygrad::device::conformance;

    use super::*;

    #[test]
    fn candle_conforms() {
        let kinds = [Kind::F32, Kind::F64, Kind::F16, Kind::Bf16];
        let make = |values: &[f64], dims: &[usize], kind| {
            let tensor = Tensor::from_slice(values, dims, &Device::Cpu)
                .and_then(|x| x.to_dtype(dtype(kind)));
            tensor.map_err(crate::storage)
        };
        assert_eq!(conformance(&Operations, &kinds, make), Ok(()));
    }
}
