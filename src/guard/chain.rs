//! The rules in their order, and what each of them sees.

use alloc::boxed::Box;

use crate::clip::Clipper;
use crate::{Edits, Measurement, Needs, Result, TensorSet, Verdict};
use crate::{StepView, detect::Detector};

/// A clipper or a detector, in the place that the user gave it.
#[derive(Debug)]
pub(super) enum Rule {
    Clip(Box<dyn Clipper>),
    /// With the verdict that its alarm carries.
    Detect(Verdict, Box<dyn Detector>),
}

impl Rule {
    pub(super) fn needs(&self) -> Needs {
        match self {
            Self::Clip(clipper) => clipper.needs(),
            Self::Detect(_, detector) => detector.needs(),
        }
    }
}

/// Which measurement shows the gradients as the edits so far leave them.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Valid {
    /// The one of the gradients as they came.
    Before,
    /// `now`, made when so many operations had been pushed.
    Now(u64),
}

/// The way through the rules.
pub(super) struct Chain<'c, G: ?Sized> {
    pub(super) grads: &'c G,
    pub(super) view: StepView<'c>,
    pub(super) now: &'c mut Measurement,
    pub(super) valid: Valid,
    pub(super) edits: &'c mut Edits,
}

impl<G: TensorSet + ?Sized> Chain<'_, G> {
    /// The step as the next rule is to see it, by arithmetic where that tells, else by one more read;
    /// and where it may write.
    pub(super) fn look(&mut self, needs: &Needs) -> Result<(StepView<'_>, &mut Edits)> {
        let pushed = self.edits.pushed();
        let fresh = match self.valid {
            Valid::Before => {
                let seen = self.view.grads;
                // A norm that equals its bound as far as it can be told is kept, and known to be no more.
                let settled = || !self.edits.settles(seen.total(), seen.tensors());
                pushed == 0 && seen.needs().covers(needs) && (needs.units.is_some() || settled())
            }
            Valid::Now(at) => {
                if pushed == at {
                    self.now.settle(self.edits);
                }
                pushed == at && self.now.needs().covers(needs)
            }
        };
        if !fresh {
            let told = self.view.grads.needs().covers(needs)
                && needs.units.is_none()
                && self.now.follow(self.view.grads, self.edits).is_some();
            if !told {
                self.now.read(self.grads, needs, self.edits)?;
            }
            self.now.settle(self.edits);
            self.valid = Valid::Now(pushed);
        }
        let grads = if self.valid == Valid::Before {
            self.view.grads
        } else {
            &*self.now
        };
        Ok((StepView { grads, ..self.view }, self.edits))
    }
}

/// The largest number that every element type holds.
const SAFE: f64 = 65_504.0;

/// Whether the edits, carried out on gradients that are finite or zeroed, leave something that is not: read
/// into `left`, unless arithmetic rules it out, as it does for all that shrinks.
pub(super) fn overflows<G: TensorSet + ?Sized>(
    grads: &G,
    before: &Measurement,
    edits: &Edits,
    left: &mut Measurement,
) -> Result<bool> {
    if !edits.may_grow() || left.follow(before, edits).is_some() && left.total().max_abs() <= SAFE {
        return Ok(false);
    }
    left.read(grads, &Needs::norms(), edits)?;
    Ok(!left.total().is_finite())
}
