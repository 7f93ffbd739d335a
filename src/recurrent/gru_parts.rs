//! Some sequences of a batch on their way through a gated recurrent unit.

use ndarray::{ArrayView3, ArrayViewMut2, ArrayViewMut3, Axis};

use super::gru::GruPass;
use super::lengths::Lengths;
use super::linear::around;
use super::recurrence::{Arriving, Part, Projection, slice, slice_mut, step};
use super::{Real, RnnState};
use crate::kernel::gates;
use crate::kernel::product::{Begin, Panels, Rows};

/// Some sequences on their way forwards.
pub(super) struct Forwards<'a, A> {
    pub(super) projection: Projection<'a, A>,
    pub(super) recurrent: &'a Panels<A>,
    pub(super) bias_rec: &'a [A],
    pub(super) lengths: &'a Lengths,
    /// How many sequences there are, and the first of these.
    pub(super) batch: usize,
    pub(super) first: usize,
    pub(super) gates: ArrayViewMut3<'a, A>,
    pub(super) hidden: ArrayViewMut3<'a, A>,
}

impl<A: Real> Forwards<'_, A> {
    pub(super) fn run(mut self) {
        let units = self.hidden.dim().2;
        for (t, mut gates) in self.gates.outer_iter_mut().enumerate() {
            let (before, mut h) = around(&mut self.hidden, t);
            let (before, gates) = (slice(&before), slice_mut(&mut gates));
            self.projection.step(t, gates);
            for gates in gates.chunks_exact_mut(4 * units.max(1)) {
                gates[..units].copy_from_slice(self.bias_rec);
            }
            let x = Rows::new(before, units);
            step(self.batch, x, self.recurrent, Begin::Kept, gates, 4 * units);
            let states = slice_mut(&mut h).chunks_exact_mut(units.max(1));
            let states = states.zip(before.chunks_exact(units.max(1)));
            for (gates, (h, before)) in gates.chunks_exact_mut(4 * units.max(1)).zip(states) {
                let (q, gates) = gates.split_at_mut(units);
                let (r, gates) = gates.split_at_mut(units);
                let (z, n) = gates.split_at_mut(units);
                gates::gru(units, q, before, n, r, z, h);
            }
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
        let (gates, other_gates) = self.gates.split_at(Axis(1), first);
        let (hidden, other_hidden) = self.hidden.split_at(Axis(1), first);
        let other = Self {
            projection: other_projection,
            first: self.first + first,
            gates: other_gates,
            hidden: other_hidden,
            ..self
        };
        let these = Self {
            projection,
            gates,
            hidden,
            ..self
        };
        (these, other)
    }
}

/// Some sequences on their way back.
pub(super) struct Backwards<'a, A> {
    gates: ArrayView3<'a, A>,
    hidden: ArrayView3<'a, A>,
    given: Option<&'a RnnState<A>>,
    arriving: Arriving<'a, A>,
    recurrent: &'a Panels<A>,
    batch: usize,
    d_z: ArrayViewMut3<'a, A>,
    d_h: ArrayViewMut2<'a, A>,
}

impl<'a, A: Real> Backwards<'a, A> {
    /// All of them.
    pub(super) fn new(
        pass: &'a GruPass<A>,
        outputs: Option<ArrayView3<'a, A>>,
        given: Option<&'a RnnState<A>>,
        recurrent: &'a Panels<A>,
        d_z: &'a mut ArrayViewMut3<'_, A>,
        d_state: &'a mut RnnState<A>,
    ) -> Self {
        Self {
            gates: pass.gates.view(),
            hidden: pass.hidden.view(),
            given,
            arriving: Arriving {
                lengths: &pass.lengths,
                outputs,
                first: 0,
            },
            recurrent,
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
        let (gates, before) = (
            self.gates.index_axis(Axis(0), t),
            self.hidden.index_axis(Axis(0), t),
        );
        let mut d_rows = self.d_z.index_axis_mut(Axis(0), t - start);
        let (d_z, d_h) = (slice_mut(&mut d_rows), slice_mut(&mut self.d_h));
        let rows = d_z.chunks_exact_mut(4 * units.max(1));
        let rows = rows.zip(slice(&gates).chunks_exact(4 * units.max(1)));
        let states = d_h.chunks_exact_mut(units.max(1));
        let states = states.zip(slice(&before).chunks_exact(units.max(1)));
        for ((d_z, gates), (d_h, before)) in rows.zip(states) {
            let [q, r, z, n] = [0, 1, 2, 3].map(|gate| &gates[gate * units..][..units]);
            let (d_q, d_z) = d_z.split_at_mut(units);
            let (d_r, d_z) = d_z.split_at_mut(units);
            let (d_z, d_n) = d_z.split_at_mut(units);
            gates::gru_back(units, n, r, z, q, before, d_h, d_n, d_r, d_z, d_q);
        }
        self.arriving.zero_ended(t, &mut d_rows);
        let d_z = Rows::new(slice(&d_rows), 4 * units);
        step(self.batch, d_z, self.recurrent, Begin::Kept, d_h, units);
    }
}

impl<A: Real> Part for Backwards<'_, A> {
    fn sequences(&self) -> usize {
        self.d_h.nrows()
    }

    fn split(self, first: usize) -> (Self, Self) {
        let (gates, other_gates) = self.gates.split_at(Axis(1), first);
        let (hidden, other_hidden) = self.hidden.split_at(Axis(1), first);
        let (d_z, other_d_z) = self.d_z.split_at(Axis(1), first);
        let (d_h, other_d_h) = self.d_h.split_at(Axis(0), first);
        let other = Self {
            gates: other_gates,
            hidden: other_hidden,
            arriving: self.arriving.after(first),
            d_z: other_d_z,
            d_h: other_d_h,
            ..self
        };
        let these = Self {
            gates,
            hidden,
            d_z,
            d_h,
            ..self
        };
        (these, other)
    }
}
