//! steadygrad on plain buffers: the one-line functions.

use half::{bf16, f16};

use rayon::prelude::*;
use steadygrad::clip::{self, GlobalNorm};
use steadygrad::penalty::{L1, L2, Penalty};
use steadygrad::{Guard, Measurement, Needs, Result, TensorSetMut};

use crate::child::Peer;
use crate::facts::{Fact, show};
use crate::sets::{Role, Set, fill, filled};
use crate::work::{LAMBDA, Other, RATE, Work};

/// Gradients and weights as lists of buffers.
pub(crate) struct Ours {
    grads: Vec<Vec<f32>>,
    weights: Vec<Vec<f32>>,
    /// The last one that was asked for.
    other: Option<(Other, Box<dyn TensorSetMut>)>,
    guard: Guard,
    norm: f64,
    threads: usize,
}

impl Ours {
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            grads: Vec::new(),
            weights: Vec::new(),
            other: None,
            guard: Guard::new(),
            norm: 0.0,
            threads,
        }
    }
}

/// Its square is no `f64`.
const HUGE: f64 = 1e200;

/// As many bytes of another type.
fn make(other: Other, bytes: usize) -> Box<dyn TensorSetMut> {
    let uniform = |size: usize| filled(bytes / size, Role::Gradient, 0).into_iter();
    match other {
        Other::F64 => Box::new(uniform(8).map(f64::from).collect::<Vec<_>>()),
        Other::HugeF64 => Box::new(uniform(8).map(|x| f64::from(x) * HUGE).collect::<Vec<_>>()),
        Other::F16 => Box::new(uniform(2).map(f16::from_f32).collect::<Vec<_>>()),
        Other::Bf16 => Box::new(uniform(2).map(bf16::from_f32).collect::<Vec<_>>()),
    }
}

/// The norm of what [`make`] made, to that of as many bytes of `f32`.
fn relative_norm(other: Other) -> f64 {
    match other {
        Other::F64 => 0.5_f64.sqrt(),
        Other::HugeF64 => 0.5_f64.sqrt() * HUGE,
        Other::F16 | Other::Bf16 => 2.0_f64.sqrt(),
    }
}

impl Peer for Ours {
    fn about(&self) -> String {
        "steadygrad".to_owned()
    }

    fn load(&mut self, set: &Set) {
        *self = Self::new(self.threads);
        let make = |role| {
            set.lens()
                .enumerate()
                .map(|(index, len)| filled(len, role, index))
                .collect()
        };
        self.grads = make(Role::Gradient);
        self.weights = make(Role::Weight);
        self.norm = set.norm();
        // A plan writes nothing, so that this stays below the norm.
        let max = GlobalNorm::new(0.5 * self.norm).expect("a positive norm");
        self.guard = Guard::new().clip(max);
    }

    fn refill(&mut self) {
        self.other = None;
        for (index, g) in self.grads.iter_mut().enumerate() {
            fill(g, Role::Gradient, index);
        }
    }

    fn loaded_norm(&self) -> f64 {
        self.norm
    }

    fn prepare(&mut self, work: Work) -> bool {
        if let Work::MeasureOf(other) | Work::ClipOf(other) = work
            && self.other.as_ref().is_none_or(|(made, _)| *made != other)
        {
            let bytes = self.grads.iter().map(|g| 4 * g.len()).sum();
            self.other = Some((other, make(other, bytes)));
        }
        false
    }

    fn run(&mut self, work: Work, bound: f64) -> Option<f64> {
        self.work(work, bound).expect("steadygrad to run")
    }

    fn fact(&mut self, fact: &Fact) -> String {
        let mut f16s: Vec<f16> = fact.values.iter().map(|&x| f16::from_f32(x)).collect();
        let mut f32s = fact.values.to_vec();
        let max = fact.max;
        let clipped = if fact.is_half {
            clip::global_norm(&mut f16s, max)
                .map(|_| f16s.iter().map(|x| x.to_f32()).collect::<Vec<_>>())
        } else {
            clip::global_norm(&mut f32s, max).map(|_| f32s)
        };
        clipped.map_or_else(|error| error.to_string(), show)
    }
}

/// The update of plain SGD, with the clip folded into its rate.
fn subtract(w: &mut [f32], rate: f32, g: &[f32]) {
    for (w, g) in w.iter_mut().zip(g) {
        *w -= rate * g;
    }
}

impl Ours {
    fn work(&mut self, work: Work, bound: f64) -> Result<Option<f64>> {
        let norm = |measurement: Measurement| measurement.total().l2();
        let least = &Needs::norms();
        Ok(Some(match (work, &mut self.other) {
            (Work::Measure, _) => norm(Measurement::with_needs(&self.grads, least)?),
            (Work::Keep | Work::Clip, _) => clip::global_norm(&mut self.grads, bound)?.before(),
            (Work::Value, _) => clip::value(&mut self.grads, bound)?.clipped() as f64,
            (Work::L1, _) => L1::new(LAMBDA)?.apply(&self.weights, &mut self.grads)?,
            (Work::L2, _) => L2::new(LAMBDA)?.apply(&self.weights, &mut self.grads)?,
            (Work::Sgd, _) => self.sgd()?,
            (Work::MeasureOf(_), Some((_, values))) => {
                norm(Measurement::with_needs(values, least)?)
            }
            (Work::ClipOf(_), Some((other, values))) => {
                let unit = relative_norm(*other);
                clip::global_norm(values, bound * unit)?.before() / unit
            }
            _ => return Ok(None),
        }))
    }

    fn sgd(&mut self) -> Result<f64> {
        const BLOCK: usize = 1 << 16;
        let plan = self.guard.plan(&self.grads)?;
        for (index, (w, g)) in self.weights.iter_mut().zip(&self.grads).enumerate() {
            // A plan that only scales has a factor for every tensor.
            let rate = (RATE * plan.factor(index).unwrap_or(f64::NAN)) as f32;
            if self.threads > 1 && w.len() > BLOCK {
                let blocks = w.par_chunks_mut(BLOCK).zip(g.par_chunks(BLOCK));
                blocks.for_each(|(w, g)| subtract(w, rate, g));
            } else {
                subtract(w, rate, g);
            }
        }
        Ok(plan.report().before())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sets;
    use crate::work::TYPES;

    #[test]
    fn every_type_needs_a_clip_in_every_repetition() {
        let set = sets::buffers().pop().expect("a small buffer");
        let mut ours = Ours::new(1);
        ours.load(&set);
        for work in TYPES.into_iter().filter(|work| work.of_f32() == Work::Clip) {
            ours.refill();
            ours.prepare(work);
            let first = work.first_bound(ours.loaded_norm());
            let mut bound = first;
            while bound > 0.5 * first {
                let norm = ours.run(work, bound).expect("a norm");
                assert!(norm > bound, "{work:?}: {norm} under {bound}");
                bound = work.next_bound(bound);
            }
        }
    }
}
