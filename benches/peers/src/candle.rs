//! The loop candle users paste (candle has no clipping: its issue 2962): a square, a sum and one scalar read
//! per tensor, then a product that makes a new tensor.

use candle_core::{DType, Device, Result, Tensor, Var};

use crate::child::Peer;
use crate::facts::{Fact, show};
use crate::sets::{Role, Set, filled};
use crate::work::{LAMBDA, RATE, Work};

/// Gradients and weights as candle tensors on the CPU.
#[derive(Debug, Default)]
pub(crate) struct Candle {
    shapes: Vec<Vec<usize>>,
    grads: Vec<Tensor>,
    weights: Vec<Var>,
    norm: f64,
}

/// New tensors of these shapes.
pub(crate) fn tensors(shapes: &[Vec<usize>], role: Role) -> impl Iterator<Item = Result<Tensor>> {
    shapes.iter().enumerate().map(move |(index, shape)| {
        let values = filled(shape.iter().product(), role, index);
        Tensor::from_vec(values, shape.as_slice(), &Device::Cpu)
    })
}

/// The gradient of a fact, in its type.
pub(crate) fn gradient(fact: &Fact) -> Result<Tensor> {
    let dtype = if fact.is_half { DType::F16 } else { DType::F32 };
    Tensor::new(fact.values, &Device::Cpu)?.to_dtype(dtype)
}

/// The gradient of a fact after a clip, as text.
pub(crate) fn shown(g: &Tensor) -> Result<String> {
    Ok(show(g.to_dtype(DType::F32)?.to_vec1::<f32>()?))
}

impl Candle {
    fn global_norm(&self) -> Result<f32> {
        let mut sum = 0.0;
        for g in &self.grads {
            sum += g.sqr()?.sum_all()?.to_scalar::<f32>()?;
        }
        Ok(sum.sqrt())
    }

    fn clip(&mut self, max: f32) -> Result<f32> {
        let norm = self.global_norm()?;
        if norm > max {
            let scale = Tensor::new(max / norm, &Device::Cpu)?;
            for g in &mut self.grads {
                *g = g.broadcast_mul(&scale)?;
            }
        }
        Ok(norm)
    }

    fn work(&mut self, work: Work, bound: f64) -> Result<Option<f64>> {
        let penalty = |value: Tensor| value.sum_all()?.to_scalar::<f32>();
        Ok(Some(match work {
            Work::Measure => self.global_norm()?.into(),
            Work::Keep | Work::Clip => self.clip(bound as f32)?.into(),
            Work::Value => {
                for g in &mut self.grads {
                    *g = g.clamp(-bound, bound)?;
                }
                0.0
            }
            Work::L1 => {
                let mut sum = 0.0;
                for (g, w) in self.grads.iter_mut().zip(&self.weights) {
                    let w = w.as_detached_tensor();
                    sum += penalty(w.abs()?)?;
                    *g = (&*g + (w.sign()? * LAMBDA)?)?;
                }
                LAMBDA * f64::from(sum)
            }
            Work::L2 => {
                let mut sum = 0.0;
                for (g, w) in self.grads.iter_mut().zip(&self.weights) {
                    let w = w.as_detached_tensor();
                    sum += penalty(w.sqr()?)?;
                    *g = (&*g + (w * LAMBDA)?)?;
                }
                LAMBDA / 2.0 * f64::from(sum)
            }
            Work::Sgd => {
                let norm = self.clip(bound as f32)?;
                // As candle-nn's SGD has it.
                for (w, g) in self.weights.iter().zip(&self.grads) {
                    w.set(&w.sub(&(g * RATE)?)?)?;
                }
                norm.into()
            }
            _ => return Ok(None),
        }))
    }

    fn half(fact: &Fact) -> Result<String> {
        let g = gradient(fact)?;
        let norm = g
            .sqr()?
            .sum_all()?
            .sqrt()?
            .to_dtype(DType::F32)?
            .to_scalar::<f32>()?;
        let g = if norm > fact.max {
            (g * f64::from(fact.max / norm))?
        } else {
            g
        };
        shown(&g)
    }
}

impl Peer for Candle {
    fn about(&self) -> String {
        "candle 0.11".to_owned()
    }

    fn load(&mut self, set: &Set) {
        *self = Self::default();
        self.shapes.clone_from(&set.shapes);
        self.norm = set.norm();
        self.refill();
        let weights = tensors(&self.shapes, Role::Weight).map(|w| Var::from_tensor(&w?));
        self.weights = weights.collect::<Result<_>>().expect("weights");
    }

    fn refill(&mut self) {
        self.grads.clear();
        let grads = tensors(&self.shapes, Role::Gradient).collect::<Result<_>>();
        self.grads = grads.expect("gradients");
    }

    fn loaded_norm(&self) -> f64 {
        self.norm
    }

    fn run(&mut self, work: Work, bound: f64) -> Option<f64> {
        self.work(work, bound).expect("candle to run")
    }

    fn fact(&mut self, fact: &Fact) -> String {
        if fact.is_half {
            return Self::half(fact).unwrap_or_else(|error| error.to_string());
        }
        self.grads = vec![gradient(fact).expect("a tensor")];
        let clipped = self.clip(fact.max).and_then(|_| shown(&self.grads[0]));
        clipped.unwrap_or_else(|error| error.to_string())
    }
}
