//! Memory bought with time: some states are kept, and what lies between them is computed again.

mod origin;
mod pass;

pub use pass::CheckpointedPass;

use alloc::vec::Vec;
use core::ops::Range;

use ndarray::{Array3, Axis, Ix3, Slice};

use crate::recurrent::layer::nothing;
use crate::recurrent::lengths::Lengths;
use crate::recurrent::linear::make_room;
use crate::recurrent::rows::{add_all, copy_all};
use crate::recurrent::{
    At, Backward, Hook, Layer, Origin, RecurrentCell, Sequence, Trace, Upstream, Working,
};
use crate::set::{Visitor, VisitorMut};
use crate::{Error, Reading, Result, TensorSet, TensorSetMut, Writing};

/// A layer that keeps every k-th state of a forward pass only, and computes the steps between them once more on the way
/// back.
///
/// ```text
/// forwards:   s_0 ─► … ─► s_k ─► … ─► s_2k ─► …        s_0, s_k, s_2k, … are kept
/// backwards:  s_2k ─► … and back, s_k ─► … and back, s_0 ─► … and back
/// ```
///
/// Outputs, states and the gradients of inputs and initial state are those of the layer, bit for bit; the gradients of
/// parameters are those of the layer over the same segments one by one, summed from the last to the first. The price is
/// a second forward pass.
///
/// What is kept for T steps is T/k states, what the layer keeps of two times k steps (three on the way back), and what
/// every pass has: the inputs, and the outputs, which [`Trace::outputs`] lends. With k = √T, which is taken if nothing
/// else is said, that is O(√T) beside inputs and outputs. Of the layers within a stack, outputs are not kept: put the
/// stack into one of these, not its layers each into its own.
///
/// # Examples
///
/// ```
/// use ndarray::Array3;
/// use steadygrad::recurrent::{Checkpointed, Layer, Lstm};
///
/// let lstm = Lstm::<f32>::builder(2, 5).build(&mut || 0.75)?;
/// let long = Array3::ones((1000, 3, 2));
/// let sparing = Checkpointed::new(lstm.clone()).every(25)?;
/// let (pass, plain) = (
///     sparing.forward(long.view(), &lstm.zero_state(3))?,
///     lstm.forward(long.view(), &lstm.zero_state(3))?,
/// );
/// assert_eq!((pass.states().len(), pass.outputs()), (40, plain.outputs()));
/// let (back, plain) = (sparing.backward(&pass, pass.outputs())?, lstm.backward(&plain, plain.outputs())?);
/// assert_eq!(back.d_inputs, plain.d_inputs);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// - Chen, Xu, Zhang and Guestrin, "Training deep nets with sublinear memory cost", 2016, arXiv:1604.06174.
/// - Gruslys, Munos, Danihelka, Lanctot and Graves, "Memory-efficient backpropagation through time", 2016,
///   arXiv:1606.03401.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Checkpointed<L> {
    /// The layer.
    pub layer: L,
    every: Option<usize>,
}

impl<L> Checkpointed<L> {
    /// Keeps every ⌈√T⌉-th state of T.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::{Checkpointed, Layer, Rnn};
    ///
    /// let sparing = Checkpointed::new(Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?);
    /// let pass = sparing.forward(Array3::ones((100, 3, 2)).view(), &sparing.zero_state(3))?;
    /// assert_eq!(pass.states().len(), 10);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn new(layer: L) -> Self {
        Self { layer, every: None }
    }

    /// Keeps every k-th state.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::{Checkpointed, Rnn};
    ///
    /// let rnn = Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?;
    /// assert!(Checkpointed::new(rnn.clone()).every(32).is_ok());
    /// let error = Checkpointed::new(rnn).every(0).unwrap_err();
    /// assert_eq!(error.to_string(), "steps from one kept state to the next: expected at least 1, found 0");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if k is zero.
    pub fn every(self, k: usize) -> Result<Self> {
        if k == 0 {
            return Err(Error::Setting {
                what: "steps from one kept state to the next",
                expected: "at least 1",
                found: 0.0,
            });
        }
        Ok(Self {
            every: Some(k),
            ..self
        })
    }
}

impl<L: TensorSet> TensorSet for Checkpointed<L> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.layer.visit(f)
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        self.layer.measure(reading)
    }
}

impl<L: TensorSetMut> TensorSetMut for Checkpointed<L> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        self.layer.visit_mut(f)
    }

    fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        self.layer.carry_out(writing)
    }
}

/// What is left of gradients once those of the parameters and of the state are taken out.
type Left<L> = (<L as Layer>::Space, Array3<<L as Layer>::Elem>);

impl<L: Layer> Layer for Checkpointed<L> {
    type Elem = L::Elem;
    type State = L::State;
    type At<'t> = L::At<'t>;
    type Pass = CheckpointedPass<L>;
    type Grads = L::Grads;
    /// What the layer keeps of a segment that is computed again, its gradients, and what is left of those of the last.
    type Space = Working<(Option<L::Pass>, Option<Backward<L>>, Option<Left<L>>)>;

    fn layers(&self) -> usize {
        self.layer.layers()
    }

    fn zero_state(&self, batch: usize) -> L::State {
        self.layer.zero_state(batch)
    }

    fn forward_into<'a>(
        &self,
        xs: impl Into<Sequence<'a, L::Elem>>,
        s0: &L::State,
        pass: &mut Option<CheckpointedPass<L>>,
    ) -> Result<()> {
        let none = || Array3::zeros((0, 0, 0));
        let (mut kept, mut lengths) = (none(), Lengths::default());
        let (mut states, mut outputs) = (Vec::new(), none());
        let (mut segment, mut last) = (Working(None), None);
        if let Some(before) = pass.take() {
            (kept, lengths, states) = (before.xs, before.lengths, before.states);
            (outputs, segment, last) = (before.outputs, before.segment, Some(before.last));
        }
        one_direction(&self.layer)?;
        let xs = xs.into();
        let (time, batch, _) = xs.xs().dim();
        let every = self.every.unwrap_or_else(|| root(time));
        lengths.keep(&xs);
        make_room(&mut kept, "inputs", xs.xs().raw_dim())?;
        kept.assign(&xs.xs());

        // At least one segment, so that an empty sequence is what the layer makes of it.
        let segments = time.div_ceil(every).max(1);
        states.truncate(segments);
        let first = states.first_mut();
        if first.is_none_or(|state| copy_all(s0, state).is_err()) {
            states.clear();
            states.push(s0.clone());
        }
        for k in 0..segments {
            let is_last = k + 1 == segments;
            let made = if is_last { &mut last } else { &mut segment.0 };
            let (start, end) = (k * every, time.min((k + 1) * every));
            let part = xs.steps(start..end);
            self.layer.forward_into(part, &states[k], made)?;
            let made = made.as_ref();
            let made = made.ok_or_else(|| nothing("passes that a layer made"))?;
            let width = made.outputs().dim().2;
            make_room(&mut outputs, "outputs", Ix3(time, batch, width))?;
            let mut part = outputs.slice_axis_mut(Axis(0), Slice::from(start..end));
            part.assign(&made.outputs());
            match states.get_mut(k + 1) {
                _ if is_last => (),
                Some(state) => made.final_state_into(state),
                None => states.push(made.final_state()),
            }
        }
        *pass = Some(CheckpointedPass {
            xs: kept,
            lengths,
            every,
            states,
            outputs,
            last: last.ok_or_else(|| nothing("passes that a layer made"))?,
            segment,
        });
        Ok(())
    }

    fn backward_into(
        &self,
        pass: &CheckpointedPass<L>,
        d: Upstream<'_, Self>,
        mut at: Option<&mut Hook<'_, Self>>,
        back: &mut Option<Backward<Self>>,
    ) -> Result<()> {
        let (mut again, mut found, mut last) = (None, None, None);
        let mut d_inputs = Array3::zeros((0, 0, 0));
        if let Some(before) = back.take() {
            let Working((pass, segment, left)) = before.space;
            (again, found, d_inputs) = (pass, segment, before.d_inputs);
            last = left.map(|(space, d_inputs)| Backward {
                space,
                ..Backward::new(before.grads, d_inputs, before.d_state0)
            });
        }
        d.check_outputs(pass.outputs.shape())?;
        make_room(&mut d_inputs, "input gradients", pass.xs.raw_dim())?;
        d_inputs.fill(num_traits::Zero::zero());
        let xs = pass.lengths.of(Sequence::new(pass.xs.view()))?;
        let (time, every) = (pass.xs.dim().0, pass.every);
        let steps = |k: usize| k * every..time.min((k + 1) * every);
        let mut way_back = |k: usize,
                            kept: &L::Pass,
                            final_state: Option<&L::State>,
                            back: &mut Option<Backward<L>>| {
            let steps: Range<usize> = steps(k);
            let (start, steps) = (steps.start, Slice::from(steps));
            let d = Upstream {
                outputs: d.outputs.as_ref().map(|d| d.slice_axis(Axis(0), steps)),
                final_state,
            };
            let seen = |place: At| At {
                time: place.time + start,
                ..place
            };
            match &mut at {
                None => self.layer.backward_into(kept, d, None, back)?,
                Some(at) => {
                    let hook: &mut Hook<'_, L> = &mut |place, d| at(seen(place), d);
                    self.layer.backward_into(kept, d, Some(hook), back)?;
                }
            }
            let made = back.as_ref();
            let made = made.ok_or_else(|| nothing("gradients that a layer made"))?;
            let mut part = d_inputs.slice_axis_mut(Axis(0), steps);
            part.assign(&made.d_inputs);
            Ok(made.stopped_at.map(seen))
        };

        let Some((_, earlier)) = pass.states.split_last() else {
            return Err(nothing("segments of the pass"));
        };
        let mut stopped_at = way_back(earlier.len(), &pass.last, d.final_state, &mut last)?;
        let mut last = last.ok_or_else(|| nothing("gradients that a layer made"))?;
        for (k, s0) in earlier.iter().enumerate().rev() {
            if stopped_at.is_some() {
                break;
            }
            self.layer
                .forward_into(xs.steps(steps(k)), s0, &mut again)?;
            let kept = again.as_ref();
            let kept = kept.ok_or_else(|| nothing("passes that a layer made"))?;
            stopped_at = way_back(k, kept, Some(&last.d_state0), &mut found)?;
            if let Some(made) = &mut found {
                add_all(&made.grads, &mut last.grads)?;
                core::mem::swap(&mut made.d_state0, &mut last.d_state0);
            }
        }
        *back = Some(Backward {
            grads: last.grads,
            d_inputs,
            d_state0: last.d_state0,
            stopped_at,
            space: Working((again, found, Some((last.space, last.d_inputs)))),
        });
        Ok(())
    }

    fn forward_origin(&self, pass: &CheckpointedPass<L>) -> Result<Option<Origin>> {
        origin::forward(self, pass)
    }

    fn backward_origin(
        &self,
        pass: &CheckpointedPass<L>,
        d: Upstream<'_, Self>,
    ) -> Result<Option<Origin>> {
        origin::backward(self, pass, d)
    }
}

/// Nothing is kept for a way back in any case.
impl<L: RecurrentCell> RecurrentCell for Checkpointed<L> {
    fn step(&self, x: ndarray::ArrayView2<'_, L::Elem>, s: &L::State) -> Result<L::State> {
        self.layer.step(x, s)
    }
}

/// Refuses a layer that does not end in the state in which the next segment begins.
pub(super) fn one_direction<L: Layer>(layer: &L) -> Result<()> {
    match layer.directions() {
        1 => Ok(()),
        found => Err(Error::Count {
            what: "directions of a layer whose sequences are cut",
            expected: 1,
            found,
        }),
    }
}

/// ⌈√n⌉, at least 1.
fn root(n: usize) -> usize {
    let root = n.isqrt();
    (root + usize::from(root * root < n)).max(1)
}

#[cfg(test)]
mod tests {
    use super::root;

    #[test]
    fn a_root_is_rounded_up() {
        let roots = [0, 1, 2, 4, 5, 1000].map(root);
        assert_eq!(roots, [1, 1, 2, 2, 3, 32]);
    }
}
