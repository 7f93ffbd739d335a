//! A cell of one's own, written one step at a time.

use alloc::vec::Vec;
use core::fmt;

use ndarray::{Array3, ArrayView2, ArrayView3, ArrayViewMut2, Axis, Ix3};
use num_traits::Zero;

use super::lengths::Lengths;
use super::linear::{check, make_room};
use super::recurrence::Arriving;
use super::{
    At, Backward, Hook, Layer, Origin, Real, RecurrentCell, Sequence, Trace, Upstream, origin,
};
use crate::set::{Visitor, VisitorMut};
use crate::{Error, Result, TensorSet, TensorSetMut};

/// One step of a cell of one's own, and its way back; [`Unrolled`] makes a [`Layer`] and a [`RecurrentCell`] of it.
///
/// The output is a part of the state, `[batch, outputs]`.
///
/// A larger one, the peephole LSTM with the check of its gradients, is the example `peephole`.
///
/// # Examples
///
/// A leaky integrator with a rate for each unit, `h_t = a ⊙ h_{t−1} + x_t`:
///
/// ```
/// use ndarray::{Array1, Array2, Array3, ArrayView2, ArrayViewMut2, Axis, array};
/// use steadygrad::recurrent::{Layer, RnnState, StepCell, Unrolled};
/// use steadygrad::{Result, tensor_set};
///
/// struct Leaky { a: Array1<f64> }
/// tensor_set!(Leaky { a });
///
/// impl StepCell for Leaky {
///     type Elem = f64;
///     type State = RnnState<f64>;
///     type Tape = Array2<f64>; // h_{t−1} is all that the way back needs
///     type Grads = Leaky;
///
///     fn zero_state(&self, batch: usize) -> RnnState<f64> {
///         RnnState { h: Array2::zeros((batch, self.a.len())) }
///     }
///     fn zero_grads(&self) -> Leaky {
///         Leaky { a: Array1::zeros(self.a.len()) }
///     }
///     fn output<'s>(&self, s: &'s RnnState<f64>) -> ArrayView2<'s, f64> {
///         s.h.view()
///     }
///     fn output_mut<'s>(&self, s: &'s mut RnnState<f64>) -> ArrayViewMut2<'s, f64> {
///         s.h.view_mut()
///     }
///     fn step_forward(&self, x: ArrayView2<'_, f64>, s: &RnnState<f64>) -> Result<(RnnState<f64>, Array2<f64>)> {
///         Ok((RnnState { h: &s.h * &self.a + x }, s.h.clone()))
///     }
///     fn step_backward(
///         &self,
///         before: &Array2<f64>,
///         d_state: &mut RnnState<f64>,
///         mut d_x: ArrayViewMut2<'_, f64>,
///         grads: &mut Leaky,
///     ) -> Result<()> {
///         d_x.assign(&d_state.h);
///         grads.a += &(&d_state.h * before).sum_axis(Axis(0));
///         d_state.h *= &self.a;
///         Ok(())
///     }
/// }
///
/// let cell = Unrolled::new(Leaky { a: array![0.5] });
/// let pass = cell.forward(Array3::ones((3, 1, 1)).view(), &cell.zero_state(1))?;
/// assert_eq!(pass.outputs(), array![[[1.0]], [[1.5]], [[1.75]]]);
/// let back = cell.backward(&pass, array![[[0.0]], [[0.0]], [[1.0]]].view())?;
/// assert_eq!(back.d_inputs, array![[[0.25]], [[0.5]], [[1.0]]]);
/// assert_eq!(back.grads.a, array![2.0]); // h_2 + a·h_1
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait StepCell: TensorSetMut + 'static {
    /// The numbers it computes with.
    type Elem: Real;
    /// What it carries from step to step; also the gradient with respect to that.
    type State: TensorSetMut + Clone + 'static;
    /// What a step keeps for its way back.
    type Tape;
    /// One gradient for each parameter, under the parameter's name.
    type Grads: TensorSetMut;

    /// The state of all zeros.
    ///
    /// # Examples
    ///
    /// Here and below, `Leaky` is the cell of [`StepCell`].
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::StepCell;
    #[doc = include_str!("leaky.txt")]
    ///
    /// let cell = Leaky { a: array![0.5, 0.9] };
    /// assert_eq!(cell.zero_state(3).h.dim(), (3, 2));
    /// ```
    fn zero_state(&self, batch: usize) -> Self::State;

    /// Gradients of all zeros.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::StepCell;
    #[doc = include_str!("leaky.txt")]
    ///
    /// assert_eq!(Leaky { a: array![0.5, 0.9] }.zero_grads().a, array![0.0, 0.0]);
    /// ```
    fn zero_grads(&self) -> Self::Grads;

    /// The part of a state that is the output: `[batch, outputs]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::{RnnState, StepCell};
    #[doc = include_str!("leaky.txt")]
    ///
    /// let s = RnnState { h: array![[4.0]] };
    /// assert_eq!(Leaky { a: array![0.5] }.output(&s), s.h);   // for this cell, all of the state
    /// ```
    fn output<'s>(&self, s: &'s Self::State) -> ArrayView2<'s, Self::Elem>;

    /// The same part, where the gradient of the output is added.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::StepCell;
    #[doc = include_str!("leaky.txt")]
    ///
    /// let cell = Leaky { a: array![0.5] };
    /// let mut d_state = cell.zero_state(1);
    /// cell.output_mut(&mut d_state).fill(3.0);
    /// assert_eq!(d_state.h, array![[3.0]]);
    /// ```
    fn output_mut<'s>(&self, s: &'s mut Self::State) -> ArrayViewMut2<'s, Self::Elem>;

    /// The state after the input `x` `[batch, inputs]`, and the tape.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::{RnnState, StepCell};
    #[doc = include_str!("leaky.txt")]
    ///
    /// let cell = Leaky { a: array![0.5] };
    /// let (after, tape) = cell.step_forward(array![[1.0]].view(), &RnnState { h: array![[4.0]] })?;
    /// assert_eq!((after.h, tape), (array![[3.0]], array![[4.0]]));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) should say what does not fit.
    fn step_forward(
        &self,
        x: ArrayView2<'_, Self::Elem>,
        s: &Self::State,
    ) -> Result<(Self::State, Self::Tape)>;

    /// The way back: turns `d_state` from the gradient of the state after the step into that of the state
    /// before it, writes the gradient of the input, and adds to the gradients of the parameters.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::{RnnState, StepCell};
    #[doc = include_str!("leaky.txt")]
    ///
    /// let cell = Leaky { a: array![0.5] };
    /// let (before, mut grads) = (array![[4.0]], cell.zero_grads());
    /// let (mut d_state, mut d_x) = (RnnState { h: array![[1.0]] }, array![[0.0]]);
    /// cell.step_backward(&before, &mut d_state, d_x.view_mut(), &mut grads)?;
    /// assert_eq!((d_state.h, d_x, grads.a), (array![[0.5]], array![[1.0]], array![4.0]));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) should say what does not fit.
    fn step_backward(
        &self,
        tape: &Self::Tape,
        d_state: &mut Self::State,
        d_x: ArrayViewMut2<'_, Self::Elem>,
        grads: &mut Self::Grads,
    ) -> Result<()>;

    /// Who made what is `seen`: the first number of this step that is not finite and that it came of, if the tape tells.
    ///
    /// Asked after a fault only, of the step after which an output or a state is not finite, for its sequence. The state
    /// before the step goes by [`Part::InitialState`](super::origin::Part::InitialState), at any step: then the step before
    /// is asked. Gates are to be told as they went on, after their nonlinearities: what those made finite came to nothing.
    ///
    /// # Examples
    ///
    /// What the cell of [`StepCell`] can say, whose tape is the state before:
    ///
    /// ```
    /// use ndarray::Array2;
    /// use steadygrad::recurrent::origin::{Origin, Part};
    ///
    /// fn forward_origin(tape: &Array2<f64>, seen: &Origin) -> Option<Origin> {
    ///     seen.among(Part::InitialState, "h", tape.view())
    /// }
    /// ```
    ///
    /// Without it, or any other, the first output that is not finite is named:
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::{Layer, Unrolled};
    #[doc = include_str!("leaky.txt")]
    ///
    /// let cell = Unrolled::new(Leaky { a: array![0.5] });
    /// let pass = cell.forward(array![[[1.0]], [[f64::NAN]], [[1.0]]].view(), &cell.zero_state(1))?;
    /// let told = cell.forward_origin(&pass)?.map(|origin| origin.to_string());
    /// let expected = "the forward pass: the output of layer 0 at time 1 (sequence 0, unit 0) is NaN";
    /// assert_eq!(told.as_deref(), Some(expected));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn forward_origin(&self, tape: &Self::Tape, seen: &Origin) -> Option<Origin> {
        let _ = (tape, seen);
        None
    }

    /// The same for the way back, where `seen` is a gradient that the step made, of the state before it (again
    /// [`Part::InitialState`](super::origin::Part::InitialState)), of an input or of a parameter, and `d_state` the gradient
    /// of the state after it, which is finite.
    ///
    /// # Examples
    ///
    /// The cell of [`StepCell`] has nothing to add: what it makes is all seen.
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Layer, Unrolled};
    #[doc = include_str!("leaky.txt")]
    ///
    /// let cell = Unrolled::new(Leaky { a: array![1e200] });
    /// let pass = cell.forward(Array3::zeros((3, 1, 1)).view(), &cell.zero_state(1))?;
    /// let told = cell.origin(&pass, Array3::ones((3, 1, 1)).view())?.map(|origin| origin.to_string());
    /// let expected = "the backward pass: the gradient of the state h of layer 0 at time 0 (sequence 0, unit 0) is +inf";
    /// assert_eq!(told.as_deref(), Some(expected));   // 1e200·1e200
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn backward_origin(
        &self,
        tape: &Self::Tape,
        d_state: &Self::State,
        seen: &Origin,
    ) -> Option<Origin> {
        let _ = (tape, d_state, seen);
        None
    }
}

/// A [`StepCell`] as a [`Layer`] and a [`RecurrentCell`], hook and truncation included.
///
/// The names of its tensors are those of the cell. Of the memory of an earlier pass, outputs, input gradients and the
/// list of tapes are used again; states, tapes and zero gradients are what the cell makes anew each time.
///
/// Of sequences of different [lengths](Sequence::lengths) the cell never sees the padding: past the end of a sequence it
/// steps from that sequence's last state with an input of zeros, and what comes out of it is dropped. For that, each
/// part of the state must be `[batch, …]`.
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use steadygrad::{Measurement, recurrent::Unrolled};
#[doc = include_str!("leaky.txt")]
///
/// let cell = Unrolled { cell: Leaky { a: array![0.5] } };
/// assert_eq!(Measurement::of(&cell)?.name(0), "a");
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Unrolled<C> {
    /// The cell.
    pub cell: C,
}

impl<C> Unrolled<C> {
    /// Unrolls the steps of `cell`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Layer, Unrolled};
    #[doc = include_str!("leaky.txt")]
    ///
    /// let cell = Unrolled::new(Leaky { a: array![0.5] });
    /// let pass = cell.forward(Array3::ones((2, 1, 1)).view(), &cell.zero_state(1))?;
    /// let back = cell.backward(&pass, Array3::ones((2, 1, 1)).view())?;
    /// assert_eq!(back.d_inputs, array![[[1.5]], [[1.0]]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn new(cell: C) -> Self {
        Self { cell }
    }
}

impl<C: TensorSet> TensorSet for Unrolled<C> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.cell.visit(f)
    }
}

impl<C: TensorSetMut> TensorSetMut for Unrolled<C> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        self.cell.visit_mut(f)
    }
}

/// What an [`Unrolled`] cell keeps of a forward pass.
///
/// # Examples
///
/// ```
/// use ndarray::{Array3, array};
/// use steadygrad::recurrent::{Layer, Unrolled, UnrolledPass};
#[doc = include_str!("leaky.txt")]
///
/// fn largest(pass: &UnrolledPass<Leaky>) -> f64 {
///     pass.outputs().fold(0.0, |m, h| m.max(h.abs()))
/// }
///
/// let cell = Unrolled::new(Leaky { a: array![0.5] });
/// let pass = cell.forward(Array3::ones((3, 1, 1)).view(), &cell.zero_state(1))?;
/// assert_eq!(largest(&pass), 1.75);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct UnrolledPass<C: StepCell> {
    pub(super) inputs: usize,
    pub(super) tapes: Vec<C::Tape>,
    pub(super) outputs: Array3<C::Elem>,
    pub(super) final_state: C::State,
    pub(super) lengths: Lengths,
}

impl<C: StepCell> fmt::Debug for UnrolledPass<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnrolledPass")
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

impl<C: StepCell> UnrolledPass<C> {
    /// The outputs of all steps: `[time, batch, outputs]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Layer, Unrolled};
    #[doc = include_str!("leaky.txt")]
    ///
    /// let cell = Unrolled::new(Leaky { a: array![0.5] });
    /// let pass = cell.forward(Array3::ones((3, 1, 1)).view(), &cell.zero_state(1))?;
    /// assert_eq!(pass.outputs(), array![[[1.0]], [[1.5]], [[1.75]]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn outputs(&self) -> ArrayView3<'_, C::Elem> {
        self.outputs.view()
    }

    /// The state after the last step; after none, the initial one.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Layer, RnnState, Unrolled};
    #[doc = include_str!("leaky.txt")]
    ///
    /// let (cell, s0) = (Unrolled::new(Leaky { a: array![0.5] }), RnnState { h: array![[8.0]] });
    /// assert_eq!(cell.forward(Array3::zeros((3, 1, 1)).view(), &s0)?.final_state().h, array![[1.0]]);
    /// assert_eq!(cell.forward(Array3::zeros((0, 1, 1)).view(), &s0)?.final_state(), s0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn final_state(&self) -> C::State {
        self.final_state.clone()
    }
}

impl<C: StepCell> Trace for UnrolledPass<C> {
    type Elem = C::Elem;
    type State = C::State;

    fn outputs(&self) -> ArrayView3<'_, C::Elem> {
        self.outputs()
    }

    fn final_state(&self) -> C::State {
        self.final_state()
    }

    fn final_state_into(&self, state: &mut C::State) {
        state.clone_from(&self.final_state);
    }
}

impl<C: StepCell> Layer for Unrolled<C> {
    type Elem = C::Elem;
    type State = C::State;
    type At<'t> = &'t mut C::State;
    type Pass = UnrolledPass<C>;
    type Grads = C::Grads;
    type Space = ();

    fn zero_state(&self, batch: usize) -> C::State {
        self.cell.zero_state(batch)
    }

    fn forward_into<'a>(
        &self,
        xs: impl Into<Sequence<'a, C::Elem>>,
        s0: &C::State,
        pass: &mut Option<UnrolledPass<C>>,
    ) -> Result<()> {
        let (mut tapes, mut outputs, mut lengths) = match pass.take() {
            Some(last) => (last.tapes, last.outputs, last.lengths),
            None => (Vec::new(), Array3::zeros((0, 0, 0)), Lengths::default()),
        };
        let xs = xs.into();
        lengths.keep(&xs);
        let xs = xs.xs();
        let (time, batch, inputs) = xs.dim();
        let shape = (batch, self.cell.output(s0).ncols());
        check("state", self.cell.output(s0).shape(), &[shape.0, shape.1])?;

        make_room(&mut outputs, "outputs", Ix3(time, shape.0, shape.1))?;
        tapes.clear();
        tapes.try_reserve_exact(time).map_err(|_| Error::TooLarge {
            what: "tapes of all steps",
            found: Vec::from([time]),
        })?;
        let mut state = s0.clone();
        let mut unpadded;
        for (t, (x, mut row)) in xs.outer_iter().zip(outputs.outer_iter_mut()).enumerate() {
            let x = if lengths.are_padded() {
                unpadded = x.to_owned();
                lengths.zero_ended(t, &mut unpadded);
                unpadded.view()
            } else {
                x
            };
            let (mut next, tape) = self.cell.step_forward(x, &state)?;
            let output = self.cell.output(&next);
            check("output of a step", output.shape(), row.shape())?;
            row.assign(&output);
            lengths.zero_ended(t, &mut row);
            lengths.keep_ended(t, &state, &mut next)?;
            tapes.push(tape);
            state = next;
        }
        *pass = Some(UnrolledPass {
            inputs,
            tapes,
            outputs,
            final_state: state,
            lengths,
        });
        Ok(())
    }

    fn backward_into(
        &self,
        pass: &UnrolledPass<C>,
        d: Upstream<'_, Self>,
        mut at: Option<&mut Hook<'_, Self>>,
        back: &mut Option<Backward<Self>>,
    ) -> Result<()> {
        let last = back.take();
        d.check_outputs(pass.outputs.shape())?;
        let (time, batch, outputs) = pass.outputs.dim();
        let mut grads = self.cell.zero_grads();
        let mut d_inputs = last.map_or_else(|| Array3::zeros((0, 0, 0)), |last| last.d_inputs);
        make_room(
            &mut d_inputs,
            "input gradients",
            Ix3(time, batch, pass.inputs),
        )?;
        d_inputs.fill(Zero::zero());
        let lengths = &pass.lengths;
        let mut d_state = match d.final_state {
            Some(given) => {
                let found = self.cell.output(given);
                check("final state gradients", found.shape(), &[batch, outputs])?;
                given.clone()
            }
            None => self.cell.zero_state(batch),
        };
        lengths.zero_ended_rows(time.saturating_sub(1), &mut d_state)?;
        let mut stopped_at = None;
        for (t, tape) in pass.tapes.iter().enumerate().rev() {
            lengths.enter_ending_rows(t + 1, d.final_state, &mut d_state)?;
            let mut d_output = self.cell.output_mut(&mut d_state);
            check("pass states", &[batch, outputs], d_output.shape())?;
            if let Some(d_outputs) = &d.outputs {
                Arriving {
                    lengths,
                    outputs: Some(d_outputs.view()),
                    first: 0,
                }
                .add(t, &mut d_output);
            }
            if let Some(at) = &mut at
                && at(At::time(t), &mut d_state)?.is_break()
            {
                stopped_at = Some(At::time(t));
                d_state = self.cell.zero_state(batch);
                break;
            }
            let found = self.cell.output(&d_state);
            check("state from the hook", found.shape(), &[batch, outputs])?;
            let mut d_x = d_inputs.index_axis_mut(Axis(0), t);
            lengths.zero_ended_rows(t, &mut d_state)?;
            self.cell
                .step_backward(tape, &mut d_state, d_x.view_mut(), &mut grads)?;
            lengths.zero_ended(t, &mut d_x);
        }
        if stopped_at.is_none() {
            lengths.enter_ending_rows(0, d.final_state, &mut d_state)?;
        }
        let mut next = Backward::new(grads, d_inputs, d_state);
        next.stopped_at = stopped_at;
        *back = Some(next);
        Ok(())
    }

    fn forward_origin(&self, pass: &UnrolledPass<C>) -> Result<Option<Origin>> {
        origin::forward_of_steps(&self.cell, pass)
    }

    fn backward_origin(
        &self,
        pass: &UnrolledPass<C>,
        d: Upstream<'_, Self>,
    ) -> Result<Option<Origin>> {
        origin::backward_of_steps(self, pass, d)
    }
}

impl<C: StepCell> RecurrentCell for Unrolled<C> {
    fn step(&self, x: ArrayView2<'_, C::Elem>, s: &C::State) -> Result<C::State> {
        self.cell.step_forward(x, s).map(|(next, _)| next)
    }
}
