//! What a guard makes of a step.

use alloc::boxed::Box;

use super::Guard;
use super::agree::LEFT;
use super::chain::{Chain, Link, Rule, Valid, overflows};
use super::paired::Paired;
use super::policy::{OnNonFinite, meet};
use super::step::{Explain, More};
use crate::detect::non_finite;
use crate::reduce::Word;
use crate::report::Scale;
use crate::{
    Edits, Error, Factor, Measurement, Needs, Outcome, Report, Result, StepView, TensorSet,
    Verdict, Wide,
};

impl Guard {
    /// Measures, judges, and counts.
    pub(super) fn decide<G: TensorSet + ?Sized>(
        &mut self,
        grads: &G,
        params: Option<&dyn TensorSet>,
        more: &More<'_>,
    ) -> Result<()> {
        self.begin_step();
        let measured = self.measure(grads, params, more);
        let judged = measured.and_then(|()| self.judge(grads, more));
        if let (Err(_), Some(wire)) = (&judged, &self.wire) {
            self.report.verdict = self.report.verdict.max(wire.verdict);
        }
        let closed = self.close(judged);
        if closed.is_err() {
            self.settle(self.report.verdict);
        }
        closed
    }

    /// Counts the next step, of which the rules know nothing yet.
    pub(super) fn begin_step(&mut self) {
        self.settle_what_was_dropped();
        self.row = self.in_a_row;
        self.at = self.at.saturating_add(1);
        self.open = true;
    }

    /// Measures all that was given.
    fn measure<G: TensorSet + ?Sized>(
        &mut self,
        grads: &G,
        params: Option<&dyn TensorSet>,
        more: &More<'_>,
    ) -> Result<()> {
        let report = &mut self.report;
        report.begin(self.at, more.loss);
        report.signals.extend_from_slice(&more.signals);
        self.greet()?;
        let read = self.read(grads, more.scale);
        let read = match &self.wire {
            None => read.and_then(|()| self.look_at_what_came()),
            Some(_) => read,
        };
        let read = read.and_then(|()| self.read_beside(params, more.updates));
        if self.wire.is_none() {
            return read;
        }
        self.agree_on_what_came(read, grads, params, more)?;
        self.look_at_what_came()
    }

    /// Reads the gradients.
    fn read<G: TensorSet + ?Sized>(&mut self, grads: &G, scale: f64) -> Result<()> {
        match &self.unmet {
            Some(error) => Err(error.clone()),
            None => read(&mut self.report, grads, &self.needs, scale),
        }
    }

    /// Whether there are any gradients, where there have to be.
    fn look_at_what_came(&mut self) -> Result<()> {
        let report = &mut self.report;
        report.after.same(&report.before);
        self.now.make_room(&report.before);
        report.before.matched()?;
        if self.requires_gradients && report.nothing_seen() {
            return Err(Error::NothingSeen {
                tensors: report.before.len(),
            });
        }
        Ok(())
    }

    /// Reads parameters and updates.
    fn read_beside(
        &mut self,
        params: Option<&dyn TensorSet>,
        updates: Option<&dyn TensorSet>,
    ) -> Result<()> {
        let report = &mut self.report;
        let [of_params, of_updates] = &mut self.paired;
        if let Some(params) = params {
            read_beside(
                &mut report.params,
                params,
                &self.beside,
                of_params,
                &report.before,
            )?;
            report.has_params = true;
        }
        if let Some(updates) = updates {
            read_beside(
                &mut report.updates,
                updates,
                &self.beside,
                of_updates,
                &report.before,
            )?;
            report.has_updates = true;
        }
        Ok(())
    }

    /// Has the policy meet what came in.
    fn meet_what_came(&mut self, more: &More<'_>) -> Result<()> {
        let report = &mut self.report;
        let view = StepView {
            params: report.params.as_ref().filter(|_| report.has_params),
            loss: report.loss,
            ..StepView::new(report.step, &report.before)
        };
        // Ranks have agreed on it.
        if self.wire.is_none() {
            report.fault = non_finite::find(&view);
        }
        if let Some(fault) = &report.fault {
            if fault.rank().is_none() {
                report.origin = more.origin.and_then(Explain::explain);
            }
            report.verdict = meet(self.on_non_finite, fault, &view, &mut report.edits)?;
        }
        Ok(())
    }

    /// Has the policy and the rules decide.
    fn judge<G: TensorSet + ?Sized>(&mut self, grads: &G, more: &More<'_>) -> Result<()> {
        let start = self.report.edits.pushed();
        self.meet_what_came(more)?;
        let report = &mut self.report;
        let raw = report.scale.raw(&report.before, &report.raw);
        let view = StepView {
            params: report.params.as_ref().filter(|_| report.has_params),
            updates: report.updates.as_ref().filter(|_| report.has_updates),
            loss: report.loss,
            signals: &report.signals,
            ..StepView::new(report.step, &report.before)
        };
        let clips = report.verdict.is_apply();
        let mut chain = Chain {
            grads,
            view,
            raw,
            now: &mut self.now,
            valid: Valid::Before,
            start,
            edits: &mut report.edits,
            wire: self.wire.as_deref_mut(),
        };
        self.events.begin();
        let mut new_room = false;
        // What this rank came to, and whether it could.
        let (mut own, mut failed) = (report.verdict, None);
        let zeroes = self.on_non_finite != OnNonFinite::Propagate;
        if report.fault.is_some() && clips && zeroes {
            chain.agree(&self.needs, &Word::default())?;
        }
        for (place, link) in self.links.iter_mut().enumerate() {
            let so_far = chain.before(link, own, failed.as_ref())?;
            report.verdict = report.verdict.max(so_far);
            if failed.is_some() {
                continue;
            }
            let fed = link.feed(&view);
            if let (Err(error), Some(_)) = (&fed, &chain.wire) {
                failed = Some(error.clone());
                continue;
            }
            if let Some(why) = fed? {
                report.abstained.push((link.rule.name(), why));
                self.events.hold(place);
                continue;
            }
            let Link {
                rule, needs, room, ..
            } = link;
            match rule {
                Rule::Clip(clipper) if clips && report.verdict.is_apply() => {
                    let (view, edits) = chain.look(needs)?;
                    let mut pen = edits.pen(view.grads);
                    clipper.plan(&view, &mut pen);
                    let said = pen.said();
                    if let Some(why) = said.why {
                        report.abstained.push((clipper.name(), why));
                    }
                    if said.zeroed {
                        report.zeroed.push(clipper.name());
                    }
                }
                // A step that is not taken is not clipped.
                Rule::Clip(_) => (),
                Rule::Detect(verdicts, detector) => {
                    let alarms = &mut self.alarms;
                    alarms.clear();
                    detector.observe(&chain.look(needs)?.0, alarms);
                    for alarm in &*alarms {
                        own = own.max(verdicts.of(alarm.how_severe()));
                    }
                    report.verdict = report.verdict.max(own);
                    if let Some(why) = alarms.abstained() {
                        report.abstained.push((detector.name(), why));
                    }
                    self.events
                        .tell(place, alarms, *verdicts, &mut report.alarms);
                    new_room |= alarms.room() > *room;
                    *room = alarms.room().max(*room);
                }
                Rule::Tap(tap) => (tap.0)(&chain.look(needs)?.0),
            }
        }
        self.events.end(&mut report.ended);
        let verdict = report.verdict;
        if new_room {
            self.make_room();
        }
        if self.wire.is_some() {
            return self.agree_on_what_is_left(grads, own, failed);
        }
        if verdict.is_apply() {
            self.report.edits.check()?;
            self.meet_what_rules_left(grads)?;
        }
        Ok(())
    }

    /// Has the policy meet what a rule made NaN or infinite.
    fn meet_what_rules_left<G: TensorSet + ?Sized>(&mut self, grads: &G) -> Result<()> {
        let report = &mut self.report;
        if self.on_non_finite == OnNonFinite::Propagate
            || !overflows(grads, report.raw(), &report.edits, &mut self.now)?
        {
            return Ok(());
        }
        let view = StepView {
            params: report.params.as_ref().filter(|_| report.has_params),
            loss: report.loss,
            ..StepView::new(report.step, &self.now)
        };
        let fault = non_finite::find(&view).map(|fault| fault.by(LEFT));
        if let Some(fault) = fault {
            let met = meet(self.on_non_finite, &fault, &view, &mut report.edits);
            // What came in is the first that was found; what a rule made of it is told beside it.
            match report.fault {
                None => report.fault = Some(fault),
                Some(_) => report.alarms.push(fault),
            }
            report.verdict = met?;
        }
        Ok(())
    }

    /// Counts what is not taken in a row, ends a row that is too long, and says what the step came to. An error is
    /// a step not taken: whoever reads the report all the same may not find another verdict in it.
    pub(super) fn close(&mut self, judged: Result<()>) -> Result<()> {
        let report = &mut self.report;
        if judged.is_err() {
            report.verdict = report.verdict.max(Verdict::Skip);
        }
        let [skips, rollbacks] = self.row;
        [report.skips, report.rollbacks] = match report.verdict {
            Verdict::Apply => [0, 0],
            Verdict::Skip => [skips.saturating_add(1), rollbacks],
            Verdict::Rollback => [skips, rollbacks.saturating_add(1)],
            Verdict::Stop => [skips, rollbacks],
        };
        self.in_a_row = [report.skips, report.rollbacks];
        let too_long = report.skips > self.max_skips || report.rollbacks > self.max_rollbacks;
        if too_long {
            report.verdict = Verdict::Stop;
        }
        if report.verdict.is_apply() && self.wire.is_some() {
            // Ranks have agreed on what is left.
        } else if report.verdict.is_apply() {
            let raw = report.scale.raw(&report.before, &report.raw);
            report.after.foresee(raw, &report.edits);
        } else {
            report
                .edits
                .reset(report.before.len(), Some(report.before.names()));
            report.zeroed.clear();
        }
        judged.map_err(|cause| {
            if too_long {
                Error::Stop {
                    in_a_row: report.skips.saturating_add(report.rollbacks),
                    cause: Box::new(cause),
                }
            } else {
                cause
            }
        })
    }

    /// Tells every rule, once for each step, what became of it.
    pub(super) fn settle(&mut self, verdict: Verdict) {
        self.open = false;
        let outcome = Outcome {
            fault: self.report.fault.as_ref(),
            alarms: &self.report.alarms,
            ..Outcome::new(self.report.step, verdict)
        };
        for link in &mut self.links {
            link.settle(&outcome);
        }
    }

    /// A plan that nobody carried out was not taken.
    pub(super) fn settle_what_was_dropped(&mut self) {
        if self.open {
            self.settle(self.report.verdict.max(Verdict::Skip));
        }
    }
}

/// Reads the gradients, and begins the edits.
fn read<G: TensorSet + ?Sized>(
    report: &mut Report,
    grads: &G,
    needs: &Needs,
    scale: f64,
) -> Result<()> {
    report.scale = Scale::ONE;
    if scale == 1.0 {
        report.before.read(grads, needs, &Edits::NONE)?;
        let names = Some(report.before.names());
        report.edits.reset(report.before.len(), names);
        return Ok(());
    }
    if !(scale > 0.0 && scale.is_finite()) {
        return Err(Error::Setting {
            what: "scale of the loss",
            expected: "a finite number above 0",
            found: scale,
        });
    }
    report.scale = Scale(scale);
    report.raw.read(grads, needs, &Edits::NONE)?;
    let names = Some(report.raw.names());
    report.edits.reset(report.raw.len(), names);
    let undo = Factor::ratio(Wide::ONE, Wide::from(scale));
    report.edits.scale_all(undo);
    if needs.units.is_some() {
        report.before.read(grads, needs, &report.edits)
    } else {
        // A factor alone is followed by arithmetic.
        let followed = report.before.follow(&report.raw, &report.edits);
        debug_assert!(followed.is_some());
        Ok(())
    }
}

/// Reads what is beside the gradients, and has the same names, number, sizes and shapes.
fn read_beside(
    into: &mut Option<Measurement>,
    set: &dyn TensorSet,
    needs: &Needs,
    paired: &mut Paired,
    grads: &Measurement,
) -> Result<()> {
    let into = into.get_or_insert_default();
    into.read(set, needs, &Edits::NONE)?;
    paired.check(into, grads)
}
