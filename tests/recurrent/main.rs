//! Recurrent cells: gradients, hook, shapes, initialisers, spectral read-outs.
#![cfg(feature = "ndarray")]

mod common;
mod differences;
mod double;
mod edges;
mod functions;
mod hook;
mod init;
mod oracle;
mod program;
mod segments;
mod sets;
mod spectral;
mod unrolled;
