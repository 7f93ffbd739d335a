//! Who made it, in segments that are computed again.

use ndarray::{Axis, Slice};

use super::{Checkpointed, CheckpointedPass};
use crate::recurrent::layer::nothing;
use crate::recurrent::origin::{Cause, Part, first};
use crate::recurrent::rows::add_all;
use crate::recurrent::{Layer, Origin, Sequence, Upstream};
use crate::{Result, TensorSet};

pub(super) fn forward<L: Layer>(
    net: &Checkpointed<L>,
    pass: &CheckpointedPass<L>,
) -> Result<Option<Origin>> {
    let mut again = None;
    for k in 0..pass.states.len() {
        let (start, kept) = segment(net, pass, k, &mut again)?;
        if let Some(found) = net.layer.forward_origin(kept)? {
            return Ok(Some(found.later(start)));
        }
    }
    Ok(None)
}

pub(super) fn backward<L: Layer>(
    net: &Checkpointed<L>,
    pass: &CheckpointedPass<L>,
    d: Upstream<'_, Checkpointed<L>>,
) -> Result<Option<Origin>> {
    d.check_outputs(pass.outputs.shape())?;
    let (mut again, mut behind) = (None, None);
    let time = pass.xs.dim().0;
    for k in (0..pass.states.len()).rev() {
        let (start, kept) = segment(net, pass, k, &mut again)?;
        let steps = Slice::from(start..time.min(start + pass.every));
        let d = Upstream {
            outputs: d.outputs.as_ref().map(|d| d.slice_axis(Axis(0), steps)),
            final_state: behind
                .as_ref()
                .map_or(d.final_state, |(d_state, _)| Some(d_state)),
        };
        if let Some(found) = net.layer.backward_origin(kept, d)? {
            let mut found = found.later(start);
            // Of a sequence that has ended in an earlier segment, it is handed on to that.
            if let (Part::FinalState, Some(at), Some(b)) =
                (found.part, &mut found.at, found.sequence)
            {
                at.time = pass.lengths.length(b, time).saturating_sub(1);
            }
            return Ok(Some(found));
        }
        let mut back = net.layer.backward(kept, d)?;
        if let Some((_, sum)) = &behind {
            add_all(sum, &mut back.grads)?;
        }
        if let Some(sum) = sum(&back.grads)? {
            return Ok(Some(sum));
        }
        behind = Some((back.d_state0, back.grads));
    }
    Ok(None)
}

/// A parameter's gradient that is finite in each segment, and in their sum is not.
fn sum(grads: &impl TensorSet) -> Result<Option<Origin>> {
    let spot = first(grads, &|_| true)?;
    Ok(spot.map(|spot| spot.of_gradient(None).because(Cause::Sum)))
}

/// Segment k: its first step, and what its pass keeps.
fn segment<'a, L: Layer>(
    net: &Checkpointed<L>,
    pass: &'a CheckpointedPass<L>,
    k: usize,
    again: &'a mut Option<L::Pass>,
) -> Result<(usize, &'a L::Pass)> {
    let start = k * pass.every;
    if k + 1 == pass.states.len() {
        return Ok((start, &pass.last));
    }
    let xs = pass.lengths.of(Sequence::new(pass.xs.view()))?;
    let xs = xs.steps(start..start + pass.every);
    net.layer.forward_into(xs, &pass.states[k], again)?;
    let kept = again.as_ref();
    Ok((
        start,
        kept.ok_or_else(|| nothing("passes that a layer made"))?,
    ))
}
