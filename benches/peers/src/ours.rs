//! steadygrad on plain buffers: the one-line functions.

use half::{bf16, f16};

use rayon::prelude::*;
use steadygrad::clip::{self, GlobalNorm};
use steadygrad::penalty::{L1, L2, Penalty};
use steadygrad::{Guard, Measurement, Result};

use crate::child::Peer;
use crate::facts::{Fact, show};
use crate::sets::{Role, Set, fill, filled};
use crate::work::{LAMBDA, RATE, Work};

/// Gradients and weights as lists of buffers.
#[derive(Debug)]
pub(crate) struct Ours {
    grads: Vec<Vec<f32>>,
    weights: Vec<Vec<f32>>,
    other: Other,
    guard: Guard,
    norm: f64,
    threads: usize,
}

impl Ours {
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            grads: Vec::new(),
            weights: Vec::new(),
            other: Other::None,
            guard: Guard::new(),
            norm: 0.0,
            threads,
        }
    }
}

/// As many bytes of another type, made when asked for.
#[derive(Debug, Default)]
enum Other {
    #[default]
    None,
    F64(Work, Vec<f64>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
}

impl Other {
    fn make(work: Work, bytes: usize) -> Self {
        let uniform = |size: usize| filled(bytes / size, Role::Gradient, 0).into_iter();
        match work {
            Work::MeasureF64 => Self::F64(work, uniform(8).map(f64::from).collect()),
            Work::MeasureHugeF64 => {
                Self::F64(work, uniform(8).map(|x| f64::from(x) * 1e200).collect())
            }
            Work::MeasureF16 => Self::F16(uniform(2).map(f16::from_f32).collect()),
            Work::MeasureBf16 => Self::Bf16(uniform(2).map(bf16::from_f32).collect()),
            _ => Self::None,
        }
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
        self.norm = (set.elements() as f64 / 3.0).sqrt();
        // A plan writes nothing, so that this stays below the norm.
        let max = GlobalNorm::new(0.5 * self.norm).expect("a positive norm");
        self.guard = Guard::new().clip(max);
    }

    fn refill(&mut self) {
        for (index, g) in self.grads.iter_mut().enumerate() {
            fill(g, Role::Gradient, index);
        }
    }

    fn loaded_norm(&self) -> f64 {
        self.norm
    }

    fn prepare(&mut self, work: Work) -> bool {
        let made = match &self.other {
            Other::F64(of, _) => *of == work,
            Other::F16(_) => work == Work::MeasureF16,
            Other::Bf16(_) => work == Work::MeasureBf16,
            Other::None => false,
        };
        if !made {
            self.other = Other::make(work, self.grads.iter().map(|g| 4 * g.len()).sum());
        }
        false
    }

    fn run(&mut self, work: Work, bound: f64) -> Option<f64> {
        self.work(work, bound).expect("steadygrad to run")
    }

    fn fact(&mut self, fact: &Fact) -> String {
        let mut f16s: Vec<f16> = fact.values.iter().map(|&x| f16::from_f32(x)).collect();
        let mut f32s = fact.values.to_vec();
        let max = fact.max.into();
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
        Ok(Some(match (work, &self.other) {
            (Work::Measure, _) => norm(Measurement::of(&self.grads)?),
            (Work::Keep | Work::Clip, _) => clip::global_norm(&mut self.grads, bound)?.before(),
            (Work::Value, _) => clip::value(&mut self.grads, bound)?.before(),
            (Work::L1, _) => L1::new(LAMBDA)?.apply(&self.weights, &mut self.grads)?,
            (Work::L2, _) => L2::new(LAMBDA)?.apply(&self.weights, &mut self.grads)?,
            (Work::Sgd, _) => self.sgd()?,
            (Work::MeasureF64 | Work::MeasureHugeF64, Other::F64(_, values)) => {
                norm(Measurement::of(values)?)
            }
            (Work::MeasureF16, Other::F16(values)) => norm(Measurement::of(values)?),
            (Work::MeasureBf16, Other::Bf16(values)) => norm(Measurement::of(values)?),
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
