//! Numbers to put into containers.

use crate::container::{Number, Numbers};
use crate::numbers::Random;

/// What kind of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Input {
    /// Multiples of one power of two, whose sums and sums of squares are exact: no order shows.
    Exact(Scale),
    /// The same, with NaN and infinities among them.
    NonFinite,
    /// Any digits: every order of the additions shows.
    Rough,
}

/// Where in the range of the type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scale {
    Tiny,
    Middle,
    Huge,
}

pub(crate) const ALL: [Input; 5] = [
    Input::Exact(Scale::Middle),
    Input::Exact(Scale::Tiny),
    Input::Exact(Scale::Huge),
    Input::NonFinite,
    Input::Rough,
];

impl Input {
    /// The power of two that the numbers are about.
    pub(crate) fn unit<E: Number>(self) -> f64 {
        2_f64.powi(match self {
            Self::Exact(Scale::Tiny) => E::SMALLEST as i32,
            Self::Exact(Scale::Huge) => E::LARGEST as i32 - 3,
            _ => -2,
        })
    }

    pub(crate) fn numbers<E: Number>(self, lengths: &[usize]) -> Numbers<E> {
        let mut random = Random(lengths.iter().sum::<usize>() as u64);
        let unit = self.unit::<E>();
        let mut number = || {
            let exact = random.between(-8, 8) as f64 * unit;
            let x = match (self, random.bits() % 16) {
                (Self::Rough, _) => random.unit(),
                (Self::NonFinite, 0) => f64::NAN,
                (Self::NonFinite, 1) => f64::INFINITY,
                (Self::NonFinite, 2) => f64::NEG_INFINITY,
                (_, 3) => -0.0,
                _ => exact,
            };
            E::narrow(x)
        };
        let tensor = |&len: &usize| (0..len).map(|_| number()).collect();
        lengths.iter().map(tensor).collect()
    }
}
