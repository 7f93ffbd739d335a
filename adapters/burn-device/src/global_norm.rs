//! The clip.

use burn::module::Module;
use burn::optim::GradientsParams;
use steadygrad_burn::steadygrad::Result;
use steadygrad_burn::{BurnGrads, Deferred};

/// Scales all gradients of a module by `min(1, max/‖g‖₂)` and leaves norm and factor on the device: the host waits for
/// nothing.
///
/// ```text
/// factor = min(1, max / √(Σ g²))        1 if the norm is 0, NaN or infinite
/// ```
///
/// Gradients in `f32`, `f16` or `bf16` on one of burn's cubecl devices are read once by a kernel that leaves three sums
/// of squares for each 16,384 elements, over the whole range of `f32`; a second one makes norm and factor of the sums;
/// and one for each tensor multiplies it in place, where nobody else holds it, or leaves it alone if the factor is 1.
/// All other gradients take the way of [`BurnGrads::global_norm_deferred`].
///
/// The sums are taken in `f32`; with n elements in t tensors the relative error of the sum is at most
///
/// ```text
/// (81 + n/2²² + t/256)·2⁻²⁴
/// ```
///
/// and that of the norm half as much, on devices that round sums and products to the nearest; roots and divisions of a
/// device may be off by a few units in the last place more. Subnormal numbers count, but devices may take them for 0 where
/// they are results. What is not finite is left as it is, and shows in the norm, which is infinite as well where it lies
/// beyond the range of `f32`.
///
/// `None` if there is no gradient with elements.
///
/// # Examples
///
/// ```
/// use burn::{nn::LinearConfig, optim::GradientsParams, tensor::{Device, Tensor}};
///
/// let device = Device::flex().autodiff();      // or `Device::wgpu`, `Device::cuda`, ..
/// let model = LinearConfig::new(2, 1).with_bias(false).init(&device);
/// let loss = model.forward(Tensor::<2>::from_floats([[3.0, 4.0]], &device)).sum();
/// let mut grads = GradientsParams::from_grads(loss.backward(), &model);
/// let deferred = steadygrad_burn_device::global_norm(&mut grads, &model, 1.0)?.unwrap();
/// // Some steps later, to be logged:
/// assert_eq!(deferred.norm.into_scalar::<f64>(), 5.0);
/// # Ok::<(), steadygrad_burn_device::steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// As [`BurnGrads::global_norm_deferred`]: a bound that is negative or NaN, gradients of another module, gradients on
/// several devices or of a type that has no norm.
pub fn global_norm<M: Module>(
    grads: &mut GradientsParams,
    model: &M,
    max: f64,
) -> Result<Option<Deferred>> {
    #[cfg(feature = "cube")]
    if max >= 0.0
        && let Some(deferred) = kernels::global_norm(grads, model, max as f32)
    {
        return Ok(Some(deferred));
    }
    BurnGrads::new(grads, model).global_norm_deferred(max)
}

#[cfg(feature = "cube")]
mod kernels {
    use burn::backend::{BackendTensor, Dispatch, DispatchTensor, DispatchTensorKind};
    use burn::module::{Module, ModuleVisitor, Param, ParamId};
    use burn::optim::GradientsParams;
    use burn::tensor::{DType, Device, Tensor};
    use steadygrad_burn::Deferred;

    use crate::operations::{Operations, slots, sums};

    /// The clip, if all gradients with elements are where kernels can be; else nothing has changed.
    pub(super) fn global_norm<M: Module>(
        grads: &mut GradientsParams,
        model: &M,
        max: f32,
    ) -> Option<Deferred> {
        let mut visitor = TakeOut {
            grads,
            device: None,
            taken: vec![],
            fit: true,
        };
        model.visit(&mut visitor);
        let (mut taken, device) = (visitor.taken, visitor.device);
        let deferred = device.filter(|_| visitor.fit).map(|device| {
            // Positive, also where it is 0.
            let (scaled, deferred) = clip(taken.split_off(0), &device, max.abs());
            taken = scaled;
            deferred
        });
        for taken in taken {
            (taken.put)(grads, taken.id, taken.tensor);
        }
        deferred
    }

    fn clip(taken: Vec<Taken>, device: &Device, max: f32) -> (Vec<Taken>, Deferred) {
        let count = taken.iter().map(|taken| slots(taken.len)).sum();
        let mut all = Tensor::<1>::empty([sums(count)], (device, DType::F32)).into_dispatch();
        let mut start = 0;
        for taken in &taken {
            all = Dispatch::squares(all, taken.tensor.clone(), start);
            start += slots(taken.len);
        }
        let (norm, factor) = Dispatch::norm_and_factor(all, max);
        let scaled = taken.into_iter().map(|taken| Taken {
            tensor: Dispatch::scale(taken.tensor, norm.clone(), factor.clone(), max),
            ..taken
        });
        let scaled = scaled.collect();
        let (norm, factor) = (Tensor::from_dispatch(norm), Tensor::from_dispatch(factor));
        (scaled, Deferred::new(norm, factor))
    }

    /// A gradient with elements.
    struct Taken {
        id: ParamId,
        len: usize,
        tensor: DispatchTensor,
        put: fn(&mut GradientsParams, ParamId, DispatchTensor),
    }

    struct TakeOut<'g> {
        grads: &'g mut GradientsParams,
        /// That of the first one.
        device: Option<Device>,
        taken: Vec<Taken>,
        /// Whether there are kernels for all of them.
        fit: bool,
    }

    impl ModuleVisitor for TakeOut<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            // A parameter that stands in several places has been taken out the first time.
            let Some(tensor) = self.grads.remove::<D>(param.id) else {
                return;
            };
            let len = tensor.dims().iter().product();
            if len == 0 {
                self.grads.register(param.id, tensor);
                return;
            }
            let tensor = tensor.inner();
            let (dtype, here) = (tensor.dtype(), tensor.device());
            let device = self.device.get_or_insert_with(|| here.clone());
            let tensor = tensor.into_dispatch();
            self.fit &= matches!(
                tensor.kind,
                DispatchTensorKind::Cube(BackendTensor::Float(_))
            ) && matches!(dtype, DType::F32 | DType::F16 | DType::BF16)
                && here == *device
                && here.supports_dtype(dtype);
            self.taken.push(Taken {
                id: param.id,
                len,
                tensor,
                put: |grads, id, tensor| grads.register(id, Tensor::<D>::from_dispatch(tensor)),
            });
        }
    }
}
