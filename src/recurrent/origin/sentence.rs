//! An origin in words.

use core::fmt;

use super::{Cause, Origin, Part, Way};

impl Origin {
    fn noun(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.part {
            Part::Input => write!(f, "the input {name}"),
            Part::InitialState => write!(f, "the initial state {name}"),
            Part::Gate => write!(f, "gate {name}"),
            Part::Parameter | Part::Inner => write!(f, "{name}"),
            Part::State => write!(f, "the state {name}"),
            Part::Output => write!(f, "the output"),
            Part::FinalState => write!(f, "the final state {name}"),
        }
    }

    fn layer(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) if at.reverse => write!(f, " of layer {} (reverse)", at.layer),
            Some(at) => write!(f, " of layer {}", at.layer),
            None => Ok(()),
        }
    }

    /// The step, and the sequence and the unit in it.
    fn place(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(at), false) = (self.at, self.part == Part::InitialState) {
            write!(f, " at time {}", at.time)?;
        }
        let Some(b) = self.sequence else {
            return Ok(());
        };
        match (self.part, self.index.as_slice()) {
            (Part::Parameter, _) | (_, []) => write!(f, " (sequence {b})"),
            (Part::Input, [k]) => write!(f, " (sequence {b}, feature {k})"),
            (_, [k]) => write!(f, " (sequence {b}, unit {k})"),
            (_, index) => write!(f, " (sequence {b}, unit {index:?})"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, cause) = (self.value, self.cause);
        if cause == Cause::Given {
            match (self.way, self.part) {
                (Way::Backward, _) => f.write_str("the gradient of ")?,
                (_, Part::Parameter) => f.write_str("the parameter ")?,
                _ => (),
            }
            self.noun(f)?;
            match self.part {
                Part::Parameter => {
                    return write!(f, ", which is {value} at {:?}", self.index);
                }
                Part::Input | Part::Output => (),
                _ => self.layer(f)?,
            }
            let came = match self.way {
                Way::Forward => "is",
                Way::Backward => "came in as",
            };
            write!(f, ", which {came} {value}")?;
            return self.place(f);
        }
        write!(f, "{}: ", self.way)?;
        if self.way == Way::Backward {
            f.write_str("the gradient of ")?;
        }
        self.noun(f)?;
        if self.part == Part::Parameter {
            write!(f, " at {:?}", self.index)?;
            if self.at.is_none() {
                write!(f, " is {value}")?;
                return match cause {
                    Cause::Sum => f.write_str(", a sum over time of finite numbers"),
                    _ => Ok(()),
                };
            }
        }
        self.layer(f)?;
        self.place(f)?;
        write!(f, " is {value}")?;
        match cause {
            Cause::Unknown => Ok(()),
            cause => write!(f, ", from finite numbers ({cause})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::NotFinite;
    use super::*;
    use crate::recurrent::At;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    fn origin(way: Way, part: Part, name: &str, cause: Cause) -> Origin {
        let mut at = At::time(17);
        at.layer = 1;
        Origin {
            way,
            part,
            name: name.into(),
            at: Some(at),
            sequence: Some(3),
            index: Vec::from([5]),
            value: NotFinite::Infinity,
            cause,
        }
    }

    #[test]
    fn each_kind_has_its_sentence() {
        use Part::{Gate, InitialState, Inner, Input, Output, Parameter, State};
        let (forward, backward) = (Way::Forward, Way::Backward);
        let parameter = |at: Option<At>, sequence, cause| Origin {
            at,
            sequence,
            index: Vec::from([0, 1]),
            ..origin(backward, Parameter, "0.w_in", cause)
        };
        let reverse = |mut origin: Origin| {
            if let Some(at) = &mut origin.at {
                at.reverse = true;
            }
            origin
        };
        for (origin, sentence) in [
            (
                origin(forward, State, "c", Cause::Sum),
                "the forward pass: the state c of layer 1 at time 17 (sequence 3, unit 5) is +inf, from finite numbers (a sum overflows)",
            ),
            (
                reverse(origin(backward, Gate, "f", Cause::ZeroTimesInfinity)),
                "the backward pass: the gradient of gate f of layer 1 (reverse) at time 17 (sequence 3, unit 5) is +inf, from finite numbers (0·inf)",
            ),
            (
                origin(forward, Inner, "q", Cause::Product),
                "the forward pass: q of layer 1 at time 17 (sequence 3, unit 5) is +inf, from finite numbers (a product overflows)",
            ),
            (
                origin(forward, Output, "", Cause::Unknown),
                "the forward pass: the output of layer 1 at time 17 (sequence 3, unit 5) is +inf",
            ),
            (
                origin(backward, InitialState, "h", Cause::Opposites),
                "the backward pass: the gradient of the initial state h of layer 1 (sequence 3, unit 5) is +inf, from finite numbers (inf - inf)",
            ),
            (
                origin(forward, Input, "x", Cause::Given),
                "the input x, which is +inf at time 17 (sequence 3, feature 5)",
            ),
            (
                origin(forward, InitialState, "h", Cause::Given),
                "the initial state h of layer 1, which is +inf (sequence 3, unit 5)",
            ),
            (
                origin(backward, Output, "", Cause::Given),
                "the gradient of the output, which came in as +inf at time 17 (sequence 3, unit 5)",
            ),
            (
                origin(backward, Part::FinalState, "h", Cause::Given),
                "the gradient of the final state h of layer 1, which came in as +inf at time 17 (sequence 3, unit 5)",
            ),
            (
                Origin::parameter("1.w_rec", Vec::from([3, 7]), NotFinite::Nan),
                "the parameter 1.w_rec, which is NaN at [3, 7]",
            ),
            (
                parameter(None, None, Cause::Sum),
                "the backward pass: the gradient of 0.w_in at [0, 1] is +inf, a sum over time of finite numbers",
            ),
            (
                parameter(Some(At::time(2)), Some(4), Cause::Product),
                "the backward pass: the gradient of 0.w_in at [0, 1] of layer 0 at time 2 (sequence 4) is +inf, from finite numbers (a product overflows)",
            ),
        ] {
            assert_eq!(origin.to_string(), sentence);
        }
    }
}
