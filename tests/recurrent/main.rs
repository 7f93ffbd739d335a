//! Recurrent cells: gradients, hook, shapes, initialisers, spectral read-outs.
#![cfg(feature = "ndarray")]

mod checkpointed;
mod common;
mod differences;
mod edges;
mod gradcheck;
mod hook;
mod init;
mod lengths;
mod gates;
mod loss;
mod oracle;
mod peephole;
mod program;
mod read_out;
mod run;
mod segments;
mod sets;
mod spectral;
mod torch;
mod state_dict;
mod unrolled;
mod wrappers;
mod variants;
mod variants_limits;
mod variants_oracle;
