//! A set is read into a measurement, and edits are carried out on it.

use super::{TensorSet, TensorSetMut};
use crate::Result;
use crate::edits::Edits;
use crate::measurement::Measurement;
use crate::needs::Needs;
use crate::writing::Writing;

impl Measurement {
    /// Reads a set once: the counts, the norms L1 and L2 and the largest magnitude.
    ///
    /// ```
    /// use steadygrad::Measurement;
    /// assert_eq!(Measurement::of(&vec![3.0_f32, 4.0])?.total().l2(), 5.0);
    /// assert_eq!(Measurement::of(&[("w", [3.0, 4.0]), ("b", [12.0, 0.0])])?.total().l1(), 19.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the tensors give.
    pub fn of<S: TensorSet + ?Sized>(set: &S) -> Result<Self> {
        Self::with_needs(set, &Needs::norms().of_magnitudes().of_largest())
    }

    /// Reads a set once, for what is needed.
    ///
    /// ```
    /// use steadygrad::{Measurement, Needs, Norm};
    /// let seen = Measurement::with_needs(&vec![3.0, 4.0, 5.0], &Needs::norms().of_power(3.0))?;
    /// assert!((seen.total().norm(Norm::P(3.0)).to_f64() - 6.0).abs() < 1e-14);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the tensors give.
    pub fn with_needs<S: TensorSet + ?Sized>(set: &S, needs: &Needs) -> Result<Self> {
        let mut measurement = Self::default();
        measurement.read(set, needs, &Edits::NONE)?;
        Ok(measurement)
    }

    /// Reads a set once into this space, as `after` would leave it.
    pub(crate) fn read<S: TensorSet + ?Sized>(
        &mut self,
        set: &S,
        needs: &Needs,
        after: &Edits,
    ) -> Result<()> {
        self.fill(needs, after, |reading| set.measure(reading))
    }
}

impl Edits {
    /// Carries out the edit of each tensor; those that keep everything are not touched.
    ///
    /// ```
    /// use steadygrad::{Edits, Factor};
    /// let mut grads = [("w", [1.0_f32]), ("b", [f32::NAN])];
    /// let mut edits = Edits::for_count(2);
    /// edits.scale(0, Factor::new(3.0)?);
    /// edits.zero(1);
    /// edits.apply(&mut grads)?;
    /// assert_eq!(grads, [("w", [3.0]), ("b", [0.0])]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Name`](crate::Error::Name) or [`Error::Count`](crate::Error::Count) if the edits were planned for
    /// other tensors, found on the way: what comes before the first that does not fit is edited by then. And what
    /// the tensors give.
    pub fn apply<G: TensorSetMut + ?Sized>(&self, grads: &mut G) -> Result<()> {
        let mut writing = Writing::of(self);
        grads.carry_out(&mut writing)?;
        writing.finish()
    }
}
