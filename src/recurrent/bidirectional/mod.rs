//! A layer from the start, and one from the end.

mod origin;
mod pass;

pub use pass::BidirectionalPass;

use ndarray::{Array3, Axis, Ix3};

use crate::recurrent::layer::nothing;
use crate::recurrent::lengths::Lengths;
use crate::recurrent::linear::{check, make_room};
use crate::recurrent::{
    At, Backward, Directions, Hook, Layer, Origin, Sequence, Trace, Upstream, Working,
};
use crate::{Result, TensorSetMut, tensor_set};

/// Two layers of one kind along the same sequence, one from its start and one from its end.
///
/// ```text
/// y_t = [→h_t, ←h_t]    or    y_t = →h_t + ←h_t
/// ```
///
/// Outputs and states are PyTorch's: the reverse output at step t knows the inputs from t on, and the reverse final state
/// is the one after the first input. Of sequences of different [lengths](Sequence::lengths) each is turned round within
/// its own, so the padding stays at the end.
///
/// A hook sees the reverse layer with [`At::reverse`] set and the time along the sequence: its steps come back in the
/// order 0, 1, …. Where sequences are shorter than the array, the row of a sequence shorter by k steps is of the step
/// `at.time` − k. A break cuts its own direction only; what is left out lies before the cut in the order of that
/// layer, which for the reverse one are the steps from `at.time` on.
///
/// # Examples
///
/// ```
/// use ndarray::{Array3, array};
/// use steadygrad::recurrent::{Activation, Bidirectional, Layer, Merge, Rnn};
///
/// let rnn = Rnn::new(array![[1.0]], array![[0.5]], array![0.0], Activation::Identity)?;
/// let net = Bidirectional::new(rnn.clone(), rnn);
/// let xs = array![[[1.0]], [[2.0]], [[4.0]]];
/// let pass = net.forward(xs.view(), &net.zero_state(1))?;
/// assert_eq!(pass.outputs(), array![[[1.0, 3.0]], [[2.5, 4.0]], [[5.25, 4.0]]]);
///
/// let back = net.backward(&pass, Array3::ones((3, 1, 2)).view())?;
/// assert_eq!(back.d_inputs, array![[[2.75]], [[3.0]], [[2.75]]]);
/// assert_eq!(back.grads.reverse.w_in, array![[11.0]]);
///
/// let net = net.merge(Merge::Sum);
/// let pass = net.forward(xs.view(), &net.zero_state(1))?;
/// assert_eq!(pass.outputs(), array![[[4.0]], [[6.5]], [[9.25]]]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// - Schuster and Paliwal, "Bidirectional recurrent neural networks", 1997.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bidirectional<L> {
    /// The layer that runs from the start to the end.
    pub forwards: L,
    /// The layer that runs from the end to the start.
    pub reverse: L,
    merge: Merge,
}

tensor_set!(impl[L: TensorSetMut] Bidirectional<L> { forwards, reverse });

/// What becomes of the outputs of two directions.
///
/// # Examples
///
/// ```
/// use ndarray::Array3;
/// use steadygrad::recurrent::{Bidirectional, Layer, Merge, Rnn};
///
/// let rnn = Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?;
/// for (merge, outputs) in [(Merge::Concatenate, 10), (Merge::Sum, 5)] {
///     let net = Bidirectional::new(rnn.clone(), rnn.clone()).merge(merge);
///     let pass = net.forward(Array3::ones((9, 3, 2)).view(), &net.zero_state(3))?;
///     assert_eq!(pass.outputs().dim(), (9, 3, outputs));
/// }
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Merge {
    /// Side by side, those of the forward layer first: as many as both have together.
    #[default]
    Concatenate,
    /// Added: as many as each has.
    Sum,
}

impl<L> Bidirectional<L> {
    /// Two layers of the same shape, whose outputs are put side by side.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::{Measurement, recurrent::{Bidirectional, Lstm}};
    ///
    /// let uniform = &mut || 0.75;
    /// let (a, b) = (Lstm::<f32>::builder(2, 5).build(uniform)?, Lstm::<f32>::builder(2, 5).build(uniform)?);
    /// assert_eq!(Measurement::of(&Bidirectional::new(a, b))?.name(3), "reverse.w_in");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn new(forwards: L, reverse: L) -> Self {
        Self {
            forwards,
            reverse,
            merge: Merge::Concatenate,
        }
    }

    /// Puts the outputs together in this way.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::{Bidirectional, Layer, Lstm, Merge};
    ///
    /// let lstm = Lstm::<f32>::builder(2, 5).build(&mut || 0.75)?;
    /// let net = Bidirectional::new(lstm.clone(), lstm).merge(Merge::Sum);
    /// let pass = net.forward(Array3::ones((9, 3, 2)).view(), &net.zero_state(3))?;
    /// assert_eq!(pass.outputs().dim(), (9, 3, 5));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn merge(self, merge: Merge) -> Self {
        Self { merge, ..self }
    }
}

impl<L: Layer> Layer for Bidirectional<L> {
    type Elem = L::Elem;
    type State = Directions<L::State>;
    type At<'t> = L::At<'t>;
    type Pass = BidirectionalPass<L::Pass>;
    type Grads = Directions<L::Grads>;
    /// That of either, the input gradients of the reverse one, and two arrays to turn sequences in.
    type Space = Working<(
        Directions<L::Space>,
        Option<Array3<L::Elem>>,
        [Option<Array3<L::Elem>>; 2],
    )>;

    fn layers(&self) -> usize {
        self.forwards.layers().max(self.reverse.layers())
    }

    fn directions(&self) -> usize {
        2
    }

    fn zero_state(&self, batch: usize) -> Self::State {
        Directions {
            forwards: self.forwards.zero_state(batch),
            reverse: self.reverse.zero_state(batch),
        }
    }

    fn forward_into<'a>(
        &self,
        xs: impl Into<Sequence<'a, L::Elem>>,
        s0: &Self::State,
        pass: &mut Option<Self::Pass>,
    ) -> Result<()> {
        let (mut forwards, mut reverse, mut outputs) = (None, None, Array3::zeros((0, 0, 0)));
        let (mut lengths, mut turned) = (Lengths::default(), Working::default());
        if let Some(last) = pass.take() {
            (forwards, reverse) = (Some(last.passes.forwards), Some(last.passes.reverse));
            (outputs, lengths, turned) = (last.outputs, last.lengths, last.turned);
        }
        let xs = xs.into();
        lengths.keep(&xs);
        self.forwards
            .forward_into(xs, &s0.forwards, &mut forwards)?;
        let forwards = forwards.ok_or_else(|| nothing("passes that a layer made"))?;
        let [turned_xs, turned_outputs] = &mut turned.0;
        let inverted = xs.with_xs(lengths.turned(xs.xs(), turned_xs)?)?;
        self.reverse
            .forward_into(inverted, &s0.reverse, &mut reverse)?;
        let reverse = reverse.ok_or_else(|| nothing("passes that a layer made"))?;

        let there = forwards.outputs();
        let back = lengths.turned(reverse.outputs(), turned_outputs)?;
        check("outputs of the reverse layer", back.shape(), there.shape())?;
        let (time, batch, width) = there.dim();
        make_room(
            &mut outputs,
            "outputs",
            Ix3(time, batch, self.merge.width(width)),
        )?;
        match self.merge {
            Merge::Concatenate => {
                let (mut left, mut right) = outputs.view_mut().split_at(Axis(2), width);
                left.assign(&there);
                right.assign(&back);
            }
            Merge::Sum => {
                outputs.assign(&there);
                outputs += &back;
            }
        }
        *pass = Some(BidirectionalPass {
            passes: Directions { forwards, reverse },
            outputs,
            merge: self.merge,
            lengths,
            turned,
        });
        Ok(())
    }

    fn backward_into(
        &self,
        pass: &Self::Pass,
        d: Upstream<'_, Self>,
        mut at: Option<&mut Hook<'_, Self>>,
        back: &mut Option<Backward<Self>>,
    ) -> Result<()> {
        let (mut forwards, mut reverse) = (None, None);
        let mut turned = Working::default();
        if let Some(last) = back.take() {
            let Working((space, d_reverse, room)) = last.space;
            turned = Working(room);
            forwards = Some(Backward {
                space: space.forwards,
                ..Backward::new(last.grads.forwards, last.d_inputs, last.d_state0.forwards)
            });
            reverse = d_reverse.map(|d_inputs| Backward {
                space: space.reverse,
                ..Backward::new(last.grads.reverse, d_inputs, last.d_state0.reverse)
            });
        }
        d.check_outputs(pass.outputs.shape())?;
        let [turned_outputs, turned_inputs] = &mut turned.0;
        let time = pass.outputs.dim().0;
        let (lengths, both) = (&pass.lengths, &pass.passes);

        let Directions {
            forwards: d_forwards,
            reverse: unturned,
        } = pass.merge.split(d);
        // Made anew, since it lives no longer than the room it may stand in.
        let mut d_reverse = Upstream {
            outputs: None,
            final_state: unturned.final_state,
        };
        if let Some(d) = unturned.outputs {
            d_reverse.outputs = Some(lengths.turned(d, turned_outputs)?);
        }

        self.forwards.backward_into(
            &both.forwards,
            d_forwards,
            at.as_deref_mut(),
            &mut forwards,
        )?;
        let forwards = forwards.ok_or_else(|| nothing("gradients that a layer made"))?;
        let seen = |place: At| At {
            time: time.saturating_sub(1).saturating_sub(place.time),
            reverse: !place.reverse,
            ..place
        };
        let passed = &both.reverse;
        match at {
            None => (self.reverse).backward_into(passed, d_reverse, None, &mut reverse)?,
            Some(at) => {
                let hook: &mut Hook<'_, L> = &mut |place, d| at(seen(place), d);
                (self.reverse).backward_into(passed, d_reverse, Some(hook), &mut reverse)?;
            }
        }
        let reverse = reverse.ok_or_else(|| nothing("gradients that a layer made"))?;

        let mut d_inputs = forwards.d_inputs;
        let d_turned = lengths.turned(reverse.d_inputs.view(), turned_inputs)?;
        check(
            "inputs of the reverse layer",
            d_turned.shape(),
            d_inputs.shape(),
        )?;
        d_inputs += &d_turned;
        let [turned_outputs, turned_inputs] = turned.0;
        *back = Some(Backward {
            grads: Directions {
                forwards: forwards.grads,
                reverse: reverse.grads,
            },
            d_inputs,
            d_state0: Directions {
                forwards: forwards.d_state0,
                reverse: reverse.d_state0,
            },
            stopped_at: forwards.stopped_at.or(reverse.stopped_at.map(seen)),
            space: Working((
                Directions {
                    forwards: forwards.space,
                    reverse: reverse.space,
                },
                Some(reverse.d_inputs),
                [turned_outputs, turned_inputs],
            )),
        });
        Ok(())
    }

    fn forward_origin(&self, pass: &Self::Pass) -> Result<Option<Origin>> {
        origin::forward(self, pass)
    }

    fn backward_origin(&self, pass: &Self::Pass, d: Upstream<'_, Self>) -> Result<Option<Origin>> {
        origin::backward(self, pass, d)
    }
}

impl Merge {
    /// What comes in for each direction.
    fn split<L: Layer>(self, d: Upstream<'_, Bidirectional<L>>) -> Directions<Upstream<'_, L>> {
        let [there, back] = match (self, d.outputs) {
            (Self::Concatenate, Some(d)) => {
                let (there, back) = d.split_at(Axis(2), d.dim().2 / 2);
                [Some(there), Some(back)]
            }
            (_, outputs) => [outputs; 2],
        };
        Directions {
            forwards: Upstream {
                outputs: there,
                final_state: d.final_state.map(|d| &d.forwards),
            },
            reverse: Upstream {
                outputs: back,
                final_state: d.final_state.map(|d| &d.reverse),
            },
        }
    }

    fn width(self, of_one: usize) -> usize {
        match self {
            Self::Concatenate => 2 * of_one,
            Self::Sum => of_one,
        }
    }
}
