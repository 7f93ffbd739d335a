//! Alarms in words.

use core::fmt;

use super::alarm::{Alarm, Found};
use super::subject::Subject;
use crate::figures::{Figures, Short};

impl Alarm {
    /// What it is about, in words.
    pub(crate) fn thing(&self) -> impl fmt::Display {
        Thing(self)
    }

    /// The sentence without the step.
    pub(crate) fn finding(&self) -> Finding<'_> {
        Finding(self)
    }

    /// That the event whose last alarm this is has ended.
    pub(crate) fn over(&self) -> Over<'_> {
        Over(self)
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}", self.step(), self.finding())
    }
}

/// "gradient `w_rec`", "the loss".
pub(super) struct Thing<'a>(pub(super) &'a Alarm);

impl fmt::Display for Thing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, part) = match self.0.subject {
            Subject::Loss => {
                f.write_str("the loss")?;
                return match self.0.rank() {
                    Some(rank) => write!(f, " of rank {rank}"),
                    None => Ok(()),
                };
            }
            Subject::Gradients => return f.write_str("the gradients"),
            Subject::Parameters => return f.write_str("the parameters"),
            Subject::Gradient(index) => (index, "gradient"),
            Subject::Parameter(index) => (index, "parameter"),
        };
        match self.0.tensor() {
            Some(name) if !name.is_empty() => write!(f, "{part} {name}")?,
            _ => write!(f, "the {part}")?,
        }
        if let Some(rank) = self.0.rank() {
            return write!(f, " of rank {rank}");
        }
        // Several tensors of one name, or of none.
        match &self.0.names {
            Some(names) if names.share(index) => write!(f, " (tensor {index})"),
            _ => Ok(()),
        }
    }
}

/// What was found, without the step.
pub(crate) struct Finding<'a>(&'a Alarm);

impl fmt::Display for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thing = Thing(self.0);
        match self.0.found {
            Found::NonFinite { nan, inf, .. } if self.0.subject == Subject::Loss => {
                let what = if nan > 0 { "NaN" } else { "infinite" };
                debug_assert_eq!(nan + inf, 1);
                write!(f, "{thing} is {what}")?;
            }
            Found::NonFinite { nan, inf, index } => {
                write!(f, "{thing} has {nan} NaN and {inf} infinite elements")?;
                if let Some(index) = index {
                    write!(f, ", the first at index {index}")?;
                }
            }
            Found::Something => write!(f, "something is wrong with {thing}")?,
            Found::Bound {
                quantity,
                value,
                relation,
                bound,
            } => {
                // So that nothing is said to be 1.000, above 1.000; and NaN is above nothing.
                let is_nan = value.to_f64().is_nan();
                let [value, bound] = Figures::apart(value, bound);
                write!(f, "the {quantity} of {thing} is {value}, ")?;
                if is_nan {
                    write!(f, "where there is a bound of {bound}")?;
                } else {
                    write!(f, "{relation} {bound}")?;
                }
            }
        }
        match self.0.steps {
            [_, 0 | 1] => (),
            [steps, last] if steps == last => write!(f, " for {steps} steps in a row")?,
            [steps, last] => write!(f, " on {steps} of the last {last} steps")?,
        }
        write!(f, " ({})", self.0.detector)
    }
}

/// What has come to an end, and how long it lasted.
pub(crate) struct Over<'a>(&'a Alarm);

impl fmt::Display for Over<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.lasted() {
            1 => f.write_str("over after 1 step: ")?,
            steps => write!(f, "over after {steps} steps: ")?,
        }
        let thing = Thing(self.0);
        match self.0.found {
            Found::NonFinite { .. } => write!(f, "{thing} not finite")?,
            Found::Something => write!(f, "something wrong with {thing}")?,
            Found::Bound {
                quantity,
                relation,
                bound,
                ..
            } => write!(f, "the {quantity} of {thing} {relation} {}", Short(bound))?,
        }
        write!(f, " ({})", self.0.detector)
    }
}
