//! Whether the parameters of a step are those of its gradients.

use alloc::sync::Arc;

use crate::names::Names;
use crate::set::{Found, Pairing};
use crate::{Measurement, Result};

/// The names of parameters and gradients that were found to agree, one to one, so that no later step has to
/// read them again.
#[derive(Debug, Default)]
pub(super) struct Paired {
    known: Option<[Arc<Names>; 2]>,
}

impl Paired {
    /// Checks names, number, sizes and shapes. A gradient without elements is a missing one.
    pub(super) fn check(&mut self, params: &Measurement, grads: &Measurement) -> Result<()> {
        let known = self.known.as_ref().is_some_and(|[of_params, of_grads]| {
            Arc::ptr_eq(of_params, params.names()) && Arc::ptr_eq(of_grads, grads.names())
        });
        let fit = |(param, grad): (&crate::Stats, &crate::Stats)| {
            grad.len() == param.len() || grad.is_empty()
        };
        if known && params.tensors().iter().zip(grads.tensors()).all(fit) {
            return Ok(());
        }
        let mut pairing =
            Pairing::with_gradients(params.names(), |i| params.tensor(i).len() as usize);
        for (index, stats) in grads.tensors().iter().enumerate() {
            pairing.take(Found {
                name: grads.name(index),
                dims: grads.names().dims(index),
                len: stats.len() as usize,
            })?;
        }
        pairing.finish()?;
        // As many are one to one: a gradient that stands for several leaves fewer.
        self.known = (params.len() == grads.len())
            .then(|| [params, grads].map(|seen| Arc::clone(seen.names())));
        Ok(())
    }
}
