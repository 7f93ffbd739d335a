//! Rows as event files of TensorBoard.
//!
//! Scalars `loss`, `grad_norm`, `clipped_norm`, `factor`, `weight_norm`, `update_norm`, and for every tensor `grad_norm/NAME`,
//! `weight_norm/NAME`, `update_ratio/NAME`, as `f32`, which is what TensorBoard draws; and the text `events`: alarms that begin
//! or end, and verdicts other than to apply.
//!
//! # Examples
//!
//! ```
//! use steadygrad::{detect, record::tensorboard, Guard, Step};
//!
//! let folder = std::env::temp_dir().join("steadygrad-run-7");
//! let mut writer = tensorboard::Writer::create(&folder)?;          // then: tensorboard --logdir …
//! let mut guard = Guard::new().detect(detect::NormThreshold::new(1.0)?);
//! for x in [0.5, 4.0, f64::NAN] {
//!     writer.report(guard.step(Step::new(&mut [("w", [x])]).loss(x * x))?.report())?;
//! }
//! let file = std::fs::read_dir(&folder)?.next().unwrap()?.file_name();
//! assert!(file.to_string_lossy().starts_with("events.out.tfevents."));
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # References
//!
//! The messages are those of TensorFlow's `event.proto`, `summary.proto` and `tensor.proto`; each stands in a record of its
//! length, a checksum of the length, its bytes, and a checksum of these. The checksum is CRC-32C (Castagnoli, Bräuer and
//! Herrmann, 1993), turned and shifted so that a record may hold records.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::sync::atomic::{AtomicU64, Ordering};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, process};

use super::row::{Log, Phase, Row};
use super::stream::{self, Form, Stream};
use crate::Report;

/// Writes events as reports come.
///
/// Each is written and flushed as a whole; TensorBoard reads up to the last whole one, also while the run goes on. The
/// tensors are those of the first report; of a set of other names there are none.
///
/// # Examples
///
/// ```no_run
/// use steadygrad::{record::tensorboard, Guard};
/// let mut writer = tensorboard::Writer::create("runs/7")?;
/// let mut guard = Guard::new();
/// writer.report(guard.step(&mut [0.5])?.report())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Writer<W: Write = File>(Stream<Events<W>>);

impl Writer<File> {
    /// A writer to a new file in this folder, which is made if need be. TensorBoard shows each folder as a run.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn create(folder: impl AsRef<Path>) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let folder = folder.as_ref();
        fs::create_dir_all(folder)?;
        let (time, host, process) = (now() as u64, host(), process::id());
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = alloc::format!("events.out.tfevents.{time:010}.{host}.{process}.{count}");
        File::create_new(folder.join(name)).map(Self::new)
    }
}

impl<W: Write> Writer<W> {
    /// A writer to an empty file, or to anything else that takes bytes. TensorBoard knows its files by `tfevents` in
    /// their names.
    pub fn new(sink: W) -> Self {
        Self(Stream::new(Events::new(sink, now)))
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

/// Writes a whole log, with the time of now.
///
/// ```
/// use steadygrad::record::{tensorboard, Log, Row};
/// let mut file = vec![];
/// tensorboard::write(&mut file, &Log::new(vec![], vec![Row::new(1)]))?;
/// assert!(file.windows(13).any(|part| part == b"brain.Event:2"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// What the file says, or [`Error::Count`](crate::Error::Count) in an [`io::Error`] if a row has another number of tensors
/// than there are names.
pub fn write(sink: impl Write, log: &Log) -> io::Result<()> {
    stream::write(Events::new(sink, now), log)
}

/// Seconds since 1970.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// The name of this machine, as far as it can be found without asking the system's libraries.
fn host() -> String {
    let told = env::var("HOSTNAME").or_else(|_| env::var("COMPUTERNAME"));
    let told = told.or_else(|_| fs::read_to_string("/proc/sys/kernel/hostname"));
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let plain: String = told.unwrap_or_default().chars().filter(is_plain).collect();
    if plain.is_empty() {
        "localhost".to_owned()
    } else {
        plain
    }
}

#[derive(Debug)]
struct Events<W> {
    sink: W,
    clock: fn() -> f64,
    /// Of each tensor.
    tags: Vec<[String; 3]>,
}

impl<W: Write> Events<W> {
    fn new(sink: W, clock: fn() -> f64) -> Self {
        Self {
            sink,
            clock,
            tags: Vec::new(),
        }
    }

    /// An event of now.
    fn event(&mut self, step: u64, what: u32, content: &[u8]) -> io::Result<()> {
        let mut event = Message::default();
        event.double(event::WALL_TIME, (self.clock)());
        event.int(event::STEP, step);
        event.bytes(what, content);
        self.sink.write_all(&record(&event.0))?;
        self.sink.flush()
    }
}

impl<W: Write> Form for Events<W> {
    fn begin(&mut self, names: &[String]) -> io::Result<()> {
        let tags = |name: &String| {
            ["grad_norm", "weight_norm", "update_ratio"].map(|what| alloc::format!("{what}/{name}"))
        };
        self.tags = names.iter().map(tags).collect();
        self.event(0, event::FILE_VERSION, b"brain.Event:2")
    }

    fn row(&mut self, row: &Row) -> io::Result<()> {
        let mut summary = Message::default();
        for (tag, x) in [
            ("loss", row.loss),
            ("grad_norm", Some(row.grad_norm)),
            ("clipped_norm", Some(row.clipped_norm)),
            ("factor", Some(row.factor)),
            ("weight_norm", row.weight_norm),
            ("update_norm", row.update_norm),
        ] {
            summary.scalar(tag, x);
        }
        for ([grad_norm, weight_norm, update_ratio], tensor) in self.tags.iter().zip(&row.tensors) {
            summary.scalar(grad_norm, Some(tensor.grad_norm));
            summary.scalar(weight_norm, tensor.weight_norm);
            summary.scalar(update_ratio, tensor.update_ratio);
        }
        let told = events(row);
        if !told.is_empty() {
            summary.text("events", &told);
        }
        self.event(row.step, event::SUMMARY, &summary.0)
    }
}

/// What begins, ends or is not taken at a step, as Markdown.
fn events(row: &Row) -> String {
    let mut told = String::new();
    let alarms = row.alarms.iter();
    for alarm in alarms.filter(|alarm| alarm.phase != Phase::GoesOn) {
        let _ = writeln!(told, "- {}: {}", alarm.phase, alarm.said);
    }
    if !row.verdict.is_apply() {
        let _ = writeln!(told, "- {}", row.verdict);
    }
    told
}

/// The numbers of `Event`'s fields.
mod event {
    pub(super) const WALL_TIME: u32 = 1;
    pub(super) const STEP: u32 = 2;
    pub(super) const FILE_VERSION: u32 = 3;
    pub(super) const SUMMARY: u32 = 5;
}

/// The number of the only field of `Summary`.
const VALUE: u32 = 1;

/// The numbers of `Summary.Value`'s fields.
mod value {
    pub(super) const TAG: u32 = 1;
    pub(super) const SIMPLE_VALUE: u32 = 2;
    pub(super) const TENSOR: u32 = 8;
    pub(super) const METADATA: u32 = 9;
}

/// Bytes of a protobuf message.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    /// The number of a field, and of how its value is laid out.
    fn key(&mut self, field: u32, layout: u32) {
        self.varint(u64::from(field << 3 | layout));
    }

    fn varint(&mut self, mut x: u64) {
        while x >= 0x80 {
            self.0.push(x as u8 | 0x80);
            x >>= 7;
        }
        self.0.push(x as u8);
    }

    /// A whole number, which is left out if it is 0.
    fn int(&mut self, field: u32, x: u64) {
        if x != 0 {
            self.key(field, 0);
            self.varint(x);
        }
    }

    fn double(&mut self, field: u32, x: f64) {
        self.key(field, 1);
        self.0.extend(x.to_le_bytes());
    }

    fn float(&mut self, field: u32, x: f32) {
        self.key(field, 5);
        self.0.extend(x.to_le_bytes());
    }

    /// Text, bytes, or a message.
    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    /// A message in this one.
    fn message(&mut self, field: u32, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(field, &inner.0);
    }

    /// In a `Summary`, a number if there is one.
    fn scalar(&mut self, tag: &str, x: Option<f64>) {
        if let Some(x) = x {
            self.message(VALUE, |scalar| {
                scalar.bytes(value::TAG, tag.as_bytes());
                scalar.float(value::SIMPLE_VALUE, x as f32);
            });
        }
    }

    /// In a `Summary`, a list of one text.
    fn text(&mut self, tag: &str, text: &str) {
        const STRINGS: u64 = 7;
        const DATA_CLASS_TENSOR: u64 = 2;
        self.message(VALUE, |summary| {
            summary.bytes(value::TAG, tag.as_bytes());
            summary.message(value::TENSOR, |tensor| {
                tensor.int(1, STRINGS);
                tensor.message(2, |shape| shape.message(2, |axis| axis.int(1, 1)));
                tensor.bytes(8, text.as_bytes());
            });
            summary.message(value::METADATA, |metadata| {
                metadata.message(1, |plugin| plugin.bytes(1, b"text"));
                metadata.int(4, DATA_CLASS_TENSOR);
            });
        });
    }
}

/// A message as it stands in a file.
fn record(message: &[u8]) -> Vec<u8> {
    let len = (message.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(message.len() + 16);
    record.extend(len);
    record.extend(masked(crc32c(&len)).to_le_bytes());
    record.extend(message);
    record.extend(masked(crc32c(message)).to_le_bytes());
    record
}

/// A checksum of what holds checksums is no good one, so those that are stored are altered.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, &byte| {
        crc >> 8 ^ TABLE[usize::from(crc as u8 ^ byte)]
    })
}

/// Of each byte, its remainder by Castagnoli's polynomial, the lowest bit first.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;
    use crate::record::{AlarmRow, TensorRow};
    use alloc::vec;

    /// RFC 3720, appendix B.4; and the check value that every description of CRC-32C gives.
    #[test]
    fn checksums_are_the_known_ones() {
        let rising: Vec<u8> = (0..32).collect();
        let falling: Vec<u8> = (0..32).rev().collect();
        let mut read_command = vec![0; 48];
        for (at, bytes) in [
            (0, &[0x01, 0xc0][..]),
            (16, &[0x14]),
            (22, &[0x04]),
            (27, &[0x14]),
            (31, &[0x18]),
            (32, &[0x28]),
            (40, &[0x02]),
        ] {
            read_command[at..at + bytes.len()].copy_from_slice(bytes);
        }
        for (bytes, crc) in [
            (&[0; 32][..], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&rising, 0x46dd_794e),
            (&falling, 0x113f_db5c),
            (&read_command, 0xd996_3a56),
            (b"123456789", 0xe306_9283),
            (b"", 0),
        ] {
            assert_eq!(crc32c(bytes), crc, "{bytes:?}");
        }
    }

    /// The log that `tests/oracle/events.py` writes by TensorBoard's own code.
    #[test]
    fn the_bytes_are_those_that_tensorboard_writes() {
        let mut first = Row::new(1);
        (first.loss, first.weight_norm) = (Some(0.1), Some(1e-300));
        (first.grad_norm, first.clipped_norm, first.factor) = (3.0, 1.0, 1.0 / 3.0);
        first.tensors = vec![TensorRow::new(3.0), TensorRow::new(-0.0)];
        let mut alarm = AlarmRow::new("norm threshold", "the gradients", 1);
        alarm.said = "the norm of the gradients is 3.000, above 2.000 (norm threshold)".into();
        first.alarms = vec![alarm.clone()];
        let mut second = Row::new(300);
        (second.loss, second.update_norm) = (Some(f64::NAN), Some(0.0));
        (second.grad_norm, second.clipped_norm) = (f64::INFINITY, 1e300);
        let mut tensor = TensorRow::new(f64::INFINITY);
        (tensor.weight_norm, tensor.update_ratio) = (Some(2.0), Some(0.001));
        second.tensors = vec![tensor, TensorRow::new(0.5)];
        second.verdict = Verdict::Skip;
        alarm.phase = Phase::Ended;
        second.alarms = vec![alarm];
        let third = Row::new(1 << 40);
        let names = vec!["cell.w_rec".to_owned(), "b, é".to_owned()];
        let mut file = vec![];
        let events = Events::new(&mut file, || 1_700_000_000.25);
        stream::write(events, &Log::new(names, vec![first, second, third])).unwrap();
        let expected = include_bytes!("../../tests/oracle/events.tfevents");
        assert!(file == expected, "{file:x?}");
    }

    #[test]
    fn every_file_is_a_new_one() {
        let folder = env::temp_dir().join(alloc::format!("steadygrad-events-{}", process::id()));
        let files = [(); 2].map(|()| Writer::create(&folder).unwrap());
        let names: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|file| file.unwrap())
            .collect();
        drop(files);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(names.len(), 2);
        for name in names {
            let name = name.file_name().into_string().unwrap();
            let parts: Vec<&str> = name.split('.').collect();
            assert_eq!(
                (parts.len(), &parts[..3]),
                (7, &["events", "out", "tfevents"][..])
            );
            assert!(parts[3].len() == 10 && parts[3].parse::<u64>().is_ok());
        }
    }
}
