//! steadygrad's `Guard`, as a training loop calls it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use steadygrad::clip::{Clipper, GlobalNorm, Value};
use steadygrad::detect::StepView;
use steadygrad::{Edits, Guard, Result};

use crate::child::Peer;
use crate::facts::{Fact, show};
use crate::sets::{Role, Set, fill, filled};
use crate::work::Work;

/// A bound that the measurement lowers from outside.
#[derive(Clone, Debug, Default)]
struct Bound(Arc<AtomicU64>);

impl Bound {
    fn set(&self, bound: f64) {
        self.0.store(bound.to_bits(), Ordering::Relaxed);
    }

    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// A rule under the bound of the moment.
#[derive(Debug)]
struct Under<C> {
    bound: Bound,
    rule: fn(f64) -> Result<C>,
}

impl<C: Clipper + 'static> Clipper for Under<C> {
    fn plan(&mut self, step: &StepView<'_>, edits: &mut Edits) {
        if let Ok(mut rule) = (self.rule)(self.bound.get()) {
            rule.plan(step, edits);
        }
    }
}

/// Gradients as a list of buffers, and a guard for each kind of clip.
#[derive(Debug)]
pub(crate) struct Guarded {
    grads: Vec<Vec<f32>>,
    bound: Bound,
    by_norm: Guard,
    by_value: Guard,
    norm: f64,
}

impl Guarded {
    pub(crate) fn new() -> Self {
        let bound = Bound::default();
        Self {
            grads: Vec::new(),
            by_norm: Guard::new().clip(Under {
                bound: bound.clone(),
                rule: GlobalNorm::new,
            }),
            by_value: Guard::new().clip(Under {
                bound: bound.clone(),
                rule: Value::new,
            }),
            bound,
            norm: 0.0,
        }
    }

    fn work(&mut self, work: Work) -> Result<Option<f64>> {
        Ok(Some(match work {
            Work::Keep | Work::Clip => self.by_norm.step(&mut self.grads)?.before(),
            Work::Value => self.by_value.step(&mut self.grads)?.before(),
            _ => return Ok(None),
        }))
    }
}

impl Peer for Guarded {
    fn about(&self) -> String {
        "steadygrad's Guard".to_owned()
    }

    fn load(&mut self, set: &Set) {
        *self = Self::new();
        let lens = set.lens().enumerate();
        self.grads = lens
            .map(|(index, len)| filled(len, Role::Gradient, index))
            .collect();
        self.norm = (set.elements() as f64 / 3.0).sqrt();
    }

    fn refill(&mut self) {
        for (index, g) in self.grads.iter_mut().enumerate() {
            fill(g, Role::Gradient, index);
        }
    }

    fn loaded_norm(&self) -> f64 {
        self.norm
    }

    fn run(&mut self, work: Work, bound: f64) -> Option<f64> {
        self.bound.set(bound);
        self.work(work).expect("steadygrad to run")
    }

    fn fact(&mut self, fact: &Fact) -> String {
        fn step<T: 'static>(max: f64, mut g: Vec<T>, widen: fn(&T) -> f32) -> Result<String>
        where
            Vec<T>: steadygrad::TensorSetMut,
        {
            let mut guard = Guard::new().clip(GlobalNorm::new(max)?);
            let verdict = guard.step(&mut g)?.verdict();
            Ok(format!("{} {verdict:?}", show(g.iter().map(widen))))
        }
        let result = if fact.is_half {
            step(
                fact.max.into(),
                fact.values
                    .iter()
                    .map(|&x| half::f16::from_f32(x))
                    .collect(),
                |x| x.to_f32(),
            )
        } else {
            step(fact.max.into(), fact.values.to_vec(), |&x| x)
        };
        result.unwrap_or_else(|error| error.to_string())
    }
}
