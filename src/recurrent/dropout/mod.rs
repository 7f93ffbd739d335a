//! Inputs left out by chance.

mod pass;

pub use pass::DropoutPass;

use ndarray::{Array3, ArrayView2, ArrayView3, Ix3};

use crate::recurrent::layer::nothing;
use crate::recurrent::lengths::Lengths;
use crate::recurrent::linear::{check, make_room};
use crate::recurrent::origin::{self, Cause, Part};
use crate::recurrent::{
    Backward, Hook, Layer, Origin, Real, RecurrentCell, Sequence, Upstream, Working,
};
use crate::set::{Visitor, VisitorMut};
use crate::{Element, Error, Reading, Result, TensorSet, TensorSetMut, Writing};

/// A layer some of whose inputs are left out while it is trained.
///
/// ```text
/// x'_t = m_t ⊙ x_t,   m = 0 with probability p, else 1/(1 − p)
/// ```
///
/// Between the layers of a stack that is dropout as `nn.LSTM(dropout=p)` has it: every layer but the first in one of
/// these. Inputs that are kept grow, so nothing changes in the mean, and without a mask the layer is what it was:
/// nothing is left out until one is [drawn](Self::draw), nor after a [`rest`](Self::rest).
///
/// A mask is drawn once for a forward pass, by numbers of yours. Either each step has its own, or all steps have the
/// same one ([`draw_once`](Self::draw_once), variational dropout), which leaves gradients through time alone.
///
/// A mask with a step of its own for each step goes with sequences of that many steps, so it does not fit the segments
/// of a [`Checkpointed`](crate::recurrent::Checkpointed) or the windows of a
/// [`Truncated`](crate::recurrent::Truncated) unless it is drawn for those: put the dropout around the checkpoints,
/// `Dropout::new(Checkpointed::new(lstm), p)`, or draw once.
///
/// # Examples
///
/// ```
/// use ndarray::Array3;
/// use steadygrad::recurrent::{Dropout, Layer, Lstm, Stacked};
///
/// let mut x = 0.0_f64;
/// let mut uniform = move || { x = (x + 0.618_034).fract(); x };   // any numbers in [0, 1) will do
/// let mut stack = Stacked(vec![
///     Dropout::new(Lstm::<f32>::builder(2, 5).build(&mut uniform)?, 0.0)?,
///     Dropout::new(Lstm::builder(5, 5).build(&mut uniform)?, 0.3)?,
/// ]);
/// let (xs, s0) = (Array3::ones((9, 3, 2)), stack.zero_state(3));
/// let plain = stack.forward(xs.view(), &s0)?;
/// for _ in 0..10 {
///     stack.0[1].draw([9, 3, 5], &mut uniform)?;
///     let pass = stack.forward(xs.view(), &s0)?;
///     assert_ne!(pass.outputs(), plain.outputs());
///     // … backward, and a step
/// }
/// stack.0[1].rest();   // evaluation
/// assert_eq!(stack.forward(xs.view(), &s0)?.outputs(), plain.outputs());
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// - Zaremba, Sutskever and Vinyals, "Recurrent neural network regularization", 2014, arXiv:1409.2329: between layers only.
/// - Gal and Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks", 2016,
///   arXiv:1512.05287: the same mask at every step.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropout<L: Layer> {
    /// The layer.
    pub layer: L,
    p: f64,
    mask: Option<Array3<L::Elem>>,
    /// The memory of a mask that was put aside.
    aside: Working<Option<Array3<L::Elem>>>,
}

impl<L: Layer> Dropout<L> {
    /// Leaves out a share `p` of the layer's inputs, once a mask is drawn.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::{Dropout, Rnn};
    ///
    /// let rnn = Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?;
    /// assert!(Dropout::new(rnn.clone(), 0.5)?.mask().is_none());
    /// let error = Dropout::new(rnn, 1.0).unwrap_err();
    /// assert_eq!(error.to_string(), "share of inputs left out: expected a number in [0, 1), found 1");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if p is not in [0, 1).
    pub fn new(layer: L, p: f64) -> Result<Self> {
        if !(0.0..1.0).contains(&p) {
            return Err(Error::Setting {
                what: "share of inputs left out",
                expected: "a number in [0, 1)",
                found: p,
            });
        }
        Ok(Self {
            layer,
            p,
            mask: None,
            aside: Working::default(),
        })
    }

    /// Draws a mask for inputs `[time, batch, inputs]`, each step with one of its own: one number of `uniform`, in
    /// [0, 1), for each input, which is left out if that is below p.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::{Dropout, Rnn};
    ///
    /// let mut numbers = [0.1, 0.7, 0.6, 0.4].into_iter().cycle();
    /// let mut layer = Dropout::new(Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?, 0.5)?;
    /// layer.draw([2, 1, 2], &mut || numbers.next().unwrap_or(0.0))?;
    /// assert_eq!(layer.mask(), Some(array![[[0.0, 2.0]], [[2.0, 0.0]]].view()));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if no memory holds it.
    pub fn draw(&mut self, shape: [usize; 3], uniform: &mut impl FnMut() -> f64) -> Result<()> {
        let [time, batch, inputs] = shape;
        let mut mask = match (self.mask.take(), self.aside.0.take()) {
            (Some(mask), _) | (None, Some(mask)) => mask,
            (None, None) => Array3::zeros((0, 0, 0)),
        };
        make_room(&mut mask, "dropout mask", Ix3(time, batch, inputs))?;
        let kept = L::Elem::narrow(1.0 / (1.0 - self.p));
        mask.mapv_inplace(|_| {
            if uniform() < self.p {
                L::Elem::narrow(0.0)
            } else {
                kept
            }
        });
        self.mask = Some(mask);
        Ok(())
    }

    /// Draws one mask `[batch, inputs]` for all steps, however many: variational dropout.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, Dropout, Layer, Rnn};
    ///
    /// let mut numbers = [0.1, 0.7].into_iter().cycle();
    /// let rnn = Rnn::new(array![[1.0]], array![[0.0]], array![0.0], Activation::Identity)?;
    /// let mut layer = Dropout::new(rnn, 0.5)?;
    /// layer.draw_once([2, 1], &mut || numbers.next().unwrap_or(0.0))?;
    /// let pass = layer.forward(Array3::ones((2, 2, 1)).view(), &layer.zero_state(2))?;
    /// assert_eq!(pass.outputs(), array![[[0.0], [2.0]], [[0.0], [2.0]]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if no memory holds it.
    pub fn draw_once(
        &mut self,
        shape: [usize; 2],
        uniform: &mut impl FnMut() -> f64,
    ) -> Result<()> {
        self.draw([1, shape[0], shape[1]], uniform)
    }

    /// Leaves nothing out any more: evaluation.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::{Dropout, Rnn};
    ///
    /// let mut layer = Dropout::new(Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?, 0.5)?;
    /// layer.draw_once([3, 2], &mut || 0.25)?;
    /// layer.rest();
    /// assert!(layer.mask().is_none());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn rest(&mut self) {
        if let Some(mask) = self.mask.take() {
            self.aside.0 = Some(mask);
        }
    }

    /// What the inputs are multiplied by: `[time, batch, inputs]`, or `[1, batch, inputs]` for all steps.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::{Dropout, Rnn};
    ///
    /// let mut layer = Dropout::new(Rnn::<f32>::builder(2, 5).build(&mut || 0.75)?, 0.5)?;
    /// layer.draw_once([3, 2], &mut || 0.75)?;
    /// assert_eq!(layer.mask().map(|mask| (mask.dim(), mask.sum())), Some(((1, 3, 2), 12.0)));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn mask(&self) -> Option<ArrayView3<'_, L::Elem>> {
        self.mask.as_ref().map(|mask| mask.view())
    }

    /// Multiplies the inputs by a mask of one's own.
    ///
    /// # Examples
    ///
    /// Single words left out of one-hot inputs, whole rows of them:
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::{Dropout, Layer, Rnn};
    ///
    /// let mut layer = Dropout::new(Rnn::<f64>::builder(2, 5).build(&mut || 0.75)?, 0.0)?;
    /// layer.set_mask(array![[[1.0, 1.0]], [[0.0, 0.0]]]);
    /// let pass = layer.forward(array![[[1.0, 0.0]], [[0.0, 1.0]]].view(), &layer.zero_state(1))?;
    /// let plain = layer.layer.forward(array![[[1.0, 0.0]], [[0.0, 0.0]]].view(), &layer.zero_state(1))?;
    /// assert_eq!(pass.outputs(), plain.outputs());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn set_mask(&mut self, mask: Array3<L::Elem>) {
        self.mask = Some(mask);
    }
}

impl<L: Layer> TensorSet for Dropout<L> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.layer.visit(f)
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        self.layer.measure(reading)
    }
}

impl<L: Layer> TensorSetMut for Dropout<L> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        self.layer.visit_mut(f)
    }

    fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        self.layer.carry_out(writing)
    }
}

impl<L: Layer> Layer for Dropout<L> {
    type Elem = L::Elem;
    type State = L::State;
    type At<'t> = L::At<'t>;
    type Pass = DropoutPass<L::Pass>;
    type Grads = L::Grads;
    type Space = Working<L::Space>;

    fn layers(&self) -> usize {
        self.layer.layers()
    }

    fn directions(&self) -> usize {
        self.layer.directions()
    }

    fn zero_state(&self, batch: usize) -> L::State {
        self.layer.zero_state(batch)
    }

    fn forward_into<'a>(
        &self,
        xs: impl Into<Sequence<'a, L::Elem>>,
        s0: &L::State,
        pass: &mut Option<DropoutPass<L::Pass>>,
    ) -> Result<()> {
        let (mut inner, mut kept, mut masked) = (None, None, None);
        if let Some(last) = pass.take() {
            let Working([inputs, aside]) = last.masked;
            (inner, kept, masked) = (Some(last.layer), last.mask.or(aside), inputs);
        }
        let xs = xs.into();
        let mut aside = None;
        let mask = if let Some(mask) = &self.mask {
            let (time, batch, inputs) = xs.xs().dim();
            let steps = if mask.dim().0 == 1 { 1 } else { time };
            check("dropout mask", mask.shape(), &[steps, batch, inputs])?;
            let masked = room(&mut masked, xs.xs().raw_dim())?;
            masked.assign(&xs.xs());
            *masked *= mask;
            let kept_mask = room(&mut kept, mask.raw_dim())?;
            kept_mask.assign(mask);
            self.layer
                .forward_into(xs.with_xs(masked.view())?, s0, &mut inner)?;
            kept
        } else {
            aside = kept;
            self.layer.forward_into(xs, s0, &mut inner)?;
            None
        };
        *pass = Some(DropoutPass {
            layer: inner.ok_or_else(|| nothing("passes that a layer made"))?,
            mask,
            masked: Working([masked, aside]),
        });
        Ok(())
    }

    fn backward_into(
        &self,
        pass: &DropoutPass<L::Pass>,
        d: Upstream<'_, Self>,
        at: Option<&mut Hook<'_, Self>>,
        back: &mut Option<Backward<Self>>,
    ) -> Result<()> {
        let mut inner = back.take().map(|last| Backward {
            space: last.space.0,
            ..Backward::new(last.grads, last.d_inputs, last.d_state0)
        });
        let d = Upstream {
            outputs: d.outputs,
            final_state: d.final_state,
        };
        self.layer.backward_into(&pass.layer, d, at, &mut inner)?;
        let mut made = inner.ok_or_else(|| nothing("gradients that a layer made"))?;
        if let Some(mask) = &pass.mask {
            made.d_inputs *= mask;
        }
        *back = Some(Backward {
            grads: made.grads,
            d_inputs: made.d_inputs,
            d_state0: made.d_state0,
            stopped_at: made.stopped_at,
            space: Working(made.space),
        });
        Ok(())
    }

    fn forward_origin(&self, pass: &DropoutPass<L::Pass>) -> Result<Option<Origin>> {
        self.layer.forward_origin(&pass.layer)
    }

    fn backward_origin(
        &self,
        pass: &DropoutPass<L::Pass>,
        d: Upstream<'_, Self>,
    ) -> Result<Option<Origin>> {
        let inner = Upstream {
            outputs: d.outputs,
            final_state: d.final_state,
        };
        if let Some(found) = self.layer.backward_origin(&pass.layer, inner)? {
            return Ok(Some(found));
        }
        // Finite, and times the mask it is not.
        let d_inputs = self.backward(pass, d)?.d_inputs;
        let made = origin::last_step(Part::Input, "x", &d_inputs, &Lengths::default());
        Ok(made.map(|made| made.because(Cause::Product)))
    }
}

/// Inference: nothing is left out.
impl<L: RecurrentCell> RecurrentCell for Dropout<L> {
    fn step(&self, x: ArrayView2<'_, L::Elem>, s: &L::State) -> Result<L::State> {
        self.layer.step(x, s)
    }
}

/// An array of this shape, with whatever stood there.
fn room<A: Real>(array: &mut Option<Array3<A>>, shape: Ix3) -> Result<&mut Array3<A>> {
    let array = array.get_or_insert_with(|| Array3::zeros((0, 0, 0)));
    make_room(array, "masked inputs", shape)?;
    Ok(array)
}
