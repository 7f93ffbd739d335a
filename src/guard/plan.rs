//! What a guard decided, to be carried out or folded into an optimiser.

use super::{Guard, Stepped};
use crate::set::{Found, Pairing};
use crate::{
    Ask, Edits, Factor, Measurement, Needs, Op, Report, Result, Tensor, TensorSet, TensorSetMut,
    Verdict,
};

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

    /// The factor for tensor `index`: 1 to keep it, `None` if the step is not to be taken, if more than scaling is
    /// to be done, if no normal `f64` holds the factor, or if there is no such tensor.
    ///
    /// ```
    /// use steadygrad::{clip, Guard};
    /// let grads = [[8.0_f32], [1.0]];
    /// let mut guard = Guard::new().clip(clip::TensorNorm::new(2.0)?);
    /// let plan = guard.plan(&grads)?;
    /// assert_eq!((plan.factor(0), plan.factor(1), plan.factor(2)), (Some(0.25), Some(1.0), None));
    /// let mut guard = Guard::new().clip(clip::Value::new(2.0)?);
    /// assert_eq!(guard.plan(&grads)?.factor(0), None);         // a clamp is no factor
    /// assert_eq!(guard.plan(&[f32::NAN])?.factor(0), None);    // nor is a step to be skipped
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn factor(&self, index: usize) -> Option<f64> {
        let report = &self.guard.report;
        if !report.verdict.is_apply() || index >= report.edits.len() {
            return None;
        }
        report
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
    /// [`Error::Name`](crate::Error::Name), [`Error::Count`](crate::Error::Count) or
    /// [`Error::Shape`](crate::Error::Shape) if these are other gradients, by their names, number, sizes, shapes or
    /// units; nothing is changed then. And what the tensors give ([`Guard::step`] says what holds when a storage
    /// fails half-way).
    pub fn apply<G: TensorSetMut + ?Sized>(self, grads: &mut G) -> Result<Stepped<'g>> {
        let report = &self.guard.report;
        fits(&report.before, &*grads)?;
        check_units(&*grads, None, &report.edits)?;
        self.carry_out(grads)
    }

    pub(super) fn carry_out<G: TensorSetMut + ?Sized>(self, grads: &mut G) -> Result<Stepped<'g>> {
        let Self { guard } = self;
        let report = &mut guard.report;
        let written = report.after.carry_out(grads, &report.before, &report.edits);
        if written.is_err() {
            report.after.lose();
            guard.close(written)?;
        }
        Ok(Stepped::new(&guard.report))
    }
}

/// Whether each list of factors fits the units of its tensor, so that none is found wanting when others are
/// edited already. `seen` tells at no cost, if the units of these gradients were measured along that axis; else the
/// tensor is read as the edit would leave it, and says so itself.
pub(super) fn check_units<G: TensorSet + ?Sized>(
    grads: &G,
    seen: Option<&Measurement>,
    edits: &Edits,
) -> Result<()> {
    if edits.common_factor().is_some() {
        return Ok(());
    }
    let along = |op: &Op<'_>| match *op {
        Op::ScaleUnits { axis, .. } => Some(axis),
        _ => None,
    };
    let units = |index: usize| edits.get(index).ops().filter_map(move |op| along(&op));
    if (0..edits.len()).all(|index| units(index).next().is_none()) {
        return Ok(());
    }
    let mut index = 0;
    grads.visit(&mut |_, tensor| {
        let edit = edits.get(index);
        let known = seen.filter(|seen| units(index).all(|axis| seen.needs().units == Some(axis)));
        let checked = match known {
            Some(seen) => edit.check_units(|_| Ok(seen.units(index).len())),
            None => tensor
                .stats(&mut Ask {
                    after: edit,
                    p: Needs::LEAST.p,
                    ..Ask::default()
                })
                .map(drop),
        };
        index += 1;
        checked
    })
}

/// Whether `grads` are those that `seen` tells of.
fn fits<G: TensorSet + ?Sized>(seen: &Measurement, grads: &G) -> Result<()> {
    let mut pairing = Pairing::same(seen.names(), |index| seen.tensor(index).len() as usize);
    grads.visit(&mut |name, tensor| {
        let (dims, len) = (tensor.dims(), tensor.len());
        pairing.take(Found { name, dims, len }).map(|_| ())
    })?;
    pairing.finish()
}
