//! An end to rows that have none.

use std::cell::Cell;
use std::io::{self, Read};

use super::LONGEST_ROW;

/// Fails once so many bytes were read and no row came of them, as in a file of one endless line, or behind a quotation
/// mark that is never closed: whoever takes rows sets the count back to 0.
pub(super) struct Limit<'c, R> {
    input: R,
    since_row: &'c Cell<usize>,
}

impl<'c, R> Limit<'c, R> {
    pub(super) fn new(input: R, since_row: &'c Cell<usize>) -> Self {
        Self { input, since_row }
    }
}

impl<R: Read> Read for Limit<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since_row.get() > LONGEST_ROW {
            let mib = LONGEST_ROW >> 20;
            return Err(io::Error::other(format!(
                "expected rows of at most {mib} MiB, found one that is longer"
            )));
        }
        let read = self.input.read(buffer)?;
        self.since_row.set(self.since_row.get() + read);
        Ok(read)
    }
}
