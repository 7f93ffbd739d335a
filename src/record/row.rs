//! What is kept of one step.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::newest::Newest;
use crate::detect::Severity;
use crate::{Report, Verdict};

/// What is kept of one step, owned and independent of the guard.
///
/// Norms are L2 norms. What was not given is `None`; NaN and infinities are numbers that were found.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, record::Row, Guard, Step};
///
/// let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
/// let report = guard.step(Step::new(&mut [3.0_f32, 4.0]).loss(0.5))?;
/// let row = Row::of(&report);
/// assert_eq!((row.step, row.loss, row.grad_norm, row.clipped_norm, row.factor), (1, Some(0.5), 5.0, 1.0, 0.2));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Row {
    /// The number of the step, from 1. A guard that goes back gives its numbers once more.
    pub step: u64,
    /// The loss, if it was given.
    pub loss: Option<f64>,
    /// The norm of all gradients before clipping; NaN if nobody knows.
    pub grad_norm: f64,
    /// The norm of all gradients as they were left; NaN if nobody knows.
    pub clipped_norm: f64,
    /// The smallest factor by which a tensor was scaled: 1 if none was. A clamp does not count.
    pub factor: f64,
    /// The norm of all parameters, if they were given.
    pub weight_norm: Option<f64>,
    /// The norm of the updates of the step before, if they were given.
    pub update_norm: Option<f64>,
    /// Each tensor, in the order of the log's names; empty if they were not recorded.
    pub tensors: Vec<TensorRow>,
    /// What was found, and what of the step before has ended.
    pub alarms: Vec<AlarmRow>,
    /// What the guard said.
    pub verdict: Verdict,
}

impl Row {
    /// A step of which nothing else is known yet: norms are NaN, the factor is 1, the step is taken.
    ///
    /// ```
    /// use steadygrad::record::Row;
    /// let mut row = Row::new(7);
    /// row.loss = Some(0.25);
    /// assert!(row.grad_norm.is_nan() && row.verdict.is_apply());
    /// ```
    #[must_use]
    pub fn new(step: u64) -> Self {
        Self {
            step,
            loss: None,
            grad_norm: f64::NAN,
            clipped_norm: f64::NAN,
            factor: 1.0,
            weight_norm: None,
            update_norm: None,
            tensors: Vec::new(),
            alarms: Vec::new(),
            verdict: Verdict::Apply,
        }
    }

    /// A report, with all its tensors in their order. A [`Recorder`](super::Recorder) remembers from step to step
    /// since when something is not finite; here it always begins.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let mut newest = Newest::new(usize::MAX);
        newest.read(report);
        newest.row()
    }
}

/// One tensor of a [`Row`].
///
/// # Examples
///
/// ```
/// use steadygrad::{record::Row, Guard, Step};
///
/// let (mut grads, params, updates) = ([0.5_f32], [2.0_f32], [-0.5_f32]);
/// let mut guard = Guard::new();
/// let report = guard.step(Step::new(&mut grads).params(&params).updates(&updates))?;
/// let tensor = Row::of(&report).tensors[0];
/// assert_eq!((tensor.grad_norm, tensor.weight_norm, tensor.update_ratio), (0.5, Some(2.0), Some(0.25)));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct TensorRow {
    /// The norm of its gradient before clipping.
    pub grad_norm: f64,
    /// The norm of the parameter, if it was given and has elements.
    pub weight_norm: Option<f64>,
    /// `‖Δw‖/‖w‖`, of the update of the step before, if both were given and not both are 0: +∞ of weights of zero that
    /// were updated.
    pub update_ratio: Option<f64>,
}

impl TensorRow {
    /// Of the gradient alone.
    ///
    /// ```
    /// use steadygrad::record::TensorRow;
    /// assert_eq!(TensorRow::new(0.5).weight_norm, None);
    /// ```
    #[must_use]
    pub fn new(grad_norm: f64) -> Self {
        Self {
            grad_norm,
            weight_norm: None,
            update_ratio: None,
        }
    }
}

/// One alarm of a [`Row`].
///
/// # Examples
///
/// ```
/// use steadygrad::{detect::NormThreshold, record::{Phase, Row}, Guard};
///
/// let mut guard = Guard::new().detect(NormThreshold::new(1.0)?);
/// let alarm = Row::of(guard.step(&mut [2.0])?.report()).alarms.remove(0);
/// assert_eq!((alarm.detector.as_str(), alarm.what.as_str()), ("norm threshold", "the gradients"));
/// assert_eq!((alarm.value, alarm.bound, alarm.since, alarm.phase), (2.0, 1.0, 1, Phase::Began));
/// assert_eq!(alarm.said, "the norm of the gradients is 2.000, above 1.000 (norm threshold)");
/// let alarm = Row::of(guard.step(&mut [0.5])?.report()).alarms.remove(0);
/// assert_eq!((alarm.value, alarm.phase), (2.0, Phase::Ended));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AlarmRow {
    /// The detector's name.
    pub detector: String,
    /// What it is about: "gradient `w_rec`", "the loss".
    pub what: String,
    /// How grave it is.
    pub severity: Severity,
    /// What was out of bounds.
    pub value: f64,
    /// The bound.
    pub bound: f64,
    /// The step at which it began.
    pub since: u64,
    /// The finding, as one readable sentence.
    pub said: String,
    /// Whether it begins, goes on or has ended.
    pub phase: Phase,
}

impl AlarmRow {
    /// An alarm that begins at this step, of which nothing else is known yet: a warning, whose numbers are NaN.
    ///
    /// ```
    /// use steadygrad::record::{AlarmRow, Phase};
    /// let alarm = AlarmRow::new("watchdog", "the loss", 7);
    /// assert_eq!((alarm.since, alarm.phase), (7, Phase::Began));
    /// ```
    #[must_use]
    pub fn new(detector: impl Into<String>, what: impl Into<String>, since: u64) -> Self {
        Self {
            detector: detector.into(),
            what: what.into(),
            severity: Severity::default(),
            value: f64::NAN,
            bound: f64::NAN,
            since,
            said: String::new(),
            phase: Phase::Began,
        }
    }
}

/// Where in its event an alarm stands.
///
/// # Examples
///
/// ```
/// use steadygrad::record::Phase;
/// assert_eq!(Phase::GoesOn.to_string(), "goes on");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It begins at this step.
    Began,
    /// It was so in the step before.
    GoesOn,
    /// It was so in the step before, and is no more; told as it was last.
    Ended,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Began => "began",
            Self::GoesOn => "goes on",
            Self::Ended => "ended",
        })
    }
}

/// Rows and the names of their tensors: what a [`Recorder`](super::Recorder) holds, what is written and read back,
/// what pictures are made of.
///
/// # Examples
///
/// ```
/// use steadygrad::record::{Log, Row, TensorRow};
/// let mut row = Row::new(1);
/// row.tensors.push(TensorRow::new(0.5));
/// let log = Log::new(vec!["w".to_string()], vec![row]);
/// assert_eq!(log.names.len(), log.rows[0].tensors.len());
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Log {
    /// What the tensors are called.
    pub names: Vec<String>,
    /// The rows, in the order in which they were recorded. Steps rise, but for where a guard went back.
    pub rows: Vec<Row>,
}

impl Log {
    /// Of rows whose tensors have these names.
    #[must_use]
    pub fn new(names: Vec<String>, rows: Vec<Row>) -> Self {
        Self { names, rows }
    }
}
