//! Settings under which the weights of a cell are drawn.

use core::marker::PhantomData;

use ndarray::{Array1, Axis, Slice};

use super::init::Draws;
use super::{Activation, Init, Lstm, Real, Rnn};
use crate::{Error, Result};

/// Settings for an [`Rnn`], made by [`Rnn::builder`].
///
/// Without a word: tanh, [`Init::Uniform`] for both matrices as in PyTorch, and zero bias (PyTorch
/// draws its biases like its weights).
///
/// # Examples
///
/// ```
/// use ndarray::Array2;
/// use steadygrad::recurrent::{Activation, Init, Rnn};
///
/// let irnn = Rnn::<f32>::builder(2, 8)
///     .activation(Activation::Relu)
///     .w_in(Init::Xavier)
///     .w_rec(Init::Identity)
///     .build(&mut || 0.75)?;
/// assert_eq!(irnn.w_rec, Array2::<f32>::eye(8));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct RnnBuilder<A> {
    inputs: usize,
    hidden: usize,
    activation: Activation,
    w_in: Init,
    w_rec: Init,
    element: PhantomData<A>,
}

impl<A: Real> RnnBuilder<A> {
    pub(super) fn new(inputs: usize, hidden: usize) -> Self {
        Self {
            inputs,
            hidden,
            activation: Activation::default(),
            w_in: Init::default(),
            w_rec: Init::default(),
            element: PhantomData,
        }
    }

    /// The nonlinearity.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::{Activation, Rnn};
    ///
    /// let linear = Rnn::<f64>::builder(1, 4).activation(Activation::Identity).build(&mut || 0.5)?;
    /// assert_eq!(linear.activation(), Activation::Identity);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// How the input weights are drawn.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::{Init, Rnn};
    ///
    /// let rnn = Rnn::<f64>::builder(3, 2).w_in(Init::Identity).build(&mut || 0.75)?;
    /// assert_eq!(rnn.w_in, array![[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn w_in(self, init: Init) -> Self {
        Self { w_in: init, ..self }
    }

    /// How the recurrent weights are drawn.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::{Init, Rnn};
    /// use steadygrad::spectral::spectral_radius;
    ///
    /// let fading = Rnn::<f64>::builder(3, 4).w_rec(Init::Scaled { radius: 0.9 }).build(&mut || 0.5)?;
    /// assert!((spectral_radius(&fading.w_rec)? - 0.9).abs() < 1e-12);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn w_rec(self, init: Init) -> Self {
        Self {
            w_rec: init,
            ..self
        }
    }

    /// Draws the weights, `w_in` first, from numbers uniform in [0, 1).
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::Rnn;
    ///
    /// let mut draws = [0.0, 0.25, 0.5, 0.75].into_iter().cycle();
    /// let rnn = Rnn::<f64>::builder(3, 1).build(&mut || draws.next().unwrap())?;
    /// assert_eq!((rnn.w_in, rnn.w_rec), (array![[-1.0, -0.5, 0.0]], array![[0.5]]));
    /// assert!(Rnn::<f64>::builder(3, 0).build(&mut || 0.5).is_err());   // no hidden unit
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if there is no hidden unit, and what [`Init::matrix`] says.
    pub fn build(self, uniform: &mut impl FnMut() -> f64) -> Result<Rnn<A>> {
        check_hidden(self.hidden)?;
        let draws = &mut Draws(uniform);
        let w_in = self.w_in.stacked(1, self.hidden, self.inputs, draws)?;
        let w_rec = self.w_rec.stacked(1, self.hidden, self.hidden, draws)?;
        Rnn::new(w_in, w_rec, Array1::zeros(self.hidden), self.activation)
    }
}

/// Settings for an [`Lstm`], made by [`Lstm::builder`].
///
/// Without a word: [`Init::Uniform`] for both matrices as in PyTorch, a forget-gate bias of 1, and zero for
/// the other biases (PyTorch draws its biases like its weights). Each gate's block is drawn by itself.
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use steadygrad::recurrent::{Init, Lstm};
///
/// let lstm = Lstm::<f32>::builder(3, 2)
///     .w_rec(Init::Orthogonal)
///     .forget_bias(2.0)
///     .build(&mut || 0.75)?;
/// assert_eq!(lstm.bias, array![0.0, 0.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// - Jozefowicz, Zaremba and Sutskever, "An empirical exploration of recurrent network architectures", 2015
///   (a forget-gate bias of 1).
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct LstmBuilder<A> {
    inputs: usize,
    hidden: usize,
    forget_bias: f64,
    w_in: Init,
    w_rec: Init,
    element: PhantomData<A>,
}

impl<A: Real> LstmBuilder<A> {
    pub(super) fn new(inputs: usize, hidden: usize) -> Self {
        Self {
            inputs,
            hidden,
            forget_bias: 1.0,
            w_in: Init::default(),
            w_rec: Init::default(),
            element: PhantomData,
        }
    }

    /// The bias of the forget gate at the start: the larger, the longer the cell remembers untrained.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::Lstm;
    ///
    /// let as_it_comes = Lstm::<f64>::builder(1, 1).build(&mut || 0.5)?;
    /// let open = Lstm::<f64>::builder(1, 1).forget_bias(5.0).build(&mut || 0.5)?;
    /// assert_eq!((as_it_comes.bias, open.bias), (array![0.0, 1.0, 0.0, 0.0], array![0.0, 5.0, 0.0, 0.0]));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn forget_bias(self, forget_bias: f64) -> Self {
        Self {
            forget_bias,
            ..self
        }
    }

    /// How each gate's input weights are drawn.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::{Init, Lstm};
    ///
    /// let lstm = Lstm::<f64>::builder(2, 1).w_in(Init::Identity).build(&mut || 0.5)?;
    /// assert_eq!(lstm.w_in, array![[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]);   // a block for each gate
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn w_in(self, init: Init) -> Self {
        Self { w_in: init, ..self }
    }

    /// How each gate's recurrent weights are drawn.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Axis;
    /// use steadygrad::recurrent::{Init, Lstm};
    /// use steadygrad::spectral::spectral_radius;
    ///
    /// let lstm = Lstm::<f64>::builder(2, 3).w_rec(Init::Scaled { radius: 1.25 }).build(&mut || 0.5)?;
    /// for gate in lstm.w_rec.axis_chunks_iter(Axis(0), 3) {
    ///     assert!((spectral_radius(&gate)? - 1.25).abs() < 1e-12);
    /// }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn w_rec(self, init: Init) -> Self {
        Self {
            w_rec: init,
            ..self
        }
    }

    /// Draws the weights, `w_in` first, from numbers uniform in [0, 1).
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::Lstm;
    ///
    /// let mut drawn = 0;
    /// let lstm = Lstm::<f64>::builder(3, 2).build(&mut || { drawn += 1; 0.5 })?;
    /// assert_eq!(drawn, lstm.w_in.len() + lstm.w_rec.len());   // biases are not drawn
    /// assert!(Lstm::<f64>::builder(3, 2).build(&mut || 1.0).is_err());   // not in [0, 1)
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if there is no hidden unit or the forget-gate bias is not finite, and what
    /// [`Init::matrix`] says.
    pub fn build(self, uniform: &mut impl FnMut() -> f64) -> Result<Lstm<A>> {
        let hidden = self.hidden;
        check_hidden(hidden)?;
        if !A::narrow(self.forget_bias).is_finite() {
            let expected = "a finite number";
            return Err(Error::Setting {
                what: "forget bias",
                expected,
                found: self.forget_bias,
            });
        }
        let draws = &mut Draws(uniform);
        let w_in = self.w_in.stacked(4, hidden, self.inputs, draws)?;
        let w_rec = self.w_rec.stacked(4, hidden, hidden, draws)?;
        let mut bias = Array1::zeros(4 * hidden);
        bias.slice_axis_mut(Axis(0), Slice::from(hidden..2 * hidden))
            .fill(A::narrow(self.forget_bias));
        Lstm::new(w_in, w_rec, bias)
    }
}

fn check_hidden(hidden: usize) -> Result<()> {
    if hidden == 0 {
        return Err(Error::Setting {
            what: "hidden",
            expected: "at least one unit",
            found: 0.0,
        });
    }
    Ok(())
}

impl<A: Real> Rnn<A> {
    /// Settings for a cell of so many inputs and hidden units, whose weights are drawn by
    /// [`build`](RnnBuilder::build).
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::Rnn;
    ///
    /// let rnn = Rnn::<f64>::builder(3, 5).build(&mut || 0.25)?;
    /// assert_eq!(rnn.w_in.dim(), (5, 3));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn builder(inputs: usize, hidden: usize) -> RnnBuilder<A> {
        RnnBuilder::new(inputs, hidden)
    }
}

impl<A: Real> Lstm<A> {
    /// Settings for a cell of so many inputs and hidden units, whose weights are drawn by
    /// [`build`](LstmBuilder::build).
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::Lstm;
    ///
    /// let lstm = Lstm::<f64>::builder(3, 5).build(&mut || 0.25)?;
    /// assert_eq!(lstm.w_in.dim(), (20, 3));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn builder(inputs: usize, hidden: usize) -> LstmBuilder<A> {
        LstmBuilder::new(inputs, hidden)
    }
}
