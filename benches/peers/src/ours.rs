//! steadygrad on plain buffers.

use crate::child::Peer;
use crate::facts::Fact;
use crate::sets::{Set, fill, filled};
use crate::work::Work;

/// Gradients and weights as lists of buffers.
#[derive(Debug, Default)]
pub(crate) struct Ours {
    grads: Vec<Vec<f32>>,
    weights: Vec<Vec<f32>>,
    norm: f64,
}

impl Peer for Ours {
    fn about(&self) -> String {
        "steadygrad".to_owned()
    }

    fn load(&mut self, set: &Set) {
        *self = Self::default();
        self.grads = set.lens().map(|len| filled(len, 1)).collect();
        self.weights = set.lens().map(|len| filled(len, 2)).collect();
        self.norm = (set.elements() as f64 / 3.0).sqrt();
    }

    fn refill(&mut self) {
        self.grads.iter_mut().for_each(|g| fill(g, 1));
    }

    fn loaded_norm(&self) -> f64 {
        self.norm
    }

    fn run(&mut self, _work: Work, _bound: f64) -> Option<f64> {
        None
    }

    fn fact(&mut self, _fact: &Fact) -> String {
        "–".to_owned()
    }
}
