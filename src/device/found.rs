//! What the host makes of the sums.

use alloc::vec;
use alloc::vec::Vec;

use super::engine::{Engine, Kind};
use super::sums::{Field, Job, Sheet};
use crate::math::pow2;
use crate::stats::Power;
use crate::{Stats, Total, Wide};

/// What a tensor and each of its units come to.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) whole: Stats,
    pub(super) units: Vec<Stats>,
}

/// The sums of one row.
#[derive(Clone, Copy, Debug)]
struct Row {
    len: usize,
    low: f64,
    high: f64,
    counts: [f64; 3],
    first: f64,
    largest: Option<f64>,
    magnitudes: Option<f64>,
    power: Option<(f64, f64)>,
    squares: f64,
}

impl Row {
    fn sums(&self) -> impl Iterator<Item = f64> {
        self.magnitudes
            .into_iter()
            .chain(self.power.map(|(_, sum)| sum))
            .chain([self.squares])
    }

    /// Whether all is finite, as far as the sums can tell.
    fn is_finite(&self) -> bool {
        // A sum of finite numbers that has overflowed is infinite, beside a largest magnitude that is not.
        let may_be = |sum: f64| sum.is_finite() || self.largest.is_some() && !sum.is_nan();
        self.sums().all(may_be) && self.largest.is_none_or(f64::is_finite)
    }

    /// Whether no sum has left the range of the type in which it was taken, nor lost what counts.
    fn is_in_range(&self, arithmetic: Kind) -> bool {
        // So that what is too small to be added is nothing beside it.
        let least = self.len as f64 * arithmetic.smallest() / arithmetic.unit();
        let powers = self
            .power
            .map(|(_, sum)| sum)
            .into_iter()
            .chain([self.squares]);
        self.largest == Some(0.0)
            || self.sums().all(f64::is_finite) && powers.into_iter().all(|sum| sum >= least)
    }

    /// The power of two that brings the largest magnitude into [1, 2), and what that then is.
    fn scale(&self, arithmetic: Kind) -> (f64, f64) {
        let largest = self.largest.unwrap_or(0.0);
        if !(largest > 0.0 && largest.is_finite()) {
            return (1.0, 1.0);
        }
        let (_, exponent) = Wide::from(largest).parts();
        let exponents = arithmetic.exponents();
        let scale = pow2((-exponent).clamp(*exponents.start(), *exponents.end()));
        (scale, largest * scale)
    }

    fn stats(&self, scale: Option<&(f64, f64)>, arithmetic: Kind) -> Stats {
        let by = Wide::from(scale.map_or(1.0, |(scale, _)| *scale));
        let [nan, pos_inf, neg_inf] = self.counts.map(|count| count as u64);
        // An index that the type has.
        let is_exact = (self.len as f64) < 0.5 / arithmetic.unit();
        let first = (is_exact && self.first < self.len as f64).then_some(self.first as u64);
        let largest = self.largest.unwrap_or(f64::INFINITY);
        let power = self.power.map_or(Power::NONE, |(p, sum)| {
            // Once scaled, shares of the largest magnitude were taken to the power.
            let unit = scale.map_or(Wide::ONE, |_| Wide::from(largest).power(p));
            Power::of(p, Wide::from(sum) * unit)
        });
        Stats {
            len: self.len as u64,
            nan,
            pos_inf,
            neg_inf,
            first_non_finite: first,
            max_abs: largest,
            l1: self.magnitudes.map(|sum| Wide::from(sum) / by),
            sum_sq: Wide::from(self.squares) / by / by,
            power,
            low: self.low,
            high: self.high,
        }
    }
}

impl<E: Engine> Job<'_, E> {
    /// Takes this job's numbers off those that have come to the host. `None` if they are not to be trusted, and the
    /// job has learned how to look closer.
    pub(super) fn settle(&mut self, sheets: &[Sheet], numbers: &mut &[f64]) -> Option<Found> {
        let mut rows = vec![];
        for sheet in sheets {
            self.read(sheet, numbers, &mut rows);
        }
        let in_range =
            !self.may_overflow() || rows.iter().all(|row| row.is_in_range(self.arithmetic));
        let knows_largest = rows.iter().all(|row| row.largest.is_some());
        if !self.counts && !(rows.iter().all(Row::is_finite) && (in_range || knows_largest)) {
            self.counts = true;
            return None;
        }
        if !in_range && self.scales.is_empty() {
            self.scales = rows.iter().map(|row| row.scale(self.arithmetic)).collect();
            return None;
        }
        let stats =
            |(index, row): (usize, &Row)| row.stats(self.scales.get(index), self.arithmetic);
        Some(self.put_together(rows.iter().enumerate().map(stats).collect()))
    }

    /// The rows of a sheet.
    fn read(&self, sheet: &Sheet, numbers: &mut &[f64], rows: &mut Vec<Row>) {
        let begin = rows.len();
        rows.resize(
            begin + sheet.rows,
            Row {
                len: sheet.row_len,
                low: f64::NEG_INFINITY,
                high: f64::INFINITY,
                counts: [0.0; 3],
                first: f64::INFINITY,
                largest: None,
                magnitudes: None,
                power: None,
                squares: 0.0,
            },
        );
        for (field, pieces) in self.fields().zip(&sheet.fields) {
            let mut sums = vec![0.0; sheet.rows];
            for len in pieces {
                let (now, later) = numbers.split_at((sheet.rows * len).min(numbers.len()));
                *numbers = later;
                for (sum, of_row) in sums.iter_mut().zip(now.chunks_exact(*len)) {
                    *sum += of_row.iter().sum::<f64>();
                }
            }
            for (row, x) in rows[begin..].iter_mut().zip(sums) {
                match field {
                    Field::Low => row.low = x,
                    Field::High => row.high = x,
                    Field::Nan => row.counts[0] = x,
                    Field::PosInf => row.counts[1] = x,
                    Field::NegInf => row.counts[2] = x,
                    Field::First => row.first = x,
                    Field::Largest => row.largest = Some(x),
                    Field::Magnitudes => row.magnitudes = Some(x),
                    Field::Power(p) => row.power = Some((p, x)),
                    Field::Squares => row.squares = x,
                }
            }
        }
    }

    /// What the rows come to: runs of a flat list one after the other, or units.
    fn put_together(&self, rows: Vec<Stats>) -> Found {
        if let (None, [whole]) = (self.axis, &rows[..]) {
            return Found {
                whole: *whole,
                units: vec![],
            };
        }
        let (mut total, mut first, mut start) = (Total::default(), None, 0);
        for (index, row) in rows.iter().enumerate() {
            let here = row.first_non_finite.map(|at| match self.axis {
                Some(axis) => in_row_major(index, at as usize, axis, self.dims) as u64,
                None => start + at,
            });
            first = [first, here].into_iter().flatten().min();
            start += row.len;
            total.add(row);
        }
        let whole = Stats {
            first_non_finite: first,
            ..total.stats()
        };
        match self.axis {
            None => Found {
                whole,
                units: vec![],
            },
            Some(_) => Found { whole, units: rows },
        }
    }

    /// What a tensor without elements comes to.
    pub(super) fn nothing(&self) -> Found {
        let nothing = Stats {
            power: self
                .asked
                .look
                .power
                .map_or(Power::NONE, |p| Power::of(p, Wide::ZERO)),
            ..Stats::EMPTY
        };
        let count = self.axis.map_or(0, |axis| self.dims[axis]);
        Found {
            whole: nothing,
            units: vec![nothing; count],
        }
    }
}

/// The index in the whole tensor of element `at` of a unit.
fn in_row_major(unit: usize, at: usize, axis: usize, dims: &[usize]) -> usize {
    let inner: usize = dims[axis + 1..].iter().product();
    (at / inner * dims[axis] + unit) * inner + at % inner
}
