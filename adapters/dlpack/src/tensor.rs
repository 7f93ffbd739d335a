//! What DLPack tells of a tensor, and whether it can be worked on.

use std::fmt;

use dlpark::ffi::{DLDataType, DLDataTypeCode, DLDevice, DLDeviceType, DLTensor};
use dlpark::{DlpackFlags, Managed, ManagedTensorBase, TensorRef};

use crate::layout::Layout;
use crate::memory::{Kind, Place};

/// A tensor in DLPack form, or the lack of one: what a set is made of.
///
/// It is made [from](#trait-implementations) a borrowed [`Managed`] tensor, versioned or legacy, or an `Option` of one
/// (a gradient that has not come), which only looks at what describes the tensor. Its elements are touched by the sets,
/// [`DlpackGrads`](crate::DlpackGrads) and [`DlpackParams`](crate::DlpackParams).
///
/// # Examples
///
/// ```
/// use dlpark::{allocation::dynamic, legacy, versioned};
/// use ndarray::arr1;
/// use steadygrad::Measurement;
/// use steadygrad_dlpack::{DlpackParams, DlpackTensor};
///
/// let made: dynamic::Initialized<_> = Box::new(arr1(&[3.0_f32])).try_into()?;
/// // SAFETY: an array in a box is what it says.
/// let old: legacy::Dlpack = unsafe { made.finish() };
/// let made: dynamic::Initialized<_> = Box::new(arr1(&[4.0_f64])).try_into()?;
/// // SAFETY: as above.
/// let new: versioned::Dlpack = unsafe { made.finish() };
///
/// let tensors = [DlpackTensor::from(&old), DlpackTensor::from(&new), None::<&legacy::Dlpack>.into()];
/// // SAFETY: nobody else knows of the arrays.
/// let params = unsafe { DlpackParams::new(["old", "new", "none"].into_iter().zip(tensors)) }?;
/// assert_eq!(Measurement::of(&params)?.total().l2(), 5.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DlpackTensor<'t>(Found<'t>);

enum Found<'t> {
    Nothing,
    Tensor(TensorRef<'t>, DlpackFlags),
    /// What cannot be right, which a set says under the tensor's name.
    Wrong(dlpark::tensor::Error),
}

impl<'t> DlpackTensor<'t> {
    fn new(tensor: Result<TensorRef<'t>, dlpark::tensor::Error>, flags: DlpackFlags) -> Self {
        Self(match tensor {
            Ok(tensor) => Found::Tensor(tensor, flags),
            Err(error) => Found::Wrong(error),
        })
    }

    /// A tensor that nobody manages, such as one that a C program lends for a call.
    ///
    /// ```
    /// use dlpark::ffi::{DLDataType, DLDevice, DLTensor};
    /// use dlpark::DlpackFlags;
    /// use steadygrad::clip;
    /// use steadygrad_dlpack::{DlpackGrads, DlpackTensor};
    ///
    /// let (mut grad, mut shape) = ([3.0_f32, 4.0], [2]);
    /// let tensor = DLTensor {
    ///     data: grad.as_mut_ptr().cast(),
    ///     device: DLDevice::CPU,
    ///     ndim: 1,
    ///     dtype: DLDataType::F32,
    ///     shape: shape.as_mut_ptr(),
    ///     ..DLTensor::default()
    /// };
    /// // SAFETY: `shape` has one length, and there are no strides.
    /// let tensor = unsafe { DlpackTensor::from_raw(&tensor, DlpackFlags::empty()) };
    /// // SAFETY: `grad` is there, and nobody else touches it.
    /// let mut grads = unsafe { DlpackGrads::new([("grad", tensor)]) }?;
    /// clip::global_norm(&mut grads, 2.5)?;
    /// assert_eq!(grad, [1.5, 2.0]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Safety
    ///
    /// `shape`, and `strides` unless it is null, point to `ndim` numbers that nobody changes for `'t`.
    #[expect(unsafe_code, reason = "pointers to shape and strides are followed")]
    #[must_use]
    pub unsafe fn from_raw(tensor: &'t DLTensor, flags: DlpackFlags) -> Self {
        // SAFETY: what is asked of the caller.
        Self::new(unsafe { TensorRef::from_raw(tensor) }, flags)
    }

    /// Where its elements lie, if it can be worked on.
    pub(crate) fn place(self, is_written: bool) -> Result<Option<Place>, String> {
        let (tensor, flags) = match self.0 {
            Found::Nothing => return Ok(None),
            Found::Tensor(tensor, flags) => (tensor, flags),
            Found::Wrong(error) => return Err(error.to_string()),
        };
        if !is_host(tensor.device()) {
            let device = named(tensor.device());
            return Err(format!("expected memory of the CPU, found {device}"));
        }
        let Some(kind) = kind(tensor.dtype()) else {
            let found = spelled(tensor.dtype());
            return Err(format!("expected f32, f64, f16 or bf16, found {found}"));
        };
        if is_written && flags.contains(DlpackFlags::READ_ONLY) {
            return Err("expected a tensor to write to, found a read-only one".into());
        }
        let layout = Layout::new(tensor.shape(), tensor.strides(), kind.size())?;
        let data = tensor.data_ptr().cast_mut().cast();
        Place::new(data, tensor.byte_offset(), kind, layout).map(Some)
    }
}

impl<'t, M: ManagedTensorBase> From<&'t Managed<M>> for DlpackTensor<'t> {
    fn from(tensor: &'t Managed<M>) -> Self {
        Self::new(tensor.validate(), tensor.flags())
    }
}

impl<'t, T: Into<DlpackTensor<'t>>> From<Option<T>> for DlpackTensor<'t> {
    fn from(tensor: Option<T>) -> Self {
        tensor.map_or(Self(Found::Nothing), Into::into)
    }
}

impl fmt::Debug for DlpackTensor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Found::Nothing => f.write_str("DlpackTensor(none)"),
            Found::Wrong(error) => f.debug_tuple("DlpackTensor").field(error).finish(),
            Found::Tensor(tensor, flags) => f
                .debug_struct("DlpackTensor")
                .field("dtype", &format_args!("{}", spelled(tensor.dtype())))
                .field("shape", &tensor.shape())
                .field("strides", &tensor.strides())
                .field("device", &format_args!("{}", named(tensor.device())))
                .field("flags", flags)
                .finish_non_exhaustive(),
        }
    }
}

/// Memory that the CPU reads and writes like its own, pinned memory included.
fn is_host(device: DLDevice) -> bool {
    let hosts = [
        DLDeviceType::CPU,
        DLDeviceType::CUDAHOST,
        DLDeviceType::ROCMHOST,
    ];
    hosts.contains(&device.device_type)
}

fn kind(dtype: DLDataType) -> Option<Kind> {
    let kinds = [
        (DLDataType::F32, Kind::F32),
        (DLDataType::F64, Kind::F64),
        (DLDataType::F16, Kind::F16),
        (DLDataType::BF16, Kind::BF16),
    ];
    let mut kinds = kinds.into_iter().filter(|(of, _)| *of == dtype);
    kinds.next().map(|(_, kind)| kind)
}

/// As in "int64", and with lanes as in "float32x4".
fn spelled(dtype: DLDataType) -> String {
    let DLDataType { code, bits, lanes } = dtype;
    let kind = match code {
        DLDataTypeCode::INT => "int",
        DLDataTypeCode::UINT => "uint",
        DLDataTypeCode::FLOAT => "float",
        DLDataTypeCode::BFLOAT => "bfloat",
        DLDataTypeCode::COMPLEX => "complex",
        DLDataTypeCode::BOOL => "bool",
        _ => return format!("a type of code {} and {bits} bits", code.0),
    };
    match lanes {
        1 => format!("{kind}{bits}"),
        _ => format!("{kind}{bits}x{lanes}"),
    }
}

fn named(device: DLDevice) -> String {
    let id = device.device_id;
    match device.device_type {
        DLDeviceType::CPU => "the CPU".into(),
        DLDeviceType::CUDA => format!("CUDA device {id}"),
        DLDeviceType::METAL => format!("Metal device {id}"),
        DLDeviceType::ROCM => format!("ROCm device {id}"),
        other => format!("device {id} of type {}", other.0),
    }
}
