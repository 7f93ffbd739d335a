//! Recurrent cells: gradients, hook, shapes, initialisers, spectral read-outs.
#![cfg(feature = "ndarray")]

mod checkpointed;
mod common;
mod differences;
mod dropout;
mod edges;
mod gradcheck;
mod hook;
mod init;
mod lengths;
mod oracle;
mod program;
mod segments;
mod sets;
mod spectral;
mod torch;
mod truncated;
mod unrolled;
mod wrappers;
