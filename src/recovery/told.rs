//! What a recovery did, in one line.

use core::fmt;

use super::Action;
use crate::Verdict;
use crate::figures::Short;

/// The last thing that was done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) step: u64,
    pub(super) action: Action,
    pub(super) why: Why,
    /// The step that was gone back to, and whether it is what the loop began with.
    pub(super) back_to: Option<(u64, bool)>,
    /// Whether the rate was let up again.
    pub(super) raised: bool,
    pub(super) rate: f64,
}

/// Why it was done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Why {
    /// The guard said so.
    #[default]
    Verdict,
    SkipsInARow(u32),
    /// So many were skipped within so many steps.
    Skips(u32, u64),
    /// So many rollbacks, while the run got fewer than so many steps further.
    Rollbacks(u32, u64),
    /// A further cut would leave less than this.
    Rate(f64),
}

impl Why {
    fn write(self, action: Action, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verdict => {
                let verdict = match action {
                    Action::Apply => Verdict::Apply,
                    Action::Skip => Verdict::Skip,
                    Action::RolledBack => Verdict::Rollback,
                    Action::Stop => Verdict::Stop,
                };
                write!(f, "the guard says {verdict}")
            }
            Self::SkipsInARow(most) => write!(f, "more than {most} steps in a row were skipped"),
            Self::Skips(most, within) => {
                write!(
                    f,
                    "more than {most} of the last {within} steps were skipped"
                )
            }
            Self::Rollbacks(most, within) => write!(
                f,
                "{most} rollbacks brought the run less than {within} steps further"
            ),
            Self::Rate(least) => write!(f, "the rate would fall below {}", Short(least)),
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.step == 0 {
            return f.write_str("no step yet");
        }
        write!(f, "step {}: {}", self.step, self.action)?;
        match self.back_to {
            Some((step, true)) if self.action == Action::RolledBack => {
                write!(
                    f,
                    " to step {step}, what the run began with, since nothing else is kept yet"
                )?;
            }
            Some((step, false)) if self.action == Action::RolledBack => {
                write!(f, " to step {step}")?;
            }
            Some((step, _)) => write!(f, ", with the parameters of step {step}")?,
            None => (),
        }
        if self.rate != 1.0 || self.raised {
            let how = match self.action {
                Action::RolledBack => "cut to ",
                _ if self.raised => "let up to ",
                _ => "",
            };
            write!(f, ", rate {how}{}", Short(self.rate))?;
        }
        if self.action != Action::Apply {
            f.write_str("; ")?;
            self.why.write(self.action, f)?;
        }
        Ok(())
    }
}
