//! Recurrent cells: gradients, hook, shapes, initialisers, spectral read-outs.
#![cfg(feature = "ndarray")]

mod bits;
mod checkpointed;
mod common;
mod differences;
mod double;
mod dropout;
mod edges;
mod functions;
mod gates;
mod gradcheck;
mod gru;
mod hook;
mod init;
mod lengths;
mod loss;
mod mended;
mod oracle;
mod origin;
mod peephole;
mod program;
mod read_out;
mod run;
mod segments;
mod sets;
mod spectral;
mod state_dict;
mod torch;
mod truncated;
mod unrolled;
mod variants;
mod variants_limits;
mod variants_oracle;
mod wrappers;
