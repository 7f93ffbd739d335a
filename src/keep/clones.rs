//! A copy of a value that can be cloned.

use core::fmt;

use super::Memory;
use crate::{Error, Result};

/// A clone of any value: what [`Keep::clones_after`](super::Keep::clones_after) keeps.
///
/// For models that change by value, and for optimisers whose state is no set of tensors. Nobody looks into the value, so
/// what is NaN in it is found only by the guard: give it the parameters ([`Step::params`](crate::Step::params)).
///
/// # Examples
///
/// ```
/// use steadygrad::keep::{Clones, Memory};
///
/// let mut run = (vec![1.5_f32], "a model, and its optimiser".to_string());
/// let mut kept = Clones::default();
/// kept.take(&run)?;
/// run.0[0] = f32::NAN;
/// kept.give(&mut run)?;
/// assert_eq!(run.0, [1.5]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Clones<T>(Option<T>);

impl<T> Default for Clones<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Clone> Memory<T> for Clones<T> {
    fn take(&mut self, from: &T) -> Result<()> {
        match &mut self.0 {
            Some(kept) => kept.clone_from(from),
            None => self.0 = Some(from.clone()),
        }
        Ok(())
    }

    fn give(&mut self, to: &mut T) -> Result<()> {
        let kept = self.0.as_ref().ok_or_else(|| Error::State {
            expected: "something kept".into(),
            found: "nothing".into(),
        })?;
        to.clone_from(kept);
        Ok(())
    }
}

/// Whether there is one.
impl<T> fmt::Debug for Clones<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clones")
            .field("kept", &self.0.is_some())
            .finish()
    }
}
