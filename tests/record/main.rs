//! What is recorded of a run, in how much memory, and what of it comes back from a file.

#[cfg(all(feature = "csv", feature = "json"))]
mod files;
#[cfg(all(feature = "metrics", feature = "tracing"))]
mod observers;
mod recorder;
