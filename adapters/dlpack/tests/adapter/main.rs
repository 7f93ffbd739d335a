//! Memory that came by DLPack is measured and edited as if it were a slice or an array, or it is refused.

mod held;
mod managed;
mod refused;
mod same_bits;
mod sets;
mod shared;
