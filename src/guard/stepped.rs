//! What a guarded step came to, as a value that wants to be looked at.

use core::fmt;
use core::ops::Deref;

use super::Guard;
use crate::Report;

/// The [`Report`] of a step that was just guarded. The compiler warns where nobody looks at it, since a step
/// whose verdict is ignored puts NaN into the weights.
///
/// It derefs to the report and displays as it. A clone is a clone of the report. [`Recovery`](crate::Recovery) takes it
/// and does what is to be done.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, Guard, Report};
///
/// let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
/// let report = guard.step(&mut [3.0_f32, 4.0])?;
/// assert!(report.verdict().is_apply());
/// assert_eq!(report.to_string(), "step 1: norm 5.000 -> 1.000, scaled by 0.2000; apply");
/// let kept: Report = report.clone();
/// assert_eq!(kept.before(), 5.0);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// This does not compile where `unused_must_use` is denied:
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// let (mut w, mut grads) = (1.0_f32, [f32::NAN]);
/// let mut guard = steadygrad::Guard::new();
/// guard.step(&mut grads)?;
/// w -= 0.1 * grads[0];
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// This does, and keeps NaN out:
///
/// ```
/// #![deny(unused_must_use)]
/// let (mut w, mut grads) = (1.0_f32, [f32::NAN]);
/// let mut guard = steadygrad::Guard::new();
/// if guard.step(&mut grads)?.verdict().is_apply() {
///     w -= 0.1 * grads[0];
/// }
/// assert_eq!(w, 1.0);
/// # Ok::<(), steadygrad::Error>(())
/// ```
// Neither `Clone` nor `Copy`, so that `guard.step(..)?.clone()` is a report that lives on while the guard is used.
#[must_use = "its verdict says whether to take the step: `if guard.step(..)?.verdict().is_apply() { .. }`"]
pub struct Stepped<'g>(&'g mut Guard);

impl<'g> Stepped<'g> {
    pub(super) fn new(guard: &'g mut Guard) -> Self {
        Self(guard)
    }

    /// Whose step it was.
    pub(crate) fn guard(&mut self) -> &mut Guard {
        self.0
    }

    /// The report, for as long as the guard is lent.
    ///
    /// ```
    /// use steadygrad::{Guard, Report, Result};
    /// fn guarded<'g>(guard: &'g mut Guard, grads: &mut [f32]) -> Result<&'g Report> {
    ///     Ok(guard.step(grads)?.report())
    /// }
    /// assert_eq!(guarded(&mut Guard::new(), &mut [3.0, 4.0])?.before(), 5.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn report(self) -> &'g Report {
        self.0.report()
    }
}

impl Deref for Stepped<'_> {
    type Target = Report;

    fn deref(&self) -> &Report {
        self.0.report()
    }
}

impl fmt::Debug for Stepped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.report().fmt(f)
    }
}

impl fmt::Display for Stepped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.report().fmt(f)
    }
}
