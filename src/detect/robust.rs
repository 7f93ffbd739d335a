//! The middle of the last values, and how far they lie from it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use crate::{Error, Result, State};

/// How many values may be kept: a new one is sorted in, which takes time in proportion.
const LONGEST: usize = 10_000;

/// The last finite values, of which medians and percentiles are exact. It asks for all memory when it is made.
#[derive(Clone, PartialEq)]
pub(crate) struct Robust {
    window: usize,
    /// In the order in which they came.
    values: VecDeque<f64>,
    /// In the order of their sizes.
    sorted: Vec<f64>,
}

impl Robust {
    /// Of the last `window` values; `what` is what an error calls it.
    pub(crate) fn checked(what: &'static str, window: usize) -> Result<Self> {
        if (1..=LONGEST).contains(&window) {
            Ok(Self::new(window))
        } else {
            Err(Error::Setting {
                what,
                expected: "at least 1 and at most 10000",
                found: window as f64,
            })
        }
    }

    /// The same for a window that is known to be one.
    pub(crate) fn new(window: usize) -> Self {
        Self {
            window,
            values: VecDeque::with_capacity(window),
            sorted: Vec::with_capacity(window),
        }
    }

    /// How many values it holds at most.
    pub(crate) fn window(&self) -> usize {
        self.window
    }

    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Takes in a value, and lets go of the oldest one if there are too many. What is not finite it does not take.
    pub(crate) fn push(&mut self, x: f64) {
        if !x.is_finite() {
            return;
        }
        let new = self.place(x);
        if self.sorted.len() < self.window {
            self.sorted.insert(new, x);
        } else if let Some(oldest) = self.values.pop_front() {
            let old = self.place(oldest);
            if old < new {
                self.sorted.copy_within(old + 1..new, old);
                self.sorted[new - 1] = x;
            } else {
                self.sorted.copy_within(new..old, new + 1);
                self.sorted[new] = x;
            }
        }
        self.values.push_back(x);
    }

    /// How many values come before `x`, in an order in which even zeros of two signs have their places.
    fn place(&self, x: f64) -> usize {
        self.sorted.partition_point(|y| y.total_cmp(&x).is_lt())
    }

    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.sorted.clear();
    }

    pub(crate) fn least(&self) -> Option<f64> {
        self.sorted.first().copied()
    }

    pub(crate) fn largest(&self) -> Option<f64> {
        self.sorted.last().copied()
    }

    /// The middle value, or the mean of the two in the middle.
    pub(crate) fn median(&self) -> Option<f64> {
        self.percentile(50.0)
    }

    /// The value below which `p` of a hundred lie, between two of them in proportion; `p` is 0 to 100.
    pub(crate) fn percentile(&self, p: f64) -> Option<f64> {
        let last = self.sorted.len().checked_sub(1)?;
        let rank = (p / 100.0).clamp(0.0, 1.0) * last as f64;
        let below = rank as usize;
        let (a, b) = (self.sorted[below], self.sorted[last.min(below + 1)]);
        let part = rank - below as f64;
        // Neither a difference that overflows, nor a mean of two equal numbers that is not the number.
        let between = a * (1.0 - part) + b * part;
        Some(if part == 0.0 || a == b { a } else { between })
    }

    /// The median of |f(x) − f(median)|, for a function that rises: as it is, or the logarithm of what is above 0.
    pub(crate) fn deviation(&self, f: impl Fn(f64) -> f64) -> Option<f64> {
        let median = self.median()?;
        let centre = f(median);
        let middle = self.sorted.partition_point(|&x| x < median);
        // On both sides of the centre the deviations grow outwards: two sorted rows, of which the middle is sought.
        let (below, above) = self.sorted.split_at(middle);
        let down = |i: usize| below.len().checked_sub(i + 1).map(|i| centre - f(below[i]));
        let up = |i: usize| above.get(i).map(|&x| f(x) - centre);
        let rank = (self.sorted.len() - 1) / 2;
        // How many of the `rank` smallest lie below.
        let (mut least, mut most) = (rank.saturating_sub(above.len()), rank.min(below.len()));
        while least < most {
            let i = least.midpoint(most);
            if down(i) <= up(rank - 1 - i) {
                least = i + 1;
            } else {
                most = i;
            }
        }
        let (mut i, mut j) = (least, rank - least);
        let mut next = || match (down(i), up(j)) {
            (Some(below), above) if above.is_none_or(|above| below <= above) => {
                i += 1;
                Some(below)
            }
            (_, above) => {
                j += 1;
                above
            }
        };
        let middle = next()?;
        Some(if self.sorted.len().is_multiple_of(2) {
            f64::midpoint(middle, next()?)
        } else {
            middle
        })
    }

    pub(crate) fn save(&self, key: &'static str, state: &mut State) {
        let values: Vec<f64> = self.values.iter().copied().collect();
        state.put(key, &values[..]);
    }

    /// One of the same window with what was saved.
    pub(crate) fn loaded(&self, key: &str, state: &State) -> Result<Self> {
        let values: Vec<f64> = state.get(key)?;
        let mut loaded = Self::new(self.window);
        if values.len() <= self.window && values.iter().all(|x| x.is_finite()) {
            values.iter().for_each(|&x| loaded.push(x));
            return Ok(loaded);
        }
        let most = self.window;
        Err(Error::State {
            expected: alloc::format!("at most {most} finite {key}"),
            found: alloc::format!("{} numbers", values.len()),
        })
    }
}

/// How many there are and where they lie, not each of them.
impl fmt::Debug for Robust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Robust")
            .field("window", &self.window)
            .field("len", &self.len())
            .field("median", &self.median())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math;
    use alloc::vec;

    /// By sorting all anew.
    fn slow_median(mut xs: Vec<f64>) -> f64 {
        xs.sort_by(f64::total_cmp);
        let n = xs.len();
        f64::midpoint(xs[(n - 1) / 2], xs[n / 2])
    }

    fn slow_deviation(xs: &[f64], f: impl Fn(f64) -> f64) -> f64 {
        let centre = f(slow_median(xs.to_vec()));
        slow_median(xs.iter().map(|&x| (f(x) - centre).abs()).collect())
    }

    /// Numbers with ties among them, of both signs.
    fn numbers(n: u64) -> Vec<f64> {
        let mut x = 1_u64;
        let mut next = || {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((x >> 33) % 97) as f64 / 8.0 - 5.0
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn medians_and_deviations_are_those_of_the_window() {
        for window in [1, 2, 3, 7, 10, 64] {
            let (mut robust, xs) = (Robust::new(window), numbers(300));
            for i in 0..xs.len() {
                robust.push(xs[i]);
                let last = &xs[(i + 1).saturating_sub(window)..=i];
                assert_eq!(robust.median(), Some(slow_median(last.to_vec())));
                assert_eq!(
                    robust.deviation(|x| x),
                    Some(slow_deviation(last, |x| x)),
                    "{last:?}"
                );
                let exp = |x: f64| math::exp2(x);
                assert_eq!(robust.deviation(exp), Some(slow_deviation(last, exp)));
                assert!(robust.sorted.is_sorted() && robust.len() == last.len());
                let in_order = |a: f64, b: f64| a.total_cmp(&b);
                assert_eq!(
                    robust.least(),
                    last.iter().copied().min_by(|a, b| in_order(*a, *b))
                );
                assert_eq!(
                    robust.largest(),
                    last.iter().copied().max_by(|a, b| in_order(*a, *b))
                );
            }
        }
    }

    #[test]
    fn percentiles_lie_between_values_in_proportion() {
        let mut robust = Robust::new(5);
        assert_eq!(
            (robust.percentile(50.0), robust.deviation(|x| x)),
            (None, None)
        );
        let mut seen = vec![];
        for x in [1.0, 2.0, 3.0, 4.0, 100.0] {
            robust.push(x);
            seen.extend(robust.percentile(50.0));
        }
        assert_eq!(seen, [1.0, 1.5, 2.0, 2.5, 3.0]);
        let at = |p| robust.percentile(p);
        assert_eq!(
            [at(0.0), at(75.0), at(87.5), at(100.0)],
            [Some(1.0), Some(4.0), Some(52.0), Some(100.0)]
        );
    }

    #[test]
    fn it_takes_what_is_finite_and_nothing_overflows() {
        let mut robust = Robust::new(3);
        for x in [f64::NAN, f64::MAX, f64::INFINITY, -f64::MAX, -0.0, 0.0] {
            robust.push(x);
        }
        assert_eq!((robust.len(), robust.median()), (3, Some(-0.0)));
        assert!(robust.median().is_some_and(f64::is_sign_negative));
        let mut two = Robust::new(2);
        two.push(f64::MAX);
        two.push(f64::MAX);
        assert_eq!(two.median(), Some(f64::MAX));
        two.push(-f64::MAX);
        assert_eq!(two.median(), Some(0.0));
    }

    #[test]
    fn a_saved_window_goes_on_as_it_was() {
        let (mut robust, xs) = (Robust::new(9), numbers(60));
        for &x in &xs[..30] {
            robust.push(x);
        }
        let mut state = State::default();
        robust.save("losses", &mut state);
        let mut again = Robust::new(9).loaded("losses", &state).unwrap();
        assert_eq!(again, robust);
        for &x in &xs[30..] {
            robust.push(x);
            again.push(x);
            assert_eq!(again, robust);
        }
        assert!(Robust::new(8).loaded("losses", &state).is_err());
        assert!(Robust::new(9).loaded("norms", &state).is_err());
        let mut strange = State::default();
        strange.put("losses", &[1.0, f64::NAN][..]);
        assert!(Robust::new(9).loaded("losses", &strange).is_err());
    }
}
