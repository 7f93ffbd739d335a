//! What the rules make of the gradients, and what they come to.

use super::wire::{Wire, read_limbs, write_limbs, write_maxima};
use super::word::{self, Word};
use crate::detect::Alarm;
use crate::edits::Edits;
use crate::measurement::Measurement;
use crate::needs::Needs;
use crate::total::Total;
use crate::{Error, Result, TensorSet, Verdict};

/// What the gradients are behind some edits.
pub(crate) struct Behind<'b, G: ?Sized> {
    pub(crate) grads: &'b G,
    pub(crate) raw: &'b Measurement,
    pub(crate) needs: &'b Needs,
    pub(crate) edits: &'b Edits,
    /// Whether there is anything to be known.
    pub(crate) is_left: bool,
}

impl Wire {
    /// The record before a rule behind a clipper, and that of what is left: the gradients as the edits leave them, which
    /// are `raw` without them. Nothing is measured where it is known already, where the step failed or is not taken;
    /// the calls are made all the same. What comes back is the verdict so far, and whether the gradients were read.
    pub(crate) fn behind<G: TensorSet + ?Sized>(
        &mut self,
        view: &Behind<'_, G>,
        into: &mut Measurement,
        word: &Word<'_>,
    ) -> Result<(Verdict, bool)> {
        let Behind {
            grads,
            raw,
            needs,
            edits,
            is_left,
        } = *view;
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
        self.carrier.sum(&mut self.limbs)?;
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
        self.carrier.sum(&mut self.limbs)?;
        for (stats, counts) in grads.tensors.iter_mut().zip(self.limbs.chunks_exact(3)) {
            let count = |i: usize| counts[i].cast_unsigned();
            (stats.nan, stats.pos_inf, stats.neg_inf) = (count(0), count(1), count(2));
        }
        Ok(())
    }
}
