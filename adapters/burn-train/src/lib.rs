#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod merged;
mod metric;
mod schedule;
mod shared;

pub use metric::GradNormMetric;
pub use schedule::GuardedLr;
pub use shared::{SharedGuard, StepSummary};
pub use {steadygrad, steadygrad_burn};
