//! How grave an alarm is.

/// How grave an alarm is.
///
/// # Examples
///
/// ```
/// use steadygrad::detect::Severity;
/// assert!(Severity::Grave > Severity::Warning);
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
