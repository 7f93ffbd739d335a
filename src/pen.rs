//! The handle with which a rule writes what it wants done.

use crate::edits::Edits;
use crate::factor::Factor;
use crate::measurement::Measurement;
use crate::stats::Norm;

/// What a rule writes its edits with.
///
/// Its indices are those of what the rule sees: of a rule [for some tensors](crate::On), these. `all` is all of them.
///
/// # Examples
///
/// ```
/// use steadygrad::{Edits, Factor, Measurement};
///
/// let grads = [("w", [3.0, 4.0]), ("b", [12.0, 0.0])];
/// let (seen, mut edits) = (Measurement::of(&grads)?, Edits::for_count(2));
/// let mut pen = edits.pen(&seen);
/// pen.scale_all(Factor::new(0.5)?);
/// pen.zero(1);
/// assert_eq!((edits.get(0).ops().count(), edits.get(1).ops().count()), (1, 2));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Debug)]
pub struct Pen<'e> {
    edits: &'e mut Edits,
    seen: &'e Measurement,
    /// Which tensors of the whole set the rule sees, in order, unless it is all of them.
    members: Option<&'e [u32]>,
    /// Which of the whole set it may change, in order, unless it is those that it sees.
    reach: Option<&'e [u32]>,
    said: Said,
}

/// What a rule said beside its edits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    /// Why it could not decide.
    pub(crate) why: Option<&'static str>,
    /// Whether it zeroed since its bound is 0, which may have been meant to switch it off.
    pub(crate) zeroed: bool,
}

impl Edits {
    /// A pen for one rule that sees all tensors.
    ///
    /// ```
    /// use steadygrad::{clip::{Clipper, GlobalNorm}, Edits, Measurement, StepView};
    /// let grads = [3.0, 4.0];
    /// let (seen, mut edits) = (Measurement::of(&grads)?, Edits::for_count(1));
    /// GlobalNorm::new(1.0)?.plan(&StepView::new(1, &seen), &mut edits.pen(&seen));
    /// assert_eq!(edits.get(0).factor().map(|factor| factor.to_f64()), Some(0.2));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn pen<'e>(&'e mut self, seen: &'e Measurement) -> Pen<'e> {
        Pen {
            edits: self,
            seen,
            members: None,
            reach: None,
            said: Said::default(),
        }
    }
}

impl Pen<'_> {
    /// The same for a rule that sees fewer.
    pub(crate) fn for_some<'p>(
        &'p mut self,
        seen: &'p Measurement,
        members: &'p [u32],
        reach: Option<&'p [u32]>,
    ) -> Pen<'p> {
        Pen {
            edits: self.edits,
            seen,
            members: Some(members),
            reach,
            said: Said::default(),
        }
    }

    /// Where in the whole set a tensor stands.
    pub(crate) fn place(&self, index: usize) -> Option<usize> {
        match self.members {
            Some(members) => members.get(index).map(|&place| place as usize),
            None => Some(index),
        }
    }

    pub(crate) fn said(&self) -> Said {
        self.said
    }

    /// Says what a rule for fewer said.
    pub(crate) fn say(&mut self, said: Said) {
        self.said = said;
    }

    /// How many tensors there are.
    ///
    /// ```
    /// use steadygrad::{Edits, Measurement};
    /// let seen = Measurement::of(&vec![[1.0], [2.0]])?;
    /// assert_eq!(Edits::for_count(2).pen(&seen).len(), 2);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    fn each(&mut self, index: usize, write: impl FnOnce(&mut Edits, usize)) {
        let Some(place) = self.place(index) else {
            return;
        };
        let reached = |reach: &[u32]| reach.binary_search(&(place as u32)).is_ok();
        if self.reach.is_none_or(reached) {
            write(self.edits, place);
        }
    }

    fn all(&mut self, write: impl Fn(&mut Edits, usize), write_all: impl FnOnce(&mut Edits)) {
        match self.reach.or(self.members) {
            Some(places) => {
                for &place in places {
                    write(self.edits, place as usize);
                }
            }
            None => write_all(self.edits),
        }
    }

    /// Scales tensor `index`.
    pub fn scale(&mut self, index: usize, factor: Factor) {
        self.each(index, |edits, place| edits.scale(place, factor));
    }

    /// Scales every tensor.
    pub fn scale_all(&mut self, factor: Factor) {
        self.all(
            |edits, place| edits.scale(place, factor),
            |edits| edits.scale_all(factor),
        );
    }

    /// Clamps tensor `index` into `[min, max]`, as [`Edits::clamp`] does.
    pub fn clamp(&mut self, index: usize, min: f64, max: f64) {
        self.each(index, |edits, place| edits.clamp(place, min, max));
    }

    /// Scales each [unit](Measurement::units) of tensor `index` by its own factor. Another number of factors than of
    /// units is an error of the step.
    ///
    /// ```
    /// # #[cfg(feature = "ndarray")] {
    /// use ndarray::{Array1, Array2};
    /// use steadygrad::{Edits, Factor, Measurement, Needs, Units};
    ///
    /// let mut grads = (Array2::from_elem((2, 3), 1.0), Array1::from_elem(2, 1.0));
    /// let mut set = [("w", &mut grads.0 as &mut dyn steadygrad::TensorMut), ("b", &mut grads.1)];
    /// let seen = Measurement::with_needs(&set, &Needs::norms().of_units(Units::First))?;
    /// let mut edits = Edits::for_count(2);
    /// let mut pen = edits.pen(&seen);
    /// pen.scale_units(0, &[Factor::ONE, Factor::new(0.5)?]);   // two rows
    /// pen.scale_units(1, &[Factor::new(0.25)?]);               // a bias is one unit
    /// edits.apply(&mut set)?;
    /// assert_eq!((grads.0[[0, 0]], grads.0[[1, 0]], grads.1[1]), (1.0, 0.5, 0.25));
    /// # }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn scale_units(&mut self, index: usize, factors: &[Factor]) {
        let axis = self.seen.unit_axis(index);
        let units = axis.map_or(1, |_| self.seen.units(index).len());
        self.each(index, |edits, place| match (axis, factors) {
            _ if factors.len() != units => edits.misfit(units, factors.len()),
            (Some(axis), _) => edits.scale_units(place, axis, factors),
            (None, &[factor, ..]) => edits.scale(place, factor),
            (None, []) => (),
        });
    }

    /// Makes every element of tensor `index` +0.0.
    pub fn zero(&mut self, index: usize) {
        self.each(index, Edits::zero);
    }

    /// Makes every element of every tensor +0.0.
    pub fn zero_all(&mut self) {
        self.all(Edits::zero, Edits::zero_all);
    }

    /// Says that the bound that a rule goes by is 0, and has left nothing.
    pub(crate) fn zeroed_by_bound(&mut self) {
        self.said.zeroed = true;
    }

    /// Says that the rule could not decide, and why, and leaves things as they are.
    ///
    /// ```
    /// # use steadygrad::{clip::Clipper, Guard, OnNonFinite, Pen, StepView};
    /// # #[derive(Debug)]
    /// # struct Careful;
    /// impl Clipper for Careful {
    ///     fn name(&self) -> &'static str { "careful clip" }
    ///     fn plan(&mut self, step: &StepView<'_>, pen: &mut Pen<'_>) {
    ///         if !step.grads.total().is_finite() { pen.abstain("the norm is not finite") }
    ///     }
    /// }
    /// let mut guard = Guard::new().clip(Careful).on_non_finite(OnNonFinite::Propagate);
    /// let report = guard.step(&mut [f32::NAN])?;
    /// assert_eq!(report.abstained(), [("careful clip", "the norm is not finite")]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn abstain(&mut self, why: &'static str) {
        self.said.why = Some(why);
    }

    /// Tells the rules behind that a norm is seen to: of the whole that the rule sees, or of each tensor.
    pub(crate) fn hold(&mut self, each: bool, norm: Norm, max: f64) {
        if self.reach.is_none() {
            let of = self.seen.of;
            self.edits.hold(each, norm, max, self.members, of);
        }
    }
}
