//! What a rank says in a call beside its totals: that it failed, what it would decide, what it found.

use alloc::string::String;
use alloc::vec::Vec;

use crate::detect::Alarm;
use crate::{Error, Verdict};

/// How many numbers it takes.
pub(super) const LEN: usize = 7;

/// How many bytes of a sentence or a name cross the wire.
pub(super) const LONGEST: usize = 1024;

/// What a rank says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Word<'w> {
    pub(crate) failed: Option<&'w Error>,
    pub(crate) verdict: Verdict,
    pub(crate) fault: Option<&'w Alarm>,
    /// How it goes on, which has to be alike on all ranks.
    pub(crate) way: f64,
}

/// What all ranks said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    /// The first rank that failed, and how long what it says of it may be.
    pub(super) failed: Option<(usize, usize)>,
    /// The gravest verdict, and the first rank that came to it.
    pub(super) verdict: (Verdict, usize),
    /// The first rank with the first kind of fault, and how long the name may be.
    pub(super) fault: Option<(usize, usize)>,
    /// Whether they all go on alike.
    pub(super) is_one_way: bool,
}

/// More ranks than there are.
const RANKS: f64 = 4_294_967_296.0;

const VERDICTS: [Verdict; 4] = [
    Verdict::Apply,
    Verdict::Skip,
    Verdict::Rollback,
    Verdict::Stop,
];

impl Word<'_> {
    pub(super) fn write(&self, rank: usize, to: &mut [f64]) {
        let nobody = f64::NEG_INFINITY;
        let rank = rank as f64;
        let text = self.failed.map(|error| sentence(error).len());
        let name = self.fault.map(|fault| of_fault(fault).len());
        let verdict = VERDICTS.iter().position(|&v| v == self.verdict);
        to.copy_from_slice(&[
            self.failed.map_or(nobody, |_| -rank),
            text.unwrap_or(0) as f64,
            verdict.unwrap_or(0) as f64 * RANKS - rank,
            self.fault
                .map_or(nobody, |fault| -(f64::from(fault.kind()) * RANKS + rank)),
            name.unwrap_or(0) as f64,
            self.way,
            -self.way,
        ]);
    }
}

impl Heard {
    pub(super) fn read(said: &[f64]) -> Self {
        let somebody = |key: f64| (key > f64::NEG_INFINITY).then_some(-key);
        let failed = somebody(said[0]).map(|rank| (rank as usize, said[1] as usize));
        let fault = somebody(said[3]).map(|key| ((key % RANKS) as usize, said[4] as usize));
        // Of a verdict that few came to, the rank is taken off the next multiple.
        let verdict = -crate::math::floor(-said[2] / RANKS);
        let decided = VERDICTS.get(verdict as usize).copied().unwrap_or_default();
        Self {
            failed,
            verdict: (decided, (verdict * RANKS - said[2]) as usize),
            fault,
            is_one_way: said[5] == -said[6],
        }
    }
}

/// An error as it is told on other ranks.
pub(super) fn sentence(error: &Error) -> String {
    short(match error {
        // It says that it is of ranks already.
        Error::Wire(what) => what.clone(),
        error => alloc::format!("{error}"),
    })
}

/// What a fault is about, by name.
pub(super) fn of_fault(fault: &Alarm) -> String {
    short(String::from(fault.tensor().unwrap_or_default()))
}

pub(super) fn short(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = (0..=LONGEST)
            .rev()
            .find(|&end| text.is_char_boundary(end))
            .unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// How many integers a text of so many bytes takes.
pub(super) fn limbs_of(bytes: usize) -> usize {
    bytes.div_ceil(8)
}

/// Writes a text into integers, of which one rank's alone are not 0.
pub(super) fn write_text(text: &str, to: &mut [i64]) {
    for (to, bytes) in to.iter_mut().zip(text.as_bytes().chunks(8)) {
        let mut all = [0; 8];
        all[..bytes.len()].copy_from_slice(bytes);
        *to = i64::from_le_bytes(all);
    }
}

pub(super) fn read_text(from: &[i64]) -> String {
    let bytes: Vec<u8> = from.iter().flat_map(|limb| limb.to_le_bytes()).collect();
    let text = String::from_utf8_lossy(&bytes);
    text.trim_end_matches('\0').into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_verdict_and_the_first_rank_that_came_to_it() {
        let said = |all: &[(Verdict, usize)]| {
            let mut maxima = [f64::NEG_INFINITY; LEN];
            for &(verdict, rank) in all {
                let mut one = [0.0; LEN];
                let word = Word {
                    verdict,
                    ..Word::default()
                };
                word.write(rank, &mut one);
                maxima
                    .iter_mut()
                    .zip(one)
                    .for_each(|(max, x)| *max = max.max(x));
            }
            Heard::read(&maxima)
        };
        let heard = said(&[
            (Verdict::Skip, 0),
            (Verdict::Stop, 7),
            (Verdict::Stop, 3),
            (Verdict::Apply, 1),
        ]);
        assert_eq!(heard.verdict, (Verdict::Stop, 3));
        assert_eq!(said(&[(Verdict::Apply, 5)]).verdict, (Verdict::Apply, 5));
        assert!(heard.failed.is_none() && heard.fault.is_none() && heard.is_one_way);
    }

    #[test]
    fn a_text_comes_through_whole() {
        for text in ["", "w", "12345678", "123456789", "größer als vorher"] {
            let mut limbs = alloc::vec![0; limbs_of(text.len()) + 3];
            write_text(text, &mut limbs);
            assert_eq!(read_text(&limbs), text);
        }
    }
}
