//! What a run was: rows from reports, in memory that does not grow with the run.
//!
//! A [`Recorder`] is shown each report and keeps [`Row`]s: the whole run thinned, the last steps in full, and every
//! event. The rows belong to nobody else, so they outlive the guard.
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
#[cfg(feature = "json")]
pub mod json;
mod newest;
mod recorder;
mod row;
#[cfg(feature = "std")]
mod stream;
mod table;
#[cfg(feature = "std")]
mod text;

pub use recorder::Recorder;
pub use row::{AlarmRow, Log, Phase, Row, TensorRow};
