#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod engine;
mod grads;
mod host;
mod merged;
#[cfg(feature = "train")]
mod metric;
mod params;
mod path;
mod penalty;
mod places;
mod schedule;
mod shared;

pub use grads::BurnGrads;
#[cfg(feature = "train")]
#[cfg_attr(docsrs, doc(cfg(feature = "train")))]
pub use metric::GradNormMetric;
pub use params::BurnParams;
pub use penalty::{elastic_net, elastic_net_where, l1, l2};
pub use schedule::GuardedLr;
pub use shared::{SharedGuard, StepSummary};
pub use steadygrad;
