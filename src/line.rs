//! A report as one line.

use core::fmt;

use crate::bound::ZEROED;
use crate::figures::{Figures, Short};
use crate::{Norm, Report, Verdict, Wide};

impl Report {
    /// What the norm was and is, and how it came to be that.
    fn write_clip(&self, before: Wide, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.after.total() {
            Some(after) => {
                let [before, after] = Figures::apart(before, after.norm(Norm::L2));
                write!(f, "norm {before} -> {after}")?;
            }
            None => write!(f, "norm {} -> not measured", Short(before))?,
        }
        if let Some(factor) = self.edits.common_factor() {
            // So that nothing is said to be scaled by 1.000.
            let factor = factor.to_wide() * Wide::from(self.scale.0);
            let [factor, _] = Figures::apart(factor, 1.0);
            write!(f, ", scaled by {factor}")
        } else {
            let all = self.edits.len();
            let edited = (0..all).filter(|&i| !self.edits.get(i).is_keep()).count();
            write!(f, ", {edited} of {all} tensors edited")
        }?;
        for rule in &self.zeroed {
            write!(f, ", {ZEROED} ({rule})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: ", self.step)?;
        let before = self.before.total().norm(Norm::L2);
        match self.before.len() {
            _ if self.unread() => write!(f, "norm not measured")?,
            0 if self.nothing_seen() => write!(f, "nothing seen, there is no tensor")?,
            tensors if self.nothing_seen() => {
                write!(f, "nothing seen, none of {tensors} tensors has a gradient")?;
            }
            _ if !self.is_clipped() => write!(f, "norm {}", Short(before))?,
            _ => self.write_clip(before, f)?,
        }
        if let Some(loss) = self.loss {
            write!(f, ", loss {}", Short(loss))?;
        }
        write!(f, "; {}", self.verdict)?;
        match self.verdict {
            Verdict::Skip => write!(f, " ({} in a row)", self.skips)?,
            Verdict::Rollback if self.rollbacks > 1 => {
                write!(f, " ({} in a row)", self.rollbacks)?;
            }
            _ => (),
        }
        if let Some(rank) = self.decided_on() {
            write!(f, ", decided on rank {rank}")?;
        }
        if let Some(fault) = &self.fault {
            write!(f, "; {}", fault.finding())?;
        }
        if let Some(origin) = &self.origin {
            write!(f, ", made by {origin}")?;
        }
        match self.unmatched() {
            0 => (),
            1 => f.write_str("; 1 gradient belongs to no tensor of the set")?,
            many => write!(f, "; {many} gradients belong to no tensor of the set")?,
        }
        for (rule, why) in &self.abstained {
            write!(f, "; {rule} abstained, {why}")?;
        }
        let mut told = None;
        for alarm in &self.alarms {
            // What the policy acted on need not be said twice.
            let is_fault = self.fault.as_ref().is_some_and(|f| f.same_as(alarm));
            if alarm.is_new() && !is_fault {
                write!(f, "; {}", alarm.finding())?;
            } else if !alarm.is_new() && !alarm.verdict().is_apply() {
                // Told when it began; but a verdict wants a reason, and the last one all of it.
                let reason = Some((alarm.detector(), alarm.since()));
                match self.verdict {
                    Verdict::Stop => {
                        write!(f, "; {} since step {}", alarm.finding(), alarm.since())?;
                    }
                    // Every tensor may be one.
                    _ if told == reason => (),
                    _ => write!(f, "; {} since step {}", alarm.detector(), alarm.since())?,
                }
                told = reason;
            }
        }
        for event in &self.ended {
            write!(f, "; {}", event.over())?;
        }
        Ok(())
    }
}
