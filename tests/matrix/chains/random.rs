//! Random numbers over the whole range of a type, random rules about as large, random steps.

use steadygrad::{Measurement, Needs, Norm, OnNonFinite, Verdict, Wide};

use super::rules::{Chain, Own, Rule, Watch};
use crate::container::{Number, Numbers};
use crate::numbers::{Format, Random};

/// What a step of training brings.
#[derive(Clone, Debug)]
pub(crate) struct Step<E> {
    pub(crate) grads: Numbers<E>,
    pub(crate) params: Option<Numbers<E>>,
    pub(crate) loss: Option<f64>,
}

/// Where numbers may come from.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Finite,
    /// With NaN and infinities in about every third set.
    Any,
}

impl Random {
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.bits().is_multiple_of(n)
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.between(0, from.len() as i64 - 1) as usize].clone()
    }

    /// Mostly about one exponent, here and there over the whole range.
    pub(crate) fn numbers<E: Number>(&mut self, lengths: &[usize], kind: Kind) -> Numbers<E> {
        let center = match self.bits() % 8 {
            0 => E::SMALLEST + self.between(0, E::BITS),
            1 => E::LARGEST,
            2 | 3 => self.between(E::SMALLEST, E::LARGEST),
            _ => self.between(-4, 3),
        };
        let strange = kind == Kind::Any && self.one_in(3);
        let tensor = |&len: &usize| {
            let strange = strange && self.one_in(2);
            (0..len).map(|_| self.number(center, strange)).collect()
        };
        lengths.iter().map(tensor).collect()
    }

    fn number<E: Number>(&mut self, center: i64, strange: bool) -> E {
        let near = (center + self.between(-6, 0)).clamp(E::SMALLEST - 1, E::LARGEST);
        match self.bits() % 24 {
            0 => E::narrow(0.0),
            1 => E::narrow(-0.0),
            2 => E::make(1.0, E::SMALLEST),
            3 => {
                let e = self.between(E::SMALLEST, E::LARGEST);
                E::make(self.unit(), e)
            }
            4 if strange => E::narrow(self.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY])),
            _ => E::make(self.unit(), near),
        }
    }

    pub(crate) fn step<E: Number>(&mut self, lengths: &[usize], kind: Kind) -> Step<E> {
        let loss = match (self.bits() % 12, kind) {
            (0, Kind::Any) => Some(self.pick(&[f64::NAN, f64::INFINITY])),
            (1..=5, _) => Some(self.unit() * 10.0),
            _ => None,
        };
        Step {
            grads: self.numbers(lengths, kind),
            params: self.one_in(3).then(|| self.numbers(lengths, kind)),
            loss,
        }
    }

    /// A bound about as large as a norm of the gradients.
    fn bound<E: Number>(&mut self, grads: &Numbers<E>, norm: Norm) -> f64 {
        let mut needs = Needs::norms().of_magnitudes();
        needs.power = norm.power();
        let Ok(seen) = Measurement::with_needs(grads, &needs) else {
            return 1.0;
        };
        let size = seen.total().norm(norm);
        let size = if size.is_finite() { size } else { Wide::ONE };
        let bound = match self.bits() % 16 {
            0 => return 0.0,
            1 => return f64::INFINITY,
            2 => size,
            3 => size * Wide::new(1.0 + self.unit().abs(), self.between(-300, 300)),
            _ => size * Wide::new(1.0 + self.unit().abs(), self.between(-5, 1)),
        };
        bound.to_f64()
    }

    pub(crate) fn norm(&mut self) -> Norm {
        let norms = [
            Norm::L2,
            Norm::L2,
            Norm::L2,
            Norm::L1,
            Norm::Max,
            Norm::P(3.0),
            Norm::P(2.5),
        ];
        self.pick(&norms)
    }

    /// A rule that only shrinks.
    pub(crate) fn shrinking<E: Number>(&mut self, grads: &Numbers<E>) -> Rule {
        let norm = self.norm();
        let max = self.bound(grads, norm);
        match self.bits() % 6 {
            0 => {
                let max = self.bound(grads, Norm::Max);
                Rule::Value {
                    min: 0.0 - max,
                    max,
                }
            }
            1 => {
                let (a, b) = (self.bound(grads, Norm::Max), self.bound(grads, Norm::Max));
                Rule::Value {
                    min: 0.0 - a,
                    max: b,
                }
            }
            2 | 3 => Rule::TensorNorm { max, norm },
            _ => Rule::GlobalNorm { max, norm },
        }
    }

    fn own(&mut self, names: &[&'static str]) -> Own {
        let name = if names.is_empty() {
            ""
        } else {
            self.pick(names)
        };
        let near = (1.0 + self.unit()) * self.pick(&[0.5, 1.0, 2.0]);
        let far = f64::make(1.0 + self.unit().abs(), self.between(-250, 250));
        let factor = if self.one_in(4) { far } else { near };
        match self.bits() % 6 {
            0 => Own::ScaleAll(factor),
            1 => Own::Scale(name, factor),
            2 => Own::Clamp(name, -factor, 2.0 * factor),
            3 => Own::Clamp(name, factor, 3.0 * factor),
            4 => Own::Zero(name),
            _ => Own::Scale(name, 1.0),
        }
    }

    pub(crate) fn watch<E: Number>(&mut self, grads: &Numbers<E>) -> Watch {
        let max = self.bound(grads, Norm::L2);
        match self.bits() % 6 {
            0 => Watch::NonFinite,
            1 => Watch::Norm {
                max,
                per_tensor: false,
            },
            2 => Watch::Norm {
                max,
                per_tensor: true,
            },
            3 => Watch::Persistent {
                max,
                steps: 1 + self.bits() % 3,
            },
            4 => Watch::Growth {
                ratio: 1.0 + self.unit().abs() + 1e-9,
            },
            _ => Watch::Plateau {
                delta: self.unit().abs(),
                steps: 1 + self.bits() % 3,
            },
        }
    }

    /// One to five rules of all kinds, and any policy.
    pub(crate) fn chain<E: Number>(&mut self, grads: &Numbers<E>, names: &[&'static str]) -> Chain {
        let count = self.between(1, 5);
        let rule = |_| match self.bits() % 8 {
            0 => Rule::Own(self.own(names)),
            1 | 2 => {
                let verdicts = [
                    Verdict::Apply,
                    Verdict::Apply,
                    Verdict::Skip,
                    Verdict::Rollback,
                    Verdict::Stop,
                ];
                Rule::Detect(self.watch(grads), self.pick(&verdicts))
            }
            _ => self.shrinking(grads),
        };
        let rules = (0..count).map(rule).collect();
        Chain {
            rules,
            policy: self.policy(),
        }
    }

    pub(crate) fn policy(&mut self) -> OnNonFinite {
        self.pick(&[
            OnNonFinite::Skip,
            OnNonFinite::Error,
            OnNonFinite::ZeroTensor,
            OnNonFinite::ZeroAll,
            OnNonFinite::Propagate,
        ])
    }

    /// As many tensors as that, of few elements.
    pub(crate) fn lengths(&mut self, most: i64) -> Vec<usize> {
        let count = self.between(1, most);
        (0..count)
            .map(|_| {
                if self.one_in(6) {
                    0
                } else {
                    self.between(1, 12) as usize
                }
            })
            .collect()
    }
}
