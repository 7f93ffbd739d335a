//! Rows as CSV.
//!
//! One line for each step, below a line of names: `step`, `loss`, `grad_norm`, `clipped_norm`, `factor`, `weight_norm`,
//! `update_norm`; for every tensor `grad_norm/NAME`, `weight_norm/NAME`, `update_ratio/NAME`; then `alarms` and `verdict`.
//! What was not given is an empty cell. Numbers have all their digits and come back bit for bit; what no digits can say is
//! `NaN`, `-NaN`, `inf`, `-inf`, and for a NaN that holds something else its bits, `NaN(7ff8000000000001)`.
//!
//! A cell of alarms is CSV of its own, one line for each: detector, what it is about, severity, value, bound, the step at
//! which it began, phase, sentence.
//!
//! # Examples
//!
//! ```
//! use steadygrad::{clip, record::csv, Guard, Step};
//!
//! let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
//! let mut file = vec![];                                           // or a `File`: each row is written as it comes
//! let mut writer = csv::Writer::new(&mut file);
//! for x in [0.5, 4.0, f64::NAN] {
//!     writer.report(guard.step(Step::new(&mut [("w, b", [x])]).loss(x * x))?.report())?;
//! }
//! drop(writer);
//!
//! let text = String::from_utf8(file)?;
//! assert_eq!(text.lines().take(3).collect::<Vec<_>>(), [
//!     "step,loss,grad_norm,clipped_norm,factor,weight_norm,update_norm,\
//!      \"grad_norm/w, b\",\"weight_norm/w, b\",\"update_ratio/w, b\",alarms,verdict",
//!     "1,0.25,0.5,0.5,1,,,0.5,,,,apply",
//!     "2,16,4,1,0.25,,,4,,,,apply",
//! ]);
//! let log = csv::read(text.as_bytes())?;
//! assert_eq!((log.names, log.rows.len()), (vec!["w, b".to_string()], 3));
//! assert_eq!(log.rows[2].alarms[0].said, "the loss is NaN (non-finite)");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;
use core::str::FromStr;
use std::io::{self, BufRead, Read, Write};

use ::csv::{ByteRecord, ReaderBuilder};

use super::row::{AlarmRow, Log, Row, TensorRow};
use super::stream::{self, Form, Stream, malformed};
use super::text::{Exact, Word, number};
use crate::{Report, Result};

const NUMBERS: [&str; 7] = [
    "step",
    "loss",
    "grad_norm",
    "clipped_norm",
    "factor",
    "weight_norm",
    "update_norm",
];
const OF_A_TENSOR: [&str; 3] = ["grad_norm/", "weight_norm/", "update_ratio/"];
const LAST: [&str; 2] = ["alarms", "verdict"];

/// Writes rows as reports come.
///
/// Each row is written and flushed as a whole, so that what a crash leaves can be read up to the last whole row. The
/// columns of tensors are those of the first report; of a set of other names the cells are empty.
///
/// # Examples
///
/// ```no_run
/// use steadygrad::{record::csv, Guard};
/// let mut writer = csv::Writer::new(std::fs::File::create("run.csv")?);
/// let mut guard = Guard::new();
/// writer.report(guard.step(&mut [0.5])?.report())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Writer<W: Write>(Stream<Lines<W>>);

impl<W: Write> Writer<W> {
    /// A writer to an empty file, or to anything else that takes bytes.
    pub fn new(sink: W) -> Self {
        Self(Stream::new(Lines::new(sink)))
    }

    /// Writes a step.
    ///
    /// # Errors
    ///
    /// What the file says.
    pub fn report(&mut self, report: &Report) -> io::Result<()> {
        self.0.report(report)
    }
}

/// Writes a whole log.
///
/// ```
/// use steadygrad::record::{csv, Log, Row};
/// let mut row = Row::new(1);
/// (row.grad_norm, row.clipped_norm) = (-0.0, f64::INFINITY);
/// let (log, mut file) = (Log::new(vec![], vec![row]), vec![]);
/// csv::write(&mut file, &log)?;
/// assert_eq!(csv::read(&file[..])?, log);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// What the file says, or [`Error::Count`](crate::Error::Count) in an [`io::Error`] if a row has another number of tensors
/// than there are names.
pub fn write(sink: impl Write, log: &Log) -> io::Result<()> {
    stream::write(Lines::new(sink), log)
}

#[derive(Debug)]
struct Lines<W: Write> {
    csv: ::csv::Writer<W>,
    /// How many tensors have columns.
    tensors: usize,
}

impl<W: Write> Lines<W> {
    fn new(sink: W) -> Self {
        Self {
            csv: ::csv::Writer::from_writer(sink),
            tensors: 0,
        }
    }

    fn cell(&mut self, value: impl Display) -> ::csv::Result<()> {
        self.csv.write_field(value.to_string())
    }

    fn number(&mut self, x: Option<f64>) -> ::csv::Result<()> {
        match x {
            Some(x) => self.cell(Exact(x)),
            None => self.csv.write_field(""),
        }
    }

    fn end_line(&mut self) -> io::Result<()> {
        self.csv.write_record(None::<&[u8]>)?;
        self.csv.flush()
    }
}

impl<W: Write> Form for Lines<W> {
    fn begin(&mut self, names: &[String]) -> io::Result<()> {
        self.tensors = names.len();
        for column in header(names) {
            self.csv.write_field(column)?;
        }
        self.end_line()
    }

    fn row(&mut self, row: &Row) -> io::Result<()> {
        self.cell(row.step)?;
        for x in [
            row.loss,
            Some(row.grad_norm),
            Some(row.clipped_norm),
            Some(row.factor),
            row.weight_norm,
            row.update_norm,
        ] {
            self.number(x)?;
        }
        for index in 0..self.tensors {
            let tensor = row.tensors.get(index);
            self.number(tensor.map(|tensor| tensor.grad_norm))?;
            self.number(tensor.and_then(|tensor| tensor.weight_norm))?;
            self.number(tensor.and_then(|tensor| tensor.update_ratio))?;
        }
        self.csv.write_field(alarms_to_text(&row.alarms)?)?;
        self.cell(row.verdict)?;
        self.end_line()
    }
}

/// The names of the columns.
fn header(names: &[String]) -> Vec<String> {
    let of_a_tensor = |name: &String| OF_A_TENSOR.map(|what| what.to_string() + name);
    let numbers = NUMBERS.into_iter().map(String::from);
    let tensors = names.iter().flat_map(of_a_tensor);
    numbers
        .chain(tensors)
        .chain(LAST.into_iter().map(String::from))
        .collect()
}

fn alarms_to_text(alarms: &[AlarmRow]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if alarms.is_empty() {
        return Ok(text);
    }
    let mut csv = ::csv::Writer::from_writer(&mut text);
    for alarm in alarms {
        csv.write_record([
            &alarm.detector,
            &alarm.what,
            alarm.severity.word(),
            &Exact(alarm.value).to_string(),
            &Exact(alarm.bound).to_string(),
            &alarm.since.to_string(),
            alarm.phase.word(),
            &alarm.said,
        ])?;
    }
    csv.flush()?;
    drop(csv);
    Ok(text)
}

/// Reads a log that this module wrote.
///
/// A last row that is not whole, as a crash leaves it, is left out. An empty file is an empty log.
///
/// ```
/// use steadygrad::record::csv;
/// let text = "step,loss,grad_norm,clipped_norm,factor,weight_norm,update_norm,alarms,verdict\n\
///             1,,0.5,0.5,1,,,,apply\n\
///             2,,five,5,1,,,,apply\n";
/// let error = csv::read(text.as_bytes()).unwrap_err();
/// assert_eq!(error.to_string(), "log, line 3: expected a number under grad_norm, found \"five\"");
/// assert_eq!(csv::read(&text.as_bytes()[..90])?.rows.len(), 0);       // in the middle of the first row
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Log`](crate::Error::Log) with the line, what was expected there and what was found.
pub fn read(file: impl BufRead) -> Result<Log> {
    let mut csv = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(Tail::new(file));
    let (mut record, mut first) = (ByteRecord::new(), ByteRecord::new());
    if !next(&mut csv, &mut first)? {
        return Ok(Log::default());
    }
    let names = match names(&first) {
        Ok(names) => names,
        Err(error) => {
            let is_all = !next(&mut csv, &mut record)?;
            let is_cut = is_all && csv.get_ref().is_cut() && is_a_beginning(&first);
            return if is_cut {
                Ok(Log::default())
            } else {
                Err(error)
            };
        }
    };
    let columns = header(&names);
    let mut rows = Vec::new();
    let mut malformed = None;
    while next(&mut csv, &mut record)? {
        if let Some(error) = malformed {
            return Err(error);
        }
        // Two logs, one behind the other.
        if record == first {
            continue;
        }
        match row(&record, &columns) {
            Ok(row) => rows.push(row),
            Err(error) => malformed = Some(error),
        }
    }
    match malformed {
        Some(error) if !csv.get_ref().is_cut() => Err(error),
        _ => Ok(Log::new(names, rows)),
    }
}

fn next<R: Read>(csv: &mut ::csv::Reader<R>, record: &mut ByteRecord) -> Result<bool> {
    let line = csv.position().line();
    let unreadable = |error: ::csv::Error| malformed(line, "a readable line", error.to_string());
    csv.read_byte_record(record).map_err(unreadable)
}

fn line(record: &ByteRecord) -> u64 {
    record.position().map_or(0, ::csv::Position::line)
}

fn shown(cell: &[u8]) -> String {
    alloc::format!("{:?}", String::from_utf8_lossy(cell))
}

/// The names of the tensors, which stand in the header.
fn names(first: &ByteRecord) -> Result<Vec<String>> {
    let expect = |index: usize, expected: &str| {
        let found = first.get(index);
        if found == Some(expected.as_bytes()) {
            return Ok(());
        }
        let found = found.map_or("nothing".into(), shown);
        let expected = alloc::format!("column {} to be {expected:?}", index + 1);
        Err(malformed(line(first), expected, found))
    };
    for (index, expected) in NUMBERS.into_iter().enumerate() {
        expect(index, expected)?;
    }
    let mut names = Vec::new();
    let mut index = NUMBERS.len();
    while let Some(name) = first
        .get(index)
        .and_then(|cell| cell.strip_prefix(OF_A_TENSOR[0].as_bytes()))
    {
        let name =
            core::str::from_utf8(name).map_err(|_| malformed(line(first), "UTF-8", shown(name)))?;
        for (place, what) in OF_A_TENSOR.into_iter().enumerate() {
            expect(index + place, &alloc::format!("{what}{name}"))?;
        }
        names.push(name.into());
        index += OF_A_TENSOR.len();
    }
    for (place, expected) in LAST.into_iter().enumerate() {
        expect(index + place, expected)?;
    }
    match first.get(index + LAST.len()) {
        None => Ok(names),
        Some(more) => Err(malformed(line(first), "no more columns", shown(more))),
    }
}

/// Whether these are the first letters of a header.
fn is_a_beginning(first: &ByteRecord) -> bool {
    let letters: Vec<u8> = first.iter().collect::<Vec<_>>().join(&b',');
    let numbers = NUMBERS.join(",");
    let numbers = numbers.as_bytes();
    letters.starts_with(numbers) || numbers.starts_with(&letters)
}

/// The cells of a row, from left to right.
struct Cells<'a> {
    line: u64,
    record: &'a ByteRecord,
    columns: &'a [String],
    next: usize,
}

impl<'a> Cells<'a> {
    fn text(&mut self) -> Result<&'a str> {
        let cell = self.record.get(self.next).unwrap_or_default();
        self.next += 1;
        core::str::from_utf8(cell).map_err(|_| self.malformed("UTF-8", &shown(cell)))
    }

    /// The cell that was read last is not what it should be.
    fn malformed(&self, expected: &str, found: &str) -> crate::Error {
        let column = self.columns.get(self.next - 1);
        let column = column.map(String::as_str).unwrap_or_default();
        let expected = alloc::format!("{expected} under {column}");
        malformed(self.line, expected, found)
    }

    fn read<T>(&mut self, expected: &str, read: impl Fn(&str) -> Option<T>) -> Result<T> {
        let text = self.text()?;
        read(text).ok_or_else(|| self.malformed(expected, &shown(text.as_bytes())))
    }

    fn count(&mut self) -> Result<u64> {
        self.read("a whole number", |text| u64::from_str(text).ok())
    }

    fn number(&mut self) -> Result<f64> {
        self.read("a number", number)
    }

    fn option(&mut self) -> Result<Option<f64>> {
        self.read("a number or nothing", |text| match text {
            "" => Some(None),
            _ => number(text).map(Some),
        })
    }

    fn word<T: Word>(&mut self) -> Result<T> {
        self.read(T::EXPECTED, T::read)
    }
}

fn row(record: &ByteRecord, columns: &[String]) -> Result<Row> {
    if record.len() != columns.len() {
        let expected = alloc::format!("{} cells", columns.len());
        return Err(malformed(line(record), expected, record.len().to_string()));
    }
    let mut cells = Cells {
        line: line(record),
        record,
        columns,
        next: 0,
    };
    let mut row = Row::new(cells.count()?);
    row.loss = cells.option()?;
    row.grad_norm = cells.number()?;
    row.clipped_norm = cells.number()?;
    row.factor = cells.number()?;
    row.weight_norm = cells.option()?;
    row.update_norm = cells.option()?;
    let behind = columns.len() - LAST.len();
    // Of a set of other names there are no tensors.
    if (cells.next..behind).all(|index| record[index].is_empty()) {
        cells.next = behind;
    }
    while cells.next < behind {
        row.tensors.push(TensorRow {
            grad_norm: cells.number()?,
            weight_norm: cells.option()?,
            update_ratio: cells.option()?,
        });
    }
    row.alarms = alarms(cells.text()?, cells.line)?;
    row.verdict = cells.word()?;
    Ok(row)
}

fn alarms(text: &str, line: u64) -> Result<Vec<AlarmRow>> {
    let columns = [
        "detector", "what", "severity", "value", "bound", "since", "phase", "said",
    ]
    .map(|column| String::from("alarms, ") + column);
    let mut csv = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        // Behind an empty line no letter is a mark of the byte order, which would be left out.
        .from_reader(b"\n".chain(text.as_bytes()));
    let (mut record, mut alarms) = (ByteRecord::new(), Vec::new());
    while next(&mut csv, &mut record)? {
        if record.len() != columns.len() {
            let expected = alloc::format!("{} cells of an alarm", columns.len());
            return Err(malformed(line, expected, record.len().to_string()));
        }
        let mut cells = Cells {
            line,
            record: &record,
            columns: &columns,
            next: 0,
        };
        alarms.push(AlarmRow {
            detector: cells.text()?.into(),
            what: cells.text()?.into(),
            severity: cells.word()?,
            value: cells.number()?,
            bound: cells.number()?,
            since: cells.count()?,
            phase: cells.word()?,
            said: cells.text()?.into(),
        });
    }
    Ok(alarms)
}

/// Watches how a file ends.
struct Tail<R> {
    file: R,
    last: u8,
    is_quoted: bool,
}

impl<R> Tail<R> {
    fn new(file: R) -> Self {
        Self {
            file,
            last: b'\n',
            is_quoted: false,
        }
    }

    /// Whether what was read so far ends in the middle of a row.
    fn is_cut(&self) -> bool {
        self.last != b'\n' || self.is_quoted
    }
}

impl<R: Read> Read for Tail<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(bytes)?;
        let bytes = &bytes[..count];
        let turn = |is_quoted, &byte: &u8| is_quoted ^ (byte == b'"');
        self.is_quoted = bytes.iter().fold(self.is_quoted, turn);
        self.last = bytes.last().copied().unwrap_or(self.last);
        Ok(count)
    }
}
