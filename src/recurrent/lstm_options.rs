//! The options of an LSTM, by name.

use ndarray::Array1;

use super::init::Draws;
use super::{Init, LstmBuilder, LstmNorm, LstmVariant, Real, Unrolled};
use crate::{Error, Result};

/// The options of an [`LstmVariant`], which the methods of [`LstmBuilder`] set.
///
/// # Examples
///
/// ```
/// use steadygrad::recurrent::{Lstm, LstmOptions};
///
/// let lstm = Lstm::<f32>::builder(2, 4).layer_norm().build(&mut || 0.5)?;
/// let LstmOptions { coupled, layer_norm, .. } = lstm.cell.options();
/// assert_eq!((coupled, layer_norm), (false, Some(1e-5)));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct LstmOptions {
    /// Whether the input gate is what the forget gate leaves.
    pub coupled: bool,
    /// The bound of the cell state.
    pub cell_clip: Option<f64>,
    /// The bound of the gates' sums, before their nonlinearities.
    pub gate_clip: Option<f64>,
    /// The ε of the layer normalisation.
    pub layer_norm: Option<f64>,
    /// To how many outputs the units are projected.
    pub projection: Option<usize>,
}

impl LstmOptions {
    /// How many gates have weights.
    pub(super) fn gates(&self) -> usize {
        if self.coupled { 3 } else { 4 }
    }

    fn check<A: Real>(&self, hidden: usize) -> Result<()> {
        let positive = |found: f64| A::narrow(found) > A::zero();
        let bounds = [("cell clip", self.cell_clip), ("gate clip", self.gate_clip)];
        for (what, bound) in bounds {
            refuse_unless(bound, positive, what, "a number > 0 of the element type")?;
        }
        let finite = |found: f64| positive(found) && A::narrow(found).is_finite();
        let expected = "a finite number > 0 of the element type";
        refuse_unless(self.layer_norm, finite, "layer norm ε", expected)?;
        let some = self.projection.map(|outputs| outputs as f64);
        refuse_unless(some, |n| n > 0.0, "projection", "at least one output")?;
        let units = self.layer_norm.map(|_| hidden as f64);
        let expected = "at least two units to normalise";
        refuse_unless(units, |n| n > 1.0, "hidden", expected)
    }
}

/// Refuses what is given and is not right.
fn refuse_unless(
    given: Option<f64>,
    is_right: impl Fn(f64) -> bool,
    what: &'static str,
    expected: &'static str,
) -> Result<()> {
    match given {
        Some(found) if !is_right(found) => Err(Error::Setting {
            what,
            expected,
            found,
        }),
        _ => Ok(()),
    }
}

/// No option yet.
impl From<()> for LstmOptions {
    fn from((): ()) -> Self {
        Self::default()
    }
}

/// The options, each of which makes the settings those of an [`LstmVariant`]. Its page has their formulas, and a table of
/// their limits.
impl<A: Real, O: Into<LstmOptions>> LstmBuilder<A, O> {
    /// Couples input and forget gate: i = 1 − f, with a quarter fewer weights.
    ///
    /// # Examples
    ///
    /// A cell takes in as much as it forgets, so its new state lies between the old one and g:
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::{Lstm, LstmState, RecurrentCell};
    ///
    /// let mut lstm = Lstm::<f64>::builder(1, 1).coupled().build(&mut || 0.5)?;
    /// lstm.cell.bias = array![0.0, 800.0, 0.0];   // f = ½, g = 1
    /// let s = LstmState { h: array![[0.0]], c: array![[5.0]] };
    /// assert_eq!(lstm.step(array![[0.0]].view(), &s)?.c, array![[3.0]]);   // ½·5 + (1 − ½)·1
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// - Greff, Srivastava, Koutník, Steunebrink and Schmidhuber, "LSTM: a search space odyssey", 2017,
    ///   arXiv:1503.04069.
    pub fn coupled(self) -> LstmBuilder<A, LstmOptions> {
        self.option(|options| options.coupled = true)
    }

    /// Clamps the cell state to ±`bound`. No gradient goes through a unit in the step in which it is clamped.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Layer, Lstm};
    ///
    /// let mut lstm = Lstm::<f64>::builder(1, 1).cell_clip(2.5).build(&mut || 0.5)?;
    /// lstm.cell.bias = array![800.0, 800.0, 800.0, 800.0];   // i = f = g = 1: it counts
    /// let pass = lstm.forward(Array3::zeros((9, 1, 1)).view(), &lstm.zero_state(1))?;
    /// assert_eq!(pass.final_state().c, array![[2.5]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// - Sak, Senior and Beaufays, "Long short-term memory based recurrent neural network architectures for large
    ///   vocabulary speech recognition", 2014, arXiv:1402.1128.
    pub fn cell_clip(self, bound: f64) -> LstmBuilder<A, LstmOptions> {
        self.option(|options| options.cell_clip = Some(bound))
    }

    /// Clamps the sums that the gates are taken of to ±`bound`, so that no gate closes or opens for good.
    ///
    /// No gradient goes through a gate in the step in which its sum is clamped. This is a clip of values on the way
    /// there; to clip the gradients of a step is a matter for the hook of
    /// [`backward_with`](super::Layer::backward_with).
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::{Lstm, LstmState, RecurrentCell};
    ///
    /// let mut lstm = Lstm::<f64>::builder(1, 1).gate_clip(1.0).build(&mut || 0.5)?;
    /// lstm.cell.bias = array![-800.0, -800.0, 0.0, 0.0];
    /// let s = LstmState { h: array![[0.0]], c: array![[1.0]] };
    /// let f = 1.0 / (1.0 + 1_f64.exp());   // σ(−1), where σ(−800) would be 0
    /// assert_eq!(lstm.step(array![[0.0]].view(), &s)?.c, array![[f]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn gate_clip(self, bound: f64) -> LstmBuilder<A, LstmOptions> {
        self.option(|options| options.gate_clip = Some(bound))
    }

    /// Normalises what comes from the inputs, what comes from the hidden state, and the cell state, with ε = 1e-5 as
    /// in PyTorch.
    ///
    /// # Examples
    ///
    /// The scale of inputs does not matter any more:
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::{Init, Layer, Lstm};
    ///
    /// let lstm = Lstm::<f64>::builder(2, 3).layer_norm().w_in(Init::Identity).build(&mut || 0.25)?;
    /// let xs = Array3::from_shape_fn((4, 1, 2), |(t, _, i)| 1.0 + (t * i) as f64);
    /// let (s0, loud) = (lstm.zero_state(1), &xs * 1000.0);
    /// let (outputs, louder) = (lstm.forward(xs.view(), &s0)?, lstm.forward(loud.view(), &s0)?);
    /// let apart = &outputs.outputs() - &louder.outputs();
    /// assert!(apart.iter().all(|x| x.abs() < 1e-4));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// - Ba, Kiros and Hinton, "Layer normalization", 2016, arXiv:1607.06450.
    pub fn layer_norm(self) -> LstmBuilder<A, LstmOptions> {
        self.layer_norm_with(1e-5)
    }

    /// The same with an ε of one's own, which is added to each variance.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::Lstm;
    ///
    /// let lstm = Lstm::<f64>::builder(2, 3).layer_norm_with(1e-3).build(&mut || 0.5)?;
    /// assert_eq!(lstm.cell.options().layer_norm, Some(1e-3));
    /// let error = Lstm::<f32>::builder(2, 3).layer_norm_with(0.0).build(&mut || 0.5).unwrap_err();
    /// assert_eq!(error.to_string(), "layer norm ε: expected a finite number > 0 of the element type, found 0");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn layer_norm_with(self, epsilon: f64) -> LstmBuilder<A, LstmOptions> {
        self.option(|options| options.layer_norm = Some(epsilon))
    }

    /// Projects the units to so many outputs, which are also what comes back in the next step; PyTorch's `proj_size`.
    ///
    /// With P outputs of H units the recurrent weights are 4·H·P instead of 4·H², which makes large cells affordable.
    /// PyTorch's weights load as `w_in = weight_ih_l0`, `w_rec = weight_hh_l0`, `w_proj = weight_hr_l0`,
    /// `bias = bias_ih_l0 + bias_hh_l0`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::{Layer, Lstm};
    ///
    /// let lstm = Lstm::<f32>::builder(3, 64).projection(16).build(&mut || 0.75)?;
    /// let s0 = lstm.zero_state(2);
    /// assert_eq!((s0.h.dim(), s0.c.dim()), ((2, 16), (2, 64)));
    /// assert_eq!(lstm.forward(Array3::ones((5, 2, 3)).view(), &s0)?.outputs().dim(), (5, 2, 16));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// - Sak, Senior and Beaufays, "Long short-term memory based recurrent neural network architectures for large
    ///   vocabulary speech recognition", 2014, arXiv:1402.1128.
    pub fn projection(self, outputs: usize) -> LstmBuilder<A, LstmOptions> {
        self.option(|options| options.projection = Some(outputs))
    }

    /// How the weights of the [projection](Self::projection) are drawn; without a word uniform within ±1/√hidden, as in
    /// PyTorch.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::{Init, Lstm};
    ///
    /// let lstm = Lstm::<f64>::builder(1, 3).projection(2).w_proj(Init::Identity).build(&mut || 0.5)?;
    /// assert_eq!(lstm.cell.w_proj, Some(array![[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]));
    /// assert!(Lstm::<f64>::builder(1, 3).w_proj(Init::Identity).build(&mut || 0.5).is_err());   // of what?
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn w_proj(self, init: Init) -> LstmBuilder<A, LstmOptions> {
        let mut builder = self.option(|_| {});
        builder.w_proj = Some(init);
        builder
    }

    fn option(self, set: impl FnOnce(&mut LstmOptions)) -> LstmBuilder<A, LstmOptions> {
        self.with(|options| {
            let mut options = options.into();
            set(&mut options);
            options
        })
    }
}

impl<A: Real> LstmBuilder<A, LstmOptions> {
    /// Draws the weights, `w_in` first, from numbers uniform in [0, 1).
    ///
    /// After `w_in` and `w_rec` come the biases of [`chrono`](Self::chrono), if it is chosen, and then `w_proj`. Gains
    /// are 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::{Lstm, LstmVariant, Unrolled};
    ///
    /// let lstm: Unrolled<LstmVariant<f64>> = Lstm::builder(3, 4).projection(2).build(&mut || 0.75)?;
    /// assert_eq!((lstm.cell.w_rec[[0, 0]], lstm.cell.w_proj.unwrap()[[0, 0]]), (0.25, 0.25));   // ½·1/√4
    /// assert!(Lstm::<f64>::builder(3, 4).projection(0).build(&mut || 0.75).is_err());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if there is no hidden unit, the forget-gate bias is not finite, the longest dependency of
    /// [`chrono`](Self::chrono) is less than 2 steps, or an option is out of its range; [`Error::Count`] if weights of a
    /// projection are described and there is none; and what [`Init::matrix`] says.
    pub fn build(self, uniform: &mut impl FnMut() -> f64) -> Result<Unrolled<LstmVariant<A>>> {
        let (hidden, options) = (self.hidden, self.options);
        options.check::<A>(hidden)?;
        let (gates, draws) = (options.gates(), &mut Draws(uniform));
        let weights = self.gates(gates, options.projection.unwrap_or(hidden), draws)?;
        let w_proj = match (options.projection, self.w_proj) {
            (Some(outputs), Some(init)) => Some(init.stacked(1, outputs, hidden, draws)?),
            (Some(outputs), None) => {
                // Turned round, it has the units for rows, by which the rule goes.
                let turned = Init::Uniform.stacked(1, hidden, outputs, draws)?;
                Some(turned.t().as_standard_layout().into_owned())
            }
            (None, Some(_)) => {
                return Err(Error::Count {
                    what: "projections, where their weights are described",
                    expected: 1,
                    found: 0,
                });
            }
            (None, None) => None,
        };
        let ones = |gates: usize| Array1::from_elem(gates * hidden, A::one());
        let norm = options.layer_norm.map(|_| LstmNorm {
            gain_in: ones(gates),
            gain_rec: ones(gates),
            gain_c: ones(1),
            shift_c: Array1::zeros(hidden),
        });
        Ok(Unrolled::new(LstmVariant {
            w_in: weights.w_in,
            w_rec: weights.w_rec,
            bias: weights.bias,
            w_proj,
            norm,
            options,
        }))
    }
}
