//! What a loss tells a guard.

use candle_core::{DType, Device, Result, Tensor};
use steadygrad::Step;

/// The value of a loss, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Loss {
    NotGiven,
    Known(f64),
    /// Past the 65,504 that `f16` ends at: of the type, which says nothing of the training.
    PastF16(f64),
}

/// The name under which a report tells of a loss that its type could not hold.
const PAST_F16: &str = "loss past f16";

impl Loss {
    /// The sum of all elements, since it is the sum that `backward` differentiates.
    pub(crate) fn of(loss: &Tensor) -> Result<Self> {
        // Not every device has `f64`.
        let here = loss.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
        let value = here.sum_all()?.to_scalar::<f64>()?;
        Ok(if loss.dtype() == DType::F16 && value.is_infinite() {
            Self::PastF16(value)
        } else {
            Self::Known(value)
        })
    }

    pub(crate) fn tell<G, P: ?Sized>(self, step: Step<'_, G, P>) -> Step<'_, G, P> {
        match self {
            Self::NotGiven => step,
            Self::Known(value) => step.loss(value),
            Self::PastF16(value) => step.signal(PAST_F16, value),
        }
    }
}

impl From<Option<f64>> for Loss {
    fn from(value: Option<f64>) -> Self {
        value.map_or(Self::NotGiven, Self::Known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::f16;

    fn of(values: &[f32], dtype: DType) -> Loss {
        let loss = Tensor::new(values, &Device::Cpu).unwrap();
        Loss::of(&loss.to_dtype(dtype).unwrap()).unwrap()
    }

    #[test]
    fn only_an_infinity_of_f16_is_the_type_s() {
        let inf = f32::INFINITY;
        assert_eq!(of(&[inf], DType::F16), Loss::PastF16(f64::INFINITY));
        assert_eq!(of(&[1.0, -inf], DType::F16), Loss::PastF16(-f64::INFINITY));
        for dtype in [DType::F32, DType::BF16] {
            assert_eq!(of(&[inf], dtype), Loss::Known(f64::INFINITY));
        }
        assert!(matches!(of(&[f32::NAN], DType::F16), Loss::Known(nan) if nan.is_nan()));
        // Each fits, their sum would not.
        let most = f16::MAX.to_f32();
        assert_eq!(of(&[most, most], DType::F16), Loss::Known(131_008.0));
    }
}
