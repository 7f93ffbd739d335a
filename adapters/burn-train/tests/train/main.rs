//! The guard where burn's own machinery steps the optimizer: several devices, accumulation, schedulers, checkpoints, and
//! with the feature `train` its trainer.

mod accumulation;
mod checkpoint;
mod schedule;
mod shared;
mod trainer;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use burn::module::{Module, Param};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Tensor};
use steadygrad::Guard;
use steadygrad_burn_train::SharedGuard;

/// A matrix whose gradient is what it is multiplied by, and a matrix without gradient.
#[derive(Module, Debug)]
pub(crate) struct Model {
    w: Param<Tensor<2>>,
    idle: Param<Tensor<2>>,
}

impl Model {
    pub(crate) fn new() -> Self {
        let device = Device::flex().autodiff();
        Self {
            w: Param::from_tensor(Tensor::from_floats([[1.0, -2.0]], &device)),
            idle: Param::from_tensor(Tensor::from_floats([[5.0]], &device)),
        }
    }

    /// Gradients of `w`.
    pub(crate) fn grads(&self, of_w: [f32; 2]) -> GradientsParams {
        let factors = Tensor::from_floats([of_w], &Device::flex().autodiff());
        GradientsParams::from_grads((self.w.val() * factors).sum().backward(), self)
    }

    pub(crate) fn weights(&self) -> Vec<f32> {
        self.w.val().into_data().iter::<f32>().collect()
    }
}

/// One that remembers, so that it shows in a later step whether it moved.
pub(crate) fn momentum() -> ModuleOptimizer {
    let momentum = MomentumConfig::new();
    SgdConfig::new().with_momentum(Some(momentum)).init()
}

/// A shared guard, and the sentences with which it said stop.
pub(crate) fn shared(guard: Guard) -> (SharedGuard, Arc<Mutex<Vec<String>>>) {
    let said = Arc::new(Mutex::new(vec![]));
    let tell = Arc::clone(&said);
    let guard = SharedGuard::new(guard, move |why| tell.lock().unwrap().push(why.to_owned()));
    (guard, said)
}

pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("burn-train")
        .join(name);
    // What an earlier run left says nothing of this one.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
