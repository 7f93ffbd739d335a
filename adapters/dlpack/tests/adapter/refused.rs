//! What cannot be worked on is refused, in words that say what was expected and what was found.

use dlpark::DlpackFlags;
use dlpark::ffi::{DLDataType, DLDataTypeCode, DLDevice, DLDeviceType};
use steadygrad::{Error, Measurement};
use steadygrad_dlpack::{DlpackGrads, DlpackParams};

use crate::held::Held;

type Spoil = fn(&mut Held<f32>);

fn held(spoil: Spoil) -> Held<f32> {
    let mut held = Held::strided(vec![1.0; 12], 0, &[2, 3], &[3, 1]);
    spoil(&mut held);
    held
}

/// What both sets say of the same tensor.
fn said(spoil: Spoil) -> (Option<String>, Option<String>) {
    let held = held(spoil);
    let told = |error: Error| {
        let told = error.to_string();
        told.strip_prefix("tensor storage: layer.w: ")
            .unwrap()
            .to_owned()
    };
    // SAFETY: what is not refused lies within the twelve numbers that are held, and nobody else touches them.
    let grads = unsafe { DlpackGrads::new([("layer.w", held.lent())]) }
        .err()
        .map(told);
    // SAFETY: as above.
    let params = unsafe { DlpackParams::new([("layer.w", held.lent())]) }
        .err()
        .map(told);
    (grads, params)
}

#[test]
fn each_for_its_reason() {
    let cases: [(&str, Spoil); 22] = [
        ("expected f32, f64, f16 or bf16, found int64", |held| {
            held.tensor.dtype = DLDataType::I64;
        }),
        ("expected f32, f64, f16 or bf16, found bool8", |held| {
            held.tensor.dtype = DLDataType::BOOL;
        }),
        ("expected f32, f64, f16 or bf16, found complex64", |held| {
            held.tensor.dtype = DLDataType::C64;
        }),
        ("expected f32, f64, f16 or bf16, found float32x2", |held| {
            held.tensor.dtype.lanes = 2;
        }),
        ("expected f32, f64, f16 or bf16, found bfloat32", |held| {
            held.tensor.dtype.code = DLDataTypeCode::BFLOAT;
        }),
        (
            "expected f32, f64, f16 or bf16, found a type of code 10 and 8 bits",
            |held| {
                held.tensor.dtype = DLDataType::F8E4M3FN;
            },
        ),
        ("dtype lane count must be greater than zero", |held| {
            held.tensor.dtype.lanes = 0;
        }),
        ("expected memory of the CPU, found CUDA device 3", |held| {
            held.tensor.device = DLDevice::cuda(3);
        }),
        ("expected memory of the CPU, found Metal device 0", |held| {
            held.tensor.device = DLDevice::metal(0);
        }),
        (
            "expected memory of the CPU, found device 0 of type 13",
            |held| {
                held.tensor.device.device_type = DLDeviceType::CUDAMANAGED;
            },
        ),
        ("expected 6 elements, found a null pointer", |held| {
            held.tensor.data = std::ptr::null_mut();
        }),
        (
            "expected a byte offset within memory, found 18446744073709551615 behind 0x",
            |held| {
                held.tensor.byte_offset = u64::MAX;
            },
        ),
        // Within memory itself, but not with what lies behind it.
        ("expected a byte offset within memory, found ", |held| {
            held.tensor.byte_offset = (usize::MAX - held.tensor.data.addr() - 16) as u64;
        }),
        (
            "expected an address that is a multiple of 4, found 0x",
            |held| {
                held.tensor.byte_offset = 2;
            },
        ),
        ("expected strides ≥ 0, found [-3, 1]", |held| {
            held.strides[0] = -3;
        }),
        (
            "expected each element once, found shape [2, 3] with strides [0, 1]",
            |held| {
                held.strides[0] = 0;
            },
        ),
        (
            "expected each element once, found shape [2, 3] with strides [2, 1]",
            |held| {
                held.strides[0] = 2;
            },
        ),
        (
            "expected a shape and strides that fit into memory, found [2, 3] with [",
            |held| {
                held.strides[0] = i64::MAX / 4;
            },
        ),
        ("number of elements overflows usize", |held| {
            held.shape.fill(i64::MAX);
        }),
        ("shape dimension 1 is negative: -3", |held| {
            held.shape[1] = -3;
        }),
        ("ndim is negative: -1", |held| held.tensor.ndim = -1),
        ("shape pointer is null but ndim is 2", |held| {
            held.tensor.shape = std::ptr::null_mut();
        }),
    ];
    for (expected, spoil) in cases {
        let (grads, params) = said(spoil);
        let grads = grads.expect(expected);
        assert!(grads.starts_with(expected), "{grads}\nexpected {expected}");
        assert_eq!(params, Some(grads));
    }
}

#[test]
fn what_is_read_only_is_watched_and_not_written() {
    let (grads, params) = said(|held| held.flags = DlpackFlags::READ_ONLY);
    let expected = "expected a tensor to write to, found a read-only one";
    assert_eq!((grads.as_deref(), params), (Some(expected), None));
}

#[test]
fn what_only_looks_odd_is_taken() {
    let cases: [(f64, Spoil); 7] = [
        (6.0, |_| ()),
        (6.0, |held| held.flags = DlpackFlags::IS_COPIED),
        (6.0, |held| {
            held.tensor.device.device_type = DLDeviceType::CUDAHOST;
        }),
        (6.0, |held| held.tensor.byte_offset = 24),
        (3.0, |held| {
            held.shape[0] = 1;
            held.strides[0] = -7;
        }),
        (0.0, |held| {
            held.shape[1] = 0;
            held.tensor.data = std::ptr::null_mut();
            held.tensor.byte_offset = 3;
        }),
        (1.0, |held| held.tensor.ndim = 0),
    ];
    for (i, (sum, spoil)) in cases.into_iter().enumerate() {
        assert_eq!(said(spoil), (None, None), "case {i}");
        let held = held(spoil);
        // SAFETY: it lies within the twelve numbers that are held, and nobody writes them.
        let params = unsafe { DlpackParams::new([("w", held.lent())]) }.unwrap();
        let seen = Measurement::of(&params).unwrap();
        assert_eq!(seen.total().l2().powi(2).round(), sum, "case {i}");
    }
}
