//! Settings under which the weights of a cell are drawn.

use core::marker::PhantomData;

use ndarray::{Array1, Array2, Axis, Slice};

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
/// An option by name ([`coupled`](Self::coupled), [`cell_clip`](Self::cell_clip), [`gate_clip`](Self::gate_clip),
/// [`layer_norm`](Self::layer_norm), [`projection`](Self::projection)) makes the settings those of an
/// [`LstmVariant`](super::LstmVariant): `O` is then [`LstmOptions`](super::LstmOptions), and `build` gives that cell.
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
/// - Tallec and Ollivier, "Can recurrent neural networks warp time?", 2018, arXiv:1804.11188 (chrono).
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct LstmBuilder<A, O = ()> {
    pub(super) inputs: usize,
    pub(super) hidden: usize,
    bias: GateBias,
    w_in: Init,
    w_rec: Init,
    /// `None`: as PyTorch draws it.
    pub(super) w_proj: Option<Init>,
    pub(super) options: O,
    element: PhantomData<A>,
}

/// How the biases of gates begin.
#[derive(Clone, Copy, Debug, PartialEq)]
enum GateBias {
    /// The forget gate's alike, the others zero.
    Forget(f64),
    /// Drawn for dependencies of up to so many steps.
    Chrono(usize),
}

impl<A: Real> LstmBuilder<A> {
    pub(super) fn new(inputs: usize, hidden: usize) -> Self {
        Self {
            inputs,
            hidden,
            bias: GateBias::Forget(1.0),
            w_in: Init::default(),
            w_rec: Init::default(),
            w_proj: None,
            options: (),
            element: PhantomData,
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
    /// assert_eq!(drawn, lstm.w_in.len() + lstm.w_rec.len());   // biases are not drawn, unless by `chrono`
    /// assert!(Lstm::<f64>::builder(3, 2).build(&mut || 1.0).is_err());   // not in [0, 1)
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if there is no hidden unit, the forget-gate bias is not finite or the longest dependency of
    /// [`chrono`](Self::chrono) is less than 2 steps, and what [`Init::matrix`] says.
    pub fn build(self, uniform: &mut impl FnMut() -> f64) -> Result<Lstm<A>> {
        let GateWeights { w_in, w_rec, bias } = self.gates(4, self.hidden, &mut Draws(uniform))?;
        Lstm::new(w_in, w_rec, bias)
    }
}

/// The weights and biases of gates, stacked.
pub(super) struct GateWeights<A> {
    pub(super) w_in: Array2<A>,
    pub(super) w_rec: Array2<A>,
    pub(super) bias: Array1<A>,
}

impl<A: Real, O> LstmBuilder<A, O> {
    /// The same with other options.
    pub(super) fn with<P>(self, of: impl FnOnce(O) -> P) -> LstmBuilder<A, P> {
        LstmBuilder {
            inputs: self.inputs,
            hidden: self.hidden,
            bias: self.bias,
            w_in: self.w_in,
            w_rec: self.w_rec,
            w_proj: self.w_proj,
            options: of(self.options),
            element: PhantomData,
        }
    }

    /// What is drawn for so many gates, `w_in` first, then `w_rec` over so many outputs, then biases: of four gates
    /// the input gate stands before the forget gate, of three it is not there.
    pub(super) fn gates(
        &self,
        gates: usize,
        outputs: usize,
        draws: &mut Draws<'_>,
    ) -> Result<GateWeights<A>> {
        let hidden = self.hidden;
        check_hidden(hidden)?;
        if let GateBias::Forget(bias) = self.bias {
            check_bias::<A>("forget bias", bias)?;
        }
        let w_in = self.w_in.stacked(gates, hidden, self.inputs, draws)?;
        let w_rec = self.w_rec.stacked(gates, hidden, outputs, draws)?;
        let mut bias = Array1::zeros(gates * hidden);
        let forget_gate = (gates - 3) * hidden;
        let (mut input, mut rest) = bias.view_mut().split_at(Axis(0), forget_gate);
        let mut forget = rest.slice_axis_mut(Axis(0), Slice::from(..hidden));
        match self.bias {
            GateBias::Forget(bias) => forget.fill(A::narrow(bias)),
            GateBias::Chrono(longest) => {
                forget.assign(&draws.chrono(hidden, longest)?);
                // Of three gates there is no input gate to fill.
                for (i, f) in input.iter_mut().zip(&forget) {
                    *i = -*f;
                }
            }
        }
        Ok(GateWeights { w_in, w_rec, bias })
    }

    /// The bias of the forget gate at the start: the larger, the longer the cell remembers untrained.
    ///
    /// Of this and [`chrono`](Self::chrono) the last word counts.
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
            bias: GateBias::Forget(forget_bias),
            ..self
        }
    }

    /// Biases drawn for dependencies of up to `longest` steps: each unit gets a memory of its own length.
    ///
    /// ```text
    /// b_f = log u, u ~ U[1, longest − 1]        b_i = −b_f        the other biases are 0
    /// ```
    ///
    /// With f = σ(`b_f`) a cell keeps its state for about 1/(1 − f) = 1 + u steps, and lets in as much as it loses.
    /// The draws come after those of the weights. Where the gates are [`coupled`](Self::coupled), i = 1 − f is what
    /// `b_i` is for.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::Lstm;
    ///
    /// let lstm = Lstm::<f64>::builder(1, 1).chrono(100).build(&mut || 0.5)?;
    /// let (b_i, b_f) = (lstm.bias[0], lstm.bias[1]);
    /// assert!((b_f.exp() - 50.0).abs() < 1e-12);   // halfway between 1 and 99
    /// assert_eq!(b_i, -b_f);
    /// assert!(Lstm::<f64>::builder(1, 1).chrono(1).build(&mut || 0.5).is_err());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// - Tallec and Ollivier, "Can recurrent neural networks warp time?", 2018, arXiv:1804.11188.
    pub fn chrono(self, longest: usize) -> Self {
        Self {
            bias: GateBias::Chrono(longest),
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
}

/// Refuses a cell without a unit.
pub(super) fn check_hidden(hidden: usize) -> Result<()> {
    if hidden == 0 {
        return Err(Error::Setting {
            what: "hidden",
            expected: "at least one unit",
            found: 0.0,
        });
    }
    Ok(())
}

/// Refuses a bias that the element type cannot hold.
pub(super) fn check_bias<A: Real>(what: &'static str, bias: f64) -> Result<()> {
    if A::narrow(bias).is_finite() {
        return Ok(());
    }
    Err(Error::Setting {
        what,
        expected: "a finite number",
        found: bias,
    })
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
