//! Recurrent cells: gradients, hook, shapes, initialisers, spectral read-outs.
#![cfg(feature = "ndarray")]

mod common;
mod differences;
mod edges;
mod gates;
mod hook;
mod init;
mod loss;
mod oracle;
mod program;
mod read_out;
mod run;
mod segments;
mod sets;
mod spectral;
mod state_dict;
mod unrolled;
