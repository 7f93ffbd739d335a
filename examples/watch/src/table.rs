//! The tables.

use std::fmt::{self, Write as _};

use crate::replay::Tally;

/// A line for each detector.
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) lines: Vec<(&'static str, Tally)>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((_, all)) = self.lines.first() else {
            return Ok(());
        };
        writeln!(
            f,
            "{}: {} runs diverge, {} stay healthy over {} steps\n",
            self.title, all.diverged, all.healthy, all.healthy_steps
        )?;
        let head = [
            "detector",
            "in time",
            "early",
            "false / 10,000",
            "runs touched",
            "of these lost for a while",
        ];
        let rows = self.lines.iter().map(|(name, tally)| {
            [
                (*name).to_owned(),
                share(tally.in_time, tally.diverged),
                share(tally.early, tally.diverged),
                format!("{:.1}", tally.false_rate()),
                share(tally.touched, tally.healthy),
                tally.came_back.to_string(),
            ]
        });
        f.write_str(&aligned(&head, &rows.collect::<Vec<_>>()))
    }
}

/// "77 (97 %)".
pub(crate) fn share(part: u64, whole: u64) -> String {
    let percent = 100.0 * part as f64 / whole as f64;
    format!("{part} ({percent:.1} %)")
}

/// Columns as wide as what stands in them: words to the left, numbers to the right.
pub(crate) fn aligned<const N: usize>(head: &[&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(head[column].chars().count())
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    let mut line = |cells: [&str; N]| {
        for (column, (cell, width)) in cells.into_iter().zip(widths).enumerate() {
            let _ = match column {
                0 => write!(text, "{cell:width$}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        text.push('\n');
    };
    line(*head);
    for row in rows {
        line(std::array::from_fn(|column| &*row[column]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [
            ["a".to_owned(), "1".to_owned()],
            ["bcd".to_owned(), "234".to_owned()],
        ];
        assert_eq!(
            aligned(&["x", "y"], &rows),
            "x      y\na      1\nbcd  234\n"
        );
        assert_eq!(share(1, 8), "1 (12.5 %)");
    }
}
