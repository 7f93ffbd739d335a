//! Which groups of tensors are the same, or one tensor, over all ranks.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::edits::Edits;
use crate::measurement::Measurement;
use crate::names::Names;

/// Of the whole and of each group, in this order: whether it holds a tensor that another does not, on any rank, and of
/// how many tensors it is.
#[derive(Debug, Default)]
pub(super) struct Together {
    totals: usize,
    /// What is so here, under these names.
    here: Vec<f64>,
    of: Option<Arc<Names>>,
    outside: Vec<bool>,
    tensors: Vec<i64>,
}

impl Together {
    /// Forgets the groups there were.
    pub(super) fn clear(&mut self) {
        self.of = None;
    }

    /// Says what is so here: of each pair, whether the second holds a tensor that the first does not.
    pub(super) fn write(&mut self, grads: &Measurement, totals: usize, to: &mut Vec<f64>) {
        let known = self.of.as_ref();
        if !known.is_some_and(|names| Arc::ptr_eq(names, grads.names())) {
            self.here.clear();
            for first in 0..totals {
                for second in 0..totals {
                    let is_outside = match (grads.members(first), grads.members(second)) {
                        (None, _) => false,
                        (Some(first), None) => first.len() < grads.len(),
                        (Some(first), Some(second)) => {
                            second.iter().any(|i| first.binary_search(i).is_err())
                        }
                    };
                    self.here.push(f64::from(u8::from(is_outside)));
                }
            }
            self.of = Some(Arc::clone(grads.names()));
        }
        to.extend_from_slice(&self.here);
    }

    /// Takes in what is so on any rank.
    pub(super) fn read(&mut self, totals: usize, from: &[f64]) {
        self.totals = totals;
        self.outside.clear();
        self.outside
            .extend(from.iter().map(|&outside| outside > 0.0));
    }

    /// Says how many tensors count here.
    pub(super) fn write_tensors(
        grads: &Measurement,
        totals: usize,
        counts: impl Fn(usize) -> bool,
        to: &mut Vec<i64>,
    ) {
        for total in 0..totals {
            let counted = match grads.members(total) {
                None => (0..grads.len()).filter(|&i| counts(i)).count(),
                Some(members) => members.iter().filter(|&&i| counts(i as usize)).count(),
            };
            to.push(counted as i64);
        }
    }

    pub(super) fn read_tensors(&mut self, from: &[i64]) {
        self.tensors.clear();
        self.tensors.extend_from_slice(from);
    }

    /// Takes what was reduced for what the rules have made of it.
    pub(super) fn settle(&self, seen: &mut Measurement, edits: &Edits) {
        for (total, stats) in seen.rounded_mut().enumerate() {
            edits.settle_by(stats, |each, of| {
                let of = of.map_or(0, |group| group as usize + 1);
                if each {
                    self.tensors.get(total) == Some(&1) && self.is_within(total, of)
                } else {
                    total == of
                        || total > 0
                            && of > 0
                            && self.is_within(total, of)
                            && self.is_within(of, total)
                }
            });
        }
        edits.settle_tensors(&mut seen.tensors);
    }

    /// Whether all of `total` is in `of`, on every rank.
    fn is_within(&self, total: usize, of: usize) -> bool {
        self.outside.get(of * self.totals + total) == Some(&false)
    }
}
