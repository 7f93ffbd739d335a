//! steadygrad on plain buffers: the one-line functions.

use half::{bf16, f16};

use steadygrad::{Edits, Factor, Measurement, Result, TensorSetMut};

use crate::child::Peer;
use crate::facts::{Fact, show};
use crate::sets::{Role, Set, fill, filled};
use crate::work::Work;

/// Gradients and weights as lists of buffers.
#[derive(Debug, Default)]
pub(crate) struct Ours {
    grads: Vec<Vec<f32>>,
    weights: Vec<Vec<f32>>,
    other: Other,
    norm: f64,
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
        *self = Self::default();
        let make = |role| {
            set.lens()
                .enumerate()
                .map(|(index, len)| filled(len, role, index))
                .collect()
        };
        self.grads = make(Role::Gradient);
        self.weights = make(Role::Weight);
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
        if fact.is_half {
            let mut g: Vec<f16> = fact.values.iter().map(|&x| f16::from_f32(x)).collect();
            return match clip(&mut g, fact.max.into()) {
                Ok(_) => show(g.iter().map(|x| x.to_f32())),
                Err(error) => error.to_string(),
            };
        }
        let mut g = fact.values.to_vec();
        match clip(&mut g, fact.max.into()) {
            Ok(_) => show(g),
            Err(error) => error.to_string(),
        }
    }
}

fn clip(set: &mut impl TensorSetMut, max: f64) -> Result<f64> {
    let measurement = Measurement::of(set)?;
    let norm = measurement.total().l2();
    if norm > max {
        let mut edits = Edits::for_count(measurement.len());
        edits.scale_all(Factor::new(max / norm)?);
        set.apply(&edits)?;
    }
    Ok(norm)
}

impl Ours {
    fn work(&mut self, work: Work, bound: f64) -> Result<Option<f64>> {
        let norm = |measurement: Measurement| measurement.total().l2();
        Ok(Some(match (work, &self.other) {
            (Work::Measure, _) => norm(Measurement::of(&self.grads)?),
            (Work::Keep | Work::Clip, _) => clip(&mut self.grads, bound)?,
            (Work::Value, _) => {
                let mut edits = Edits::for_count(self.grads.len());
                for index in 0..self.grads.len() {
                    edits.clamp(index, -bound, bound);
                }
                self.grads.apply(&edits)?;
                0.0
            }
            (Work::MeasureF64 | Work::MeasureHugeF64, Other::F64(_, values)) => {
                norm(Measurement::of(values)?)
            }
            (Work::MeasureF16, Other::F16(values)) => norm(Measurement::of(values)?),
            (Work::MeasureBf16, Other::Bf16(values)) => norm(Measurement::of(values)?),
            _ => return Ok(None),
        }))
    }
}
