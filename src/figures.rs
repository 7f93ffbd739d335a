//! Numbers as people read them.

use alloc::format;
use alloc::string::ToString;
use core::f64::consts::LOG10_2;
use core::fmt;

use crate::{Wide, math};

/// How many significant digits people are shown.
const FIGURES: usize = 4;

/// A number that is told: one that an `f64` holds, with its sign, or a size beyond its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Plain(f64),
    Far(Wide),
}

impl Number {
    /// The nearest `f64`; +∞ or 0 out of its range.
    pub(crate) fn to_f64(self) -> f64 {
        match self {
            Self::Plain(x) => x,
            Self::Far(x) => x.to_f64(),
        }
    }
}

impl From<f64> for Number {
    fn from(x: f64) -> Self {
        Self::Plain(x)
    }
}

impl From<Wide> for Number {
    fn from(x: Wide) -> Self {
        let nearest = x.to_f64();
        if Wide::from(nearest) == x || nearest.is_nan() {
            Self::Plain(nearest)
        } else {
            Self::Far(x)
        }
    }
}

/// A number for people: four significant digits, with an exponent where plain digits would be many.
pub(crate) struct Short<N>(pub(crate) N);

impl<N: Copy + Into<Number>> fmt::Display for Short<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Figures(self.0.into(), FIGURES).fmt(f)
    }
}

/// A number with so many significant digits.
pub(crate) struct Figures(Number, usize);

impl Figures {
    /// Two numbers with the digits it takes, at least the usual ones, to see that they are not one.
    pub(crate) fn apart(a: impl Into<Number>, b: impl Into<Number>) -> [Self; 2] {
        let (a, b) = (a.into(), b.into());
        // With 17 no two numbers look alike.
        let seen = |&figures: &usize| Self(a, figures).to_string() != Self(b, figures).to_string();
        let figures = if a == b {
            FIGURES
        } else {
            (FIGURES..17).find(seen).unwrap_or(17)
        };
        [Self(a, figures), Self(b, figures)]
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.1 - 1;
        match self.0 {
            Number::Plain(x) => near(x, last, f),
            Number::Far(x) => far(x, last, f),
        }
    }
}

/// One digit and `last` more of what an `f64` holds.
fn near(x: f64, last: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if x == 0.0 || !x.is_finite() {
        return write!(f, "{x}");
    }
    // The exponent that it has once it is rounded: 0.99999 is 1.000, not 1.0000.
    let text = format!("{x:.last$e}");
    let exponent = text.rsplit_once('e').and_then(|(_, e)| e.parse().ok());
    match exponent {
        Some(exponent @ -3..6) => {
            let decimals = last.saturating_add_signed(-exponent);
            write!(f, "{x:.decimals$}")
        }
        _ => f.write_str(&text),
    }
}

/// One digit and `last` more of what no `f64` holds, by logarithm: for reading, not for reckoning.
fn far(x: Wide, last: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (m, e) = x.parts();
    let log10 = (e as f64 + math::log2(m)) * LOG10_2;
    let exponent = math::floor(log10);
    // Rounded to four figures, 9.9996 is ten: one digit and an exponent of its own.
    let digits = format!("{:.last$e}", math::powf(10.0, log10 - exponent));
    let (digits, carry) = digits.split_once('e').unwrap_or((&digits, "0"));
    let carry = f64::from(u8::from(carry == "1"));
    write!(f, "{digits}e{}", exponent + carry)
}

impl fmt::Display for Wide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Short(*self).fmt(f)
    }
}

/// A number with every digit it takes to come back as itself, and an exponent where zeros would be many.
pub(crate) struct AsGiven(pub(crate) f64);

impl fmt::Display for AsGiven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let x = self.0;
        let size = x.abs();
        if size == 0.0 || !size.is_finite() || (1e-5..1e16).contains(&size) {
            write!(f, "{x}")
        } else {
            write!(f, "{x:e}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_short_numbers() {
        assert_eq!(Wide::from(4_216.303_6).to_string(), "4216");
        assert_eq!(Wide::from(0.7).to_string(), "0.7000");
        assert_eq!(Wide::from(1.414e25).to_string(), "1.414e25");
        assert_eq!(
            (Wide::from(f64::MAX) * Wide::from(10.0)).to_string(),
            "1.798e309"
        );
        assert_eq!(Wide::INFINITY.to_string(), "inf");
    }

    #[test]
    fn what_rounds_up_to_a_power_of_ten_has_four_figures_too() {
        for (x, text) in [
            (0.999_99, "1.000"),
            (1.0, "1.000"),
            (1.000_01, "1.000"),
            (0.999_949, "0.9999"),
            (-9.999_6, "-10.00"),
            (999.99, "1000"),
            (9_999.9, "10000"),
            (99_999.9, "100000"),
            (999_999.7, "1.000e6"),
            (1e6, "1.000e6"),
            (0.000_999_99, "0.001000"),
            (0.001, "0.001000"),
            (0.000_999_9, "9.999e-4"),
            (9.999_9e-10, "1.000e-9"),
            (5e-324, "4.941e-324"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(Short(x).to_string(), text);
        }
        let far = Wide::from(1e300) * Wide::from(1e300);
        assert_eq!((Wide::from(9.999_4) * far).to_string(), "9.999e600");
        assert_eq!((Wide::from(9.999_6) * far).to_string(), "1.000e601");
    }

    #[test]
    fn two_numbers_have_the_digits_that_tell_them_apart() {
        let told = |a: f64, b: f64| Figures::apart(a, b).map(|x| x.to_string());
        let same = |a: &str, b: &str| [a.to_string(), b.to_string()];
        assert_eq!(told(5.0, 1.0), same("5.000", "1.000"));
        assert_eq!(told(1.000_01, 1.0), same("1.00001", "1.00000"));
        assert_eq!(told(0.999_99, 1.0), same("0.99999", "1.0000"));
        assert_eq!(told(1.0, 1.0), same("1.000", "1.000"));
        let next = f64::from_bits(1e300_f64.to_bits() + 1);
        let [a, b] = told(next, 1e300);
        assert!(a != b && a.parse() == Ok(next), "{a}, {b}");
        // Beyond the range of f64 too.
        let far = Wide::new(1.0, 2000);
        let [a, b] = Figures::apart(far * Wide::from(1.000_001), far).map(|x| x.to_string());
        assert_eq!([&a, &b], ["1.148132e602", "1.148131e602"]);
    }

    #[test]
    fn what_no_f64_holds_is_told_on_both_sides() {
        let tiny = Wide::from(1e-300) / Wide::from(1e308);
        assert_eq!(tiny.to_string(), "1.000e-608");
        assert_eq!((tiny * Wide::from(2.5)).to_string(), "2.500e-608");
        assert_eq!(Wide::from(5e-324).to_string(), "4.941e-324");
        assert_eq!(Number::from(Wide::from(-0.5)), Number::Plain(0.5));
        assert_eq!(Number::from(tiny).to_f64(), 0.0);
    }

    #[test]
    fn numbers_in_errors_keep_all_their_digits_and_no_rows_of_zeros() {
        for (x, text) in [
            (-1.0, "-1"),
            (0.1, "0.1"),
            (-0.0, "-0"),
            (123_456.789, "123456.789"),
            (1e15, "1000000000000000"),
            (1e16, "1e16"),
            (2e-5, "0.00002"),
            (-9e-6, "-9e-6"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e308"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(AsGiven(x).to_string(), text);
        }
    }
}
