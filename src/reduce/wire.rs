//! The way to the other ranks, and how something is said there.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::directory::Directory;
use super::hash::Hash;
use super::parts::Parts;
use super::together::Together;
use super::word::{self, Heard, Word};
use super::{AllReduce, Shards};
use crate::detect::Alarm;
use crate::edits::Edits;
use crate::measurement::Measurement;
use crate::names::Names;
use crate::needs::Needs;
use crate::total::{MAXIMA, Total};
use crate::{Error, Result, TensorSet, Verdict};

/// Gradients, parameters and updates.
pub(crate) const SETS: usize = 3;

/// The way to the other ranks, and what was agreed on there.
pub(crate) struct Wire {
    pub(super) carrier: Box<dyn AllReduce>,
    pub(super) shards: Shards,
    /// Whether the ranks were found to have the same rules.
    pub(crate) has_met: bool,
    /// Whether some rank asked for checks.
    pub(super) is_checked: bool,
    pub(super) maxima: Vec<f64>,
    pub(super) limbs: Vec<i64>,
    pub(super) known: [Known; SETS],
    pub(super) parts: [Parts; SETS],
    /// What is said of each part, apart.
    of_parts: (Vec<f64>, Vec<i64>),
    pub(super) together: Together,
    /// How long this rank's parts of the gradients are.
    pub(super) lens: Vec<u64>,
    pub(super) directory: Directory,
    /// Of parts that are read again.
    pub(super) wanted: Needs,
    /// What the last word of all ranks came to, also if one failed.
    pub(crate) verdict: Verdict,
}

/// Which tensors of a set count here.
#[derive(Debug, Default)]
pub(super) struct Known {
    names: Option<Arc<Names>>,
    counts: Vec<bool>,
    /// Of all names, for comparison.
    pub(super) hash: f64,
}

impl Known {
    pub(super) fn counts(&self, index: usize) -> bool {
        self.counts.get(index).copied().unwrap_or(true)
    }

    /// Looks at the names, if they are new.
    pub(super) fn look(&mut self, seen: &Measurement, shards: &Shards, rank: usize, ranks: usize) {
        let known = self.names.as_ref();
        if known.is_some_and(|names| Arc::ptr_eq(names, seen.names())) {
            return;
        }
        self.names = Some(Arc::clone(seen.names()));
        self.counts.clear();
        let mut all = Hash::default();
        for index in 0..seen.len() {
            let name = seen.name(index);
            self.counts.push(ranks == 1 || shards.counts(name, rank));
            all.take(name.as_bytes());
        }
        self.hash = all.number();
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("carrier", &self.carrier)
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}

impl Wire {
    pub(crate) fn new(carrier: Box<dyn AllReduce>, shards: Shards) -> Self {
        Self {
            carrier,
            shards,
            has_met: false,
            is_checked: false,
            maxima: Vec::new(),
            limbs: Vec::new(),
            known: Default::default(),
            parts: Default::default(),
            of_parts: Default::default(),
            together: Together::default(),
            lens: Vec::new(),
            directory: Directory::default(),
            wanted: Needs::default(),
            verdict: Verdict::Apply,
        }
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.shards.is_cut
    }

    /// Forgets what was agreed on of the rules.
    pub(crate) fn part(&mut self) {
        self.has_met = false;
        self.together.clear();
    }

    /// How many elements this rank has of tensor `index`, of which all have as many as this.
    pub(crate) fn len_here(&self, index: usize, whole: u64) -> u64 {
        let part = self.lens.get(index).filter(|_| self.is_cut());
        part.copied().unwrap_or(whole)
    }

    pub(super) fn count(
        &mut self,
        measured: &mut Measurement,
        set: &dyn TensorSet,
        index: usize,
        after: &Edits,
    ) -> Result<()> {
        let known = &self.known[index];
        let counts = |index| known.counts(index);
        if self.shards.is_cut {
            return self.parts[index].sum(set, after, measured, counts);
        }
        if known.counts.contains(&false) {
            measured.recount(counts);
        }
        Ok(())
    }

    /// Agrees on what each tensor comes to of which every rank has a part, if anybody asked.
    pub(super) fn meet_parts(
        &mut self,
        measured: &mut Measurement,
        index: usize,
        is_measured: bool,
    ) -> Result<()> {
        if !(self.is_cut() && measured.needs().tensors) {
            return Ok(());
        }
        let (maxima, limbs) = &mut self.of_parts;
        let each = &mut self.parts[index].each;
        maxima.clear();
        maxima.resize(each.len() * MAXIMA, 0.0);
        for (total, to) in each.iter().zip(maxima.chunks_exact_mut(MAXIMA)) {
            total.write_maxima(to);
        }
        self.carrier.max(maxima)?;
        limbs.clear();
        for (total, maxima) in each.iter().zip(maxima.chunks_exact(MAXIMA)) {
            write_one(total, maxima, limbs);
        }
        self.carrier.sum(limbs)?;
        if !is_measured {
            return Ok(());
        }
        let (mut from, tensors) = (0, measured.tensors.iter_mut());
        let each = each.iter_mut().zip(maxima.chunks_exact(MAXIMA));
        for ((total, maxima), stats) in each.zip(tensors) {
            let width = Total::width(maxima);
            total.read_limbs(maxima, &limbs[from..from + width]);
            from += width;
            // Where in this rank's part, if it is there.
            let first = stats.first_non_finite;
            *stats = total.stats();
            stats.first_non_finite = first;
        }
        Ok(())
    }

    /// Makes room for a word.
    pub(super) fn begin(&mut self) {
        self.maxima.clear();
        self.maxima.resize(word::LEN, 0.0);
    }

    /// Calls for the maxima, with a word; an error on all ranks if one failed.
    pub(super) fn meet(&mut self, word: &Word<'_>) -> Result<Heard> {
        word.write(self.carrier.rank(), &mut self.maxima[..word::LEN]);
        self.carrier.max(&mut self.maxima)?;
        let heard = Heard::read(&self.maxima[..word::LEN]);
        self.verdict = heard.verdict.0;
        let Some((rank, len)) = heard.failed else {
            return Ok(heard);
        };
        let own = word.failed.map(word::sentence);
        let what = self.tell(rank, len, own.as_deref())?;
        Err(match word.failed {
            Some(error) => error.clone(),
            None => Error::Wire(format!("rank {rank} failed: {what}")),
        })
    }

    /// Has one rank tell a text to all.
    pub(super) fn tell(&mut self, from: usize, len: usize, own: Option<&str>) -> Result<String> {
        self.limbs.clear();
        self.limbs.resize(word::limbs_of(len), 0);
        if let Some(text) = own.filter(|_| from == self.carrier.rank()) {
            word::write_text(text, &mut self.limbs);
        }
        self.carrier.sum(&mut self.limbs)?;
        Ok(word::read_text(&self.limbs))
    }

    /// Has one rank tell what is wrong to all.
    pub(super) fn tell_fault(
        &mut self,
        (from, len): (usize, usize),
        own: Option<&Alarm>,
        step: u64,
    ) -> Result<Alarm> {
        let own = own.filter(|_| from == self.carrier.rank());
        self.limbs.clear();
        self.limbs.resize(Alarm::NUMBERS + word::limbs_of(len), 0);
        let (numbers, name) = self.limbs.split_at_mut(Alarm::NUMBERS);
        if let Some(fault) = own {
            numbers.copy_from_slice(&fault.numbers());
            word::write_text(&word::of_fault(fault), name);
        }
        self.carrier.sum(&mut self.limbs)?;
        let (numbers, name) = self.limbs.split_at(Alarm::NUMBERS);
        let there = || Alarm::of_rank(from, step, numbers, word::read_text(name));
        Ok(own.cloned().unwrap_or_else(there))
    }
}

pub(super) fn write_maxima(measured: Option<&Measurement>, totals: usize, to: &mut Vec<f64>) {
    let mut all = measured.into_iter().flat_map(Measurement::totals);
    for _ in 0..totals {
        let start = to.len();
        to.resize(start + MAXIMA, f64::NEG_INFINITY);
        match all.next() {
            Some(total) => total.write_maxima(&mut to[start..]),
            None => to[start..start + 2].fill(0.0),
        }
    }
}

fn write_one(total: &Total, maxima: &[f64], to: &mut Vec<i64>) {
    let start = to.len();
    to.resize(start + Total::width(maxima), 0);
    total.write_limbs(maxima, &mut to[start..]);
}

pub(super) fn write_limbs(measured: &Measurement, maxima: &[f64], to: &mut Vec<i64>) {
    for (total, maxima) in measured.totals().zip(maxima.chunks_exact(MAXIMA)) {
        write_one(total, maxima, to);
    }
}

/// Takes in the totals of all ranks, and says how many integers these were.
pub(super) fn read_limbs(measured: &mut Measurement, maxima: &[f64], from: &[i64]) -> usize {
    let mut at = 0;
    for (total, maxima) in measured.totals_mut().zip(maxima.chunks_exact(MAXIMA)) {
        let width = Total::width(maxima);
        total.read_limbs(maxima, &from[at..at + width]);
        at += width;
    }
    measured.round();
    at
}
