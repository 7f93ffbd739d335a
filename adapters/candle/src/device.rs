//! Tensors that stay where they are: candle's own operations sum them up, and only the sums travel.
//!
//! A tensor is cut into rows. Each row is divided by its largest magnitude and summed up, so nothing
//! overflows whatever the range; the host puts the rows together. What is handled at once is bounded,
//! and with it the device memory that the work takes for itself.

use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Device, DeviceLocation, Tensor as Values};
use steadygrad::{
    Ask, Edit, Edits, Element, Error, Factor, Measurement, Op, Result, Stats, Tensor, TensorMut,
    Total, Wide,
};

use crate::host::each_dtype;
use crate::slot::Slot;
use crate::slots::Slots;

/// Elements of a row.
const ROW: usize = 1 << 13;
/// Elements that are handled at once, where the shape allows.
const CHUNK: usize = 1 << 22;

type Candle<T> = candle_core::Result<T>;

/// How often values came to the host.
#[derive(Debug, Default)]
pub(crate) struct Transfers(AtomicUsize);

impl Transfers {
    fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a device reckons in.
#[derive(Clone, Copy)]
struct Arithmetic {
    dtype: DType,
    largest: f64,
    /// A row's elements are divided by its maximum, but not by less than this.
    least: f64,
    /// Factors are applied in steps of at most this power of two.
    exponent: i64,
}

impl Arithmetic {
    const F64: Self = Self {
        dtype: DType::F64,
        largest: f64::MAX,
        least: f64::MIN_POSITIVE,
        exponent: 1022,
    };

    const F32: Self = Self {
        dtype: DType::F32,
        largest: f32::MAX as f64,
        least: f32::MIN_POSITIVE as f64,
        exponent: 126,
    };

    fn of(device: &Device) -> Self {
        if device.is_metal() {
            Self::F32
        } else {
            Self::F64
        }
    }
}

/// The sums of some rows of the same length, still on the device: field by field, row by row.
struct Sheet {
    rows: usize,
    row_len: usize,
    fields: usize,
    sums: Values,
}

/// How closely to look.
#[derive(Clone, Copy, PartialEq)]
enum Look {
    /// At sums, which tell whether everything is finite.
    Sums,
    /// Also at what is not finite, leaving it out of the sums.
    NonFinite,
}

/// A tensor to be summed up as `edit` would leave it.
struct Job<'a> {
    values: &'a Values,
    edit: Edit<'a>,
    p: Option<f64>,
    units: Option<usize>,
    arithmetic: Arithmetic,
}

/// The sheets of a tensor, and of its units.
struct Sheets {
    whole: Vec<Sheet>,
    units: Vec<Sheet>,
}

/// What the host makes of them.
struct Found {
    whole: Stats,
    units: Vec<Stats>,
}

fn axis_error(axes: usize, axis: usize) -> Error {
    Error::Axis {
        axes: axes.max(1),
        axis,
    }
}

/// The number of units along `axis`: a tensor of at most one axis is one.
fn unit_count(dims: &[usize], axis: usize) -> Result<usize> {
    match dims {
        [] | [_] if axis == 0 => Ok(1),
        [] | [_] => Err(axis_error(1, axis)),
        _ => dims.get(axis).copied().ok_or(axis_error(dims.len(), axis)),
    }
}

/// Checks that every list of factors fits.
fn check(dims: &[usize], edit: &Edit<'_>) -> Result<()> {
    edit.ops().try_for_each(|op| {
        let Op::ScaleUnits { axis, factors } = op else {
            return Ok(());
        };
        let expected = unit_count(dims, axis)?;
        if factors.len() == expected {
            Ok(())
        } else {
            Err(Error::Count {
                what: "factors for the units",
                expected,
                found: factors.len(),
            })
        }
    })
}

fn check_dtype(values: &Values) -> Result<()> {
    each_dtype!(values.dtype(), E => { let _ = E::NAME; Ok(()) })
}

/// The bounds of a clamp as the element type has them.
fn bounds(dtype: DType, min: f64, max: f64) -> Result<(f64, f64)> {
    each_dtype!(dtype, E => Ok((E::toward_zero(min).widen(), E::toward_zero(max).widen())))
}

/// A factor as numbers that are multiplied in turn.
fn steps(factor: Factor, exponent: i64) -> Vec<f64> {
    let (m, e) = factor.to_wide().parts();
    // Beyond 2^±2100 every number becomes 0 or infinite.
    let mut e = e.clamp(-2100, 2100);
    let mut steps = vec![];
    while e.abs() > exponent {
        let step = exponent * e.signum();
        steps.push(2f64.powi(step as i32));
        e -= step;
    }
    steps.push(m * 2f64.powi(e as i32));
    steps
}

fn scalar(x: f64, like: &Values) -> Candle<Values> {
    Values::new(x, &Device::Cpu)?
        .to_dtype(like.dtype())?
        .to_device(like.device())
}

/// The places `start..start + len` along `axis`, in what the device reckons in and after the edit.
struct Part<'a> {
    values: &'a Values,
    edit: &'a Edit<'a>,
    arithmetic: Arithmetic,
    axis: usize,
    start: usize,
    len: usize,
}

impl Part<'_> {
    /// Without the rounding to the element type.
    fn edited(&self) -> Candle<Values> {
        let part = self.values.narrow(self.axis, self.start, self.len)?;
        let mut x = part.to_dtype(self.arithmetic.dtype)?;
        // Factors in a row are multiplied first, so that nothing is lost between them.
        let mut pending = Factor::ONE;
        for op in self.edit.ops() {
            if let Op::Scale(factor) = op {
                pending = pending.then(factor);
            } else {
                x = self.apply(self.scaled(x, pending)?, op)?;
                pending = Factor::ONE;
            }
        }
        self.scaled(x, pending)
    }

    fn scaled(&self, x: Values, factor: Factor) -> Candle<Values> {
        if factor == Factor::ONE {
            return Ok(x);
        }
        let steps = steps(factor, self.arithmetic.exponent);
        steps
            .into_iter()
            .try_fold(x, |x, step| x.broadcast_mul(&scalar(step, &x)?))
    }

    fn apply(&self, x: Values, op: Op<'_>) -> Candle<Values> {
        match op {
            Op::Scale(factor) => self.scaled(x, factor),
            Op::Clamp { min, max } => {
                let (min, max) =
                    bounds(self.values.dtype(), min, max).map_err(candle_core::Error::wrap)?;
                // By comparison, so that NaN stays NaN on every device.
                let min = scalar(min, &x)?.broadcast_as(x.shape())?;
                let max = scalar(max, &x)?.broadcast_as(x.shape())?;
                let x = x.lt(&min)?.where_cond(&min, &x)?;
                x.gt(&max)?.where_cond(&max, &x)
            }
            Op::ScaleUnits { factors, .. } if x.rank() <= 1 => {
                let factor = factors.first().copied().unwrap_or(1.0);
                x.broadcast_mul(&scalar(factor, &x)?)
            }
            Op::ScaleUnits { axis, factors } => {
                let factors = if axis == self.axis {
                    &factors[self.start..self.start + self.len]
                } else {
                    factors
                };
                let mut shape = vec![1; x.rank()];
                shape[axis] = factors.len();
                let factors = Values::from_slice(factors, shape, &Device::Cpu)?;
                x.broadcast_mul(&factors.to_dtype(x.dtype())?.to_device(x.device())?)
            }
            Op::Zero => x.zeros_like(),
            // An operation that this version of the core does not have.
            other => {
                candle_core::bail!("expected an edit known to steadygrad-candle, found {other:?}")
            }
        }
    }

    /// As the element type would hold it.
    fn rounded(&self) -> Candle<Values> {
        let x = self.edited()?;
        if self.edit.is_keep() {
            return Ok(x);
        }
        x.to_dtype(self.values.dtype())?
            .to_dtype(self.arithmetic.dtype)
    }
}

/// The tensor with at least one axis: a flat one, unless the edit looks at the axes.
fn laid_out(values: &Values, edit: &Edit<'_>) -> Candle<Values> {
    let by_unit = edit.ops().any(|op| matches!(op, Op::ScaleUnits { .. }));
    if by_unit && values.rank() > 1 {
        Ok(values.clone())
    } else {
        values.flatten_all()
    }
}

/// Cuts `count` places of `size` elements into runs that are handled at once.
fn chunks(count: usize, size: usize) -> impl Iterator<Item = (usize, usize)> {
    let step = (CHUNK / size.max(1)).max(1);
    (0..count)
        .step_by(step)
        .map(move |start| (start, step.min(count - start)))
}

impl<'a> Job<'a> {
    fn new(
        values: &'a Values,
        edit: Edit<'a>,
        p: Option<f64>,
        units: Option<usize>,
    ) -> Result<Self> {
        check_dtype(values)?;
        check(values.dims(), &edit)?;
        units.map_or(Ok(1), |axis| unit_count(values.dims(), axis))?;
        Ok(Self {
            values,
            edit,
            p,
            units,
            arithmetic: Arithmetic::of(values.device()),
        })
    }

    /// The axis of the units, if the tensor is more than one of them.
    fn split(&self) -> Option<usize> {
        self.units.filter(|_| self.values.rank() > 1)
    }

    fn sheets(&self, look: Look) -> Candle<Sheets> {
        let mut sheets = Sheets {
            whole: vec![],
            units: vec![],
        };
        if self.values.elem_count() == 0 {
            return Ok(sheets);
        }
        let values = laid_out(self.values, &self.edit)?;
        let places = values.dim(0)?;
        for (start, len) in chunks(places, values.elem_count() / places) {
            let flat = self.part(&values, 0, start, len).rounded()?.flatten_all()?;
            let count = flat.elem_count();
            let whole = count - count % ROW;
            if whole > 0 {
                let rows = flat.narrow(0, 0, whole)?.reshape((whole / ROW, ROW))?;
                sheets.whole.push(self.sheet(&rows, look)?);
            }
            if whole < count {
                let rest = flat
                    .narrow(0, whole, count - whole)?
                    .reshape((1, count - whole))?;
                sheets.whole.push(self.sheet(&rest, look)?);
            }
        }
        if let Some(axis) = self.split() {
            let units = self.values.dim(axis)?;
            let size = self.values.elem_count() / units;
            for (start, len) in chunks(units, size) {
                let part = self.part(self.values, axis, start, len).rounded()?;
                let mut order: Vec<usize> = (0..part.rank()).collect();
                order[..=axis].rotate_right(1);
                let rows = part.permute(order)?.reshape((len, size))?;
                sheets.units.push(self.sheet(&rows, look)?);
            }
        }
        Ok(sheets)
    }

    fn part<'s>(&'s self, values: &'s Values, axis: usize, start: usize, len: usize) -> Part<'s> {
        Part {
            values,
            edit: &self.edit,
            arithmetic: self.arithmetic,
            axis,
            start,
            len,
        }
    }

    /// Sums up the rows of a matrix.
    fn sheet(&self, matrix: &Values, look: Look) -> Candle<Sheet> {
        let (rows, row_len) = matrix.dims2()?;
        let mut magnitudes = matrix.abs()?;
        let mut counts = vec![];
        if look == Look::NonFinite {
            let largest = self.arithmetic.largest;
            let is_finite = magnitudes.le(largest)?;
            let count = |mask: Values| mask.to_dtype(matrix.dtype())?.sum(1);
            counts.push(count(matrix.ne(matrix)?)?);
            counts.push(count(matrix.gt(largest)?)?);
            counts.push(count(matrix.lt(-largest)?)?);
            let places = Values::arange(0u32, row_len as u32, matrix.device())?;
            let places = places
                .to_dtype(matrix.dtype())?
                .broadcast_as((rows, row_len))?;
            let beyond = Values::full(row_len as f64, (rows, row_len), matrix.device())?;
            let beyond = beyond.to_dtype(matrix.dtype())?;
            counts.push(
                is_finite
                    .where_cond(&beyond, &places.contiguous()?)?
                    .min(1)?,
            );
            magnitudes = is_finite.where_cond(&magnitudes, &magnitudes.zeros_like()?)?;
        }
        let max = magnitudes.max_keepdim(1)?;
        let shares = magnitudes.broadcast_div(&max.maximum(self.arithmetic.least)?)?;
        let mut fields = vec![max.flatten_all()?, shares.sum(1)?, shares.sqr()?.sum(1)?];
        if let Some(p) = self.p {
            fields.push(shares.powf(p)?.sum(1)?);
        }
        fields.extend(counts);
        Ok(Sheet {
            rows,
            row_len,
            fields: fields.len(),
            sums: Values::cat(&fields, 0)?,
        })
    }

    /// What the sums of a sheet say of each of its rows; `None` if something is not finite and was
    /// not counted.
    fn rows(&self, sheet: &Sheet, sums: &[f64], look: Look) -> Option<Vec<Stats>> {
        let field = |index: usize, row: usize| sums[index * sheet.rows + row];
        let sum_count = 3 + usize::from(self.p.is_some());
        let row = |row: usize| {
            if (0..sum_count).any(|index| !field(index, row).is_finite()) {
                return None;
            }
            let max = field(0, row);
            let share = Wide::from(max.max(self.arithmetic.least));
            let sum = |index: usize| Wide::from(field(index, row));
            let mut stats = Stats::from_sums(
                sheet.row_len as u64,
                max,
                sum(1) * share,
                sum(2) * share * share,
            );
            if let Some(p) = self.p {
                stats = stats.with_power(sum(3) * share.power(p));
            }
            if look == Look::NonFinite {
                let count = |index: usize| field(sum_count + index, row) as u64;
                let first = Some(count(3)).filter(|&place| place < sheet.row_len as u64);
                stats = stats.with_non_finite(count(0), count(1), count(2), first);
            }
            Some(stats)
        };
        (0..sheet.rows).map(row).collect()
    }

    /// What a tensor of no elements says.
    fn nothing(&self) -> Stats {
        self.p
            .map_or(Stats::EMPTY, |_| Stats::EMPTY.with_power(Wide::ZERO))
    }

    /// Puts the rows together; `None` if something is not finite and was not counted.
    fn find(&self, sheets: &Sheets, look: Look, mut sums: &[f64]) -> Option<Found> {
        let mut next = |sheet: &Sheet| {
            let (now, later) = sums.split_at(sheet.rows * sheet.fields);
            sums = later;
            self.rows(sheet, now, look)
        };
        let (mut total, mut first, mut start) = (Total::default(), None, 0);
        for sheet in &sheets.whole {
            for stats in next(sheet)? {
                first = first.or(stats.first_non_finite().map(|place| start + place));
                start += stats.len();
                total.add(&stats);
            }
        }
        let mut whole = self.nothing();
        if !sheets.whole.is_empty() {
            let sum = total.stats();
            whole = sum.with_non_finite(sum.nan(), sum.pos_inf(), sum.neg_inf(), first);
        }
        let mut units = vec![];
        match (self.units, self.split()) {
            (Some(_), None) => units.push(whole),
            (_, Some(axis)) if sheets.units.is_empty() => {
                units.resize(self.values.dims()[axis], self.nothing());
            }
            _ => {
                for sheet in &sheets.units {
                    units.extend(next(sheet)?);
                }
            }
        }
        Some(Found { whole, units })
    }
}

/// The one way to the host: all numbers of these tensors of one axis, in order.
fn to_host(tensors: &[Values], transfers: &Transfers) -> Candle<Vec<f64>> {
    let all = Values::cat(tensors, 0)?;
    transfers.add_one();
    if all.dtype() == DType::F32 {
        Ok(all.to_vec1::<f32>()?.into_iter().map(f64::from).collect())
    } else {
        all.to_dtype(DType::F64)?.to_vec1()
    }
}

/// Looks at some jobs whose tensors lie on the same device, with one transfer.
fn look_at(jobs: &[&Job<'_>], look: Look, transfers: &Transfers) -> Result<Vec<Option<Found>>> {
    let sheets: Vec<Sheets> = jobs
        .iter()
        .map(|job| job.sheets(look))
        .collect::<Candle<_>>()
        .map_err(crate::storage)?;
    let each = |sheets: &Sheets| -> Vec<Values> {
        let all = sheets.whole.iter().chain(&sheets.units);
        all.map(|sheet| sheet.sums.clone()).collect()
    };
    let on_device: Vec<Values> = sheets.iter().flat_map(each).collect();
    let sums = if on_device.is_empty() {
        vec![]
    } else {
        to_host(&on_device, transfers).map_err(crate::storage)?
    };
    let mut rest = sums.as_slice();
    let found = jobs.iter().zip(&sheets).map(|(job, sheets)| {
        let all = sheets.whole.iter().chain(&sheets.units);
        let (now, later) = rest.split_at(all.map(|sheet| sheet.rows * sheet.fields).sum());
        rest = later;
        job.find(sheets, look, now)
    });
    Ok(found.collect())
}

/// Reads jobs whose tensors lie on the same device: one transfer, a second if something is not finite.
fn read_together(jobs: &[&Job<'_>], transfers: &Transfers) -> Result<Vec<Found>> {
    let first = look_at(jobs, Look::Sums, transfers)?;
    let unclear: Vec<&Job<'_>> = jobs
        .iter()
        .zip(&first)
        .filter(|(_, found)| found.is_none())
        .map(|(job, _)| *job)
        .collect();
    let mut closer = if unclear.is_empty() {
        vec![]
    } else {
        look_at(&unclear, Look::NonFinite, transfers)?
    }
    .into_iter();
    first
        .into_iter()
        .map(|found| {
            found
                .or_else(|| closer.next().flatten())
                .ok_or_else(|| Error::Storage("sums of finite numbers came out infinite".into()))
        })
        .collect()
}

/// Reads every tensor once, those of a device together.
pub(crate) fn measure(
    slots: &Slots,
    after: &Edits,
    into: &mut Measurement,
    transfers: &Transfers,
) -> Result<()> {
    let needs = into.needs();
    let mut jobs = vec![];
    for (index, (_, slot)) in slots.iter().enumerate() {
        if let Slot::OnDevice(Remote { values, .. }) = slot {
            let job = Job::new(values, after.get(index), needs.power(), needs.units)?;
            jobs.push((index, job));
        }
    }
    let mut locations: Vec<DeviceLocation> = vec![];
    for (_, job) in &jobs {
        let location = job.values.device().location();
        if !locations.contains(&location) {
            locations.push(location);
        }
    }
    let mut found: Vec<Option<Found>> = slots.iter().map(|_| None).collect();
    for location in locations {
        let here = jobs
            .iter()
            .filter(|(_, job)| job.values.device().location() == location);
        let (places, here): (Vec<usize>, Vec<&Job<'_>>) =
            here.map(|(index, job)| (*index, job)).unzip();
        for (place, read) in places.into_iter().zip(read_together(&here, transfers)?) {
            found[place] = Some(read);
        }
    }
    for (index, ((name, slot), found)) in slots.iter().zip(found).enumerate() {
        match found {
            Some(found) => into.push_with_units(name, found.whole, &found.units),
            None => into.measure(name, slot, after.get(index))?,
        }
    }
    Ok(())
}

/// A tensor that candle's own operations read and edit, one at a time.
#[derive(Debug)]
pub(crate) struct Remote {
    values: Values,
    transfers: Transfers,
}

impl Remote {
    pub(crate) fn new(values: Values) -> Self {
        Self {
            values,
            transfers: Transfers::default(),
        }
    }

    pub(crate) fn transfers(&self) -> usize {
        self.transfers.count()
    }

    /// The flat run of `len` elements from the `start`-th on.
    fn run(&self, start: usize, len: usize) -> Result<Values> {
        let found = self.len();
        match start.checked_add(len) {
            Some(end) if end <= found => self
                .values
                .flatten_all()
                .and_then(|flat| flat.narrow(0, start, len))
                .map_err(crate::storage),
            _ => Err(Error::Count {
                what: "elements",
                expected: start.saturating_add(len),
                found,
            }),
        }
    }
}

impl Tensor for Remote {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        let axis = ask.units.as_ref().map(|(axis, _)| *axis);
        let job = Job::new(&self.values, ask.after, ask.power(), axis)?;
        let found = read_together(&[&job], &self.transfers)?;
        let found = found.into_iter().next();
        let found = found.ok_or_else(|| Error::Storage("a tensor was not read".into()))?;
        if let Some((_, units)) = &mut ask.units {
            units.extend_from_slice(&found.units);
        }
        Ok(found.whole)
    }

    fn len(&self) -> usize {
        self.values.elem_count()
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        let run = self.run(start, out.len())?;
        if out.is_empty() {
            return Ok(());
        }
        let wide = run.to_dtype(widest(run.device()));
        let read = wide.and_then(|wide| to_host(&[wide], &self.transfers));
        out.copy_from_slice(&read.map_err(crate::storage)?);
        Ok(())
    }
}

impl TensorMut for Remote {
    fn edit(&mut self, edit: &Edit<'_>) -> Result<()> {
        let job = Job::new(&self.values, *edit, None, None)?;
        let write = || {
            let to = laid_out(&self.values, edit)?;
            let places = to.dim(0)?;
            for (start, len) in chunks(places, to.elem_count() / places) {
                let new = job.part(&to, 0, start, len).edited()?;
                to.slice_set(&new.to_dtype(to.dtype())?, 0, start)?;
            }
            Ok(())
        };
        if edit.is_keep() || self.is_empty() {
            Ok(())
        } else {
            write().map_err(crate::storage)
        }
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        let run = self.run(start, values.len())?;
        if values.is_empty() {
            return Ok(());
        }
        let to = &self.values;
        let sum = || {
            let dtype = widest(to.device());
            let values = Values::from_slice(values, values.len(), &Device::Cpu)?;
            let values = values.to_dtype(dtype)?.to_device(to.device())?;
            let new = (run.to_dtype(dtype)? + values)?.to_dtype(to.dtype())?;
            to.flatten_all()?.slice_set(&new, 0, start)
        };
        sum().map_err(crate::storage)
    }
}

/// The widest type that a device reckons in.
pub(crate) fn widest(device: &Device) -> DType {
    Arithmetic::of(device).dtype
}

/// The sum of a flat tensor, known to candle's autograd: first in rows, then in all.
pub(crate) fn sum_in_rows(flat: &Values) -> Candle<Values> {
    let count = flat.elem_count();
    let whole = count - count % ROW;
    if whole == 0 {
        return flat.sum_all();
    }
    let rows = flat.narrow(0, 0, whole)?.reshape((whole / ROW, ROW))?;
    let sum = rows.sum(1)?.sum_all()?;
    if whole == count {
        return Ok(sum);
    }
    sum + flat.narrow(0, whole, count - whole)?.sum_all()?
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;

    fn tensor(values: &[f32]) -> Values {
        Values::from_slice(values, values.len(), &Device::Cpu).unwrap()
    }

    /// What a device without `f64` would find.
    fn in_f32(values: &Values, edit: Edit<'_>, p: Option<f64>) -> Stats {
        let mut job = Job::new(values, edit, p, None).unwrap();
        job.arithmetic = Arithmetic::F32;
        let found = read_together(&[&job], &Transfers::default()).unwrap();
        found.into_iter().next().unwrap().whole
    }

    #[test]
    fn a_device_without_f64_overflows_nowhere() {
        let near = |x: f64, y: f64| assert!((x / y - 1.0).abs() < 1e-6, "{x} and {y}");
        near(
            in_f32(&tensor(&[1e25, 1e25, 1.0]), Edit::KEEP, None).l2(),
            2f64.sqrt() * 1e25,
        );
        near(
            in_f32(&tensor(&vec![f32::MAX; 100_000]), Edit::KEEP, None).l1(),
            1e5 * f64::from(f32::MAX),
        );
        near(
            in_f32(&tensor(&[1e-44; 4]), Edit::KEEP, None).l2(),
            2.0 * f64::from(1e-44_f32),
        );
        let long: Vec<f32> = (0..1_000_000).map(|i| (i % 1000) as f32 * 0.1).collect();
        let exact = long
            .iter()
            .map(|&x| f64::from(x).powi(3))
            .sum::<f64>()
            .cbrt();
        let norm = steadygrad::Norm::P(3.0);
        near(
            in_f32(&tensor(&long), Edit::KEEP, Some(3.0))
                .norm(norm)
                .to_f64(),
            exact,
        );
    }

    #[test]
    fn a_device_without_f64_counts_and_finds() {
        let mut values = vec![1.0; 30_000];
        (values[20_000], values[25_000], values[29_999]) =
            (f32::INFINITY, f32::NAN, f32::NEG_INFINITY);
        let stats = in_f32(&tensor(&values), Edit::KEEP, None);
        let counts = (
            stats.nan(),
            stats.pos_inf(),
            stats.neg_inf(),
            stats.first_non_finite(),
        );
        assert_eq!(counts, (1, 1, 1, Some(20_000)));
    }

    #[test]
    fn a_device_without_f64_scales_and_clamps() {
        let mut edits = Edits::for_count(1);
        edits.scale(0, Factor::ratio(Wide::from(1e-30), Wide::from(1e25)));
        edits.scale(0, Factor::ratio(Wide::from(1e30), Wide::from(1e-25)));
        edits.clamp(0, -5.0, 5.0);
        let stats = in_f32(&tensor(&[3.0, -4.0, 1e3]), edits.get(0), None);
        assert!(
            (stats.l1() - 12.0).abs() < 1e-5 && stats.max_abs() == 5.0,
            "{stats:?}"
        );
    }

    #[test]
    fn rows_add_up_and_autograd_knows_them() {
        for count in [1, ROW - 1, ROW, 3 * ROW, 3 * ROW + 5] {
            let w = Var::ones(count, DType::F32, &Device::Cpu).unwrap();
            let sum = sum_in_rows(&w).unwrap();
            assert_eq!(sum.to_scalar::<f32>().unwrap(), count as f32);
            let grad = sum.backward().unwrap().remove(&w).unwrap();
            assert_eq!(grad.to_vec1::<f32>().unwrap(), vec![1.0; count]);
        }
    }
}
