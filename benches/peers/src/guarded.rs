//! steadygrad's `Guard`, as a training loop calls it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use steadygrad::StepView;
use steadygrad::clip::{Clipper, GlobalNorm, Value};
use steadygrad::{Guard, Needs, Pen, Result, TensorSetMut, Verdict};

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
    fn name(&self) -> &'static str {
        "under a bound"
    }

    fn needs(&self) -> Needs {
        // As the rules under it, by value and by the L2 norm.
        Needs::norms()
    }

    fn plan(&mut self, step: &StepView<'_>, pen: &mut Pen<'_>) {
        if let Ok(mut rule) = (self.rule)(self.bound.get()) {
            rule.plan(step, pen);
        }
    }
}

/// A guard for each kind of work, wherever the gradients are.
#[derive(Debug)]
pub(crate) struct Guards {
    bound: Bound,
    without_rules: Guard,
    by_norm: Guard,
    by_value: Guard,
}

impl Guards {
    pub(crate) fn new() -> Self {
        let bound = Bound::default();
        Self {
            without_rules: Guard::new(),
            by_norm: Guard::new().clip(Under {
                bound: bound.clone(),
                rule: GlobalNorm::new,
            }),
            by_value: Guard::new().clip(Under {
                bound: bound.clone(),
                rule: Value::new,
            }),
            bound,
        }
    }

    /// One step under this bound and the norm it found; `None` if it is no work for a guard alone.
    pub(crate) fn step<G>(&mut self, work: Work, bound: f64, grads: &mut G) -> Option<f64>
    where
        G: TensorSetMut + ?Sized,
    {
        let guard = match work {
            Work::Measure => &mut self.without_rules,
            Work::Keep | Work::Clip => &mut self.by_norm,
            Work::Value => &mut self.by_value,
            _ => return None,
        };
        self.bound.set(bound);
        Some(guard.step(grads).expect("steadygrad to run").before())
    }
}

/// Clips the gradient of a fact.
pub(crate) fn clip<G: TensorSetMut + ?Sized>(fact: &Fact, grads: &mut G) -> Result<Verdict> {
    let mut guard = Guard::new().clip(GlobalNorm::new(fact.max)?);
    Ok(guard.step(grads)?.verdict())
}

/// Gradients as a list of buffers.
#[derive(Debug)]
pub(crate) struct Guarded {
    grads: Vec<Vec<f32>>,
    guards: Guards,
    norm: f64,
}

impl Guarded {
    pub(crate) fn new() -> Self {
        Self {
            grads: Vec::new(),
            guards: Guards::new(),
            norm: 0.0,
        }
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
        self.norm = set.norm();
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
        self.guards.step(work, bound, &mut self.grads)
    }

    fn fact(&mut self, fact: &Fact) -> String {
        let mut f16s: Vec<_> = fact
            .values
            .iter()
            .map(|&x| half::f16::from_f32(x))
            .collect();
        let mut f32s = fact.values.to_vec();
        let verdict = if fact.is_half {
            let verdict = clip(fact, &mut f16s);
            f32s = f16s.iter().map(|x| x.to_f32()).collect();
            verdict
        } else {
            clip(fact, &mut f32s)
        };
        match verdict {
            Ok(verdict) => format!("{} {verdict:?}", show(f32s)),
            Err(error) => error.to_string(),
        }
    }
}
