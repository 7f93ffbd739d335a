//! Layers of one kind, one on the other.

use alloc::vec::Vec;

use ndarray::{Array3, ArrayView2, ArrayView3};

use super::{Stacked, step_with_output};
use crate::recurrent::layer::nothing;
use crate::recurrent::{
    At, Backward, Hook, Layer, Origin, RecurrentCell, Sequence, Trace, Upstream, Working,
};
use crate::{Error, Result};

/// What a [`Stacked`] list of layers keeps of a forward pass: that of each.
///
/// # Examples
///
/// ```
/// use ndarray::{Array3, array};
/// use steadygrad::recurrent::{Activation, Layer, Rnn, Stacked, StackedPass, Trace};
///
/// fn of_the_first<P: Trace>(pass: &StackedPass<P>) -> Option<&P> {
///     pass.layers().next()
/// }
///
/// let rnn = Rnn::new(array![[1.0]], array![[1.0]], array![0.0], Activation::Identity)?;
/// let stack = Stacked(vec![rnn; 2]);
/// let pass = stack.forward(Array3::ones((3, 1, 1)).view(), &stack.zero_state(1))?;
/// assert_eq!(of_the_first(&pass).map(|pass| pass.outputs()), Some(array![[[1.0]], [[2.0]], [[3.0]]].view()));
/// assert_eq!(pass.outputs(), array![[[1.0]], [[3.0]], [[6.0]]]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct StackedPass<P> {
    /// Of all layers but the last.
    lower: Vec<Option<P>>,
    last: P,
}

impl<P: Trace> StackedPass<P> {
    /// The outputs of the last layer: `[time, batch, outputs]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, Layer, Rnn, Stacked};
    ///
    /// let rnn = Rnn::new(array![[1.0]], array![[1.0]], array![0.0], Activation::Identity)?;
    /// let stack = Stacked(vec![rnn; 2]);
    /// let pass = stack.forward(Array3::ones((3, 1, 1)).view(), &stack.zero_state(1))?;
    /// assert_eq!(pass.outputs(), array![[[1.0]], [[3.0]], [[6.0]]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn outputs(&self) -> ArrayView3<'_, P::Elem> {
        self.last.outputs()
    }

    /// The state of each layer after the last step.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, Layer, Rnn, Stacked};
    ///
    /// let rnn = Rnn::new(array![[1.0]], array![[1.0]], array![0.0], Activation::Identity)?;
    /// let stack = Stacked(vec![rnn; 2]);
    /// let pass = stack.forward(Array3::ones((3, 1, 1)).view(), &stack.zero_state(1))?;
    /// let last: Vec<f64> = pass.final_state().iter().map(|state| state.h[[0, 0]]).collect();
    /// assert_eq!(last, [3.0, 6.0]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn final_state(&self) -> Vec<P::State> {
        self.layers().map(Trace::final_state).collect()
    }

    /// What each layer keeps, from the inputs on.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, Layer, Rnn, Stacked};
    ///
    /// let rnn = Rnn::new(array![[1.0]], array![[1.0]], array![0.0], Activation::Identity)?;
    /// let stack = Stacked(vec![rnn; 2]);
    /// let pass = stack.forward(Array3::ones((3, 1, 1)).view(), &stack.zero_state(1))?;
    /// let sums: Vec<f64> = pass.layers().map(|pass| pass.outputs().sum()).collect();
    /// assert_eq!(sums, [6.0, 10.0]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn layers(&self) -> impl DoubleEndedIterator<Item = &P> {
        self.lower.iter().flatten().chain([&self.last])
    }
}

impl<P: Trace> Trace for StackedPass<P> {
    type Elem = P::Elem;
    type State = Vec<P::State>;

    fn outputs(&self) -> ArrayView3<'_, P::Elem> {
        self.outputs()
    }

    fn final_state(&self) -> Vec<P::State> {
        self.final_state()
    }

    fn final_state_into(&self, states: &mut Vec<P::State>) {
        if states.len() == self.layers().count() {
            for (pass, state) in self.layers().zip(states) {
                pass.final_state_into(state);
            }
        } else {
            *states = self.final_state();
        }
    }
}

/// What is left of the gradients of each layer, once those of its parameters and of its state are with all the others'.
type Left<L> = Vec<(<L as Layer>::Space, Array3<<L as Layer>::Elem>)>;

/// Where they are put together again.
type Room<L> = Vec<Option<Backward<L>>>;

impl<L: Layer> Stacked<Vec<L>> {
    /// How many layers a pass is of, if as many as there are.
    fn check_layers(&self, pass: &StackedPass<L::Pass>) -> Result<usize> {
        let (expected, found) = (self.0.len(), pass.layers().count());
        if found == expected {
            Ok(found)
        } else {
            Err(Error::Count {
                what: "layers of the pass",
                expected,
                found,
            })
        }
    }

    fn check(&self, states: &[L::State], what: &'static str) -> Result<()> {
        let (expected, found) = (self.0.len(), states.len());
        if found == expected {
            Ok(())
        } else {
            Err(Error::Count {
                what,
                expected,
                found,
            })
        }
    }
}

impl<L: Layer> Layer for Stacked<Vec<L>> {
    type Elem = L::Elem;
    type State = Vec<L::State>;
    type At<'t> = L::At<'t>;
    type Pass = StackedPass<L::Pass>;
    type Grads = Vec<L::Grads>;
    type Space = Working<(Left<L>, Room<L>)>;

    fn layers(&self) -> usize {
        self.0.iter().map(Layer::layers).sum()
    }

    fn directions(&self) -> usize {
        self.0.iter().map(Layer::directions).max().unwrap_or(1)
    }

    fn zero_state(&self, batch: usize) -> Vec<L::State> {
        let layers = self.0.iter();
        layers.map(|layer| layer.zero_state(batch)).collect()
    }

    fn forward_into<'a>(
        &self,
        xs: impl Into<Sequence<'a, L::Elem>>,
        s0: &Vec<L::State>,
        pass: &mut Option<StackedPass<L::Pass>>,
    ) -> Result<()> {
        let (mut lower, mut last) = match pass.take() {
            Some(pass) => (pass.lower, Some(pass.last)),
            None => (Vec::new(), None),
        };
        let Some((top, layers)) = self.0.split_last() else {
            return Err(nothing("layers of a stack"));
        };
        self.check(s0, "states of a stack")?;
        let xs = xs.into();
        lower.resize_with(layers.len(), || None);
        for (k, layer) in layers.iter().enumerate() {
            let (done, rest) = lower.split_at_mut(k);
            let xs = outputs_of(done, xs.reborrow())?;
            layer.forward_into(xs, &s0[k], &mut rest[0])?;
        }
        let xs = outputs_of(&lower, xs.reborrow())?;
        top.forward_into(xs, &s0[layers.len()], &mut last)?;
        let last = last.ok_or_else(|| nothing("passes that a layer made"))?;
        *pass = Some(StackedPass { lower, last });
        Ok(())
    }

    fn backward_into(
        &self,
        pass: &StackedPass<L::Pass>,
        d: Upstream<'_, Self>,
        mut at: Option<&mut Hook<'_, Self>>,
        back: &mut Option<Backward<Self>>,
    ) -> Result<()> {
        let (mut grads, mut d_states, mut space) = (Vec::new(), Vec::new(), Working::default());
        if let Some(last) = back.take() {
            (grads, d_states, space) = (last.grads, last.d_state0, last.space);
            if let Some((_, d_inputs)) = space.0.0.first_mut() {
                *d_inputs = last.d_inputs;
            }
        }
        let Working((left, room)) = &mut space;
        let all = grads.drain(..).zip(d_states.drain(..)).zip(left.drain(..));
        room.extend(all.map(|((grads, d_state0), (space, d_inputs))| {
            Some(Backward {
                space,
                ..Backward::new(grads, d_inputs, d_state0)
            })
        }));
        room.resize_with(self.0.len(), || None);

        let passes = self.check_layers(pass)?;
        if let Some(d) = d.final_state {
            self.check(d, "final state gradients of a stack")?;
        }
        let mut below = self.layers();
        let mut stopped_at = None;
        for (k, pass) in (0..passes).rev().zip(pass.layers().rev()) {
            let layer = &self.0[k];
            below -= layer.layers();
            let raised = |place: At| At {
                layer: place.layer + below,
                ..place
            };
            let (rest, done) = room.split_at_mut(k + 1);
            let d = Upstream {
                outputs: match done.first() {
                    Some(above) => above.as_ref().map(|above| above.d_inputs.view()),
                    None => d.outputs,
                },
                final_state: d.final_state.map(|d| &d[k]),
            };
            match &mut at {
                None => layer.backward_into(pass, d, None, &mut rest[k])?,
                Some(at) => {
                    let hook: &mut Hook<'_, L> = &mut |place, d| at(raised(place), d);
                    layer.backward_into(pass, d, Some(hook), &mut rest[k])?;
                }
            }
            let made = rest[k].as_ref();
            let made = made.ok_or_else(|| nothing("gradients that a layer made"))?;
            stopped_at = stopped_at.or(made.stopped_at.map(raised));
        }

        for made in room.drain(..).flatten() {
            grads.push(made.grads);
            d_states.push(made.d_state0);
            left.push((made.space, made.d_inputs));
        }
        let first = left.first_mut();
        let d_inputs = first.map(|(_, d_inputs)| core::mem::take(d_inputs));
        *back = Some(Backward {
            grads,
            d_inputs: d_inputs.ok_or_else(|| nothing("layers of a stack"))?,
            d_state0: d_states,
            stopped_at,
            space,
        });
        Ok(())
    }

    fn forward_origin(&self, pass: &StackedPass<L::Pass>) -> Result<Option<Origin>> {
        self.check_layers(pass)?;
        let mut below = 0;
        for (k, (layer, pass)) in self.0.iter().zip(pass.layers()).enumerate() {
            if let Some(found) = layer.forward_origin(pass)? {
                return Ok(Some(found.raised(below).under(k)));
            }
            below += layer.layers();
        }
        Ok(None)
    }

    fn backward_origin(
        &self,
        pass: &StackedPass<L::Pass>,
        d: Upstream<'_, Self>,
    ) -> Result<Option<Origin>> {
        self.check_layers(pass)?;
        if let Some(d) = d.final_state {
            self.check(d, "final state gradients of a stack")?;
        }
        let mut below = self.layers();
        let mut between: Option<Array3<L::Elem>> = None;
        for (k, pass) in (0..self.0.len()).rev().zip(pass.layers().rev()) {
            let layer = &self.0[k];
            below -= layer.layers();
            let d = Upstream {
                outputs: between.as_ref().map_or(d.outputs, |d| Some(d.view())),
                final_state: d.final_state.map(|d| &d[k]),
            };
            if let Some(found) = layer.backward_origin(pass, d)? {
                return Ok(Some(found.raised(below).under(k)));
            }
            if k > 0 {
                between = Some(layer.backward(pass, d)?.d_inputs);
            }
        }
        Ok(None)
    }
}

impl<L: RecurrentCell> RecurrentCell for Stacked<Vec<L>> {
    fn step(&self, x: ArrayView2<'_, L::Elem>, s: &Vec<L::State>) -> Result<Vec<L::State>> {
        let Some((top, layers)) = self.0.split_last() else {
            return Err(nothing("layers of a stack"));
        };
        self.check(s, "states of a stack")?;
        let mut next = Vec::with_capacity(s.len());
        let mut x = x.to_owned();
        for (layer, s) in layers.iter().zip(s) {
            let (output, state) = step_with_output(layer, &x, s)?;
            next.push(state);
            x = output;
        }
        next.push(top.step(x.view(), &s[layers.len()])?);
        Ok(next)
    }
}

/// What the layer on these gets: their outputs, or what the first of all got.
fn outputs_of<'a, P: Trace>(
    lower: &'a [Option<P>],
    xs: Sequence<'a, P::Elem>,
) -> Result<Sequence<'a, P::Elem>> {
    match lower.last() {
        None => Ok(xs),
        Some(Some(pass)) => xs.with_xs(pass.outputs()),
        Some(None) => Err(nothing("passes that a layer made")),
    }
}
