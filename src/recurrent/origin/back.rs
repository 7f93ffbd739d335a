//! The way back through a plain cell, walked once more with a look at every number.

use alloc::vec::Vec;

use ndarray::{Array2, Array3, ArrayRef2, ArrayView3, Axis, Ix2, Slice};
use num_traits::{Float, Zero};

use super::find::{Found, first, first_row, is_finite};
use super::sum::{Line, Products, of_sum};
use super::{Cause, NotFinite, Origin, Part, Way};
use crate::Result;
use crate::recurrent::lengths::Lengths;
use crate::recurrent::linear::begin;
use crate::recurrent::recurrence::{Block, Weights};
use crate::recurrent::{At, Backward, Layer, Real, Upstream};

/// What an element of dL/dz is multiplied by to make a share of a parameter's gradient.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::recurrent) enum Beside {
    Inputs,
    States,
    Nothing,
}

/// The gradient of a parameter: which columns of dL/dz go to which of its rows, and beside what.
pub(in crate::recurrent) type Share = (&'static str, Beside, Vec<Block>);

/// What a plain cell keeps of a forward pass.
pub(in crate::recurrent) struct Kept<'a, A> {
    pub(super) xs: &'a Array3<A>,
    pub(super) hidden: ArrayView3<'a, A>,
    pub(super) lengths: &'a Lengths,
}

/// Half of a step on the way back.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::recurrent) enum Half {
    /// What comes in is added to the gradient of the state.
    Arrive,
    /// That becomes the gradient of the state before.
    Step,
}

/// A cell whose way back can be walked by halves of steps.
pub(in crate::recurrent) trait Cell: Layer {
    /// The parts of its state, the output first.
    const STATE: &'static [&'static str];
    /// What the columns of dL/dz belong to, as many of each as there are units.
    const GATES: &'static [(Part, &'static str)];

    fn kept(pass: &Self::Pass) -> Kept<'_, Self::Elem>;

    fn parts(state: &Self::State) -> Vec<&Array2<Self::Elem>>;

    fn parts_mut(state: &mut Self::State) -> Vec<&mut Array2<Self::Elem>>;

    /// `w_in` and `w_rec`.
    fn weights(&self) -> [&Array2<Self::Elem>; 2];

    /// Their gradients.
    fn of_weights(grads: &Self::Grads) -> [&Array2<Self::Elem>; 2];

    /// How many rows of the recurrent weights belong to the first columns, though they are the last.
    fn last(&self) -> usize {
        0
    }

    /// `w_in`, `w_rec` and biases.
    fn shares(units: usize) -> Vec<Share>;

    fn go(&self, walk: &mut Walk<'_, Self>, t: usize, half: Half);

    /// Who made an element of dL/dz, of which it is known what it is.
    fn of_gate(&self, walk: &Walk<'_, Self>, element: &Element<'_, Self>, made: Origin) -> Origin;
}

/// An element of dL/dz that is not finite.
pub(in crate::recurrent) struct Element<'a, C: Cell> {
    /// The gradient of the state after the step.
    pub(super) d_state: &'a C::State,
    pub(super) t: usize,
    pub(super) b: usize,
    pub(super) gate: usize,
    pub(super) unit: usize,
}

/// A way back.
pub(in crate::recurrent) struct Walk<'a, C: Cell> {
    pub(super) cell: &'a C,
    pub(super) pass: &'a C::Pass,
    pub(super) d: Upstream<'a, C>,
    pub(super) weights: Weights<C::Elem>,
    /// dL/dz of all steps.
    pub(super) d_z: Array3<C::Elem>,
    pub(super) d_state: C::State,
}

pub(in crate::recurrent) fn backward<C: Cell>(
    cell: &C,
    pass: &C::Pass,
    d: Upstream<'_, C>,
) -> Result<Option<Origin>> {
    let back = cell.backward(pass, d)?;
    // Made anew, since it lives no longer than the walk.
    let d = Upstream {
        outputs: d.outputs,
        final_state: d.final_state,
    };
    if is_finite(&back.grads)? && is_finite(&back.d_inputs)? && is_finite(&back.d_state0)? {
        return Ok(None);
    }
    let mut walk = Walk::new(cell, pass, d)?;
    for t in (0..back.d_inputs.dim().0).rev() {
        if let Some(found) = walk.through(t, &back) {
            return Ok(Some(found));
        }
    }
    let kept = C::kept(pass);
    if let Some(given) = walk.given_to(0, |b| !kept.lengths.is_running(b, 0)) {
        return Ok(Some(given));
    }
    let spot = first(&back.grads, &|_| true)?;
    Ok(spot.map(|spot| walk.sum(spot.of_gradient(None))))
}

impl<'a, C: Cell> Walk<'a, C> {
    fn new(cell: &'a C, pass: &'a C::Pass, d: Upstream<'a, C>) -> Result<Self> {
        let kept = C::kept(pass);
        let (time, batch, _) = kept.xs.dim();
        let units = kept.hidden.dim().2;
        let mut d_state = cell.zero_state(batch);
        let given = d.final_state.map_or(Vec::new(), C::parts);
        for (k, part) in C::parts_mut(&mut d_state).into_iter().enumerate() {
            begin(part, given.get(k).copied(), Ix2(batch, units))?;
            kept.lengths.zero_shorter(time, part);
        }
        let mut weights = Weights::default();
        let [w_in, w_rec] = cell.weights();
        weights.pack(w_in, w_rec, cell.last());
        Ok(Self {
            cell,
            pass,
            d,
            weights,
            d_z: Array3::zeros((time, batch, C::GATES.len() * units)),
            d_state,
        })
    }

    /// What came in for the final state of these sequences, of which step t is the last.
    fn given_to(&self, t: usize, ends: impl Fn(usize) -> bool) -> Option<Origin> {
        let parts = C::parts(self.d.final_state?).into_iter().zip(C::STATE);
        parts.into_iter().find_map(|(part, name)| {
            let found = first_row(part, &ends)?;
            let given = Origin::of_step(Way::Backward, Part::FinalState, name, t, found);
            Some(given.because(Cause::Given))
        })
    }

    /// The first part of the state's gradient that is not finite: which, and where.
    fn state(&self, runs: impl Fn(usize) -> bool) -> Option<(usize, Found<C::Elem>)> {
        let mut parts = C::parts(&self.d_state).into_iter().enumerate();
        parts.find_map(|(k, part)| Some((k, first_row(part, &runs)?)))
    }

    /// Through step t, up to the first number that is not finite.
    fn through(&mut self, t: usize, back: &Backward<C>) -> Option<Origin> {
        let kept = C::kept(self.pass);
        let (time, lengths) = (kept.xs.dim().0, kept.lengths);
        let runs = |b| lengths.is_running(b, t);
        let ends = |b| runs(b) && (t + 1 == time || !lengths.is_running(b, t + 1));
        if let Some(given) = self.given_to(t, ends) {
            return Some(given);
        }
        let output = self.d.outputs.as_ref().and_then(|outputs| {
            let found = first_row(&outputs.index_axis(Axis(0), t), runs)?;
            Some(Origin::of_step(Way::Backward, Part::Output, "", t, found))
        });
        if let Some(output) = output {
            return Some(output.because(Cause::Given));
        }

        let cell = self.cell;
        cell.go(self, t, Half::Arrive);
        if let Some((k, found)) = self.state(runs) {
            let made = Origin::of_step(Way::Backward, Part::State, C::STATE[k], t, found);
            return Some(made.because(Cause::Sum));
        }
        let arrived = self.d_state.clone();
        cell.go(self, t, Half::Step);
        let (d_z, units) = (self.d_z.index_axis(Axis(0), t), kept.hidden.dim().2);
        for (gate, (part, name)) in C::GATES.iter().enumerate() {
            let columns = Slice::from(gate * units..(gate + 1) * units);
            if let Some(found) = first_row(&d_z.slice_axis(Axis(1), columns), runs) {
                let made = Origin::of_step(Way::Backward, *part, name, t, found);
                let element = Element {
                    d_state: &arrived,
                    t,
                    b: found.0,
                    gate,
                    unit: found.1,
                };
                return Some(cell.of_gate(self, &element, made));
            }
        }
        if let Some((k, found)) = self.state(runs) {
            let made = match t.checked_sub(1) {
                Some(before) => (Part::State, before),
                None => (Part::InitialState, 0),
            };
            let made = Origin::of_step(Way::Backward, made.0, C::STATE[k], made.1, found);
            // Only the output's part is a sum of products.
            return Some(if k == 0 {
                self.of_products(Beside::States, t, found, made)
            } else {
                made
            });
        }
        if let Some(found) = first_row(&back.d_inputs.index_axis(Axis(0), t), runs) {
            let made = Origin::of_step(Way::Backward, Part::Input, "x", t, found);
            return Some(self.of_products(Beside::Inputs, t, found, made));
        }
        self.share(t, &back.grads)
    }

    /// Who made an element of dL/dz·W.
    fn of_products(
        &self,
        beside: Beside,
        t: usize,
        (b, column, _): Found<C::Elem>,
        made: Origin,
    ) -> Origin {
        let (d_z, units) = (
            self.d_z.index_axis(Axis(0), t),
            C::kept(self.pass).hidden.dim().2,
        );
        let d_z = d_z.index_axis_move(Axis(0), b);
        let [w_in, w_rec] = self.cell.weights();
        let w = match beside {
            Beside::Inputs => w_in,
            _ => w_rec,
        };
        let shares = C::shares(units).into_iter();
        let of_these = shares.filter(|share| share.1 == beside);
        let blocks = of_these.flat_map(|(name, _, blocks)| {
            blocks.into_iter().map(move |(from, to)| (name, from, to))
        });
        let weights = w.column(column);
        let products: Vec<_> = blocks
            .map(|(name, from, to)| {
                let rows = Slice::from(to..to + from.len());
                let (weights, by) = (
                    weights.slice_axis_move(Axis(0), rows),
                    d_z.slice_axis_move(Axis(0), Slice::from(from)),
                );
                Products::new((name, Line::Column(column, to)), weights, by)
            })
            .collect();
        of_sum(made, &products, None)
    }

    /// The first product in step t's share of a parameter's gradient that is not finite, if it came to something.
    fn share(&self, t: usize, grads: &C::Grads) -> Option<Origin> {
        let kept = C::kept(self.pass);
        let (d_z, units) = (self.d_z.index_axis(Axis(0), t), kept.hidden.dim().2);
        let [of_in, of_rec] = C::of_weights(grads);
        for (name, beside, blocks) in C::shares(units) {
            let (by, d_w) = match beside {
                Beside::Inputs => (kept.xs.index_axis(Axis(0), t), of_in),
                Beside::States => (kept.hidden.index_axis(Axis(0), t), of_rec),
                Beside::Nothing => continue,
            };
            // Mostly the largest product is finite, and so are all.
            if (largest(&d_z) * largest(&by)).is_finite() {
                continue;
            }
            for (b, (d_z, by)) in d_z.outer_iter().zip(by.outer_iter()).enumerate() {
                if !kept.lengths.is_running(b, t) {
                    continue;
                }
                for (from, to) in &blocks {
                    let rows = d_z.iter().skip(from.start).take(from.len());
                    for (row, &d) in rows.enumerate() {
                        let row = to + row;
                        let mut products = by.iter().enumerate();
                        let found = products
                            .find(|&(k, &x)| !(d * x).is_finite() && !d_w[[row, k]].is_finite());
                        if let Some((k, &x)) = found {
                            return Some(of_share(name, beside, [t, b, row, k], d, x));
                        }
                    }
                }
            }
        }
        None
    }

    /// Who made the gradient of a parameter, no product of which overflows: the sum over a step's sequences, or over steps.
    fn sum(&self, seen: Origin) -> Origin {
        let kept = C::kept(self.pass);
        let (time, batch, _) = kept.xs.dim();
        let row = seen.index.first().copied().unwrap_or_default();
        let shares = C::shares(kept.hidden.dim().2).into_iter();
        let mut of_this = shares.filter(|share| share.0 == seen.name);
        let Some((_, beside, blocks)) = of_this.next() else {
            return seen;
        };
        let column = blocks.iter().find_map(|(from, to)| {
            let k = row.checked_sub(*to).filter(|&k| k < from.len())?;
            Some(from.start + k)
        });
        let Some(column) = column else { return seen };
        let k = seen.index.get(1).copied().unwrap_or_default();
        for t in (0..time).rev() {
            let share = (0..batch)
                .filter(|&b| kept.lengths.is_running(b, t))
                .map(|b| {
                    let d = self.d_z[[t, b, column]];
                    match beside {
                        Beside::Inputs => d * kept.xs[[t, b, k]],
                        Beside::States => d * kept.hidden[[t, b, k]],
                        Beside::Nothing => d,
                    }
                });
            let share = share.fold(Zero::zero(), |sum: C::Elem, x| sum + x);
            if !share.is_finite() {
                return Origin {
                    at: Some(At::time(t)),
                    value: NotFinite::of(crate::Element::widen(share)),
                    cause: Cause::Sum,
                    ..seen
                };
            }
        }
        seen.because(Cause::Sum)
    }
}

/// Who made the product of dL/dz and of what stands beside it: that, if it came to nothing in the forward pass, or itself.
fn of_share<A: Real>(
    name: &'static str,
    beside: Beside,
    [t, b, row, k]: [usize; 4],
    d: A,
    x: A,
) -> Origin {
    match (beside, t) {
        _ if x.is_finite() => Origin {
            sequence: Some(b),
            index: Vec::from([row, k]),
            ..Origin::of_step(Way::Backward, Part::Parameter, name, t, (b, k, d * x))
        }
        .because(Cause::Product),
        (Beside::Inputs, _) => Origin::given(Part::Input, "x", t, (b, k, x)),
        (_, 0) => Origin::given(Part::InitialState, "h", t, (b, k, x)),
        _ => Origin::of_step(Way::Forward, Part::State, "h", t - 1, (b, k, x)),
    }
}

/// The largest magnitude; infinite if something is not finite.
fn largest<A: Real>(rows: &ArrayRef2<A>) -> A {
    rows.fold(A::zero(), |most, x| {
        if x.is_finite() {
            most.max(x.abs())
        } else {
            A::infinity()
        }
    })
}
