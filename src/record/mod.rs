//! What a run was: rows from reports, in memory that does not grow with the run.
//!
//! A [`Recorder`] is shown each report and keeps [`Row`]s: the whole run thinned, the last steps in full, and every
//! event. The rows belong to nobody else, so they outlive the guard.
//!
//! What is more stands behind features:
//!
//! | feature | gives |
//! |---|---|
//! | `csv` | `record::csv`: rows written as they come, or a whole [`Log`], and read back bit for bit |
//! | `json` | `record::json`: the same as JSON lines |
//! | `tensorboard` | `record::tensorboard`: event files |
//! | `tracing` | `record::trace`: a step as events of `tracing` |
//! | `metrics` | `record::gauges`: a step as gauges and counters of `metrics` |
//!
//! # Examples
//!
//! ```
//! use steadygrad::{clip, detect, record::Recorder, Guard, Step};
//!
//! let mut guard = Guard::new().detect(detect::NormThreshold::new(5.0)?).clip(clip::GlobalNorm::new(1.0)?);
//! let mut recorder = Recorder::new();
//! let mut w = vec![3.0_f32, -4.0];
//! for _ in 0..50 {
//!     let loss = w.iter().map(|w| w * w).sum::<f32>();
//!     let mut grads: Vec<f32> = w.iter().map(|w| 2.0 * w).collect();
//!     let report = guard.step(Step::new(&mut grads).params(&w).loss(loss))?;
//!     recorder.record(&report);
//!     if report.verdict().is_apply() {
//!         w.iter_mut().zip(&grads).for_each(|(w, g)| *w -= 0.5 * g);
//!     }
//! }
//! let log = recorder.log();
//! assert_eq!((log.rows.len(), log.rows[0].loss, log.rows[0].weight_norm), (50, Some(25.0), Some(5.0)));
//! let events = log.rows.iter().flat_map(|row| row.alarms.iter().map(|alarm| (row.step, alarm.phase.to_string())));
//! assert_eq!(events.filter(|event| event.1 != "goes on").collect::<Vec<_>>(), [(1, "began".into()), (6, "ended".into())]);
//! # Ok::<(), steadygrad::Error>(())
//! ```

#[cfg(feature = "csv")]
pub mod csv;
#[cfg(feature = "metrics")]
mod gauges;
#[cfg(feature = "json")]
pub mod json;
mod newest;
mod recorder;
mod row;
#[cfg(any(feature = "csv", feature = "json", feature = "tensorboard"))]
mod stream;
mod table;
#[cfg(feature = "tensorboard")]
pub mod tensorboard;
#[cfg(any(feature = "csv", feature = "json"))]
mod text;
#[cfg(feature = "tracing")]
mod trace;

#[cfg(feature = "metrics")]
pub use gauges::gauges;
pub use recorder::Recorder;
pub use row::{AlarmRow, Log, Phase, Row, TensorRow};
#[cfg(feature = "tracing")]
pub use trace::trace;
