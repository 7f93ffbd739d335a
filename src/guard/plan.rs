//! What a guard decided, to be carried out or folded into an optimiser.

use super::units::check_units;
use super::{Guard, Step, Stepped};
use crate::reduce::Wire;
use crate::set::{Found, Pairing};
use crate::{Factor, Measurement, Report, Result, Tensor, TensorSet, TensorSetMut, Verdict};

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
///
/// A plan that is dropped is a step that was not taken. The rules are told so before the guard does anything else.
#[derive(Debug)]
#[must_use = "nothing is written until the plan is applied or its factors are used"]
pub struct Plan<'g> {
    guard: &'g mut Guard,
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
        self.report().verdict
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
        let report = self.report();
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

    /// Says that its factors were used: the step is taken, though nothing was written here.
    ///
    /// ```
    /// use steadygrad::{clip, Guard};
    /// let (mut w, g) = (vec![10.0_f32], vec![4.0_f32]);
    /// let mut guard = Guard::new().clip(clip::GlobalNorm::new(2.0)?);
    /// let plan = guard.plan(&g)?;
    /// if let Some(factor) = plan.factor(0) {
    ///     w[0] -= 0.5 * factor as f32 * g[0];
    ///     assert_eq!(plan.taken().after(), 2.0);
    /// }
    /// assert_eq!(w, [9.0]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn taken(self) -> Stepped<'g> {
        self.guard.settle(self.guard.report.verdict);
        Stepped::new(self.guard)
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
        let wire = self.guard.wire.as_deref();
        fits(&report.before, wire, &*grads)?;
        check_units(&*grads, &report.edits)?;
        self.carry_out(grads)
    }

    fn carry_out<G: TensorSetMut + ?Sized>(self, grads: &mut G) -> Result<Stepped<'g>> {
        let Self { guard } = self;
        let report = &mut guard.report;
        let raw = report.scale.raw(&report.before, &report.raw);
        let mut written = report.after.carry_out(grads, raw, &report.edits);
        if written.is_err() {
            report.after.lose();
            written = guard.close(written);
        }
        guard.settle(guard.report.verdict);
        written?;
        Ok(Stepped::new(guard))
    }
}

impl Guard {
    /// Measures, decides, and carries it out.
    ///
    /// A `&mut G` variable is moved by the conversion: pass `&mut *grads` to keep it.
    ///
    /// ```
    /// use steadygrad::{clip, Guard};
    /// fn train(guard: &mut Guard, grads: &mut Vec<f32>) -> steadygrad::Result<f32> {
    ///     let report = guard.step(&mut *grads)?;
    ///     Ok(if report.verdict().is_apply() { grads[0] } else { 0.0 })
    /// }
    /// let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
    /// assert_eq!(train(&mut guard, &mut vec![8.0])?, 1.0);
    /// assert_eq!(train(&mut guard, &mut vec![f32::NAN])?, 0.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NonFinite`](crate::Error::NonFinite) under [`OnNonFinite::Error`](crate::OnNonFinite::Error), [`Error::NothingSeen`](crate::Error::NothingSeen) after
    /// [`Guard::require_gradients`], [`Error::Unmatched`](crate::Error::Unmatched) if all gradients that were found are those of others, [`Error::Axis`](crate::Error::Axis) or [`Error::Count`](crate::Error::Count) if a rule scales units that a tensor does
    /// not have, [`Error::Name`](crate::Error::Name), [`Error::Count`](crate::Error::Count) or [`Error::Shape`](crate::Error::Shape) if the parameters are not those of the
    /// gradients, and what the tensors give. All these leave every gradient as it is, but for a storage that
    /// fails while it is written to: then the tensors before it are edited, those behind it are not, and the
    /// norm [after](Report::after) is NaN. A step with an error is not taken and counts as skipped; the first beyond
    /// [`Guard::max_skips`] in a row gives [`Error::Stop`](crate::Error::Stop).
    pub fn step<'s, G, P>(&mut self, step: impl Into<Step<'s, &'s mut G, P>>) -> Result<Stepped<'_>>
    where
        G: TensorSetMut + ?Sized + 's,
        P: TensorSet + ?Sized + 's,
    {
        let Step {
            grads,
            params,
            more,
        } = step.into();
        let params = params.as_ref().map(|params| params as &dyn TensorSet);
        self.decide(&*grads, params, &more)?;
        Plan { guard: self }.carry_out(grads)
    }

    /// Measures and decides; writes nothing.
    ///
    /// The plan can be carried out with [`Plan::apply`], or its factors can be folded into an optimiser's
    /// own loop: a clipped step then costs one read and no extra write.
    ///
    /// A plan is a step, whether it is carried out or dropped: it has a number of its own, detectors have seen it,
    /// and a verdict to skip counts. Rules learn from one that is [applied](Plan::apply) or [taken](Plan::taken). To
    /// look at gradients twice in one step, look at the plan's [report](Plan::report), or read them with
    /// [`Measurement::of`].
    ///
    /// ```
    /// use steadygrad::{clip, Guard};
    ///
    /// let (mut w, g) = (vec![10.0_f32, 10.0], vec![3.0_f32, 4.0]);
    /// let mut guard = Guard::new().clip(clip::GlobalNorm::new(2.5)?);
    /// let plan = guard.plan(&g)?;
    /// if let Some(factor) = plan.factor(0) {
    ///     let rate = 0.5 * factor as f32;
    ///     w.iter_mut().zip(&g).for_each(|(w, g)| *w -= rate * g);
    ///     assert!(plan.taken().verdict().is_apply());
    /// }
    /// assert_eq!(w, [9.25, 9.0]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Guard::step`].
    pub fn plan<'s, G, P>(&mut self, step: impl Into<Step<'s, &'s G, P>>) -> Result<Plan<'_>>
    where
        G: TensorSet + ?Sized + 's,
        P: TensorSet + ?Sized + 's,
    {
        let Step {
            grads,
            params,
            more,
        } = step.into();
        let params = params.as_ref().map(|params| params as &dyn TensorSet);
        self.decide(grads, params, &more)?;
        Ok(Plan { guard: self })
    }
}

/// Whether `grads` are those that `seen` tells of.
fn fits<G: TensorSet + ?Sized>(seen: &Measurement, wire: Option<&Wire>, grads: &G) -> Result<()> {
    let mut pairing = Pairing::same(seen.names(), |index| {
        let len = seen.tensor(index).len();
        wire.map_or(len, |wire| wire.len_here(index, len)) as usize
    });
    grads.visit(&mut |name, tensor| {
        let (dims, len) = (tensor.dims(), tensor.len());
        pairing.take(Found { name, dims, len }).map(|_| ())
    })?;
    pairing.finish()
}
