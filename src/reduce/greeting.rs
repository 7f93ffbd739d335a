//! What ranks tell each other once, and where they do not go together.

use alloc::format;
use alloc::string::String;

use super::first::Brought;
use super::hash::Hash;
use super::wire::Wire;
use super::word;
use crate::{Error, Result};

/// What rules a guard has, in words.
pub(crate) struct Rules {
    /// Which, and what they ask for: what the calls follow from.
    pub(crate) shape: String,
    /// And with what settings.
    pub(crate) settings: String,
}

fn hash(text: &str) -> f64 {
    let mut hash = Hash::default();
    hash.take(text.as_bytes());
    hash.number()
}

impl Wire {
    /// Meets the other ranks for the first time.
    pub(crate) fn greet(&mut self, rules: &Rules) -> Result<()> {
        let (shape, settings) = (hash(&rules.shape), hash(&rules.settings));
        let is_cut = f64::from(u8::from(self.shards.is_cut));
        let mut said = [
            shape,
            -shape,
            settings,
            -settings,
            is_cut,
            -is_cut,
            f64::from(u8::from(self.shards.is_checked)),
            self.shards.last_owner() as f64,
        ];
        self.carrier.max(&mut said)?;
        let differs = |index: usize| said[index] != -said[index + 1];
        if differs(0) {
            return Err(self.other_rules(&rules.shape)?);
        }
        if differs(4) {
            return Err(Error::Wire(
                "expected all ranks to hold whole tensors, or all to hold parts of every tensor"
                    .into(),
            ));
        }
        self.is_checked = said[6] > 0.0;
        if self.is_checked && differs(2) {
            return Err(self.other_rules(&rules.settings)?);
        }
        let (owner, ranks) = (said[7] as usize, self.carrier.ranks());
        if ranks > 1 && owner >= ranks {
            return Err(Error::Wire(format!(
                "expected tensors tied to one of {ranks} ranks, found some tied to rank {owner}"
            )));
        }
        self.directory.is_new = true;
        self.has_met = true;
        Ok(())
    }

    /// Which rank has other rules than the first one.
    fn other_rules(&mut self, mine: &str) -> Result<Error> {
        let mine = word::short(mine.into());
        let first = self.tell(0, word::LONGEST, Some(&mine))?;
        let other = self.first_rank(mine != first)?;
        let Some(rank) = other else {
            return Ok(Error::Wire("ranks have other rules than rank 0".into()));
        };
        let found = self.tell(rank, word::LONGEST, Some(&mine))?;
        Ok(Error::Wire(format!(
            "rank {rank} has other rules: expected {first} as on rank 0, found {found}"
        )))
    }

    /// The first rank of which something is so.
    pub(super) fn first_rank(&mut self, is_so: bool) -> Result<Option<usize>> {
        let rank = self.carrier.rank() as f64;
        let mut said = [if is_so { -rank } else { f64::NEG_INFINITY }];
        self.carrier.max(&mut said)?;
        Ok((said[0] > f64::NEG_INFINITY).then_some(-said[0] as usize))
    }

    /// Which tensor is called otherwise on some rank, of those that are cut.
    pub(super) fn name_that_differs(&mut self, brought: &Brought<'_>) -> Result<Error> {
        let sets = brought.sets.iter().zip(["gradient", "parameter", "update"]);
        for (set, what) in sets {
            let Some((measured, _)) = set else {
                continue;
            };
            let mut longest = [measured.len() as f64];
            self.carrier.max(&mut longest)?;
            let len = longest[0] as usize;
            self.maxima.clear();
            for index in 0..len {
                let name = (index < measured.len()).then(|| hash(measured.name(index)));
                let number = name.unwrap_or(0.0);
                self.maxima.extend_from_slice(&[number, -number]);
            }
            self.carrier.max(&mut self.maxima)?;
            let different = self
                .maxima
                .chunks_exact(2)
                .position(|said| said[0] != -said[1]);
            let Some(index) = different else {
                continue;
            };
            let mine = if index < measured.len() {
                format!("{:?}", word::short(measured.name(index).into()))
            } else {
                String::from("none")
            };
            let first = self.tell(0, word::LONGEST, Some(&mine))?;
            let other = self.first_rank(mine != first)?.unwrap_or(0);
            let found = self.tell(other, word::LONGEST, Some(&mine))?;
            return Ok(Error::Wire(format!(
                "rank {other}, {what} {index}: expected the name {first} as on rank 0, found {found}"
            )));
        }
        Ok(Error::Wire(
            "expected the same names in the same order on every rank".into(),
        ))
    }
}
