//! What maps a whole sequence to a whole sequence, and gradients back.

use core::ops::ControlFlow;

use ndarray::Array3;

use super::{At, Origin, Real, Sequence, Trace, Upstream, origin};
use crate::{Error, Result, TensorSetMut};

/// A layer that carries a state along a sequence, and gradients back along it.
///
/// The contract is a whole sequence, not a step: a layer can then project the inputs of all steps, and
/// sum the weight gradients of all steps, in one matrix product each. What can also be run one step at a
/// time is a [`RecurrentCell`](super::RecurrentCell).
///
/// Shapes: inputs `[time, batch, inputs]`, outputs and their gradients `[time, batch, outputs]`, each part
/// of a cell's state `[batch, hidden]`. A sequence of length zero leaves the state as it was; a batch of zero
/// gives empty outputs and zero gradients.
///
/// # Examples
///
/// Code that works for any layer:
///
/// ```
/// use ndarray::{Array3, array};
/// use steadygrad::recurrent::{Activation, Backward, Layer, Rnn, Trace};
///
/// /// The gradients of the sum of all outputs.
/// fn of_the_sum<L: Layer<Elem = f64>>(layer: &L, xs: &Array3<f64>) -> steadygrad::Result<Backward<L>> {
///     let pass = layer.forward(xs.view(), &layer.zero_state(xs.dim().1))?;
///     let ones = Array3::ones(pass.outputs().raw_dim());
///     layer.backward(&pass, ones.view())
/// }
///
/// let rnn = Rnn::new(array![[1.0]], array![[2.0]], array![0.0], Activation::Identity)?;
/// let back = of_the_sum(&rnn, &Array3::ones((3, 1, 1)))?;
/// // h = 1, 3, 7; the first input reaches all three outputs: 1 + 2 + 4.
/// assert_eq!(back.d_inputs.as_slice(), Some(&[7.0, 3.0, 1.0][..]));
/// assert_eq!(back.grads.w_in, array![[11.0]]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait Layer: TensorSetMut + Sized + 'static {
    /// The numbers it computes with.
    type Elem: Real;
    /// What it carries from step to step; also the gradient with respect to that.
    type State: TensorSetMut + Clone + 'static;
    /// How a hook gets the gradient of one step: of a cell, `&'t mut Self::State`; of layers of several kinds, a
    /// `&'t mut dyn TensorSetMut`.
    type At<'t>: TensorSetMut;
    /// What a forward pass keeps for the backward pass.
    type Pass: Trace<Elem = Self::Elem, State = Self::State>;
    /// One gradient for each parameter, under the parameter's name.
    type Grads: TensorSetMut;
    /// The working memory of a backward pass; `()` if there is none.
    type Space: Default;

    /// Of how many layers it consists, which a hook counts by [`At::layer`](super::At::layer).
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::{Layer, Rnn};
    ///
    /// assert_eq!(Rnn::<f32>::builder(2, 5).build(&mut || 0.5)?.layers(), 1);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn layers(&self) -> usize {
        1
    }

    /// In how many directions it runs along a sequence: two if a part of it starts at the end. A sequence can be cut into
    /// segments, each of which begins in the state where the last one ended, only for a layer of one direction.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::{Bidirectional, Layer, Rnn};
    ///
    /// let rnn = Rnn::<f32>::builder(2, 5).build(&mut || 0.5)?;
    /// assert_eq!(rnn.directions(), 1);
    /// assert_eq!(Bidirectional::new(rnn.clone(), rnn).directions(), 2);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn directions(&self) -> usize {
        1
    }

    /// The state of all zeros. One that does not fit into memory comes without elements, as `[0, 0]`, which the
    /// next step or pass refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array2;
    /// use steadygrad::recurrent::{Layer, Rnn};
    ///
    /// let rnn = Rnn::<f32>::builder(2, 5).build(&mut || 0.5)?;
    /// assert_eq!(rnn.zero_state(3).h, Array2::<f32>::zeros((3, 5)));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn zero_state(&self, batch: usize) -> Self::State;

    /// [`forward`](Self::forward) into the memory of an earlier pass, if there is one. After an error there is none.
    ///
    /// With the same shapes a cell of this crate, whose weights lie row by row, then asks the heap for nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, Layer, Rnn};
    ///
    /// let rnn = Rnn::new(array![[1.0]], array![[2.0]], array![0.0], Activation::Identity)?;
    /// let (s0, mut pass) = (rnn.zero_state(1), None);
    /// for x in [1.0, 2.0] {
    ///     rnn.forward_into(Array3::from_elem((3, 1, 1), x).view(), &s0, &mut pass)?;
    ///     assert_eq!(pass.as_ref().map(|pass| pass.final_state().h[[0, 0]]), Some(7.0 * x));
    /// }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward).
    fn forward_into<'a>(
        &self,
        xs: impl Into<Sequence<'a, Self::Elem>>,
        s0: &Self::State,
        pass: &mut Option<Self::Pass>,
    ) -> Result<()>;

    /// [`backward`](Self::backward), or with a hook [`backward_with`](Self::backward_with), into the memory of earlier
    /// gradients, if there are any. After an error there are none.
    ///
    /// A hook sees all sequences of a batch at each step, so with one they are not shared out over threads.
    ///
    /// # Examples
    ///
    /// A training loop that asks for memory in its first step only:
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::{Layer, Rnn};
    ///
    /// let mut rnn = Rnn::<f64>::builder(1, 8).build(&mut || 0.75)?;
    /// let (xs, s0) = (Array3::ones((20, 4, 1)), rnn.zero_state(4));
    /// let (mut pass, mut back) = (None, None);
    /// for _ in 0..10 {
    ///     rnn.forward_into(xs.view(), &s0, &mut pass)?;
    ///     let Some(pass) = &pass else { break };
    ///     let d_outputs = pass.outputs(); // the gradient of the loss ½·Σh²
    ///     rnn.backward_into(pass, d_outputs.into(), None, &mut back)?;
    ///     let Some(back) = &back else { break };
    ///     rnn.w_in.scaled_add(-0.01, &back.grads.w_in);
    ///     rnn.w_rec.scaled_add(-0.01, &back.grads.w_rec);
    /// }
    /// assert!(pass.is_some_and(|pass| pass.outputs().iter().all(|h| h.abs() < 0.3)));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`backward_with`](Self::backward_with).
    fn backward_into(
        &self,
        pass: &Self::Pass,
        d: Upstream<'_, Self>,
        at: Option<&mut Hook<'_, Self>>,
        back: &mut Option<Backward<Self>>,
    ) -> Result<()>;

    /// All steps of a sequence, from the state `s0`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, Layer, Rnn};
    ///
    /// let rnn = Rnn::new(array![[1.0]], array![[2.0]], array![0.0], Activation::Identity)?;
    /// let pass = rnn.forward(Array3::ones((3, 1, 1)).view(), &rnn.zero_state(1))?;
    /// assert_eq!(pass.final_state().h, array![[7.0]]);
    /// let error = rnn.forward(Array3::ones((3, 1, 2)).view(), &rnn.zero_state(1)).unwrap_err();
    /// assert_eq!(error.to_string(), "inputs: expected shape [3, 1, 1], found [3, 1, 2]");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the inputs or the state do not fit the layer, [`Error::TooLarge`] if what is to be kept
    /// does not fit into memory, and [`Error::Count`] if some of the sequences are padded and the layer takes no padding.
    fn forward<'a>(
        &self,
        xs: impl Into<Sequence<'a, Self::Elem>>,
        s0: &Self::State,
    ) -> Result<Self::Pass> {
        let mut pass = None;
        self.forward_into(xs, s0, &mut pass)?;
        pass.ok_or_else(|| nothing("passes that a layer made"))
    }

    /// Carries gradients back through time, and shows each step's to a hook.
    ///
    /// Steps run from the last to the first. Before step t is propagated, `at` gets its place and the whole
    /// gradient with respect to the state after step t: what later steps sent back (or, after the last step, what
    /// came in for the final state), plus what the output of step t contributes. The hook may measure it (the
    /// gradient-flow profile `‖∂L/∂h_t‖`), change it in
    /// place (clipping per step), or break: then neither step t nor any before it is propagated, which is
    /// truncated backpropagation through time. Gradients with respect to what lies before the cut are zero.
    ///
    /// Of sequences of different [lengths](Sequence::lengths), those that have ended before step t have zeros in their
    /// rows, whatever a hook writes there; what came in for their final state appears at their own last step.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::ops::ControlFlow;
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, At, Layer, Rnn};
    ///
    /// let rnn = Rnn::new(array![[1.0]], array![[2.0]], array![0.0], Activation::Identity)?;
    /// let pass = rnn.forward(Array3::ones((4, 1, 1)).view(), &rnn.zero_state(1))?;
    /// let mut d_outputs = Array3::zeros((4, 1, 1));
    /// d_outputs[[3, 0, 0]] = 1.0;
    ///
    /// let mut profile = Vec::new();
    /// let back = rnn.backward_with(&pass, d_outputs.view(), &mut |at, d_state| {
    ///     profile.push((at.time, d_state.h[[0, 0]]));
    ///     Ok(if at.time == 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    /// })?;
    /// assert_eq!(profile, [(3, 1.0), (2, 2.0), (1, 4.0)]);
    /// assert_eq!(back.stopped_at, Some(At::time(1)));
    /// assert_eq!(back.d_inputs.as_slice(), Some(&[0.0, 0.0, 2.0, 1.0][..]));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the pass or the gradients do not fit the layer, or if the hook left a state of another
    /// shape; and whatever the hook returns.
    fn backward_with<'a>(
        &self,
        pass: &Self::Pass,
        d: impl Into<Upstream<'a, Self>>,
        at: &mut Hook<'_, Self>,
    ) -> Result<Backward<Self>> {
        let mut back = None;
        self.backward_into(pass, d.into(), Some(at), &mut back)?;
        back.ok_or_else(|| nothing("gradients that a layer made"))
    }

    /// Carries gradients back through the whole sequence.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, Layer, Rnn};
    ///
    /// let rnn = Rnn::new(array![[1.0]], array![[2.0]], array![0.0], Activation::Identity)?;
    /// let pass = rnn.forward(Array3::ones((3, 1, 1)).view(), &rnn.zero_state(1))?;
    /// let back = rnn.backward(&pass, array![[[0.0]], [[0.0]], [[1.0]]].view())?;   // of the last output
    /// assert_eq!(back.d_inputs, array![[[4.0]], [[2.0]], [[1.0]]]);
    /// assert_eq!(back.d_state0.h, array![[8.0]]);   // 2³
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the pass or the gradients do not fit the layer.
    fn backward<'a>(
        &self,
        pass: &Self::Pass,
        d: impl Into<Upstream<'a, Self>>,
    ) -> Result<Backward<Self>> {
        let mut back = None;
        self.backward_into(pass, d.into(), None, &mut back)?;
        back.ok_or_else(|| nothing("gradients that a layer made"))
    }

    /// Who made what is not finite in a forward pass or on the way back from it: the first number that is not although
    /// all that it was computed from is. None if all states, outputs and gradients, and all parameters, are finite.
    ///
    /// It is for [`Step::explained_by`](crate::Step::explained_by), which asks on a fault only; what is
    /// [first](mod@super::origin) is said there. A way back that had a hook is looked at without it.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, Layer, Rnn};
    ///
    /// let rnn = Rnn::<f32>::new(array![[1.0]], array![[10.0]], array![0.0], Activation::Identity)?;
    /// let pass = rnn.forward(Array3::zeros((50, 1, 1)).view(), &rnn.zero_state(1))?;
    /// let mut d_outputs = Array3::zeros((50, 1, 1));
    /// assert_eq!(rnn.origin(&pass, d_outputs.view())?, None);
    /// d_outputs[[49, 0, 0]] = 1.0; // 10^39 is too much, 39 steps earlier
    /// let Some(origin) = rnn.origin(&pass, d_outputs.view())? else { panic!("it overflows") };
    /// assert_eq!(
    ///     origin.to_string(),
    ///     "the backward pass: the gradient of the state h of layer 0 at time 10 (sequence 0, unit 0) is +inf, \
    ///      from finite numbers (a product overflows)",
    /// );
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`backward`](Self::backward).
    fn origin<'a>(
        &self,
        pass: &Self::Pass,
        d: impl Into<Upstream<'a, Self>>,
    ) -> Result<Option<Origin>> {
        if let Some(found) = self.forward_origin(pass)? {
            return Ok(Some(found));
        }
        match self.backward_origin(pass, d.into())? {
            Some(found) => Ok(Some(found)),
            // It may have come to nothing, as a bias of -inf that shuts a gate.
            None => origin::parameter(self),
        }
    }

    /// [`origin`](Self::origin) for the forward pass alone.
    ///
    /// A layer that says nothing of its own has the first output named, or the part of the final state, that is not
    /// finite; or a parameter, if one is not.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, Layer, Rnn, RnnState};
    ///
    /// let rnn = Rnn::new(array![[1.0]], array![[0.5]], array![0.0], Activation::Tanh)?;
    /// let pass = rnn.forward(Array3::zeros((9, 1, 1)).view(), &RnnState { h: array![[f64::NAN]] })?;
    /// let told = rnn.forward_origin(&pass)?.map(|origin| origin.to_string());
    /// assert_eq!(told.as_deref(), Some("the initial state h of layer 0, which is NaN (sequence 0, unit 0)"));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the pass does not fit the layer.
    fn forward_origin(&self, pass: &Self::Pass) -> Result<Option<Origin>> {
        origin::forward_of_any(self, pass)
    }

    /// [`origin`](Self::origin) for the way back alone, from a forward pass in which all is finite.
    ///
    /// A layer that says nothing of its own has the gradients named that come in, if they are not finite; else the step
    /// at which a hook first sees what is not.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, Layer, Rnn};
    ///
    /// let rnn = Rnn::new(array![[1.0]], array![[0.5]], array![0.0], Activation::Tanh)?;
    /// let pass = rnn.forward(Array3::zeros((9, 1, 1)).view(), &rnn.zero_state(1))?;
    /// let d_outputs = Array3::from_elem((9, 1, 1), f64::INFINITY);
    /// let told = rnn.backward_origin(&pass, d_outputs.view().into())?.map(|origin| origin.to_string());
    /// let expected = "the gradient of the output, which came in as +inf at time 8 (sequence 0, unit 0)";
    /// assert_eq!(told.as_deref(), Some(expected));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`backward`](Self::backward).
    fn backward_origin(&self, pass: &Self::Pass, d: Upstream<'_, Self>) -> Result<Option<Origin>> {
        origin::backward_of_any(self, pass, d)
    }
}

/// What a backward pass shows each step's gradient to: `at(place, dL/ds_t)`.
///
/// The gradient comes as what the layer says ([`Layer::At`]): for a cell, its state, to be changed in place; for layers of
/// several kinds, a set of tensors, which is measured and edited in the same words. See [`Layer::backward_with`].
///
/// # Examples
///
/// ```
/// use core::ops::ControlFlow;
/// use ndarray::array;
/// use steadygrad::recurrent::{At, Hook, Rnn, RnnState};
///
/// let mut largest = 0.0_f64;
/// let watch: &mut Hook<'_, Rnn<f64>> = &mut |_, d_state| {
///     largest = d_state.h.iter().fold(largest, |m, x| m.max(x.abs()));
///     Ok(ControlFlow::Continue(()))
/// };
/// let onwards = watch(At::time(9), &mut RnnState { h: array![[-3.0, 2.0]] })?;
/// assert_eq!(onwards, ControlFlow::Continue(()));
/// assert_eq!(largest, 3.0);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub type Hook<'h, L> = dyn for<'t> FnMut(At, <L as Layer>::At<'t>) -> Result<ControlFlow<()>> + 'h;

/// What a backward pass finds: the gradient with respect to everything that went in.
///
/// # Examples
///
/// ```
/// use ndarray::{Array3, array};
/// use steadygrad::recurrent::{Activation, Layer, Rnn};
///
/// let rnn = Rnn::new(array![[3.0]], array![[0.5]], array![0.0], Activation::Identity)?;
/// let pass = rnn.forward(Array3::ones((2, 1, 1)).view(), &rnn.zero_state(1))?;
/// let back = rnn.backward(&pass, Array3::ones((2, 1, 1)).view())?;
/// assert_eq!(back.grads.bias, array![2.5]);
/// assert_eq!(back.grads.w_rec, array![[3.0]]);
/// assert_eq!(back.d_inputs, array![[[4.5]], [[3.0]]]);
/// assert_eq!(back.d_state0.h, array![[0.75]]);
/// assert_eq!(back.stopped_at, None);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Backward<L: Layer> {
    /// With respect to the parameters, summed over time and batch.
    pub grads: L::Grads,
    /// With respect to the inputs: `[time, batch, inputs]`.
    pub d_inputs: Array3<L::Elem>,
    /// With respect to the initial state.
    pub d_state0: L::State,
    /// The step at which the hook broke: it and all before it were not propagated.
    pub stopped_at: Option<At>,
    pub(super) space: L::Space,
}

impl<L: Layer> Backward<L> {
    /// The gradients of a pass that no hook has stopped: for layers of one's own.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, Backward, Layer, Rnn};
    ///
    /// let rnn = Rnn::new(array![[3.0]], array![[0.5]], array![0.0], Activation::Identity)?;
    /// let pass = rnn.forward(Array3::ones((2, 1, 1)).view(), &rnn.zero_state(1))?;
    /// let back = rnn.backward(&pass, Array3::ones((2, 1, 1)).view())?;
    /// let doubled = Backward::<Rnn<f64>>::new(back.grads, back.d_inputs * 2.0, back.d_state0);
    /// assert_eq!(doubled.d_inputs, array![[[9.0]], [[6.0]]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn new(grads: L::Grads, d_inputs: Array3<L::Elem>, d_state0: L::State) -> Self {
        Self {
            grads,
            d_inputs,
            d_state0,
            stopped_at: None,
            space: L::Space::default(),
        }
    }

    /// The working memory of the pass, kept for the next one.
    ///
    /// # Examples
    ///
    /// Who keeps gradients for long may let go of it:
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::{CellSpace, Layer, Lstm};
    ///
    /// let lstm = Lstm::<f32>::builder(2, 5).build(&mut || 0.75)?;
    /// let pass = lstm.forward(Array3::ones((9, 3, 2)).view(), &lstm.zero_state(3))?;
    /// let mut back = lstm.backward(&pass, pass.outputs())?;
    /// let whole = back.clone();
    /// *back.space() = CellSpace::default();
    /// assert_eq!(back, whole);   // it is no part of what was found
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn space(&mut self) -> &mut L::Space {
        &mut self.space
    }
}

/// What is to be said of a layer that says it succeeded and left nothing.
pub(super) fn nothing(what: &'static str) -> Error {
    Error::Count {
        what,
        expected: 1,
        found: 0,
    }
}
