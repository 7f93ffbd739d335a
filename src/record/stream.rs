//! Rows that go out as they come.

use alloc::string::String;
use alloc::vec::Vec;
use std::io;

use super::newest::Newest;
use super::row::{Log, Row};
use crate::{Error, Report};

/// A form in which rows are written, each of them whole and at once.
pub(super) trait Form {
    /// Told once, before the first row.
    fn begin(&mut self, names: &[String]) -> io::Result<()>;

    /// A row with as many tensors as there are names, or none.
    fn row(&mut self, row: &Row) -> io::Result<()>;

    /// Told behind the last row of a whole log.
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reports as rows of a form.
#[derive(Debug)]
pub(super) struct Stream<F> {
    form: F,
    newest: Newest,
    has_begun: bool,
}

impl<F: Form> Stream<F> {
    pub(super) fn new(form: F) -> Self {
        Self {
            form,
            newest: Newest::new(usize::MAX),
            has_begun: false,
        }
    }

    pub(super) fn report(&mut self, report: &Report) -> io::Result<()> {
        self.newest.read(report);
        if !self.has_begun {
            let names: Vec<String> = self.newest.names().map(String::from).collect();
            self.form.begin(&names)?;
            self.has_begun = true;
            // What has no place yet will have none.
            self.newest.limit = names.len();
        }
        self.form.row(&self.newest.row())
    }
}

/// All of a log.
pub(super) fn write(mut form: impl Form, log: &Log) -> io::Result<()> {
    form.begin(&log.names)?;
    for row in &log.rows {
        let (expected, found) = (log.names.len(), row.tensors.len());
        if found != 0 && found != expected {
            let what = "tensors of a row";
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                Error::Count {
                    what,
                    expected,
                    found,
                },
            ));
        }
        form.row(row)?;
    }
    form.end()
}

/// What stands in a line of a log.
#[cfg(any(feature = "csv", feature = "json"))]
pub(super) fn malformed(line: u64, expected: impl Into<String>, found: impl Into<String>) -> Error {
    Error::Log {
        line,
        expected: expected.into(),
        found: found.into(),
    }
}
