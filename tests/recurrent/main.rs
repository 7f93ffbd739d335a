//! Recurrent cells: gradients, hook, shapes, initialisers, spectral read-outs.
#![cfg(feature = "ndarray")]

mod common;
mod differences;
mod edges;
mod hook;
mod init;
mod oracle;
mod peephole;
mod program;
mod segments;
mod sets;
mod spectral;
mod unrolled;
mod variants;
mod variants_limits;
mod variants_oracle;
