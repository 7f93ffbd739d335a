//! What a clamp will do, counted where the tensors are.

use candle_core::Tensor as Values;
use steadygrad::{Clamped, Edit, Result};

use super::edited::{bounds, check_dtype, chunks, clamp_of, scalar};
use super::read::{Transfers, on_each_device, to_host};
use super::{Arithmetic, Candle};
use crate::slot::Slot;
use crate::slots::Slots;

/// For each run of elements that is handled at once: how many lie outside, are NaN, are infinite.
fn counts(values: &Values, (min, max): (f64, f64)) -> Candle<Vec<Values>> {
    let arithmetic = Arithmetic::of(values.device());
    let (min, max) = bounds(values.dtype(), min, max).map_err(candle_core::Error::wrap)?;
    let flat = values.flatten_all()?;
    let run = |(start, len)| {
        let x = flat.narrow(0, start, len)?.to_dtype(arithmetic.dtype)?;
        let below = x.lt(&scalar(min, &x)?.broadcast_as(x.shape())?)?;
        let above = x.gt(&scalar(max, &x)?.broadcast_as(x.shape())?)?;
        let infinite = x.abs()?.gt(arithmetic.largest)?;
        // A run is short enough for an `f32` to count it.
        let count = |mask: Values| mask.to_dtype(arithmetic.dtype)?.sum_keepdim(0);
        let outside = (count(below)? + count(above)?)?;
        Values::cat(&[outside, count(x.ne(&x)?)?, count(infinite)?], 0)
    };
    chunks(flat.elem_count(), 1).map(run).collect()
}

/// A tensor, and the bounds into which it is to be clamped.
type Job<'a> = (&'a Values, (f64, f64));

/// Counts for each of these tensors of one device, with one transfer for all.
fn count_together(jobs: &[&Job<'_>], transfers: &Transfers) -> Result<Vec<Clamped>> {
    jobs.iter()
        .try_for_each(|(values, _)| check_dtype(values))?;
    let each = jobs.iter().map(|(values, clamp)| counts(values, *clamp));
    let each: Vec<Vec<Values>> = each.collect::<Candle<_>>().map_err(crate::storage)?;
    let on_device = each.concat();
    let numbers = if on_device.is_empty() {
        vec![]
    } else {
        to_host(&on_device, transfers).map_err(crate::storage)?
    };
    let mut runs = numbers.chunks_exact(3);
    let told = jobs.iter().zip(&each).map(|((values, _), each)| {
        let mut sums = [0; 3];
        for run in runs.by_ref().take(each.len()) {
            sums.iter_mut()
                .zip(run)
                .for_each(|(sum, &x)| *sum += x as u64);
        }
        let [outside, nan, infinite] = sums;
        Clamped::of(values.elem_count() as u64, outside, nan, infinite)
    });
    Ok(told.collect())
}

/// What a clamp of one tensor will do; nothing is told of an edit that is none.
pub(super) fn count_one(
    values: &Values,
    edit: &Edit<'_>,
    transfers: &Transfers,
) -> Result<Option<Clamped>> {
    let Some(clamp) = clamp_of(edit) else {
        return Ok(None);
    };
    let told = count_together(&[&(values, clamp)], transfers)?;
    Ok(told.into_iter().next())
}

/// What a clamp will do to each slot on a device; the others tell it while they are clamped.
pub(crate) fn count(
    slots: &Slots,
    edits: &[Edit<'_>],
    transfers: &Transfers,
) -> Result<Vec<Option<Clamped>>> {
    let jobs = slots.iter().zip(edits).enumerate();
    let jobs = jobs.filter_map(|(index, ((_, slot), edit))| match slot {
        Slot::OnDevice(tensor) => Some((index, (tensor.values(), clamp_of(edit)?))),
        _ => None,
    });
    let jobs: Vec<(usize, Job<'_>)> = jobs.collect();
    let count = |jobs: &[&Job<'_>]| count_together(jobs, transfers);
    on_each_device(edits.len(), &jobs, |(values, _)| values, count)
}
