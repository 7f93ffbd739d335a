//! Many tensors measured together.

use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::edited::Run;
use super::engine::{Engine, Map, Zip};
use super::found::Found;
use super::sums::{Job, Sheet, total};
use crate::edit::Edit;
use crate::{Clamped, Error, Result};

/// How often numbers went from a device to the host.
#[derive(Debug, Default)]
pub(super) struct Transfers(AtomicUsize);

impl Transfers {
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// The one way to the host.
    pub(super) fn take<E: Engine>(
        &self,
        engine: &E,
        all: Vec<E::Array>,
        expected: usize,
    ) -> Result<Vec<f64>> {
        if all.is_empty() {
            return Ok(vec![]);
        }
        self.0.fetch_add(1, Ordering::Relaxed);
        let numbers = engine.to_host(all)?;
        match numbers.len() {
            found if found == expected => Ok(numbers),
            found => Err(Error::Count {
                what: "numbers from a device",
                expected,
                found,
            }),
        }
    }
}

/// Takes the indices of `count` arrays apart by where they lie.
fn by_device<'a, E: Engine>(
    engine: &E,
    count: usize,
    array: impl Fn(usize) -> &'a E::Array,
) -> Vec<Vec<usize>>
where
    E::Array: 'a,
{
    let mut groups: Vec<Vec<usize>> = vec![];
    for index in 0..count {
        let here = |group: &&mut Vec<usize>| engine.together(array(group[0]), array(index));
        match groups.iter_mut().find(here) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    groups
}

/// Measures all tensors: for each device one transfer, and one or two more for those tensors in which something is not
/// finite, or so large or small that its squares are not.
pub(super) fn measure<E: Engine>(
    engine: &E,
    jobs: &mut [Job<'_, E>],
    transfers: &Transfers,
) -> Result<Vec<Found>> {
    let mut found: Vec<Option<Found>> = vec![];
    found.resize_with(jobs.len(), || None);
    let arrays: Vec<&E::Array> = jobs.iter().map(|job| job.array).collect();
    for group in by_device(engine, arrays.len(), |index| arrays[index]) {
        let mut open: Vec<usize> = vec![];
        for index in group {
            if jobs[index].len() == 0 {
                found[index] = Some(jobs[index].nothing());
            } else {
                open.push(index);
            }
        }
        // As it is, then with what is not finite counted, then scaled.
        for _ in 0..3 {
            let mut all = vec![];
            let sheets = open
                .iter()
                .map(|&index| jobs[index].sheets(engine, &mut all))
                .collect::<Result<Vec<_>>>()?;
            let expected = sheets.iter().flatten().map(Sheet::len).sum();
            let numbers = transfers.take(engine, all, expected)?;
            let mut numbers = &numbers[..];
            for (&index, sheets) in open.iter().zip(&sheets) {
                found[index] = jobs[index].settle(sheets, &mut numbers);
            }
            open.retain(|&index| found[index].is_none());
        }
    }
    let all = found.into_iter().collect::<Option<Vec<_>>>();
    all.ok_or_else(|| Error::Storage("expected finite sums of finite numbers".into()))
}

/// A tensor that is to be clamped: its elements, dims, and bounds.
pub(super) type Clamping<'a, E> = (&'a <E as Engine>::Array, &'a [usize], (f64, f64));

/// What a clamp will do to each of these tensors, counted where they are: one transfer for each device.
pub(super) fn count<E: Engine>(
    engine: &E,
    clamps: &[Clamping<'_, E>],
    transfers: &Transfers,
) -> Result<Vec<Clamped>> {
    let mut told = vec![Clamped::default(); clamps.len()];
    for group in by_device(engine, clamps.len(), |index| clamps[index].0) {
        let (mut all, mut ends) = (vec![], vec![]);
        for &index in &group {
            let (array, dims, clamp) = clamps[index];
            let begin = all.len();
            counts(engine, array, dims, clamp, &mut all)?;
            ends.push((index, all.len() - begin));
        }
        let expected = all.len();
        let numbers = transfers.take(engine, all, expected)?;
        let mut numbers = numbers.into_iter();
        for (index, pieces) in ends {
            let len = clamps[index].1.iter().product::<usize>();
            let mut sums = [0; 3];
            // Piece by piece, each of the three in turn.
            for (piece, x) in numbers.by_ref().take(pieces).enumerate() {
                sums[piece % 3] += x as u64;
            }
            let [outside, nan, inf] = sums;
            told[index] = Clamped::of(len as u64, outside, nan, inf);
        }
    }
    Ok(told)
}

/// How many elements lie outside, are NaN, are infinite: three numbers for each run of elements.
fn counts<E: Engine>(
    engine: &E,
    array: &E::Array,
    dims: &[usize],
    (min, max): (f64, f64),
    to: &mut Vec<E::Array>,
) -> Result<()> {
    if dims.contains(&0) {
        return Ok(());
    }
    let (kind, arithmetic) = (engine.kind(array)?, engine.arithmetic(array));
    let (min, max) = (kind.toward_zero(min), kind.toward_zero(max));
    for run in Run::all(dims, &Edit::KEEP, kind, arithmetic) {
        let x = run.read(engine, array)?;
        let len = run.len();
        let which = |f| engine.map(x.clone(), f);
        let axes = [1, len, 1];
        let below = which(Map::Below(min))?;
        let outside = engine.zip(which(Map::Above(max))?, axes, &below, Zip::Plus)?;
        let infinite = engine.map(which(Map::Abs)?, Map::Above(arithmetic.largest()))?;
        for counted in [outside, which(Map::IsNan)?, infinite] {
            let pieces = total(engine, array, counted, len)?;
            let sum = |sum, piece: &E::Array| engine.zip(sum, [1, 1, 1], piece, Zip::Plus);
            let (first, rest) = pieces
                .split_first()
                .ok_or_else(|| Error::Storage("expected a sum".into()))?;
            to.push(rest.iter().try_fold(first.clone(), sum)?);
        }
    }
    Ok(())
}
