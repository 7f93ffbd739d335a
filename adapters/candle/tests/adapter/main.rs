//! The adapter keeps the promises of the core: on the host to the bit, on a device to rounding.

mod checkpoint;
mod device;
mod guarded;
mod penalty;
mod promises;
mod random;
mod same_bits;
mod sets;
mod steps;
