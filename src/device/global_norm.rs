//! A clip that never waits for the device.

use alloc::vec;
use alloc::vec::Vec;

use super::edited::Run;
use super::engine::{Engine, Fold, Kind, Map, Zip};
use super::places::{Place, Places};
use super::sums::total;
use crate::edit::Edit;
use crate::{Error, Result};

/// What [`global_norm`] found and did, still on the device.
#[derive(Clone, Debug)]
pub struct Deferred<E: Engine> {
    engine: E,
    norm: E::Array,
    factor: E::Array,
}

impl<E: Engine> Deferred<E> {
    /// The norm before, one number.
    #[must_use]
    pub fn norm(&self) -> &E::Array {
        &self.norm
    }

    /// The factor that every element was multiplied by, one number.
    #[must_use]
    pub fn factor(&self) -> &E::Array {
        &self.factor
    }

    /// Norm and factor as numbers of the host: this waits for the device.
    ///
    /// # Errors
    ///
    /// What the device gives.
    pub fn wait(&self) -> Result<(f64, f64)> {
        match self
            .engine
            .to_host(vec![self.norm.clone(), self.factor.clone()])?[..]
        {
            [norm, factor] => Ok((norm, factor)),
            ref numbers => Err(Error::Count {
                what: "numbers from a device",
                expected: 2,
                found: numbers.len(),
            }),
        }
    }
}

/// Scales all tensors of a device by `min(1, max/‖g‖₂)` and leaves norm and factor there: the host waits for nothing.
///
/// ```text
/// factor = min(1, max / √(Σ g²))        1 if the norm is 0, NaN or infinite
/// ```
///
/// Beside a guard, whose rules are numbers of the host, this is for loops that may not stop for one: what is not finite
/// is left as it is, and whether it was is in the norm. The sums are those of [`Remote`](super::Remote), all in the
/// type in which the device reckons; elements are within two units in the last place of it, rounded to their own
/// type. Where squares may leave that type's range, shares of the largest magnitude are squared.
///
/// # Examples
///
/// See the example `engine`.
///
/// # Errors
///
/// [`Error::Setting`] if `max` is negative or NaN, [`Error::Storage`] if a tensor is not on the device, or if they lie on
/// several, [`Error::Unmatched`] if gradients were found and none belongs to a tensor of the set.
pub fn global_norm<H, E: Engine>(set: &mut Places<H, E>, max: f64) -> Result<Option<Deferred<E>>> {
    if max.is_nan() || max < 0.0 {
        return Err(Error::Setting {
            what: "max norm",
            expected: "a number ≥ 0",
            found: max,
        });
    }
    set.matched()?;
    let Some((engine, targets)) = targets(set)? else {
        return Ok(None);
    };
    let Some(norm) = norm(&engine, &targets)? else {
        return Ok(None);
    };
    // 0 becomes a factor above 1, which is cut off, as is that of what is not finite.
    let factor = engine.map(norm.clone(), Map::FiniteOr(0.0))?;
    let factor = engine.map(factor, Map::Under(max))?;
    let factor = engine.map(engine.map(factor, Map::FiniteOr(1.0))?, Map::AtMost(1.0))?;
    for Target {
        array,
        dims,
        kind,
        arithmetic,
    } in targets
    {
        for run in Run::all(&dims, &Edit::KEEP, kind, arithmetic) {
            let x = run.read(&engine, array)?;
            let factor = engine.cast(factor.clone(), arithmetic)?;
            let x = engine.zip(x, [1, 1, run.len()], &factor, Zip::Times)?;
            engine.put(array, run.start(), engine.cast(x, kind)?)?;
        }
    }
    Ok(Some(Deferred {
        engine,
        norm,
        factor,
    }))
}

/// A tensor that has elements, to be scaled.
struct Target<'s, A> {
    array: &'s mut A,
    dims: Vec<usize>,
    kind: Kind,
    arithmetic: Kind,
}

impl<A> Target<'_, A> {
    fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        Run::all(&self.dims, &Edit::KEEP, self.kind, self.arithmetic)
    }
}

/// The tensors of a set that lie on one device and have elements; `None` if there are none.
#[expect(
    clippy::type_complexity,
    reason = "an engine and what it is to work on"
)]
fn targets<H, E: Engine>(set: &mut Places<H, E>) -> Result<Option<(E, Vec<Target<'_, E::Array>>)>> {
    let (mut engine, mut targets): (Option<E>, Vec<Target<'_, E::Array>>) = (None, vec![]);
    for place in set.places_mut() {
        let remote = match place {
            Place::Missing => continue,
            Place::Remote(remote) => remote,
            Place::Unusable(error) => return Err(Error::clone(error)),
            Place::Host(_) => {
                let what = "expected tensors on a device, found one of the host";
                return Err(Error::Storage(what.into()));
            }
        };
        let dims = remote.dims().to_vec();
        if dims.contains(&0) {
            continue;
        }
        let engine = engine.get_or_insert_with(|| remote.engine().clone());
        let array = remote.array_mut();
        if targets
            .first()
            .is_some_and(|first| !engine.together(first.array, array))
        {
            let what = "expected tensors of one device, found several";
            return Err(Error::Storage(what.into()));
        }
        let (kind, arithmetic) = (engine.kind(array)?, engine.arithmetic(array));
        targets.push(Target {
            array,
            dims,
            kind,
            arithmetic,
        });
    }
    Ok(engine.map(|engine| (engine, targets)))
}

fn plus<E: Engine>(engine: &E, sum: Option<E::Array>, x: E::Array) -> Result<E::Array> {
    match sum {
        None => Ok(x),
        Some(sum) => engine.zip(sum, [1, 1, 1], &x, Zip::Plus),
    }
}

/// The mean of the runs' largest magnitudes, if squares may leave the range: no share of it does, nor the sum of the
/// squares of such shares.
fn scale<E: Engine>(engine: &E, targets: &[Target<'_, E::Array>]) -> Result<Option<E::Array>> {
    if targets
        .iter()
        .all(|target| target.kind.has_squares_in(target.arithmetic))
    {
        return Ok(None);
    }
    let part = 1.0 / targets.iter().flat_map(Target::runs).count() as f64;
    let mut scale = None;
    for target in targets {
        for run in target.runs() {
            let magnitudes = engine.map(run.read(engine, target.array)?, Map::Abs)?;
            let largest = engine.fold(magnitudes, 1, Fold::Max)?;
            let largest = engine.cast(largest, engine.widest(target.array))?;
            scale = Some(plus(engine, scale, engine.map(largest, Map::Times(part))?)?);
        }
    }
    let least = targets.iter().map(|target| target.arithmetic.smallest());
    let least = Map::Clamp {
        min: least.fold(0.0, f64::max),
        max: f64::INFINITY,
    };
    scale.map(|scale| engine.map(scale, least)).transpose()
}

/// The norm of all elements.
fn norm<E: Engine>(engine: &E, targets: &[Target<'_, E::Array>]) -> Result<Option<E::Array>> {
    let scale = scale(engine, targets)?;
    let mut sum = None;
    for target in targets {
        for run in target.runs() {
            let mut x = run.read(engine, target.array)?;
            if let Some(scale) = &scale {
                let scale = engine.cast(scale.clone(), run.arithmetic)?;
                x = engine.zip(x, [1, 1, run.len()], &scale, Zip::Over)?;
            }
            let squares = engine.map(x, Map::Square)?;
            for piece in total(engine, target.array, squares, run.len())? {
                sum = Some(plus(engine, sum, piece)?);
            }
        }
    }
    let norm = sum.map(|sum| engine.map(sum, Map::Sqrt)).transpose()?;
    match (norm, &scale) {
        (Some(norm), Some(scale)) => Ok(Some(engine.zip(norm, [1, 1, 1], scale, Zip::Times)?)),
        (norm, _) => Ok(norm),
    }
}
