//! The adapter keeps the promises of the core: on the host to the bit, on a device to rounding.

mod checkpoint;
mod device;
mod guarded;
mod penalty;
mod promises;
mod random;
mod recovery;
mod same_bits;
mod sets;
mod steps;

/// By how much, relatively, a sum on a device may be off: what `steadygrad::device::Remote` says of rows in `f32`.
const ROOM: f64 = 257.0 / 16_777_216.0 + 1e-12;
