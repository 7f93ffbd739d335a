//! steadygrad on plain buffers: the one-line functions.

use half::{bf16, f16};

use crate::child::Peer;
use crate::facts::Fact;
use crate::sets::{Set, fill, filled};
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
        let uniform = |size: usize| filled(bytes / size, 1).into_iter();
        match work {
            Work::MeasureF64 => Self::F64(work, uniform(8).map(f64::from).collect()),
            Work::MeasureHugeF64 => Self::F64(work, uniform(8).map(|x| f64::from(x) * 1e200).collect()),
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

    fn run(&mut self, _work: Work, _bound: f64) -> Option<f64> {
        None
    }

    fn fact(&mut self, _fact: &Fact) -> String {
        "–".to_owned()
    }
}
