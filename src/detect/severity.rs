//! How grave an alarm is.

use core::fmt;

/// How grave an alarm is.
///
/// # Examples
///
/// ```
/// use steadygrad::detect::Severity;
/// assert!(Severity::Grave > Severity::Warning);
/// assert_eq!(Severity::Grave.to_string(), "grave");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Worth a look.
    #[default]
    Warning,
    /// The run is being lost.
    Grave,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Grave => "grave",
        })
    }
}
