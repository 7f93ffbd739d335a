//! Two sets as one.

use super::{TensorSet, TensorSetMut, Visitor, VisitorMut, visit_under, visit_under_mut};
use crate::Result;
use crate::reading::Reading;
use crate::writing::Writing;

/// Two sets as one, the first under the name "0", the second under "1"; nested for more.
///
/// A tuple of two is taken: `(name, set)` is a set with a name.
///
/// # Examples
///
/// ```
/// use steadygrad::{Measurement, clip, set::Two};
///
/// let (encoder, decoder) = ([("w", [3.0_f32])], [[4.0_f64]]);
/// let mut grads = Two(encoder, decoder);
/// assert_eq!(clip::global_norm(&mut grads, 2.5)?.before(), 5.0);
/// assert_eq!((grads.0[0].1, grads.1), ([1.5], [[2.0]]));
/// let seen = Measurement::of(&grads)?;
/// assert_eq!((seen.name(0), seen.name(1)), ("0.w", "1.0"));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Two<A, B>(
    /// The first, under "0".
    pub A,
    /// The second, under "1".
    pub B,
);

impl<A: TensorSet, B: TensorSet> TensorSet for Two<A, B> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        visit_under("0", &self.0, f)?;
        visit_under("1", &self.1, f)
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        reading.under("0", |reading| self.0.measure(reading))?;
        reading.under("1", |reading| self.1.measure(reading))
    }
}

impl<A: TensorSetMut, B: TensorSetMut> TensorSetMut for Two<A, B> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        visit_under_mut("0", &mut self.0, f)?;
        visit_under_mut("1", &mut self.1, f)
    }

    fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        writing.under("0", |writing| self.0.carry_out(writing))?;
        writing.under("1", |writing| self.1.carry_out(writing))
    }
}
