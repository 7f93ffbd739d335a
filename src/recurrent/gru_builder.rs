//! Settings under which the weights of a gated recurrent unit are drawn.

use core::marker::PhantomData;

use ndarray::{Array1, Axis, Slice};

use super::builder::{check_bias, check_hidden};
use super::init::Draws;
use super::{Gru, Init, Real};
use crate::Result;

/// Settings for a [`Gru`], made by [`Gru::builder`].
///
/// Without a word: [`Init::Uniform`] for both matrices as in PyTorch, and zero biases (PyTorch draws its biases like its
/// weights). Each gate's block is drawn by itself.
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use steadygrad::recurrent::{Gru, Init};
///
/// let gru = Gru::<f32>::builder(3, 2)
///     .w_rec(Init::Orthogonal)
///     .update_bias(2.0)
///     .build(&mut || 0.75)?;
/// assert_eq!(gru.bias, array![0.0, 0.0, 2.0, 2.0, 0.0, 0.0]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct GruBuilder<A> {
    inputs: usize,
    hidden: usize,
    update: Update,
    w_in: Init,
    w_rec: Init,
    element: PhantomData<A>,
}

/// The bias of the update gate.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Update {
    Same(f64),
    Chrono(usize),
}

impl<A: Real> GruBuilder<A> {
    /// The bias of the update gate at the start: the larger, the longer the cell remembers untrained.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::Gru;
    ///
    /// let keeping = Gru::<f64>::builder(1, 1).update_bias(5.0).build(&mut || 0.5)?;
    /// assert_eq!(keeping.bias, array![0.0, 5.0, 0.0]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn update_bias(self, update_bias: f64) -> Self {
        Self {
            update: Update::Same(update_bias),
            ..self
        }
    }

    /// Biases of the update gate for dependencies of up to so many steps, each unit for a length of its own.
    ///
    /// ```text
    /// b_z = ln u,  u uniform in [1, T_max − 1)
    /// ```
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::Gru;
    ///
    /// let gru = Gru::<f64>::builder(1, 1).chrono(101).build(&mut || 0.5)?;
    /// assert!((gru.bias[1] - 50.5_f64.ln()).abs() < 1e-12);
    /// assert!(Gru::<f64>::builder(1, 1).chrono(1).build(&mut || 0.5).is_err());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// - Tallec and Ollivier, "Can recurrent neural networks warp time?", 2018, arXiv:1804.11188.
    pub fn chrono(self, longest: usize) -> Self {
        Self {
            update: Update::Chrono(longest),
            ..self
        }
    }

    /// How each gate's input weights are drawn.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::{Gru, Init};
    ///
    /// let gru = Gru::<f64>::builder(2, 1).w_in(Init::Identity).build(&mut || 0.5)?;
    /// assert_eq!(gru.w_in, array![[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]);   // a block for each gate
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
    /// use steadygrad::recurrent::{Gru, Init};
    /// use steadygrad::spectral::spectral_radius;
    ///
    /// let gru = Gru::<f64>::builder(2, 3).w_rec(Init::Scaled { radius: 1.25 }).build(&mut || 0.5)?;
    /// for gate in gru.w_rec.axis_chunks_iter(Axis(0), 3) {
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
    /// use steadygrad::recurrent::Gru;
    ///
    /// let mut drawn = 0;
    /// let gru = Gru::<f64>::builder(3, 2).build(&mut || { drawn += 1; 0.5 })?;
    /// assert_eq!(drawn, gru.w_in.len() + gru.w_rec.len());   // biases are not drawn
    /// assert!(Gru::<f64>::builder(3, 0).build(&mut || 0.5).is_err());   // no hidden unit
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if there is no hidden unit, the bias of the update gate is not finite or
    /// the longest dependency is shorter than 2 steps, and what [`Init::matrix`] says.
    pub fn build(self, uniform: &mut impl FnMut() -> f64) -> Result<Gru<A>> {
        let hidden = self.hidden;
        check_hidden(hidden)?;
        let draws = &mut Draws(uniform);
        let w_in = self.w_in.stacked(3, hidden, self.inputs, draws)?;
        let w_rec = self.w_rec.stacked(3, hidden, hidden, draws)?;
        let mut bias = Array1::zeros(3 * hidden);
        let mut update = bias.slice_axis_mut(Axis(0), Slice::from(hidden..2 * hidden));
        match self.update {
            Update::Same(same) => {
                check_bias::<A>("update bias", same)?;
                update.fill(A::narrow(same));
            }
            Update::Chrono(longest) => update.assign(&draws.chrono(hidden, longest)?),
        }
        Gru::new(w_in, w_rec, bias, Array1::zeros(hidden))
    }
}

impl<A: Real> Gru<A> {
    /// Settings for a cell of so many inputs and hidden units, whose weights are drawn by [`build`](GruBuilder::build).
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::Gru;
    ///
    /// let gru = Gru::<f64>::builder(3, 5).build(&mut || 0.25)?;
    /// assert_eq!(gru.w_in.dim(), (15, 3));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn builder(inputs: usize, hidden: usize) -> GruBuilder<A> {
        GruBuilder {
            inputs,
            hidden,
            update: Update::Same(0.0),
            w_in: Init::default(),
            w_rec: Init::default(),
            element: PhantomData,
        }
    }
}
