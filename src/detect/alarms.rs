//! What a detector says of one step.

use alloc::vec::Vec;
use core::ops::Deref;

use super::Alarm;

/// How many alarms there is room for unasked.
pub(crate) const ROOM: usize = 2;

/// Where a [`Detector`](super::Detector) says what is wrong with a step: as many things as there are.
///
/// A guard hands each detector an empty one, and makes events of what is in it. It is read like a slice.
///
/// # Examples
///
/// ```
/// use steadygrad::{detect::{Alarms, Detector, NormThreshold}, Measurement, StepView};
///
/// let grads = Measurement::of(&[("w", [30.0]), ("b", [0.5]), ("v", [40.0])])?;
/// let mut alarms = Alarms::default();
/// NormThreshold::new(1.0)?.per_tensor().observe(&StepView::new(1, &grads), &mut alarms);
/// assert_eq!(alarms.len(), 2);
/// assert_eq!((alarms[0].tensor(), alarms[1].tensor()), (Some("w"), Some("v")));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alarms {
    raised: Vec<Alarm>,
    /// For how many of them room was asked.
    room: usize,
    why: Option<&'static str>,
    holds: bool,
}

impl Alarms {
    /// Says one thing.
    ///
    /// ```
    /// use steadygrad::{detect::{Alarms, Subject}, Measurement, StepView};
    /// let (grads, mut alarms) = (Measurement::of(&[0.0, 9.0])?, Alarms::default());
    /// let step = StepView::new(1, &grads).loss(1e-9);
    /// alarms.raise(step.alarm("mine", Subject::Loss).below("value", 1e-9, 1e-6));
    /// alarms.raise(step.alarm("mine", Subject::Gradients).above("largest element", 9.0, 1.0));
    /// assert_eq!(alarms.iter().map(|alarm| alarm.value()).collect::<Vec<_>>(), [1e-9, 9.0]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn raise(&mut self, alarm: Alarm) {
        self.raised.push(alarm);
    }

    /// Makes room for so many more in one step, so that no later step has to: a detector that may speak of every
    /// tensor asks for it when it first sees them. For two there is room in any case.
    pub fn reserve(&mut self, alarms: usize) {
        self.raised.reserve(alarms);
        self.room = self.room.max(self.raised.len() + alarms);
    }

    /// Says that the detector did not judge the step: what it said of the last one that it judged has neither ended
    /// nor is it said again.
    ///
    /// ```
    /// use steadygrad::{detect::PersistentNorm, Guard};
    /// let mut guard = Guard::new().detect(PersistentNorm::new(1.0, 1)?);   // holds where there is no norm
    /// let mut told = vec![];
    /// for norm in [2.0, f64::NAN, 3.0] {
    ///     let report = guard.step(&mut [norm])?;
    ///     told.push((report.alarms().first().map(|alarm| alarm.since()), report.ended().len()));
    /// }
    /// assert_eq!(told, [(Some(1), 0), (None, 0), (Some(1), 0)]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn hold(&mut self) {
        self.holds = true;
    }

    /// Says that the detector could not judge the step, and why. The [report](crate::Report::abstained) tells. Beside
    /// that it [holds](Alarms::hold).
    ///
    /// ```
    /// use steadygrad::{detect::{Alarms, Detector}, Guard, StepView};
    ///
    /// #[derive(Debug)]
    /// struct Alignment;
    ///
    /// impl Detector for Alignment {
    ///     fn name(&self) -> &'static str { "alignment" }
    ///     fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
    ///         if step.signal("alignment").is_none() { alarms.abstain("no such signal was given") }
    ///     }
    /// }
    /// let mut guard = Guard::new().detect(Alignment);
    /// let report = guard.step(&mut [0.5])?;
    /// assert_eq!(report.abstained(), [("alignment", "no such signal was given")]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn abstain(&mut self, why: &'static str) {
        self.why = Some(why);
        self.hold();
    }

    /// Why the detector could not judge the step, if it said so.
    #[must_use]
    pub fn abstained(&self) -> Option<&'static str> {
        self.why
    }

    /// Has a detector inside another speak. What it asks for and says is added to what was; whether it holds is told.
    pub(super) fn beside(&mut self, speak: impl FnOnce(&mut Self)) -> bool {
        let before = (self.raised.len(), self.room, self.why, self.holds);
        (self.room, self.why, self.holds) = (0, None, false);
        speak(self);
        let held = self.holds;
        let (said, room, why, holds) = before;
        self.room = room + self.room.saturating_sub(said).max(ROOM);
        (self.why, self.holds) = (why.or(self.why), holds);
        held
    }

    /// Keeps the first `from` alarms, and of those behind them the ones that are to be kept.
    pub(super) fn keep(&mut self, from: usize, mut keep: impl FnMut(&mut Alarm) -> bool) {
        let mut index = 0;
        self.raised.retain_mut(|alarm| {
            index += 1;
            index <= from || keep(alarm)
        });
    }

    /// Whether nothing is said, and what was said before stands.
    pub(crate) fn is_held(&self) -> bool {
        self.holds && self.raised.is_empty()
    }

    pub(crate) fn room(&self) -> usize {
        self.room
    }

    /// Makes it empty for the next detector.
    pub(crate) fn clear(&mut self) {
        self.raised.clear();
        (self.room, self.why, self.holds) = (0, None, false);
    }
}

impl Deref for Alarms {
    type Target = [Alarm];

    fn deref(&self) -> &[Alarm] {
        &self.raised
    }
}

impl<'a> IntoIterator for &'a Alarms {
    type Item = &'a Alarm;
    type IntoIter = core::slice::Iter<'a, Alarm>;

    fn into_iter(self) -> Self::IntoIter {
        self.raised.iter()
    }
}
