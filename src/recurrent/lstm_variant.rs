//! The LSTM with options.

use ndarray::{Array1, Array2};

use super::linear::check;
use super::{LstmOptions, Real};
use crate::set::{Visitor, VisitorMut, visit_under, visit_under_mut};
use crate::{Element, Result, TensorSet, TensorSetMut, tensor_set};

/// An LSTM with options: coupled gates, clips, layer normalisation, projection.
///
/// [`Lstm::builder`](super::Lstm::builder) and an option make one, unrolled:
/// [`Unrolled`](super::Unrolled)`<LstmVariant<A>>` is its [`Layer`](super::Layer). Its state is an
/// [`LstmState`](super::LstmState), in which h has as many columns as there are outputs.
///
/// ```text
/// z = x_t·W_inᵀ + h_{t−1}·W_recᵀ + b
/// [i f g o] = [σ σ tanh σ](z)
/// c_t = f ⊙ c_{t−1} + i ⊙ g
/// m_t = o ⊙ tanh c_t
/// h_t = m_t
/// ```
///
/// An option changes one line of these, and options combine as they come:
///
/// ```text
/// coupled       [f g o] = [σ tanh σ](z), i = 1 − f
/// layer_norm    z = gain_in ⊙ N(x_t·W_inᵀ) + gain_rec ⊙ N(h_{t−1}·W_recᵀ) + b
///               m_t = o ⊙ tanh(gain_c ⊙ N(c_t) + shift_c)
///               N(a) = (a − μ)/√(v + ε), μ and v the mean of a's n entries and their variance (over n)
/// gate_clip     [i f g o] = [σ σ tanh σ](clamp(z, ±gate_clip))
/// cell_clip     c_t = clamp(f ⊙ c_{t−1} + i ⊙ g, ±cell_clip)
/// projection    h_t = m_t·W_projᵀ
/// ```
///
/// N goes over all gates at once, as in the paper. There both of its results have a shift besides the bias b; the three
/// only ever act through their sum, which is `bias`. At a state of zeros N has the slope 1/√ε, about 316 for an ε of
/// 1e-5: the gradient of an initial state of zeros is that much larger. The same holds wherever the entries are nearly
/// alike, as those of a cell state of which every unit is clamped; many units, or a larger ε, make it rare.
///
/// # Tensors
///
/// The set has exactly the tensors of its options, in this order, gates stacked in the order i, f, g, o, or f, g, o if
/// they are coupled (G is 4, or 3), H units, P outputs (H without a projection):
///
/// | name | shape | at the start |
/// |---|---|---|
/// | `w_in` | `[G·H, inputs]` | drawn, each gate's block by itself |
/// | `w_rec` | `[G·H, P]` | drawn, each gate's block by itself |
/// | `bias` | `[G·H]` | zero, the forget gate's 1 or by [`chrono`](super::LstmBuilder::chrono) |
/// | `w_proj`, with `projection` | `[P, H]` | uniform within ±1/√H, as in PyTorch |
/// | `gain_in`, `gain_rec`, with `layer_norm` | `[G·H]` | 1 |
/// | `gain_c`, with `layer_norm` | `[H]` | 1 |
/// | `shift_c`, with `layer_norm` | `[H]` | 0 |
///
/// They are public, to be read, edited and stepped by an optimiser; that they go together is checked in every step.
///
/// # Limits
///
/// | option | takes | refused by `build` | beside the others |
/// |---|---|---|---|
/// | [`coupled`](super::LstmBuilder::coupled) | – | – | with any; `chrono` draws the forget gate's biases alone |
/// | [`cell_clip`](super::LstmBuilder::cell_clip) | a bound > 0, infinity (which never clips) included | 0, negative, NaN, and what is 0 in the element type | with any; comes before the cell is normalised |
/// | [`gate_clip`](super::LstmBuilder::gate_clip) | the same | the same | with any; comes after normalisation and bias |
/// | [`layer_norm`](super::LstmBuilder::layer_norm) | ε > 0, finite | 0, negative, not finite; a cell of one unit, all of whose normalised states are 0 | with any |
/// | [`projection`](super::LstmBuilder::projection) | at least one output, more than units too (PyTorch wants fewer) | 0 outputs | with any; a `w_rec` of a given spectral radius ([`Init::Scaled`](super::Init::Scaled), [`Init::Sparse`](super::Init::Sparse)) needs as many outputs as units |
/// | [`w_proj`](super::LstmBuilder::w_proj) | an [`Init`](super::Init) | without a projection | |
///
/// Of one option named twice the last word counts. A peephole is no option; it is a cell of its own in the example
/// `peephole`. An option costs speed: the steps are taken one by one, each with its own products and memory. The plain
/// [`Lstm`](super::Lstm) pays nothing for that.
///
/// # The way back
///
/// With dh and dc the gradients with respect to `h_t` and `c_t`, sums over the batch, and without the lines of options
/// that are not there:
///
/// ```text
/// dW_proj += dhᵀ·m    dm = dh·W_proj                                projection; else dm = dh
/// do = dm ⊙ tanh u    du = dm ⊙ o ⊙ (1 − tanh² u)                   u: what the tanh is taken of
/// dgain_c += Σ du ⊙ N(c)    dshift_c += Σ du
/// dc ← dc + Nᵀ(gain_c ⊙ du)                                         layer_norm; else dc ← dc + du
/// dc ← 0 where |f ⊙ c_{t−1} + i ⊙ g| > cell_clip
/// df = dc ⊙ c_{t−1}    di = dc ⊙ g    dg = dc ⊙ i                   coupled: df = dc ⊙ (c_{t−1} − g), no di
/// dz = [di ⊙ i(1 − i)  df ⊙ f(1 − f)  dg ⊙ (1 − g²)  do ⊙ o(1 − o)]
/// dz ← 0 where |z| > gate_clip
/// dgain_in += Σ dz ⊙ N(a)    dgain_rec += Σ dz ⊙ N(r)               a = x_t·W_inᵀ, r = h_{t−1}·W_recᵀ
/// db += Σ dz    da = Nᵀ(gain_in ⊙ dz)    dr = Nᵀ(gain_rec ⊙ dz)     without layer_norm da = dr = dz
/// dW_in += daᵀ·x    dx = da·W_in    dW_rec += drᵀ·h_{t−1}    dh ← dr·W_rec    dc ← dc ⊙ f
///
/// Nᵀ(dy) = (dy − mean(dy) − y·mean(dy ⊙ y))/√(v + ε), y = N(a)
/// ```
///
/// A clamp has the slope that it has: 1 up to the bound, the bound included, as in PyTorch, and 0 beyond it. So a
/// gradient ends where a value was clamped; what the others get is exact.
///
/// # Examples
///
/// ```
/// use ndarray::Array3;
/// use steadygrad::recurrent::{Layer, Lstm};
/// use steadygrad::Measurement;
///
/// let lstm = Lstm::<f64>::builder(3, 8).coupled().layer_norm().projection(4).build(&mut || 0.75)?;
/// assert_eq!(lstm.cell.w_in.dim(), (24, 3));   // three gates
///
/// let pass = lstm.forward(Array3::ones((5, 2, 3)).view(), &lstm.zero_state(2))?;
/// assert_eq!(pass.outputs().dim(), (5, 2, 4));
/// let back = lstm.backward(&pass, pass.outputs())?;
/// let seen = Measurement::of(&back.grads)?;
/// let names: Vec<_> = (0..seen.tensors().len()).map(|k| seen.name(k)).collect();
/// assert_eq!(names, ["w_in", "w_rec", "bias", "w_proj", "gain_in", "gain_rec", "gain_c", "shift_c"]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// - `coupled`: Greff, Srivastava, Koutník, Steunebrink and Schmidhuber, "LSTM: a search space odyssey", 2017,
///   arXiv:1503.04069.
/// - `cell_clip`, `projection`: Sak, Senior and Beaufays, "Long short-term memory based recurrent neural network
///   architectures for large vocabulary speech recognition", 2014, arXiv:1402.1128.
/// - `layer_norm`: Ba, Kiros and Hinton, "Layer normalization", 2016, arXiv:1607.06450.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LstmVariant<A> {
    /// Input weights, gates stacked: `[G·hidden, inputs]`.
    pub w_in: Array2<A>,
    /// Recurrent weights, gates stacked: `[G·hidden, outputs]`.
    pub w_rec: Array2<A>,
    /// Bias, gates stacked: `[G·hidden]`.
    pub bias: Array1<A>,
    /// The weights of the projection, `[outputs, hidden]`, if there is one.
    pub w_proj: Option<Array2<A>>,
    /// Gains and shifts of the layer normalisation, if there is one.
    pub norm: Option<LstmNorm<A>>,
    pub(super) options: LstmOptions,
}

/// Gains and shifts of a layer-normalised [`LstmVariant`], or the gradients with respect to them.
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use steadygrad::recurrent::Lstm;
///
/// let lstm = Lstm::<f64>::builder(3, 2).layer_norm().build(&mut || 0.75)?;
/// let norm = lstm.cell.norm.unwrap();
/// assert_eq!((norm.gain_in.len(), norm.gain_rec.len()), (8, 8));
/// assert_eq!((norm.gain_c, norm.shift_c), (array![1.0, 1.0], array![0.0, 0.0]));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LstmNorm<A> {
    /// The gain of what comes from the inputs, gates stacked: `[G·hidden]`.
    pub gain_in: Array1<A>,
    /// The gain of what comes from the hidden state, gates stacked: `[G·hidden]`.
    pub gain_rec: Array1<A>,
    /// The gain of the cell state: `[hidden]`.
    pub gain_c: Array1<A>,
    /// The shift of the cell state: `[hidden]`.
    pub shift_c: Array1<A>,
}

tensor_set!(impl[A: Element] LstmNorm<A> { gain_in, gain_rec, gain_c, shift_c });

/// The gradients of the parameters of an [`LstmVariant`], under the parameters' names.
///
/// # Examples
///
/// ```
/// use ndarray::Array3;
/// use steadygrad::recurrent::{Layer, Lstm};
///
/// let lstm = Lstm::<f64>::builder(1, 3).projection(2).build(&mut || 0.75)?;
/// let pass = lstm.forward(Array3::ones((3, 1, 1)).view(), &lstm.zero_state(1))?;
/// let grads = lstm.backward(&pass, pass.outputs())?.grads;
/// assert_eq!((grads.w_rec.dim(), grads.w_proj.unwrap().dim()), ((12, 2), (2, 3)));
/// assert_eq!(grads.norm, None);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LstmVariantGrads<A> {
    /// `dL/dW_in`, shaped as the input weights.
    pub w_in: Array2<A>,
    /// `dL/dW_rec`, shaped as the recurrent weights.
    pub w_rec: Array2<A>,
    /// dL/db, shaped as the bias.
    pub bias: Array1<A>,
    /// `dL/dW_proj`, if there is a projection.
    pub w_proj: Option<Array2<A>>,
    /// The gradients of gains and shifts, if there are any.
    pub norm: Option<LstmNorm<A>>,
}

/// A set of the tensors that are there. Those of an option that is not there have no place, not even an empty one.
macro_rules! present {
    ($set:ident) => {
        impl<A: Element> TensorSet for $set<A> {
            fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
                visit_under("w_in", &self.w_in, f)?;
                visit_under("w_rec", &self.w_rec, f)?;
                visit_under("bias", &self.bias, f)?;
                if let Some(w_proj) = &self.w_proj {
                    visit_under("w_proj", w_proj, f)?;
                }
                self.norm.as_ref().map_or(Ok(()), |norm| norm.visit(f))
            }
        }

        impl<A: Element> TensorSetMut for $set<A> {
            fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
                visit_under_mut("w_in", &mut self.w_in, f)?;
                visit_under_mut("w_rec", &mut self.w_rec, f)?;
                visit_under_mut("bias", &mut self.bias, f)?;
                if let Some(w_proj) = &mut self.w_proj {
                    visit_under_mut("w_proj", w_proj, f)?;
                }
                self.norm.as_mut().map_or(Ok(()), |norm| norm.visit_mut(f))
            }
        }
    };
}
present!(LstmVariant);
present!(LstmVariantGrads);

impl<A: Real> LstmVariant<A> {
    /// How many features an input has.
    ///
    /// # Examples
    ///
    /// ```
    /// # use steadygrad::recurrent::Lstm;
    /// assert_eq!(Lstm::<f64>::builder(3, 5).coupled().build(&mut || 0.5)?.cell.inputs(), 3);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.w_in.ncols()
    }

    /// How many units the cell state has.
    ///
    /// # Examples
    ///
    /// ```
    /// # use steadygrad::recurrent::Lstm;
    /// assert_eq!(Lstm::<f64>::builder(3, 5).projection(2).build(&mut || 0.5)?.cell.hidden(), 5);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn hidden(&self) -> usize {
        match &self.w_proj {
            Some(w_proj) => w_proj.ncols(),
            None => self.w_rec.ncols(),
        }
    }

    /// How many features an output has: the units, or what they are projected to.
    ///
    /// # Examples
    ///
    /// ```
    /// # use steadygrad::recurrent::Lstm;
    /// assert_eq!(Lstm::<f64>::builder(3, 5).projection(2).build(&mut || 0.5)?.cell.outputs(), 2);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.w_rec.ncols()
    }

    /// The options that it was built with.
    ///
    /// # Examples
    ///
    /// ```
    /// # use steadygrad::recurrent::Lstm;
    /// let options = Lstm::<f64>::builder(3, 5).coupled().cell_clip(50.0).build(&mut || 0.5)?.cell.options();
    /// assert!(options.coupled);
    /// assert_eq!((options.cell_clip, options.projection), (Some(50.0), None));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn options(&self) -> LstmOptions {
        self.options
    }

    /// Whether the parameters are those of the options, and go together.
    pub(super) fn check_parameters(&self) -> Result<()> {
        let shapes = self.shapes();
        shapes.check(
            [&self.w_in, &self.w_rec],
            &self.bias,
            self.w_proj.as_ref(),
            self.norm.as_ref(),
        )
    }

    pub(super) fn check_grads(&self, grads: &LstmVariantGrads<A>) -> Result<()> {
        let shapes = self.shapes();
        shapes.check(
            [&grads.w_in, &grads.w_rec],
            &grads.bias,
            grads.w_proj.as_ref(),
            grads.norm.as_ref(),
        )
    }

    fn shapes(&self) -> Shapes {
        Shapes {
            inputs: self.inputs(),
            rows: self.hidden().saturating_mul(self.options.gates()),
            hidden: self.hidden(),
            outputs: match self.options.projection {
                Some(_) => self.outputs(),
                None => self.hidden(),
            },
            options: self.options,
        }
    }
}

/// The shapes that parameters, and their gradients, must have.
struct Shapes {
    inputs: usize,
    /// Of all gates.
    rows: usize,
    hidden: usize,
    outputs: usize,
    options: LstmOptions,
}

impl Shapes {
    fn check<A>(
        &self,
        [w_in, w_rec]: [&Array2<A>; 2],
        bias: &Array1<A>,
        w_proj: Option<&Array2<A>>,
        norm: Option<&LstmNorm<A>>,
    ) -> Result<()> {
        let &Self {
            inputs,
            rows,
            hidden,
            outputs,
            options,
        } = self;
        check("w_rec", w_rec.shape(), &[rows, outputs])?;
        check("w_in", w_in.shape(), &[rows, inputs])?;
        check("bias", bias.shape(), &[rows])?;
        // What is not there has no axis, as no weights have.
        let projection = [outputs, hidden];
        let projection = options.projection.map_or(&[][..], |_| &projection);
        let found = w_proj.map_or(&[][..], |w_proj| w_proj.shape());
        check("w_proj", found, projection)?;
        for (what, tensor, len) in [
            ("gain_in", norm.map(|norm| &norm.gain_in), rows),
            ("gain_rec", norm.map(|norm| &norm.gain_rec), rows),
            ("gain_c", norm.map(|norm| &norm.gain_c), hidden),
            ("shift_c", norm.map(|norm| &norm.shift_c), hidden),
        ] {
            let len = [len];
            let expected = options.layer_norm.map_or(&[][..], |_| &len);
            check(what, tensor.map_or(&[][..], |gain| gain.shape()), expected)?;
        }
        Ok(())
    }
}
