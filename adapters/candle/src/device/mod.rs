//! Tensors that stay where they are: candle's own operations sum them up, and only the sums travel.
//!
//! A tensor is cut into rows. Each row is divided by its largest magnitude and summed up, so nothing
//! overflows whatever the range; the host puts the rows together. What is handled at once is bounded,
//! and with it the device memory that the work takes for itself.

mod count;
mod edited;
mod found;
mod read;
mod remote;
mod sheet;

pub(crate) use count::count;
pub(crate) use read::{Transfers, measure};
pub(crate) use remote::Remote;
pub(crate) use sheet::sum_in_rows;

use candle_core::{DType, Device};

type Candle<T> = candle_core::Result<T>;

/// What a device reckons in.
#[derive(Clone, Copy)]
struct Arithmetic {
    dtype: DType,
    largest: f64,
    /// A row's elements are divided by its maximum, but not by less than this.
    least: f64,
    /// Factors are applied in steps of at most this power of two.
    exponent: i64,
}

impl Arithmetic {
    const F64: Self = Self {
        dtype: DType::F64,
        largest: f64::MAX,
        least: f64::MIN_POSITIVE,
        exponent: 1022,
    };

    const F32: Self = Self {
        dtype: DType::F32,
        largest: f32::MAX as f64,
        least: f32::MIN_POSITIVE as f64,
        exponent: 126,
    };

    fn of(device: &Device) -> Self {
        if device.is_metal() {
            Self::F32
        } else {
            Self::F64
        }
    }
}

/// The widest type that a device reckons in.
pub(crate) fn widest(device: &Device) -> DType {
    Arithmetic::of(device).dtype
}
