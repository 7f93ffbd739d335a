//! The tables of recurrent cells.

use super::case::{CELLS, Case, shapes};
use super::peak::Peak;
use crate::options::Job;
use crate::table::{duration, line};

/// The columns, of the peers in their order; ours comes first.
const TITLES: [&str; 6] = [
    "ours",
    "ours, `Checkpointed`",
    "PyTorch",
    "burn",
    "candle",
    "rust-lstm",
];

/// One line of the table of times: milliseconds, one entry a round (NaN where a peer has no such cell).
#[derive(Debug)]
pub(crate) struct Row {
    case: Case,
    threads: usize,
    pub(crate) peak: Vec<Peak>,
    pub(crate) times: [Vec<f64>; TITLES.len()],
}

impl Row {
    pub(crate) fn new(case: Case, threads: usize) -> Self {
        Self {
            case,
            threads,
            peak: Vec::new(),
            times: Default::default(),
        }
    }

    fn order(&self) -> (Option<usize>, Option<usize>, usize) {
        let shape = shapes()
            .into_iter()
            .position(|shape| shape == self.case.shape);
        let cell = CELLS.into_iter().position(|cell| cell == self.case.cell);
        (cell, shape, self.threads)
    }

    fn is_measured(&self, column: usize) -> bool {
        self.times[column].iter().any(|ms| !ms.is_nan())
    }

    /// Operations a nanosecond.
    fn peak(&self, of: impl Fn(&Peak) -> f64) -> f64 {
        quantile(self.peak.iter().map(of), 0.5)
    }

    /// The part of the peak at which a peer computes, round by round.
    fn share(&self, column: usize) -> f64 {
        let rounds = self.times[column].iter().zip(&self.peak);
        quantile(
            rounds.map(|(ms, peak)| self.case.flops() / ms / 1e6 / peak.widest),
            0.5,
        )
    }

    /// `10.3 ms (1.21×, 1.17×)`: the median, the median over rounds of the ratio to ours, and its lower quartile.
    fn cell(&self, column: usize) -> String {
        let ms = quantile(self.times[column].iter().copied(), 0.5);
        if ms.is_nan() {
            return "–".to_owned();
        }
        if column == 0 {
            return format!("**{}**", duration(ms));
        }
        let rounds = self.times[column].iter().zip(&self.times[0]);
        let ratios = rounds.map(|(theirs, ours)| theirs / ours);
        let (middle, lower) = (quantile(ratios.clone(), 0.5), quantile(ratios, 0.25));
        if middle.is_nan() {
            return duration(ms);
        }
        format!("{} ({}×, {}×)", duration(ms), digits(middle), digits(lower))
    }
}

/// Three digits, as they are for a ratio.
fn digits(ratio: f64) -> String {
    let decimals = (2 - ratio.abs().log10().floor() as i32).clamp(0, 2) as usize;
    format!("{ratio:.decimals$}")
}

/// The value below which this part of the numbers lies, between two of them where none is at that place; NaN are none.
fn quantile(values: impl Iterator<Item = f64>, part: f64) -> f64 {
    let mut values: Vec<f64> = values.filter(|x| !x.is_nan()).collect();
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = part * last as f64;
    let (below, above) = (
        values[place.floor() as usize],
        values[place.ceil() as usize],
    );
    below + (above - below) * place.fract()
}

/// The columns in which there is something.
fn shown(is_there: impl Fn(usize) -> bool) -> Vec<usize> {
    (0..TITLES.len())
        .filter(|&column| is_there(column))
        .collect()
}

/// The lines above the tables.
pub(crate) fn header(rounds: usize, about: &[String], rows: &[Row]) -> String {
    let mut threads: Vec<usize> = rows.iter().map(|row| row.threads).collect();
    threads.dedup();
    let peaks: Vec<String> = threads
        .iter()
        .map(|&threads| {
            let of = |get: fn(&Peak) -> f64| {
                let rows = rows.iter().filter(|row| row.threads == threads);
                quantile(rows.map(|row| row.peak(get)), 0.5)
            };
            let (widest, avx2) = (of(|peak| peak.widest), of(|peak| peak.avx2));
            format!("{widest:.0} GFLOP/s on {threads} thread(s) ({avx2:.0} with AVX2)")
        })
        .collect();
    format!(
        "Forward and backward, f32, medians of {rounds} interleaved rounds; in brackets the median of the ratio to ours, \
         and its lower quartile. The peak is that of multiply-adds alone: {}. Sizes are time, batch, inputs, hidden. \
         Peers: {}.\n",
        peaks.join(", "),
        about.join(", ")
    )
}

/// The table of times.
pub(crate) fn render(rows: &mut [Row]) -> String {
    debug_assert_eq!(TITLES.len(), Job::Recurrent.peers().len());
    rows.sort_by_key(Row::order);
    let shown = shown(|column| rows.iter().any(|row| row.is_measured(column)));
    let titles = ["cell", "size", "threads", "peak", "ours/peak"].map(str::to_owned);
    let titles = titles.into_iter();
    let titles = titles.chain(shown.iter().map(|&column| TITLES[column].to_owned()));
    let rule = ["---", "---", "--:", "--:", "--:"].map(str::to_owned);
    let rule = rule
        .into_iter()
        .chain(shown.iter().map(|_| "--:".to_owned()));
    let mut lines = vec![line(titles), line(rule)];
    // A cell that no one has is no line.
    for row in rows
        .iter()
        .filter(|row| shown.iter().any(|&column| row.is_measured(column)))
    {
        let share = row.share(0);
        let fixed = [
            row.case.cell.title().to_owned(),
            row.case.shape.title(),
            row.threads.to_string(),
            format!("{:.0} GFLOP/s", row.peak(|peak| peak.widest)),
            if share.is_nan() {
                "–".to_owned()
            } else {
                format!("{:.0} %", 100.0 * share)
            },
        ];
        let cells = shown.iter().map(|&column| row.cell(column));
        lines.push(line(fixed.into_iter().chain(cells)));
    }
    lines.join("\n")
}

/// One line of the table of memory: MiB before the cell was made, and at the end.
#[derive(Debug)]
pub(crate) struct MemoryRow {
    case: Case,
    pub(crate) mib: [Option<(f64, f64)>; TITLES.len()],
}

impl MemoryRow {
    pub(crate) fn new(case: Case) -> Self {
        Self {
            case,
            mib: Default::default(),
        }
    }
}

/// The table of memory.
pub(crate) fn render_memory(rows: &[MemoryRow]) -> String {
    let shown = shown(|column| rows.iter().any(|row| row.mib[column].is_some()));
    let titles = ["peak memory of a process", "size"].map(str::to_owned);
    let titles = titles.into_iter();
    let titles = titles.chain(shown.iter().map(|&column| TITLES[column].to_owned()));
    let rule = ["---", "---"].map(str::to_owned);
    let rule = rule
        .into_iter()
        .chain(shown.iter().map(|_| "--:".to_owned()));
    let mut lines = vec![line(titles), line(rule)];
    for row in rows {
        let fixed = [row.case.cell.title().to_owned(), row.case.shape.title()];
        let cells = shown.iter().map(|&column| match row.mib[column] {
            Some((before, after)) => format!("{after:.0} MiB ({before:.0} when it starts)"),
            None => "–".to_owned(),
        });
        lines.push(line(fixed.into_iter().chain(cells)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_numbers_that_are_there() {
        let of = |values: &[f64], part| quantile(values.iter().copied(), part);
        assert_eq!(of(&[4.0, 1.0, f64::NAN, 2.0, 3.0], 0.5), 2.5);
        assert_eq!(of(&[5.0, 1.0, 2.0, 4.0, 3.0], 0.25), 2.0);
        assert_eq!(of(&[2.0, 1.0], 0.25), 1.25);
        assert!(of(&[f64::NAN], 0.5).is_nan());
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let case = Case {
            cell: CELLS[1],
            shape: shapes()[0],
        };
        let mut row = Row::new(case, 1);
        row.times[0] = vec![1.0, 10.0, 4.0];
        row.times[2] = vec![2.0, 15.0, 12.0];
        assert_eq!(row.cell(2), "12.0 ms (2.00×, 1.75×)");
        row.times[3] = vec![400.0, f64::NAN, f64::NAN];
        assert_eq!(row.cell(3), "400 ms (400×, 400×)");
        assert_eq!(row.cell(4), "–");
    }

    #[test]
    fn the_share_is_that_of_the_operations_of_the_cell() {
        let case = Case {
            cell: CELLS[0],
            shape: shapes()[3],
        };
        let mut row = Row::new(case, 1);
        row.peak = vec![Peak {
            widest: 100.0,
            avx2: 50.0,
        }];
        // 7.08 GFLOP at 100 GFLOP/s take 70.8 ms.
        row.times[0] = vec![141.557_76];
        assert!((row.share(0) - 0.5).abs() < 1e-12);
    }
}
