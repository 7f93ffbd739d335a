//! Logs as rows, whoever wrote them, in memory that does not grow with them.

mod csv;
mod json;
mod limit;
mod literals;
mod number;

use std::cell::Cell;
use std::error::Error;
use std::fmt::Display;
use std::io::{self, BufRead, BufReader, Cursor, Read};

use crate::names::Quantity;
use limit::Limit;

/// What a log tells of one step. What is `None` it does not tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Row {
    /// The how many-th it is, of those that tell anything.
    pub(crate) place: u64,
    pub(crate) step: f64,
    pub(crate) loss: Option<f64>,
    pub(crate) grad_norm: Option<f64>,
    pub(crate) weight_norm: Option<f64>,
}

/// Why a log was not read to its end.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It is not as expected.
    Log(String),
    /// Whoever takes the rows could not go on.
    Taker(Box<dyn Error>),
}

impl Ended {
    fn at_line(self, line: u64) -> Self {
        match self {
            Self::Log(what) => Self::Log(format!("line {line}: {what}")),
            Self::Taker(_) => self,
        }
    }

    fn expected(what: impl Display, found: impl Display) -> Self {
        Self::Log(format!("expected {what}, found {found}"))
    }

    fn reading(why: &io::Error) -> Self {
        // One of ours says all.
        let cannot = if why.get_ref().is_some() {
            ""
        } else {
            "cannot read it: "
        };
        Self::Log(format!("{cannot}{why}"))
    }
}

/// What is done with each row.
pub(crate) type Take<'t> = dyn FnMut(&Row) -> Result<(), Box<dyn Error>> + 't;

/// Longer than this, in bytes, no row may be: that is no log, and would not be read in little memory.
const LONGEST_ROW: usize = 8 << 20;

/// Reads a log to its end. `columns` are the names of those of a CSV file, in place of its header.
pub(crate) fn read(
    input: impl Read,
    columns: Option<&str>,
    take: &mut Take<'_>,
) -> Result<(), Ended> {
    let since_row = Cell::new(0);
    let mut input = BufReader::with_capacity(1 << 16, Limit::new(input, &since_row));
    let mut rows = Rows {
        take,
        since_row: &since_row,
        step: 0.0,
        told: 0,
    };
    let head = head(&mut input).map_err(|why| Ended::reading(&why))?;
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return Err(Ended::expected("UTF-8", "UTF-16"));
    }
    let head = without_mark(&head);
    let first_line = head.trim_ascii();
    let input = Cursor::new(head).chain(input);
    match first_line.first() {
        None => return Err(Ended::expected("a log", "nothing")),
        Some(b'{' | b'[') if columns.is_some() => {
            let what = "--columns names those of CSV files, and this is JSON, where every row has its names";
            return Err(Ended::Log(what.into()));
        }
        Some(b'{' | b'[') => json::read(input, &mut rows)?,
        Some(_) => csv::read(input, csv::delimiter(first_line), columns, &mut rows)?,
    }
    if rows.told > 0 {
        Ok(())
    } else {
        Err(Ended::expected("rows with a loss or a norm", "none"))
    }
}

/// What comes first, up to the first line that is not blank or to a part of it that tells what it is.
fn head(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    loop {
        let read = input.take(1 << 16).read_until(b'\n', &mut head)?;
        if read == 0 || !without_mark(&head).trim_ascii().is_empty() {
            return Ok(head);
        }
    }
}

/// Without a byte order mark.
fn without_mark(head: &[u8]) -> &[u8] {
    head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head)
}

/// Where rows go.
struct Rows<'r, 't> {
    take: &'r mut Take<'t>,
    since_row: &'r Cell<usize>,
    /// The last row's.
    step: f64,
    /// How many were.
    told: u64,
}

impl Rows<'_, '_> {
    /// Takes what a row tells of each of the [quantities](crate::names::QUANTITIES). A row without a step is the one
    /// after the last; one without anything else is passed over.
    fn push(
        &mut self,
        [step, loss, grad_norm, weight_norm]: [Option<f64>; 4],
    ) -> Result<(), Ended> {
        self.since_row.set(0);
        self.step = step
            .filter(|step| step.is_finite())
            .unwrap_or(self.step + 1.0);
        for (quantity, norm) in [
            (Quantity::GradNorm, grad_norm),
            (Quantity::WeightNorm, weight_norm),
        ] {
            if let Some(norm) = norm.filter(|&norm| norm < 0.0) {
                let what = format!("a {} of at least 0", quantity.name());
                return Err(Ended::expected(what, norm));
            }
        }
        if loss.or(grad_norm).or(weight_norm).is_none() {
            return Ok(());
        }
        self.told += 1;
        let row = Row {
            place: self.told,
            step: self.step,
            loss,
            grad_norm,
            weight_norm,
        };
        (self.take)(&row).map_err(Ended::Taker)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The rows of a log, or why there are none.
    pub(crate) fn rows_of(
        log: impl AsRef<[u8]>,
        columns: Option<&str>,
    ) -> Result<Vec<Row>, String> {
        let mut rows = Vec::new();
        let read = read(log.as_ref(), columns, &mut |row| {
            rows.push(*row);
            Ok(())
        });
        match read {
            Ok(()) => Ok(rows),
            Err(Ended::Log(why)) => Err(why),
            Err(Ended::Taker(why)) => Err(format!("taker: {why}")),
        }
    }

    /// Rows of steps, losses and norms, NaN for what is not told.
    pub(crate) fn rows(all: &[[f64; 3]]) -> Vec<Row> {
        let told = |x: f64| (!x.is_nan()).then_some(x);
        let row = |(place, &[step, loss, grad_norm]): (u64, &[f64; 3])| Row {
            place,
            step,
            loss: told(loss),
            grad_norm: told(grad_norm),
            weight_norm: None,
        };
        (1..).zip(all).map(row).collect()
    }

    #[test]
    fn what_is_no_log_says_so() {
        assert_eq!(
            rows_of("", None).unwrap_err(),
            "expected a log, found nothing"
        );
        assert_eq!(
            rows_of(" \n\r\n\n", None).unwrap_err(),
            "expected a log, found nothing"
        );
        assert_eq!(
            rows_of(b"\xff\xfes\0t\0", None).unwrap_err(),
            "expected UTF-8, found UTF-16"
        );
        for none in [
            "step,loss\n",
            "step,loss\n1,\n",
            "[]",
            "{\"loss\": null}",
            "{\"log_history\": []}",
        ] {
            let why = rows_of(none, None).unwrap_err();
            assert!(
                why.ends_with("expected rows with a loss or a norm, found none"),
                "{none}: {why}"
            );
        }
    }

    #[test]
    fn a_byte_order_mark_and_blank_lines_are_passed_over() {
        for log in ["loss\n1\n2\n", "{\"loss\": 1}\n{\"loss\": 2}\n"] {
            for before in [
                "\u{feff}",
                "\u{feff}\n",
                "\n\n",
                "\r\n \n",
                "\u{feff}\r\n\r\n",
            ] {
                for log in [
                    log.to_string(),
                    log.replace('\n', "\r\n"),
                    log.replace('\n', "\n\n"),
                ] {
                    let expected = rows(&[[1.0, 1.0, f64::NAN], [2.0, 2.0, f64::NAN]]);
                    assert_eq!(
                        rows_of(format!("{before}{log}"), None),
                        Ok(expected),
                        "{before:?}{log:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_norm_is_at_least_0() {
        let why = rows_of("step,grad_norm\n1,2\n2,-1\n", None).unwrap_err();
        assert_eq!(why, "line 3: expected a grad_norm of at least 0, found -1");
        let why = rows_of("{\"param_norm\": 1}\n{\"param_norm\": -0.5}", None).unwrap_err();
        assert_eq!(
            why,
            "line 2: expected a weight_norm of at least 0, found -0.5"
        );
    }

    #[test]
    fn rows_without_a_step_are_counted_and_empty_ones_passed_over() {
        let nan = f64::NAN;
        let log = "step,loss,gnorm\n5,1,\n,,2\n,,\n8,3,4\nnan,5,\n0.5,6,\n";
        let expected = [
            [5.0, 1.0, nan],
            [6.0, nan, 2.0],
            [8.0, 3.0, 4.0],
            [9.0, 5.0, nan],
            [0.5, 6.0, nan],
        ];
        assert_eq!(rows_of(log, None), Ok(rows(&expected)));
    }

    /// A row of its own for every 100 bytes is read for ever; one of 10 MB is not.
    #[test]
    fn a_row_may_not_be_endless() {
        let endless = vec![b'1'; LONGEST_ROW + (1 << 20)];
        for head in ["loss\n", "loss\n\"", "{\"loss\": 1, \"", "{\"loss\": ", ""] {
            let why = rows_of([head.as_bytes(), &endless].concat(), None).unwrap_err();
            let expected = "expected rows of at most 8 MiB, found one that is longer";
            assert_eq!(why, expected, "{head}");
        }
        let row = format!("{{\"loss\": 1, \"text\": \"{}\"}}\n", "x".repeat(100_000));
        assert_eq!(rows_of(row.repeat(200), None).unwrap().len(), 200);
    }

    #[test]
    fn what_a_taker_says_ends_it() {
        let mut full = |_: &Row| Err(Box::from("full"));
        for log in [
            "loss\n1\n2\n",
            "{\"loss\": 1}",
            "{\"log_history\": [{\"loss\": 1}]}",
        ] {
            let ended = read(log.as_bytes(), None, &mut full);
            assert!(matches!(ended, Err(Ended::Taker(why)) if why.to_string() == "full"));
        }
    }
}
