//! What one read says of a set: named [`Stats`] and their exact total.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::edit::{Edit, Edits};
use crate::exact::{DIGITS, ExactSum};
use crate::kernel::Look;
use crate::names::Names;
use crate::set::{TensorSet, TensorSetMut};
use crate::stats::Power;
use crate::tensor::{Ask, Needs, Tensor};
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

    fn clear(&mut self) {
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
        if !(*largest >= 0.0 && largest.is_finite()) {
            return refuse("maximum of a total", "a finite number ≥ 0", *largest);
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

/// What one read of a set says: the [`Stats`] of each tensor under its name, and the exact total.
///
/// This is all that rules and detectors ever see of a gradient. The space is reused when a set of the
/// same names is measured again. Measurements are equal if all they say is; NaN, as ever, is not equal to NaN.
///
/// # Examples
///
/// ```
/// use steadygrad::Measurement;
///
/// let grads = [("w", vec![3.0_f32, 4.0]), ("b", vec![12.0])];
/// let seen = Measurement::of(&grads)?;
/// assert_eq!(seen.total().l2(), 13.0);
/// assert_eq!(seen.name(0), "w");
/// assert_eq!(seen.tensor(0).l2(), 5.0);
/// assert_eq!(seen, Measurement::of(&grads)?);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measurement {
    names: Arc<Names>,
    /// The names of the set that is being measured, from where they differ from those of the last.
    new_names: Option<Names>,
    /// Whether nobody will ask for names.
    nameless: bool,
    /// In front those of this set, behind them while it is being measured those of the last.
    tensors: Vec<Stats>,
    count: usize,
    units: Vec<Stats>,
    /// Where the units of each tensor end in `units`.
    unit_ends: Vec<usize>,
    needs: Needs,
    exact: Total,
    total: Stats,
}

impl Measurement {
    /// Reads a set once.
    ///
    /// ```
    /// use steadygrad::Measurement;
    /// assert_eq!(Measurement::of(&vec![3.0_f32, 4.0])?.total().l2(), 5.0);
    /// assert_eq!(Measurement::of(&[("w", [3.0, 4.0]), ("b", [12.0, 0.0])])?.total().l2(), 13.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the tensors give.
    pub fn of<S: TensorSet + ?Sized>(set: &S) -> Result<Self> {
        Self::with_needs(set, Needs::default())
    }

    /// Reads a set once, with what is needed beside the usual.
    ///
    /// ```
    /// use steadygrad::{Measurement, Needs, Norm};
    /// let seen = Measurement::with_needs(&vec![3.0, 4.0, 5.0], Needs { p: Some(3.0), ..Needs::default() })?;
    /// assert!((seen.total().norm(Norm::P(3.0)).to_f64() - 6.0).abs() < 1e-14);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the tensors give.
    pub fn with_needs<S: TensorSet + ?Sized>(set: &S, needs: Needs) -> Result<Self> {
        let mut measurement = Self::default();
        measurement.read(set, needs, &Edits::default())?;
        Ok(measurement)
    }

    /// Space for a set whose names nobody will ask for.
    pub(crate) fn nameless() -> Self {
        Self {
            nameless: true,
            ..Self::default()
        }
    }

    /// Reads a set once into this space, as `after` would leave it.
    pub(crate) fn read<S: TensorSet + ?Sized>(
        &mut self,
        set: &S,
        needs: Needs,
        after: &Edits,
    ) -> Result<()> {
        self.begin(needs);
        let read = set.measure(after, self);
        // Also of a set that fails: its total is that of what was read, and not of what was here before.
        self.finish();
        read
    }

    /// What `before` becomes by edits that only scale or zero; `None` if one does more.
    pub(crate) fn follow(&mut self, before: &Self, edits: &Edits) -> Option<()> {
        self.begin(Needs {
            units: None,
            ..before.needs
        });
        if !Arc::ptr_eq(&self.names, &before.names) {
            self.names = Arc::clone(&before.names);
        }
        for (i, stats) in before.tensors().iter().enumerate() {
            self.record(edits.get(i).follow(stats)?);
        }
        self.tensors.truncate(self.count);
        self.total = self.exact.stats();
        Some(())
    }

    /// Takes norms for what the rules have made of them.
    pub(crate) fn settle(&mut self, edits: &Edits) {
        edits.settle_total(&mut self.total);
        edits.settle_tensors(&mut self.tensors[..self.count]);
    }

    /// Carries out `edits` on `set` and looks, in passing, at what they leave. Tensors that are kept
    /// are what they were before.
    pub(crate) fn apply<S>(&mut self, set: &mut S, before: &Self, edits: &Edits) -> Result<()>
    where
        S: TensorSetMut + ?Sized,
    {
        self.begin(Needs {
            units: None,
            ..before.needs
        });
        // The tensors are those of `before`, so nobody asks for their names again.
        self.names = Arc::clone(&before.names);
        let nameless = core::mem::replace(&mut self.nameless, true);
        let applied = set.apply_and_measure(edits, before, self);
        self.nameless = nameless;
        applied?;
        self.finish();
        Ok(())
    }

    /// Makes this large enough for all that `like` holds, so that a later read into it allocates nothing.
    pub(crate) fn make_room(&mut self, like: &Self) {
        fn reserve<T>(space: &mut Vec<T>, len: usize) {
            space.reserve(len.saturating_sub(space.len()));
        }
        if !Arc::ptr_eq(&self.names, &like.names) {
            self.names = Arc::clone(&like.names);
        }
        reserve(&mut self.tensors, like.tensors.len());
        reserve(&mut self.unit_ends, like.unit_ends.len());
        reserve(&mut self.units, like.units.len());
    }

    fn begin(&mut self, needs: Needs) {
        self.needs = needs;
        self.new_names = None;
        self.count = 0;
        self.units.clear();
        self.unit_ends.clear();
        self.exact.clear();
    }

    fn finish(&mut self) {
        let count = self.count;
        self.tensors.truncate(count);
        if self.new_names.is_none() && self.names.len() > count {
            self.new_names = Some(self.names.first(count));
        }
        if let Some(names) = self.new_names.take() {
            self.names = Arc::new(names);
        }
        self.total = self.exact.stats();
    }

    /// What is being measured beside the usual.
    ///
    /// ```
    /// use steadygrad::{Measurement, Needs};
    /// let cubes = Needs { p: Some(3.0), ..Needs::default() };
    /// assert_eq!(Measurement::with_needs(&vec![1.0, 2.0], cubes)?.needs(), cubes);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// Reads the next tensor of the set that is being measured, as `after` would leave it. For
    /// implementations of [`TensorSet::measure`].
    ///
    /// ```
    /// # use steadygrad::{Edits, Measurement, Result, TensorRef, TensorSet, Visitor};
    /// # struct Model { w: Vec<f32> }
    /// impl TensorSet for Model {
    /// #   fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> { f("w", TensorRef::Other(&self.w)) }
    ///     fn measure(&self, after: &Edits, into: &mut Measurement) -> Result<()> {
    ///         into.measure("w", &self.w, after.get(0))
    ///     }
    /// }
    /// let seen = Measurement::of(&Model { w: vec![3.0, 4.0] })?;
    /// assert_eq!((seen.name(0), seen.tensor(0).l2()), ("w", 5.0));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the tensor gives.
    #[inline]
    pub fn measure(
        &mut self,
        name: &str,
        tensor: &(impl Tensor + ?Sized),
        after: Edit<'_>,
    ) -> Result<()> {
        let units = self.needs.units.map(|axis| (axis, &mut self.units));
        let stats = tensor.stats(&mut Ask {
            after,
            p: self.needs.p,
            range: self.needs.range,
            units,
        })?;
        self.push_name(name, tensor.dims());
        self.record(stats);
        Ok(())
    }

    /// Takes in the next tensor of the set that is being measured, read elsewhere. For implementations
    /// of [`TensorSet::measure`] that read all tensors together.
    ///
    /// ```
    /// # use steadygrad::{Edits, Measurement, Result, Stats, TensorRef, TensorSet, Visitor, Wide};
    /// # struct OnDevice(Vec<f32>);
    /// # impl OnDevice {
    /// #     fn sums(&self) -> (f64, f64, f64) {
    /// #         let xs = self.0.iter().map(|&x| f64::from(x).abs());
    /// #         xs.fold((0.0, 0.0, 0.0), |(max, sum, sq), x| (x.max(max), sum + x, sq + x * x))
    /// #     }
    /// # }
    /// impl TensorSet for OnDevice {
    /// #   fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> { f("w", TensorRef::Other(&self.0)) }
    ///     fn measure(&self, _after: &Edits, into: &mut Measurement) -> Result<()> {
    ///         let (max_abs, l1, sum_sq) = self.sums();   // three numbers to transfer
    ///         into.push("w", Stats::from_sums(2, max_abs, Wide::from(l1), Wide::from(sum_sq)));
    ///         Ok(())
    ///     }
    /// }
    /// assert_eq!(Measurement::of(&OnDevice(vec![3.0, 4.0]))?.total().l2(), 5.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[inline]
    pub fn push(&mut self, name: &str, stats: Stats) {
        self.push_name(name, None);
        self.record(stats);
    }

    #[inline]
    fn push_name(&mut self, name: &str, dims: Option<&[usize]>) {
        if self.nameless {
            return;
        }
        let index = self.count;
        match &mut self.new_names {
            None if self.names.is(index, name, dims) => (),
            None => {
                let names = self.new_names.insert(self.names.first(index));
                names.push(name, dims);
            }
            Some(names) => names.push(name, dims),
        }
    }

    /// Makes a place for a tensor whose statistics [`Measurement::fill`] brings.
    #[inline]
    pub(crate) fn leave_room(&mut self, name: &str, dims: Option<&[usize]>) {
        self.push_name(name, dims);
        self.count += 1;
        self.unit_ends.push(self.units.len());
    }

    /// Has `measure` fill the last places, with the powers that are asked for.
    pub(crate) fn fill(&mut self, count: usize, measure: impl FnOnce(Look, &mut [Stats])) {
        if self.tensors.len() < self.count {
            self.tensors.resize(self.count, Stats::EMPTY);
        }
        let places = &mut self.tensors[self.count - count..self.count];
        measure(self.needs.look(), places);
        for stats in places {
            self.exact.add(stats);
        }
    }

    /// The same for a tensor whose units along the axis that was asked for were read too.
    ///
    /// ```
    /// # use steadygrad::{Ask, Edits, Measurement, Needs, Result, Tensor, TensorRef, TensorSet, Visitor};
    /// # struct Rows(Vec<f32>);
    /// impl TensorSet for Rows {
    /// #   fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> { f("w", TensorRef::Other(&self.0)) }
    ///     fn measure(&self, _after: &Edits, into: &mut Measurement) -> Result<()> {
    ///         let (first, second) = self.0.split_at(2);
    ///         let rows = [first.stats(&mut Ask::default())?, second.stats(&mut Ask::default())?];
    ///         into.push_with_units("w", self.0.stats(&mut Ask::default())?, &rows);
    ///         Ok(())
    ///     }
    /// }
    /// let by_rows = Needs { units: Some(0), ..Needs::default() };
    /// let seen = Measurement::with_needs(&Rows(vec![3.0, 4.0, 12.0, 0.0]), by_rows)?;
    /// assert_eq!((seen.units(0)[0].l2(), seen.units(0)[1].l2(), seen.total().l2()), (5.0, 12.0, 13.0));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn push_with_units(&mut self, name: &str, stats: Stats, units: &[Stats]) {
        self.units.extend_from_slice(units);
        self.push(name, stats);
    }

    #[inline]
    fn record(&mut self, stats: Stats) {
        self.exact.add(&stats);
        match self.tensors.get_mut(self.count) {
            Some(place) => *place = stats,
            None => self.tensors.push(stats),
        }
        self.count += 1;
        self.unit_ends.push(self.units.len());
    }

    /// The number of tensors.
    ///
    /// ```
    /// use steadygrad::Measurement;
    /// assert_eq!(Measurement::of(&[1.0, 2.0, 3.0])?.len(), 1);     // a list of numbers is one tensor
    /// assert_eq!(Measurement::of(&[[1.0], [2.0], [3.0]])?.len(), 3);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no tensor.
    ///
    /// ```
    /// use steadygrad::Measurement;
    /// let seen = Measurement::of(&Vec::<Vec<f32>>::new())?;
    /// assert!(seen.is_empty());
    /// assert_eq!(seen.total().l2(), 0.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All tensors taken together, each sum rounded once.
    ///
    /// ```
    /// use steadygrad::Measurement;
    /// let seen = Measurement::of(&vec![vec![3.0_f32, 4.0], vec![12.0]])?;
    /// assert_eq!((seen.total().l2(), seen.total().l1()), (13.0, 19.0));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn total(&self) -> &Stats {
        &self.total
    }

    /// The unrounded total, to be merged with those of other shards.
    ///
    /// ```
    /// use steadygrad::Measurement;
    /// let mut exact = Measurement::of(&[1e16])?.exact().clone();
    /// exact.merge(Measurement::of(&[1.0, 1.0])?.exact());
    /// assert_eq!(exact.stats().l1(), 1e16 + 2.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn exact(&self) -> &Total {
        &self.exact
    }

    /// Tensor `index`; that of no elements beyond the last.
    ///
    /// ```
    /// use steadygrad::{Measurement, Stats};
    /// let seen = Measurement::of(&vec![vec![3.0_f32, 4.0], vec![12.0]])?;
    /// assert_eq!(seen.tensor(1).l2(), 12.0);
    /// assert_eq!(*seen.tensor(2), Stats::EMPTY);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn tensor(&self, index: usize) -> &Stats {
        self.tensors().get(index).unwrap_or(const { &Stats::EMPTY })
    }

    /// Every tensor in order.
    ///
    /// ```
    /// use steadygrad::Measurement;
    /// let seen = Measurement::of(&vec![vec![3.0_f32, 4.0], vec![12.0]])?;
    /// let norms: Vec<f64> = seen.tensors().iter().map(|stats| stats.l2()).collect();
    /// assert_eq!(norms, [5.0, 12.0]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn tensors(&self) -> &[Stats] {
        &self.tensors[..self.count]
    }

    /// The name of tensor `index`, empty for a tensor that stands alone and beyond the last.
    ///
    /// ```
    /// use steadygrad::Measurement;
    /// let layers = [("encoder", vec![[1.0_f32], [2.0]]), ("head", vec![[3.0]])];
    /// let seen = Measurement::of(&layers)?;
    /// assert_eq!((seen.name(1), seen.name(2), seen.name(3)), ("encoder.1", "head.0", ""));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn name(&self, index: usize) -> &str {
        self.names.get(index).unwrap_or_default()
    }

    /// The units of tensor `index` along the axis that was asked for; empty if none was.
    ///
    /// ```
    /// # #[cfg(feature = "ndarray")] {
    /// use ndarray::array;
    /// use steadygrad::{Measurement, Needs};
    ///
    /// let by_rows = Needs { units: Some(0), ..Needs::default() };
    /// let seen = Measurement::with_needs(&array![[3.0_f32, 4.0], [0.0, 2.0]], by_rows)?;
    /// let norms: Vec<f64> = seen.units(0).iter().map(|row| row.l2()).collect();
    /// assert_eq!(norms, [5.0, 2.0]);
    /// # }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn units(&self, index: usize) -> &[Stats] {
        let start = if index == 0 {
            0
        } else {
            self.unit_ends.get(index - 1).copied().unwrap_or(0)
        };
        let end = self.unit_ends.get(index).copied().unwrap_or(start);
        &self.units[start..end]
    }

    pub(crate) fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// The first tensor with an element that is NaN or infinite.
    ///
    /// ```
    /// use steadygrad::Measurement;
    /// let seen = Measurement::of(&[("w", [1.0, 2.0]), ("b", [f64::NAN, 0.0])])?;
    /// assert_eq!(seen.first_non_finite().map(|index| seen.name(index)), Some("b"));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn first_non_finite(&self) -> Option<usize> {
        if self.total.is_finite() {
            return None;
        }
        self.tensors().iter().position(|stats| !stats.is_finite())
    }
}
