//! The numbers of a tensor, from and to the bytes of a file.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use safetensors::Dtype;

use super::{Tensor, tensor_error};
use crate::Result;
use crate::recurrent::Real;

impl Tensor<'_> {
    /// A tensor of these numbers, stored as what they are.
    pub(super) fn of<'n, A: Real>(shape: &[usize], numbers: impl Iterator<Item = &'n A>) -> Self {
        let mut data = Vec::new();
        let is_single = size_of::<A>() == size_of::<f32>();
        for x in numbers {
            if is_single {
                data.extend((x.widen() as f32).to_le_bytes());
            } else {
                data.extend(x.widen().to_le_bytes());
            }
        }
        Self {
            dtype: if is_single { Dtype::F32 } else { Dtype::F64 },
            shape: Vec::from(shape),
            data: Cow::Owned(data),
        }
    }

    /// How many numbers there are, by the bytes that hold them.
    pub(super) fn len(&self) -> usize {
        match self.dtype {
            Dtype::F64 => self.data.len() / 8,
            Dtype::F32 => self.data.len() / 4,
            _ => self.data.len() / 2,
        }
    }

    /// Gives each number in row-major order, rounded once.
    pub(super) fn read<A: Real>(&self, name: &str, mut put: impl FnMut(A)) -> Result<()> {
        match self.dtype {
            Dtype::F64 => self.each(name, f64::from_le_bytes, &mut put),
            Dtype::F32 => self.each(name, |b| f64::from(f32::from_le_bytes(b)), &mut put),
            Dtype::F16 => self.each(name, |b| half(u16::from_le_bytes(b)), &mut put),
            // The upper half of an f32.
            Dtype::BF16 => self.each(
                name,
                |b| f64::from(f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)),
                &mut put,
            ),
            other => Err(tensor_error(
                name,
                "numbers of type F64, F32, F16 or BF16",
                format!("{other:?}"),
            )),
        }
    }

    fn each<A: Real, const N: usize>(
        &self,
        name: &str,
        number: impl Fn([u8; N]) -> f64,
        put: &mut impl FnMut(A),
    ) -> Result<()> {
        for bytes in self.data.as_chunks::<N>().0 {
            let wide = number(*bytes);
            let x = A::narrow(wide);
            // An infinity that stands in the file is the file's own.
            if x.is_infinite() && wide.is_finite() {
                let expected = format!("numbers that an {} holds", A::NAME);
                return Err(tensor_error(name, expected, format!("{wide:e}")));
            }
            put(x);
        }
        Ok(())
    }
}

/// An IEEE half: one bit of sign, five of exponent, ten of fraction.
fn half(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3ff);
    let size = match i32::from(bits >> 10 & 0x1f) {
        0 => fraction * f64::from_bits((1023 - 24) << 52),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1024.0 + fraction) * f64::from_bits(((1023 - 25 + exponent) as u64) << 52),
    };
    if bits >> 15 == 0 { size } else { -size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_what_they_stand_for() {
        for (bits, x) in [
            (0x0000, 0.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x03ff, 6.097_555_160_522_461e-5),
            (0x0400, 6.103_515_625e-5),
            (0x3c00, 1.0),
            (0x3555, 0.333_251_953_125),
            (0x7bff, 65504.0),
            (0xc000, -2.0),
            (0xfc00, f64::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), x, "{bits:04x}");
        }
        assert!(half(0x7e01).is_nan());
        assert!(half(0x8000) == 0.0 && half(0x8000).is_sign_negative());
    }

    #[cfg(feature = "half")]
    #[test]
    fn every_half_is_that_of_the_half_crate() {
        for bits in 0..=u16::MAX {
            let (mine, theirs) = (half(bits), ::half::f16::from_bits(bits).to_f64());
            assert!(mine.to_bits() == theirs.to_bits() || (mine.is_nan() && theirs.is_nan()));
        }
    }
}
