//! Tensors of any back end, measured and edited with burn's own operations.
//!
//! Sums are taken where the tensor is, in `f64` if its device has that and in `f32` if not, along rows
//! of at most [`ROW`] elements, so that no sum has many roundings. What reaches the host is one list
//! of numbers for each tensor, all tensors' lists in one transfer.

use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::backend::DispatchTensor;
use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData, Transaction, bf16, f16};
use steadygrad::{Ask, Edit, Element, Error, Op, Result, Stats, Total, Wide};

/// Elements added up in one go.
const ROW: usize = 128;

/// How many times numbers went from the device to the host.
#[derive(Debug, Default)]
pub(crate) struct Transfers(AtomicUsize);

impl Transfers {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A tensor of any rank.
pub(crate) trait OnDevice: Debug {
    /// The number of elements along each axis.
    fn dims(&self) -> &[usize];

    /// The units along an axis (or one unit: everything) as rows, after an edit, for summing.
    fn rows(&self, after: &Edit<'_>, axis: Option<usize>) -> Rows;

    /// Carries out an edit that fits.
    fn edit(&mut self, edit: &Edit<'_>);

    /// The elements of a range in row-major order.
    fn part(&self, start: usize, end: usize) -> Tensor<1>;

    /// Adds to the elements from the `start`-th on.
    fn add(&mut self, start: usize, values: &[f64]);

    fn into_dispatch(self: Box<Self>) -> DispatchTensor;
}

/// A tensor of rank `D` and the type it is calculated in.
#[derive(Clone, Debug)]
pub(crate) struct Ranked<const D: usize> {
    tensor: Tensor<D>,
    dims: [usize; D],
    wide: FloatDType,
}

impl<const D: usize> Ranked<D> {
    pub(crate) fn new(tensor: Tensor<D>) -> Self {
        let wide = if tensor.dtype() == DType::F64 || tensor.device().supports_dtype(DType::F64) {
            FloatDType::F64
        } else {
            FloatDType::F32
        };
        Self::with(tensor, wide)
    }

    fn with(tensor: Tensor<D>, wide: FloatDType) -> Self {
        let dims = tensor.dims();
        Self { tensor, dims, wide }
    }

    fn edited(&self, edit: &Edit<'_>) -> Tensor<D> {
        let dtype = self.tensor.dtype();
        let wide = self.tensor.clone().cast(self.wide);
        edit.ops()
            .fold(wide, |x, op| self.carry_out(x, &op))
            .cast(dtype)
    }

    fn carry_out(&self, x: Tensor<D>, op: &Op<'_>) -> Tensor<D> {
        match *op {
            Op::Scale(factor) => {
                let steps = in_steps(factor.to_wide(), self.wide);
                steps
                    .into_iter()
                    .filter(|&step| step != 1.0)
                    .fold(x, Tensor::mul_scalar)
            }
            Op::ScaleUnits { axis, factors } => {
                let axis = if D == 1 { 0 } else { axis };
                let mut dims = [1; D];
                dims[axis] = factors.len();
                let options = (&x.device(), DType::from(self.wide));
                let steps: Vec<_> = factors
                    .iter()
                    .map(|&factor| in_steps(Wide::from(factor), self.wide))
                    .collect();
                (0..3)
                    .map(|i| steps.iter().map(|step| step[i]).collect::<Vec<_>>())
                    .filter(|step| step.iter().any(|&factor| factor != 1.0))
                    .fold(x, |x, step| {
                        let step = TensorData::new(step, [factors.len()]);
                        x * Tensor::<1>::from_data(step, options).reshape(dims)
                    })
            }
            Op::Clamp { min, max } => {
                let (min, max) = (
                    toward_zero(min, self.tensor.dtype()),
                    toward_zero(max, self.tensor.dtype()),
                );
                // By comparison: NaN compares with nothing and stays.
                let below = x.clone().lower_scalar(min);
                let x = x.mask_fill(below, min);
                let above = x.clone().greater_scalar(max);
                x.mask_fill(above, max)
            }
            _ => x.zeros_like(),
        }
    }
}

impl<const D: usize> OnDevice for Ranked<D> {
    fn dims(&self) -> &[usize] {
        &self.dims
    }

    fn rows(&self, after: &Edit<'_>, axis: Option<usize>) -> Rows {
        let tensor = if after.is_keep() {
            self.tensor.clone()
        } else {
            self.edited(after)
        };
        let len: usize = self.dims.iter().product();
        let (tensor, units) = match axis {
            Some(axis) if D > 1 => {
                let mut axes = [axis; D];
                let others = (0..D).filter(|&other| other != axis);
                axes[1..].iter_mut().zip(others).for_each(|(to, a)| *to = a);
                (tensor.permute(axes), self.dims[axis])
            }
            _ => (tensor, 1),
        };
        let dtype = tensor.dtype();
        let x = tensor.reshape([units, len / units]).cast(self.wide);
        Rows::new(x, dtype, self.wide)
    }

    fn edit(&mut self, edit: &Edit<'_>) {
        self.tensor = self.edited(edit);
    }

    fn part(&self, start: usize, end: usize) -> Tensor<1> {
        let len = self.dims.iter().product::<usize>();
        self.tensor
            .clone()
            .reshape([len])
            .slice(start..end)
            .cast(self.wide)
    }

    fn add(&mut self, start: usize, values: &[f64]) {
        let end = start + values.len();
        let len = self.dims.iter().product::<usize>();
        let options = (&self.tensor.device(), DType::from(self.wide));
        let values =
            Tensor::<1>::from_data(TensorData::new(values.to_vec(), [end - start]), options);
        let sum = (self.part(start, end) + values).cast(self.tensor.dtype());
        let flat: Tensor<1> = self.tensor.clone().reshape([len]);
        self.tensor = flat.slice_assign(start..end, sum).reshape(self.dims);
    }

    fn into_dispatch(self: Box<Self>) -> DispatchTensor {
        self.tensor.into_dispatch()
    }
}

/// Powers of two by which rows are divided, so that no square of theirs leaves the range of the type
/// they are calculated in: `2^(k · step)` for the `k` that the largest magnitude asks for. Such a
/// division is exact.
#[derive(Clone, Copy, Debug)]
struct Scales {
    step: i32,
    steps: i32,
}

impl Scales {
    fn new(dtype: DType, wide: FloatDType) -> Self {
        let (step, steps) = match (dtype, wide) {
            (DType::F64, _) => (256, 3),
            (DType::F16, _) | (_, FloatDType::F64) => (0, 0),
            _ => (32, 3),
        };
        Self { step, steps }
    }

    /// The thresholds, ascending, each with the scale of what reaches it.
    fn upper(self) -> impl Iterator<Item = (f64, f64)> {
        (1..=self.steps).map(move |k| {
            let power = f64::from(k * self.step).exp2();
            (power, power.recip())
        })
    }

    /// The thresholds, descending, each with the scale of what stays below it.
    fn lower(self) -> impl Iterator<Item = (f64, f64)> {
        self.upper().map(|(power, scale)| (scale, power))
    }

    fn on_device(self, max: &Tensor<2>) -> Tensor<2> {
        let one = max.zeros_like().add_scalar(1.0);
        let scale = self.upper().fold(one, |scale, (from, factor)| {
            scale.mask_fill(max.clone().greater_equal_scalar(from), factor)
        });
        self.lower().fold(scale, |scale, (below, factor)| {
            scale.mask_fill(max.clone().lower_scalar(below), factor)
        })
    }

    fn on_host(self, max: f64) -> f64 {
        let upper = self.upper().filter(|&(from, _)| max >= from);
        let lower = self.lower().filter(|&(below, _)| max < below);
        upper.chain(lower).last().map_or(1.0, |(_, scale)| scale)
    }
}

/// The units of a tensor as rows of a matrix.
#[derive(Debug)]
pub(crate) struct Rows {
    x: Tensor<2>,
    units: usize,
    len: usize,
    scales: Scales,
}

impl Rows {
    fn new(x: Tensor<2>, dtype: DType, wide: FloatDType) -> Self {
        let [units, len] = x.dims();
        Self {
            x,
            units,
            len,
            scales: Scales::new(dtype, wide),
        }
    }

    /// For each unit: how many NaN, +∞, −∞; the largest magnitude and the sums, in pieces.
    fn sums(&self, p: Option<f64>) -> [Part; 2] {
        let nan = self.x.clone().is_nan();
        let pos_inf = self.x.clone().equal_scalar(f64::INFINITY);
        let neg_inf = self.x.clone().equal_scalar(f64::NEG_INFINITY);
        let bad = nan
            .clone()
            .bool_or(pos_inf.clone())
            .bool_or(neg_inf.clone());
        let counts = [nan, pos_inf, neg_inf].map(|which| which.int().sum_dim(1));

        let magnitude = self.x.clone().abs().mask_fill(bad, 0.0);
        let max = magnitude.clone().max_dim(1);
        let y = magnitude.clone() * self.scales.on_device(&max);
        let mut floats = vec![max.clone(), fold(y.clone()), fold(y.clone() * y)];
        if let Some(p) = p {
            let divisor = max.clone().mask_fill(max.equal_scalar(0.0), 1.0);
            floats.push(fold((magnitude / divisor).powf_scalar(p)));
        }
        [
            Part::Int(Tensor::cat(counts.into(), 1)),
            Part::Float(Tensor::cat(floats, 1)),
        ]
    }

    /// The index in each unit of the first element that is not finite; past the end if all are.
    fn first_non_finite(&self) -> Part {
        let device = self.x.device();
        let index = Tensor::<1, Int>::arange(0..self.len as i64, &device)
            .reshape([1, self.len])
            .expand([self.units, self.len]);
        let finite = self.x.clone().is_finite();
        Part::Int(index.mask_fill(finite, self.len as i64).min_dim(1))
    }

    /// What the sums come to, unit by unit.
    fn stats(&self, counts: &TensorData, floats: &TensorData, p: Option<f64>) -> Vec<Stats> {
        let counts: Vec<i64> = counts.iter::<i64>().collect();
        let floats: Vec<f64> = floats.iter::<f64>().collect();
        let width = floats.len() / self.units;
        counts
            .chunks_exact(3)
            .zip(floats.chunks_exact(width))
            .map(|(counts, floats)| {
                let max = floats[0];
                let pieces = (width - 1) / if p.is_some() { 3 } else { 2 };
                let mut sums = floats[1..]
                    .chunks_exact(pieces)
                    .map(|s| s.iter().sum::<f64>());
                let mut next = || Wide::from(sums.next().unwrap_or(0.0));
                let scale = Wide::from(self.scales.on_host(max));
                let (l1, sum_sq) = (next() / scale, next() / scale / scale);
                let stats = Stats::from_sums(self.len as u64, max, l1, sum_sq);
                let stats = match p {
                    Some(p) => stats.with_power(next() * Wide::from(max).power(p)),
                    None => stats,
                };
                let [nan, pos_inf, neg_inf] = [0, 1, 2].map(|i| counts[i] as u64);
                stats.with_non_finite(nan, pos_inf, neg_inf, None)
            })
            .collect()
    }
}

/// Row sums in at most [`ROW`] pieces, none of which adds more than [`ROW`] numbers at a time.
pub(crate) fn fold(mut x: Tensor<2>) -> Tensor<2> {
    loop {
        let [units, len] = x.dims();
        if len <= ROW {
            return x;
        }
        let (rows, rest) = (len / ROW, len % ROW);
        let whole = if rest == 0 {
            x.clone()
        } else {
            x.clone().slice([0..units, 0..rows * ROW])
        };
        let whole = whole.reshape([units * rows, ROW]).sum_dim(1);
        let whole = whole.reshape([units, rows]);
        x = if rest == 0 {
            whole
        } else {
            let tail = x.slice([0..units, rows * ROW..len]).sum_dim(1);
            Tensor::cat(vec![whole, tail], 1)
        };
    }
}

/// Three factors of the type, that multiply to `factor` and lose nothing on the way; one is enough,
/// with two ones behind it, unless the factor is out of the type's range.
fn in_steps(factor: Wide, wide: FloatDType) -> [f64; 3] {
    let limit = if wide == FloatDType::F64 { 1020 } else { 124 };
    let (m, e) = factor.parts();
    let pow2 = |e: i64| (e as f64).exp2();
    if m == 0.0 || e.abs() <= limit {
        return [m * pow2(if m == 0.0 { 0 } else { e }), 1.0, 1.0];
    }
    let e = e.clamp(-3 * limit, 3 * limit);
    let third = e / 3;
    [pow2(third), pow2(third), m * pow2(e - 2 * third)]
}

/// A bound in the tensor's own type.
fn toward_zero(bound: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F64 => bound,
        DType::F16 => <f16 as Element>::toward_zero(bound).widen(),
        DType::BF16 => <bf16 as Element>::toward_zero(bound).widen(),
        _ => <f32 as Element>::toward_zero(bound).widen(),
    }
}

/// Numbers on their way to the host.
enum Part {
    Int(Tensor<2, Int>),
    Float(Tensor<2>),
}

impl Part {
    fn device(&self) -> Device {
        match self {
            Self::Int(tensor) => tensor.device(),
            Self::Float(tensor) => tensor.device(),
        }
    }

    fn register(self, transaction: Transaction) -> Transaction {
        match self {
            Self::Int(tensor) => transaction.register(tensor),
            Self::Float(tensor) => transaction.register(tensor),
        }
    }
}

/// Brings everything to the host in the order given: one transfer for each device.
fn transfer(parts: Vec<Part>, transfers: &Transfers) -> Result<Vec<TensorData>> {
    let mut lists: Vec<(Device, Vec<usize>, Transaction)> = vec![];
    let count = parts.len();
    for (index, part) in parts.into_iter().enumerate() {
        let device = part.device();
        let place = lists.iter().position(|(other, ..)| *other == device);
        let (indices, transaction) = match place {
            Some(place) => {
                let (_, indices, transaction) = lists.swap_remove(place);
                (indices, transaction)
            }
            None => Default::default(),
        };
        let indices = [indices, vec![index]].concat();
        lists.push((device, indices, part.register(transaction)));
    }
    let mut all: Vec<Option<TensorData>> = vec![];
    all.resize_with(count, || None);
    for (_, indices, transaction) in lists {
        transfers.0.fetch_add(1, Ordering::Relaxed);
        let data = transaction
            .try_execute()
            .map_err(|error| Error::Storage(format!("{error:?}")))?;
        for (index, data) in indices.into_iter().zip(data) {
            all[index] = Some(data);
        }
    }
    let all: Vec<TensorData> = all.into_iter().flatten().collect();
    if all.len() == count {
        Ok(all)
    } else {
        Err(Error::Count {
            what: "tensors read from a device",
            expected: count,
            found: all.len(),
        })
    }
}

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
    p: Option<f64>,
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
            parts.extend(here.sums(p));
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
                Some([counts, floats]) => Some(here.stats(counts, floats, p)),
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
        Some(_) => Stats::EMPTY.with_power(Wide::ZERO),
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

/// One tensor with the counter it shares.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) tensor: Box<dyn OnDevice>,
    pub(crate) transfers: std::sync::Arc<Transfers>,
}

impl Remote {
    fn len(&self) -> usize {
        self.tensor.dims().iter().product()
    }

    fn range(&self, start: usize, len: usize) -> Result<usize> {
        let end = start.saturating_add(len);
        if end <= self.len() {
            Ok(end)
        } else {
            Err(Error::Count {
                what: "elements",
                expected: end,
                found: self.len(),
            })
        }
    }
}

impl steadygrad::Tensor for Remote {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        let request = Request {
            tensor: &*self.tensor,
            after: ask.after,
        };
        let axis = ask.units.as_ref().map(|(axis, _)| *axis);
        let answers = measure(&[request], ask.power(), axis, &self.transfers)?;
        let answer = answers.into_iter().next();
        let answer = answer.ok_or_else(|| Error::Storage("expected an answer".into()))?;
        if let Some((_, units)) = &mut ask.units {
            units.extend(answer.units);
        }
        Ok(answer.stats)
    }

    fn len(&self) -> usize {
        Remote::len(self)
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        let end = self.range(start, out.len())?;
        if start == end {
            return Ok(());
        }
        let part = self.tensor.part(start, end).reshape([1, end - start]);
        let data = transfer(vec![Part::Float(part)], &self.transfers)?;
        let values = data.iter().flat_map(TensorData::iter::<f64>);
        out.iter_mut().zip(values).for_each(|(to, x)| *to = x);
        Ok(())
    }
}

impl steadygrad::TensorMut for Remote {
    fn edit(&mut self, edit: &Edit<'_>) -> Result<()> {
        check(edit, self.tensor.dims())?;
        if !edit.is_keep() && self.len() > 0 {
            self.tensor.edit(edit);
        }
        Ok(())
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.range(start, values.len())?;
        if !values.is_empty() {
            self.tensor.add(start, values);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use steadygrad::{Edits, TensorMut as _};

    /// A tensor on a device that has no `f64`.
    fn narrow(values: &[f32]) -> Remote {
        let data = TensorData::new(values.to_vec(), [values.len()]);
        let tensor = Tensor::<1>::from_data(data, (&Device::flex(), DType::F32));
        Remote {
            tensor: Box::new(Ranked::with(tensor, FloatDType::F32)),
            transfers: std::sync::Arc::default(),
        }
    }

    fn values(remote: Remote) -> Vec<f32> {
        let tensor = Tensor::<1>::from_dispatch(remote.tensor.into_dispatch());
        tensor.into_data().iter::<f32>().collect()
    }

    /// What the host says and what is found without `f64`.
    fn both(values: &[f32]) -> [Stats; 2] {
        let p = Some(3.0);
        [
            steadygrad::Tensor::stats(
                values,
                &mut Ask {
                    p,
                    ..Ask::default()
                },
            ),
            steadygrad::Tensor::stats(
                &narrow(values),
                &mut Ask {
                    p,
                    ..Ask::default()
                },
            ),
        ]
        .map(|stats| stats.expect("stats"))
    }

    #[test]
    fn without_f64_no_square_leaves_the_range() {
        let steps = (0..)
            .map(|e| f32::from_bits(e << 23 | 0x0012_3456))
            .take(255);
        for x in steps.chain([f32::MAX, f32::MIN_POSITIVE]) {
            let [host, device] = both(&[x, -x / 3.0, 0.0]);
            assert_eq!(host.max_abs(), device.max_abs());
            for norm in [
                steadygrad::Norm::L1,
                steadygrad::Norm::L2,
                steadygrad::Norm::P(3.0),
            ] {
                let (a, b) = (host.norm(norm), device.norm(norm));
                let ratio = (b / a).to_f64();
                assert!((ratio - 1.0).abs() < 1e-6, "{x}: {ratio}");
            }
        }
        // Powers of two do not round, so equality is equality here too.
        for scale in [1e30_f32.log2().floor().exp2(), 1.0, 2_f32.powi(-100)] {
            let [host, device] = both(&[3.0 * scale, 4.0 * scale, 12.0 * scale]);
            assert_eq!((host.l2(), host.l1()), (device.l2(), device.l1()));
        }
    }

    #[test]
    fn without_f64_long_sums_stay_near() {
        for len in [1, 127, 128, 129, 16_384, 16_385, 1_000_003] {
            let values: Vec<f32> = (0..len).map(|i| (i as f32 + 1.0).sin()).collect();
            let [host, device] = both(&values);
            assert!((device.l2() / host.l2() - 1.0).abs() < 1e-6, "{len}");
            assert!((device.l1() / host.l1() - 1.0).abs() < 1e-6, "{len}");
        }
        // Where a sum one by one would stall: 4096² and then a million ones.
        let mut values = vec![1.0_f32; 1_000_001];
        values[0] = 4096.0;
        let [_, device] = both(&values);
        assert!((device.l2() / 17_777_216_f64.sqrt() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn without_f64_factors_out_of_range_are_taken_in_steps() {
        for (x, factor) in [(3e38_f32, 1e-68), (1e-40, 1e60), (2.0, 0.3), (1.0, 1e-200)] {
            let mut edits = Edits::for_count(1);
            edits.scale(0, steadygrad::Factor::new(factor).expect("factor"));
            let mut one = narrow(&[x, -x]);
            one.edit(&edits.get(0)).expect("edit");
            let expected = (f64::from(x) * factor) as f32;
            for (found, expected) in values(one).into_iter().zip([expected, -expected]) {
                let unit = (expected.abs() * f32::EPSILON).max(f32::from_bits(1));
                assert!((found - expected).abs() <= unit, "{found} {expected}");
            }
        }
    }

    #[test]
    fn steps_multiply_to_their_factor() {
        for wide in [FloatDType::F32, FloatDType::F64] {
            for e in [-300, -200, -125, -1, 0, 1, 125, 200, 300] {
                let product: f64 = in_steps(Wide::new(1.5, e), wide).iter().product();
                assert_eq!(product, Wide::new(1.5, e).to_f64());
            }
            assert_eq!(in_steps(Wide::ZERO, wide), [0.0, 1.0, 1.0]);
        }
    }

    #[test]
    fn scales_are_the_same_on_both_sides() {
        for (dtype, wide) in [(DType::F32, FloatDType::F32), (DType::F64, FloatDType::F64)] {
            let scales = Scales::new(dtype, wide);
            let tops = scales.upper().chain(scales.lower()).map(|(bound, _)| bound);
            for bound in tops.flat_map(|bound| [bound, bound * 0.75, bound * 1.5]) {
                let data = TensorData::new(vec![bound], [1, 1]);
                let max = Tensor::<2>::from_data(data, (&Device::flex(), DType::from(wide)));
                let found = scales.on_device(&max).into_scalar::<f64>();
                assert_eq!(found, scales.on_host(bound), "{bound}");
                let scaled = bound * found;
                assert!(
                    scaled >= f64::from(-scales.step).exp2() * 0.75
                        && scaled < f64::from(scales.step).exp2() * 1.5
                );
            }
        }
    }
}
