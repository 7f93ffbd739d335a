//! Recurrent cells with exact backpropagation through time.
//!
//! A recurrent net applies one function over and over, so the gradient of a late loss with respect to
//! an early state is a product of as many Jacobians as there are steps between them:
//!
//! ```text
//! ∂L/∂h_t = ∂L/∂h_T · ∏_{k=t+1..T} ∂h_k/∂h_{k−1}
//! ```
//!
//! Factors above one make it explode, factors below one make it vanish. [`Rnn`] shows both in their
//! purest form, [`Lstm`] carries a state past the product, [`Init`] sets the factors at the start, and
//! the hook of [`RecurrentCell::backward_with`] shows the gradient at every step, to be measured, edited or cut off.
//! A cell of one's own, written as a [`StepCell`], gets all of that from [`Unrolled`].
//!
//! Arrays are `[time, batch, features]`. Formulas, gate order and weight shapes are PyTorch's.
//!
//! # Examples
//!
//! How much of a gradient arrives a hundred steps earlier, for a linear net of one unit:
//!
//! ```
//! use ndarray::{Array3, array};
//! use steadygrad::recurrent::{Activation, RecurrentCell, Rnn};
//!
//! for (w, expected) in [(0.9, 2.656e-5), (1.0, 1.0), (1.1, 13_780.6)] {
//!     let rnn = Rnn::new(array![[0.0]], array![[w]], array![0.0], Activation::Identity)?;
//!     let pass = rnn.forward(Array3::zeros((100, 1, 1)).view(), &rnn.zero_state(1))?;
//!
//!     let mut d_outputs = Array3::zeros((100, 1, 1));
//!     d_outputs[[99, 0, 0]] = 1.0; // the loss looks at the last step only
//!     let back = rnn.backward(&pass, d_outputs.view())?;
//!     let arrived: f64 = back.d_state0.h[[0, 0]];
//!     assert!((arrived / expected - 1.0).abs() < 1e-4);
//! }
//! # Ok::<(), steadygrad::Error>(())
//! ```
//!
//! The gradient-flow profile ‖∂`L/∂h_t`‖, and clipping at every step on the way:
//!
//! ```
//! use core::ops::ControlFlow;
//! use ndarray::{Array3, array};
//! use steadygrad::recurrent::{Activation, RecurrentCell, Rnn};
//! use steadygrad::{Edits, Factor, Measurement, TensorSetMut};
//!
//! let rnn = Rnn::new(array![[1.0]], array![[2.0]], array![0.0], Activation::Identity)?;
//! let pass = rnn.forward(Array3::ones((4, 1, 1)).view(), &rnn.zero_state(1))?;
//! let mut d_outputs = Array3::zeros((4, 1, 1));
//! d_outputs[[3, 0, 0]] = 1.0;
//!
//! let mut profile = vec![];
//! let back = rnn.backward_with(&pass, d_outputs.view(), &mut |_t, d_state| {
//!     let norm = Measurement::of(d_state)?.total().l2();
//!     profile.push(norm);
//!     if norm > 3.0 {
//!         let mut edits = Edits::for_count(1);
//!         edits.scale_all(Factor::new(3.0 / norm)?);
//!         d_state.apply(&edits)?;
//!     }
//!     Ok(ControlFlow::Continue(()))
//! })?;
//! assert_eq!(profile, [1.0, 2.0, 4.0, 6.0]);
//! assert_eq!(back.d_state0.h, array![[6.0]]); // without the clipping, 16
//! # Ok::<(), steadygrad::Error>(())
//! ```
//!
//! # References
//!
//! - Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013, arXiv:1211.5063.
//! - Werbos, "Backpropagation through time: what it does and how to do it", 1990.

mod activation;
mod builder;
mod init;
mod linear;
mod lstm;
mod orthogonal;
mod real;
mod rnn;
mod unrolled;

use core::ops::ControlFlow;

use ndarray::{Array3, ArrayView2, ArrayView3};

pub use activation::Activation;
pub use builder::{LstmBuilder, RnnBuilder};
pub use init::Init;
pub use lstm::{Lstm, LstmGrads, LstmPass, LstmState};
pub use real::Real;
pub use rnn::{Rnn, RnnGrads, RnnPass, RnnState};
pub use unrolled::{StepCell, Unrolled, UnrolledPass};

use crate::{Result, TensorSetMut};

/// A cell that carries a state along a sequence, and gradients back along it.
///
/// The contract is a whole sequence, not a step: a cell can then project the inputs of all steps, and
/// sum the weight gradients of all steps, in one matrix product each.
///
/// Shapes: inputs `[time, batch, inputs]`, outputs and their gradients `[time, batch, hidden]`, each part
/// of a state `[batch, hidden]`. A sequence of length zero leaves the state as it was; a batch of zero
/// gives empty outputs and zero gradients.
///
/// # Examples
///
/// Code that works for any cell:
///
/// ```
/// use ndarray::{Array3, array};
/// use steadygrad::recurrent::{Activation, Backward, RecurrentCell, Rnn};
///
/// /// The gradients of the sum of all outputs.
/// fn of_the_sum<C: RecurrentCell<Elem = f64>>(cell: &C, xs: &Array3<f64>) -> steadygrad::Result<Backward<C>> {
///     let pass = cell.forward(xs.view(), &cell.zero_state(xs.dim().1))?;
///     let ones = Array3::ones(cell.outputs(&pass).raw_dim());
///     cell.backward(&pass, ones.view())
/// }
///
/// let rnn = Rnn::new(array![[1.0]], array![[2.0]], array![0.0], Activation::Identity)?;
/// let back = of_the_sum(&rnn, &Array3::ones((3, 1, 1)))?;
/// // h = 1, 3, 7; the first input reaches all three outputs: 1 + 2 + 4.
/// assert_eq!(back.d_inputs.as_slice(), Some(&[7.0, 3.0, 1.0][..]));
/// assert_eq!(back.grads.w_in, array![[11.0]]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait RecurrentCell: TensorSetMut {
    /// The numbers it computes with.
    type Elem: Real;
    /// What it carries from step to step; also the gradient with respect to that.
    type State: TensorSetMut + Clone;
    /// What a forward pass keeps for the backward pass.
    type Pass;
    /// One gradient for each parameter, under the parameter's name.
    type Grads: TensorSetMut;

    /// The state of all zeros. One that does not fit into memory comes without elements, as `[0, 0]`, which the
    /// next step or pass refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array2;
    /// use steadygrad::recurrent::{RecurrentCell, Rnn};
    ///
    /// let rnn = Rnn::<f32>::builder(2, 5).build(&mut || 0.5)?;
    /// assert_eq!(rnn.zero_state(3).h, Array2::<f32>::zeros((3, 5)));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn zero_state(&self, batch: usize) -> Self::State;

    /// One step, keeping nothing: inference.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::{Activation, RecurrentCell, Rnn};
    ///
    /// let rnn = Rnn::new(array![[1.0]], array![[2.0]], array![0.0], Activation::Identity)?;
    /// let mut s = rnn.zero_state(1);
    /// for x in [1.0, 1.0, 1.0] {
    ///     s = rnn.step(array![[x]].view(), &s)?;
    /// }
    /// assert_eq!(s.h, array![[7.0]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) if the input or the state does not fit the cell.
    fn step(&self, x: ArrayView2<'_, Self::Elem>, s: &Self::State) -> Result<Self::State>;

    /// All steps of a sequence, from the state `s0`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, RecurrentCell, Rnn};
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
    /// [`Error::Shape`](crate::Error::Shape) if the inputs or the state do not fit the cell,
    /// [`Error::TooLarge`](crate::Error::TooLarge) if what is to be kept does not fit into memory.
    fn forward(&self, xs: ArrayView3<'_, Self::Elem>, s0: &Self::State) -> Result<Self::Pass>;

    /// The outputs of a pass: `[time, batch, hidden]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::{Lstm, RecurrentCell};
    ///
    /// fn last<C: RecurrentCell>(cell: &C, pass: &C::Pass) -> Option<C::Elem> {
    ///     cell.outputs(pass).iter().last().copied()
    /// }
    ///
    /// let lstm = Lstm::<f64>::builder(1, 1).build(&mut || 0.75)?;
    /// let pass = lstm.forward(Array3::ones((3, 1, 1)).view(), &lstm.zero_state(1))?;
    /// assert_eq!(last(&lstm, &pass), Some(pass.final_state().h[[0, 0]]));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn outputs<'p>(&self, pass: &'p Self::Pass) -> ArrayView3<'p, Self::Elem>;

    /// Carries the gradients of the outputs back through time, and shows each step's to a hook.
    ///
    /// Steps run from the last to the first. Before step t is propagated, `at(t, dL/ds_t)` gets the whole
    /// gradient with respect to the state after step t: what later steps sent back, plus what the output
    /// of step t contributes. The hook may measure it (the gradient-flow profile `‖∂L/∂h_t‖`), change it in
    /// place (clipping per step), or break: then neither step t nor any before it is propagated, which is
    /// truncated backpropagation through time. Gradients with respect to what lies before the cut are zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::ops::ControlFlow;
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, RecurrentCell, Rnn};
    ///
    /// let rnn = Rnn::new(array![[1.0]], array![[2.0]], array![0.0], Activation::Identity)?;
    /// let pass = rnn.forward(Array3::ones((4, 1, 1)).view(), &rnn.zero_state(1))?;
    /// let mut d_outputs = Array3::zeros((4, 1, 1));
    /// d_outputs[[3, 0, 0]] = 1.0;
    ///
    /// let mut profile = Vec::new();
    /// let back = rnn.backward_with(&pass, d_outputs.view(), &mut |t, d_state| {
    ///     profile.push((t, d_state.h[[0, 0]]));
    ///     Ok(if t == 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    /// })?;
    /// assert_eq!(profile, [(3, 1.0), (2, 2.0), (1, 4.0)]);
    /// assert_eq!(back.stopped_at, Some(1));
    /// assert_eq!(back.d_inputs.as_slice(), Some(&[0.0, 0.0, 2.0, 1.0][..]));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) if the pass or the gradients do not fit the cell, or if the
    /// hook left a state of another shape; and whatever the hook returns.
    fn backward_with(
        &self,
        pass: &Self::Pass,
        d_outputs: ArrayView3<'_, Self::Elem>,
        at: &mut Hook<'_, Self::State>,
    ) -> Result<Backward<Self>>
    where
        Self: Sized;

    /// Carries the gradients of the outputs back through the whole sequence.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, RecurrentCell, Rnn};
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
    /// [`Error::Shape`](crate::Error::Shape) if the pass or the gradients do not fit the cell.
    fn backward(
        &self,
        pass: &Self::Pass,
        d_outputs: ArrayView3<'_, Self::Elem>,
    ) -> Result<Backward<Self>>
    where
        Self: Sized,
    {
        self.backward_with(pass, d_outputs, &mut |_, _| Ok(ControlFlow::Continue(())))
    }
}

/// What a backward pass shows each step's gradient to: `at(t, dL/ds_t)`.
///
/// See [`RecurrentCell::backward_with`].
///
/// # Examples
///
/// ```
/// use core::ops::ControlFlow;
/// use steadygrad::recurrent::{Hook, RnnState};
///
/// let mut largest = 0.0_f64;
/// let watch: &mut Hook<'_, RnnState<f64>> = &mut |_, d_state| {
///     largest = d_state.h.iter().fold(largest, |m, x| m.max(x.abs()));
///     Ok(ControlFlow::Continue(()))
/// };
/// let onwards = watch(9, &mut RnnState { h: ndarray::array![[-3.0, 2.0]] })?;
/// assert_eq!(onwards, ControlFlow::Continue(()));
/// assert_eq!(largest, 3.0);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub type Hook<'a, S> = dyn FnMut(usize, &mut S) -> Result<ControlFlow<()>> + 'a;

/// What a backward pass finds: the gradient with respect to everything that went in.
///
/// # Examples
///
/// ```
/// use ndarray::{Array3, array};
/// use steadygrad::recurrent::{Activation, RecurrentCell, Rnn};
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
pub struct Backward<C: RecurrentCell> {
    /// With respect to the parameters, summed over time and batch.
    pub grads: C::Grads,
    /// With respect to the inputs: `[time, batch, inputs]`.
    pub d_inputs: Array3<C::Elem>,
    /// With respect to the initial state.
    pub d_state0: C::State,
    /// The step at which the hook broke: it and all before it were not propagated.
    pub stopped_at: Option<usize>,
}
