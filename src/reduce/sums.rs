//! Sums of numbers that are no tensors.

use super::mean::Signed;
use super::parts;
use super::wire::Wire;
use super::word::Word;
use crate::edit::Edit;
use crate::kernel::{self, Pair};
use crate::penalty::Penalty;
use crate::tensor::{BLOCK, Tensor};
use crate::{Result, TensorSet};

impl Wire {
    /// The sum of what all ranks have summed, rounded once: `local` is whether it could be summed here.
    pub(crate) fn sum_up(&mut self, local: &Result<()>, mut sum: Signed) -> Result<f64> {
        self.begin();
        self.meet(&Word {
            failed: local.as_ref().err(),
            ..Word::default()
        })?;
        self.carrier.sum(sum.limbs())?;
        Ok(sum.round())
    }

    /// Sums a penalty over the weights that count here: tensor by tensor, or where they are cut element by element.
    pub(crate) fn penalty<P: Penalty, W: TensorSet + ?Sized>(
        &mut self,
        penalty: &P,
        weights: &W,
    ) -> Result<f64> {
        let (rank, is_alone) = (self.carrier.rank(), self.carrier.ranks() == 1);
        let mut sum = Signed::default();
        let local = weights.visit(&mut |name, tensor| {
            let counts = is_alone || self.shards.counts(name, rank);
            if !counts || !penalty.covers(name, tensor.dims()) {
                return Ok(());
            }
            if self.shards.is_cut {
                return parts::in_blocks(&tensor, Edit::KEEP, |ws| {
                    ws.iter().for_each(|&w| sum.add(penalty.at(w).0));
                });
            }
            let mut value = Pair::ZERO;
            parts::in_blocks(&tensor, Edit::KEEP, |ws| {
                // The gradient goes to a place that nobody reads.
                let slopes = &mut [0.0; BLOCK][..ws.len()];
                value.add(kernel::pair(ws, slopes, |w| penalty.at(w)));
            })?;
            sum.add(value.round());
            Ok(())
        });
        self.sum_up(&local, sum)
    }
}
