//! Medians, ratios and the markdown table.

use crate::child::median;
use crate::orchestra::COLUMNS;
use crate::sets::{self, Set};
use crate::work::{PASSES, TYPES, WORKS, Work};

/// One line of the table: milliseconds, one entry a round (NaN where a peer has no such work).
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) set: &'static str,
    pub(crate) work: Work,
    threads: usize,
    elements: usize,
    pub(crate) limit: Vec<f64>,
    pub(crate) times: [Vec<f64>; COLUMNS.len()],
}

impl Row {
    pub(crate) fn new(set: &Set, work: Work, threads: usize) -> Self {
        let (limit, times) = Default::default();
        Self {
            set: set.title,
            work,
            threads,
            elements: set.elements(),
            limit,
            times,
        }
    }

    fn order(&self) -> (Option<usize>, Option<usize>, Option<usize>, usize) {
        let set = sets::nets()
            .iter()
            .chain(&sets::buffers())
            .position(|set| set.title == self.set);
        let mut works = PASSES.into_iter().chain(WORKS);
        let work = works.position(|work| work == self.work.of_f32());
        let element = TYPES.into_iter().position(|work| work == self.work);
        (set, work, element, self.threads)
    }

    /// `22.4 ms`, and for a pass its rate.
    fn limit_cell(&self) -> String {
        let ms = median(&mut self.limit.clone());
        let touched = match self.work {
            Work::Read | Work::SumOfSquares => 4,
            Work::Rewrite => 8,
            _ => return duration(ms),
        };
        format!(
            "{}, {:.1} GB/s",
            duration(ms),
            (touched * self.elements) as f64 / ms / 1e6
        )
    }

    /// The part of our time that is the limit.
    fn share_cell(&self) -> String {
        let share = ratio(&self.limit, &self.times[0]);
        if share.is_nan() {
            "–".to_owned()
        } else {
            format!("{share:.2}")
        }
    }

    /// `48.1 ms (2.03×)`: the median, and the median over rounds of the ratio to another column.
    fn cell(&self, column: usize) -> String {
        let ms = median(&mut self.times[column].clone());
        let base = if COLUMNS[column].is_adapter {
            column - 1
        } else {
            0
        };
        match (ms.is_nan(), column) {
            (true, _) => "–".to_owned(),
            (false, 0) => format!("**{}**", duration(ms)),
            (false, _) => format!(
                "{}{}",
                duration(ms),
                suffix(ratio(&self.times[column], &self.times[base]))
            ),
        }
    }
}

fn suffix(ratio: f64) -> String {
    if ratio.is_nan() {
        String::new()
    } else {
        format!(" ({ratio:.2}×)")
    }
}

/// The median over rounds of `a / b`.
fn ratio(a: &[f64], b: &[f64]) -> f64 {
    median(&mut a.iter().zip(b).map(|(a, b)| a / b).collect::<Vec<_>>())
}

/// Three significant digits, in milliseconds or microseconds.
pub(crate) fn duration(ms: f64) -> String {
    let (value, unit) = if ms >= 0.1 {
        (ms, "ms")
    } else {
        (ms * 1e3, "µs")
    };
    let decimals = (2 - value.log10().floor() as i32).clamp(0, 3) as usize;
    format!("{value:.decimals$} {unit}")
}

/// The lines above the table.
pub(crate) fn header(rounds: usize, about: &[String]) -> String {
    format!(
        "Medians of {rounds} interleaved rounds; in brackets the median of the ratio to ours, of an adapter to the column \
         before it. The limit is the time of plain reads and read-modify-writes of as many bytes, of a 64-lane \
         f32 sum of squares for `measure` of a buffer. Peers: {}.\n",
        about.join(", ")
    )
}

/// A line of a table.
pub(crate) fn line(cells: impl IntoIterator<Item = String>) -> String {
    format!("| {} |", cells.into_iter().collect::<Vec<_>>().join(" | "))
}

/// The table.
pub(crate) fn render(rows: &mut [Row]) -> String {
    rows.sort_by_key(Row::order);
    let is_measured = |&i: &usize| {
        rows.iter()
            .any(|row| row.times[i].iter().any(|ms| !ms.is_nan()))
    };
    let shown: Vec<usize> = (0..COLUMNS.len()).filter(is_measured).collect();
    let has_ours = shown.contains(&0);
    let share = |text: &str| has_ours.then(|| text.to_owned());
    let fixed = ["set", "work", "threads", "limit"].map(str::to_owned);
    let titles = shown.iter().map(|&i| COLUMNS[i].title.to_owned());
    let titles = fixed.into_iter().chain(share("limit/ours")).chain(titles);
    let rule = ["---", "---", "--:", "--:"].map(str::to_owned);
    let rule = rule.into_iter().chain(share("--:"));
    let rule = rule.chain(shown.iter().map(|_| "--:".to_owned()));
    let mut lines = vec![line(titles), line(rule)];
    for row in rows {
        let (set, work) = (row.set.to_owned(), row.work.title());
        let fixed = [set, work, row.threads.to_string(), row.limit_cell()];
        let cells = shown.iter().map(|&i| row.cell(i));
        lines.push(line(
            fixed
                .into_iter()
                .chain(has_ours.then(|| row.share_cell()))
                .chain(cells),
        ));
    }
    lines.join("\n")
}

/// The table of facts: one column for each peer.
pub(crate) fn facts(titles: &[&str], columns: &[(String, Vec<String>)]) -> String {
    let names = columns.iter().map(|(name, _)| name.clone());
    let first = "gradient, clipped by norm".to_owned();
    let mut lines = vec![line([first].into_iter().chain(names))];
    lines.push(line(vec!["---".to_owned(); columns.len() + 1]));
    for (i, &title) in titles.iter().enumerate() {
        let cells = columns
            .iter()
            .map(|(_, results)| results.get(i).cloned().unwrap_or_default());
        lines.push(line([title.to_owned()].into_iter().chain(cells)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        assert_eq!(duration(208.4), "208 ms");
        assert_eq!(duration(48.123), "48.1 ms");
        assert_eq!(duration(0.335_21), "0.335 ms");
        assert_eq!(duration(0.001_234), "1.23 µs");
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        assert_eq!(ratio(&[2.0, 30.0, 4.0], &[1.0, 10.0, 4.0]), 2.0);
        assert!(ratio(&[1.0], &[f64::NAN]).is_nan());
    }
}
