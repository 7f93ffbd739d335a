//! Pictures of a run.
//!
//! What a [`Recorder`](crate::record::Recorder) kept, or a log that was read back, becomes a picture:
//!
//! | function | shows |
//! |---|---|
//! | [`norms`] | the norm of the gradients before and after clipping, clipped steps, events |
//! | [`weights`] | the norm of each parameter, and beside it the size of its updates |
//! | `flow`, with feature `ndarray` | how the gradient flows back through time, as training goes on |
//! | [`report`] | all of it on one page, with the loss, the verdicts and the events in words |
//! | [`page`] | charts of one's own |
//!
//! Each gives a [`Picture`], which is written as SVG and, with feature `png`, as PNG. It is 800 pixels wide; curves differ
//! in colours that colour-blind readers tell apart, and in their marks; what is NaN or infinite is shown as such.
//!
//! # Fonts
//!
//! SVG names the reader's own sans-serif font and leaves room for the widest of the usual ones; whoever draws it needs
//! none. PNG is drawn with letters of Noto Sans, which the feature `png` brings along (the crate `ttf-noto-sans`: 200 kB
//! in the program, Apache-2.0), so that a machine without any font, as most containers are, draws the same picture as
//! every other. Letters that Noto Sans lacks, as those of Chinese names, are boxes there.
//!
//! # Examples
//!
//! ```
//! use steadygrad::{clip, plot, record::Recorder, Guard, Step};
//!
//! let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
//! let mut recorder = Recorder::new();
//! let mut w = vec![5.0_f32, -3.0];
//! for _ in 0..100 {
//!     let loss = w.iter().map(|w| w * w).sum::<f32>();
//!     let mut grads: Vec<f32> = w.iter().map(|w| 2.0 * w).collect();
//!     let report = guard.step(Step::new(&mut grads).params(&w).loss(loss))?;
//!     recorder.record(&report);
//!     w.iter_mut().zip(&grads).for_each(|(w, g)| *w -= 0.1 * g);
//! }
//! let log = recorder.log();
//! let picture = plot::report(&log).threshold(1.0);
//! # let dir = std::env::temp_dir();
//! picture.svg(dir.join("steadygrad-doc-run.svg"))?;
#![cfg_attr(
    feature = "png",
    doc = "picture.png(dir.join(\"steadygrad-doc-run.png\"))?;"
)]
//! # for name in ["steadygrad-doc-run.svg", "steadygrad-doc-run.png"] { let _ = std::fs::remove_file(dir.join(name)); }
//! # Ok::<(), steadygrad::Error>(())
//! ```

mod axis;
mod bands;
mod beside;
mod chart;
mod curve;
mod drawn;
mod events;
#[cfg(feature = "ndarray")]
mod flow;
mod framed;
mod heat;
mod ink;
mod lane;
mod letters;
mod norms;
mod page;
mod picture;
#[cfg(feature = "png")]
mod png;
mod report;
mod scene;
mod shape;
mod sheet;
mod svg;
mod tags;
#[cfg(test)]
mod tests;
mod weights;

pub use chart::Chart;
#[cfg(feature = "ndarray")]
pub use flow::{Flow, flow};
pub use norms::{Norms, norms};
pub use page::{Page, page};
pub use picture::Picture;
pub use report::{Report, report};
pub use weights::{Weights, weights};
