//! What is to be measured.

use crate::stats::SQUARES;

/// What a rule wants measured beside the usual.
///
/// # Examples
///
/// ```
/// use steadygrad::Needs;
///
/// let rows = Needs { units: Some(0), ..Needs::default() };
/// assert!(rows.covers(Needs::default()));
/// assert!(!Needs::default().covers(rows));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Needs {
    /// Sums of powers, for a norm of a general `p`; `Some(2.0)` for one that can do without Σ|x|.
    pub p: Option<f64>,
    /// The smallest and the largest element, for bounds that are not alike on both sides.
    pub range: bool,
    /// Statistics of each unit along an axis.
    pub units: Option<usize>,
}

impl Needs {
    /// Counts, squares and the maximum, which every read gives.
    ///
    /// ```
    /// use steadygrad::{Measurement, Needs};
    /// let seen = Measurement::with_needs(&vec![3.0, -4.0], Needs::LEAST)?;
    /// assert_eq!((seen.total().l2(), seen.total().max_abs()), (5.0, 4.0));
    /// assert!(seen.total().l1().is_nan());   // nobody asked
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub const LEAST: Self = Self {
        p: Some(SQUARES),
        range: false,
        units: None,
    };

    #[inline]
    pub(crate) fn look(self) -> Look {
        Look::of(self.p, self.range)
    }

    /// The `p` whose powers must be summed: none for 2, whose powers always are.
    ///
    /// ```
    /// use steadygrad::Needs;
    /// assert_eq!(Needs { p: Some(3.0), ..Needs::default() }.power(), Some(3.0));
    /// assert_eq!(Needs::LEAST.power(), None);
    /// ```
    #[must_use]
    pub fn power(self) -> Option<f64> {
        self.p.filter(|&p| p != SQUARES)
    }

    /// Whether a measurement made for `self` serves `other`.
    ///
    /// ```
    /// use steadygrad::Needs;
    /// let (cubes, fourths) = (Needs { p: Some(3.0), ..Needs::default() }, Needs { p: Some(4.0), ..Needs::default() });
    /// assert!(cubes.covers(cubes) && cubes.covers(Needs::default()));
    /// assert!(!cubes.covers(fourths));
    /// ```
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        let p = match other.p {
            Some(SQUARES) => true,
            None => self.p != Some(SQUARES),
            some => self.p == some,
        };
        p && (self.range || !other.range) && (other.units.is_none() || other.units == self.units)
    }

    /// What serves both, where one measurement can.
    ///
    /// ```
    /// use steadygrad::Needs;
    /// let (cubes, rows) = (Needs { p: Some(3.0), ..Needs::default() }, Needs { units: Some(0), ..Needs::default() });
    /// assert_eq!(cubes.or(rows), Needs { p: Some(3.0), units: Some(0), range: false });
    /// let fourths = Needs { p: Some(4.0), ..Needs::default() };
    /// assert!(!cubes.or(fourths).covers(fourths));   // one read sums one power
    /// ```
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let p = match (self.p, other.p) {
            (Some(SQUARES), p) | (p, Some(SQUARES)) => p,
            (p, q) => p.or(q),
        };
        Self {
            p,
            range: self.range || other.range,
            units: self.units.or(other.units),
        }
    }
}
/// What to look for beside counts, squares and the largest magnitude.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Look {
    /// Σ|x|.
    pub(crate) l1: bool,
    /// Σ|x|^p for this p.
    pub(crate) power: Option<f64>,
    /// The smallest and the largest element.
    pub(crate) range: bool,
}

impl Look {
    /// Squares and the largest magnitude alone.
    pub(crate) const LEAST: Self = Self {
        l1: false,
        power: None,
        range: false,
    };

    /// As [`Ask`](crate::Ask) and [`Needs`](crate::Needs) put it.
    #[inline]
    pub(crate) fn of(p: Option<f64>, range: bool) -> Self {
        Self {
            l1: p != Some(SQUARES),
            power: p.filter(|&p| p != SQUARES),
            range,
        }
    }
}
