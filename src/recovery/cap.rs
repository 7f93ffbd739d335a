//! At most so many within so many.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::{Error, Result, State};

/// Lets something happen at most `most` times while a clock goes on by less than `within`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cap {
    pub(super) most: u32,
    pub(super) within: u64,
    /// When the last of them happened, the oldest first; never more than `most`.
    times: VecDeque<u64>,
}

impl Cap {
    pub(super) fn new(most: u32, within: u64) -> Self {
        Self {
            most,
            within,
            times: VecDeque::with_capacity(most.min(64) as usize),
        }
    }

    /// Whether it may happen now; if so, it has.
    pub(super) fn allows(&mut self, now: u64) -> bool {
        if self.times.len() >= self.most as usize {
            match self.times.front() {
                Some(first) if now.saturating_sub(*first) >= self.within => {
                    self.times.pop_front();
                }
                _ => return false,
            }
        }
        self.times.push_back(now);
        true
    }

    pub(super) fn clear(&mut self) {
        self.times.clear();
    }

    pub(super) fn save(&self, key: &'static str, state: &mut State) {
        let times: Vec<u64> = self.times.iter().copied().collect();
        state.put(key, &times[..]);
    }

    /// Those of the last, if there are more than are allowed by now.
    pub(super) fn load(&self, key: &str, state: &State) -> Result<Self> {
        let times: Vec<u64> = state.get(key)?;
        if !times.is_sorted() {
            return Err(Error::State {
                expected: alloc::format!("{key} in order"),
                found: alloc::format!("{times:?}"),
            });
        }
        let mut cap = Self::new(self.most, self.within);
        let from = times.len().saturating_sub(self.most as usize);
        cap.times.extend(&times[from..]);
        Ok(cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_ago_counts_no_more() {
        let mut cap = Cap::new(2, 10);
        let asked = [1, 5, 6, 10, 11, 14, 15, 16];
        let allowed: Vec<bool> = asked.iter().map(|&now| cap.allows(now)).collect();
        assert_eq!(
            allowed,
            [true, true, false, false, true, false, true, false]
        );
        assert!(!Cap::new(0, 1).allows(7));
        cap.clear();
        assert!(cap.allows(16) && cap.allows(16) && !cap.allows(16));
    }

    #[test]
    fn it_is_saved_and_a_smaller_one_takes_the_last() {
        let (mut cap, mut state) = (Cap::new(3, 10), State::default());
        assert!([4, 5, 6].iter().all(|&now| cap.allows(now)));
        cap.save("times", &mut state);
        assert_eq!(cap.load("times", &state).unwrap(), cap);
        let mut smaller = Cap::new(1, 10).load("times", &state).unwrap();
        assert!(!smaller.allows(15) && smaller.allows(16));
        let mut state = State::default();
        state.put("times", &[2_u64, 1][..]);
        assert!(cap.load("times", &state).is_err());
    }
}
