//! Who made it, in a layer of both directions.

use super::{Bidirectional, BidirectionalPass, Merge};
use crate::Result;
use crate::recurrent::lengths::Lengths;
use crate::recurrent::origin::{Cause, Part, Way, first_row, last_step};
use crate::recurrent::{Directions, Layer, Origin, Trace, Upstream};

pub(super) fn forward<L: Layer>(
    net: &Bidirectional<L>,
    pass: &BidirectionalPass<L::Pass>,
) -> Result<Option<Origin>> {
    let (both, time) = (&pass.passes, pass.outputs.dim().0);
    if let Some(found) = net.forwards.forward_origin(&both.forwards)? {
        return Ok(Some(found.under("forwards")));
    }
    if let Some(found) = net.reverse.forward_origin(&both.reverse)? {
        return Ok(Some(turned(found, &pass.lengths, time).under("reverse")));
    }
    // Finite both, and their sum is not.
    let mut steps = pass.outputs.outer_iter().enumerate();
    Ok(steps.find_map(|(t, rows)| {
        let found = first_row(&rows, |_| true)?;
        let made = Origin::of_step(Way::Forward, Part::Output, "", t, found);
        Some(made.because(Cause::Sum).raised(net.layers() - 1))
    }))
}

pub(super) fn backward<L: Layer>(
    net: &Bidirectional<L>,
    pass: &BidirectionalPass<L::Pass>,
    d: Upstream<'_, Bidirectional<L>>,
) -> Result<Option<Origin>> {
    d.check_outputs(pass.outputs.shape())?;
    let (both, lengths, time) = (&pass.passes, &pass.lengths, pass.outputs.dim().0);
    let Directions { forwards, reverse } = pass.merge.split(d);
    if let Some(found) = net.forwards.backward_origin(&both.forwards, forwards)? {
        return Ok(Some(found.under("forwards")));
    }
    let mut room = None;
    let outputs = match reverse.outputs {
        Some(outputs) => Some(lengths.turned(outputs, &mut room)?),
        None => None,
    };
    let reverse = Upstream {
        outputs,
        final_state: reverse.final_state,
    };
    if let Some(found) = net.reverse.backward_origin(&both.reverse, reverse)? {
        let mut found = turned(found, lengths, time).under("reverse");
        let is_given = found.part == Part::Output && found.way == Way::Backward;
        if let (true, Merge::Concatenate, [unit]) = (is_given, pass.merge, &mut found.index[..]) {
            *unit += both.forwards.outputs().dim().2;
        }
        return Ok(Some(found));
    }
    let d_inputs = net.backward(pass, d)?.d_inputs;
    let made = last_step(Part::Input, "x", &d_inputs, lengths);
    Ok(made.map(|made| made.because(Cause::Sum)))
}

/// As it is along the sequence, which the layer has run through from its end.
fn turned(mut found: Origin, lengths: &Lengths, time: usize) -> Origin {
    if let Some(at) = &mut found.at {
        let steps = found.sequence.map_or(time, |b| lengths.length(b, time));
        at.time = steps.saturating_sub(1).saturating_sub(at.time);
        at.reverse = !at.reverse;
    }
    found
}
