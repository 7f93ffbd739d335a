//! On the device that burn's wgpu finds: a card, or a driver that makes one of the processor.

mod burns_operations;
mod kernels;

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, DeviceKind, Tensor, TensorData};

/// By how much, relatively, a sum on a device may be off: what `steadygrad::device::Remote` says of rows in `f32`.
const ROOM: f64 = 257.0 / 16_777_216.0 + 1e-12;

fn device() -> Device {
    Device::wgpu(DeviceKind::DefaultDevice)
}

/// A module of any vectors and matrices.
#[derive(Module, Debug)]
struct Mixed {
    vectors: Vec<Param<Tensor<1>>>,
    matrices: Vec<Param<Tensor<2>>>,
}

/// A module of vectors and their gradients.
struct Vectors {
    model: Mixed,
    grads: GradientsParams,
}

impl Vectors {
    fn new(all: &[Vec<f32>], device: &Device) -> Self {
        Self::of(all.iter().map(|values| tensor(values, DType::F32, device)))
    }

    fn of(all: impl IntoIterator<Item = Tensor<1>>) -> Self {
        let mut grads = GradientsParams::new();
        let vectors = all.into_iter().map(|grad| {
            let param = Param::from_tensor(grad.zeros_like());
            grads.register(param.id, grad);
            param
        });
        let model = Mixed {
            vectors: vectors.collect(),
            matrices: vec![],
        };
        Self { model, grads }
    }

    fn grad(&self, index: usize) -> Tensor<1> {
        let id = self.model.vectors[index].id;
        self.grads.get(id).expect("gradient")
    }

    fn values(&self) -> Vec<Vec<f32>> {
        (0..self.model.vectors.len())
            .map(|index| values(self.grad(index)))
            .collect()
    }
}

fn tensor(values: &[f32], dtype: DType, device: &Device) -> Tensor<1> {
    let data = TensorData::new(values.to_vec(), [values.len()]);
    let tensor: Tensor<1> = Tensor::from_data(data, (device, DType::F32));
    tensor.cast(dtype)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn wave(len: usize, scale: f32) -> Vec<f32> {
    (0..len).map(|i| (i as f32).sin() * scale).collect()
}

fn norm(all: &[Vec<f32>]) -> f64 {
    let squares = all.iter().flatten().map(|&x| f64::from(x) * f64::from(x));
    squares.sum::<f64>().sqrt()
}

fn near(found: f64, expected: f64, room: f64) {
    assert!(
        (found / expected - 1.0).abs() <= room,
        "expected {expected:e}, found {found:e}"
    );
}
