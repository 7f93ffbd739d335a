//! Many tensors measured together.

use steadygrad::{Clamped, Edit, Error, Op, Result, Stats, Total, Wide};

use super::ranked::OnDevice;
use super::rows::Rows;
use super::transfer::{Part, Transfers, transfer};

/// What is to be measured of one tensor.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) tensor: &'a dyn OnDevice,
    pub(crate) after: Edit<'a>,
    /// The axis of its units, if they are asked for.
    pub(crate) axis: Option<usize>,
}

/// What was measured of one tensor.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) stats: Stats,
    pub(crate) units: Vec<Stats>,
}

/// The number of units along `axis`.
fn units(dims: &[usize], axis: usize) -> Result<usize> {
    dims.get(axis).copied().ok_or(Error::Axis {
        axes: dims.len(),
        axis,
    })
}

/// Refuses an edit that scales units which the tensor does not have.
pub(crate) fn check(edit: &Edit<'_>, dims: &[usize]) -> Result<()> {
    for op in edit.ops() {
        if let Op::ScaleUnits { axis, factors } = op {
            let expected = units(dims, axis)?;
            if factors.len() != expected {
                return Err(Error::Count {
                    what: "factors for the units",
                    expected,
                    found: factors.len(),
                });
            }
        }
    }
    Ok(())
}

/// The bounds of an edit that clamps once and does nothing else.
pub(crate) fn clamp_of(edit: &Edit<'_>) -> Option<(f64, f64)> {
    let mut ops = edit.ops();
    match (ops.next(), ops.next()) {
        (Some(Op::Clamp { min, max }), None) => Some((min, max)),
        _ => None,
    }
}

/// What a clamp will do to each of these tensors, counted where they are: one transfer for all.
pub(crate) fn count(
    clamps: &[(&dyn OnDevice, (f64, f64))],
    transfers: &Transfers,
) -> Result<Vec<Clamped>> {
    let len = |tensor: &dyn OnDevice| tensor.dims().iter().product::<usize>();
    let parts = clamps.iter().filter(|(tensor, _)| len(*tensor) > 0);
    let parts: Vec<Part> = parts
        .map(|(tensor, (min, max))| tensor.counts(*min, *max))
        .collect();
    let data = if parts.is_empty() {
        vec![]
    } else {
        transfer(parts, transfers)?
    };
    let mut data = data.iter();
    let told = clamps.iter().map(|(tensor, _)| match len(*tensor) {
        0 => Clamped::default(),
        len => {
            let mut counts = data
                .next()
                .into_iter()
                .flat_map(|counts| counts.iter::<i64>());
            let [outside, nan, inf] = [(); 3].map(|()| counts.next().unwrap_or(0) as u64);
            Clamped::of(len as u64, outside, nan, inf)
        }
    });
    Ok(told.collect())
}

/// Measures all tensors with one transfer, and one more if something is not finite.
pub(crate) fn measure(
    requests: &[Request<'_>],
    (p, range): (Option<f64>, bool),
    transfers: &Transfers,
) -> Result<Vec<Answer>> {
    let mut rows = Vec::with_capacity(requests.len());
    let mut parts = vec![];
    for request in requests {
        let dims = request.tensor.dims();
        check(&request.after, dims)?;
        let units = request.axis.map_or(Ok(1), |axis| units(dims, axis))?;
        let has_elements = dims.iter().product::<usize>() > 0;
        let here = has_elements.then(|| request.tensor.rows(&request.after, request.axis));
        if let Some(here) = &here {
            parts.extend(here.sums(p, range));
        }
        rows.push((units, here));
    }
    let data = if parts.is_empty() {
        vec![]
    } else {
        transfer(parts, transfers)?
    };
    let mut data = data.chunks_exact(2);
    let mut each: Vec<Vec<Stats>> = rows
        .iter()
        .map(|(units, here)| {
            let found = here.as_ref().and_then(|here| match data.next() {
                Some([counts, floats]) => Some(here.stats(counts, floats, p, range)),
                _ => None,
            });
            found.unwrap_or_else(|| vec![empty(p); *units])
        })
        .collect();
    let firsts = locate(&rows, &mut each, requests, transfers)?;
    Ok(each
        .into_iter()
        .zip(firsts)
        .zip(requests)
        .map(|((each, first), request)| {
            let stats = if let [only] = &each[..] {
                *only
            } else {
                let mut total = Total::default();
                each.iter().for_each(|unit| total.add(unit));
                let stats = total.stats();
                stats.with_non_finite(stats.nan(), stats.pos_inf(), stats.neg_inf(), first)
            };
            let units = request.axis.map_or(vec![], |_| each);
            Answer { stats, units }
        })
        .collect())
}

fn empty(p: Option<f64>) -> Stats {
    match p {
        Some(p) => Stats::EMPTY.with_power(p, Wide::ZERO),
        None => Stats::EMPTY,
    }
}

/// Finds the first non-finite element of each unit and of each tensor; no transfer if there is none.
fn locate(
    rows: &[(usize, Option<Rows>)],
    each: &mut [Vec<Stats>],
    requests: &[Request<'_>],
    transfers: &Transfers,
) -> Result<Vec<Option<u64>>> {
    let mut firsts = vec![None; each.len()];
    let (mut parts, mut which) = (vec![], vec![]);
    for (index, (stats, (_, here))) in each.iter().zip(rows).enumerate() {
        if let (Some(here), false) = (here, stats.iter().all(Stats::is_finite)) {
            parts.push(here.first_non_finite());
            which.push(index);
        }
    }
    if parts.is_empty() {
        return Ok(firsts);
    }
    for (index, data) in which.into_iter().zip(transfer(parts, transfers)?) {
        let Request { tensor, axis, .. } = requests[index];
        for (unit, (stats, at)) in each[index].iter_mut().zip(data.iter::<i64>()).enumerate() {
            if stats.is_finite() {
                continue;
            }
            let (nan, pos, neg) = (stats.nan(), stats.pos_inf(), stats.neg_inf());
            *stats = stats.with_non_finite(nan, pos, neg, Some(at as u64));
            let in_tensor = in_row_major(unit, at as usize, axis, tensor.dims()) as u64;
            let first: &mut Option<u64> = &mut firsts[index];
            *first = Some(first.map_or(in_tensor, |first| first.min(in_tensor)));
        }
    }
    Ok(firsts)
}

/// The index in the whole tensor of element `at` of a unit.
fn in_row_major(unit: usize, at: usize, axis: Option<usize>, dims: &[usize]) -> usize {
    let Some(axis) = axis else {
        return at;
    };
    let inner: usize = dims[axis + 1..].iter().product();
    (at / inner * dims[axis] + unit) * inner + at % inner
}
