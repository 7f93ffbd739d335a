//! Memory bought with time: some states are kept, and what lies between them is computed again.

use alloc::vec::Vec;
use core::fmt;

use ndarray::{Array3, ArrayView3, Axis, Ix3, Slice};

use super::layer::nothing;
use super::lengths::Lengths;
use super::linear::make_room;
use super::rows::{add_all, copy_all};
use super::{At, Backward, Hook, Layer, RecurrentCell, Sequence, Trace, Upstream, Working};
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
/// What is kept for T steps is T/k states, what the layer keeps of k steps, and what every pass has: the inputs, and the
/// outputs, which [`Trace::outputs`] lends. With k = √T, which is taken if nothing else is said, that is O(√T)
/// beside inputs and outputs. Of the layers within a stack, outputs are not kept: put the stack into one of these, not its
/// layers each into its own.
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

/// What a [`Checkpointed`] layer keeps of a forward pass.
///
/// # Examples
///
/// ```
/// use ndarray::Array3;
/// use steadygrad::recurrent::{Checkpointed, CheckpointedPass, Layer, Rnn};
///
/// fn kept(pass: &CheckpointedPass<Rnn<f64>>) -> usize {
///     pass.states().len()
/// }
///
/// let sparing = Checkpointed::new(Rnn::<f64>::builder(2, 5).build(&mut || 0.75)?).every(4)?;
/// assert_eq!(kept(&sparing.forward(Array3::ones((9, 3, 2)).view(), &sparing.zero_state(3))?), 3);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct CheckpointedPass<L: Layer> {
    xs: Array3<L::Elem>,
    lengths: Lengths,
    every: usize,
    states: Vec<L::State>,
    outputs: Array3<L::Elem>,
    /// What the layer keeps of the last segment.
    last: L::Pass,
}

impl<L: Layer> fmt::Debug for CheckpointedPass<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckpointedPass")
            .field("every", &self.every)
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

impl<L: Layer> CheckpointedPass<L> {
    /// The outputs of all steps: `[time, batch, outputs]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::{Checkpointed, Layer, Rnn};
    ///
    /// let sparing = Checkpointed::new(Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?);
    /// let pass = sparing.forward(Array3::ones((9, 3, 2)).view(), &sparing.zero_state(3))?;
    /// assert_eq!(pass.outputs().dim(), (9, 3, 5));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn outputs(&self) -> ArrayView3<'_, L::Elem> {
        self.outputs.view()
    }

    /// The state after the last step.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, Axis};
    /// use steadygrad::recurrent::{Checkpointed, Layer, Rnn};
    ///
    /// let sparing = Checkpointed::new(Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?);
    /// let pass = sparing.forward(Array3::ones((9, 3, 2)).view(), &sparing.zero_state(3))?;
    /// assert_eq!(pass.final_state().h, pass.outputs().index_axis(Axis(0), 8));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn final_state(&self) -> L::State {
        self.last.final_state()
    }

    /// The states that were kept: the initial one, and each k-th after it but the final one.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, Axis};
    /// use steadygrad::recurrent::{Checkpointed, Layer, Rnn};
    ///
    /// let sparing = Checkpointed::new(Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?).every(4)?;
    /// let pass = sparing.forward(Array3::ones((8, 3, 2)).view(), &sparing.zero_state(3))?;
    /// assert_eq!(pass.states().len(), 2);
    /// assert_eq!(pass.states()[1].h, pass.outputs().index_axis(Axis(0), 3));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn states(&self) -> &[L::State] {
        &self.states
    }
}

impl<L: Layer> Trace for CheckpointedPass<L> {
    type Elem = L::Elem;
    type State = L::State;

    fn outputs(&self) -> ArrayView3<'_, L::Elem> {
        self.outputs()
    }

    fn final_state(&self) -> L::State {
        self.final_state()
    }

    fn final_state_into(&self, state: &mut L::State) {
        self.last.final_state_into(state);
    }
}

impl<L: Layer> Layer for Checkpointed<L> {
    type Elem = L::Elem;
    type State = L::State;
    type At<'t> = L::At<'t>;
    type Pass = CheckpointedPass<L>;
    type Grads = L::Grads;
    /// What the layer keeps of a segment that is computed again, and its gradients.
    type Space = Working<(Option<L::Pass>, Option<Backward<L>>)>;

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
        let (mut states, mut outputs, mut segment) = (Vec::new(), none(), None);
        if let Some(last) = pass.take() {
            (kept, lengths, states) = (last.xs, last.lengths, last.states);
            (outputs, segment) = (last.outputs, Some(last.last));
        }
        one_direction(&self.layer)?;
        let xs = xs.into();
        let (time, batch, _) = xs.xs().dim();
        let every = self.every.unwrap_or_else(|| root(time));
        lengths.keep(&xs);
        make_room(&mut kept, "inputs", xs.xs().raw_dim())?;
        kept.assign(&xs.xs());

        // At least one, so that an empty sequence is what the layer makes of it.
        let segments = time.div_ceil(every).max(1);
        states.truncate(segments);
        for k in 0..segments {
            match (states.get_mut(k), &segment) {
                (Some(state), _) if k == 0 => assign(s0, state),
                (Some(state), Some(segment)) => segment.final_state_into(state),
                (_, Some(segment)) if k > 0 => states.push(segment.final_state()),
                _ => states.push(s0.clone()),
            }
            let (start, end) = (k * every, time.min((k + 1) * every));
            let part = xs.steps(start..end);
            self.layer.forward_into(part, &states[k], &mut segment)?;
            let made = segment.as_ref();
            let made = made.ok_or_else(|| nothing("passes that a layer made"))?;
            let width = made.outputs().dim().2;
            make_room(&mut outputs, "outputs", Ix3(time, batch, width))?;
            let mut part = outputs.slice_axis_mut(Axis(0), Slice::from(start..end));
            part.assign(&made.outputs());
        }
        *pass = Some(CheckpointedPass {
            xs: kept,
            lengths,
            every,
            states,
            outputs,
            last: segment.ok_or_else(|| nothing("passes that a layer made"))?,
        });
        Ok(())
    }

    fn backward_into(
        &self,
        pass: &CheckpointedPass<L>,
        d: Upstream<'_, Self>,
        at: &mut Hook<'_, Self>,
        back: &mut Option<Backward<Self>>,
    ) -> Result<()> {
        let (mut grads, mut d_state, mut d_inputs) = (None, None, Array3::zeros((0, 0, 0)));
        let mut space = Working::default();
        if let Some(last) = back.take() {
            (grads, d_state) = (Some(last.grads), Some(last.d_state0));
            (d_inputs, space) = (last.d_inputs, last.space);
        }
        let Working((again, found)) = &mut space;
        d.check_outputs(pass.outputs.shape())?;
        make_room(&mut d_inputs, "input gradients", pass.xs.raw_dim())?;
        d_inputs.fill(num_traits::Zero::zero());
        let xs = pass.lengths.of(Sequence::new(pass.xs.view()))?;
        let (time, every, mut stopped_at) = (pass.xs.dim().0, pass.every, None);

        for (k, s0) in pass.states.iter().enumerate().rev() {
            let (start, end) = (k * every, time.min((k + 1) * every));
            let steps = Slice::from(start..end);
            let is_last = k + 1 == pass.states.len();
            let segment = if is_last {
                &pass.last
            } else {
                self.layer.forward_into(xs.steps(start..end), s0, again)?;
                again
                    .as_ref()
                    .ok_or_else(|| nothing("passes that a layer made"))?
            };
            let d = Upstream {
                outputs: d.outputs.map(|mut d| {
                    d.slice_axis_inplace(Axis(0), steps);
                    d
                }),
                final_state: if is_last {
                    d.final_state
                } else {
                    d_state.as_ref()
                },
            };
            let seen = |place: At| At {
                time: place.time + start,
                ..place
            };
            let hook: &mut Hook<'_, L> = &mut |place, d| at(seen(place), d);
            self.layer.backward_into(segment, d, hook, found)?;
            let Some(mut made) = found.take() else {
                return Err(nothing("gradients that a layer made"));
            };
            d_inputs
                .slice_axis_mut(Axis(0), steps)
                .assign(&made.d_inputs);
            stopped_at = made.stopped_at.map(seen);
            match &mut d_state {
                Some(d_state) => core::mem::swap(d_state, &mut made.d_state0),
                None => d_state = Some(made.d_state0.clone()),
            }
            let copied = match &mut grads {
                Some(grads) if !is_last => add_all(&made.grads, grads).map(|()| true)?,
                Some(grads) => copy_all(&made.grads, grads).is_ok(),
                None => false,
            };
            if copied {
                *found = Some(made);
            } else {
                // The layer makes others for the next segment.
                grads = Some(made.grads);
            }
            if stopped_at.is_some() {
                break;
            }
        }
        let (Some(grads), Some(d_state0)) = (grads, d_state) else {
            return Err(nothing("gradients that a layer made"));
        };
        *back = Some(Backward {
            grads,
            d_inputs,
            d_state0,
            stopped_at,
            space,
        });
        Ok(())
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

/// Copies a state, into the memory there is if that is of the same shape.
fn assign<S: TensorSetMut + Clone>(from: &S, to: &mut S) {
    if copy_all(from, to).is_err() {
        to.clone_from(from);
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
