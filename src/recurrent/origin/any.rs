//! Who made it, in a layer of which nothing is known but what every layer tells.

use core::ops::ControlFlow;

use ndarray::Axis;

use super::find::{Spot, first, first_row, is_finite, last_step};
use super::{Cause, Origin, Part, Way};
use crate::recurrent::lengths::Lengths;
use crate::recurrent::{Layer, Trace, Upstream};
use crate::{Result, TensorSet};

/// The first parameter that is not finite.
pub(in crate::recurrent) fn parameter(set: &(impl TensorSet + ?Sized)) -> Result<Option<Origin>> {
    Ok(first(set, &|_| true)?.map(Spot::of_parameter))
}

/// What shows, if its layer tells no more of it: a parameter that is not finite is the likelier maker.
pub(super) fn unless_parameter(seen: Origin, set: &(impl TensorSet + ?Sized)) -> Result<Origin> {
    match seen.cause {
        Cause::Unknown => Ok(parameter(set)?.unwrap_or(seen)),
        _ => Ok(seen),
    }
}

pub(in crate::recurrent) fn forward<L: Layer>(layer: &L, pass: &L::Pass) -> Result<Option<Origin>> {
    let outputs = pass.outputs();
    let mut steps = outputs.outer_iter().enumerate();
    let output = steps.find_map(|(t, rows)| {
        let found = first_row(&rows, |_| true)?;
        Some(Origin::of_step(Way::Forward, Part::Output, "", t, found))
    });
    let seen = match output {
        Some(seen) => Some(seen),
        None => first(&pass.final_state(), &|_| true)?
            .map(|spot| spot.of_state(Way::Forward, Part::FinalState, None)),
    };
    seen.map(|seen| unless_parameter(seen, layer)).transpose()
}

pub(in crate::recurrent) fn backward<L: Layer>(
    layer: &L,
    pass: &L::Pass,
    d: Upstream<'_, L>,
) -> Result<Option<Origin>> {
    let back = layer.backward(pass, d)?;
    if is_finite(&back.grads)? && is_finite(&back.d_inputs)? && is_finite(&back.d_state0)? {
        return Ok(None);
    }
    if let Some(given) = d.final_state
        && let Some(spot) = first(given, &|_| true)?
    {
        let seen = spot.of_state(Way::Backward, Part::FinalState, None);
        return Ok(Some(seen.because(Cause::Given)));
    }
    if let Some(outputs) = &d.outputs {
        let mut steps = outputs.axis_iter(Axis(0)).enumerate().rev();
        let given = steps.find_map(|(t, rows)| {
            let found = first_row(&rows, |_| true)?;
            Some(Origin::of_step(Way::Backward, Part::Output, "", t, found))
        });
        if let Some(given) = given {
            return Ok(Some(given.because(Cause::Given)));
        }
    }
    if let Some(parameter) = parameter(layer)? {
        return Ok(Some(parameter));
    }
    let mut seen = None;
    layer.backward_with(pass, d, &mut |at, d_state| {
        let spot = first(&d_state, &|_| true)?;
        seen = spot.map(|spot| spot.of_state(Way::Backward, Part::State, Some(at)));
        Ok(match seen {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        })
    })?;
    let none = Lengths::default();
    if let Some(seen) = seen.or_else(|| last_step(Part::Input, "x", &back.d_inputs, &none)) {
        return Ok(Some(seen));
    }
    if let Some(spot) = first(&back.d_state0, &|_| true)? {
        return Ok(Some(spot.of_state(Way::Backward, Part::InitialState, None)));
    }
    Ok(first(&back.grads, &|_| true)?.map(|spot| spot.of_gradient(None)))
}
