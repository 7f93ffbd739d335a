//! What a cell's backward pass works in.

use super::recurrence::Weights;
use super::scratch::Scratch;
use crate::kernel::product::Panels;

/// The working memory of a cell's backward pass, which [`Backward::space`](super::Backward::space) keeps for the next one.
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
#[derive(Clone, Debug, PartialEq)]
pub struct CellSpace<A> {
    pub(super) weights: Weights<A>,
    /// dL/dz of some steps, `[steps, batch, columns]`.
    pub(super) d_z: Scratch<A>,
    /// What stands beside dL/dz in the sums: inputs and states.
    pub(super) beside: [Panels<A>; 2],
}

impl<A> Default for CellSpace<A> {
    fn default() -> Self {
        Self {
            weights: Weights::default(),
            d_z: Scratch::default(),
            beside: [Panels::default(), Panels::default()],
        }
    }
}
