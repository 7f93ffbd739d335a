//! Many tensors measured together.

use steadygrad::{Edit, Error, Op, Result, Stats, Total, Wide};

use super::ranked::OnDevice;
use super::rows::Rows;
use super::transfer::{Transfers, transfer};

/// What is to be measured of one tensor.
pub(crate) struct Request<'a> {
    pub(crate) tensor: &'a dyn OnDevice,
    pub(crate) after: Edit<'a>,
}

/// What was measured of one tensor.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) stats: Stats,
    pub(crate) units: Vec<Stats>,
}

/// The number of units along `axis`.
fn units(dims: &[usize], axis: usize) -> Result<usize> {
    match dims {
        [] | [_] if axis == 0 => Ok(1),
        [_] | [] => Err(Error::Axis { axes: 1, axis }),
        _ => dims.get(axis).copied().ok_or(Error::Axis {
            axes: dims.len(),
            axis,
        }),
    }
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

/// Measures all tensors with one transfer, and one more if something is not finite.
pub(crate) fn measure(
    requests: &[Request<'_>],
    (p, range): (Option<f64>, bool),
    axis: Option<usize>,
    transfers: &Transfers,
) -> Result<Vec<Answer>> {
    let mut rows = Vec::with_capacity(requests.len());
    let mut parts = vec![];
    for request in requests {
        let dims = request.tensor.dims();
        check(&request.after, dims)?;
        let units = axis.map_or(Ok(1), |axis| units(dims, axis))?;
        let has_elements = dims.iter().product::<usize>() > 0;
        let here = has_elements.then(|| request.tensor.rows(&request.after, axis));
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
    let firsts = locate(&rows, &mut each, axis, requests, transfers)?;
    Ok(each
        .into_iter()
        .zip(firsts)
        .map(|(each, first)| {
            let stats = if let [only] = &each[..] {
                *only
            } else {
                let mut total = Total::default();
                each.iter().for_each(|unit| total.add(unit));
                let stats = total.stats();
                stats.with_non_finite(stats.nan(), stats.pos_inf(), stats.neg_inf(), first)
            };
            let units = if axis.is_some() { each } else { vec![] };
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
    axis: Option<usize>,
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
        let dims = requests[index].tensor.dims();
        for (unit, (stats, at)) in each[index].iter_mut().zip(data.iter::<i64>()).enumerate() {
            if stats.is_finite() {
                continue;
            }
            let (nan, pos, neg) = (stats.nan(), stats.pos_inf(), stats.neg_inf());
            *stats = stats.with_non_finite(nan, pos, neg, Some(at as u64));
            let in_tensor = in_row_major(unit, at as usize, axis, dims) as u64;
            let first: &mut Option<u64> = &mut firsts[index];
            *first = Some(first.map_or(in_tensor, |first| first.min(in_tensor)));
        }
    }
    Ok(firsts)
}

/// The index in the whole tensor of element `at` of a unit.
fn in_row_major(unit: usize, at: usize, axis: Option<usize>, dims: &[usize]) -> usize {
    let Some(axis) = axis.filter(|_| dims.len() > 1) else {
        return at;
    };
    let inner: usize = dims[axis + 1..].iter().product();
    (at / inner * dims[axis] + unit) * inner + at % inner
}
