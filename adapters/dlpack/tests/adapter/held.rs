//! Memory, and a tensor in it as DLPack tells of it.

use dlpark::ffi::{DLDevice, DLTensor};
use dlpark::{DlpackElement, DlpackFlags};
use steadygrad::Element;
use steadygrad_dlpack::DlpackTensor;

/// Numbers, of which a tensor has some or all. What is told of it may be changed to what is wrong.
pub(crate) struct Held<E> {
    pub(crate) values: Vec<E>,
    /// `tensor` points to them.
    pub(crate) shape: Vec<i64>,
    pub(crate) strides: Vec<i64>,
    pub(crate) tensor: DLTensor,
    pub(crate) flags: DlpackFlags,
}

impl<E: Element + DlpackElement> Held<E> {
    pub(crate) fn strided(values: Vec<E>, first: usize, shape: &[i64], strides: &[i64]) -> Self {
        let (mut values, mut shape, mut strides) = (values, shape.to_vec(), strides.to_vec());
        let tensor = DLTensor {
            data: values.as_mut_ptr().cast(),
            device: DLDevice::CPU,
            ndim: i32::try_from(shape.len()).unwrap(),
            dtype: E::DTYPE,
            shape: shape.as_mut_ptr(),
            strides: strides.as_mut_ptr(),
            byte_offset: (first * size_of::<E>()) as u64,
        };
        Self {
            values,
            shape,
            strides,
            tensor,
            flags: DlpackFlags::empty(),
        }
    }

    /// Row by row, and without strides, as old producers tell it.
    pub(crate) fn rows(values: Vec<E>, shape: &[i64]) -> Self {
        let mut held = Self::strided(values, 0, shape, &[]);
        held.tensor.strides = std::ptr::null_mut();
        held
    }

    pub(crate) fn lent(&self) -> DlpackTensor<'_> {
        // SAFETY: shape and strides are as long as the tensor says, or null, and nobody changes them while they are lent.
        unsafe { DlpackTensor::from_raw(&self.tensor, self.flags) }
    }

    pub(crate) fn bits(&self) -> Vec<u64> {
        self.values.iter().map(|x| x.widen().to_bits()).collect()
    }
}

/// `SplitMix64`.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Numbers of about 2^`exponent`.
    pub(crate) fn values<E: Element>(&mut self, count: usize, exponent: i32) -> Vec<E> {
        let value =
            |bits: u64| (bits >> 11) as f64 * 2f64.powi(exponent - 52) - 2f64.powi(exponent);
        (0..count).map(|_| E::narrow(value(self.bits()))).collect()
    }
}
