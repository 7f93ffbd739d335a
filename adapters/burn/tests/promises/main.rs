//! What the core promises, kept for burn's tensors.

mod bits;
mod host;
mod penalty;
mod recovery;
mod remote;
mod set;

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Element, Shape, Tensor, TensorData};

/// By how much, relatively, a sum on a device may be off: what `steadygrad::device::Remote` says of rows in `f32`.
const ROOM: f64 = 257.0 / 16_777_216.0 + 1e-12;

/// A module of any tensors of ranks 1 to 4.
#[derive(Module, Debug)]
pub(crate) struct Mixed {
    vectors: Vec<Param<Tensor<1>>>,
    matrices: Vec<Param<Tensor<2>>>,
    cubes: Vec<Param<Tensor<3>>>,
    images: Vec<Param<Tensor<4>>>,
}

impl Mixed {
    pub(crate) fn empty() -> Self {
        Self {
            vectors: vec![],
            matrices: vec![],
            cubes: vec![],
            images: vec![],
        }
    }
}

/// A module of one vector and its gradient.
pub(crate) struct One {
    pub(crate) model: Mixed,
    pub(crate) grads: GradientsParams,
}

impl One {
    pub(crate) fn new<E: Element>(values: &[E]) -> Self {
        let tensor = tensor::<1, E>(values, [values.len()]);
        let mut model = Mixed::empty();
        model.vectors.push(Param::from_tensor(tensor.zeros_like()));
        let mut grads = GradientsParams::new();
        grads.register(model.vectors[0].id, tensor);
        Self { model, grads }
    }

    pub(crate) fn grad(&self) -> Tensor<1> {
        self.grads.get(self.model.vectors[0].id).expect("gradient")
    }

    pub(crate) fn values<E: Element>(&self) -> Vec<E> {
        self.grad().into_data().try_to_vec().expect("type")
    }
}

/// A tensor of the very type `E`.
pub(crate) fn tensor<const D: usize, E: Element>(
    values: &[E],
    shape: impl Into<Shape>,
) -> Tensor<D> {
    let options = (&Device::flex(), E::dtype());
    Tensor::from_data(TensorData::new(values.to_vec(), shape), options)
}

/// The values in a tensor as `f64`s.
pub(crate) fn to_f64<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    assert!(matches!(
        tensor.dtype(),
        DType::F32 | DType::F64 | DType::F16 | DType::BF16
    ));
    tensor.into_data().iter::<f64>().collect()
}
