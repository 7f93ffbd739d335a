//! The usual size of something, and the steps that are away from it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::robust::Robust;
use crate::{Error, Outcome, Result, State, Verdict};

/// So many values it takes to say what is usual.
pub(super) const FEW: usize = 10;
/// Stands for a step that was not away.
const USUAL: f64 = f64::NEG_INFINITY;

/// What is usual is learnt from values that were not away, of steps that were taken. When too many of the last steps
/// were away, that is a shift: theirs are the usual values from then on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Level {
    usual: Robust,
    /// So many of so many steps are a shift.
    shift: [usize; 2],
    /// The last steps: a value that was away, or [`USUAL`].
    recent: VecDeque<f64>,
    row: u64,
    noted: Option<Noted>,
}

/// What was seen of a step that is not over.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Noted {
    value: f64,
    is_away: bool,
    is_shift: bool,
}

/// Of a step that is away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Away {
    /// For so many steps in a row, with this one.
    pub(super) row: u64,
    /// On so many of the last so many steps, with this one.
    pub(super) among: [u64; 2],
    pub(super) is_shift: bool,
}

impl Level {
    /// Of the last `window` values, where `m` of `n` steps away are a shift.
    pub(super) fn new(window: usize, [m, n]: [usize; 2]) -> Self {
        Self {
            usual: Robust::new(window),
            shift: [m, n],
            recent: VecDeque::with_capacity(n),
            row: 0,
            noted: None,
        }
    }

    /// The same with other numbers, which are checked.
    pub(super) fn window(&self, what: &'static str, window: usize) -> Result<Self> {
        Robust::checked(what, window)?;
        Ok(Self::new(window, self.shift))
    }

    /// The same with other numbers, which are checked.
    pub(super) fn shift(&self, what: &'static str, [m, n]: [usize; 2]) -> Result<Self> {
        Robust::checked(what, n)?;
        if m == 0 || m > n {
            return Err(Error::Setting {
                what,
                expected: "at least 1 step and at most all of them",
                found: m as f64,
            });
        }
        Ok(Self::new(self.usual.window(), [m, n]))
    }

    /// The usual values.
    pub(super) fn usual(&self) -> &Robust {
        &self.usual
    }

    /// Whether there are enough values to speak of.
    pub(super) fn is_known(&self) -> bool {
        self.usual.len() >= FEW.min(self.usual.window())
    }

    /// The middle of the usual values, if there are enough of them.
    pub(super) fn median(&self) -> Option<f64> {
        self.usual.median().filter(|_| self.is_known())
    }

    /// Notes the value of this step, and says how long it has been so, if it is away.
    pub(super) fn note(&mut self, value: f64, is_away: bool) -> Option<Away> {
        let [m, n] = self.shift;
        let last = self.recent.len().min(n - 1);
        let steps = self.recent.iter().rev().take(last);
        let above = 1 + steps.filter(|&&value| value != USUAL).count();
        let is_shift = is_away && above >= m;
        self.noted = Some(Noted {
            value,
            is_away,
            is_shift,
        });
        is_away.then_some(Away {
            row: self.row + 1,
            among: [above as u64, last as u64 + 1],
            is_shift,
        })
    }

    /// Learns what was noted.
    pub(super) fn settle(&mut self, outcome: &Outcome<'_>) {
        let noted = self.noted.take();
        if outcome.verdict == Verdict::Rollback {
            // Back where the row had not begun; what is usual there is as it was.
            self.recent.clear();
            self.row = 0;
            return;
        }
        let Some(noted) = noted else {
            return;
        };
        self.row = if noted.is_away { self.row + 1 } else { 0 };
        if self.recent.len() == self.shift[1] {
            self.recent.pop_front();
        }
        let value = if noted.is_away { noted.value } else { USUAL };
        self.recent.push_back(value);
        if noted.is_shift {
            // Also if none of these steps was taken: else none ever would be.
            self.usual.clear();
            self.recent
                .drain(..)
                .for_each(|value| self.usual.push(value));
            self.row = 0;
        } else if outcome.is_taken() && !noted.is_away {
            self.usual.push(noted.value);
        }
    }

    pub(super) fn save(&self, state: &mut State) {
        self.usual.save("usual", state);
        let recent: Vec<f64> = self.recent.iter().copied().collect();
        state.put("recent", &recent[..]);
        state.put("row", self.row);
    }

    /// One of the same settings with what was saved.
    pub(super) fn loaded(&self, state: &State) -> Result<Self> {
        let mut loaded = Self::new(self.usual.window(), self.shift);
        loaded.usual = self.usual.loaded("usual", state)?;
        let recent: Vec<f64> = state.get("recent")?;
        if recent.len() > self.shift[1] {
            return Err(Error::State {
                expected: alloc::format!("at most {} recent values", self.shift[1]),
                found: alloc::format!("{}", recent.len()),
            });
        }
        loaded.recent.extend(recent);
        loaded.row = state.get("row")?;
        Ok(loaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// Away is what is above 5.
    fn feed(level: &mut Level, values: &[f64], verdict: Verdict) -> Vec<Option<Away>> {
        let mut told = vec![];
        for &value in values {
            told.push(level.note(value, value > 5.0));
            level.settle(&Outcome::new(1, verdict));
        }
        told
    }

    fn away(row: u64, among: [u64; 2], is_shift: bool) -> Away {
        Away {
            row,
            among,
            is_shift,
        }
    }

    #[test]
    fn a_shift_is_so_many_of_the_last_steps_and_becomes_what_is_usual() {
        let mut level = Level::new(4, [3, 4]);
        let told = feed(&mut level, &[1.0, 9.0, 9.0, 2.0, 8.0, 1.0], Verdict::Apply);
        assert_eq!(
            told,
            [
                None,
                Some(away(1, [1, 2], false)),
                Some(away(2, [2, 3], false)),
                None,
                Some(away(1, [3, 4], true)),
                None,
            ]
        );
        // 9, 9 and 8 of the shift, and what came after it.
        assert_eq!(
            (level.median(), level.usual().least()),
            (Some(8.5), Some(1.0))
        );
        assert_eq!(level.recent, [USUAL]);
    }

    #[test]
    fn what_is_not_taken_is_not_learnt_but_counts() {
        let mut level = Level::new(3, [2, 2]);
        feed(&mut level, &[1.0, 2.0, 3.0], Verdict::Apply);
        feed(&mut level, &[4.0, 4.0, 4.0], Verdict::Skip);
        assert_eq!(level.median(), Some(2.0));
        let told = feed(&mut level, &[7.0, 8.0], Verdict::Skip);
        assert_eq!(told[1], Some(away(2, [2, 2], true)));
        assert_eq!(level.usual().largest(), Some(8.0));
    }

    #[test]
    fn after_a_rollback_the_row_begins_anew() {
        let mut level = Level::new(3, [2, 2]);
        feed(&mut level, &[1.0, 2.0, 3.0], Verdict::Apply);
        let told = feed(&mut level, &[7.0, 7.0, 7.0, 4.0], Verdict::Rollback);
        // Beside the calm step before, and then alone.
        assert_eq!(told[0], Some(away(1, [1, 2], false)));
        assert_eq!(told[1..3], [Some(away(1, [1, 1], false)); 2]);
        assert_eq!(level.median(), Some(2.0));
    }

    #[test]
    fn a_state_of_other_settings_is_refused() {
        let mut level = Level::new(9, [5, 5]);
        feed(&mut level, &[1.0, 7.0, 7.0, 2.0, 7.0, 7.0], Verdict::Apply);
        let mut state = State::default();
        level.save(&mut state);
        assert_eq!(Level::new(9, [5, 5]).loaded(&state), Ok(level));
        assert!(Level::new(9, [4, 4]).loaded(&state).is_err());
        assert!(Level::new(1, [5, 5]).loaded(&state).is_err());
        assert!(Level::new(9, [5, 5]).loaded(&State::default()).is_err());
    }
}
