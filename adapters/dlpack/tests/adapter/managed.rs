//! Managed tensors of dlpark's, of both ABIs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dlpark::ffi::{DLDataType, DLDevice, DLManagedTensor, DLManagedTensorVersioned};
use dlpark::metadata::Fixed;
use dlpark::{Managed, ManagedTensorBase};
use steadygrad::clip;
use steadygrad_dlpack::{DlpackGrads, DlpackTensor};

/// Numbers that tell when they go.
struct Owner(
    #[expect(dead_code, reason = "owned")] Vec<f32>,
    Arc<AtomicUsize>,
);

impl Drop for Owner {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

fn managed<M: ManagedTensorBase>(mut values: Vec<f32>, gone: &Arc<AtomicUsize>) -> Managed<M> {
    let data = values.as_mut_ptr().cast();
    let count = values.len() as i64;
    let owner = Box::new(Owner(values, gone.clone()));
    let mut made = Fixed::<1, _, _>::new([count], [1])
        .initialize_as::<M>(owner)
        .unwrap();
    made.set_data(data)
        .set_dtype(DLDataType::F32)
        .set_device(DLDevice::CPU);
    // SAFETY: the owner keeps the numbers where they are.
    unsafe { made.finish() }
}

#[test]
fn both_abis_are_borrowed_and_given_back_once() {
    let gone = Arc::new(AtomicUsize::new(0));
    let old = managed::<DLManagedTensor>(vec![3.0], &gone);
    let new = managed::<DLManagedTensorVersioned>(vec![4.0], &gone);
    let tensors = [
        ("old", DlpackTensor::from(&old)),
        ("new", Some(&new).into()),
    ];
    let told = "DlpackTensor { dtype: float32, shape: [1], strides: Some([1]), device: the CPU, \
                flags: DlpackFlags(0x0), .. }";
    assert_eq!(format!("{:?}", tensors[1].1), told);
    // SAFETY: nobody else knows of the numbers.
    let mut grads = unsafe { DlpackGrads::new(tensors) }.unwrap();
    assert_eq!(clip::global_norm(&mut grads, 1.0).unwrap().before(), 5.0);
    drop(grads);
    let first = |tensor: &dlpark::TensorRef<'_>| {
        // SAFETY: there is one number, and nobody writes it.
        unsafe { tensor.cpu_slice::<f32>() }.unwrap()[0]
    };
    assert_eq!(first(&old.validate().unwrap()), 0.6);
    assert_eq!(first(&new.validate().unwrap()), 0.8);
    assert_eq!(gone.load(Ordering::Relaxed), 0);
    drop((old, new));
    assert_eq!(gone.load(Ordering::Relaxed), 2);
}

#[test]
fn strides_may_be_missing_only_where_the_version_allows_it() {
    let gone = Arc::default();
    for (minor, is_taken) in [(1, true), (2, false)] {
        let new = managed::<DLManagedTensorVersioned>(vec![4.0], &gone).into_raw();
        // SAFETY: it is a managed tensor that nobody else has.
        let new = unsafe {
            (*new).version.minor = minor;
            (*new).dl_tensor.strides = std::ptr::null_mut();
            Managed::from_raw(new).unwrap()
        };
        // SAFETY: nobody else knows of the number.
        let grads = unsafe { DlpackGrads::new([("w", &new)]) };
        match grads {
            Ok(_) => assert!(is_taken),
            Err(error) => assert_eq!(
                (is_taken, error.to_string().as_str()),
                (
                    false,
                    "tensor storage: w: DLPack 1.2 requires explicit strides when ndim is 1"
                )
            ),
        }
    }
}
