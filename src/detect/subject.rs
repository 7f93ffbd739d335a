//! What an alarm is about.

/// What an alarm is about.
///
/// # Examples
///
/// ```
/// use steadygrad::{detect::Subject, Guard, OnNonFinite, Step};
///
/// let params = [("w", vec![1.0_f32, f32::INFINITY])];
/// let mut guard = Guard::new().on_non_finite(OnNonFinite::Propagate);
/// let report = guard.step(Step::new(&mut [("w", [0.5_f32, 0.0])]).params(&params))?;
/// assert_eq!(report.non_finite().unwrap().subject(), Subject::Parameter(0));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subject {
    /// The loss.
    Loss,
    /// All gradients together.
    Gradients,
    /// The gradient tensor with this index.
    Gradient(usize),
    /// All parameters together.
    Parameters,
    /// The parameter tensor with this index.
    Parameter(usize),
}

impl Subject {
    /// As a state keeps it: of which kind, and the index of a tensor.
    pub(super) fn code(self) -> [u64; 2] {
        match self {
            Self::Loss => [0, 0],
            Self::Gradients => [1, 0],
            Self::Gradient(index) => [2, index as u64],
            Self::Parameters => [3, 0],
            Self::Parameter(index) => [4, index as u64],
        }
    }

    pub(super) fn from_code([kind, index]: [u64; 2]) -> Option<Self> {
        Some(match kind {
            0 => Self::Loss,
            1 => Self::Gradients,
            2 => Self::Gradient(index as usize),
            3 => Self::Parameters,
            4 => Self::Parameter(index as usize),
            _ => return None,
        })
    }
}
