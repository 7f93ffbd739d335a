//! A rule for some tensors.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::covers::Covers;
use crate::measurement::Measurement;
use crate::names::Names;
use crate::needs::Needs;
use crate::pen::Pen;
use crate::step_view::StepView;

/// A rule that sees some tensors and nothing else: [`Clipper::on`](crate::clip::Clipper::on),
/// [`Detector::on`](crate::detect::Detector::on).
///
/// The totals it goes by are the exact ones of these tensors, made where those of the whole set are. What it learns it
/// learns from them alone. Rules for some tensors nest: the inner one sees what both cover.
///
/// # Examples
///
/// ```
/// use steadygrad::{prelude::*, clip, Guard};
///
/// let mut guard = Guard::new()
///     .clip(clip::GlobalNorm::new(1.0)?.on("policy."))
///     .clip(clip::GlobalNorm::new(10.0)?.on(|name: &str| name.ends_with(".w")));
/// let mut grads = [("policy.w", [3.0_f64, 4.0]), ("value.w", [6.0, 8.0]), ("value.b", [99.0, 0.0])];
/// let report = guard.step(&mut grads)?;
/// assert!(report.verdict().is_apply());
/// assert!((grads[0].1[0] - 0.6).abs() < 0.01);          // by the first rule to 1, by the second a little more
/// assert_eq!(grads[2].1, [99.0, 0.0]);                  // nobody's
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone)]
pub struct On<R> {
    pub(crate) rule: R,
    covers: Covers,
    /// What is scaled, if it is not what is seen.
    reach: Option<Covers>,
    /// The groups that the rule inside asks for, each with what is asked for in its place.
    inner: Vec<(Covers, Covers)>,
    seen: Seen,
    params: Seen,
    updates: Seen,
    places: Vec<u32>,
    reached: Vec<u32>,
}

/// The tensors that a rule sees of a set.
#[derive(Clone, Default)]
struct Seen {
    of: Arc<Names>,
    members: Vec<u32>,
    measured: Measurement,
}

impl Seen {
    /// Looks at those that are covered. Of gradients, `groups` are brought along.
    fn look(&mut self, whole: &Measurement, covers: &Covers, groups: &[(Covers, Covers)]) {
        let new = !Arc::ptr_eq(&self.of, whole.names());
        if new {
            self.of = Arc::clone(whole.names());
            self.members.clear();
            let covered = |&i: &usize| covers.covers(whole.name(i));
            let members = (0..whole.len()).filter(covered).map(|i| i as u32);
            self.members.extend(members);
        }
        whole.select(&self.members, &mut self.measured, new, groups);
        // The total was made where that of the whole was.
        whole.total_of_group(covers, &mut self.measured);
    }
}

/// What it was told to do, not what it sees.
impl<R: fmt::Debug> fmt::Debug for On<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("On")
            .field("rule", &self.rule)
            .field("covers", &self.covers)
            .field("reach", &self.reach)
            .finish_non_exhaustive()
    }
}

impl<R> On<R> {
    pub(crate) fn new(rule: R, covers: Covers, needs: &Needs) -> Self {
        let both = |group: &Covers| (group.clone(), covers.clone().and(group.clone()));
        Self {
            inner: needs.groups.iter().map(both).collect(),
            rule,
            covers,
            reach: None,
            seen: Seen::default(),
            params: Seen::default(),
            updates: Seen::default(),
            places: Vec::new(),
            reached: Vec::new(),
        }
    }

    /// Sees what it covers, and changes what this covers: a tensor may be left out of the norm, of the scaling, or of
    /// both.
    ///
    /// ```
    /// use steadygrad::{prelude::*, clip, Guard};
    /// let rule = clip::GlobalNorm::new(1.0)?.on("w").reaching(|_: &str| true);
    /// let mut grads = [("w", [2.0]), ("b", [8.0])];
    /// assert!(Guard::new().clip(rule).step(&mut grads)?.verdict().is_apply());
    /// assert_eq!(grads, [("w", [1.0]), ("b", [4.0])]);   // by w's norm, both
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn reaching(self, covers: impl Into<Covers>) -> Self {
        Self {
            reach: Some(covers.into()),
            ..self
        }
    }

    /// What it needs, whose rule inside needs this.
    pub(crate) fn asks(&self, mut needs: Needs) -> Needs {
        needs.groups.clear();
        needs.groups.push(self.covers.clone());
        let both = self.inner.iter().map(|(_, both)| both.clone());
        needs.groups.extend(both);
        needs
    }

    /// Looks at what the rule is to see.
    fn look(&mut self, step: &StepView<'_>) {
        self.seen.look(step.grads, &self.covers, &self.inner);
        if let Some(params) = step.params {
            self.params.look(params, &self.covers, &[]);
        }
        if let Some(updates) = step.updates {
            self.updates.look(updates, &self.covers, &[]);
        }
    }

    /// The rule inside and the step as it is to see it.
    pub(crate) fn view<'v>(&'v mut self, step: &StepView<'v>) -> (&'v mut R, StepView<'v>) {
        self.look(step);
        let view = StepView {
            grads: &self.seen.measured,
            params: step.params.map(|_| &self.params.measured),
            updates: step.updates.map(|_| &self.updates.measured),
            ..*step
        };
        (&mut self.rule, view)
    }

    /// The same with a pen for the tensors that it sees.
    pub(crate) fn open<'v>(
        &'v mut self,
        step: &StepView<'v>,
        pen: &'v mut Pen<'_>,
    ) -> (&'v mut R, StepView<'v>, Pen<'v>) {
        self.look(step);
        let place = |index: usize| pen.place(index).map(|place| place as u32);
        let members = self.seen.members.iter();
        self.places.clear();
        self.places
            .extend(members.filter_map(|&index| place(index as usize)));
        self.reached.clear();
        if let Some(reach) = &self.reach {
            let covered = |&index: &usize| reach.covers(step.grads.name(index));
            let indices = (0..step.grads.len()).filter(covered);
            self.reached.extend(indices.filter_map(place));
        }
        let view = StepView {
            grads: &self.seen.measured,
            params: step.params.map(|_| &self.params.measured),
            updates: step.updates.map(|_| &self.updates.measured),
            ..*step
        };
        let reach = self.reach.as_ref().map(|_| &self.reached[..]);
        let pen = pen.for_some(&self.seen.measured, &self.places, reach);
        (&mut self.rule, view, pen)
    }
}
