//! What the guards of several ranks agree on: one record after the other, the same on all of them.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::directory::Directory;
use super::mean::Signed;
use super::parts::Parts;
use super::together::Together;
use super::word::{self, Heard, Word};
use super::{AllReduce, Shards, mean, parts};
use crate::detect::Alarm;
use crate::edit::Edit;
use crate::edits::Edits;
use crate::kernel::{self, Pair};
use crate::measurement::Measurement;
use crate::names::Names;
use crate::needs::Needs;
use crate::penalty::Penalty;
use crate::tensor::{BLOCK, Tensor};
use crate::total::{MAXIMA, Total};
use crate::{Error, Result, TensorSet, Verdict};

/// Gradients, parameters and updates.
pub(crate) const SETS: usize = 3;

/// The way to the other ranks, and what was agreed on there.
pub(crate) struct Wire {
    pub(super) wire: Box<dyn AllReduce>,
    pub(super) shards: Shards,
    /// Whether the ranks were found to have the same rules.
    pub(crate) has_met: bool,
    /// Whether some rank asked for checks.
    pub(super) is_checked: bool,
    pub(super) maxima: Vec<f64>,
    pub(super) limbs: Vec<i64>,
    known: [Known; SETS],
    parts: [Parts; SETS],
    /// What is said of each part, apart.
    of_parts: (Vec<f64>, Vec<i64>),
    together: Together,
    /// How long this rank's parts of the gradients are.
    lens: Vec<u64>,
    pub(super) directory: Directory,
    /// Of parts that are read again.
    wanted: Needs,
    /// What the last word of all ranks came to, also if one failed.
    pub(crate) verdict: Verdict,
}

/// Which tensors of a set count here.
#[derive(Debug, Default)]
pub(super) struct Known {
    names: Option<Arc<Names>>,
    counts: Vec<bool>,
    /// Of all names, for comparison.
    hash: f64,
}

impl Known {
    pub(super) fn counts(&self, index: usize) -> bool {
        self.counts.get(index).copied().unwrap_or(true)
    }

    /// Looks at the names, if they are new.
    fn look(&mut self, seen: &Measurement, shards: &Shards, rank: usize, ranks: usize) {
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

/// A number made of bytes, by FNV-1a (Fowler, Noll and Vo) and the finalizer of `SplitMix64`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        // An end that no name holds.
        for &byte in bytes.iter().chain(&[0xff]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(super) fn take_bits(&mut self, bits: u64) {
        self.take(&bits.to_le_bytes());
    }

    /// 52 bits of it, above 0.
    pub(super) fn number(self) -> f64 {
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ x >> 31) >> 12 | 1) as f64
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("wire", &self.wire)
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}

/// What a rank brings to the first record of a step.
pub(crate) struct Brought<'b> {
    pub(crate) sets: [Option<(&'b mut Measurement, &'b dyn TensorSet)>; SETS],
    /// What is not finite here.
    pub(crate) fault: Option<&'b Alarm>,
    pub(crate) groups: usize,
    pub(crate) loss: Option<f64>,
    pub(crate) scale: f64,
    pub(crate) step: u64,
}

/// What comes of it beside the totals.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) loss: Option<f64>,
    pub(crate) fault: Option<Alarm>,
}

/// What the first call says beside a word and the maxima: of what is to be alike, both the number and its negative.
const FACTS: usize = 14;

impl Wire {
    pub(crate) fn new(wire: Box<dyn AllReduce>, shards: Shards) -> Self {
        Self {
            wire,
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

    /// The first record of a step: `local` is whether all of it could be measured here.
    pub(crate) fn first(&mut self, local: Result<()>, mut brought: Brought<'_>) -> Result<Got> {
        let local = local.and_then(|()| self.prepare(&mut brought));
        let totals = 1 + brought.groups;
        self.begin();
        self.write_facts(&brought);
        match &brought.sets[0] {
            Some((grads, _)) if local.is_ok() => {
                self.together.write(grads, totals, &mut self.maxima);
            }
            _ => self.maxima.resize(self.maxima.len() + totals * totals, 0.0),
        }
        for set in &brought.sets {
            let measured = set.as_ref().map(|(measured, _)| &**measured);
            write_maxima(measured.filter(|_| local.is_ok()), totals, &mut self.maxima);
        }
        let heard = self.meet(&Word {
            failed: local.as_ref().err(),
            fault: brought.fault,
            ..Word::default()
        })?;
        let [lowest, highest] = self.read_facts(&brought)?;
        let at = word::LEN + FACTS;
        self.together
            .read(totals, &self.maxima[at..at + totals * totals]);
        for (index, set) in brought.sets.iter_mut().enumerate() {
            if let Some((measured, _)) = set {
                self.meet_parts(measured, index, true)?;
            }
        }
        self.limbs.clear();
        let loss = Loss { lowest, highest };
        loss.write(brought.loss, &mut self.limbs);
        if let Some((grads, _)) = &brought.sets[0] {
            self.limbs.push(grads.unmatched as i64);
            // A tensor that is cut is one on all ranks.
            let (known, is_cut, first) =
                (&self.known[0], self.shards.is_cut, self.wire.rank() == 0);
            let counts = |index| if is_cut { first } else { known.counts(index) };
            Together::write_tensors(grads, totals, counts, &mut self.limbs);
        }
        let mut at = at + totals * totals;
        for set in &brought.sets {
            if let Some((measured, _)) = set {
                write_limbs(measured, &self.maxima[at..], &mut self.limbs);
            }
            at += totals * MAXIMA;
        }
        self.wire.sum(&mut self.limbs)?;
        let (loss, mut from) = loss.read(&mut self.limbs);
        let mut at = word::LEN + FACTS + totals * totals;
        for (index, set) in brought.sets.iter_mut().enumerate() {
            if let Some((measured, _)) = set {
                if index == 0 {
                    measured.unmatched = self.limbs[from] as usize;
                    self.together
                        .read_tensors(&self.limbs[from + 1..][..totals]);
                    from += 1 + totals;
                }
                from += read_limbs(measured, &self.maxima[at..], &self.limbs[from..]);
            }
            at += totals * MAXIMA;
        }
        if let (true, Some((grads, _))) = (self.is_checked, &brought.sets[0]) {
            self.compare(grads)?;
        }
        let fault = match heard.fault {
            None => None,
            Some(from) => Some(self.tell_fault(from, brought.fault, brought.step)?),
        };
        Ok(Got { loss, fault })
    }

    /// Makes the totals those of what counts here.
    fn prepare(&mut self, brought: &mut Brought<'_>) -> Result<()> {
        let (rank, ranks) = (self.wire.rank(), self.wire.ranks());
        for (index, set) in brought.sets.iter_mut().enumerate() {
            let Some((measured, set)) = set else {
                continue;
            };
            self.known[index].look(measured, &self.shards, rank, ranks);
            if index == 0 && self.is_cut() {
                self.lens.clear();
                self.lens
                    .extend(measured.tensors().iter().map(crate::Stats::len));
            }
            if index == 0 && self.is_checked {
                self.directory.note(measured);
            }
            self.count(measured, *set, index, &Edits::NONE)?;
        }
        Ok(())
    }

    fn count(
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

    fn write_facts(&mut self, brought: &Brought<'_>) {
        let span = brought.loss.and_then(mean::span);
        let given = |index: usize| f64::from(u8::from(brought.sets[index].is_some()));
        let names = if self.is_cut() {
            let mut all = Hash::default();
            for (known, _) in self
                .known
                .iter()
                .zip(&brought.sets)
                .filter(|(_, set)| set.is_some())
            {
                all.take_bits(known.hash.to_bits());
            }
            all.number()
        } else {
            0.0
        };
        for fact in [
            brought.step as f64,
            // What is no number is this rank's error.
            if brought.scale.is_nan() {
                0.0
            } else {
                brought.scale
            },
            given(1),
            given(2),
            names,
        ] {
            self.maxima.extend_from_slice(&[fact, -fact]);
        }
        let (low, high) = span.map_or((f64::NEG_INFINITY, f64::NEG_INFINITY), |(low, high)| {
            (-low as f64, high as f64)
        });
        let news = self.has_news(brought.sets[0].as_ref().map(|(grads, _)| &**grads));
        self.maxima.extend_from_slice(&[low, high, news, 0.0]);
    }

    /// Whether all ranks go together, and between which digits the losses lie.
    fn read_facts(&mut self, brought: &Brought<'_>) -> Result<[f64; 2]> {
        let mut facts = [0.0; FACTS];
        facts.copy_from_slice(&self.maxima[word::LEN..word::LEN + FACTS]);
        let differ = |index: usize| {
            let (largest, least) = (facts[2 * index], -facts[2 * index + 1]);
            (largest != least).then_some((least, largest))
        };
        if let Some((least, largest)) = differ(0) {
            return Err(Error::Wire(format!(
                "expected all ranks at one step, found steps {least} to {largest}"
            )));
        }
        if let Some((least, largest)) = differ(1) {
            return Err(Error::Wire(format!(
                "expected one scale of the loss, found {least} to {largest}"
            )));
        }
        for (index, what) in [(2, "parameters"), (3, "updates")] {
            if differ(index).is_some() {
                return Err(Error::Wire(format!(
                    "expected {what} from every rank, or from none"
                )));
            }
        }
        if differ(4).is_some() {
            return Err(self.name_that_differs(brought)?);
        }
        self.directory.is_new |= facts[12] > 0.0;
        Ok([facts[10], facts[11]])
    }

    /// Agrees on what each tensor comes to of which every rank has a part, if anybody asked.
    fn meet_parts(
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
        self.wire.max(maxima)?;
        limbs.clear();
        for (total, maxima) in each.iter().zip(maxima.chunks_exact(MAXIMA)) {
            write_one(total, maxima, limbs);
        }
        self.wire.sum(limbs)?;
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

    /// The record before a rule behind a clipper, and that of what is left: the gradients as the edits leave them, which
    /// are `raw` without them. Nothing is measured where it is known already, where the step failed or is not taken;
    /// the calls are made all the same. What comes back is the verdict so far, and whether the gradients were read.
    pub(crate) fn behind<G: TensorSet + ?Sized>(
        &mut self,
        view: Behind<'_, G>,
        into: &mut Measurement,
        word: &Word<'_>,
    ) -> Result<(Verdict, bool)> {
        let Behind {
            grads,
            raw,
            needs,
            edits,
            is_left,
        } = view;
        let totals = 1 + raw.needs().groups.len();
        let covered = raw.needs().covers(needs) && needs.units.is_none();
        let common = edits.common_factor().filter(|_| covered);
        let is_whole = raw.needs().tensors;
        let (mut way, mut is_read) = (0.0, false);
        let mut local = Ok(());
        if !is_left || word.failed.is_some() {
            into.follow(raw, &Edits::NONE);
        } else if self.is_cut()
            && (common.is_some() || is_whole && covered)
            && into.follow(raw, edits).is_some()
        {
            way = if common.is_some() { 1.0 } else { 2.0 };
        } else if self.is_cut() {
            self.wanted.clone_from(needs);
            self.wanted.tensors = is_whole;
            local = into
                .read(grads, &self.wanted, edits)
                .and_then(|()| self.count(into, &grads, 0, edits));
            (way, is_read) = (3.0, true);
        } else {
            is_read = !(covered && into.follow(raw, edits).is_some());
            if is_read {
                let needs = if covered { raw.needs() } else { needs };
                local = into.read(grads, needs, edits);
            }
            if is_read && covered {
                // Whether any other tensor has to be read is no matter of this one.
                into.follow_where_told(raw, edits);
                into.recount(|_| true);
            }
            local = local.and_then(|()| self.count(into, &grads, 0, edits));
        }
        let measured =
            Some(&*into).filter(|_| is_left && local.is_ok() && (way == 3.0 || !self.is_cut()));
        self.begin();
        write_maxima(measured, totals, &mut self.maxima);
        let is_measured = measured.is_some();
        let heard = self.meet(&Word {
            failed: word.failed.or(local.as_ref().err()),
            way,
            ..*word
        })?;
        if !heard.is_one_way {
            return Err(Error::Wire(
                "expected the same edits on every rank that has a part of the tensors".into(),
            ));
        }
        if !is_measured {
            // Known already, or nothing to be known.
            into.totals_mut().for_each(Total::clear);
            self.parts[0].be_empty(if is_whole { raw.len() } else { 0 });
        }
        self.meet_parts(into, 0, is_measured)?;
        self.limbs.clear();
        write_limbs(into, &self.maxima[word::LEN..], &mut self.limbs);
        self.wire.sum(&mut self.limbs)?;
        read_limbs(into, &self.maxima[word::LEN..], &self.limbs);
        match (way as u8, common) {
            (1, Some(factor)) => into.take_totals_of(raw, factor),
            (2, _) => {
                into.recount(|_| true);
                into.round();
            }
            _ => (),
        }
        if is_left {
            self.together.settle(into, edits);
        }
        Ok((heard.verdict.0, is_read))
    }

    /// Agrees on a verdict, and on whether anything is wrong with what the rules left. With it comes the first rank that
    /// came to it.
    pub(crate) fn agree(
        &mut self,
        word: &Word<'_>,
        step: u64,
    ) -> Result<(Verdict, usize, Option<Alarm>)> {
        self.begin();
        let heard = self.meet(word)?;
        let (verdict, rank) = heard.verdict;
        let fault = match heard.fault.filter(|_| verdict.is_apply()) {
            None => None,
            Some(from) => Some(self.tell_fault(from, word.fault, step)?),
        };
        Ok((verdict, rank, fault))
    }

    /// Makes tensors of which another rank's part is not finite so here too.
    pub(crate) fn spread_faults(&mut self, grads: &mut Measurement) -> Result<()> {
        if !self.is_cut() || grads.needs().tensors {
            return Ok(());
        }
        self.limbs.clear();
        for stats in grads.tensors() {
            let counts = [stats.nan, stats.pos_inf, stats.neg_inf];
            self.limbs.extend(counts.map(|count| count as i64));
        }
        self.wire.sum(&mut self.limbs)?;
        for (stats, counts) in grads.tensors.iter_mut().zip(self.limbs.chunks_exact(3)) {
            let count = |i: usize| counts[i].cast_unsigned();
            (stats.nan, stats.pos_inf, stats.neg_inf) = (count(0), count(1), count(2));
        }
        Ok(())
    }

    /// The sum of what all ranks have summed, rounded once: `local` is whether it could be summed here.
    pub(crate) fn sum_up(&mut self, local: &Result<()>, mut sum: Signed) -> Result<f64> {
        self.begin();
        self.meet(&Word {
            failed: local.as_ref().err(),
            ..Word::default()
        })?;
        self.wire.sum(sum.limbs())?;
        Ok(sum.round())
    }

    /// Sums a penalty over the weights that count here: tensor by tensor, or where they are cut element by element.
    pub(crate) fn penalty<P: Penalty, W: TensorSet + ?Sized>(
        &mut self,
        penalty: &P,
        weights: &W,
    ) -> Result<f64> {
        let (rank, is_alone) = (self.wire.rank(), self.wire.ranks() == 1);
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

    /// Makes room for a word.
    pub(super) fn begin(&mut self) {
        self.maxima.clear();
        self.maxima.resize(word::LEN, 0.0);
    }

    /// Calls for the maxima, with a word; an error on all ranks if one failed.
    pub(super) fn meet(&mut self, word: &Word<'_>) -> Result<Heard> {
        word.write(self.wire.rank(), &mut self.maxima[..word::LEN]);
        self.wire.max(&mut self.maxima)?;
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
        if let Some(text) = own.filter(|_| from == self.wire.rank()) {
            word::write_text(text, &mut self.limbs);
        }
        self.wire.sum(&mut self.limbs)?;
        Ok(word::read_text(&self.limbs))
    }

    /// Has one rank tell what is wrong to all.
    fn tell_fault(
        &mut self,
        (from, len): (usize, usize),
        own: Option<&Alarm>,
        step: u64,
    ) -> Result<Alarm> {
        let own = own.filter(|_| from == self.wire.rank());
        self.limbs.clear();
        self.limbs.resize(Alarm::NUMBERS + word::limbs_of(len), 0);
        let (numbers, name) = self.limbs.split_at_mut(Alarm::NUMBERS);
        if let Some(fault) = own {
            numbers.copy_from_slice(&fault.numbers());
            word::write_text(&word::of_fault(fault), name);
        }
        self.wire.sum(&mut self.limbs)?;
        Ok(match own {
            Some(fault) => fault.clone(),
            None => {
                let (numbers, name) = self.limbs.split_at(Alarm::NUMBERS);
                Alarm::of_rank(from, step, numbers, word::read_text(name))
            }
        })
    }
}

/// What the gradients are behind some edits.
pub(crate) struct Behind<'b, G: ?Sized> {
    pub(crate) grads: &'b G,
    pub(crate) raw: &'b Measurement,
    pub(crate) needs: &'b Needs,
    pub(crate) edits: &'b Edits,
    /// Whether there is anything to be known.
    pub(crate) is_left: bool,
}

fn write_maxima(measured: Option<&Measurement>, totals: usize, to: &mut Vec<f64>) {
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

fn write_limbs(measured: &Measurement, maxima: &[f64], to: &mut Vec<i64>) {
    for (total, maxima) in measured.totals().zip(maxima.chunks_exact(MAXIMA)) {
        write_one(total, maxima, to);
    }
}

/// Takes in the totals of all ranks, and says how many integers these were.
fn read_limbs(measured: &mut Measurement, maxima: &[f64], from: &[i64]) -> usize {
    let mut at = 0;
    for (total, maxima) in measured.totals_mut().zip(maxima.chunks_exact(MAXIMA)) {
        let width = Total::width(maxima);
        total.read_limbs(maxima, &from[at..at + width]);
        at += width;
    }
    measured.round();
    at
}

/// Between which digits the losses lie.
#[derive(Clone, Copy)]
struct Loss {
    lowest: f64,
    highest: f64,
}

impl Loss {
    const COUNTS: usize = 4;

    fn floor(self) -> i64 {
        // Of zeros alone there is no digit.
        if self.width() == 0 {
            0
        } else {
            -self.lowest as i64
        }
    }

    fn width(self) -> usize {
        if self.highest == f64::NEG_INFINITY {
            return 0;
        }
        // One more for what is carried.
        (self.highest as i64 + self.lowest as i64) as usize + 2
    }

    fn write(self, loss: Option<f64>, to: &mut Vec<i64>) {
        let is = |what: fn(f64) -> bool| i64::from(loss.is_some_and(what));
        let below = |x: f64| x == f64::NEG_INFINITY;
        let above = |x: f64| x == f64::INFINITY;
        to.extend_from_slice(&[is(|_| true), is(f64::is_nan), is(above), is(below)]);
        let start = to.len();
        to.resize(start + self.width(), 0);
        if let Some(loss) = loss {
            mean::add(loss, self.floor(), &mut to[start..]);
        }
    }

    /// Their mean, and how many integers it took.
    fn read(self, from: &mut [i64]) -> (Option<f64>, usize) {
        let (counts, rest) = from.split_at_mut(Self::COUNTS);
        let loss = match *counts {
            [0, ..] => None,
            [_, 0, 0, 0] => {
                let digits = &mut rest[..self.width()];
                Some(mean::quotient(self.floor(), digits, counts[0]))
            }
            [_, 0, _, 0] => Some(f64::INFINITY),
            [_, 0, 0, _] => Some(f64::NEG_INFINITY),
            _ => Some(f64::NAN),
        };
        (loss, Self::COUNTS + self.width())
    }
}
