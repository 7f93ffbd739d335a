//! What a cell's backward pass works in, and the sums at its end.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, Array3, ArrayRef3, Axis, Ix1, Ix2, Ix3, Slice};

use super::linear::{Times, flat, flat_mut, make_room};
use super::scratch::Scratch;
use super::{Backward, CellGrads, Layer, Real};
use crate::Result;

/// The working memory of a cell's backward pass, which [`Backward::space`] keeps for the next one.
///
/// # Examples
///
/// ```
/// use steadygrad::recurrent::{CellSpace, Layer, Rnn};
///
/// fn fresh<L: Layer>(_: &L) -> L::Space {
///     L::Space::default()
/// }
///
/// assert_eq!(fresh(&Rnn::<f32>::builder(2, 5).build(&mut || 0.5)?), CellSpace::default());
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CellSpace<A> {
    /// Weights in the layout that runs fast.
    pub(super) weights: Scratch<A>,
    /// dL/dz of all steps, `[time, batch, rows of the weights]`.
    pub(super) d_z: Scratch<A>,
    transposed: Scratch<A>,
}

impl<A, L> Backward<L>
where
    A: Real,
    L: Layer<Elem = A, Grads = CellGrads<A>, Space = CellSpace<A>>,
{
    /// What a cell begins its way back with: the last one's memory, or a state of no elements.
    pub(super) fn reuse(back: &mut Option<Self>, state: L::State) -> Self {
        back.take().unwrap_or_else(|| {
            let none = Array2::zeros((0, 0));
            let grads = CellGrads {
                w_in: none.clone(),
                w_rec: none,
                bias: Array1::zeros(0),
            };
            Self::new(grads, Array3::zeros((0, 0, 0)), state)
        })
    }

    /// What a whole sequence gives to the parameters, and to its inputs, once dL/dz of every step from `start` on
    /// stands in the space.
    ///
    /// ```text
    /// dL/dW_in = Σ_t dzᵀ_t·x_t    dL/dW_rec = Σ_t dzᵀ_t·h_{t−1}    dL/db = Σ_t dz_t    dL/dx_t = dz_t·W_in
    /// ```
    ///
    /// Each sum over time and batch is one product.
    pub(super) fn collect(
        &mut self,
        xs: &Array3<A>,
        previous: &ArrayRef3<A>,
        w_in: &Array2<A>,
        start: usize,
    ) -> Result<()> {
        let (time, batch, _) = xs.dim();
        let (rows, hidden) = (w_in.nrows(), previous.dim().2);
        let CellSpace {
            weights,
            d_z,
            transposed,
        } = &mut self.space;
        let from = Slice::from(start..);
        let d_z = d_z.array(Ix3(time, batch, rows))?;
        let d_z = flat(&d_z.slice_axis(Axis(0), from))?;
        let x = flat(&xs.slice_axis(Axis(0), from))?;
        let previous = flat(&previous.slice_axis(Axis(0), from))?;

        make_room(&mut self.d_inputs, "input gradients", xs.raw_dim())?;
        let (mut before, after) = self.d_inputs.view_mut().split_at(Axis(0), start);
        before.fill(A::zero());
        let w_in_times = Times::new(&w_in.view(), d_z.nrows(), weights)?;
        w_in_times.multiply(&d_z, A::zero(), &mut flat_mut(after)?);

        let CellGrads {
            w_in: d_w_in,
            w_rec: d_w_rec,
            bias: d_bias,
        } = &mut self.grads;
        make_room(d_w_in, "input weights", w_in.raw_dim())?;
        make_room(d_w_rec, "recurrent weights", Ix2(rows, hidden))?;
        make_room(d_bias, "bias", Ix1(rows))?;
        let transposed = transposed.copy(&d_z.t())?;
        general_mat_mul(A::one(), &transposed, &x, A::zero(), d_w_in);
        general_mat_mul(A::one(), &transposed, &previous, A::zero(), d_w_rec);
        d_bias.fill(A::zero());
        for d_z in d_z.rows() {
            *d_bias += &d_z;
        }
        Ok(())
    }
}
