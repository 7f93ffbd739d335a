//! Numbers and words of a row as text that comes back as it was.

use core::fmt;

use super::row::Phase;
use crate::Verdict;
use crate::detect::Severity;
use crate::figures::AsGiven;

/// A number with all its bits: also the sign of a zero, and what there is in a NaN.
pub(super) struct Exact(pub(super) f64);

/// The NaN that is called so, and the one that processors make of 0/0.
const NAN: u64 = 0x7ff8_0000_0000_0000;
const NEGATIVE_NAN: u64 = 0xfff8_0000_0000_0000;

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.to_bits() {
            NAN => f.write_str("NaN"),
            NEGATIVE_NAN => f.write_str("-NaN"),
            bits if self.0.is_nan() => write!(f, "NaN({bits:016x})"),
            _ => AsGiven(self.0).fmt(f),
        }
    }
}

/// What [`Exact`] writes, and any other spelling of a number.
pub(super) fn number(text: &str) -> Option<f64> {
    let bits = match text {
        "NaN" => NAN,
        "-NaN" => NEGATIVE_NAN,
        _ => match text
            .strip_prefix("NaN(")
            .and_then(|rest| rest.strip_suffix(')'))
        {
            Some(bits) => u64::from_str_radix(bits, 16).ok()?,
            None => return text.parse().ok(),
        },
    };
    Some(f64::from_bits(bits)).filter(|x| x.is_nan())
}

/// The word for what there are few of.
pub(super) trait Word: Copy + 'static {
    /// All of them, in one sentence.
    const EXPECTED: &'static str;
    const ALL: &'static [(Self, &'static str)];

    fn read(text: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, word)| *word == text);
        found.map(|(value, _)| *value)
    }

    fn word(self) -> &'static str
    where
        Self: PartialEq,
    {
        let found = Self::ALL.iter().find(|(value, _)| *value == self);
        found.map_or("", |(_, word)| word)
    }
}

impl Word for Verdict {
    const EXPECTED: &'static str = "apply, skip, roll back or stop";
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Apply, "apply"),
        (Self::Skip, "skip"),
        (Self::Rollback, "roll back"),
        (Self::Stop, "stop"),
    ];
}

impl Word for Severity {
    const EXPECTED: &'static str = "note, warning or grave";
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Note, "note"),
        (Self::Warning, "warning"),
        (Self::Grave, "grave"),
    ];
}

impl Word for Phase {
    const EXPECTED: &'static str = "began, goes on or ended";
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Began, "began"),
        (Self::GoesOn, "goes on"),
        (Self::Ended, "ended"),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn every_bit_comes_back() {
        let bits = [
            0,
            1,
            NAN,
            NEGATIVE_NAN,
            NAN + 1,
            NEGATIVE_NAN - 1,
            u64::MAX,
            1 << 63,
        ];
        let plain = [
            0.1,
            -1e300,
            1e-5,
            5e-324,
            f64::MAX,
            1e16,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ];
        for bits in bits.into_iter().chain(plain.map(f64::to_bits)) {
            let text = Exact(f64::from_bits(bits)).to_string();
            assert_eq!(number(&text).map(f64::to_bits), Some(bits), "{text}");
        }
        assert_eq!(Exact(f64::from_bits(NEGATIVE_NAN)).to_string(), "-NaN");
        for text in ["", "NaN(", "NaN()", "NaN(0)", "NaN(x)", "1,5", "apply"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn words_are_those_that_are_displayed() {
        for (verdict, word) in Verdict::ALL {
            assert_eq!(
                (verdict.to_string().as_str(), verdict.word()),
                (*word, *word)
            );
            assert_eq!(Verdict::read(word), Some(*verdict));
        }
        for (phase, word) in Phase::ALL {
            assert_eq!(phase.to_string(), *word);
        }
        for (severity, word) in Severity::ALL {
            assert_eq!(severity.to_string(), *word);
        }
        assert_eq!(Severity::read("Grave"), None);
    }
}
