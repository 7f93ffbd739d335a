//! The loops one writes first with ndarray.

use half::f16;
use ndarray::{Array1, ArrayD, Zip};

use crate::child::Peer;
use crate::facts::{Fact, show};
use crate::sets::{Role, Set, fill, filled};
use crate::work::{LAMBDA, RATE, Work};

/// Gradients and weights as arrays.
#[derive(Debug, Default)]
pub(crate) struct Naive {
    grads: Vec<ArrayD<f32>>,
    weights: Vec<ArrayD<f32>>,
    norm: f64,
}

impl Naive {
    fn global_norm(&self) -> f32 {
        self.grads
            .iter()
            .map(|g| g.mapv(|x| x * x).sum())
            .sum::<f32>()
            .sqrt()
    }

    fn clip(&mut self, max: f32) -> f32 {
        let norm = self.global_norm();
        if norm > max {
            let scale = max / norm;
            for g in &mut self.grads {
                g.mapv_inplace(|x| x * scale);
            }
        }
        norm
    }
}

impl Peer for Naive {
    fn about(&self) -> String {
        "ndarray 0.17".to_owned()
    }

    fn load(&mut self, set: &Set) {
        *self = Self::default();
        let make = |role| {
            let make = |(index, shape): (usize, &Vec<usize>)| {
                let values = filled(shape.iter().product(), role, index);
                ArrayD::from_shape_vec(shape.as_slice(), values)
                    .expect("as many values as the shape says")
            };
            set.shapes.iter().enumerate().map(make).collect()
        };
        self.grads = make(Role::Gradient);
        self.weights = make(Role::Weight);
        self.norm = set.norm();
    }

    fn refill(&mut self) {
        for (index, g) in self.grads.iter_mut().enumerate() {
            fill(
                g.as_slice_mut().expect("a contiguous array"),
                Role::Gradient,
                index,
            );
        }
    }

    fn loaded_norm(&self) -> f64 {
        self.norm
    }

    fn run(&mut self, work: Work, bound: f64) -> Option<f64> {
        let bound = bound as f32;
        let lambda = LAMBDA as f32;
        Some(match work {
            Work::Measure => self.global_norm().into(),
            Work::Keep | Work::Clip => self.clip(bound).into(),
            Work::Value => {
                for g in &mut self.grads {
                    g.mapv_inplace(|x| x.clamp(-bound, bound));
                }
                0.0
            }
            Work::L1 => {
                let mut sum = 0.0;
                for (g, w) in self.grads.iter_mut().zip(&self.weights) {
                    sum += w.mapv(f32::abs).sum();
                    Zip::from(g)
                        .and(w)
                        .for_each(|g, &w| *g += lambda * w.signum());
                }
                (lambda * sum).into()
            }
            Work::L2 => {
                let mut sum = 0.0;
                for (g, w) in self.grads.iter_mut().zip(&self.weights) {
                    sum += w.mapv(|x| x * x).sum();
                    g.scaled_add(lambda, w);
                }
                (lambda / 2.0 * sum).into()
            }
            Work::Sgd => {
                let norm = self.clip(bound);
                for (w, g) in self.weights.iter_mut().zip(&self.grads) {
                    w.scaled_add(-RATE as f32, g);
                }
                norm.into()
            }
            _ => return None,
        })
    }

    fn fact(&mut self, fact: &Fact) -> String {
        if fact.is_half {
            let mut g: Array1<f16> = fact.values.iter().map(|&x| f16::from_f32(x)).collect();
            let (max, norm) = (
                f16::from_f32(fact.max),
                f16::from_f32(g.mapv(|x| x * x).sum().to_f32().sqrt()),
            );
            if norm > max {
                g.mapv_inplace(|x| x * (max / norm));
            }
            return show(g.iter().map(|x| x.to_f32()));
        }
        self.grads = vec![Array1::from(fact.values.to_vec()).into_dyn()];
        self.clip(fact.max);
        show(self.grads[0].iter().copied())
    }
}
