//! steadygrad's `Guard` on burn's gradients, by the adapter.

use burn::optim::GradientsParams;
use burn::tensor::Device;
use steadygrad_burn::BurnGrads;

use crate::burn::{Model, gradient, shown};
use crate::child::Peer;
use crate::facts::Fact;
use crate::guarded::{Guards, clip};
use crate::sets::Set;
use crate::work::Work;

/// Gradients as `GradientsParams::from_grads` leaves them.
pub(crate) struct GuardedBurn {
    device: Device,
    shapes: Vec<Vec<usize>>,
    model: Model,
    grads: GradientsParams,
    guards: Guards,
    norm: f64,
}

impl GuardedBurn {
    pub(crate) fn new() -> Self {
        let device = Device::default();
        Self {
            model: Model::new(&[], &device),
            device,
            shapes: Vec::new(),
            grads: GradientsParams::new(),
            guards: Guards::new(),
            norm: 0.0,
        }
    }
}

impl Peer for GuardedBurn {
    fn about(&self) -> String {
        "steadygrad-burn".to_owned()
    }

    fn load(&mut self, set: &Set) {
        *self = Self::new();
        self.shapes.clone_from(&set.shapes);
        self.norm = set.norm();
        self.model = Model::new(&self.shapes, &self.device.clone().autodiff());
        self.refill();
    }

    fn refill(&mut self) {
        self.grads = GradientsParams::new();
        self.grads = self.model.gradients(&self.shapes, &self.device);
    }

    fn loaded_norm(&self) -> f64 {
        self.norm
    }

    fn run(&mut self, work: Work, bound: f64) -> Option<f64> {
        let mut grads = BurnGrads::new(&mut self.grads, &self.model);
        self.guards.step(work, bound, &mut grads)
    }

    fn fact(&mut self, fact: &Fact) -> String {
        let model = Model::new(&[vec![fact.values.len()]], &self.device);
        let id = model.vectors[0].id;
        let mut grads = GradientsParams::new();
        grads.register(id, gradient(fact, &self.device));
        let verdict = clip(fact, &mut BurnGrads::new(&mut grads, &model));
        match verdict.map(|verdict| (verdict, grads.remove::<1>(id))) {
            Ok((verdict, Some(g))) => format!("{} {verdict:?}", shown(g)),
            Ok((_, None)) => "no gradient".to_owned(),
            Err(error) => error.to_string(),
        }
    }
}
