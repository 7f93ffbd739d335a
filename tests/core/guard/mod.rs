//! The guard: policies, order, reads and writes, what it reports.

mod chain;
mod debug;
mod plan;
mod policy;
mod reads;
mod report;

use steadygrad::{clip, detect};

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

fn global(max: f64) -> clip::GlobalNorm {
    clip::GlobalNorm::new(max).unwrap()
}

fn value(bound: f64) -> clip::Value {
    clip::Value::new(bound).unwrap()
}

fn above(max: f64) -> detect::NormThreshold {
    detect::NormThreshold::new(max).unwrap()
}
