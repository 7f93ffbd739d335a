//! What is usual of a loss or a norm: where it began, and where it has been lately.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::robust::Robust;
use crate::{Error, Result, State};

/// The first values say where a run began.
const START: usize = 20;
/// So many of the values before the last few say where it is.
const WINDOW: usize = 60;
/// A value is among them when it is so many steps old: a loss that rises step by step does not take its bound along.
const FRESH: usize = 20;
/// With fewer values than this the largest counts.
const FEW: usize = 10;
/// How far above the largest of a few.
const FEW_TIMES: f64 = 10.0;
/// How far above the others values below 0 may be, which have no ratio: so many times what lies between nine tenths and
/// one tenth of them.
const SPREADS: f64 = 10.0;
const HIGH: f64 = 90.0;
const LOW: f64 = 10.0;

/// How far above what is usual is far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Far {
    /// Times nine tenths of the last values.
    pub(super) usual: f64,
    /// Times the median of the first values.
    pub(super) start: f64,
}

/// What is remembered of a value that is told at every step: finite values only, all memory asked for at once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Usual {
    start: Robust,
    fresh: VecDeque<f64>,
    settled: Robust,
}

impl Default for Usual {
    fn default() -> Self {
        Self {
            start: Robust::new(START),
            fresh: VecDeque::with_capacity(FRESH + 1),
            settled: Robust::new(WINDOW),
        }
    }
}

impl Usual {
    /// Above which a value is far above what is usual; nothing as long as that is not known.
    pub(super) fn bound(&self, far: Far) -> Option<f64> {
        let largest = self.settled.largest()?;
        if self.settled.len() < FEW {
            return (largest > 0.0).then_some(FEW_TIMES * largest);
        }
        let high = self.settled.percentile(HIGH)?;
        let is_below_0 = |values: &Robust| values.least().is_none_or(|least| least < 0.0);
        if is_below_0(&self.settled) || is_below_0(&self.start) {
            let spread = high - self.settled.percentile(LOW)?;
            return Some(high + SPREADS * spread);
        }
        Some((far.usual * high).max(far.start * self.start.median()?))
    }

    pub(super) fn learn(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        if self.start.len() < START {
            self.start.push(value);
        }
        if self.settled.len() < FEW {
            self.settled.push(value);
            return;
        }
        self.fresh.push_back(value);
        if self.fresh.len() > FRESH {
            self.fresh
                .pop_front()
                .into_iter()
                .for_each(|value| self.settled.push(value));
        }
    }

    pub(super) fn save(&self, state: &mut State) {
        self.start.save("start", state);
        self.settled.save("settled", state);
        let fresh: Vec<f64> = self.fresh.iter().copied().collect();
        state.put("fresh", &fresh[..]);
    }

    /// One with what was saved.
    pub(super) fn loaded(state: &State) -> Result<Self> {
        let mut loaded = Self::default();
        loaded.start = loaded.start.loaded("start", state)?;
        loaded.settled = loaded.settled.loaded("settled", state)?;
        let fresh: Vec<f64> = state.get("fresh")?;
        if fresh.len() > FRESH || fresh.iter().any(|x| !x.is_finite()) {
            return Err(Error::State {
                expected: alloc::format!("at most {FRESH} finite fresh values"),
                found: alloc::format!("{} numbers", fresh.len()),
            });
        }
        loaded.fresh.extend(fresh);
        Ok(loaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: Far = Far {
        usual: 2.0,
        start: 3.0,
    };

    fn after(values: impl IntoIterator<Item = f64>) -> Usual {
        let mut usual = Usual::default();
        values.into_iter().for_each(|value| usual.learn(value));
        usual
    }

    #[test]
    fn few_values_are_held_against_the_largest() {
        assert_eq!(after([]).bound(FAR), None);
        assert_eq!(after([4.0, 5.0, 1.0]).bound(FAR), Some(50.0));
        assert_eq!(after([0.0; 9]).bound(FAR), None);
        assert_eq!(after([-1.0, -2.0]).bound(FAR), None);
    }

    #[test]
    fn the_bound_is_above_the_start_and_above_what_is_usual() {
        // The median of the first 20 is 8; of the last 60 but the 20 latest, nine tenths are at most 1.
        let fallen = after([[8.0; 20].as_slice(), &[1.0; 80]].concat());
        assert_eq!(fallen.bound(FAR), Some(24.0));
        let risen = after([[8.0; 20].as_slice(), &[20.0; 80]].concat());
        assert_eq!(risen.bound(FAR), Some(40.0));
        let usual = |usual, start| Far { usual, start };
        assert_eq!(fallen.bound(usual(2.5, 0.0)), Some(2.5));
    }

    #[test]
    fn the_latest_values_do_not_move_the_bound() {
        let mut rising = after([1.0; 90]);
        for step in 0..20 {
            rising.learn(2.0_f64.powi(step));
            assert_eq!(rising.bound(FAR), Some(3.0));
        }
        (0..20).for_each(|_| rising.learn(1e6));
        assert!(rising.bound(FAR).is_some_and(|bound| bound > 3.0));
    }

    #[test]
    fn values_below_0_are_held_against_their_spread() {
        assert_eq!(
            after([-30.0, -28.0].repeat(50)).bound(FAR),
            Some(-28.0 + 10.0 * 2.0)
        );
        // A loss that begins below 0 has no ratio to its start either.
        let crossed = after([[-1.0; 20].as_slice(), &[1.0; 80]].concat());
        assert_eq!(crossed.bound(FAR), Some(1.0));
        // Nothing but zeros, and then not.
        assert_eq!(after([0.0; 100]).bound(FAR), Some(0.0));
    }

    #[test]
    fn strange_states_are_refused() {
        let mut state = State::default();
        after([1.0; 50]).save(&mut state);
        assert_eq!(Usual::loaded(&state).unwrap(), after([1.0; 50]));
        for fresh in [[1.0; 21].as_slice(), &[f64::NAN]] {
            let mut strange = State::default();
            strange.put("start", &[1.0][..]);
            strange.put("settled", &[1.0][..]);
            strange.put("fresh", fresh);
            assert!(Usual::loaded(&strange).is_err());
        }
    }
}
