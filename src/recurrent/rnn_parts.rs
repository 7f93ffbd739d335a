//! Some sequences of a batch on their way through a vanilla cell.

use ndarray::{ArrayView3, ArrayViewMut2, ArrayViewMut3, Axis};

use super::lengths::Lengths;
use super::linear::around;
use super::recurrence::{Arriving, Part, Projection, slice, slice_mut, step};
use super::rnn::{RnnPass, RnnState};
use super::{Activation, Real};
use crate::kernel::product::{Begin, Panels, Rows};

/// Some sequences on their way forwards.
pub(super) struct Forwards<'a, A> {
    pub(super) projection: Projection<'a, A>,
    pub(super) recurrent: &'a Panels<A>,
    pub(super) activation: Activation,
    pub(super) lengths: &'a Lengths,
    /// How many sequences there are, and the first of these.
    pub(super) batch: usize,
    pub(super) first: usize,
    pub(super) hidden: ArrayViewMut3<'a, A>,
}

impl<A: Real> Forwards<'_, A> {
    pub(super) fn run(mut self) {
        let (times, _, units) = self.hidden.dim();
        for t in 0..times - 1 {
            let (before, mut h) = around(&mut self.hidden, t);
            let rows = slice_mut(&mut h);
            self.projection.step(t, rows);
            let x = Rows::new(slice(&before), units);
            step(self.batch, x, self.recurrent, Begin::Kept, rows, units);
            self.activation.apply_slice(rows);
            self.lengths.zero_ended_of(self.first, t, &mut h);
        }
    }
}

impl<A: Real> Part for Forwards<'_, A> {
    fn sequences(&self) -> usize {
        self.hidden.dim().1
    }

    fn split(self, first: usize) -> (Self, Self) {
        let (projection, other_projection) = self.projection.split(first);
        let (hidden, other_hidden) = self.hidden.split_at(Axis(1), first);
        let other = Self {
            projection: other_projection,
            first: self.first + first,
            hidden: other_hidden,
            ..self
        };
        let these = Self {
            projection,
            hidden,
            ..self
        };
        (these, other)
    }
}

/// Some sequences on their way back.
pub(super) struct Backwards<'a, A> {
    hidden: ArrayView3<'a, A>,
    given: Option<&'a RnnState<A>>,
    arriving: Arriving<'a, A>,
    recurrent: &'a Panels<A>,
    activation: Activation,
    batch: usize,
    d_z: ArrayViewMut3<'a, A>,
    d_h: ArrayViewMut2<'a, A>,
}

impl<'a, A: Real> Backwards<'a, A> {
    /// All of them.
    pub(super) fn new(
        pass: &'a RnnPass<A>,
        outputs: Option<ArrayView3<'a, A>>,
        given: Option<&'a RnnState<A>>,
        recurrent: &'a Panels<A>,
        d_z: &'a mut ArrayViewMut3<'_, A>,
        d_state: &'a mut RnnState<A>,
    ) -> Self {
        Self {
            hidden: pass.hidden.view(),
            given,
            arriving: Arriving {
                lengths: &pass.lengths,
                outputs,
                first: 0,
            },
            recurrent,
            activation: pass.activation,
            batch: pass.xs.dim().1,
            d_z: d_z.view_mut(),
            d_h: d_state.h.view_mut(),
        }
    }

    pub(super) fn arrive(&mut self, t: usize) {
        self.arriving
            .enter(t, self.given.map(|d| &d.h), &mut self.d_h);
        self.arriving.add(t, &mut self.d_h);
    }

    /// Through step t, of a segment that begins with step `start`.
    pub(super) fn step(&mut self, t: usize, start: usize) {
        let units = self.hidden.dim().2;
        let h = self.hidden.index_axis(Axis(0), t + 1);
        let mut d_rows = self.d_z.index_axis_mut(Axis(0), t - start);
        let (d_z, d_h) = (slice_mut(&mut d_rows), slice_mut(&mut self.d_h));
        self.activation.pull_back(slice(&h), d_h, d_z);
        self.arriving.zero_ended(t, &mut d_rows);
        let d_z = Rows::new(slice(&d_rows), units);
        step(self.batch, d_z, self.recurrent, Begin::Zero, d_h, units);
    }
}

impl<A: Real> Part for Backwards<'_, A> {
    fn sequences(&self) -> usize {
        self.d_h.nrows()
    }

    fn split(self, first: usize) -> (Self, Self) {
        let (hidden, other_hidden) = self.hidden.split_at(Axis(1), first);
        let (d_z, other_d_z) = self.d_z.split_at(Axis(1), first);
        let (d_h, other_d_h) = self.d_h.split_at(Axis(0), first);
        let other = Self {
            hidden: other_hidden,
            arriving: self.arriving.after(first),
            d_z: other_d_z,
            d_h: other_d_h,
            ..self
        };
        let these = Self {
            hidden,
            d_z,
            d_h,
            ..self
        };
        (these, other)
    }
}
