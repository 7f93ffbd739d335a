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
            .to_host(&[self.norm.clone(), self.factor.clone()])?[..]
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
/// several.
pub fn global_norm<H, E: Engine>(set: &mut Places<H, E>, max: f64) -> Result<Option<Deferred<E>>> {
    if max.is_nan() || max < 0.0 {
        return Err(Error::Setting {
            what: "max norm",
            expected: "a number ≥ 0",
            found: max,
        });
    }
    let mut engine = None;
    let mut arrays: Vec<(&mut E::Array, Vec<usize>)> = vec![];
    for place in set.places_mut() {
        match place {
            Place::Missing => (),
            Place::Unusable(error) => return Err(Error::clone(error)),
            Place::Host(_) => {
                return Err(Error::Storage(
                    "expected tensors on a device, found one of the host".into(),
                ));
            }
            Place::Remote(remote) => {
                engine.get_or_insert_with(|| remote.engine().clone());
                let dims = remote.dims().to_vec();
                if !dims.contains(&0) {
                    arrays.push((remote.array_mut(), dims));
                }
            }
        }
    }
    let (Some(engine), [(first, _), rest @ ..]) = (engine, &arrays[..]) else {
        return Ok(None);
    };
    if !rest.iter().all(|(array, _)| engine.together(first, array)) {
        return Err(Error::Storage(
            "expected tensors of one device, found several".into(),
        ));
    }
    let kinds = arrays
        .iter()
        .map(|(array, _)| engine.kind(array))
        .collect::<Result<Vec<_>>>()?;
    let runs = |index: usize| {
        let (array, dims) = (&*arrays[index].0, &arrays[index].1);
        Run::all(dims, &Edit::KEEP, kinds[index], engine.arithmetic(array))
    };
    let each = || (0..arrays.len()).flat_map(|index| runs(index).map(move |run| (index, run)));
    let plus = |sum: Option<E::Array>, x: E::Array| match sum {
        None => Ok(x),
        Some(sum) => engine.zip(sum, [1, 1, 1], &x, Zip::Plus),
    };

    // The mean of the runs' largest magnitudes: no share of it, nor the sum of their squares, leaves the range.
    let mut scale = None;
    let fit =
        |(index, kind): (usize, &Kind)| kind.has_squares_in(engine.arithmetic(arrays[index].0));
    if !kinds.iter().enumerate().all(fit) {
        let part = 1.0 / each().count() as f64;
        for (index, run) in each() {
            let array = &*arrays[index].0;
            let magnitudes = engine.map(run.read(&engine, array)?, Map::Abs)?;
            let largest =
                engine.cast(engine.fold(magnitudes, 1, Fold::Max)?, engine.widest(array))?;
            scale = Some(plus(scale, engine.map(largest, Map::Times(part))?)?);
        }
        let narrowest = arrays
            .iter()
            .map(|(array, _)| engine.arithmetic(array).smallest());
        let least = Map::Clamp {
            min: narrowest.fold(0.0, f64::max),
            max: f64::INFINITY,
        };
        scale = scale.map(|scale| engine.map(scale, least)).transpose()?;
    }
    let mut sum = None;
    for (index, run) in each() {
        let array = &*arrays[index].0;
        let mut x = run.read(&engine, array)?;
        if let Some(scale) = &scale {
            let scale = engine.cast(scale.clone(), run.arithmetic)?;
            x = engine.zip(x, [1, 1, run.len()], &scale, Zip::Over)?;
        }
        for piece in total(&engine, array, engine.map(x, Map::Square)?, 1, run.len())? {
            sum = Some(plus(sum, piece)?);
        }
    }
    let Some(sum) = sum else {
        return Ok(None);
    };
    let mut norm = engine.map(sum, Map::Sqrt)?;
    if let Some(scale) = &scale {
        norm = engine.zip(norm, [1, 1, 1], scale, Zip::Times)?;
    }
    // 0 becomes a factor above 1, which is cut off, as is that of what is not finite.
    let factor = engine.map(
        engine.map(norm.clone(), Map::FiniteOr(0.0))?,
        Map::Under(max),
    )?;
    let factor = engine.map(engine.map(factor, Map::FiniteOr(1.0))?, Map::AtMost(1.0))?;
    for (index, (array, dims)) in arrays.into_iter().enumerate() {
        for run in Run::all(&dims, &Edit::KEEP, kinds[index], engine.arithmetic(array)) {
            let x = run.read(&engine, array)?;
            let factor = engine.cast(factor.clone(), run.arithmetic)?;
            let x = engine.zip(x, [1, 1, run.len()], &factor, Zip::Times)?;
            engine.put(array, run.start(), engine.cast(x, kinds[index])?)?;
        }
    }
    Ok(Some(Deferred {
        engine,
        norm,
        factor,
    }))
}
