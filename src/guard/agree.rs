//! What a guard says to those of other ranks, and when.

use alloc::string::String;
use core::fmt::{self, Write};

use super::Guard;
use super::chain::{Link, Rule, overflows};
use super::policy::{OnNonFinite, meet};
use super::step::More;
use crate::detect::non_finite;
use crate::reduce::{Behind, Brought, Rules, Word};
use crate::{Error, Measurement, Needs, Result, StepView, TensorSet, Verdict};

impl Guard {
    /// Meets the other ranks, if there are any and it has not, and plans the calls: they follow from the rules alone.
    pub(super) fn greet(&mut self) -> Result<()> {
        let Some(wire) = self.wire.as_mut().filter(|wire| !wire.has_met) else {
            return Ok(());
        };
        let (mut is_clipped, mut decides) = (false, false);
        let mut seen = &self.needs;
        for link in &mut self.links {
            let (is_clip, decides_too) = match &link.rule {
                Rule::Clip(_) => (true, false),
                Rule::Detect(verdicts, _) => (false, !verdicts.is_apply()),
                Rule::Tap(_) => (false, false),
            };
            link.is_due = is_clipped || !seen.covers(&link.needs);
            link.agrees = decides && is_clip;
            is_clipped = is_clip || is_clipped && !link.is_due;
            decides = decides_too || decides && !link.agrees;
            if link.is_due {
                seen = &link.needs;
            }
        }
        self.left.clone_from(&self.needs);
        self.left.units = None;
        let rest = alloc::format!(
            "on non-finite: {:?}; {} skips, {} rollbacks",
            self.on_non_finite,
            self.max_skips,
            self.max_rollbacks
        );
        let mut shape: String = self.links.iter().map(shape).collect();
        let groups = self.needs.groups.len();
        let _ = write!(shape, "{groups} groups{}; {rest}", asked(&self.asked));
        let settings = alloc::format!("{:?}, {rest}", self.links);
        wire.greet(&Rules { shape, settings })
    }

    /// Says in place of a step that this rank cannot make it, and why: every other rank has that as the error of its step,
    /// and none waits. Calls that others make before it, such as [`Guard::reduce_value`], are made as ever. It counts as a step that was not taken, after which the ranks may go on.
    ///
    /// ```
    /// use steadygrad::reduce::{Shards, Threads};
    /// use steadygrad::Guard;
    /// std::thread::scope(|scope| {
    ///     for (wire, batch) in Threads::ranks_of(2).into_iter().zip([Ok(3.0), Err("the disk is full")]) {
    ///         scope.spawn(move || {
    ///             let mut guard = Guard::new().reduced_by(wire, Shards::tensors());
    ///             let error = match batch {
    ///                 Ok(grad) => guard.step(&mut [grad]).map(drop).unwrap_err(),
    ///                 Err(why) => guard.fail(why),
    ///             };
    ///             assert!(error.to_string().ends_with("the disk is full"));
    ///         });
    ///     }
    /// });
    /// ```
    #[must_use = "it is the error to end with"]
    pub fn fail(&mut self, why: impl fmt::Display) -> Error {
        self.begin_step();
        self.report.begin(self.at, None);
        let error = Error::Wire(alloc::format!("{why}"));
        let told = self.greet().and_then(|()| {
            let Some(wire) = &mut self.wire else {
                return Ok(());
            };
            let nothing = Brought {
                sets: [None, None, None],
                fault: None,
                groups: self.needs.groups.len(),
                loss: None,
                scale: 1.0,
                step: self.at,
            };
            wire.first(Err(error.clone()), nothing).map(drop)
        });
        let closed = self.close(told.and_then(|()| Err(error.clone())));
        self.settle(self.report.verdict);
        closed.err().unwrap_or(error)
    }

    /// Agrees with the other ranks on what was measured: `local` says whether it was.
    pub(super) fn agree_on_what_came<G: TensorSet + ?Sized>(
        &mut self,
        local: Result<()>,
        grads: &G,
        params: Option<&dyn TensorSet>,
        more: &More<'_>,
    ) -> Result<()> {
        let Some(wire) = &mut self.wire else {
            return local;
        };
        let report = &mut self.report;
        let local = local.and_then(|()| {
            if wire.is_cut() && self.needs.units.is_some() {
                let what = "expected whole tensors, found units asked for of tensors that are cut";
                return Err(Error::Wire(what.into()));
            }
            Ok(())
        });
        let view = StepView {
            params: report.params.as_ref().filter(|_| report.has_params),
            loss: report.loss,
            ..StepView::new(report.step, &report.before)
        };
        let found = non_finite::find(&view).filter(|_| local.is_ok());
        let is_scaled = report.scale.0 != 1.0;
        let is_raw = is_scaled && wire.is_cut();
        let first = if is_raw {
            &mut report.raw
        } else {
            &mut report.before
        };
        let grads: &dyn TensorSet = &grads;
        let beside = [
            report.params.as_mut().zip(params),
            report.updates.as_mut().zip(more.updates),
        ];
        let [params, updates] = beside;
        let got = wire.first(
            local,
            Brought {
                sets: [Some((first, grads)), params, updates],
                fault: found.as_ref(),
                groups: self.needs.groups.len(),
                loss: report.loss,
                scale: more.scale,
                step: report.step,
            },
        )?;
        report.loss = got.loss;
        report.fault = got.fault;
        if is_raw {
            // The edits so far are the one factor that undoes the scale.
            report.before.follow(&report.raw, &report.edits);
            if let Some(undo) = report.edits.common_factor() {
                report.before.take_totals_of(&report.raw, undo);
            }
        }
        if report.fault.is_some() && self.on_non_finite == OnNonFinite::ZeroTensor {
            wire.spread_faults(&mut report.before)?;
        }
        Ok(())
    }

    /// Agrees on the verdict, and on what is left of the gradients. `own` is what this rank came to.
    pub(super) fn agree_on_what_is_left<G: TensorSet + ?Sized>(
        &mut self,
        grads: &G,
        own: Verdict,
        failed: Option<Error>,
    ) -> Result<()> {
        let Some(wire) = &mut self.wire else {
            return Ok(());
        };
        let report = &mut self.report;
        let mut local = failed
            .map_or(Ok(()), Err)
            .and_then(|()| report.edits.check());
        let (step, loss) = (report.step, report.loss);
        let params = report.params.as_ref().filter(|_| report.has_params);
        let mut left = None;
        if report.verdict.is_apply()
            && self.on_non_finite != OnNonFinite::Propagate
            && local.is_ok()
        {
            match overflows(grads, report.raw(), &report.edits, &mut self.now) {
                Ok(true) => left = non_finite::find(&view(step, loss, params, &self.now)),
                Ok(false) => (),
                Err(error) => local = Err(error),
            }
        }
        let left = left.map(|fault| fault.by(LEFT));
        let word = Word {
            failed: local.as_ref().err(),
            verdict: own,
            fault: left.as_ref(),
            ..Word::default()
        };
        let (verdict, rank, fault) = wire.agree(&word, report.step)?;
        report.verdict = verdict;
        report.decided_on = (own < verdict).then_some(rank);
        if let Some(fault) = fault.map(|fault| fault.by(LEFT)) {
            if left.is_none() {
                // Here all may be in order.
                local = self.now.read(grads, &Needs::norms(), &report.edits);
            }
            wire.spread_faults(&mut self.now)?;
            let view = view(step, loss, params, &self.now);
            let met = meet(self.on_non_finite, &fault, &view, &mut report.edits);
            match report.fault {
                None => report.fault = Some(fault),
                Some(_) => report.alarms.push(fault),
            }
            report.verdict = met?;
        }
        let raw = report.scale.raw(&report.before, &report.raw);
        let is_left = report.verdict.is_apply();
        let behind = Behind {
            grads,
            raw,
            needs: &self.left,
            edits: &report.edits,
            is_left,
        };
        let word = Word {
            failed: local.as_ref().err(),
            ..Word::default()
        };
        if is_left {
            return report
                .after
                .agree(|space| Ok(wire.behind(&behind, space, &word)?.1));
        }
        wire.behind(&behind, &mut self.now, &word).map(drop)
    }
}

/// The step as the rules leave it.
fn view<'v>(
    step: u64,
    loss: Option<f64>,
    params: Option<&'v Measurement>,
    now: &'v Measurement,
) -> StepView<'v> {
    StepView {
        params,
        loss,
        ..StepView::new(step, now)
    }
}

/// Who says that something is not finite which came in as it should.
pub(super) const LEFT: &str = "non-finite, left by a rule";

/// A rule as far as calls follow from it.
fn shape(link: &Link) -> String {
    let decides = match &link.rule {
        Rule::Detect(verdicts, _) if !verdicts.is_apply() => alloc::format!(", {verdicts}"),
        _ => String::new(),
    };
    let asked = asked(&link.needs);
    alloc::format!("{}{asked}{decides}; ", link.rule.name())
}

/// What is asked for beside norms.
fn asked(needs: &Needs) -> String {
    let mut all = String::new();
    for (is_asked, what) in [
        (needs.magnitudes, "magnitudes"),
        (needs.largest, "largest"),
        (needs.range, "range"),
        (needs.units.is_some(), "units"),
        (needs.tensors, "tensors"),
        (needs.params, "parameters"),
        (needs.loss, "loss"),
    ] {
        if is_asked {
            all.push_str(" +");
            all.push_str(what);
        }
    }
    if let Some(p) = needs.power {
        let _ = write!(all, " +powers of {p}");
    }
    all
}
