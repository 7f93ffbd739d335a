//! The traits whose methods a training loop calls, to be imported together.
//!
//! ```
//! use steadygrad::prelude::*;
//! use steadygrad::{clip, Guard};
//!
//! let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?.on("policy."));
//! assert!(guard.step(&mut [("policy.w", [3.0, 4.0])])?.verdict().is_apply());
//! # Ok::<(), steadygrad::Error>(())
//! ```

pub use crate::clip::Clipper;
pub use crate::detect::Detector;
pub use crate::penalty::Penalty;
#[cfg(feature = "ndarray")]
pub use crate::recurrent::{Layer, RecurrentCell};
pub use crate::{TensorSet, TensorSetMut};
