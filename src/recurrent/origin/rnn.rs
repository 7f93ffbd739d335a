//! Who made it, in a vanilla cell.

use alloc::vec;
use alloc::vec::Vec;

use ndarray::{Array2, Axis};

use super::back::{Beside, Cell, Element, Half, Kept, Share, Walk};
use super::find::first_row;
use super::sum::{Products, of_sum};
use super::{Origin, Part, Way};
use crate::recurrent::rnn_parts::Backwards;
use crate::recurrent::{CellGrads, Real, Rnn, RnnPass, RnnState};

pub(in crate::recurrent) fn forward<A: Real>(cell: &Rnn<A>, pass: &RnnPass<A>) -> Option<Origin> {
    let time = pass.xs.dim().0;
    for t in 0..time {
        let [before, after] = [t, t + 1].map(|t| pass.hidden.index_axis(Axis(0), t));
        if let Some(found) = first_row(&after, |b| pass.lengths.is_running(b, t)) {
            let (b, unit, _) = found;
            let made = Origin::of_step(Way::Forward, Part::State, "h", t, found);
            let x = pass.xs.index_axis(Axis(0), t);
            let products = [
                Products::of_input("w_in", (&cell.w_in, unit), x.index_axis_move(Axis(0), b)),
                Products::of_state(
                    "w_rec",
                    (&cell.w_rec, unit),
                    before.index_axis_move(Axis(0), b),
                ),
            ];
            return Some(of_sum(
                made,
                &products,
                Some(("bias", unit, cell.bias[unit])),
            ));
        }
    }
    initial("h", &pass.hidden.index_axis(Axis(0), 0), |b| {
        time == 0 || !pass.lengths.is_running(b, 0)
    })
}

/// An initial state that is handed on as it is, by sequences of no steps.
pub(super) fn initial<A: Real>(
    name: &'static str,
    s0: &ndarray::ArrayRef2<A>,
    is_handed_on: impl Fn(usize) -> bool,
) -> Option<Origin> {
    let found = first_row(s0, is_handed_on)?;
    Some(Origin::given(Part::InitialState, name, 0, found))
}

impl<A: Real> Cell for Rnn<A> {
    const STATE: &'static [&'static str] = &["h"];
    const GATES: &'static [(Part, &'static str)] = &[(Part::Inner, "z")];

    fn kept(pass: &RnnPass<A>) -> Kept<'_, A> {
        Kept {
            xs: &pass.xs,
            hidden: pass.hidden.view(),
            lengths: &pass.lengths,
        }
    }

    fn parts(state: &RnnState<A>) -> Vec<&Array2<A>> {
        vec![&state.h]
    }

    fn parts_mut(state: &mut RnnState<A>) -> Vec<&mut Array2<A>> {
        vec![&mut state.h]
    }

    fn weights(&self) -> [&Array2<A>; 2] {
        [&self.w_in, &self.w_rec]
    }

    fn of_weights(grads: &CellGrads<A>) -> [&Array2<A>; 2] {
        [&grads.w_in, &grads.w_rec]
    }

    fn shares(units: usize) -> Vec<Share> {
        shares(units)
    }

    fn go(&self, walk: &mut Walk<'_, Self>, t: usize, half: Half) {
        let mut d_z = walk.d_z.view_mut();
        let recurrent = &walk.weights.recurrent;
        let (outputs, given) = (walk.d.outputs, walk.d.final_state);
        let mut back = Backwards::new(
            walk.pass,
            outputs,
            given,
            recurrent,
            &mut d_z,
            &mut walk.d_state,
        );
        match half {
            Half::Arrive => back.arrive(t),
            Half::Step => back.step(t, 0),
        }
    }

    /// No slope is above 1, so nothing overflows here.
    fn of_gate(&self, _: &Walk<'_, Self>, _: &Element<'_, Self>, made: Origin) -> Origin {
        made
    }
}

/// Of a cell whose columns of dL/dz are the rows of its parameters.
pub(super) fn shares(columns: usize) -> Vec<Share> {
    vec![
        ("w_in", Beside::Inputs, vec![(0..columns, 0)]),
        ("w_rec", Beside::States, vec![(0..columns, 0)]),
        ("bias", Beside::Nothing, vec![(0..columns, 0)]),
    ]
}
