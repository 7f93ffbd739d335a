//! Some sequences of a batch on their way through an LSTM.

use ndarray::{ArrayView3, ArrayViewMut2, ArrayViewMut3, Axis};

use super::Real;
use super::lengths::Lengths;
use super::linear::around;
use super::lstm::{LstmPass, LstmState};
use super::recurrence::{Arriving, Part, Projection, slice, slice_mut, step};
use crate::kernel::gates;
use crate::kernel::product::{Begin, Panels, Rows};

/// Some sequences on their way forwards.
pub(super) struct Forwards<'a, A> {
    pub(super) projection: Projection<'a, A>,
    pub(super) recurrent: &'a Panels<A>,
    pub(super) lengths: &'a Lengths,
    /// How many sequences there are, and the first of these.
    pub(super) batch: usize,
    pub(super) first: usize,
    pub(super) gates: ArrayViewMut3<'a, A>,
    pub(super) cells: ArrayViewMut3<'a, A>,
    pub(super) hidden: ArrayViewMut3<'a, A>,
}

impl<A: Real> Forwards<'_, A> {
    pub(super) fn run(mut self) {
        let units = self.hidden.dim().2;
        for (t, mut z) in self.gates.outer_iter_mut().enumerate() {
            let (before, mut h) = around(&mut self.hidden, t);
            let (c_before, mut c) = around(&mut self.cells, t);
            let z = slice_mut(&mut z);
            self.projection.step(t, z);
            let x = Rows::new(slice(&before), units);
            step(self.batch, x, self.recurrent, Begin::Kept, z, 4 * units);
            let states = slice_mut(&mut h).chunks_exact_mut(units.max(1));
            let cells = slice_mut(&mut c).chunks_exact_mut(units.max(1));
            let cells = cells.zip(slice(&c_before).chunks_exact(units.max(1)));
            for ((z, h), (c, c_before)) in
                z.chunks_exact_mut(4 * units.max(1)).zip(states).zip(cells)
            {
                let (i, z) = z.split_at_mut(units);
                let (f, z) = z.split_at_mut(units);
                let (g, o) = z.split_at_mut(units);
                gates::lstm(units, c_before, i, f, g, o, c, h);
            }
            self.lengths.zero_ended_of(self.first, t, &mut h);
            self.lengths.zero_ended_of(self.first, t, &mut c);
        }
    }
}

impl<A: Real> Part for Forwards<'_, A> {
    fn sequences(&self) -> usize {
        self.gates.dim().1
    }

    fn split(self, first: usize) -> (Self, Self) {
        let (projection, other_projection) = self.projection.split(first);
        let (gates, other_gates) = self.gates.split_at(Axis(1), first);
        let (cells, other_cells) = self.cells.split_at(Axis(1), first);
        let (hidden, other_hidden) = self.hidden.split_at(Axis(1), first);
        let other = Self {
            projection: other_projection,
            first: self.first + first,
            gates: other_gates,
            cells: other_cells,
            hidden: other_hidden,
            ..self
        };
        let these = Self {
            projection,
            gates,
            cells,
            hidden,
            ..self
        };
        (these, other)
    }
}

/// Some sequences on their way back.
pub(super) struct Backwards<'a, A> {
    gates: ArrayView3<'a, A>,
    cells: ArrayView3<'a, A>,
    given: Option<&'a LstmState<A>>,
    arriving: Arriving<'a, A>,
    recurrent: &'a Panels<A>,
    batch: usize,
    d_z: ArrayViewMut3<'a, A>,
    d_h: ArrayViewMut2<'a, A>,
    d_c: ArrayViewMut2<'a, A>,
}

impl<'a, A: Real> Backwards<'a, A> {
    /// All of them.
    pub(super) fn new(
        pass: &'a LstmPass<A>,
        outputs: Option<ArrayView3<'a, A>>,
        given: Option<&'a LstmState<A>>,
        recurrent: &'a Panels<A>,
        d_z: &'a mut ArrayViewMut3<'_, A>,
        d_state: &'a mut LstmState<A>,
    ) -> Self {
        Self {
            gates: pass.gates.view(),
            cells: pass.cells.view(),
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
            d_c: d_state.c.view_mut(),
        }
    }

    pub(super) fn arrive(&mut self, t: usize) {
        self.arriving
            .enter(t, self.given.map(|d| &d.h), &mut self.d_h);
        self.arriving
            .enter(t, self.given.map(|d| &d.c), &mut self.d_c);
        self.arriving.add(t, &mut self.d_h);
    }

    /// Through step t, of a segment that begins with step `start`.
    pub(super) fn step(&mut self, t: usize, start: usize) {
        let units = self.cells.dim().2;
        let (z, c) = (
            self.gates.index_axis(Axis(0), t),
            self.cells.index_axis(Axis(0), t + 1),
        );
        let before = self.cells.index_axis(Axis(0), t);
        let mut d_rows = self.d_z.index_axis_mut(Axis(0), t - start);
        let d_z = slice_mut(&mut d_rows);
        let d_h = slice_mut(&mut self.d_h);
        let rows = d_z
            .chunks_exact_mut(4 * units.max(1))
            .zip(slice(&z).chunks_exact(4 * units.max(1)));
        let cells = slice(&c)
            .chunks_exact(units.max(1))
            .zip(slice(&before).chunks_exact(units.max(1)));
        let d_cells = slice_mut(&mut self.d_c).chunks_exact_mut(units.max(1));
        let d_states = d_cells.zip(d_h.chunks_exact(units.max(1)));
        for (((d_z, z), (c, before)), (d_c, d_h)) in rows.zip(cells).zip(d_states) {
            let [i, f, g, o] = [0, 1, 2, 3].map(|gate| &z[gate * units..][..units]);
            let (d_i, d_z) = d_z.split_at_mut(units);
            let (d_f, d_z) = d_z.split_at_mut(units);
            let (d_g, d_o) = d_z.split_at_mut(units);
            gates::lstm_back(units, i, f, g, o, before, c, d_h, d_c, d_i, d_f, d_g, d_o);
        }
        self.arriving.zero_ended(t, &mut d_rows);
        let d_z = Rows::new(slice(&d_rows), 4 * units);
        step(self.batch, d_z, self.recurrent, Begin::Zero, d_h, units);
    }
}

impl<A: Real> Part for Backwards<'_, A> {
    fn sequences(&self) -> usize {
        self.d_h.nrows()
    }

    fn split(self, first: usize) -> (Self, Self) {
        let (gates, other_gates) = self.gates.split_at(Axis(1), first);
        let (cells, other_cells) = self.cells.split_at(Axis(1), first);
        let (d_z, other_d_z) = self.d_z.split_at(Axis(1), first);
        let (d_h, other_d_h) = self.d_h.split_at(Axis(0), first);
        let (d_c, other_d_c) = self.d_c.split_at(Axis(0), first);
        let other = Self {
            gates: other_gates,
            cells: other_cells,
            arriving: self.arriving.after(first),
            d_z: other_d_z,
            d_h: other_d_h,
            d_c: other_d_c,
            ..self
        };
        let these = Self {
            gates,
            cells,
            d_z,
            d_h,
            d_c,
            ..self
        };
        (these, other)
    }
}
