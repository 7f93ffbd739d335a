//! What to do with a step, by how grave an alarm is.

use core::fmt;

use crate::detect::severity::Severity;
use crate::verdict::Verdict;

/// What the alarms of a detector decide, by how [grave](Severity) they are: nothing unless told.
///
/// A single [`Verdict`] stands for all of them.
///
/// # Examples
///
/// Let a spike of the loss go by, and go back when it stays:
///
/// ```
/// use steadygrad::{detect::Spike, Guard, Step, Verdict, Verdicts};
///
/// let verdicts = Verdicts::default().warning(Verdict::Skip).grave(Verdict::Rollback);
/// let mut guard = Guard::new().detect_with(verdicts, Spike::of_loss());
/// let losses = [[1.0; 20].as_slice(), &[7.0; 5]].concat();
/// let mut decided = vec![];
/// for loss in losses {
///     decided.push(guard.step(Step::new(&mut [0.5]).loss(loss))?.verdict());
/// }
/// assert_eq!(decided[20..], [[Verdict::Skip; 4].as_slice(), &[Verdict::Rollback]].concat());
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Verdicts {
    note: Verdict,
    warning: Verdict,
    grave: Verdict,
}

impl Verdicts {
    /// With this for [notes](Severity::Note).
    ///
    /// ```
    /// use steadygrad::{detect::Severity, Verdict, Verdicts};
    /// assert_eq!(Verdicts::default().note(Verdict::Skip).of(Severity::Note), Verdict::Skip);
    /// ```
    #[must_use]
    pub fn note(self, verdict: Verdict) -> Self {
        Self {
            note: verdict,
            ..self
        }
    }

    /// With this for [warnings](Severity::Warning).
    ///
    /// ```
    /// use steadygrad::{detect::Severity, Verdict, Verdicts};
    /// assert_eq!(Verdicts::default().warning(Verdict::Skip).of(Severity::Grave), Verdict::Apply);
    /// ```
    #[must_use]
    pub fn warning(self, verdict: Verdict) -> Self {
        Self {
            warning: verdict,
            ..self
        }
    }

    /// With this for what is [grave](Severity::Grave).
    ///
    /// ```
    /// use steadygrad::{detect::Severity, Verdict, Verdicts};
    /// assert_eq!(Verdicts::from(Verdict::Skip).grave(Verdict::Stop).of(Severity::Grave), Verdict::Stop);
    /// ```
    #[must_use]
    pub fn grave(self, verdict: Verdict) -> Self {
        Self {
            grave: verdict,
            ..self
        }
    }

    /// What an alarm decides that is so grave.
    ///
    /// ```
    /// use steadygrad::{detect::Severity, Verdict, Verdicts};
    /// assert_eq!(Verdicts::from(Verdict::Skip).of(Severity::Note), Verdict::Skip);
    /// ```
    #[must_use]
    pub fn of(self, severity: Severity) -> Verdict {
        match severity {
            Severity::Note => self.note,
            Severity::Warning => self.warning,
            Severity::Grave => self.grave,
        }
    }

    /// Whether nothing is decided.
    pub(crate) fn is_apply(self) -> bool {
        self == Self::default()
    }
}

impl From<Verdict> for Verdicts {
    fn from(verdict: Verdict) -> Self {
        Self {
            note: verdict,
            warning: verdict,
            grave: verdict,
        }
    }
}

impl fmt::Display for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::from(self.grave) {
            return self.grave.fmt(f);
        }
        let Self {
            note,
            warning,
            grave,
        } = self;
        write!(f, "note: {note}, warning: {warning}, grave: {grave}")
    }
}
