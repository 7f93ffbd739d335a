//! Every container × every operation: each must do what a list of plain `Vec`s with the same numbers does.
//!
//! A new container is a line in `containers.rs` or `layouts.rs`, a new operation a line in `operations.rs`.

mod container;
mod containers;
mod every;
mod inputs;
#[cfg(feature = "ndarray")]
mod layouts;
#[path = "../core/numbers.rs"]
#[allow(dead_code, reason = "shared with the tests of the core")]
mod numbers;
mod operations;
mod seen;
