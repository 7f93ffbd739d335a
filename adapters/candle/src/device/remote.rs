//! A tensor that candle's own operations read and edit.

use candle_core::{Device, Tensor as Values};
use steadygrad::{Ask, Edit, Error, Result, Stats, Tell, Tensor, TensorMut};

use super::count::count_one;
use super::edited::{chunks, laid_out};
use super::read::{Transfers, read_together, to_host};
use super::sheet::Job;
use super::{Candle, widest};

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

    pub(super) fn values(&self) -> &Values {
        &self.values
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

    /// Puts in place of the elements from the `start`-th on what `f` makes of each and of its value.
    fn put(
        &self,
        start: usize,
        values: &[f64],
        f: impl FnOnce(Values, Values) -> Candle<Values>,
    ) -> Result<()> {
        let run = self.run(start, values.len())?;
        if values.is_empty() {
            return Ok(());
        }
        let to = &self.values;
        let put = || {
            let dtype = widest(to.device());
            let values = Values::from_slice(values, values.len(), &Device::Cpu)?;
            let values = values.to_dtype(dtype)?.to_device(to.device())?;
            let new = f(run.to_dtype(dtype)?, values)?.to_dtype(to.dtype())?;
            to.flatten_all()?.slice_set(&new, 0, start)
        };
        put().map_err(crate::storage)
    }
}

impl Tensor for Remote {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        let axis = ask.units.as_ref().map(|(axis, _)| *axis);
        let job = Job::new(&self.values, ask.after, (ask.power, ask.range), axis)?;
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

    fn dims(&self) -> Option<&[usize]> {
        Some(self.values.dims())
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
    fn edit(&mut self, edit: &Edit<'_>, tell: Tell<'_>) -> Result<()> {
        let job = Job::new(&self.values, *edit, (None, false), None)?;
        let write = || {
            let to = laid_out(&self.values, edit)?;
            let places = to.dim(0)?;
            for (start, len) in chunks(places, to.elem_count() / places) {
                let new = job.part(&to, 0, start, len).edited()?;
                to.slice_set(&new.to_dtype(to.dtype())?, 0, start)?;
            }
            Ok(())
        };
        let mut changes = !edit.is_keep() && !self.is_empty();
        if let Some(counts) = tell.clamped
            && let Some(told) = count_one(&self.values, edit, &self.transfers)?
        {
            *counts += told;
            changes = told.is_clipped();
        }
        if changes {
            write().map_err(crate::storage)?;
        }
        if let Some(after) = tell.after {
            let mut ask = Ask::least();
            (ask.magnitudes, ask.power) = (tell.magnitudes, tell.power);
            *after = self.stats(&mut ask)?;
        }
        Ok(())
    }

    fn write(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.put(start, values, |_, new| Ok(new))
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.put(start, values, |old, new| old + new)
    }
}
