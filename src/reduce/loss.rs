//! The mean of the losses that ranks give.

use alloc::vec::Vec;

use super::mean;

/// Between which digits the losses lie.
#[derive(Clone, Copy)]
pub(super) struct Loss {
    pub(super) lowest: f64,
    pub(super) highest: f64,
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

    pub(super) fn write(self, loss: Option<f64>, to: &mut Vec<i64>) {
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
    pub(super) fn read(self, from: &mut [i64]) -> (Option<f64>, usize) {
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
