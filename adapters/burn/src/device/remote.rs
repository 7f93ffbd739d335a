//! One tensor for the core to read and edit.

use std::sync::Arc;

use burn::tensor::TensorData;
use steadygrad::{Ask, Edit, Error, Result, Stats, Tell};

use super::measure::{Request, check, clamp_of, count, measure};
use super::ranked::OnDevice;
use super::transfer::{Part, Transfers, transfer};

/// One tensor with the counter it shares.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) tensor: Box<dyn OnDevice>,
    pub(crate) transfers: Arc<Transfers>,
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
            axis: ask.units.as_ref().map(|(axis, _)| *axis),
        };
        let answers = measure(&[request], (ask.power, ask.range), &self.transfers)?;
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

    fn dims(&self) -> Option<&[usize]> {
        Some(self.tensor.dims())
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
    fn edit(&mut self, edit: &Edit<'_>, tell: Tell<'_>) -> Result<()> {
        check(edit, self.tensor.dims())?;
        let mut changes = !edit.is_keep() && self.len() > 0;
        if let (Some(counts), Some(clamp)) = (tell.clamped, clamp_of(edit)) {
            for told in count(&[(&*self.tensor, clamp)], &self.transfers)? {
                *counts += told;
                changes = told.is_clipped();
            }
        }
        if changes {
            self.tensor.edit(edit);
        }
        if let Some(after) = tell.after {
            let mut ask = Ask::least();
            (ask.magnitudes, ask.power) = (tell.magnitudes, tell.power);
            *after = steadygrad::Tensor::stats(self, &mut ask)?;
        }
        Ok(())
    }

    fn write(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.range(start, values.len())?;
        if !values.is_empty() {
            self.tensor.write(start, values);
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
    use burn::tensor::{DType, Device, FloatDType, Tensor};
    use steadygrad::{Edits, TensorMut as _};

    use super::super::Ranked;
    use super::*;

    /// A tensor on a device that has no `f64`.
    fn narrow(values: &[f32]) -> Remote {
        let data = TensorData::new(values.to_vec(), [values.len()]);
        let tensor = Tensor::<1>::from_data(data, (&Device::flex(), DType::F32));
        Remote {
            tensor: Box::new(Ranked::with(tensor, FloatDType::F32)),
            transfers: Arc::default(),
        }
    }

    fn values(remote: Remote) -> Vec<f32> {
        let tensor = Tensor::<1>::from_dispatch(remote.tensor.into_dispatch());
        tensor.into_data().iter::<f32>().collect()
    }

    /// What the host says and what is found without `f64`.
    fn both(values: &[f32]) -> [Stats; 2] {
        let ask = || Ask::default().power(3.0);
        [
            steadygrad::Tensor::stats(values, &mut ask()),
            steadygrad::Tensor::stats(&narrow(values), &mut ask()),
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
            one.edit(&edits.get(0), Tell::nothing()).expect("edit");
            let expected = (f64::from(x) * factor) as f32;
            for (found, expected) in values(one).into_iter().zip([expected, -expected]) {
                let unit = (expected.abs() * f32::EPSILON).max(f32::from_bits(1));
                assert!((found - expected).abs() <= unit, "{found} {expected}");
            }
        }
    }
}
