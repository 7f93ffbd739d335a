//! Who made it, in a gated recurrent unit.

use alloc::vec;
use alloc::vec::Vec;

use ndarray::{Array2, Axis, Slice};

use super::back::{Beside, Cell, Element, Half, Kept, Share, Walk};
use super::find::first_row;
use super::rnn::initial;
use super::sum::{Products, Watch, of_sum};
use super::{Cause, Origin, Part, Way};
use crate::recurrent::gru_parts::Backwards;
use crate::recurrent::{Gru, GruGrads, GruPass, Real, RnnState};

/// Gates as a pass keeps them, beginning with q, and the row of parameters with which the block of each begins.
const GATES: [(&str, usize); 3] = [("r", 0), ("z", 1), ("n", 2)];

pub(in crate::recurrent) fn forward<A: Real>(cell: &Gru<A>, pass: &GruPass<A>) -> Option<Origin> {
    let (time, units) = (pass.xs.dim().0, cell.hidden());
    for t in 0..time {
        let runs = |b| pass.lengths.is_running(b, t);
        let gates = pass.gates.index_axis(Axis(0), t);
        for (name, block) in GATES {
            let columns = Slice::from((block + 1) * units..(block + 2) * units);
            if let Some(found) = first_row(&gates.slice_axis(Axis(1), columns), runs) {
                let made = Origin::of_step(Way::Forward, Part::Gate, name, t, found);
                return Some(of_gate(cell, pass, made, block, found.1));
            }
        }
        if let Some(found) = first_row(&pass.hidden.index_axis(Axis(0), t + 1), runs) {
            let (b, unit, _) = found;
            let before = pass.hidden[[t, b, unit]];
            return Some(if before.is_finite() {
                Origin::of_step(Way::Forward, Part::State, "h", t, found)
            } else {
                Origin::given(Part::InitialState, "h", t, (b, unit, before))
            });
        }
    }
    initial("h", &pass.hidden.index_axis(Axis(0), 0), |b| {
        time == 0 || !pass.lengths.is_running(b, 0)
    })
}

/// Who made a gate that is NaN.
fn of_gate<A: Real>(
    cell: &Gru<A>,
    pass: &GruPass<A>,
    made: Origin,
    block: usize,
    unit: usize,
) -> Origin {
    let (Some(at), Some(b)) = (made.at, made.sequence) else {
        return made;
    };
    let (t, row) = (at.time, block * cell.hidden() + unit);
    let [x, h] = [&pass.xs, &pass.hidden]
        .map(|rows| rows.index_axis(Axis(0), t).index_axis_move(Axis(0), b));
    let of_input = Products::of_input("w_in", (&cell.w_in, row), x);
    let bias = Some(("bias", row, cell.bias[row]));
    if block < 2 {
        let of_state = Products::of_state("w_rec", (&cell.w_rec, row), h);
        return of_sum(made, &[of_input, of_state], bias);
    }
    // Its sum has two parts, and q, a sum of its own, may have come to more than the reset gate can hold back.
    let of_inputs = of_sum(made, &[of_input], bias);
    if of_inputs.cause == Cause::Given {
        return of_inputs;
    }
    of_q(cell, pass, [t, b, unit]).unwrap_or(of_inputs)
}

/// Who made q, which the reset gate lets through, if it is not finite.
fn of_q<A: Real>(cell: &Gru<A>, pass: &GruPass<A>, [t, b, unit]: [usize; 3]) -> Option<Origin> {
    let q = pass.gates[[t, b, unit]];
    if q.is_finite() {
        return None;
    }
    let row = 2 * cell.hidden() + unit;
    let h = pass
        .hidden
        .index_axis(Axis(0), t)
        .index_axis_move(Axis(0), b);
    let made = Origin::of_step(Way::Forward, Part::Inner, "q", t, (b, unit, q));
    let products = [Products::of_state("w_rec", (&cell.w_rec, row), h)];
    Some(of_sum(
        made,
        &products,
        Some(("bias_rec", unit, cell.bias_rec[unit])),
    ))
}

impl<A: Real> Cell for Gru<A> {
    const STATE: &'static [&'static str] = &["h"];
    const GATES: &'static [(Part, &'static str)] = &[
        (Part::Inner, "q"),
        (Part::Gate, "r"),
        (Part::Gate, "z"),
        (Part::Gate, "n"),
    ];

    fn kept(pass: &GruPass<A>) -> Kept<'_, A> {
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

    fn of_weights(grads: &GruGrads<A>) -> [&Array2<A>; 2] {
        [&grads.w_in, &grads.w_rec]
    }

    fn last(&self) -> usize {
        self.hidden()
    }

    fn shares(units: usize) -> Vec<Share> {
        let gates = (units..4 * units, 0);
        vec![
            ("w_in", Beside::Inputs, vec![gates.clone()]),
            (
                "w_rec",
                Beside::States,
                vec![(0..units, 2 * units), (units..3 * units, 0)],
            ),
            ("bias", Beside::Nothing, vec![gates]),
            ("bias_rec", Beside::Nothing, vec![(0..units, 0)]),
        ]
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
        let [q, r, z, n] = [0, 1, 2, 3].map(|gate| walk.pass.gates[[t, b, gate * units + unit]]);
        let (before, d) = (walk.pass.hidden[[t, b, unit]], d_state.h[[b, unit]]);

        let mut watch = Watch::default();
        let d_sum = watch.product([d, one - z, one - n * n]);
        match gate {
            // It came to nothing in the forward pass, where the gate was shut or n saturated.
            1 => {
                if let Some(origin) = of_q(self, walk.pass, [t, b, unit]) {
                    return origin;
                }
                watch.product([d_sum, q, r * (one - r)]);
            }
            2 => {
                let apart = watch.sub(before, n);
                watch.product([d, apart, z * (one - z)]);
            }
            // No factor of the others is above 1.
            _ => (),
        }
        let cause = watch.cause(made.value);
        made.because(cause)
    }
}
