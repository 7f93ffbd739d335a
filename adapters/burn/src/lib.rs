#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod engine;
mod grads;
mod host;
mod params;
mod path;
mod penalty;
mod places;

pub use grads::{BurnGrads, Deferred};
pub use params::BurnParams;
pub use penalty::{elastic_net, elastic_net_where, l1, l2};
pub use steadygrad;
