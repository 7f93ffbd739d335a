//! Rows as JSON lines.
//!
//! One object on a line for each step, with the names of [`Row`]'s fields. The first has the names of the tensors too. What
//! was not given is left out. Numbers have all their digits and come back bit for bit; those that JSON has no word for are
//! strings: `"NaN"`, `"-NaN"`, `"inf"`, `"-inf"`, and for a NaN that holds something else its bits, `"NaN(7ff8000000000001)"`.
//!
//! # Examples
//!
//! ```
//! use steadygrad::{clip, record::json, Guard, Step};
//!
//! let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
//! let mut file = vec![];                                           // or a `File`: each row is written as it comes
//! let mut writer = json::Writer::new(&mut file);
//! for x in [0.5, 4.0, f64::NAN] {
//!     writer.report(guard.step(Step::new(&mut [("w", [x])]).loss(x * x))?.report())?;
//! }
//! drop(writer);
//!
//! let text = String::from_utf8(file)?;
//! assert_eq!(text.lines().nth(1), Some(
//!     r#"{"step":2,"loss":16.0,"grad_norm":4.0,"clipped_norm":1.0,"factor":0.25,"tensors":[{"grad_norm":4.0}],"verdict":"apply"}"#
//! ));
//! let log = json::read(text.as_bytes())?;
//! assert_eq!((log.names, log.rows.len()), (vec!["w".to_string()], 3));
//! assert_eq!(log.rows[2].alarms[0].said, "the loss is NaN (non-finite)");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use std::io::{self, BufRead, Write};

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::row::{AlarmRow, Log, Phase, Row, TensorRow};
use super::stream::{self, Form, Stream, malformed};
use super::text::{Exact, Word, number};
use crate::detect::Severity;
use crate::{Report, Result, Verdict};

/// Writes rows as reports come.
///
/// Each row is written and flushed as a whole, so that what a crash leaves can be read up to the last whole row. The
/// tensors are those of the first report; of a set of other names there are none.
///
/// # Examples
///
/// ```no_run
/// use steadygrad::{record::json, Guard};
/// let mut writer = json::Writer::new(std::fs::File::create("run.jsonl")?);
/// let mut guard = Guard::new();
/// writer.report(guard.step(&mut [0.5])?.report())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Writer<W: Write>(Stream<Lines<W>>);

impl<W: Write> Writer<W> {
    /// A writer to a file, or to anything else that takes bytes. A log may follow another one of the same tensors.
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
/// use steadygrad::record::{json, Log, Row};
/// let mut row = Row::new(1);
/// (row.grad_norm, row.clipped_norm) = (-0.0, f64::INFINITY);
/// let (log, mut file) = (Log::new(vec![], vec![row]), vec![]);
/// json::write(&mut file, &log)?;
/// assert_eq!(json::read(&file[..])?, log);
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
struct Lines<W> {
    sink: W,
    /// To be told with the next line.
    names: Option<Vec<String>>,
}

impl<W: Write> Lines<W> {
    fn new(sink: W) -> Self {
        Self { sink, names: None }
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.sink.write_all(&text)?;
        self.sink.flush()
    }
}

impl<W: Write> Form for Lines<W> {
    fn begin(&mut self, names: &[String]) -> io::Result<()> {
        self.names = Some(names.to_vec()).filter(|names| !names.is_empty());
        Ok(())
    }

    fn row(&mut self, row: &Row) -> io::Result<()> {
        let names = self.names.take();
        self.line(&Line::of(row, names))
    }

    fn end(&mut self) -> io::Result<()> {
        match self.names.take() {
            None => Ok(()),
            names => self.line(&Line {
                names,
                ..Line::default()
            }),
        }
    }
}

/// What stands in a line: a row, or names alone.
#[derive(Default, Serialize, Deserialize)]
#[serde(expecting = "a row")]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    names: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loss: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grad_norm: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clipped_norm: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight_norm: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    update_norm: Option<Number>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tensors: Vec<OfTensor>,
    #[serde(default, borrow, skip_serializing_if = "Vec::is_empty")]
    alarms: Vec<OfAlarm<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<InWord<Verdict>>,
}

#[derive(Serialize, Deserialize)]
#[serde(expecting = "a tensor")]
struct OfTensor {
    grad_norm: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight_norm: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    update_ratio: Option<Number>,
}

#[derive(Serialize, Deserialize)]
#[serde(expecting = "an alarm")]
struct OfAlarm<'a> {
    #[serde(borrow)]
    detector: Cow<'a, str>,
    #[serde(borrow)]
    what: Cow<'a, str>,
    severity: InWord<Severity>,
    value: Number,
    bound: Number,
    since: u64,
    phase: InWord<Phase>,
    #[serde(borrow)]
    said: Cow<'a, str>,
}

impl<'a> Line<'a> {
    fn of(row: &'a Row, names: Option<Vec<String>>) -> Self {
        let tensor = |tensor: &TensorRow| OfTensor {
            grad_norm: Number(tensor.grad_norm),
            weight_norm: tensor.weight_norm.map(Number),
            update_ratio: tensor.update_ratio.map(Number),
        };
        let alarm = |alarm: &'a AlarmRow| OfAlarm {
            detector: Cow::Borrowed(&alarm.detector),
            what: Cow::Borrowed(&alarm.what),
            severity: InWord(alarm.severity),
            value: Number(alarm.value),
            bound: Number(alarm.bound),
            since: alarm.since,
            phase: InWord(alarm.phase),
            said: Cow::Borrowed(&alarm.said),
        };
        Self {
            names,
            step: Some(row.step),
            loss: row.loss.map(Number),
            grad_norm: Some(Number(row.grad_norm)),
            clipped_norm: Some(Number(row.clipped_norm)),
            factor: Some(Number(row.factor)),
            weight_norm: row.weight_norm.map(Number),
            update_norm: row.update_norm.map(Number),
            tensors: row.tensors.iter().map(tensor).collect(),
            alarms: row.alarms.iter().map(alarm).collect(),
            verdict: Some(InWord(row.verdict)),
        }
    }

    /// The row, or the field that it lacks.
    fn into_row(self) -> Result<Row, &'static str> {
        let tensor = |tensor: OfTensor| TensorRow {
            grad_norm: tensor.grad_norm.0,
            weight_norm: tensor.weight_norm.map(|x| x.0),
            update_ratio: tensor.update_ratio.map(|x| x.0),
        };
        let alarm = |alarm: OfAlarm<'_>| AlarmRow {
            detector: alarm.detector.into_owned(),
            what: alarm.what.into_owned(),
            severity: alarm.severity.0,
            value: alarm.value.0,
            bound: alarm.bound.0,
            since: alarm.since,
            said: alarm.said.into_owned(),
            phase: alarm.phase.0,
        };
        Ok(Row {
            step: self.step.ok_or("step")?,
            loss: self.loss.map(|x| x.0),
            grad_norm: self.grad_norm.ok_or("grad_norm")?.0,
            clipped_norm: self.clipped_norm.ok_or("clipped_norm")?.0,
            factor: self.factor.ok_or("factor")?.0,
            weight_norm: self.weight_norm.map(|x| x.0),
            update_norm: self.update_norm.map(|x| x.0),
            tensors: self.tensors.into_iter().map(tensor).collect(),
            alarms: self.alarms.into_iter().map(alarm).collect(),
            verdict: self.verdict.ok_or("verdict")?.0,
        })
    }
}

/// Reads a log that this module wrote.
///
/// A last row that is not whole, as a crash leaves it, is left out. An empty file is an empty log.
///
/// ```
/// use steadygrad::record::json;
/// let row = r#"{"step":1,"grad_norm":"inf","clipped_norm":1.0,"factor":1.0,"verdict":"apply"}"#;
/// let text = format!("{row}\n{}\n", row.replace("inf", "big"));
/// let error = json::read(text.as_bytes()).unwrap_err();
/// assert!(error.to_string().starts_with("log, line 2: expected the fields of a row, found invalid value"));
/// assert!(error.to_string().contains("expected a number, \"NaN\", \"inf\" or \"-inf\" at column"));
/// assert_eq!(json::read(&text.as_bytes()[..90])?.rows.len(), 1);      // in the middle of the second row
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Log`](crate::Error::Log) with the line, what was expected there and what was found.
pub fn read(mut file: impl BufRead) -> Result<Log> {
    let (mut log, mut text, mut number) = (Log::default(), Vec::new(), 0);
    loop {
        text.clear();
        number += 1;
        let wrong = |expected: &str, found: String| Err(malformed(number, expected, found));
        match file.read_until(b'\n', &mut text) {
            Err(error) => return wrong("a readable line", error.to_string()),
            Ok(0) => return Ok(log),
            Ok(_) if text.trim_ascii().is_empty() => continue,
            Ok(_) => (),
        }
        let mut line: Line<'_> = match serde_json::from_slice(&text) {
            Ok(line) => line,
            Err(error) if error.is_eof() && !text.ends_with(b"\n") => return Ok(log),
            Err(error) => {
                let found = error.to_string().replace(" at line 1 column", " at column");
                return wrong("the fields of a row", found);
            }
        };
        if let Some(names) = line.names.take() {
            // Two logs, one behind the other.
            if !log.names.is_empty() && log.names != names {
                let expected = alloc::format!("the names {:?}", log.names);
                return wrong(&expected, alloc::format!("{names:?}"));
            }
            log.names = names;
            if line.step.is_none() {
                continue;
            }
        }
        let (expected, found) = (log.names.len(), line.tensors.len());
        if found != 0 && found != expected {
            return wrong(&alloc::format!("{expected} tensors"), found.to_string());
        }
        match line.into_row() {
            Ok(row) => log.rows.push(row),
            Err(field) => return wrong("the fields of a row", alloc::format!("no {field}")),
        }
    }
}

/// A number, or the word for what JSON has no number for.
#[derive(Clone, Copy)]
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() {
            to.serialize_f64(self.0)
        } else {
            to.collect_str(&Exact(self.0))
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NumberOrWord)
    }
}

struct NumberOrWord;

impl Visitor<'_> for NumberOrWord {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, \"NaN\", \"inf\" or \"-inf\"")
    }

    fn visit_f64<E>(self, x: f64) -> Result<Number, E> {
        Ok(Number(x))
    }

    fn visit_u64<E>(self, x: u64) -> Result<Number, E> {
        Ok(Number(x as f64))
    }

    fn visit_i64<E>(self, x: i64) -> Result<Number, E> {
        Ok(Number(x as f64))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Number, E> {
        let x = number(text).filter(|x| !x.is_finite());
        x.map(Number)
            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}

/// One of a few, by its word.
struct InWord<T>(T);

impl<T: Word + PartialEq> Serialize for InWord<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0.word())
    }
}

impl<'de, T: Word> Deserialize<'de> for InWord<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let word = Cow::<str>::deserialize(from)?;
        let unknown = || D::Error::custom(alloc::format!("{word:?}, expected {}", T::EXPECTED));
        T::read(&word).map(Self).ok_or_else(unknown)
    }
}
