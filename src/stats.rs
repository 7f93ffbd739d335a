//! What one read says of a tensor.

use core::cmp::Ordering;

use crate::factor::Factor;
use crate::{Error, Result, Wide};

/// Which norm: of all elements taken together, never of the tensors' norms.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip::{self, Clipper}, Norm};
///
/// let mut grads = vec![vec![3.0, 4.0], vec![12.0]];
/// let clipped = clip::GlobalNorm::new(1e9)?.norm(Norm::L1)?.apply(&mut grads)?;
/// assert_eq!(clipped.before(), 19.0);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Norm {
    /// `Σ|x|`
    L1,
    /// `√Σx²`
    #[default]
    L2,
    /// `max|x|`
    Max,
    /// `(Σ|x|^p)^(1/p)` for a finite `p ≥ 1`
    P(f64),
}

/// The `p` by which to ask for the squares and the maximum alone, without the cost of Σ|x|.
pub(crate) const SQUARES: f64 = 2.0;

impl Norm {
    /// 2^47: the exponents of the powers of all `f64`s still fit into 58 bits.
    const AS_GOOD_AS_INFINITE: f64 = 140_737_488_355_328.0;

    /// Refuses a `p` that makes no norm, and gives `P(1)`, `P(2)` and `P(∞)` their own names. A `p` from 2^47
    /// on is taken for ∞: that changes the norm of n elements by less than ln n / 2^47, relatively.
    ///
    /// ```
    /// use steadygrad::Norm;
    /// assert_eq!(Norm::P(2.0).checked()?, Norm::L2);
    /// assert!(Norm::P(0.5).checked().is_err());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `p` is NaN or less than 1.
    pub fn checked(self) -> Result<Self> {
        match self {
            Self::P(1.0) => Ok(Self::L1),
            Self::P(2.0) => Ok(Self::L2),
            Self::P(p) if p >= Self::AS_GOOD_AS_INFINITE => Ok(Self::Max),
            Self::P(p) if p >= 1.0 => Ok(self),
            Self::P(found) => Err(Error::Setting {
                what: "p of a norm",
                expected: "a number ≥ 1",
                found,
            }),
            _ => Ok(self),
        }
    }

    /// The `p` that must be asked for, since not every read sums powers.
    ///
    /// ```
    /// use steadygrad::Norm;
    /// assert_eq!(Norm::P(3.0).power(), Some(3.0));
    /// assert_eq!(Norm::L2.power(), None);
    /// ```
    #[must_use]
    pub fn power(self) -> Option<f64> {
        if let Self::P(p) = self { Some(p) } else { None }
    }
}

/// What one read says of a tensor, or of a whole set of them.
///
/// The sums are those of the finite elements; [`Stats::norm`] and its kin give NaN or +∞ as soon as
/// one element is not finite.
///
/// # Examples
///
/// ```
/// use steadygrad::{Ask, Tensor};
///
/// let stats = vec![3.0_f32, -4.0].stats(&mut Ask::default())?;
/// assert_eq!(stats.l2(), 5.0);
/// assert_eq!(stats.l1(), 7.0);
/// assert_eq!(stats.max_abs(), 4.0);
/// assert_eq!(stats.rms(), 12.5_f64.sqrt());
///
/// let stats = vec![1.0, f64::NAN, f64::INFINITY].stats(&mut Ask::default())?;
/// assert_eq!((stats.nan(), stats.inf(), stats.first_non_finite()), (1, 1, Some(1)));
/// assert!(stats.l2().is_nan());
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    pub(crate) len: u64,
    pub(crate) nan: u64,
    pub(crate) pos_inf: u64,
    pub(crate) neg_inf: u64,
    pub(crate) first_non_finite: Option<u64>,
    /// Infinite where it is not known.
    pub(crate) max_abs: f64,
    pub(crate) l1: Option<Wide>,
    pub(crate) sum_sq: Wide,
    pub(crate) power: Power,
    /// Between which the finite elements lie: the tightest such bounds if they were asked for.
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Σ|x|^p, which is nothing without its p.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Power {
    /// 0 if no powers were summed.
    p: f64,
    sum: Wide,
}

impl Power {
    pub(crate) const NONE: Self = Self {
        p: 0.0,
        sum: Wide::ZERO,
    };

    pub(crate) fn of(p: f64, sum: Wide) -> Self {
        Self { p, sum }
    }

    /// The p, if powers were summed.
    #[inline]
    pub(crate) fn p(self) -> Option<f64> {
        (self.p != 0.0).then_some(self.p)
    }

    /// The sum, if it is one of this p.
    #[inline]
    pub(crate) fn sum(self, p: f64) -> Option<Wide> {
        (self.p == p).then_some(self.sum)
    }

    fn scaled(self, factor: Wide) -> Self {
        let sum = self.p().map_or(self.sum, |p| self.sum * factor.power(p));
        Self { sum, ..self }
    }
}

impl Default for Stats {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Stats {
    /// Of no elements: every count and every norm is 0.
    ///
    /// ```
    /// use steadygrad::Stats;
    /// assert_eq!((Stats::EMPTY.len(), Stats::EMPTY.l2(), Stats::EMPTY.rms()), (0, 0.0, 0.0));
    /// ```
    pub const EMPTY: Self = Self {
        len: 0,
        nan: 0,
        pos_inf: 0,
        neg_inf: 0,
        first_non_finite: None,
        max_abs: 0.0,
        l1: Some(Wide::ZERO),
        sum_sq: Wide::ZERO,
        power: Power::NONE,
        low: f64::NEG_INFINITY,
        high: f64::INFINITY,
    };

    /// Of `len` finite elements that were summed up elsewhere, on a device for one.
    ///
    /// ```
    /// use steadygrad::{Stats, Wide};
    ///
    /// let stats = Stats::from_sums(2, 4.0, Wide::from(7.0), Wide::from(25.0));
    /// assert_eq!((stats.l2(), stats.l1(), stats.max_abs()), (5.0, 7.0, 4.0));
    /// ```
    #[must_use]
    pub fn from_sums(len: u64, max_abs: f64, l1: Wide, sum_sq: Wide) -> Self {
        Self {
            len,
            max_abs,
            l1: Some(l1),
            sum_sq,
            ..Self::EMPTY
        }
    }

    /// With `Σ|x|^p` of the finite elements.
    ///
    /// ```
    /// use steadygrad::{Norm, Stats, Wide};
    ///
    /// let sums = Stats::from_sums(3, 5.0, Wide::from(12.0), Wide::from(50.0));   // of 3, 4 and 5
    /// assert!(sums.norm(Norm::P(3.0)).to_f64().is_nan());                        // nobody summed the cubes
    /// let cubes = sums.with_power(3.0, Wide::from(216.0));
    /// assert!((cubes.norm(Norm::P(3.0)).to_f64() - 6.0).abs() < 1e-14);
    /// assert!(cubes.norm(Norm::P(4.0)).to_f64().is_nan());                       // nor the fourth powers
    /// ```
    #[must_use]
    pub fn with_power(mut self, p: f64, sum: Wide) -> Self {
        self.power = Power::of(p, sum);
        self
    }

    /// With the smallest and the largest finite element.
    ///
    /// ```
    /// use steadygrad::{Stats, Wide};
    /// let sums = Stats::from_sums(2, 4.0, Wide::from(7.0), Wide::from(25.0));
    /// assert_eq!((sums.range(), sums.with_range(-4.0, 3.0).range()), ((-4.0, 4.0), (-4.0, 3.0)));
    /// ```
    #[must_use]
    pub fn with_range(mut self, low: f64, high: f64) -> Self {
        (self.low, self.high) = (low, high);
        self
    }

    /// With the numbers of elements, among all of them, that are NaN, +∞ and −∞, and the row-major
    /// index of the first such element.
    ///
    /// ```
    /// use steadygrad::{Stats, Wide};
    ///
    /// let sums = Stats::from_sums(3, 1.0, Wide::ONE, Wide::ONE);
    /// assert!(sums.with_non_finite(1, 1, 0, Some(1)).l2().is_nan());
    /// ```
    #[must_use]
    pub fn with_non_finite(
        mut self,
        nan: u64,
        pos_inf: u64,
        neg_inf: u64,
        first: Option<u64>,
    ) -> Self {
        (self.nan, self.pos_inf, self.neg_inf) = (nan, pos_inf, neg_inf);
        self.first_non_finite = first;
        self
    }

    /// The number of elements.
    ///
    /// ```
    /// use steadygrad::Measurement;
    /// let seen = Measurement::of(&vec![vec![1.0_f32, 2.0], vec![3.0]])?;
    /// assert_eq!((seen.tensor(0).len(), seen.total().len()), (2, 3));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no element.
    ///
    /// ```
    /// use steadygrad::{Ask, Tensor};
    /// let missing = None::<Vec<f32>>.stats(&mut Ask::default())?;
    /// assert!(missing.is_empty());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many elements are NaN.
    ///
    /// ```
    /// use steadygrad::{Ask, Tensor};
    /// let stats = [1.0, f64::NAN, f64::INFINITY, -f64::NAN].stats(&mut Ask::default())?;
    /// assert_eq!(stats.nan(), 2);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn nan(&self) -> u64 {
        self.nan
    }

    /// How many elements are +∞ or −∞.
    ///
    /// ```
    /// use steadygrad::{Ask, Tensor};
    /// let stats = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN].stats(&mut Ask::default())?;
    /// assert_eq!(stats.inf(), 2);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn inf(&self) -> u64 {
        self.pos_inf.saturating_add(self.neg_inf)
    }

    /// How many elements are +∞.
    ///
    /// ```
    /// use steadygrad::{Ask, Tensor};
    /// let stats = [f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY].stats(&mut Ask::default())?;
    /// assert_eq!(stats.pos_inf(), 2);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn pos_inf(&self) -> u64 {
        self.pos_inf
    }

    /// How many elements are −∞.
    ///
    /// ```
    /// use steadygrad::{Ask, Tensor};
    /// let stats = [f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY].stats(&mut Ask::default())?;
    /// assert_eq!(stats.neg_inf(), 1);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn neg_inf(&self) -> u64 {
        self.neg_inf
    }

    /// The row-major index of the first element that is NaN or infinite. `None` for a whole set:
    /// there each tensor has its own.
    ///
    /// ```
    /// use steadygrad::Measurement;
    /// let seen = Measurement::of(&vec![vec![1.0_f32], vec![0.0, 2.0, f32::NAN]])?;
    /// assert_eq!((seen.tensor(0).first_non_finite(), seen.tensor(1).first_non_finite()), (None, Some(2)));
    /// assert_eq!((seen.total().first_non_finite(), seen.first_non_finite()), (None, Some(1)));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn first_non_finite(&self) -> Option<u64> {
        self.first_non_finite
    }

    /// Whether no element is NaN or infinite.
    ///
    /// ```
    /// use steadygrad::{Ask, Tensor};
    /// let stats = [f64::MAX, f64::MAX].stats(&mut Ask::default())?;
    /// assert_eq!(stats.l2(), f64::INFINITY);   // no f64 holds the norm
    /// assert!(stats.is_finite());              // but the elements are all in order
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn is_finite(&self) -> bool {
        self.nan == 0 && self.pos_inf == 0 && self.neg_inf == 0
    }

    /// `Σ|x|`, +∞ past the range of `f64`; NaN if nobody asked for it ([`Needs::magnitudes`](crate::Needs::magnitudes)).
    ///
    /// ```
    /// use steadygrad::{Ask, Tensor};
    /// assert_eq!([3.0_f32, -4.0].stats(&mut Ask::default())?.l1(), 7.0);
    /// assert_eq!([f64::MAX, f64::MAX].stats(&mut Ask::default())?.l1(), f64::INFINITY);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn l1(&self) -> f64 {
        self.norm(Norm::L1).to_f64()
    }

    /// `√Σx²`, +∞ past the range of `f64`.
    ///
    /// ```
    /// use steadygrad::{Ask, Tensor};
    /// // Four squares that no f32 can hold.
    /// assert_eq!([f32::MAX; 4].stats(&mut Ask::default())?.l2(), 2.0 * f64::from(f32::MAX));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn l2(&self) -> f64 {
        self.norm(Norm::L2).to_f64()
    }

    /// `max|x|`; NaN of tensors on a device, where it is left out unless it is asked for.
    ///
    /// ```
    /// use steadygrad::{Ask, Tensor};
    /// assert_eq!([1.0_f32, -7.0, 3.0].stats(&mut Ask::default())?.max_abs(), 7.0);
    /// assert!([1.0_f32, f32::NAN].stats(&mut Ask::default())?.max_abs().is_nan());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn max_abs(&self) -> f64 {
        self.norm(Norm::Max).to_f64()
    }

    /// `√(Σx²/len)`; 0 of no elements.
    ///
    /// ```
    /// use steadygrad::{Ask, Tensor};
    /// assert_eq!([1.0_f32, -7.0].stats(&mut Ask::default())?.rms(), 5.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn rms(&self) -> f64 {
        if self.is_empty() {
            return 0.0;
        }
        let mean = self.if_finite(self.sum_sq) / Wide::from(self.len as f64);
        mean.sqrt().to_f64()
    }

    /// A norm over the whole range, even where no `f64` can hold it. [`Norm::P`] is NaN unless its `p`
    /// was asked for, and [`Norm::L1`] and, on a device, [`Norm::Max`] where they were left out, in [`Ask`](crate::Ask) or [`Needs`](crate::Needs).
    ///
    /// ```
    /// use steadygrad::{Ask, Norm, Tensor, Wide};
    /// let stats = [f64::MAX; 4].stats(&mut Ask::default())?;
    /// assert_eq!(stats.norm(Norm::L2), Wide::from(f64::MAX) * Wide::from(2.0));   // l2() is +∞
    /// assert!(stats.norm(Norm::P(3.0)).to_f64().is_nan());                        // nobody asked for cubes
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn norm(&self, norm: Norm) -> Wide {
        self.if_finite(match norm {
            Norm::L1 => self.l1.unwrap_or(Wide::NAN),
            Norm::L2 | Norm::P(SQUARES) => self.sum_sq.sqrt(),
            Norm::Max if self.max_abs == f64::INFINITY => Wide::NAN,
            Norm::Max => Wide::from(self.max_abs),
            Norm::P(_) if self.is_empty() => Wide::ZERO,
            Norm::P(p) => self.power.sum(p).map_or(Wide::NAN, |sum| sum.root(p)),
        })
    }

    /// Whether this norm is finite and above `bound`. One that equals it, as far as a computed norm can tell, is
    /// not: sums and root are within 7u of the exact norm (u = 2^-53; see `kernel/measure.rs`), so up to 8u above
    /// the bound is taken as on it. That keeps what promise 1 allows: 16u for `f64`, far less than a unit in the
    /// last place for what is narrower. The largest magnitude is exact and needs no such room.
    pub(crate) fn exceeds(&self, norm: Norm, bound: f64) -> bool {
        const ROOM: f64 = 1.0 + 8.0 / 9_007_199_254_740_992.0;
        let (size, bound) = (self.norm(norm), Wide::from(bound));
        let room = if norm == Norm::Max { 1.0 } else { ROOM };
        size.is_finite() && size > bound * Wide::from(room)
    }

    /// Brings the norm down to `max`, where it is known to be no more.
    pub(crate) fn hold(&mut self, norm: Norm, max: f64) {
        let max = Wide::from(max);
        if !self.is_finite() || self.norm(norm).partial_cmp(&max) != Some(Ordering::Greater) {
            return;
        }
        match norm {
            Norm::L1 => self.l1 = Some(max),
            // The root of a square that was rounded is the number itself.
            Norm::L2 => self.sum_sq = max * max,
            Norm::Max => self.max_abs = max.to_f64(),
            Norm::P(p) => self.power = Power::of(p, max.power(p)),
        }
    }

    #[inline]
    fn if_finite(&self, sum: Wide) -> Wide {
        match (self.nan, self.inf()) {
            (0, 0) => sum,
            (0, _) => Wide::INFINITY,
            _ => Wide::NAN,
        }
    }

    /// What the same elements would give times `factor`, by arithmetic.
    pub(crate) fn scaled(&self, factor: Factor) -> Self {
        let f = factor.to_wide();
        // A bound that is not known stays so, also times 0.
        let times = |x: f64| if x.is_finite() { factor.times(x) } else { x };
        Self {
            max_abs: if self.max_abs.is_finite() {
                (Wide::from(self.max_abs) * f).to_f64()
            } else {
                self.max_abs
            },
            l1: self.l1.map(|l1| l1 * f),
            sum_sq: self.sum_sq * f * f,
            power: self.power.scaled(f),
            low: times(self.low),
            high: times(self.high),
            ..*self
        }
    }

    /// The smallest and the largest finite element, if they were asked for ([`Needs::range`](crate::Needs::range));
    /// else the bounds that the largest magnitude gives.
    ///
    /// ```
    /// use steadygrad::{Ask, Tensor};
    /// let w = [0.5_f32, 3.0];
    /// assert_eq!(w.stats(&mut Ask::default().range())?.range(), (0.5, 3.0));
    /// assert_eq!(w.stats(&mut Ask::default())?.range(), (-3.0, 3.0));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn range(&self) -> (f64, f64) {
        (self.low.max(-self.max_abs), self.high.min(self.max_abs))
    }

    /// Whether no element, or only NaN, lies outside `[min, max]`, as far as is known.
    pub(crate) fn lies_within(&self, min: f64, max: f64) -> bool {
        let (low, high) = self.range();
        let infinite =
            self.neg_inf > 0 && min > f64::NEG_INFINITY || self.pos_inf > 0 && max < f64::INFINITY;
        let count = self.nan.saturating_add(self.inf());
        !infinite && (min <= low && high <= max || self.len <= count)
    }

    /// What is left when every element becomes 0.
    pub(crate) fn zeroed(&self) -> Self {
        Self {
            len: self.len,
            power: Power {
                sum: Wide::ZERO,
                ..self.power
            },
            low: 0.0,
            high: 0.0,
            ..Self::EMPTY
        }
    }
}
