//! A device of plain vectors, every operation of which is rounded to the type that it should have.

use std::ops::Range;

use steadygrad::Result;
use steadygrad::device::{Axes, Engine, Fold, Kind, Map, Zip};

/// Reckons in this type, and does one thing wrong.
#[derive(Clone, Debug)]
pub(crate) struct Vectors(pub(crate) Kind, pub(crate) Option<Wrong>);

/// What a device may get wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wrong {
    Sum,
    Max,
    Min,
    Front,
    Part,
    Zip,
    Put,
    Nan,
    Below,
    Clamp,
    Power,
    Zero,
    Finite,
}

/// Numbers that the type has.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    pub(crate) values: Vec<f64>,
    pub(crate) dims: Vec<usize>,
    pub(crate) kind: Kind,
}

impl Numbers {
    fn flat(values: impl IntoIterator<Item = f64>, kind: Kind) -> Self {
        let values: Vec<f64> = values.into_iter().map(|x| rounded(x, kind)).collect();
        Self {
            dims: vec![values.len()],
            values,
            kind,
        }
    }
}

/// To the nearest number of the type, from halfway to the even one.
fn rounded(x: f64, kind: Kind) -> f64 {
    let bits = match kind {
        Kind::F64 => return x,
        Kind::F32 => return f64::from(x as f32),
        Kind::F16 => 11,
        Kind::Bf16 => 8,
    };
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let least = kind.smallest().log2() as i32;
    let exponent = (x.abs().log2().floor() as i32).max(least);
    let step = 2f64.powi(exponent - bits + 1);
    let near = (x / step).round_ties_even() * step;
    if near.abs() > kind.largest() {
        f64::INFINITY.copysign(x)
    } else {
        near
    }
}

impl Vectors {
    fn is(&self, wrong: Wrong) -> bool {
        self.1 == Some(wrong)
    }
}

impl Engine for Vectors {
    type Array = Numbers;

    fn dims(&self, x: &Numbers) -> Vec<usize> {
        x.dims.clone()
    }

    fn kind(&self, x: &Numbers) -> Result<Kind> {
        Ok(x.kind)
    }

    fn arithmetic(&self, _: &Numbers) -> Kind {
        self.0
    }

    fn widest(&self, _: &Numbers) -> Kind {
        self.0
    }

    fn part(
        &self,
        x: &Numbers,
        [before, len, after]: Axes,
        range: Range<usize>,
    ) -> Result<Numbers> {
        let rows = (0..before).flat_map(|b| {
            let start = if self.is(Wrong::Part) {
                0
            } else {
                b * len * after
            };
            &x.values[start + range.start * after..start + range.end * after]
        });
        Ok(Numbers::flat(rows.copied(), x.kind))
    }

    fn to_front(&self, x: &Numbers, [before, len, after]: Axes) -> Result<Numbers> {
        let at = |i: usize, b: usize| {
            let start = (b * len + i) * after;
            x.values[start..start + after].iter().copied()
        };
        if self.is(Wrong::Front) {
            return Ok(x.clone());
        }
        let all = (0..len).flat_map(|i| (0..before).flat_map(move |b| at(i, b)));
        Ok(Numbers::flat(all, x.kind))
    }

    fn cast(&self, x: Numbers, kind: Kind) -> Result<Numbers> {
        Ok(Numbers::flat(x.values, kind))
    }

    fn map(&self, x: Numbers, f: Map) -> Result<Numbers> {
        let one = |x: f64| match f {
            Map::Abs => x.abs(),
            Map::Square => x * x,
            Map::Sqrt => x.sqrt(),
            Map::Power(p) if self.is(Wrong::Power) => x.powf(p - 1.0),
            Map::Power(p) => x.powf(p),
            Map::Times(y) => x * rounded(y, self.0),
            Map::Under(y) => rounded(y, self.0) / x,
            Map::AtMost(y) if x > y => y,
            Map::Clamp { min, .. } if self.is(Wrong::Clamp) => x.max(min),
            Map::Clamp { min, .. } if x < min => min,
            Map::Clamp { max, .. } if x > max => max,
            Map::AtMost(_) | Map::Clamp { .. } => x,
            Map::Zero if self.is(Wrong::Zero) => x * 0.0,
            Map::Zero => 0.0,
            Map::FiniteOr(y) => {
                if x.is_finite() {
                    x
                } else {
                    y
                }
            }
            Map::IsNan => f64::from(x.is_nan() && !self.is(Wrong::Nan)),
            Map::IsFinite => f64::from(x.is_finite() && !self.is(Wrong::Finite)),
            Map::Above(y) => f64::from(x > y),
            Map::Below(y) => f64::from(x < y || self.is(Wrong::Below) && x == y),
            other => unreachable!("{other:?}"),
        };
        Ok(Numbers::flat(x.values.iter().map(|&x| one(x)), x.kind))
    }

    fn zip(&self, x: Numbers, [_, len, after]: Axes, by: &Numbers, f: Zip) -> Result<Numbers> {
        let one = |(i, x): (usize, &f64)| {
            let after = if self.is(Wrong::Zip) { 1 } else { after };
            let by = by.values[i / after % len];
            match f {
                Zip::Plus => x + by,
                Zip::Times => x * by,
                Zip::Over => x / by,
                other => unreachable!("{other:?}"),
            }
        };
        Ok(Numbers::flat(x.values.iter().enumerate().map(one), x.kind))
    }

    fn fold(&self, x: Numbers, rows: usize, f: Fold) -> Result<Numbers> {
        let row = |row: &[f64]| {
            let numbers = row.iter().copied();
            match f {
                Fold::Sum if self.is(Wrong::Sum) => numbers.skip(1).sum(),
                Fold::Sum => numbers.fold(0.0, |sum, x| rounded(sum + x, self.0)),
                Fold::Max if self.is(Wrong::Max) => numbers.last().unwrap_or(0.0),
                Fold::Max => numbers.fold(f64::NEG_INFINITY, f64::max),
                Fold::Min if self.is(Wrong::Min) => numbers.fold(f64::NEG_INFINITY, f64::max),
                Fold::Min => numbers.fold(f64::INFINITY, f64::min),
                other => unreachable!("{other:?}"),
            }
        };
        let len = x.values.len() / rows;
        Ok(Numbers::flat(x.values.chunks_exact(len).map(row), x.kind))
    }

    fn values(&self, values: &[f64], _: &Numbers) -> Result<Numbers> {
        Ok(Numbers::flat(values.iter().copied(), self.0))
    }

    fn put(&self, x: &mut Numbers, start: usize, values: Numbers) -> Result<()> {
        let start = if self.is(Wrong::Put) { 0 } else { start };
        x.values[start..start + values.values.len()].copy_from_slice(&values.values);
        Ok(())
    }

    fn to_host(&self, all: Vec<Numbers>) -> Result<Vec<f64>> {
        Ok(all.iter().flat_map(|x| x.values.iter().copied()).collect())
    }
}
