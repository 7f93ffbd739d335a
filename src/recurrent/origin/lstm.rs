//! Who made it, in an LSTM.

use alloc::vec;
use alloc::vec::Vec;

use ndarray::{Array2, Axis, Slice};

use super::back::{Cell, Element, Half, Kept, Share, Walk};
use super::find::first_row;
use super::rnn::{initial, shares};
use super::sum::{Products, Watch, of_sum};
use super::{NotFinite, Origin, Part, Way};
use crate::recurrent::lstm_parts::Backwards;
use crate::recurrent::{CellGrads, Lstm, LstmPass, LstmState, Real};

const GATES: [&str; 4] = ["i", "f", "g", "o"];

pub(in crate::recurrent) fn forward<A: Real>(cell: &Lstm<A>, pass: &LstmPass<A>) -> Option<Origin> {
    let (time, units) = (pass.xs.dim().0, cell.hidden());
    let hidden = pass.hidden();
    for t in 0..time {
        let runs = |b| pass.lengths.is_running(b, t);
        let gates = pass.gates.index_axis(Axis(0), t);
        for (gate, name) in GATES.into_iter().enumerate() {
            let columns = Slice::from(gate * units..(gate + 1) * units);
            let Some(found) = first_row(&gates.slice_axis(Axis(1), columns), runs) else {
                continue;
            };
            let (b, row) = (found.0, gate * units + found.1);
            let made = Origin::of_step(Way::Forward, Part::Gate, name, t, found);
            let [x, h] = [pass.xs.view(), hidden]
                .map(|rows| rows.index_axis_move(Axis(0), t).index_axis_move(Axis(0), b));
            let products = [
                Products::of_input("w_in", (&cell.w_in, row), x),
                Products::of_state("w_rec", (&cell.w_rec, row), h),
            ];
            return Some(of_sum(made, &products, Some(("bias", row, cell.bias[row]))));
        }
        // Gates are at most 1: it overflows by its sum, at the end of the range, or the state before was given so.
        if let Some(found) = first_row(&pass.cells.index_axis(Axis(0), t + 1), runs) {
            let (b, unit, _) = found;
            let before = pass.cells[[t, b, unit]];
            if !before.is_finite() && t == 0 {
                return Some(Origin::given(Part::InitialState, "c", t, (b, unit, before)));
            }
            let [i, f, g] = [0, 1, 2].map(|gate| gates[[b, gate * units + unit]]);
            let mut watch = Watch::default();
            let (kept, new) = (watch.mul(f, before), watch.mul(i, g));
            watch.add(kept, new);
            let made = Origin::of_step(Way::Forward, Part::State, "c", t, found);
            let cause = watch.cause(made.value);
            return Some(made.because(cause));
        }
    }
    let handed_on = |b| time == 0 || !pass.lengths.is_running(b, 0);
    let h0 = initial("h", &hidden.index_axis(Axis(0), 0), handed_on);
    h0.or_else(|| initial("c", &pass.cells.index_axis(Axis(0), 0), handed_on))
}

impl<A: Real> Cell for Lstm<A> {
    const STATE: &'static [&'static str] = &["h", "c"];
    const GATES: &'static [(Part, &'static str)] = &[
        (Part::Gate, "i"),
        (Part::Gate, "f"),
        (Part::Gate, "g"),
        (Part::Gate, "o"),
    ];

    fn kept(pass: &LstmPass<A>) -> Kept<'_, A> {
        Kept {
            xs: &pass.xs,
            hidden: pass.hidden(),
            lengths: &pass.lengths,
        }
    }

    fn parts(state: &LstmState<A>) -> Vec<&Array2<A>> {
        vec![&state.h, &state.c]
    }

    fn parts_mut(state: &mut LstmState<A>) -> Vec<&mut Array2<A>> {
        vec![&mut state.h, &mut state.c]
    }

    fn weights(&self) -> [&Array2<A>; 2] {
        [&self.w_in, &self.w_rec]
    }

    fn of_weights(grads: &CellGrads<A>) -> [&Array2<A>; 2] {
        [&grads.w_in, &grads.w_rec]
    }

    fn shares(units: usize) -> Vec<Share> {
        shares(4 * units)
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

    fn of_gate(&self, walk: &Walk<'_, Self>, element: &Element<'_, Self>, made: Origin) -> Origin {
        let &Element {
            d_state,
            t,
            b,
            gate,
            unit,
        } = element;
        let (one, units) = (A::one(), self.hidden());
        let [i, f, g, o] = [0, 1, 2, 3].map(|gate| walk.pass.gates[[t, b, gate * units + unit]]);
        let [before, c] = [t, t + 1].map(|t| walk.pass.cells[[t, b, unit]]);
        let (d_h, d_c, tanh_c) = (d_state.h[[b, unit]], d_state.c[[b, unit]], c.tanh_());

        let mut watch = Watch::default();
        let through_h = watch.product([d_h, o, one - tanh_c * tanh_c]);
        let d = watch.add(d_c, through_h);
        if !d.is_finite() {
            let cause = watch.cause(NotFinite::of(d.widen()));
            let made = Origin::of_step(Way::Backward, Part::State, "c", t, (b, unit, d));
            return made.because(cause);
        }
        match gate {
            0 => watch.product([d, g, i * (one - i)]),
            1 => watch.product([d, before, f * (one - f)]),
            2 => watch.product([d, i, one - g * g]),
            _ => watch.product([d_h, tanh_c, o * (one - o)]),
        };
        let cause = watch.cause(made.value);
        made.because(cause)
    }
}
