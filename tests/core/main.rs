//! The core: measuring, clipping, detecting, penalties and the guard.

mod accuracy;
mod arithmetic;
mod bad_input;
mod batches;
mod clip_oracle;
#[cfg(feature = "std")]
mod course;
mod detectors;
mod exact;
mod extremes;
mod guard;
mod keep;
#[cfg(feature = "ndarray")]
mod layout;
mod numbers;
mod penalty;
mod properties;
mod recovery;
mod rules;
mod semantics;
#[cfg(feature = "rayon")]
mod threads;
mod total;
mod types;
mod value_clip;
mod watch;
