//! Who holds which tensor, for whoever asked for a check of it.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::hash::Hash;
use super::wire::Wire;
use super::word;
use crate::measurement::Measurement;
use crate::names::Names;
use crate::{Error, Result};

/// The tensors that several ranks hold, in an order that is the same on all of them.
#[derive(Debug, Default)]
pub(super) struct Directory {
    /// Whether some rank has names that were not looked up.
    pub(super) is_new: bool,
    names: Option<Arc<Names>>,
    shared: Vec<Shared>,
    /// What each of this rank's tensors comes to.
    sums: Vec<f64>,
}

#[derive(Debug)]
struct Shared {
    /// Where it stands here, if it does.
    index: Option<usize>,
    owner: usize,
}

/// A tensor of some rank.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Held {
    name: i64,
    rank: usize,
    /// One more than the rank that it is tied to; 0 if it is not tied.
    owner: i64,
    index: usize,
}

impl Directory {
    /// Notes what each tensor comes to here.
    pub(super) fn note(&mut self, grads: &Measurement) {
        let sums = grads.tensors().iter().map(|stats| {
            let mut hash = Hash::default();
            for count in [stats.len, stats.nan, stats.pos_inf, stats.neg_inf] {
                hash.take_bits(count);
            }
            let (m, e) = stats.sum_sq.parts();
            let (low, high) = stats.range();
            for x in [m, stats.max_abs, low, high] {
                hash.take_bits(x.to_bits());
            }
            hash.take_bits(e.cast_unsigned());
            hash.number()
        });
        self.sums.clear();
        self.sums.extend(sums);
    }
}

impl Wire {
    /// Whether names are to be looked up: 1 if so.
    pub(super) fn has_news(&self, grads: Option<&Measurement>) -> f64 {
        let known = self.directory.names.as_ref();
        let is_known = known
            .zip(grads)
            .is_some_and(|(known, grads)| Arc::ptr_eq(known, grads.names()));
        f64::from(u8::from(self.is_checked && !is_known))
    }

    /// Whether tensors that are the same on several ranks are so, and no others are there twice.
    pub(super) fn compare(&mut self, grads: &Measurement) -> Result<()> {
        if core::mem::take(&mut self.directory.is_new) {
            self.look_up(grads)?;
        }
        let Directory { shared, sums, .. } = &self.directory;
        self.maxima.clear();
        for tensor in shared {
            let sum = tensor.index.and_then(|index| sums.get(index));
            let said = sum.map_or([f64::NEG_INFINITY; 2], |&sum| [sum, -sum]);
            self.maxima.extend_from_slice(&said);
        }
        self.carrier.max(&mut self.maxima)?;
        let mut said = self.maxima.chunks_exact(2);
        let Some(place) = said.position(|said| said[0] != -said[1]) else {
            return Ok(());
        };
        let Shared { index, owner } = shared[place];
        let sum = index.map_or(f64::NEG_INFINITY, |index| sums[index]);
        let is_owner = owner == self.carrier.rank();
        let mut owners = [if is_owner { sum } else { f64::NEG_INFINITY }];
        self.carrier.max(&mut owners)?;
        let other = self.first_rank(index.is_some() && sum != owners[0])?;
        let name = index.map(|index| grads.name(index));
        let name = self.tell(owner, word::LONGEST, name)?;
        Err(Error::Wire(format!(
            "tensor {name} is tied: expected rank {} to have what rank {owner}, its owner, has; found other sums",
            other.unwrap_or(owner)
        )))
    }

    /// Tells all ranks of all names.
    fn look_up(&mut self, grads: &Measurement) -> Result<()> {
        let (rank, ranks) = (self.carrier.rank(), self.carrier.ranks());
        let mut counts = alloc::vec![0; ranks];
        counts[rank] = grads.len() as i64;
        self.carrier.sum(&mut counts)?;
        let all: i64 = counts.iter().sum();
        let before: i64 = counts[..rank].iter().sum();
        self.limbs.clear();
        self.limbs.resize(2 * all as usize, 0);
        for index in 0..grads.len() {
            let mut name = Hash::default();
            name.take(grads.name(index).as_bytes());
            let owner = self.shards.owner(grads.name(index));
            let place = 2 * (before as usize + index);
            self.limbs[place] = name.number() as i64;
            self.limbs[place + 1] = owner.map_or(0, |owner| owner.0 as i64 + 1);
        }
        self.carrier.sum(&mut self.limbs)?;
        let mut held = Vec::new();
        let mut told = self.limbs.chunks_exact(2);
        for (rank, &count) in counts.iter().enumerate() {
            for (index, said) in told.by_ref().take(count as usize).enumerate() {
                held.push(Held {
                    name: said[0],
                    rank,
                    owner: said[1],
                    index,
                });
            }
        }
        held.sort_by_key(|held| (held.name, held.rank, held.index));
        self.directory.shared.clear();
        for same in held.chunk_by(|a, b| a.name == b.name) {
            if let Some(what) = self.wrong(same) {
                let Held {
                    rank: from, index, ..
                } = same[0];
                let name = (from == rank).then(|| grads.name(index));
                let name = self.tell(from, word::LONGEST, name)?;
                return Err(Error::Wire(format!("tensor {name} {what}")));
            }
            let here = same.iter().find(|held| held.rank == rank);
            if same[0].owner > 0 && same[0].rank != same[same.len() - 1].rank {
                self.directory.shared.push(Shared {
                    index: here.map(|held| held.index),
                    owner: same[0].owner as usize - 1,
                });
            }
        }
        self.directory.names = Some(Arc::clone(grads.names()));
        Ok(())
    }

    /// What is wrong with who holds a tensor.
    fn wrong(&self, same: &[Held]) -> Option<String> {
        let (first, last) = (same.first()?, same.last()?);
        let ranks = self.carrier.ranks();
        if ranks == 1 {
            return None;
        }
        let tie = |held: &Held| match held.owner {
            0 => String::from("to nobody"),
            owner => format!("to rank {}", owner - 1),
        };
        if let Some(other) = same.iter().find(|held| held.owner != first.owner) {
            return Some(format!(
                "is tied {} on rank {}, and {} on rank {}",
                tie(first),
                first.rank,
                tie(other),
                other.rank
            ));
        }
        if first.owner == 0 {
            return (first.rank != last.rank && !self.is_cut()).then(|| {
                format!(
                    "is on rank {} and on rank {}, and tied to neither",
                    first.rank, last.rank
                )
            });
        }
        let owner = first.owner as usize - 1;
        same.iter().all(|held| held.rank != owner).then(|| {
            format!(
                "is tied to rank {owner}, which does not have it, as rank {} does",
                first.rank
            )
        })
    }
}
