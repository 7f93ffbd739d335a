//! What the host makes of the sums.

use steadygrad::{Stats, Total, Wide};

use super::sheet::{Job, Look, Sheet, Sheets};

/// What a tensor and each of its units come to.
pub(super) struct Found {
    pub(super) whole: Stats,
    pub(super) units: Vec<Stats>,
}

impl Job<'_> {
    /// What the sums of a sheet say of each of its rows; `None` if something is not finite and was
    /// not counted.
    fn rows(&self, sheet: &Sheet, sums: &[f64], look: Look) -> Option<Vec<Stats>> {
        let field = |index: usize, row: usize| sums[index * sheet.rows + row];
        let range_at = 3 + usize::from(self.p.is_some());
        let sum_count = range_at + 2 * usize::from(self.range);
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
                stats = stats.with_power(p, sum(3) * share.power(p));
            }
            if self.range {
                stats = stats.with_range(field(range_at, row), field(range_at + 1, row));
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
            .map_or(Stats::EMPTY, |p| Stats::EMPTY.with_power(p, Wide::ZERO))
    }

    /// Puts the rows together; `None` if something is not finite and was not counted.
    pub(super) fn find(&self, sheets: &Sheets, look: Look, mut sums: &[f64]) -> Option<Found> {
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
        match self.units {
            Some(axis) if sheets.units.is_empty() => {
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
