//! The way to the host: one transfer for all tensors of a device.

use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, DeviceLocation, Tensor as Values};
use steadygrad::{Error, Reading, Result, Tensor, TensorRef};

use super::Candle;
use super::found::Found;
use super::sheet::{Job, Look, Sheets};
use crate::slot::Slot;
use crate::slots::Slots;

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

/// The one way to the host: all numbers of these tensors of one axis, in order.
pub(super) fn to_host(tensors: &[Values], transfers: &Transfers) -> Candle<Vec<f64>> {
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
pub(super) fn read_together(jobs: &[&Job<'_>], transfers: &Transfers) -> Result<Vec<Found>> {
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

/// Has `look` see all jobs of a device together; what it says of each stands in the job's place among `count`.
pub(super) fn on_each_device<J, R>(
    count: usize,
    jobs: &[(usize, J)],
    values: impl Fn(&J) -> &Values,
    look: impl Fn(&[&J]) -> Result<Vec<R>>,
) -> Result<Vec<Option<R>>> {
    let mut found = Vec::new();
    found.resize_with(count, || None);
    let location = |job: &J| values(job).device().location();
    let mut locations: Vec<DeviceLocation> = vec![];
    for (_, job) in jobs {
        if !locations.contains(&location(job)) {
            locations.push(location(job));
        }
    }
    for here in locations {
        let jobs = jobs.iter().filter(|(_, job)| location(job) == here);
        let (places, jobs): (Vec<usize>, Vec<&J>) = jobs.map(|(place, job)| (*place, job)).unzip();
        for (place, said) in places.into_iter().zip(look(&jobs)?) {
            found[place] = Some(said);
        }
    }
    Ok(found)
}

/// Reads every tensor once, those of a device together.
pub(crate) fn measure<'a>(
    slots: &'a Slots,
    reading: &mut Reading<'_, 'a>,
    transfers: &Transfers,
) -> Result<()> {
    let look = (reading.needs().power, reading.needs().range);
    let mut jobs = vec![];
    for (index, (name, slot)) in slots.iter().enumerate() {
        if let Slot::OnDevice(tensor) = slot {
            let units = reading.unit_axis(name, tensor.values().dims())?;
            let job = Job::new(tensor.values(), reading.edit(index), look, units)?;
            jobs.push((index, job));
        }
    }
    let read = |jobs: &[&Job<'_>]| read_together(jobs, transfers);
    let found = on_each_device(slots.iter().count(), &jobs, |job| job.values, read)?;
    for ((name, slot), found) in slots.iter().zip(found) {
        match found {
            Some(Found { whole, units }) => reading.push(name, slot.dims(), whole, &units)?,
            None => reading.tensor(name, TensorRef::Other(slot))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use steadygrad::{Edit, Edits, Factor, Stats, Wide};

    use super::super::Arithmetic;
    use super::*;

    fn tensor(values: &[f32]) -> Values {
        Values::from_slice(values, values.len(), &Device::Cpu).unwrap()
    }

    /// What a device without `f64` would find.
    fn in_f32(values: &Values, edit: Edit<'_>, p: Option<f64>) -> Stats {
        let mut job = Job::new(values, edit, (p, false), None).unwrap();
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
}
