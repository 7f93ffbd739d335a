//! Who made it, in a cell that takes its steps one by one.

use ndarray::{Array2, Axis};

use super::any::unless_parameter;
use super::find::{first, first_row, is_finite};
use super::{Cause, Origin, Part, Way};
use crate::Result;
use crate::recurrent::recurrence::Arriving;
use crate::recurrent::{At, Backward, Layer, StepCell, Unrolled, UnrolledPass, Upstream};

pub(in crate::recurrent) fn forward<C: StepCell>(
    cell: &C,
    pass: &UnrolledPass<C>,
) -> Result<Option<Origin>> {
    let lengths = &pass.lengths;
    let mut steps = pass.outputs.outer_iter().enumerate();
    let output = steps.find_map(|(t, rows)| {
        let found = first_row(&rows, |b| lengths.is_running(b, t))?;
        Some(Origin::of_step(Way::Forward, Part::Output, "", t, found))
    });
    let seen = match output {
        Some(seen) => seen,
        None => match first(&pass.final_state, &|_| true)? {
            Some(spot) => {
                let seen = spot.of_state(Way::Forward, Part::State, None);
                let steps = seen
                    .sequence
                    .map_or(pass.tapes.len(), |b| lengths.length(b, pass.tapes.len()));
                let Some(last) = steps.checked_sub(1) else {
                    let part = Part::InitialState;
                    let at = Some(At::time(0));
                    return Ok(Some(Origin { part, at, ..seen }.because(Cause::Given)));
                };
                let at = Some(At::time(last));
                Origin { at, ..seen }
            }
            None => return Ok(None),
        },
    };
    Ok(Some(unless_parameter(
        trace(cell, &pass.tapes, seen),
        cell,
    )?))
}

/// Back through the steps, as far as the cell says that it was the state before.
fn trace<C: StepCell>(cell: &C, tapes: &[C::Tape], mut seen: Origin) -> Origin {
    while let Some(at) = seen.at
        && let Some(tape) = tapes.get(at.time)
        && let Some(origin) = cell.forward_origin(tape, &seen)
    {
        if origin.part != Part::InitialState || at.time == 0 {
            return origin;
        }
        seen = of_state_before(origin).because(Cause::Unknown);
    }
    seen
}

pub(in crate::recurrent) fn backward<C: StepCell>(
    layer: &Unrolled<C>,
    pass: &UnrolledPass<C>,
    d: Upstream<'_, Unrolled<C>>,
) -> Result<Option<Origin>> {
    let back = layer.backward(pass, d)?;
    if is_finite(&back.grads)? && is_finite(&back.d_inputs)? && is_finite(&back.d_state0)? {
        return Ok(None);
    }
    let cell = &layer.cell;
    let (time, batch, _) = pass.outputs.dim();
    let lengths = &pass.lengths;
    let mut d_state = match d.final_state {
        Some(given) => given.clone(),
        None => cell.zero_state(batch),
    };
    lengths.zero_ended_rows(time.saturating_sub(1), &mut d_state)?;
    for (t, tape) in pass.tapes.iter().enumerate().rev() {
        if let Some(given) = given(pass, d, t)? {
            return Ok(Some(given));
        }
        lengths.enter_ending_rows(t + 1, d.final_state, &mut d_state)?;
        let arriving = Arriving {
            lengths,
            outputs: d.outputs,
            first: 0,
        };
        arriving.add(t, &mut cell.output_mut(&mut d_state));
        let runs = |b| lengths.is_running(b, t);
        let place = |t: usize| Some(At::time(t));
        if let Some(spot) = first(&d_state, &runs)? {
            let made = spot.of_state(Way::Backward, Part::State, place(t));
            return Ok(Some(made.because(Cause::Sum)));
        }
        lengths.zero_ended_rows(t, &mut d_state)?;

        let arrived = d_state.clone();
        let (mut d_x, mut share) = (Array2::zeros((batch, pass.inputs)), cell.zero_grads());
        cell.step_backward(tape, &mut d_state, d_x.view_mut(), &mut share)?;
        let seen = if let Some(spot) = first(&d_state, &runs)? {
            Some(spot.of_state(Way::Backward, Part::InitialState, place(t)))
        } else if let Some(found) = first_row(&d_x, runs) {
            Some(Origin::of_step(Way::Backward, Part::Input, "x", t, found))
        } else if is_finite(&back.grads)? {
            None
        } else {
            first(&share, &|_| true)?.map(|spot| spot.of_gradient(place(t)))
        };
        if let Some(seen) = seen {
            let told = cell.backward_origin(tape, &arrived, &seen);
            let told = unless_parameter(told.unwrap_or(seen), cell)?;
            return Ok(Some(of_state_before(told)));
        }
    }
    handed_on(pass, d, &back)
}

/// To a cell the state before a step is the initial one; in a sequence it is that after the step before.
fn of_state_before(told: Origin) -> Origin {
    match (told.part, told.at.and_then(|at| at.time.checked_sub(1))) {
        (Part::InitialState, Some(before)) => Origin {
            part: Part::State,
            at: Some(At::time(before)),
            ..told
        },
        _ => told,
    }
}

/// What came in for the final state or the output after step t.
fn given<C: StepCell>(
    pass: &UnrolledPass<C>,
    d: Upstream<'_, Unrolled<C>>,
    t: usize,
) -> Result<Option<Origin>> {
    let (lengths, time) = (&pass.lengths, pass.tapes.len());
    if let Some(given) = d.final_state
        && let Some(spot) = first(given, &|b| lengths.length(b, time) == t + 1)?
    {
        let given = spot.of_state(Way::Backward, Part::FinalState, Some(At::time(t)));
        return Ok(Some(given.because(Cause::Given)));
    }
    Ok(d.outputs.and_then(|outputs| {
        let found = first_row(&outputs.index_axis(Axis(0), t), |b| {
            lengths.is_running(b, t)
        })?;
        let given = Origin::of_step(Way::Backward, Part::Output, "", t, found);
        Some(given.because(Cause::Given))
    }))
}

/// What sequences of no steps hand on, or a sum over all steps.
fn handed_on<C: StepCell>(
    pass: &UnrolledPass<C>,
    d: Upstream<'_, Unrolled<C>>,
    back: &Backward<Unrolled<C>>,
) -> Result<Option<Origin>> {
    let (lengths, time) = (&pass.lengths, pass.tapes.len());
    if let Some(given) = d.final_state
        && let Some(spot) = first(given, &|b| lengths.length(b, time) == 0)?
    {
        let given = spot.of_state(Way::Backward, Part::FinalState, Some(At::time(0)));
        return Ok(Some(given.because(Cause::Given)));
    }
    let spot = first(&back.grads, &|_| true)?;
    Ok(spot.map(|spot| spot.of_gradient(None).because(Cause::Sum)))
}
