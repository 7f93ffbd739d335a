//! Whether a run diverged, and from which step on, told from its losses as they come.

use std::collections::VecDeque;

/// So many losses tell what is usual, and a loss above so many times their median is lost.
const FIRST: usize = 20;
const TIMES: f64 = 3.0;

/// Half of so many losses must be lost.
const ROW: usize = 50;

/// The losses of a run, as far as they are needed.
///
/// ```text
/// bound     3 times the median of the first 20 losses
/// lost      a loss above the bound, or one that is not finite
/// diverged  the last loss is not finite, or at least half of the last 50 are lost
/// onset     the first lost one, behind one that is not or not finite itself, of which at least half of the next 50
///           are lost as well
/// ```
///
/// The first losses of a net whose loss falls fast may be above the bound: there is nothing yet that could be lost.
/// Where a run has fewer losses than 20 or 50, it is as many as there are; behind a last one that is not finite no other
/// would have been. For the median what is not finite is larger than all else. Where the median is not above 0 or not
/// finite, three times it says nothing, and only what is not finite is lost.
#[derive(Debug, Default)]
pub(crate) struct Divergence {
    /// Those that make the bound, until it is there, each with its step.
    first: Vec<(f64, f64)>,
    /// Infinite where there is none.
    bound: Option<f64>,
    last: VecDeque<Judged>,
    /// Whether there was one that is not lost.
    was_low: bool,
    onset: Option<f64>,
    last_is_finite: bool,
}

/// A loss held against the bound.
#[derive(Clone, Copy, Debug)]
struct Judged {
    step: f64,
    is_lost: bool,
    may_begin: bool,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Came {
    pub(crate) diverged: bool,
    /// If it did.
    pub(crate) onset: Option<f64>,
    /// Above which a loss is lost, if there is such.
    pub(crate) bound: Option<f64>,
}

impl Divergence {
    pub(crate) fn push(&mut self, step: f64, loss: f64) {
        self.last_is_finite = loss.is_finite();
        if let Some(bound) = self.bound {
            self.judge(step, loss, bound);
        } else {
            self.first.push((step, loss));
            if self.first.len() == FIRST {
                self.begin();
            }
        }
    }

    /// Judges the first ones by themselves.
    fn begin(&mut self) {
        let first = std::mem::take(&mut self.first);
        let size = |loss: f64| if loss.is_nan() { f64::INFINITY } else { loss };
        let mut sizes: Vec<f64> = first.iter().map(|&(_, loss)| size(loss)).collect();
        sizes.sort_by(f64::total_cmp);
        let bound = match sizes.len() {
            0 => f64::INFINITY,
            n => TIMES * f64::midpoint(sizes[(n - 1) / 2], sizes[n / 2]),
        };
        let bound = if bound > 0.0 { bound } else { f64::INFINITY };
        self.bound = Some(bound);
        for (step, loss) in first {
            self.judge(step, loss, bound);
        }
    }

    fn judge(&mut self, step: f64, loss: f64, bound: f64) {
        let is_lost = !loss.is_finite() || loss > bound;
        self.last.push_back(Judged {
            step,
            is_lost,
            may_begin: !loss.is_finite() || is_lost && self.was_low,
        });
        self.was_low |= !is_lost;
        if self.last.len() > ROW {
            self.pass(0);
        }
    }

    /// Lets the oldest go, behind which stands all that will tell whether it is the onset: the rest of the row, and
    /// so many more that are lost as well.
    fn pass(&mut self, more: usize) {
        let Some(loss) = self.last.pop_front() else {
            return;
        };
        if loss.may_begin && self.onset.is_none() && self.half_are_lost(more) {
            self.onset = Some(loss.step);
        }
    }

    fn half_are_lost(&self, more: usize) -> bool {
        let lost = self.last.iter().filter(|loss| loss.is_lost).count();
        2 * (lost + more) >= self.last.len() + more
    }

    /// Nothing if there was no loss.
    pub(crate) fn end(mut self) -> Option<Came> {
        if self.bound.is_none() {
            self.begin();
        }
        let bound = self.bound.filter(|bound| bound.is_finite());
        if self.last.is_empty() {
            return None;
        }
        let diverged = !self.last_is_finite || self.half_are_lost(0);
        while !self.last.is_empty() {
            let missing = ROW + 1 - self.last.len();
            self.pass(if self.last_is_finite { 0 } else { missing });
        }
        let onset = self.onset.filter(|_| diverged);
        Some(Came {
            diverged,
            onset,
            bound,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came(losses: &[f64]) -> Option<Came> {
        let mut divergence = Divergence::default();
        for (step, &loss) in losses.iter().enumerate() {
            divergence.push(step as f64, loss);
            assert!(divergence.last.len() <= ROW && divergence.first.len() < FIRST);
        }
        divergence.end()
    }

    fn onset(losses: &[f64]) -> Option<f64> {
        let came = came(losses).unwrap();
        assert_eq!(came.diverged, came.onset.is_some());
        came.onset
    }

    /// The definition, word by word, over the whole run.
    fn by_definition(losses: &[f64]) -> Came {
        let mut first = losses[..losses.len().min(20)].to_vec();
        first
            .iter_mut()
            .filter(|x| x.is_nan())
            .for_each(|x| *x = f64::INFINITY);
        first.sort_by(f64::total_cmp);
        let n = first.len();
        let median = f64::midpoint(first[(n - 1) / 2], first[n / 2]);
        let bound = Some(3.0 * median).filter(|bound| *bound > 0.0 && bound.is_finite());
        let is_lost = |x: &f64| !x.is_finite() || bound.is_some_and(|bound| *x > bound);
        let mut lost: Vec<bool> = losses.iter().map(is_lost).collect();
        let half = |lost: &[bool]| 2 * lost.iter().filter(|&&lost| lost).count() >= lost.len();
        let len = losses.len();
        let ends_finite = losses[len - 1].is_finite();
        let diverged = !ends_finite || half(&lost[len.saturating_sub(50)..]);
        if !ends_finite {
            lost.extend([true; 50]);
        }
        let low = lost.iter().position(|lost| !lost).unwrap_or(len);
        let begins = |i: usize| lost[i] && i > low || i < len && !losses[i].is_finite();
        let is_onset = |&i: &usize| begins(i) && half(&lost[i + 1..lost.len().min(i + 51)]);
        let onset = (0..len).find(is_onset).filter(|_| diverged);
        let onset = onset.map(|i| i as f64);
        Came {
            diverged,
            onset,
            bound,
        }
    }

    #[test]
    fn as_it_is_defined() {
        // A linear congruential generator; every run is of another kind.
        let mut seed = 1_u64;
        let mut uniform = || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut diverged = 0;
        for run in 0..3000 {
            let (len, share, from) = (1 + (uniform() * 200.0) as usize, uniform(), uniform());
            let losses: Vec<f64> = (0..len)
                .map(|i| {
                    let late = i as f64 >= from * len as f64;
                    match uniform() {
                        x if x < 0.02 && run % 3 == 0 => f64::NAN,
                        x if late && x < share => 4.0 + uniform(),
                        _ => uniform() - if run % 7 == 0 { 0.6 } else { 0.0 },
                    }
                })
                .collect();
            let expected = by_definition(&losses);
            assert_eq!(came(&losses), Some(expected), "{losses:?}");
            diverged += usize::from(expected.diverged);
        }
        assert!((500..2500).contains(&diverged), "{diverged}");
    }

    #[test]
    fn a_spike_is_no_divergence_and_a_shift_is() {
        let mut losses = vec![1.0; 300];
        losses[100..120].fill(10.0);
        assert_eq!(onset(&losses), None);
        losses[200..].fill(3.5);
        assert_eq!(onset(&losses), Some(200.0));
        losses[200..].fill(3.0);
        assert_eq!(onset(&losses), None);
    }

    #[test]
    fn one_that_is_not_finite_at_the_end_is_enough() {
        let mut losses = vec![1.0; 300];
        losses[150] = f64::NAN;
        assert_eq!(onset(&losses), None);
        losses[299] = f64::INFINITY;
        assert_eq!(onset(&losses), Some(299.0));
        losses[296..].fill(50.0);
        losses.push(f64::NAN);
        assert_eq!(onset(&losses), Some(296.0));
    }

    #[test]
    fn the_first_losses_of_a_fall_are_not_where_it_began() {
        let mut losses = [[9.0; 3].as_slice(), &[1.0; 17], &[9.0; 10]].concat();
        losses.push(f64::NAN);
        assert_eq!(onset(&losses), Some(20.0));
    }

    #[test]
    fn short_runs_and_runs_that_are_lost_from_the_start() {
        assert_eq!(came(&[]), None);
        assert_eq!(onset(&[1.0]), None);
        assert_eq!(onset(&[f64::NAN; 3]), Some(0.0));
        assert_eq!(onset(&[1.0, 1.0, 1.0, 9.0, 9.0, 9.0, 9.0]), None); // of which the median is 9
        assert_eq!(onset(&[1.0, 1.0, 1.0, 1.0, 9.0, 9.0, f64::NAN]), Some(4.0));
    }

    #[test]
    fn three_times_a_median_below_0_is_no_bound() {
        let came = came(&[-1.0; 100]).unwrap();
        assert_eq!((came.diverged, came.bound), (false, None));
    }
}
