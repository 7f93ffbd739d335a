//! Sums of rows, taken where the tensor is, and what they come to on the host.

use burn::tensor::{DType, FloatDType, Int, Tensor, TensorData};
use steadygrad::{Stats, Wide};

use super::transfer::Part;

/// Elements added up in one go.
const ROW: usize = 128;

/// Powers of two by which rows are divided, so that no square of theirs leaves the range of the type
/// they are calculated in: `2^(k · step)` for the `k` that the largest magnitude asks for. Such a
/// division is exact.
#[derive(Clone, Copy, Debug)]
struct Scales {
    step: i32,
    steps: i32,
}

impl Scales {
    pub(super) fn new(dtype: DType, wide: FloatDType) -> Self {
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
    pub(super) fn new(x: Tensor<2>, dtype: DType, wide: FloatDType) -> Self {
        let [units, len] = x.dims();
        Self {
            x,
            units,
            len,
            scales: Scales::new(dtype, wide),
        }
    }

    /// For each unit: how many NaN, +∞, −∞; the largest magnitude and the sums, in pieces.
    pub(super) fn sums(&self, p: Option<f64>, range: bool) -> [Part; 2] {
        let nan = self.x.clone().is_nan();
        let pos_inf = self.x.clone().equal_scalar(f64::INFINITY);
        let neg_inf = self.x.clone().equal_scalar(f64::NEG_INFINITY);
        let bad = nan
            .clone()
            .bool_or(pos_inf.clone())
            .bool_or(neg_inf.clone());
        let counts = [nan, pos_inf, neg_inf].map(|which| which.int().sum_dim(1));

        let magnitude = self.x.clone().abs().mask_fill(bad.clone(), 0.0);
        let max = magnitude.clone().max_dim(1);
        let y = magnitude.clone() * self.scales.on_device(&max);
        let mut floats = vec![max.clone()];
        if range {
            // What is not finite is no end of the range.
            let end = |end: f64| self.x.clone().mask_fill(bad.clone(), end);
            floats.push(end(f64::INFINITY).min_dim(1));
            floats.push(end(f64::NEG_INFINITY).max_dim(1));
        }
        floats.extend([fold(y.clone()), fold(y.clone() * y)]);
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
    pub(super) fn first_non_finite(&self) -> Part {
        let device = self.x.device();
        let index = Tensor::<1, Int>::arange(0..self.len as i64, &device)
            .reshape([1, self.len])
            .expand([self.units, self.len]);
        let finite = self.x.clone().is_finite();
        Part::Int(index.mask_fill(finite, self.len as i64).min_dim(1))
    }

    /// What the sums come to, unit by unit.
    pub(super) fn stats(
        &self,
        counts: &TensorData,
        floats: &TensorData,
        p: Option<f64>,
        range: bool,
    ) -> Vec<Stats> {
        let counts: Vec<i64> = counts.iter::<i64>().collect();
        let floats: Vec<f64> = floats.iter::<f64>().collect();
        let width = floats.len() / self.units;
        counts
            .chunks_exact(3)
            .zip(floats.chunks_exact(width))
            .map(|(counts, floats)| {
                let max = floats[0];
                let ends = if range { 2 } else { 0 };
                let pieces = (width - 1 - ends) / if p.is_some() { 3 } else { 2 };
                let mut sums = floats[1 + ends..]
                    .chunks_exact(pieces)
                    .map(|s| s.iter().sum::<f64>());
                let mut next = || Wide::from(sums.next().unwrap_or(0.0));
                let scale = Wide::from(self.scales.on_host(max));
                let (l1, sum_sq) = (next() / scale, next() / scale / scale);
                let stats = Stats::from_sums(self.len as u64, max, l1, sum_sq);
                let stats = match p {
                    Some(p) => stats.with_power(p, next() * Wide::from(max).power(p)),
                    None => stats,
                };
                let stats = if range {
                    stats.with_range(floats[1], floats[2])
                } else {
                    stats
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

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

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
