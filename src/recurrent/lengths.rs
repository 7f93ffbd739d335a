//! Sequences of different lengths in one batch: which of them have ended, and what is done with their rows.

use alloc::vec::Vec;

use ndarray::{Array3, ArrayRef2, ArrayRef3, ArrayView3, Axis};

use super::linear::make_room;
use super::rows::{copy_rows, zero_rows};
use super::{Real, Sequence};
use crate::{Result, TensorSetMut};

/// How long each sequence of a batch is, as a pass keeps it for its way back.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lengths {
    /// One for each sequence; none at all if every sequence is as long as the array.
    each: Vec<usize>,
}

impl Lengths {
    /// Becomes those of `xs`, in the memory there is.
    pub(super) fn keep<A>(&mut self, xs: &Sequence<'_, A>) {
        self.each.clear();
        if xs.is_padded() {
            self.each.extend((0..xs.xs().dim().1).map(|b| xs.length(b)));
        }
    }

    /// Whether a sequence is shorter than the array. If none is, nothing below does anything.
    pub(super) fn are_padded(&self) -> bool {
        !self.each.is_empty()
    }

    /// The sequences of which step t is padding.
    pub(super) fn ended(&self, t: usize) -> impl Iterator<Item = usize> + Clone + '_ {
        self.which(move |length| length <= t)
    }

    /// The sequences whose final state is the one after t steps: with 0 those of no steps.
    pub(super) fn ending(&self, t: usize) -> impl Iterator<Item = usize> + Clone + '_ {
        self.which(move |length| length == t)
    }

    fn which(&self, is: impl Fn(usize) -> bool + Clone) -> impl Iterator<Item = usize> + Clone {
        let each = self.each.iter().enumerate();
        each.filter(move |&(_, &length)| is(length)).map(|(b, _)| b)
    }

    /// The lengths, for a pass over the same sequences.
    pub(super) fn of<'a, A>(&'a self, xs: Sequence<'a, A>) -> Result<Sequence<'a, A>> {
        if self.are_padded() {
            xs.lengths(&self.each)
        } else {
            Ok(xs)
        }
    }

    /// Zeros in the rows `[batch, features]` of step t that are padding.
    pub(super) fn zero_ended<A: Real>(&self, t: usize, rows: &mut ArrayRef2<A>) {
        for b in self.ended(t) {
            rows.row_mut(b).fill(A::zero());
        }
    }

    /// Zeros in all of the padding of `[time, batch, features]`, whatever stood there: 0·NaN would be NaN in the sums
    /// over time and batch.
    pub(super) fn zero_padding<A: Real>(&self, xs: &mut Array3<A>) {
        if self.are_padded() {
            for (t, mut rows) in xs.outer_iter_mut().enumerate() {
                self.zero_ended(t, &mut rows);
            }
        }
    }

    /// The rows of output gradients of step t that are not padding, added to the gradient of a state.
    pub(super) fn add_running<A: Real>(
        &self,
        t: usize,
        d_outputs: &ArrayRef3<A>,
        d_state: &mut ArrayRef2<A>,
    ) {
        let d_output = d_outputs.index_axis(Axis(0), t);
        if self.are_padded() {
            let rows = self.each.iter().enumerate();
            for (b, _) in rows.filter(|&(_, &length)| t < length) {
                let mut row = d_state.row_mut(b);
                row += &d_output.row(b);
            }
        } else {
            *d_state += &*d_output;
        }
    }

    /// What came in for the final state of the sequences that end after t steps, put into the gradient of the state after
    /// them. Call it before what step t − 1 adds, and with 0 at the end.
    pub(super) fn enter_ending<A: Real>(
        &self,
        t: usize,
        given: Option<&ArrayRef2<A>>,
        d_state: &mut ArrayRef2<A>,
    ) {
        for b in self.ending(t) {
            match given {
                Some(given) => d_state.row_mut(b).assign(&given.row(b)),
                None => d_state.row_mut(b).fill(A::zero()),
            }
        }
    }

    /// Has the sequences that ended before step t keep the state they had, for states of whatever parts.
    pub(super) fn keep_ended<S: TensorSetMut>(
        &self,
        t: usize,
        before: &S,
        after: &mut S,
    ) -> Result<()> {
        match self.each.len() {
            0 => Ok(()),
            batch => copy_rows(before, after, batch, &self.ended(t)),
        }
    }

    /// [`Lengths::zero_ended`] for states of whatever parts.
    pub(super) fn zero_ended_rows<S: TensorSetMut>(&self, t: usize, set: &mut S) -> Result<()> {
        match self.each.len() {
            0 => Ok(()),
            batch => zero_rows(set, batch, &self.ended(t)),
        }
    }

    /// [`Lengths::enter_ending`] for states of whatever parts.
    pub(super) fn enter_ending_rows<S: TensorSetMut>(
        &self,
        t: usize,
        given: Option<&S>,
        d_state: &mut S,
    ) -> Result<()> {
        match (self.each.len(), given) {
            (0, _) => Ok(()),
            (batch, Some(given)) => copy_rows(given, d_state, batch, &self.ending(t)),
            (batch, None) => zero_rows(d_state, batch, &self.ending(t)),
        }
    }

    /// Each sequence from its end to its start, the padding still behind it, where it is zero. Without padding that is a
    /// view of `xs`; else it stands in `room`.
    pub(super) fn turned<'a, A: Real>(
        &self,
        mut xs: ArrayView3<'a, A>,
        room: &'a mut Option<Array3<A>>,
    ) -> Result<ArrayView3<'a, A>> {
        if !self.are_padded() {
            xs.invert_axis(Axis(0));
            return Ok(xs);
        }
        let room = room.get_or_insert_with(|| Array3::zeros((0, 0, 0)));
        make_room(room, "sequences from end to start", xs.raw_dim())?;
        for (t, mut rows) in room.outer_iter_mut().enumerate() {
            for (b, (mut row, &length)) in rows.outer_iter_mut().zip(&self.each).enumerate() {
                match length.checked_sub(t + 1) {
                    Some(t) => row.assign(&xs.index_axis(Axis(0), t).row(b)),
                    None => row.fill(A::zero()),
                }
            }
        }
        Ok(room.view())
    }

    /// The final state out of a trajectory `[1 + time, batch, features]` from the initial state on.
    pub(super) fn last_of<A: Real>(&self, states: &ArrayRef3<A>, last: &mut ArrayRef2<A>) {
        let time = states.dim().0.saturating_sub(1);
        last.assign(&states.index_axis(Axis(0), time));
        for (b, &length) in self.each.iter().enumerate() {
            let own = states.index_axis(Axis(0), length);
            last.row_mut(b).assign(&own.row(b));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    fn lengths(each: &[usize]) -> Lengths {
        let mut lengths = Lengths::default();
        let xs = Array3::<f64>::zeros((3, each.len(), 1));
        lengths.keep(&Sequence::new(xs.view()).lengths(each).unwrap());
        lengths
    }

    #[test]
    fn a_sequence_ends_after_its_own_steps() {
        let lengths = lengths(&[3, 0, 2]);
        let ended = |t| lengths.ended(t).collect::<Vec<_>>();
        assert_eq!(
            (ended(0), ended(1), ended(2)),
            (vec![1], vec![1], vec![1, 2])
        );
        let ending = |t| lengths.ending(t).collect::<Vec<_>>();
        assert_eq!(
            (ending(0), ending(2), ending(3)),
            (vec![1], vec![2], vec![0])
        );
    }

    #[test]
    fn what_the_padding_holds_is_gone() {
        let mut xs = Array3::from_elem((3, 2, 1), f64::NAN);
        lengths(&[1, 0]).zero_padding(&mut xs);
        assert!(xs[[0, 0, 0]].is_nan());
        assert_eq!(xs.iter().filter(|x| **x == 0.0).count(), 5);
    }

    #[test]
    fn each_sequence_has_its_own_last_state() {
        let states = array![
            [[0.0], [1.0]],
            [[2.0], [3.0]],
            [[4.0], [5.0]],
            [[6.0], [7.0]]
        ];
        for (each, expected) in [
            ([3, 3], array![[6.0], [7.0]]),
            ([3, 0], array![[6.0], [1.0]]),
            ([1, 2], array![[2.0], [5.0]]),
        ] {
            let mut last = Array2::zeros((2, 1));
            lengths(&each).last_of(&states, &mut last);
            assert_eq!(last, expected);
        }
    }

    #[test]
    fn gradients_come_in_at_each_end_and_not_past_it() {
        let lengths = lengths(&[3, 1]);
        let d_outputs = Array3::ones((3, 2, 1));
        let mut d_state = Array2::zeros((2, 1));
        let given = array![[10.0], [20.0]];
        lengths.enter_ending(3, Some(&given), &mut d_state);
        lengths.add_running(2, &d_outputs, &mut d_state);
        assert_eq!(d_state, array![[11.0], [0.0]]);
        lengths.enter_ending(1, Some(&given), &mut d_state);
        lengths.add_running(0, &d_outputs, &mut d_state);
        assert_eq!(d_state, array![[12.0], [21.0]]);
    }
}
