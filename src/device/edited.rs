//! What an edit leaves, on the device.

use alloc::vec::Vec;
use core::ops::Range;

use super::engine::{Axes, Engine, Kind, Map, Zip};
use crate::Result;
use crate::edit::{Edit, Op};
use crate::factor::Factor;
use crate::math::pow2;
use crate::units::units;

/// Elements that are handled at once, where the shape allows: what an edit or a sum takes of the device's memory for
/// itself is bounded by it.
const CHUNK: usize = 1 << 22;

/// Cuts `count` places of `size` elements into runs that are handled at once.
pub(super) fn runs(count: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    let step = (CHUNK / size.max(1)).max(1);
    (0..count)
        .step_by(step)
        .map(move |start| start..count.min(start.saturating_add(step)))
}

/// A tensor seen along one of its axes.
pub(super) fn along(dims: &[usize], axis: usize) -> Axes {
    let product = |dims: &[usize]| dims.iter().product();
    [
        product(&dims[..axis]),
        dims[axis],
        product(&dims[axis + 1..]),
    ]
}

/// Refuses an edit that scales units which the tensor does not have.
pub(super) fn check(edit: &Edit<'_>, dims: &[usize]) -> Result<()> {
    edit.check_units(|axis| units(dims, axis))
}

/// The type in which an edit is carried out: the one in which the device is fast, if no more than one operation rounds.
pub(super) fn carried_out_in<E: Engine>(engine: &E, x: &E::Array, edit: &Edit<'_>) -> Kind {
    let rounds_once = edit.factor().is_some()
        || !edit
            .ops()
            .any(|op| matches!(op, Op::Scale(_) | Op::ScaleUnits { .. }));
    if rounds_once {
        engine.arithmetic(x)
    } else {
        engine.widest(x)
    }
}

/// A factor as numbers of the type that are multiplied in turn, so that nothing is lost on the way.
fn steps(factor: Factor, kind: Kind) -> Vec<f64> {
    let exponents = kind.exponents();
    let (m, e) = factor.to_wide().parts();
    // Beyond this every number of every type becomes 0 or infinite.
    let mut e = e.clamp(-2200, 2200);
    let mut steps = Vec::new();
    // The number itself is below 2, so its exponent may be the type's own.
    while !exponents.contains(&e) {
        let step = if e < 0 {
            *exponents.start()
        } else {
            *exponents.end()
        };
        steps.push(pow2(step));
        e -= step;
    }
    steps.push(m * pow2(e));
    steps
}

/// Some elements of a tensor: a run of its flat list or, for an edit that looks at units, of its first axis.
pub(super) struct Run<'a> {
    pub(super) dims: &'a [usize],
    pub(super) kind: Kind,
    pub(super) arithmetic: Kind,
    /// Of the places along the first axis if `by_unit`, else of all elements.
    pub(super) range: Range<usize>,
    pub(super) by_unit: bool,
}

impl<'a> Run<'a> {
    /// All runs of a tensor that has elements.
    pub(super) fn all(
        dims: &'a [usize],
        edit: &Edit<'_>,
        kind: Kind,
        arithmetic: Kind,
    ) -> impl Iterator<Item = Self> {
        let by_unit = edit.scales_units();
        let len: usize = dims.iter().product();
        let count = if by_unit { dims[0] } else { len };
        runs(count, len / count).map(move |range| Self {
            dims,
            kind,
            arithmetic,
            range,
            by_unit,
        })
    }

    /// How many elements a place has.
    fn size(&self) -> usize {
        if self.by_unit {
            self.dims[1..].iter().product()
        } else {
            1
        }
    }

    /// The first element in the flat list.
    pub(super) fn start(&self) -> usize {
        self.range.start * self.size()
    }

    pub(super) fn len(&self) -> usize {
        self.range.len() * self.size()
    }

    /// These elements in the type in which the device reckons.
    pub(super) fn read<E: Engine>(&self, engine: &E, x: &E::Array) -> Result<E::Array> {
        let len = self.dims.iter().product();
        let start = self.start();
        let part = engine.part(x, [1, len, 1], start..start + self.len())?;
        engine.cast(part, self.arithmetic)
    }

    /// These elements after an edit, not yet rounded to their own type.
    pub(super) fn edited<E: Engine>(
        &self,
        engine: &E,
        mut x: E::Array,
        edit: &Edit<'_>,
    ) -> Result<E::Array> {
        // Factors in a row are multiplied first, so that nothing is lost between them.
        let mut pending = Factor::ONE;
        for op in edit.ops() {
            if let Op::Scale(factor) = op {
                pending = pending.then(factor);
                continue;
            }
            x = self.scaled(engine, x, pending)?;
            pending = Factor::ONE;
            x = match op {
                Op::Scale(_) => x,
                Op::Clamp { min, max } => engine.map(x, self.clamp(min, max))?,
                Op::ScaleUnits { axis, factors } => {
                    self.scaled_by_unit(engine, x, axis, factors)?
                }
                Op::Zero => engine.map(x, Map::Zero)?,
            };
        }
        self.scaled(engine, x, pending)
    }

    pub(super) fn clamp(&self, min: f64, max: f64) -> Map {
        Map::Clamp {
            min: self.kind.toward_zero(min),
            max: self.kind.toward_zero(max),
        }
    }

    fn scaled<E: Engine>(&self, engine: &E, x: E::Array, factor: Factor) -> Result<E::Array> {
        if factor == Factor::ONE {
            return Ok(x);
        }
        let mut steps = steps(factor, self.arithmetic).into_iter();
        steps.try_fold(x, |x, step| engine.map(x, Map::Times(step)))
    }

    fn scaled_by_unit<E: Engine>(
        &self,
        engine: &E,
        x: E::Array,
        axis: usize,
        factors: &[Factor],
    ) -> Result<E::Array> {
        let [before, len, after] = along(self.dims, axis);
        let (axes, factors) = if axis == 0 {
            ([1, self.range.len(), after], &factors[self.range.clone()])
        } else {
            (
                [before / self.dims[0] * self.range.len(), len, after],
                factors,
            )
        };
        let each: Vec<Vec<f64>> = factors
            .iter()
            .map(|&factor| steps(factor, self.arithmetic))
            .collect();
        let most = each.iter().map(Vec::len).max().unwrap_or(0);
        (0..most).try_fold(x, |x, i| {
            let step: Vec<f64> = each
                .iter()
                .map(|steps| steps.get(i).copied().unwrap_or(1.0))
                .collect();
            let step = engine.cast(engine.values(&step, &x)?, self.arithmetic)?;
            engine.zip(x, axes, &step, Zip::Times)
        })
    }

    /// As the elements would be after an edit, in another type.
    pub(super) fn as_if<E: Engine>(
        &self,
        engine: &E,
        x: &E::Array,
        edit: &Edit<'_>,
        to: Kind,
    ) -> Result<E::Array> {
        let x = self.read(engine, x)?;
        if edit.is_keep() {
            return Ok(x);
        }
        let x = self.edited(engine, x, edit)?;
        engine.cast(engine.cast(x, self.kind)?, to)
    }
}

/// Carries out an edit that fits.
pub(super) fn carry_out<E: Engine>(
    engine: &E,
    x: &mut E::Array,
    dims: &[usize],
    edit: &Edit<'_>,
) -> Result<()> {
    let (kind, arithmetic) = (engine.kind(x)?, carried_out_in(engine, x, edit));
    let len: usize = dims.iter().product();
    for run in Run::all(dims, edit, kind, arithmetic) {
        let new = if run.len() == len {
            let whole = engine.take(x);
            run.read(engine, &whole)?
        } else {
            run.read(engine, x)?
        };
        let new = run.edited(engine, new, edit)?;
        engine.put(x, run.start(), engine.cast(new, kind)?)?;
    }
    Ok(())
}
