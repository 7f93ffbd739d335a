//! What to do about NaN and infinities.

use crate::{Edits, Result, Verdict};
use crate::{
    StepView,
    detect::{Alarm, Subject},
};

/// What to do about NaN and infinities.
///
/// Only gradients can be zeroed: on a loss or a parameter that is not finite, the two zeroing policies
/// skip.
///
/// # Examples
///
/// ```
/// use steadygrad::{Guard, OnNonFinite};
///
/// let grads = || vec![vec![1.0_f32, f32::NAN], vec![2.0]];
/// let mut result = vec![];
/// for policy in [OnNonFinite::Skip, OnNonFinite::ZeroTensor, OnNonFinite::ZeroAll] {
///     let mut grads = grads();
///     let verdict = Guard::new().on_non_finite(policy).step(&mut grads)?.verdict();
///     result.push(format!("{verdict}: {grads:?}"));
/// }
/// assert_eq!(result, [
///     "skip: [[1.0, NaN], [2.0]]",
///     "apply: [[0.0, 0.0], [2.0]]",
///     "apply: [[0.0, 0.0], [0.0]]",
/// ]);
/// assert!(Guard::new().on_non_finite(OnNonFinite::Error).step(&mut grads()).is_err());
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnNonFinite {
    /// Leave the gradients untouched and skip the step.
    #[default]
    Skip,
    /// Leave the gradients untouched and return [`Error::NonFinite`](crate::Error::NonFinite); in the end
    /// [`Error::Stop`](crate::Error::Stop), since such steps count as skipped.
    Error,
    /// Zero the tensors that hold it, then go on with the rules.
    ZeroTensor,
    /// Zero all gradients.
    ZeroAll,
    /// Go on with the rules as if nothing were wrong. A norm rule leaves the gradients as they are and
    /// says so.
    Propagate,
}

/// What the policy makes of something that is not finite.
pub(super) fn meet(
    policy: OnNonFinite,
    fault: &Alarm,
    step: &StepView<'_>,
    edits: &mut Edits,
) -> Result<Verdict> {
    // The fault is the first one found: behind it a parameter may be wrong too, which no zero mends.
    let in_gradients = matches!(fault.subject(), Subject::Gradient(_))
        && step.params.is_none_or(|params| params.total().is_finite());
    match policy {
        OnNonFinite::Error => return Err(fault.to_error()),
        OnNonFinite::Propagate => (),
        OnNonFinite::ZeroTensor if in_gradients => {
            let bad = step
                .grads
                .tensors()
                .iter()
                .enumerate()
                .filter(|(_, stats)| !stats.is_finite());
            bad.for_each(|(i, _)| edits.zero(i));
        }
        OnNonFinite::ZeroAll if in_gradients => edits.zero_all(),
        OnNonFinite::Skip | OnNonFinite::ZeroTensor | OnNonFinite::ZeroAll => {
            return Ok(Verdict::Skip);
        }
    }
    Ok(Verdict::Apply)
}
