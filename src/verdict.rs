//! What to do with a step.

use core::fmt;

/// What the training loop should do with a step.
///
/// # Examples
///
/// ```
/// use steadygrad::Verdict;
/// assert!(Verdict::Stop > Verdict::Skip);   // the gravest one counts
/// assert!(Verdict::Apply.is_apply());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Take the step.
    #[default]
    Apply,
    /// Leave it out and go on; the gradients are untouched.
    Skip,
    /// Go back to the last good parameters.
    Rollback,
    /// End the training.
    Stop,
}

impl Verdict {
    /// Whether to take the step.
    ///
    /// ```
    /// use steadygrad::{Guard, Verdict};
    /// assert!(Guard::new().step(&mut [1.0_f32])?.verdict().is_apply());
    /// assert!(!Verdict::Skip.is_apply());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn is_apply(self) -> bool {
        self == Self::Apply
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Apply => "apply",
            Self::Skip => "skip",
            Self::Rollback => "roll back",
            Self::Stop => "stop",
        })
    }
}
