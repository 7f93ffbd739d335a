//! steadygrad's `Guard` on candle's gradients, by the adapter.

use std::collections::HashMap;
use std::error::Error;

use candle_core::backprop::GradStore;
use candle_core::{Result, Var};
use steadygrad_candle::CandleGrads;

use crate::candle::{gradient, shown, tensors};
use crate::child::Peer;
use crate::facts::Fact;
use crate::guarded::{Guards, clip};
use crate::sets::{Role, Set};
use crate::work::Work;

/// Gradients as `backward()` leaves them, weights as a `VarMap` holds them.
#[derive(Debug)]
pub(crate) struct GuardedCandle {
    shapes: Vec<Vec<usize>>,
    vars: HashMap<String, Var>,
    grads: GradStore,
    guards: Guards,
    norm: f64,
}

fn name(index: usize) -> String {
    format!("tensor.{index}")
}

impl GuardedCandle {
    pub(crate) fn new() -> Self {
        Self {
            shapes: Vec::new(),
            vars: HashMap::new(),
            grads: GradStore::default(),
            guards: Guards::new(),
            norm: 0.0,
        }
    }

    fn clipped(fact: &Fact) -> std::result::Result<String, Box<dyn Error>> {
        let var = Var::from_tensor(&gradient(fact)?)?;
        let mut grads = GradStore::default();
        grads.insert(&var, gradient(fact)?);
        let verdict = clip(
            fact,
            &mut CandleGrads::new(&mut grads, std::slice::from_ref(&var)),
        )?;
        let g = grads.get(&var).ok_or("no gradient")?;
        Ok(format!("{} {verdict:?}", shown(g)?))
    }
}

impl Peer for GuardedCandle {
    fn about(&self) -> String {
        "steadygrad-candle".to_owned()
    }

    fn load(&mut self, set: &Set) {
        *self = Self::new();
        self.shapes.clone_from(&set.shapes);
        self.norm = set.norm();
        let weights = tensors(&self.shapes, Role::Weight).enumerate();
        let vars = weights.map(|(index, w)| Ok((name(index), Var::from_tensor(&w?)?)));
        self.vars = vars.collect::<Result<_>>().expect("weights");
        self.refill();
    }

    fn refill(&mut self) {
        for (index, g) in tensors(&self.shapes, Role::Gradient).enumerate() {
            self.grads
                .insert(&self.vars[&name(index)], g.expect("a gradient"));
        }
    }

    fn loaded_norm(&self) -> f64 {
        self.norm
    }

    fn run(&mut self, work: Work, bound: f64) -> Option<f64> {
        let mut grads = CandleGrads::new(&mut self.grads, &self.vars);
        self.guards.step(work, bound, &mut grads)
    }

    fn fact(&mut self, fact: &Fact) -> String {
        Self::clipped(fact).unwrap_or_else(|error| error.to_string())
    }
}
