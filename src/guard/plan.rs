//! What a guard decided, to be carried out or folded into an optimiser.

use super::{Guard, Stepped};
use crate::{Error, Factor, Measurement, Report, Result, Tensor, TensorSet, TensorSetMut, Verdict};

/// What a guard decided, before anything is written.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, Guard};
///
/// let mut grads = vec![vec![3.0_f32, 4.0], vec![0.0]];
/// let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
/// let plan = guard.plan(&grads)?;
/// assert_eq!((plan.factor(0), plan.factor(1)), (Some(0.2), Some(0.2)));
/// let report = plan.apply(&mut grads)?;
/// assert_eq!(report.after(), 1.0);
/// assert_eq!(grads, [vec![0.6, 0.8], vec![0.0]]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is written until the plan is applied or its factors are used"]
pub struct Plan<'g> {
    pub(super) guard: &'g mut Guard,
}

impl<'g> Plan<'g> {
    /// What the training loop should do.
    ///
    /// ```
    /// use steadygrad::{Guard, Verdict};
    /// assert_eq!(Guard::new().plan(&[1.0_f32])?.verdict(), Verdict::Apply);
    /// assert_eq!(Guard::new().plan(&[f32::NAN])?.verdict(), Verdict::Skip);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.guard.report.verdict
    }

    /// The factor for tensor `index`: 1 to keep it, `None` if more than scaling is to be done, or if no
    /// normal `f64` holds the factor.
    ///
    /// ```
    /// use steadygrad::{clip, Guard};
    /// let grads = [[8.0_f32], [1.0]];
    /// let mut guard = Guard::new().clip(clip::TensorNorm::new(2.0)?);
    /// let plan = guard.plan(&grads)?;
    /// assert_eq!((plan.factor(0), plan.factor(1)), (Some(0.25), Some(1.0)));
    /// let mut guard = Guard::new().clip(clip::Value::new(2.0)?);
    /// assert_eq!(guard.plan(&grads)?.factor(0), None);   // a clamp is no factor
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn factor(&self, index: usize) -> Option<f64> {
        self.guard
            .report
            .edits
            .get(index)
            .factor()
            .map(Factor::to_f64)
            .filter(|factor| factor.is_normal())
    }

    /// Everything measured and decided.
    ///
    /// ```
    /// use steadygrad::{clip, Guard};
    /// let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
    /// let plan = guard.plan(&[3.0_f32, 4.0])?;
    /// assert_eq!(plan.report().to_string(), "step 1: norm 5.000 -> 1.000, scaled by 0.2000; apply");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.guard.report
    }

    /// Carries it out on the gradients it was made for.
    ///
    /// ```
    /// use steadygrad::{clip, Guard};
    /// let (mut grads, mut others) = ([("w", [4.0_f32])], [("b", [4.0_f32])]);
    /// let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
    /// assert!(guard.plan(&grads)?.apply(&mut others).is_err());
    /// assert_eq!(guard.plan(&grads)?.apply(&mut grads)?.after(), 1.0);
    /// assert_eq!((grads, others), ([("w", [1.0])], [("b", [4.0])]));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Name`](crate::Error::Name) or [`Error::Count`](crate::Error::Count) if these are other
    /// gradients, by their names, number or sizes; nothing is changed then. And what the tensors give.
    pub fn apply<G: TensorSetMut + ?Sized>(self, grads: &mut G) -> Result<Stepped<'g>> {
        fits(&self.guard.report.before, &*grads)?;
        self.carry_out(grads)
    }

    pub(super) fn carry_out<G: TensorSetMut + ?Sized>(self, grads: &mut G) -> Result<Stepped<'g>> {
        let report = &mut self.guard.report;
        report
            .after
            .carry_out(grads, &report.before, &report.edits)?;
        Ok(Stepped::new(report))
    }
}

/// Whether `grads` are those that `seen` tells of, by names, number and sizes.
fn fits<G: TensorSet + ?Sized>(seen: &Measurement, grads: &G) -> Result<()> {
    let mut index = 0;
    grads.visit(&mut |name, tensor| {
        if index < seen.len() {
            let (expected, len) = (seen.name(index), seen.tensor(index).len() as usize);
            if name != expected {
                return Err(Error::Name {
                    index,
                    expected: expected.into(),
                    found: name.into(),
                });
            }
            if tensor.len() != len {
                return Err(Error::Count {
                    what: "elements of a gradient",
                    expected: len,
                    found: tensor.len(),
                });
            }
        }
        index += 1;
        Ok(())
    })?;
    if index == seen.len() {
        Ok(())
    } else {
        Err(Error::Count {
            what: "tensors of the set",
            expected: seen.len(),
            found: index,
        })
    }
}
