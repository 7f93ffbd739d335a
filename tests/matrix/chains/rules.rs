//! The rules of a chain as values, to be built as often as they are wanted.

use steadygrad::clip::{Clipper, GlobalNorm, TensorNorm, Value};
use steadygrad::{Factor, Guard, Needs, Norm, OnNonFinite, Pen, Units, Verdict};
use steadygrad::{
    StepView,
    detect::{NonFinite, NormThreshold, PersistentNorm, Plateau, WeightGrowth},
};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    Value { min: f64, max: f64 },
    TensorNorm { max: f64, norm: Norm },
    GlobalNorm { max: f64, norm: Norm },
    Own(Own),
    Detect(Watch, Verdict),
}

/// What a rule of the user's own does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Own {
    ScaleAll(f64),
    /// The tensor of this name.
    Scale(&'static str, f64),
    Clamp(&'static str, f64, f64),
    Zero(&'static str),
    /// A factor for each unit of a flat tensor, such as no `f64` holds too.
    ScaleUnits(&'static str, Factor),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Watch {
    NonFinite,
    Norm { max: f64, per_tensor: bool },
    Persistent { max: f64, steps: u64 },
    Growth { ratio: f64 },
    Plateau { delta: f64, steps: u64 },
}

#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) rules: Vec<Rule>,
    pub(crate) policy: OnNonFinite,
}

impl Chain {
    pub(crate) fn guard(&self) -> Guard {
        let guard = Guard::new().on_non_finite(self.policy).max_skips(1000);
        self.rules
            .iter()
            .fold(guard, |guard, rule| rule.add_to(guard))
    }
}

impl Rule {
    fn add_to(self, guard: Guard) -> Guard {
        match self {
            Self::Value { min, max } => guard.clip(Value::between(min, max).unwrap()),
            Self::TensorNorm { max, norm } => {
                guard.clip(TensorNorm::new(max).unwrap().norm(norm).unwrap())
            }
            Self::GlobalNorm { max, norm } => {
                guard.clip(GlobalNorm::new(max).unwrap().norm(norm).unwrap())
            }
            Self::Own(own) => guard.clip(own),
            Self::Detect(watch, verdict) => watch.add_to(guard, verdict),
        }
    }

    /// Its upper bound.
    pub(crate) fn max(self) -> f64 {
        match self {
            Self::Value { max, .. }
            | Self::TensorNorm { max, .. }
            | Self::GlobalNorm { max, .. } => max,
            _ => f64::INFINITY,
        }
    }

    /// The general p whose powers it wants.
    pub(crate) fn power(self) -> Option<f64> {
        match self {
            Self::TensorNorm { norm, .. } | Self::GlobalNorm { norm, .. } => norm.power(),
            _ => None,
        }
    }

    pub(crate) fn clamps(self) -> bool {
        matches!(self, Self::Value { .. } | Self::Own(Own::Clamp(..)))
    }

    /// Whether it may make an element larger than it was.
    pub(crate) fn grows(self) -> bool {
        match self {
            Self::Own(Own::ScaleAll(factor) | Own::Scale(_, factor)) => factor > 1.0,
            Self::Own(Own::ScaleUnits(_, factor)) => factor > Factor::ONE,
            Self::Own(Own::Clamp(_, min, max)) | Self::Value { min, max } => min > 0.0 || max < 0.0,
            _ => false,
        }
    }
}

impl Clipper for Own {
    fn name(&self) -> &'static str {
        "own"
    }

    fn needs(&self) -> Needs {
        match self {
            Self::ScaleUnits(..) => Needs::norms().of_units(Units::First),
            _ => Needs::norms(),
        }
    }

    fn plan(&mut self, step: &StepView<'_>, pen: &mut Pen<'_>) {
        let at = |name| (0..step.grads.len()).find(|&i| step.grads.name(i) == name);
        match *self {
            Self::ScaleAll(factor) => pen.scale_all(Factor::new(factor).unwrap()),
            Self::Scale(name, factor) => at(name)
                .into_iter()
                .for_each(|i| pen.scale(i, Factor::new(factor).unwrap())),
            Self::Clamp(name, min, max) => {
                at(name).into_iter().for_each(|i| pen.clamp(i, min, max));
            }
            Self::Zero(name) => at(name).into_iter().for_each(|i| pen.zero(i)),
            Self::ScaleUnits(name, factor) => at(name).into_iter().for_each(|i| {
                let units = step.grads.units(i).len();
                pen.scale_units(i, &vec![factor; units]);
            }),
        }
    }
}

impl Watch {
    fn add_to(self, guard: Guard, verdict: Verdict) -> Guard {
        match self {
            Self::NonFinite => guard.detect_with(verdict, NonFinite),
            Self::Norm { max, per_tensor } => {
                let threshold = NormThreshold::new(max).unwrap();
                guard.detect_with(
                    verdict,
                    if per_tensor {
                        threshold.per_tensor()
                    } else {
                        threshold
                    },
                )
            }
            Self::Persistent { max, steps } => {
                guard.detect_with(verdict, PersistentNorm::new(max, steps).unwrap())
            }
            Self::Growth { ratio } => guard.detect_with(verdict, WeightGrowth::new(ratio).unwrap()),
            Self::Plateau { delta, steps } => {
                guard.detect_with(verdict, Plateau::new(delta, steps).unwrap())
            }
        }
    }
}
