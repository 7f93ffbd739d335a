//! Which tensors something is for.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

/// Which tensors a rule or a penalty is for, by their names: a function, which may capture, or the beginning
/// of the names.
///
/// Two are equal if one is a clone of the other: functions cannot be compared.
///
/// # Examples
///
/// ```
/// use steadygrad::Covers;
///
/// let frozen = vec!["embedding".to_string(), "head.w".to_string()];
/// let trained = Covers::from(move |name: &str| !frozen.iter().any(|other| other == name));
/// assert!(trained.covers("layers.0.w_rec") && !trained.covers("head.w"));
///
/// let encoder = Covers::from("encoder.");
/// assert!(encoder.covers("encoder.0.w") && !encoder.covers("decoder.0.w"));
/// assert!(encoder == encoder.clone() && encoder != Covers::from("encoder."));
/// ```
#[derive(Clone)]
pub struct Covers(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl Covers {
    /// Whether it is for the tensor with this name.
    ///
    /// ```
    /// use steadygrad::Covers;
    /// assert!(Covers::from(|name: &str| name.ends_with("w_rec")).covers("layers.0.w_rec"));
    /// ```
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        (self.0)(name)
    }

    /// What both cover.
    ///
    /// ```
    /// use steadygrad::Covers;
    /// let both = Covers::from("encoder.").and(|name: &str| name.ends_with(".w"));
    /// assert!(both.covers("encoder.0.w") && !both.covers("encoder.0.b") && !both.covers("head.w"));
    /// ```
    #[must_use]
    pub fn and(self, other: impl Into<Self>) -> Self {
        let other = other.into();
        Self(Arc::new(move |name| {
            self.covers(name) && other.covers(name)
        }))
    }
}

impl<F: Fn(&str) -> bool + Send + Sync + 'static> From<F> for Covers {
    fn from(covers: F) -> Self {
        Self(Arc::new(covers))
    }
}

/// All whose names begin so.
impl From<&str> for Covers {
    fn from(prefix: &str) -> Self {
        let prefix = String::from(prefix);
        Self::from(move |name: &str| name.starts_with(&prefix))
    }
}

impl From<String> for Covers {
    fn from(prefix: String) -> Self {
        Self::from(move |name: &str| name.starts_with(&prefix))
    }
}

impl fmt::Debug for Covers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Covers").finish_non_exhaustive()
    }
}

impl PartialEq for Covers {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
