//! Sequences of different lengths in one batch: which of them have ended, and what is done with their rows.

use alloc::vec::Vec;

use ndarray::{Array2, Array3, ArrayRef2, ArrayRef3, ArrayView3, Axis};

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
        self.zero_ended_of(0, t, rows);
    }

    /// The same for a part of the batch, from sequence `first` on.
    pub(super) fn zero_ended_of<A: Real>(&self, first: usize, t: usize, rows: &mut ArrayRef2<A>) {
        for b in self.ended(t) {
            if let Some(row) = b.checked_sub(first)
                && row < rows.nrows()
            {
                rows.row_mut(row).fill(A::zero());
            }
        }
    }

    /// Zeros in the rows of all sequences that are shorter than so many steps.
    pub(super) fn zero_shorter<A: Real>(&self, time: usize, rows: &mut ArrayRef2<A>) {
        if let Some(last) = time.checked_sub(1) {
            self.zero_ended(last, rows);
        }
    }

    /// What came in for the final state of sequences of no steps, which is their initial one.
    pub(super) fn enter_empty<A: Real>(&self, given: Option<&Array2<A>>, d: &mut ArrayRef2<A>) {
        for b in self.ending(0) {
            match given {
                Some(given) => d.row_mut(b).assign(&given.row(b)),
                None => d.row_mut(b).fill(A::zero()),
            }
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

    /// What came in for the final state of the sequences that end after t steps, put into the gradient of the state after
    /// them, for states of whatever parts. With 0 at the end: of sequences of no steps.
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

    /// How many steps sequence b has, of arrays of so many.
    pub(super) fn length(&self, b: usize, time: usize) -> usize {
        self.each.get(b).map_or(time, |&length| length)
    }

    /// Whether step t is none of padding to sequence b.
    pub(super) fn is_running(&self, b: usize, t: usize) -> bool {
        self.each.get(b).is_none_or(|&length| t < length)
    }

    /// The final state out of a trajectory `[1 + time, batch, features]` from the initial state on.
    pub(super) fn last<A: Real>(&self, states: &ArrayRef3<A>) -> Array2<A> {
        let (_, batch, features) = states.dim();
        let mut last = Array2::zeros((batch, features));
        self.last_into(states, &mut last);
        last
    }

    /// The same into memory that is there; of another shape it becomes another.
    pub(super) fn last_into<A: Real>(&self, states: &ArrayRef3<A>, last: &mut Array2<A>) {
        let time = states.dim().0.saturating_sub(1);
        let end = states.index_axis(Axis(0), time);
        if last.dim() == end.dim() {
            last.assign(&end);
        } else {
            *last = end.to_owned();
        }
        for (b, &length) in self.each.iter().enumerate() {
            let own = states.index_axis(Axis(0), length);
            last.row_mut(b).assign(&own.row(b));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

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
            assert_eq!(lengths(&each).last(&states), expected);
        }
    }
}
