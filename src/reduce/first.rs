//! The first record of a step: all that was measured, and whether the ranks go together.

use alloc::format;

use super::hash::Hash;
use super::loss::Loss;
use super::mean;
use super::together::Together;
use super::wire::{SETS, Wire, read_limbs, write_limbs, write_maxima};
use super::word::{self, Word};
use crate::detect::Alarm;
use crate::edits::Edits;
use crate::measurement::Measurement;
use crate::total::MAXIMA;
use crate::{Error, Result, Stats, TensorSet};

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
                (&self.known[0], self.shards.is_cut, self.carrier.rank() == 0);
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
        self.carrier.sum(&mut self.limbs)?;
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
        // One that is not finite differs in any case, and is met as such.
        let checks = self.is_checked && heard.fault.is_none();
        if let (true, Some((grads, _))) = (checks, &brought.sets[0]) {
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
        let (rank, ranks) = (self.carrier.rank(), self.carrier.ranks());
        for (index, set) in brought.sets.iter_mut().enumerate() {
            let Some((measured, set)) = set else {
                continue;
            };
            self.known[index].look(measured, &self.shards, rank, ranks);
            if index == 0 && self.is_cut() {
                self.lens.clear();
                self.lens.extend(measured.tensors().iter().map(Stats::len));
            }
            if index == 0 && self.is_checked {
                self.directory.note(measured);
            }
            self.count(measured, *set, index, &Edits::NONE)?;
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
}
