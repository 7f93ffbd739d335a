//! A set is read into a measurement.

use alloc::sync::Arc;

use super::{TensorSet, TensorSetMut};
use crate::Result;
use crate::edits::Edits;
use crate::measurement::Measurement;
use crate::needs::Needs;

impl Measurement {
    /// Reads a set once.
    ///
    /// ```
    /// use steadygrad::Measurement;
    /// assert_eq!(Measurement::of(&vec![3.0_f32, 4.0])?.total().l2(), 5.0);
    /// assert_eq!(Measurement::of(&[("w", [3.0, 4.0]), ("b", [12.0, 0.0])])?.total().l2(), 13.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the tensors give.
    pub fn of<S: TensorSet + ?Sized>(set: &S) -> Result<Self> {
        Self::with_needs(set, Needs::default())
    }

    /// Reads a set once, with what is needed beside the usual.
    ///
    /// ```
    /// use steadygrad::{Measurement, Needs, Norm};
    /// let seen = Measurement::with_needs(&vec![3.0, 4.0, 5.0], Needs { p: Some(3.0), ..Needs::default() })?;
    /// assert!((seen.total().norm(Norm::P(3.0)).to_f64() - 6.0).abs() < 1e-14);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the tensors give.
    pub fn with_needs<S: TensorSet + ?Sized>(set: &S, needs: Needs) -> Result<Self> {
        let mut measurement = Self::default();
        measurement.read(set, needs, &Edits::default())?;
        Ok(measurement)
    }

    /// Reads a set once into this space, as `after` would leave it.
    pub(crate) fn read<S: TensorSet + ?Sized>(
        &mut self,
        set: &S,
        needs: Needs,
        after: &Edits,
    ) -> Result<()> {
        self.begin(needs);
        let read = set.measure(after, self);
        // Also of a set that fails: its total is that of what was read, and not of what was here before.
        self.finish();
        read
    }

    /// Carries out `edits` on `set` and looks, in passing, at what they leave. Tensors that are kept
    /// are what they were before.
    pub(crate) fn apply<S>(&mut self, set: &mut S, before: &Self, edits: &Edits) -> Result<()>
    where
        S: TensorSetMut + ?Sized,
    {
        self.begin(Needs {
            units: None,
            ..before.needs()
        });
        // The tensors are those of `before`, so nobody asks for their names again.
        self.names = Arc::clone(&before.names);
        let nameless = core::mem::replace(&mut self.nameless, true);
        let applied = set.apply_and_measure(edits, before, self);
        self.nameless = nameless;
        applied?;
        self.finish();
        Ok(())
    }
}
