//! x
mod device;
mod grads;
mod host;
mod params;
mod tensors;
