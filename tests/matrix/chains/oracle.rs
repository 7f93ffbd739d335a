//! What a chain of rules must make of gradients, with the error that `f64` and its order of work may bring.

use steadygrad::{Norm, OnNonFinite};

use super::exact::Real;
use super::rules::{Chain, Own, Rule};
use crate::container::{Number, Numbers};

/// Half the distance from 1 to the next `f64`.
fn u() -> Real {
    Real::pow2(-53)
}

/// What the error of a measured norm is at most, relatively; powers are taken by `powf`.
fn of_norm(norm: Norm) -> Real {
    match norm {
        Norm::P(_) => Real::pow2(-47),
        _ => Real::of(16.0) * u(),
    }
}

/// A magnitude, and by how much the computed one may miss it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element {
    pub(crate) value: Real,
    pub(crate) error: Real,
    pub(crate) negative: bool,
}

/// The gradients on their way through the chain.
pub(crate) struct Oracle {
    pub(crate) tensors: Vec<Vec<Element>>,
    /// Whether a clamp has changed something: from then on norms are those of rounded elements.
    bitten: bool,
    /// Whether any rule has anything to do, as far as it can be told.
    pub(crate) touched: Option<bool>,
    /// The largest element there was on the way.
    pub(crate) largest: Real,
}

/// What a rule by a norm does.
enum Shrink {
    Keep,
    Zero,
    /// By this factor, with this relative error.
    Scale(Real, Real),
    /// By one at most, and at least by one less this.
    Hardly(Real),
}

/// `Σ` of powers and its root, for the norms that have one here.
fn norm_of(norm: Norm, xs: impl Iterator<Item = Real>) -> Real {
    match norm {
        Norm::L1 => xs.fold(Real::ZERO, |sum, x| sum + x),
        Norm::L2 => xs.fold(Real::ZERO, |sum, x| sum + x * x).sqrt(),
        Norm::Max => xs.fold(Real::ZERO, Real::max),
        Norm::P(_) => xs.fold(Real::ZERO, |sum, x| sum + x * x * x).cbrt(),
    }
}

impl Oracle {
    /// `None` where there is nothing to be said: NaN or infinities that are left, rules without an oracle.
    pub(crate) fn run<E: Number>(
        chain: &Chain,
        names: &[&str],
        grads: &Numbers<E>,
    ) -> Option<Self> {
        let mut oracle = Self::start(chain.policy, grads)?;
        for rule in &chain.rules {
            match *rule {
                Rule::Value { min, max } => {
                    for i in 0..grads.len() {
                        oracle.clamp::<E>(i, min, max);
                    }
                }
                Rule::TensorNorm { max, norm } => {
                    for i in 0..grads.len() {
                        let shrink = oracle.shrink::<E>(i..i + 1, max, norm)?;
                        oracle.carry_out(i, &shrink);
                    }
                }
                Rule::GlobalNorm { max, norm } => {
                    let shrink = oracle.shrink::<E>(0..grads.len(), max, norm)?;
                    (0..grads.len()).for_each(|i| oracle.carry_out(i, &shrink));
                }
                Rule::Own(own) => {
                    let at = |name| names.iter().position(|&n| n == name);
                    let exactly = |factor| Shrink::Scale(Real::of(factor), Real::ZERO);
                    match own {
                        Own::ScaleAll(factor) => {
                            (0..grads.len()).for_each(|i| oracle.carry_out(i, &exactly(factor)));
                        }
                        Own::Scale(name, factor) => oracle.carry_out(at(name)?, &exactly(factor)),
                        Own::Clamp(name, min, max) => oracle.own_clamp::<E>(at(name)?, min, max),
                        Own::Zero(name) => oracle.carry_out(at(name)?, &Shrink::Zero),
                        Own::ScaleUnits(..) => return None,
                    }
                }
                Rule::Detect(..) => (),
            }
        }
        Some(oracle)
    }

    fn start<E: Number>(policy: OnNonFinite, grads: &Numbers<E>) -> Option<Self> {
        let is_bad = |xs: &Vec<E>| xs.iter().any(|x| !x.widen().is_finite());
        let any_bad = grads.iter().any(is_bad);
        if any_bad && !matches!(policy, OnNonFinite::ZeroAll | OnNonFinite::ZeroTensor) {
            return None;
        }
        let tensor = |xs: &Vec<E>| {
            let zeroed = is_bad(xs) || any_bad && policy == OnNonFinite::ZeroAll;
            let element = |x: &E| Element {
                value: if zeroed {
                    Real::ZERO
                } else {
                    Real::of(x.widen())
                },
                error: Real::ZERO,
                negative: !zeroed && x.widen().is_sign_negative(),
            };
            xs.iter().map(element).collect()
        };
        let tensors: Vec<Vec<Element>> = grads.iter().map(tensor).collect();
        Some(Self {
            tensors,
            bitten: false,
            touched: Some(any_bad),
            largest: Real::ZERO,
        })
    }

    fn touch(&mut self, certain: bool) {
        match certain {
            true => self.touched = Some(true),
            false if self.touched == Some(false) => self.touched = None,
            false => (),
        }
    }

    fn shrink<E: Number>(
        &self,
        tensors: std::ops::Range<usize>,
        max: f64,
        norm: Norm,
    ) -> Option<Shrink> {
        if matches!(norm, Norm::P(p) if p != 3.0) {
            return None;
        }
        if max.is_infinite() {
            return Some(Shrink::Keep);
        }
        let all = || self.tensors[tensors.clone()].iter().flatten();
        let size = norm_of(norm, all().map(|x| x.value));
        if size.is_zero() {
            return Some(Shrink::Keep);
        }
        // Rounded to the element type before they are measured again.
        let rounding = |x: &Element| {
            if self.bitten {
                last_place::<E>(x.value)
            } else {
                Real::ZERO
            }
        };
        let off = norm_of(norm, all().map(|x| x.error + rounding(x)));
        let off = off / size + of_norm(norm);
        if off > Real::of(0.01) {
            return None;
        }
        let (bound, slack) = (Real::of(max), Real::of(2.0) * off * size);
        Some(if size + slack <= bound {
            Shrink::Keep
        } else if max == 0.0 {
            Shrink::Zero
        } else if size > bound + slack {
            Shrink::Scale(bound / size, Real::of(2.0) * off)
        } else {
            Shrink::Hardly(Real::of(4.0) * off)
        })
    }

    fn carry_out(&mut self, tensor: usize, shrink: &Shrink) {
        let (factor, off) = match *shrink {
            Shrink::Keep => return,
            Shrink::Zero => {
                self.touch(true);
                let zero = Element {
                    value: Real::ZERO,
                    error: Real::ZERO,
                    negative: false,
                };
                return self.tensors[tensor].fill(zero);
            }
            Shrink::Scale(factor, off) => {
                self.touch(true);
                (factor, off)
            }
            Shrink::Hardly(off) => {
                self.touch(false);
                (Real::of(1.0), off)
            }
        };
        for x in &mut self.tensors[tensor] {
            x.value = x.value * factor;
            // Two roundings of an f64, which may be subnormal.
            x.error = x.error * factor + x.value * (off + Real::of(3.0) * u()) + Real::pow2(-1074);
            self.largest = self.largest.max(x.value);
        }
    }

    /// By a rule that looks first.
    fn clamp<E: Number>(&mut self, tensor: usize, min: f64, max: f64) {
        let (low, high) = (E::toward_zero(min).widen(), E::toward_zero(max).widen());
        let slack = |x: &Element| x.error + last_place::<E>(x.value);
        let outside = self.tensors[tensor]
            .iter()
            .any(|x| x.is_beyond(min, max, slack(x)));
        let perhaps = self.tensors[tensor]
            .iter()
            .any(|x| x.may_be_beyond(low, high, slack(x)));
        if outside || perhaps {
            self.touch(outside);
            self.bite(tensor, low, high, outside);
        }
    }

    /// By a rule that does not.
    fn own_clamp<E: Number>(&mut self, tensor: usize, min: f64, max: f64) {
        self.touch(true);
        self.bite(
            tensor,
            E::toward_zero(min).widen(),
            E::toward_zero(max).widen(),
            true,
        );
    }

    /// Where it is not certain, elements between the bounds and what they are rounded to may stay as well.
    fn bite(&mut self, tensor: usize, low: f64, high: f64, certain: bool) {
        self.bitten = true;
        for x in &mut self.tensors[tensor] {
            let bound = if x.is_beyond(low, f64::INFINITY, Real::ZERO) {
                low
            } else if x.is_beyond(f64::NEG_INFINITY, high, Real::ZERO) {
                high
            } else {
                continue;
            };
            if !certain {
                let apart = if x.negative == bound.is_sign_negative() {
                    x.value.distance(Real::of(bound))
                } else {
                    x.value + Real::of(bound)
                };
                x.error = x.error + apart;
            } else if x.is_beyond(low, high, x.error) {
                x.error = Real::ZERO;
            }
            (x.value, x.negative) = (Real::of(bound), bound.is_sign_negative());
            self.largest = self.largest.max(x.value);
        }
    }
}

impl Element {
    /// Whether it is above `bound` by more than `margin`.
    fn is_above(&self, bound: f64, margin: Real) -> bool {
        if bound.is_infinite() {
            return bound < 0.0;
        }
        let size = Real::of(bound);
        match (self.negative, bound >= 0.0) {
            (false, true) => self.value > size + margin,
            (false, false) => self.value + size > margin,
            (true, true) => false,
            (true, false) => self.value + margin < size,
        }
    }

    /// Whether it is outside by more than `margin`.
    fn is_beyond(&self, min: f64, max: f64, margin: Real) -> bool {
        let mirrored = Self {
            negative: !self.negative,
            ..*self
        };
        self.is_above(max, margin) || mirrored.is_above(-min, margin)
    }

    /// Whether it is outside, or inside by no more than `margin`.
    fn may_be_beyond(&self, min: f64, max: f64, margin: Real) -> bool {
        let near = |bound: f64| {
            bound.is_finite() && {
                let size = Real::of(bound);
                let apart = if (bound < 0.0) == self.negative {
                    self.value.distance(size)
                } else {
                    self.value + size
                };
                apart <= margin
            }
        };
        self.is_beyond(min, max, Real::ZERO) || near(min) || near(max)
    }
}

/// The unit in the last place of a number of the type that is near `x`.
pub(crate) fn last_place<E: Number>(x: Real) -> Real {
    let e = if x.is_zero() {
        E::SMALLEST
    } else {
        x.exponent() - E::BITS + 1
    };
    Real::pow2(e.max(E::SMALLEST))
}
