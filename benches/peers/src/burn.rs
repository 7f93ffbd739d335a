//! burn's own `GradientClipping`: tensor by tensor, each to the threshold on its own. burn has no global norm.

use burn::grad_clipping::{GradientClipping, GradientClippingConfig};
use burn::module::{Module, Param};
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::child::Peer;
use crate::facts::{Fact, show};
use crate::sets::{Role, Set, filled};
use crate::work::{LAMBDA, RATE, Work};

/// All new tensors of a rank among these shapes.
fn tensors<const D: usize>(shapes: &[Vec<usize>], role: Role, device: &Device) -> Vec<Tensor<D>> {
    let of_rank = shapes
        .iter()
        .enumerate()
        .filter(|(_, dims)| dims.len() == D);
    of_rank
        .map(|(index, shape)| {
            let values = filled(shape.iter().product(), role, index);
            Tensor::from_data(TensorData::new(values, shape.clone()), device)
        })
        .collect()
}

/// The weights, by rank.
#[derive(Module, Debug)]
pub(crate) struct Model {
    matrices: Vec<Param<Tensor<2>>>,
    pub(crate) vectors: Vec<Param<Tensor<1>>>,
}

impl Model {
    pub(crate) fn new(shapes: &[Vec<usize>], device: &Device) -> Self {
        fn params<const D: usize>(weights: Vec<Tensor<D>>) -> Vec<Param<Tensor<D>>> {
            weights.into_iter().map(Param::from_tensor).collect()
        }
        Self {
            matrices: params(tensors(shapes, Role::Weight, device)),
            vectors: params(tensors(shapes, Role::Weight, device)),
        }
    }

    /// New gradients, which no one else holds.
    pub(crate) fn gradients(&self, shapes: &[Vec<usize>], device: &Device) -> GradientsParams {
        fn register<const D: usize>(
            into: &mut GradientsParams,
            weights: &[Param<Tensor<D>>],
            grads: Vec<Tensor<D>>,
        ) {
            for (w, grad) in weights.iter().zip(grads) {
                into.register(w.id, grad);
            }
        }
        let mut grads = GradientsParams::new();
        let matrices = tensors(shapes, Role::Gradient, device);
        register(&mut grads, &self.matrices, matrices);
        let vectors = tensors(shapes, Role::Gradient, device);
        register(&mut grads, &self.vectors, vectors);
        grads
    }
}

/// The gradient of a fact, in its type.
pub(crate) fn gradient(fact: &Fact, device: &Device) -> Tensor<1> {
    let dtype = if fact.is_half { DType::F16 } else { DType::F32 };
    Tensor::<1>::from_data(fact.values, device).cast(dtype)
}

/// The gradient of a fact after a clip, as text.
pub(crate) fn shown(g: Tensor<1>) -> String {
    show(g.into_data().iter::<f32>())
}

/// Gradients and weights as burn tensors on the `flex` back end.
pub(crate) struct Burn {
    device: Device,
    shapes: Vec<Vec<usize>>,
    matrices: Vec<Tensor<2>>,
    vectors: Vec<Tensor<1>>,
    model: Option<Model>,
    sgd: Option<ModuleOptimizer>,
    prepared: Option<GradientsParams>,
    norm: f64,
}

impl Burn {
    pub(crate) fn new() -> Self {
        Self {
            device: Device::default(),
            shapes: Vec::new(),
            matrices: Vec::new(),
            vectors: Vec::new(),
            model: None,
            sgd: None,
            prepared: None,
            norm: 0.0,
        }
    }

    fn edit(&mut self, clipping: &GradientClipping) {
        self.matrices = self
            .matrices
            .drain(..)
            .map(|g| clipping.clip_gradient(g))
            .collect();
        self.vectors = self
            .vectors
            .drain(..)
            .map(|g| clipping.clip_gradient(g))
            .collect();
    }

    fn global_norm(&self) -> f64 {
        fn squares<const D: usize>(grads: &[Tensor<D>]) -> f32 {
            grads
                .iter()
                .map(|g| g.clone().square().sum().into_scalar::<f32>())
                .sum()
        }
        f64::from(squares(&self.matrices) + squares(&self.vectors)).sqrt()
    }

    fn penalty<const D: usize>(
        work: Work,
        weights: &[Param<Tensor<D>>],
        grads: &mut Vec<Tensor<D>>,
    ) -> f64 {
        let mut sum = 0.0;
        *grads = weights
            .iter()
            .zip(grads.drain(..))
            .map(|(w, g)| {
                let w = w.val().inner();
                let (value, slope) = match work {
                    Work::L1 => (w.clone().abs().sum(), w.sign().mul_scalar(LAMBDA)),
                    _ => (
                        w.clone().square().sum().mul_scalar(0.5),
                        w.mul_scalar(LAMBDA),
                    ),
                };
                sum += f64::from(value.into_scalar::<f32>());
                g + slope
            })
            .collect();
        LAMBDA * sum
    }
}

impl Peer for Burn {
    fn about(&self) -> String {
        "burn 0.22 (flex)".to_owned()
    }

    fn load(&mut self, set: &Set) {
        *self = Self::new();
        self.shapes.clone_from(&set.shapes);
        let smallest = set.lens().min().unwrap_or(0);
        self.norm = (smallest as f64 / 3.0).sqrt();
        self.refill();
        let device = self.device.clone().autodiff();
        self.model = Some(Model::new(&self.shapes, &device));
    }

    fn refill(&mut self) {
        self.matrices.clear();
        self.vectors.clear();
        self.matrices = tensors(&self.shapes, Role::Gradient, &self.device);
        self.vectors = tensors(&self.shapes, Role::Gradient, &self.device);
    }

    fn loaded_norm(&self) -> f64 {
        self.norm
    }

    fn prepare(&mut self, work: Work) -> bool {
        if work != Work::Sgd {
            return false;
        }
        let gradients = |model: &Model| model.gradients(&self.shapes, &self.device);
        self.prepared = self.model.as_ref().map(gradients);
        true
    }

    fn run(&mut self, work: Work, bound: f64) -> Option<f64> {
        Some(match work {
            Work::Measure => self.global_norm(),
            Work::Keep | Work::Clip => {
                self.edit(&GradientClipping::Norm(bound as f32));
                0.0
            }
            Work::Value => {
                self.edit(&GradientClipping::Value(bound as f32));
                0.0
            }
            Work::L1 | Work::L2 => {
                let model = self.model.as_ref()?;
                Self::penalty(work, &model.matrices, &mut self.matrices)
                    + Self::penalty(work, &model.vectors, &mut self.vectors)
            }
            Work::Sgd => {
                // The gradients are new each time, so the bound need not fall.
                let sgd = self.sgd.get_or_insert_with(|| {
                    SgdConfig::new()
                        .with_gradient_clipping(Some(GradientClippingConfig::Norm(bound as f32)))
                        .init()
                });
                self.model = Some(sgd.step(RATE, self.model.take()?, self.prepared.take()?));
                0.0
            }
            _ => return None,
        })
    }

    fn fact(&mut self, fact: &Fact) -> String {
        let grad = gradient(fact, &self.device);
        shown(GradientClipping::Norm(fact.max).clip_gradient(grad))
    }
}
