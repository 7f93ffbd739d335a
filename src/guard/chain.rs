//! The rules in their order, and what each of them sees.

use alloc::boxed::Box;

use crate::clip::Clipper;
use crate::detect::{Detector, alarms::ROOM};
use crate::reduce::{Behind, Wire, Word};
use crate::verdicts::Verdicts;
use crate::{
    Edits, Error, Measurement, Needs, Outcome, Result, State, StepView, TensorSet, Verdict,
};

/// A clipper or a detector, or somebody who only looks, in the place that the user gave it.
pub(super) enum Rule {
    Clip(Box<dyn Clipper>),
    /// With the verdicts that its alarms carry.
    Detect(Verdicts, Box<dyn Detector>),
    Tap(Tap),
}

/// What somebody does with each step.
pub(super) struct Tap(pub(super) Box<TapFn>);

type TapFn = dyn FnMut(&StepView<'_>) + Send + Sync;

impl Rule {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Clip(clipper) => clipper.name(),
            Self::Detect(_, detector) => detector.name(),
            Self::Tap(_) => "tap",
        }
    }

    fn needs(&self) -> Needs {
        match self {
            Self::Clip(clipper) => clipper.needs(),
            Self::Detect(_, detector) => detector.needs(),
            Self::Tap(_) => Needs::default(),
        }
    }

    fn settle(&mut self, outcome: &Outcome<'_>) {
        match self {
            Self::Clip(clipper) => clipper.settle(outcome),
            Self::Detect(_, detector) => detector.settle(outcome),
            Self::Tap(_) => (),
        }
    }

    fn save(&self, state: &mut State) {
        match self {
            Self::Clip(clipper) => clipper.save(state),
            Self::Detect(_, detector) => detector.save(state),
            Self::Tap(_) => (),
        }
    }

    fn load(&mut self, state: &State) -> Result<()> {
        match self {
            Self::Clip(clipper) => clipper.load(state),
            Self::Detect(_, detector) => detector.load(state),
            Self::Tap(_) => Ok(()),
        }
    }
}

/// A rule in the chain.
pub(super) struct Link {
    pub(super) rule: Rule,
    pub(super) needs: Needs,
    /// What it remembered when it was added.
    fresh: State,
    /// Whether it was ever given all that it goes by.
    pub(super) fed: bool,
    /// How many alarms it may raise in one step.
    pub(super) room: usize,
    /// Whether all ranks measure anew before it.
    pub(super) is_due: bool,
    /// Whether all ranks agree on a verdict before it.
    pub(super) agrees: bool,
}

impl Link {
    pub(super) fn new(rule: Rule) -> Self {
        let mut fresh = State::default();
        rule.save(&mut fresh);
        Self {
            needs: rule.needs(),
            rule,
            fresh,
            fed: false,
            room: ROOM,
            is_due: false,
            agrees: false,
        }
    }

    /// Whether the step has what the rule goes by; else why it abstains, or an error if a verdict was asked of a
    /// rule that has never been fed.
    pub(super) fn feed(&mut self, step: &StepView<'_>) -> Result<Option<&'static str>> {
        let (what, why) = if self.needs.params && step.params.is_none() {
            ("parameters", "no parameters were given")
        } else if self.needs.loss && step.loss.is_none() {
            ("a loss", "no loss was given")
        } else {
            self.fed = true;
            return Ok(None);
        };
        match self.rule {
            Rule::Detect(verdicts, _) if !verdicts.is_apply() && !self.fed => Err(Error::Unfed {
                rule: self.rule.name(),
                what,
            }),
            _ => Ok(Some(why)),
        }
    }

    pub(super) fn settle(&mut self, outcome: &Outcome<'_>) {
        self.rule.settle(outcome);
    }

    pub(super) fn state(&self) -> State {
        let mut state = State::default();
        self.rule.save(&mut state);
        state
    }

    /// What it remembered when it was added.
    pub(super) fn fresh(&self) -> &State {
        &self.fresh
    }

    pub(super) fn load(&mut self, state: &State) -> Result<()> {
        self.rule.load(state)
    }

    pub(super) fn reset(&mut self) -> Result<()> {
        self.fed = false;
        self.rule.load(&self.fresh)
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
    /// What the tensors hold, where the gradients are that times a factor.
    pub(super) raw: &'c Measurement,
    pub(super) now: &'c mut Measurement,
    pub(super) valid: Valid,
    /// How many operations had been pushed before the first rule.
    pub(super) start: u64,
    pub(super) edits: &'c mut Edits,
    pub(super) wire: Option<&'c mut Wire>,
}

impl<G: TensorSet + ?Sized> Chain<'_, G> {
    /// The step as the next rule is to see it, by arithmetic where that tells, else by one more read;
    /// and where it may write.
    pub(super) fn look(&mut self, needs: &Needs) -> Result<(StepView<'_>, &mut Edits)> {
        if self.wire.is_some() {
            // What there is to be seen was agreed on.
            return Ok(self.shown());
        }
        let pushed = self.edits.pushed();
        let fresh = match self.valid {
            Valid::Before => {
                let seen = self.view.grads;
                // A norm that equals its bound as far as it can be told is kept, and known to be no more.
                let settled = || !self.edits.settles(seen.total(), seen.tensors());
                pushed == self.start
                    && seen.needs().covers(needs)
                    && (needs.units.is_some() || settled())
            }
            Valid::Now(at) => {
                if pushed == at {
                    self.now.settle(self.edits);
                }
                pushed == at && self.now.needs().covers(needs)
            }
        };
        if !fresh {
            let told = self.raw.needs().covers(needs)
                && needs.units.is_none()
                && self.now.follow(self.raw, self.edits).is_some();
            if !told {
                self.now.read(self.grads, needs, self.edits)?;
            }
            self.now.settle(self.edits);
            self.valid = Valid::Now(pushed);
        }
        Ok(self.shown())
    }

    fn shown(&mut self) -> (StepView<'_>, &mut Edits) {
        let grads = if self.valid == Valid::Before {
            self.view.grads
        } else {
            &*self.now
        };
        (StepView { grads, ..self.view }, self.edits)
    }

    /// What the ranks came to before a rule: they agree where that follows from the rules.
    pub(super) fn before(
        &mut self,
        link: &Link,
        own: Verdict,
        failed: Option<&Error>,
    ) -> Result<Verdict> {
        let word = Word {
            failed,
            verdict: own,
            ..Word::default()
        };
        match &mut self.wire {
            Some(_) if link.is_due => self.agree(&link.needs, &word),
            Some(wire) if link.agrees => Ok(wire.agree(&word, self.view.number)?.0),
            _ => Ok(own),
        }
    }

    /// Agrees with the other ranks on what the edits so far leave, and on the verdict so far.
    pub(super) fn agree(&mut self, needs: &Needs, word: &Word<'_>) -> Result<Verdict> {
        let Some(wire) = &mut self.wire else {
            return Ok(word.verdict);
        };
        let behind = Behind {
            grads: self.grads,
            raw: self.raw,
            needs,
            edits: self.edits,
            is_left: true,
        };
        let (verdict, _) = wire.behind(&behind, self.now, word)?;
        self.valid = Valid::Now(self.edits.pushed());
        Ok(verdict)
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
