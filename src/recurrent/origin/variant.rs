//! Who made it, in a step of an LSTM with options.

use alloc::vec::Vec;

use ndarray::{Array1, Array2, ArrayRef1, Axis};

use super::find::{Found, first_row};
use super::sum::{Line, Products, Watch, of_sum};
use super::{Cause, NotFinite, Origin, Part};
use crate::recurrent::layer_norm::Normalised;
use crate::recurrent::lstm_steps::{NormTape, stop_beyond};
use crate::recurrent::{LstmNorm, LstmState, LstmVariant, LstmVariantTape, Real, StepCell};

const GATES: [&str; 4] = ["i", "f", "g", "o"];

/// In a cell, of a step.
struct Of<'a, A> {
    cell: &'a LstmVariant<A>,
    tape: &'a LstmVariantTape<A>,
    seen: &'a Origin,
}

pub(in crate::recurrent) fn forward<A: Real>(
    cell: &LstmVariant<A>,
    tape: &LstmVariantTape<A>,
    seen: &Origin,
) -> Option<Origin> {
    let of = Of { cell, tape, seen };
    let (b, first) = (seen.sequence?, of.first_column());
    let gates = tape.gates.row(b);
    let mut columns = first..gates.len();
    if let Some(column) = columns.find(|&k| !gates[k].is_finite()) {
        return Some(of.gate(b, column));
    }
    if let Some(before) = seen.among(Part::InitialState, "c", tape.c_before.view()) {
        return Some(before);
    }
    if let Some((unit, c)) = of.cell_state(b) {
        return Some(of.made(Part::State, "c", (b, unit, c)).because(Cause::Sum));
    }
    let shown = tape.shown.row(b);
    if let Some(unit) = shown.iter().position(|m| !m.is_finite()) {
        let given = cell.norm.as_ref().and_then(|norm| {
            let gain = element("gain_c", &norm.gain_c, unit);
            gain.or_else(|| element("shift_c", &norm.shift_c, unit))
        });
        // The mean of the cell states overflows, and is then taken from them and times 1/inf.
        let made = of.made(Part::Inner, "u", (b, unit, shown[unit]));
        return Some(given.unwrap_or(made.because(Cause::ZeroTimesInfinity)));
    }
    let (w_proj, &row) = (cell.w_proj.as_ref()?, seen.index.first()?);
    let (name, part) = ("h".into(), Part::State);
    let made = Origin {
        part,
        name,
        ..seen.clone()
    };
    let m = of.let_through();
    let products = Products::new(("w_proj", Line::Row(row)), w_proj.row(row), m.row(b));
    Some(of_sum(made, &[products], None))
}

pub(in crate::recurrent) fn backward<A: Real>(
    cell: &LstmVariant<A>,
    tape: &LstmVariantTape<A>,
    d_state: &LstmState<A>,
    seen: &Origin,
) -> Option<Origin> {
    let of = Of { cell, tape, seen };
    let (hidden, first) = (cell.hidden(), of.first_column());
    let counts = |b: usize| seen.sequence.is_none_or(|own| own == b);

    let d_m = match &cell.w_proj {
        Some(w_proj) => d_state.h.dot(w_proj),
        None => d_state.h.clone(),
    };
    if let (Some(w_proj), Some(found)) = (&cell.w_proj, first_row(&d_m, counts)) {
        let (b, unit, _) = found;
        let made = of.made(Part::Inner, "m", found);
        let line = ("w_proj", Line::Column(unit, 0));
        let products = Products::new(line, w_proj.column(unit), d_state.h.row(b));
        return Some(of_sum(made, &[products], None));
    }
    let (mut d, mut d_gates) = (d_state.clone(), Array2::zeros(tape.gates.raw_dim()));
    let mut grads = cell.zero_grads();
    cell.back_to_cell(tape, &mut d, &mut d_gates, &mut grads);
    let o = tape.gates.slice_axis(Axis(1), (3 * hidden..).into());
    let slope = tape.shown.mapv(|m| A::one() - m * m);
    let d_shown = &d_m * &o * slope;
    if let Some(found) = first_row(&d.c, counts) {
        let (b, unit, value) = found;
        let mut watch = Watch::default();
        let through = match (&cell.norm, &tape.norm) {
            (Some(norm), Some(kept)) => {
                if let Some(gain) = vector("gain_c", &norm.gain_c) {
                    return Some(gain);
                }
                pulled(
                    &mut watch,
                    &kept.c,
                    &norm.gain_c,
                    &d_shown.row(b),
                    (b, unit),
                )
            }
            _ => d_shown[[b, unit]],
        };
        watch.add(d_state.c[[b, unit]], through);
        let cause = watch.cause(NotFinite::of(value.widen()));
        return Some(of.made(Part::State, "c", found).because(cause));
    }
    let d_c = d.c.clone();
    cell.back_to_gates(tape, &mut d.c, &mut d_gates);
    let mut d_sums = cell.with_weights(&mut d_gates).to_owned();
    if let (Some(bound), Some(sums)) = (cell.options.gate_clip, &tape.sums) {
        let bound = A::narrow(bound);
        d_sums.zip_mut_with(sums, |d, &z| stop_beyond(z, bound, d));
    }
    if let Some((b, column, value)) = first_row(&d_sums, counts) {
        return Some(of.gate_gradient(&d_c, (b, first + column, value)));
    }
    let (mut d_a, mut d_r) = (d_sums.clone(), d_sums.clone());
    if let (Some(norm), Some(kept)) = (&cell.norm, &tape.norm) {
        let of_x = ("gain_in", &norm.gain_in, &kept.from_x, &mut d_a);
        let of_h = ("gain_rec", &norm.gain_rec, &kept.from_h, &mut d_r);
        for (side, (name, gain, normalised, d)) in ["a", "r"].into_iter().zip([of_x, of_h]) {
            normalised.pull_back(gain, d, &mut Array1::zeros(gain.len()));
            if let Some(found) = first_row(d, counts) {
                let mut watch = Watch::default();
                let (b, k, _) = found;
                pulled(&mut watch, normalised, gain, &d_sums.row(b), (b, k));
                let made = of.made(Part::Inner, side, found);
                let cause = watch.cause(made.value);
                return Some(vector(name, gain).unwrap_or(made.because(cause)));
            }
        }
    }
    match (seen.part, seen.sequence, seen.index.first()) {
        (Part::InitialState, Some(b), Some(&k)) if seen.name == "h" => {
            let line = ("w_rec", Line::Column(k, 0));
            let products = Products::new(line, cell.w_rec.column(k), d_r.row(b));
            Some(of_sum(seen.clone(), &[products], None))
        }
        (Part::Input, Some(b), Some(&k)) => {
            let line = ("w_in", Line::Column(k, 0));
            let products = Products::new(line, cell.w_in.column(k), d_a.row(b));
            Some(of_sum(seen.clone(), &[products], None))
        }
        (Part::Parameter, ..) => Some(of.share(&Rows {
            h: &d_state.h,
            shown: &d_shown,
            sums: &d_sums,
            a: &d_a,
            r: &d_r,
        })),
        _ => None,
    }
}

/// Gradients of a step's numbers, row by row.
struct Rows<'a, A> {
    h: &'a Array2<A>,
    shown: &'a Array2<A>,
    sums: &'a Array2<A>,
    a: &'a Array2<A>,
    r: &'a Array2<A>,
}

impl<A: Real> Of<'_, A> {
    /// The first column of gates that have weights.
    fn first_column(&self) -> usize {
        (4 - self.cell.options.gates()) * self.cell.hidden()
    }

    fn time(&self) -> usize {
        self.seen.at.map_or(0, |at| at.time)
    }

    /// Something else of the same step.
    fn made(&self, part: Part, name: &str, (b, k, value): Found<A>) -> Origin {
        Origin {
            part,
            name: name.into(),
            sequence: Some(b),
            index: Vec::from([k]),
            value: NotFinite::of(value.widen()),
            cause: Cause::Unknown,
            ..self.seen.clone()
        }
    }

    /// Who made a gate that is NaN.
    fn gate(&self, b: usize, column: usize) -> Origin {
        let (cell, tape) = (self.cell, self.tape);
        let (hidden, row) = (cell.hidden(), column - self.first_column());
        let unit = column % hidden;
        let made = self.made(
            Part::Gate,
            GATES[column / hidden],
            (b, unit, tape.gates[[b, column]]),
        );
        let (x, h) = (tape.x.row(b), tape.h_before.row(b));
        let (Some(norm), Some(kept)) = (&cell.norm, &tape.norm) else {
            let products = [
                Products::of_input("w_in", (&cell.w_in, row), x),
                Products::of_state("w_rec", (&cell.w_rec, row), h),
            ];
            return of_sum(made, &products, Some(("bias", row, cell.bias[row])));
        };
        let of_x = self.normalised(&made, row, norm, kept, true);
        let from = of_x.or_else(|| self.normalised(&made, row, norm, kept, false));
        let from = from.or_else(|| element("bias", &cell.bias, row));
        from.unwrap_or(made.because(Cause::Opposites))
    }

    /// Who made one of the two normalised products in the sum of a gate, if it is not finite.
    fn normalised(
        &self,
        made: &Origin,
        row: usize,
        norm: &LstmNorm<A>,
        kept: &NormTape<A>,
        of_x: bool,
    ) -> Option<Origin> {
        let b = made.sequence?;
        let (cell, tape) = (self.cell, self.tape);
        let (name, w, gain, rows) = if of_x {
            (
                ("w_in", "gain_in", "a"),
                &cell.w_in,
                &norm.gain_in,
                &kept.from_x,
            )
        } else {
            (
                ("w_rec", "gain_rec", "r"),
                &cell.w_rec,
                &norm.gain_rec,
                &kept.from_h,
            )
        };
        let by = if of_x {
            tape.x.row(b)
        } else {
            tape.h_before.row(b)
        };
        // Each of them is made of all rows.
        for k in 0..w.nrows() {
            let product = w.row(k).dot(&by);
            if !product.is_finite() {
                let made = self.made(Part::Inner, name.2, (b, k, product));
                let products = if of_x {
                    Products::of_input(name.0, (w, k), by)
                } else {
                    Products::of_state(name.0, (w, k), by)
                };
                return Some(of_sum(made, &[products], None));
            }
        }
        let is_finite = rows.row(b).0.iter().all(|y| y.is_finite());
        let gain = element(name.1, gain, row);
        gain.or_else(|| (!is_finite).then(|| made.clone().because(Cause::ZeroTimesInfinity)))
    }

    /// Who made the gradient of the sum of a gate.
    fn gate_gradient(&self, d_c: &Array2<A>, (b, column, value): Found<A>) -> Origin {
        let (cell, tape, hidden) = (self.cell, self.tape, self.cell.hidden());
        let (gate, unit) = (column / hidden, column % hidden);
        let made = self.made(Part::Gate, GATES[gate], (b, unit, value));
        // No factor of the others is above 1.
        let mut watch = Watch::default();
        if gate == 1 {
            let [f, g] = [1, 2].map(|gate| tape.gates[[b, gate * hidden + unit]]);
            let (d_c, before) = (d_c[[b, unit]], tape.c_before[[b, unit]]);
            if !before.is_finite() {
                // Clamped, it came to nothing in the forward pass.
                let found = (b, unit, before);
                return Origin::given(Part::InitialState, "c", self.time(), found);
            }
            let mut d_f = watch.mul(d_c, before);
            if cell.options.coupled {
                d_f = watch.sub(d_f, d_c * g);
            }
            watch.mul(d_f, f * (A::one() - f));
        }
        let cause = watch.cause(made.value);
        made.because(cause)
    }

    /// The first new cell state that is not finite.
    fn cell_state(&self, b: usize) -> Option<(usize, A)> {
        let (hidden, gates) = (self.cell.hidden(), self.tape.gates.row(b));
        let c = |unit: usize| {
            let [i, f, g] = [0, 1, 2].map(|gate| gates[gate * hidden + unit]);
            f * self.tape.c_before[[b, unit]] + i * g
        };
        if self.cell.options.cell_clip.is_some_and(f64::is_finite) {
            return None; // It was clamped.
        }
        let mut units = (0..hidden).map(|unit| (unit, c(unit)));
        units.find(|(_, c)| !c.is_finite())
    }

    /// m = o ⊙ tanh u.
    fn let_through(&self) -> Array2<A> {
        let columns = (3 * self.cell.hidden()..).into();
        &self.tape.gates.slice_axis(Axis(1), columns) * &self.tape.shown
    }

    /// Who made an element of a parameter's gradient, to which each sequence adds a product.
    fn share(&self, rows: &Rows<'_, A>) -> Origin {
        let (tape, seen) = (self.tape, self.seen);
        let row = seen.index.first().copied().unwrap_or_default();
        // The element beside, of a vector its own.
        let k = seen.index.get(1).copied().unwrap_or(row);
        let m = self.let_through();
        let normalised = |of: fn(&NormTape<A>) -> &Normalised<A>| tape.norm.as_ref().map(of);
        let beside: Option<(&Array2<A>, &Array2<A>)> = match seen.name.as_str() {
            "w_in" => Some((rows.a, &tape.x)),
            "w_rec" => Some((rows.r, &tape.h_before)),
            "w_proj" => Some((rows.h, &m)),
            "gain_in" => normalised(|kept| &kept.from_x).map(|y| (rows.sums, y.rows())),
            "gain_rec" => normalised(|kept| &kept.from_h).map(|y| (rows.sums, y.rows())),
            "gain_c" => normalised(|kept| &kept.c).map(|y| (rows.shown, y.rows())),
            _ => None,
        };
        let found = beside.and_then(|(d, by)| {
            let mut all = (0..d.nrows()).map(|b| (b, d[[b, row]], by[[b, k]]));
            all.find(|&(_, d, x)| !(d * x).is_finite())
        });
        let Some((b, d, x)) = found else {
            return seen.clone().because(Cause::Sum);
        };
        let t = self.time();
        match seen.name.as_str() {
            "w_in" if !x.is_finite() => Origin::given(Part::Input, "x", t, (b, k, x)),
            "w_rec" if !x.is_finite() => Origin::given(Part::InitialState, "h", t, (b, k, x)),
            _ => Origin {
                sequence: Some(b),
                value: NotFinite::of((d * x).widen()),
                cause: Cause::Product,
                ..seen.clone()
            },
        }
    }
}

/// Element k of a parameter, if it is not finite.
fn element<A: Real>(name: &str, values: &ArrayRef1<A>, k: usize) -> Option<Origin> {
    let value = values[k];
    let index = Vec::from([k]);
    (!value.is_finite()).then(|| Origin::parameter(name, index, NotFinite::of(value.widen())))
}

/// The first element of a parameter that is not finite.
fn vector<A: Real>(name: &str, values: &ArrayRef1<A>) -> Option<Origin> {
    let k = values.iter().position(|x| !x.is_finite())?;
    element(name, values, k)
}

/// One element of what [`Normalised::pull_back`] makes of a row.
fn pulled<A: Real>(
    watch: &mut Watch,
    normalised: &Normalised<A>,
    gain: &ArrayRef1<A>,
    d: &ArrayRef1<A>,
    (b, k): (usize, usize),
) -> A {
    let (y, inverse) = normalised.row(b);
    let len = A::narrow(y.len() as f64);
    let (mut sum, mut along, mut own) = (A::zero(), A::zero(), A::zero());
    for (j, (&d, &y)) in d.iter().zip(y).enumerate() {
        let d_y = watch.mul(d, gain[j]);
        sum = watch.add(sum, d_y);
        let product = watch.mul(d_y, y);
        along = watch.add(along, product);
        if j == k {
            own = d_y;
        }
    }
    let along = watch.mul(y[k], along / len);
    let apart = watch.sub(own, sum / len);
    let apart = watch.sub(apart, along);
    watch.mul(inverse, apart)
}
