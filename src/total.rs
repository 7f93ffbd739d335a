//! The exact sum of what several tensors come to.

use alloc::vec::Vec;

use crate::exact::{DIGITS, ExactSum};
use crate::stats::Power;
use crate::{Error, Result, Stats, Wide};

/// The exact sum, over any tensors in any order, of what their [`Stats`] say.
///
/// Sums are kept as integers wide enough for every exponent and rounded only when read. So merging is
/// associative and commutative, and totals of shards merge to the very bits of the whole set's total. Two
/// totals are equal if their counts, maxima and unrounded sums are.
///
/// Shards are parts of *one* gradient: each tensor, or each element, is held by one of them. Replicas of
/// data-parallel training are none: each has a whole gradient, of its own part of the batch, and the norm of their
/// mean is not made of their norms (those of 1 and −1 are 1, that of their mean is 0). There the gradients
/// themselves are reduced first.
///
/// Counters hold 2^31 summands and more than fit on any machine; a sum that outgrows them is known no more, and its
/// norms are NaN.
///
/// # Examples
///
/// ```
/// use steadygrad::Measurement;
///
/// let whole = vec![vec![1e200, 3.0], vec![0.1], vec![1e-200]];
/// let (left, right) = whole.split_at(1);
/// let mut merged = Measurement::of(right)?.exact().clone();
/// merged.merge(Measurement::of(left)?.exact());
/// assert_eq!(merged, *Measurement::of(&whole)?.exact());
/// assert_eq!(merged.stats(), *Measurement::of(&whole)?.total());
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Total {
    len: u64,
    nan: u64,
    pos_inf: u64,
    neg_inf: u64,
    max_abs: f64,
    l1: ExactSum,
    sum_sq: ExactSum,
    power: ExactSum,
    /// The p of the powers: 0 before there are any, infinite once there were two.
    p: f64,
    low: f64,
    high: f64,
}

impl Default for Total {
    fn default() -> Self {
        Self {
            len: 0,
            nan: 0,
            pos_inf: 0,
            neg_inf: 0,
            max_abs: 0.0,
            l1: ExactSum::default(),
            sum_sq: ExactSum::default(),
            power: ExactSum::default(),
            p: 0.0,
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
        }
    }
}

/// A count that stands for "nothing can be said", small enough that those of many shards add up.
const LOST: u64 = 1 << 40;

impl Total {
    /// How many integers [`Total::limbs`] writes.
    ///
    /// ```
    /// use steadygrad::{Measurement, Total};
    /// let total = Measurement::of(&vec![[3.0_f32]; 1000])?.exact().clone();
    /// let mut buffer = [0; Total::LIMBS];   // however many tensors there are
    /// buffer.copy_from_slice(&total.limbs(&total.maxima()));
    /// assert_eq!(Total::from_parts(&total.maxima(), &buffer)?.stats().l1(), 3000.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub const LIMBS: usize = 7 + 3 * DIGITS + SEAL;

    pub(crate) fn clear(&mut self) {
        (self.len, self.nan, self.pos_inf, self.neg_inf) = (0, 0, 0, 0);
        self.max_abs = 0.0;
        self.l1.clear();
        self.sum_sq.clear();
        self.power.clear();
        self.p = 0.0;
        (self.low, self.high) = (f64::INFINITY, f64::NEG_INFINITY);
    }

    /// Makes room for powers of this p; false if there are others already, whose sum with these would mean
    /// nothing.
    #[inline]
    fn has_power(&mut self, p: f64) -> bool {
        if self.p == 0.0 {
            self.p = p;
        }
        if p == 0.0 || self.p == p {
            return true;
        }
        self.p = f64::INFINITY;
        self.power.spoil();
        false
    }

    #[inline]
    fn widen(&mut self, low: f64, high: f64) {
        (self.low, self.high) = (self.low.min(low), self.high.max(high));
    }

    #[inline]
    fn count(&mut self, [len, nan, pos_inf, neg_inf]: [u64; 4]) {
        self.len = self.len.saturating_add(len);
        self.nan = self.nan.saturating_add(nan);
        self.pos_inf = self.pos_inf.saturating_add(pos_inf);
        self.neg_inf = self.neg_inf.saturating_add(neg_inf);
    }

    /// Adds one tensor.
    ///
    /// ```
    /// use steadygrad::{Ask, Tensor, Total};
    /// let mut total = Total::default();
    /// total.add(&[3.0].stats(&mut Ask::default())?);
    /// total.add(&[4.0].stats(&mut Ask::default())?);
    /// assert_eq!(total.stats().l2(), 5.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[inline]
    pub fn add(&mut self, stats: &Stats) {
        self.count([stats.len, stats.nan, stats.pos_inf, stats.neg_inf]);
        self.max_abs = self.max_abs.max(stats.max_abs);
        self.l1.take(stats.l1);
        self.sum_sq.take(Some(stats.sum_sq));
        let p = stats.power.p().unwrap_or(0.0);
        if stats.len > 0 && self.has_power(p) {
            self.power
                .take(stats.power.p().and_then(|p| stats.power.sum(p)));
        }
        if stats.len > 0 {
            let (low, high) = stats.range();
            self.widen(low, high);
        }
    }

    /// Adds everything that another total holds.
    ///
    /// ```
    /// use steadygrad::{Measurement, Total};
    /// let shards = [Measurement::of(&[3.0, 1e200])?, Measurement::of(&[0.1])?, Measurement::of(&[-1e-200])?];
    /// let (mut there, mut back) = (Total::default(), Total::default());
    /// shards.iter().for_each(|shard| there.merge(shard.exact()));
    /// shards.iter().rev().for_each(|shard| back.merge(shard.exact()));
    /// assert_eq!(there.stats(), back.stats());   // to the last bit
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn merge(&mut self, other: &Self) {
        self.count([other.len, other.nan, other.pos_inf, other.neg_inf]);
        self.max_abs = self.max_abs.max(other.max_abs);
        self.l1.merge(&other.l1);
        self.sum_sq.merge(&other.sum_sq);
        if self.has_power(other.p) {
            self.power.merge(&other.power);
        }
        self.widen(other.low, other.high);
    }

    /// The sums, each rounded once.
    ///
    /// ```
    /// use steadygrad::{Ask, Tensor, Total};
    /// let mut total = Total::default();
    /// for x in [1e16, 1.0, 1.0] {
    ///     total.add(&[x].stats(&mut Ask::default())?);
    /// }
    /// assert_eq!(total.stats().l1(), 10_000_000_000_000_002.0);   // rounded at each step, it would stay at 1e16
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            len: self.len,
            nan: self.nan,
            pos_inf: self.pos_inf,
            neg_inf: self.neg_inf,
            first_non_finite: None,
            max_abs: self.max_abs,
            l1: self.l1.total(),
            sum_sq: self.sum_sq.total().unwrap_or(Wide::NAN),
            power: match self.power.total() {
                Some(sum) if self.p != 0.0 => Power::of(self.p, sum),
                _ => Power::NONE,
            },
            low: if self.len > 0 {
                self.low
            } else {
                f64::NEG_INFINITY
            },
            high: if self.len > 0 {
                self.high
            } else {
                f64::INFINITY
            },
        }
    }

    /// What an all-reduce by maximum must carry first.
    ///
    /// ```
    /// use steadygrad::{Measurement, Total};
    ///
    /// let shards = [vec![3.0, 1e300], vec![4e-300, 2.0]];
    /// let totals = [Measurement::of(&shards[0])?.exact().clone(), Measurement::of(&shards[1])?.exact().clone()];
    ///
    /// // First the maxima, then, placed by them, the sums of integers.
    /// let (a, b) = (totals[0].maxima(), totals[1].maxima());
    /// let maxima = [0, 1, 2, 3, 4, 5, 6].map(|i| f64::max(a[i], b[i]));
    /// let (a, b) = (totals[0].limbs(&maxima), totals[1].limbs(&maxima));
    /// let limbs: Vec<i64> = a.iter().zip(&b).map(|(x, y)| x + y).collect();
    ///
    /// let total = Total::from_parts(&maxima, &limbs)?;
    /// assert_eq!(total.stats(), *Measurement::of(&shards)?.total());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn maxima(&self) -> [f64; 7] {
        [
            self.max_abs,
            self.l1.highest(),
            self.sum_sq.highest(),
            self.power.highest(),
            self.p,
            -self.low,
            self.high,
        ]
    }

    /// What an all-reduce by sum must carry: [`Total::LIMBS`] integers, placed by the maxima over all
    /// shards. They carry a seal of these maxima, so that [`Total::from_parts`] can tell if shards went by others,
    /// each by its own for one.
    ///
    /// ```
    /// use steadygrad::{Measurement, Total};
    /// let total = Measurement::of(&[3.0, 4.0])?.exact().clone();
    /// let limbs = total.limbs(&total.maxima());
    /// let two_such_shards: Vec<i64> = limbs.iter().map(|limb| limb + limb).collect();
    /// assert_eq!(Total::from_parts(&total.maxima(), &two_such_shards)?.stats().l1(), 14.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn limbs(&self, maxima: &[f64; 7]) -> Vec<i64> {
        let mut power = self.power.clone();
        if self.p != 0.0 && self.p != maxima[4] {
            // Another shard summed powers of another p.
            power.spoil();
        }
        let counts = [
            self.len,
            self.nan,
            self.pos_inf,
            self.neg_inf,
            self.l1.missing(),
            self.sum_sq.missing(),
            power.missing().min(LOST),
        ];
        let mut limbs: Vec<i64> = counts.map(|n| i64::try_from(n).unwrap_or(i64::MAX)).into();
        let mut window = [0; DIGITS];
        for (sum, &highest) in [&self.l1, &self.sum_sq, &power]
            .into_iter()
            .zip(&maxima[1..4])
        {
            sum.write(highest, &mut window);
            limbs.extend_from_slice(&window);
        }
        // A maximum below this shard's own is none.
        let mut placed_by = self.maxima();
        for (own, &max) in placed_by.iter_mut().zip(maxima) {
            *own = own.max(max);
        }
        limbs.extend(seal(&placed_by));
        limbs
    }

    /// The total of all shards from their maxima and the sums of their integers, without losing a bit.
    ///
    /// ```
    /// use steadygrad::{Measurement, Total};
    /// let total = Measurement::of(&[3.0, 4.0])?.exact().clone();
    /// let copy = Total::from_parts(&total.maxima(), &total.limbs(&total.maxima()))?;
    /// assert_eq!(copy.stats(), total.stats());
    /// assert!(Total::from_parts(&total.maxima(), &[1, 2, 3]).is_err());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Count`] if there are not [`Total::LIMBS`] integers, [`Error::Setting`] if one of them is negative, if
    /// a maximum is none that [`Total::maxima`] gives, or if the integers of some shard were placed by other maxima.
    pub fn from_parts(maxima: &[f64; 7], limbs: &[i64]) -> Result<Self> {
        let wrong = || Error::Count {
            what: "limbs of a total",
            expected: Self::LIMBS,
            found: limbs.len(),
        };
        let refuse = |what, expected, found| {
            Err(Error::Setting {
                what,
                expected,
                found,
            })
        };
        if let Some(&limb) = limbs.iter().find(|&&limb| limb < 0) {
            return refuse("limb of a total", "an integer ≥ 0", limb as f64);
        }
        let [largest, places @ .., p, low, high] = maxima;
        if p.is_nan() || *p < 0.0 {
            return refuse("p of a total", "a number ≥ 0", *p);
        }
        if low.is_nan() || high.is_nan() {
            return refuse("range of a total", "a number", f64::NAN);
        }
        // Infinite where a shard does not know it.
        if largest.is_nan() || *largest < 0.0 {
            return refuse("maximum of a total", "a number ≥ 0", *largest);
        }
        // Digits that an f64 counts exactly, or none.
        let is_place =
            |&x: &f64| x == f64::NEG_INFINITY || (x.abs() < 9e15 && x as i64 as f64 == x);
        if let Some(&place) = places.iter().find(|place| !is_place(place)) {
            return refuse("highest digit of a total", "an integer or -inf", place);
        }
        let (counts, sums) = limbs.split_first_chunk::<7>().ok_or_else(wrong)?;
        let (windows, sealed) = sums.split_at_checked(3 * DIGITS).ok_or_else(wrong)?;
        let sealed: &[i64; SEAL] = sealed.try_into().map_err(|_| wrong())?;
        if !is_seal_of(sealed, maxima) {
            return refuse(
                "seal of the limbs of a total",
                "that of shards which all went by these maxima",
                sealed[1] as f64,
            );
        }
        let [len, nan, pos_inf, neg_inf, missing @ ..] = counts.map(|count| count as u64);
        let mut read = windows.chunks_exact(DIGITS).zip(places).zip(missing).map(
            |((window, &highest), missing)| {
                let mut digits = [0; DIGITS];
                digits.copy_from_slice(window);
                ExactSum::read(highest, &digits, missing)
            },
        );
        let mut next = || read.next().unwrap_or_default();
        let (l1, sum_sq, power) = (next(), next(), next());
        Ok(Self {
            len,
            nan,
            pos_inf,
            neg_inf,
            max_abs: maxima[0],
            l1,
            sum_sq,
            power,
            p: *p,
            low: -low,
            high: *high,
        })
    }
}

/// What parts of a total say of themselves before their integers are placed: each the maximum over them.
pub(crate) const MAXIMA: usize = 10;

/// How many integers come before the digits.
const COUNTS: usize = 7;

// What crosses a wire between the ranks of a guard: the same sums in windows no wider than their digits, placed by what all
// ranks agree on, so that it is a fraction of `Total::LIMBS` integers.
impl Total {
    fn sums(&self) -> [&ExactSum; 3] {
        [&self.l1, &self.sum_sq, &self.power]
    }

    /// Writes the [`MAXIMA`] numbers of which all ranks are to have the maximum.
    pub(crate) fn write_maxima(&self, to: &mut [f64]) {
        let nothing = self.len == 0;
        let bound = |x: f64| if nothing { f64::NEG_INFINITY } else { x };
        to[..4].copy_from_slice(&[self.max_abs, self.p, bound(-self.low), bound(self.high)]);
        for (to, sum) in to[4..].chunks_exact_mut(2).zip(self.sums()) {
            let span = sum.span().map(|(low, high)| [high as f64, -low as f64]);
            to.copy_from_slice(&span.unwrap_or([f64::NEG_INFINITY; 2]));
        }
    }

    /// How many integers there are, where these are the maxima.
    pub(crate) fn width(maxima: &[f64]) -> usize {
        let windows = maxima[4..MAXIMA].chunks_exact(2);
        COUNTS + windows.map(|span| window(span).1).sum::<usize>()
    }

    /// Writes [`Total::width`] integers of which all ranks are to have the sum.
    pub(crate) fn write_limbs(&self, maxima: &[f64], to: &mut [i64]) {
        // Another rank summed powers of another p.
        let mixed = self.p != 0.0 && self.p != maxima[1];
        let lost = u64::from(mixed) * LOST;
        let counts = [
            self.len,
            self.nan,
            self.pos_inf,
            self.neg_inf,
            self.l1.missing().min(LOST),
            self.sum_sq.missing().min(LOST),
            self.power.missing().max(lost).min(LOST),
        ];
        let (head, mut rest) = to.split_at_mut(COUNTS);
        for (to, count) in head.iter_mut().zip(counts) {
            *to = i64::try_from(count).unwrap_or(i64::MAX);
        }
        for (sum, span) in self.sums().into_iter().zip(maxima[4..].chunks_exact(2)) {
            let (floor, width) = window(span);
            let (digits, behind) = rest.split_at_mut(width);
            sum.write_from(floor, digits);
            rest = behind;
        }
    }

    /// Becomes the total of all ranks.
    pub(crate) fn read_limbs(&mut self, maxima: &[f64], from: &[i64]) {
        let (counts, mut rest) = from.split_at(COUNTS);
        let count = |i: usize| counts[i].cast_unsigned();
        (self.len, self.nan, self.pos_inf, self.neg_inf) = (count(0), count(1), count(2), count(3));
        (self.max_abs, self.p) = (maxima[0], maxima[1]);
        (self.low, self.high) = (-maxima[2], maxima[3]);
        let sums = [&mut self.l1, &mut self.sum_sq, &mut self.power];
        for (i, (sum, span)) in sums
            .into_iter()
            .zip(maxima[4..].chunks_exact(2))
            .enumerate()
        {
            let (floor, width) = window(span);
            let (digits, behind) = rest.split_at(width);
            sum.read_from(floor, digits, count(4 + i));
            rest = behind;
        }
    }

    /// Of powers of this p, if of any.
    pub(crate) fn begin(&mut self, p: Option<f64>) {
        self.p = p.unwrap_or(0.0);
    }

    /// Adds what a tensor's counts and extremes say, and nothing of its sums.
    pub(crate) fn add_all_but_sums(&mut self, stats: &Stats) {
        self.count([stats.len, stats.nan, stats.pos_inf, stats.neg_inf]);
        self.max_abs = self.max_abs.max(stats.max_abs);
        if stats.l1.is_none() {
            self.l1.take(None);
        }
        if stats.len > 0 {
            self.has_power(stats.power.p().unwrap_or(0.0));
            let (low, high) = stats.range();
            self.widen(low, high);
        }
    }

    /// Adds the sums over elements one by one, so that they are the same however a tensor is cut: squares and powers are
    /// rounded each, and nothing else is.
    pub(crate) fn add_elements(&mut self, elements: &[f64], magnitudes: bool) {
        for &x in elements.iter().filter(|x| x.is_finite()) {
            let x = Wide::from(x);
            if magnitudes {
                self.l1.take(Some(x));
            }
            self.sum_sq.take(Some(x * x));
            if self.p > 0.0 && self.p.is_finite() {
                self.power.take(Some(x.power(self.p)));
            }
        }
    }
}

/// From which digit on, and how many: two more than there are, for what is carried. None if there is no digit.
fn window(span: &[f64]) -> (i64, usize) {
    let (top, lowest) = (span[0], -span[1]);
    if top == f64::NEG_INFINITY {
        return (0, 0);
    }
    let (top, lowest) = (top as i64, lowest as i64);
    let floor = lowest.max(top - DIGITS as i64 + 1);
    (floor, (top - floor) as usize + 3)
}

/// How many limbs say by which maxima the others were placed.
const SEAL: usize = 3;

/// One shard, and what two numbers are made of all bits of its maxima. Added up over shards they are multiples of
/// these if all shards have the same, and of practically no others.
fn seal(maxima: &[f64]) -> [i64; SEAL] {
    // The finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
    let mixed = maxima.iter().fold(0_u64, |mixed, max| {
        // −0.0 is the same maximum.
        let x = (mixed ^ (max + 0.0).to_bits()).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    });
    // Of 32 bits, so that 2^31 shards can be added.
    [1, (mixed & 0xffff_ffff) as i64, (mixed >> 32) as i64]
}

/// Whether these limbs are sums over shards that all went by these maxima.
fn is_seal_of(limbs: &[i64; SEAL], maxima: &[f64]) -> bool {
    let [shards, ..] = *limbs;
    shards > 0 && seal(maxima).map(|limb| limb.checked_mul(shards)) == limbs.map(Some)
}
