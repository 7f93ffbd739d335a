//! What a rule wants done to the tensors.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::kernel::Look;
use crate::names::Names;
use crate::{Element, Error, Norm, Result, Stats, Wide, math};

/// A factor `m · 2^e ≥ 0` for scaling.
///
/// Clipping the `f64` gradient `[MAX, MAX]` to 1e-300 takes the factor 4e-609, which no `f64` can hold.
///
/// # Examples
///
/// ```
/// use steadygrad::{Factor, Wide};
///
/// let half = Factor::ratio(Wide::from(1.0), Wide::from(2.0));
/// assert_eq!(half.times(3.0), 1.5);
///
/// let far = Factor::ratio(Wide::from(1e-300), Wide::from(1e308));
/// assert_eq!(far.to_f64(), 0.0);
/// assert_eq!((far.times(1e308) / 1e-300 - 1.0).abs() < 1e-15, true);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Factor(Wide);

impl Factor {
    /// Changes nothing.
    ///
    /// ```
    /// use steadygrad::Factor;
    /// let half = Factor::new(0.5)?;
    /// assert_eq!(Factor::ONE.then(half), half);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub const ONE: Self = Self(Wide::ONE);

    /// A factor from a number.
    ///
    /// ```
    /// use steadygrad::Factor;
    /// assert_eq!(Factor::new(0.5)?.then(Factor::new(0.25)?).to_f64(), 0.125);
    /// assert!(Factor::new(-1.0).is_err());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `x` is negative or not finite.
    pub fn new(x: f64) -> Result<Self> {
        if x >= 0.0 && x.is_finite() {
            Ok(Self(Wide::from(x)))
        } else {
            Err(Error::Setting {
                what: "factor",
                expected: "a finite number ≥ 0",
                found: x,
            })
        }
    }

    /// `target / norm`: what scales a gradient of norm `norm` to norm `target`. One if the quotient
    /// is not finite, so that no NaN can come of it.
    ///
    /// ```
    /// use steadygrad::{Factor, Wide};
    /// assert_eq!(Factor::ratio(Wide::from(1.0), Wide::from(8.0)).to_f64(), 0.125);
    /// assert_eq!(Factor::ratio(Wide::ONE, Wide::ZERO), Factor::ONE);   // nothing to scale
    /// assert_eq!(Factor::ratio(Wide::ONE, Wide::NAN), Factor::ONE);    // no norm to go by
    /// ```
    #[must_use]
    pub fn ratio(target: Wide, norm: Wide) -> Self {
        let quotient = target / norm;
        if quotient.is_finite() {
            Self(quotient)
        } else {
            Self::ONE
        }
    }

    /// Both factors in one.
    ///
    /// ```
    /// use steadygrad::Factor;
    /// let (tiny, huge) = (Factor::new(1e-300)?, Factor::new(1e300)?);
    /// assert_eq!(tiny.then(tiny).to_f64(), 0.0);   // for an f64; the factor knows better
    /// assert!((tiny.then(tiny).then(huge).then(huge).to_f64() - 1.0).abs() < 1e-14);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        Self(self.0 * next.0)
    }

    /// `x` times the factor.
    ///
    /// ```
    /// use steadygrad::Factor;
    /// assert_eq!(Factor::new(0.25)?.times(-8.0), -2.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn times(self, x: f64) -> f64 {
        let [a, b, c] = self.in_steps();
        x * a * b * c
    }

    /// The nearest `f64`; 0 or +∞ out of its range.
    ///
    /// ```
    /// use steadygrad::{Factor, Wide};
    /// assert_eq!(Factor::ratio(Wide::from(3.0), Wide::from(4.0)).to_f64(), 0.75);
    /// assert_eq!(Factor::ratio(Wide::ONE, Wide::new(1.0, 2000)).to_f64(), 0.0);
    /// ```
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0.to_f64()
    }

    /// The factor as a [`Wide`].
    ///
    /// ```
    /// use steadygrad::{Factor, Wide};
    /// let factor = Factor::ratio(Wide::ONE, Wide::new(1.0, 2000));
    /// assert_eq!(factor.to_wide(), Wide::new(1.0, -2000));   // as an f64 it would be 0
    /// ```
    #[must_use]
    pub fn to_wide(self) -> Wide {
        self.0
    }

    /// Three `f64`s that multiply to the factor, and that applied in turn round like it: what
    /// shrinks loses nothing but what the result cannot hold, what grows is exact up to the last.
    /// One is enough, with two ones behind it, unless the factor is out of the range of normal `f64`s.
    pub(crate) fn in_steps(self) -> [f64; 3] {
        let (m, e) = self.0.parts();
        if (-1022..=1023).contains(&e) {
            return [self.0.to_f64(), 1.0, 1.0];
        }
        // Beyond 2^±2100 every f64 becomes 0 or infinite.
        let e = e.clamp(-2100, 2100);
        let third = e / 3;
        [
            math::pow2(third),
            math::pow2(third),
            m * math::pow2(e - 2 * third),
        ]
    }
}

/// One thing done to every element of a tensor.
///
/// # Examples
///
/// ```
/// use steadygrad::{Edits, Op};
///
/// let mut edits = Edits::for_count(1);
/// edits.clamp(0, -1.0, 1.0);
/// edits.zero(0);
/// let ops: Vec<Op<'_>> = edits.get(0).ops().collect();
/// assert_eq!(ops, [Op::Clamp { min: -1.0, max: 1.0 }, Op::Zero]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Op<'a> {
    /// Times a factor.
    Scale(Factor),
    /// Into `[min, max]` by comparison, so that NaN stays NaN. The bounds are rounded toward zero to
    /// the element type, so that a clamp never clips its own output.
    Clamp {
        /// The lower bound, never NaN.
        min: f64,
        /// The upper bound, never NaN nor below `min`.
        max: f64,
    },
    /// Each unit along `axis` times a factor of its own. A tensor of at most one axis is one unit.
    ScaleUnits {
        /// The axis whose indices are the units.
        axis: usize,
        /// One factor for each unit.
        factors: &'a [f64],
    },
    /// +0.0, also in place of NaN and infinities.
    Zero,
}

/// An [`Op`] at rest: its factors lie in the arena.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stored {
    Scale(Factor),
    Clamp {
        min: f64,
        max: f64,
    },
    ScaleUnits {
        axis: usize,
        start: usize,
        len: usize,
    },
    Zero,
}

/// Bounds in order, so that whoever carries out a clamp makes the same of them.
fn in_order(min: f64, max: f64) -> (f64, f64) {
    let max = if max.is_nan() { f64::INFINITY } else { max };
    let min = if min.is_nan() {
        f64::NEG_INFINITY
    } else {
        min.min(max)
    };
    (min, max)
}

/// A clamp alone.
pub(crate) struct Clamp {
    min: f64,
    max: f64,
    ops: [Stored; 1],
}

impl Clamp {
    pub(crate) fn new(min: f64, max: f64) -> Self {
        let (min, max) = in_order(min, max);
        Self {
            min,
            max,
            ops: [Stored::Clamp { min, max }],
        }
    }

    /// Whether it changes nothing of elements in this range.
    pub(crate) fn keeps(&self, low: f64, high: f64) -> bool {
        self.min <= low && high <= self.max
    }

    /// What must be known to tell whether something lies outside: where the bounds are not alike on both
    /// sides, the largest magnitude does not say which of them it is beyond.
    pub(crate) fn look(&self) -> Look {
        Look {
            range: self.min != -self.max,
            ..Look::LEAST
        }
    }

    /// The bounds as elements, rounded toward zero.
    pub(crate) fn bounds<T: Element>(&self) -> (T, T) {
        (T::toward_zero(self.min), T::toward_zero(self.max))
    }

    pub(crate) fn edit(&self) -> Edit<'_> {
        Edit {
            ops: &self.ops,
            arena: &[],
        }
    }
}

/// The operations of one tensor, on the heap only from the second on.
#[derive(Clone, Debug, Default)]
struct List {
    first: Option<Stored>,
    /// All of them, if there are several.
    several: Vec<Stored>,
}

impl List {
    /// With space for so many operations.
    fn with_room(operations: usize) -> Self {
        Self {
            first: None,
            several: Vec::with_capacity(if operations > 1 { operations } else { 0 }),
        }
    }

    fn as_slice(&self) -> &[Stored] {
        if self.several.is_empty() {
            self.first.as_slice()
        } else {
            &self.several
        }
    }

    fn push(&mut self, op: Stored) {
        match self.first {
            None => self.first = Some(op),
            Some(first) => {
                if self.several.is_empty() {
                    self.several.push(first);
                }
                self.several.push(op);
            }
        }
    }

    fn reserve(&mut self, operations: usize) {
        if operations > 1 {
            self.several.reserve(operations);
        }
    }

    /// Becomes equal to `other`, in place.
    fn copy(&mut self, other: &Self) {
        self.first = other.first;
        self.several.clone_from(&other.several);
    }

    fn clear(&mut self) {
        self.first = None;
        self.several.clear();
    }
}

/// What to do to one tensor: operations applied in order, per element, in `f64`, rounded once at
/// the end. Empty means: keep every bit.
///
/// # Examples
///
/// ```
/// use steadygrad::{Edit, Edits, Factor, TensorMut};
///
/// let mut edits = Edits::for_count(1);
/// edits.scale(0, Factor::new(10.0)?);
/// edits.clamp(0, -5.0, 5.0);
/// let mut w = vec![0.25_f32, -3.0];
/// w.edit(&edits.get(0))?;
/// assert_eq!(w, [2.5, -5.0]);
/// w.edit(&Edit::KEEP)?;
/// assert_eq!(w, [2.5, -5.0]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Edit<'a> {
    ops: &'a [Stored],
    arena: &'a [f64],
}

impl Default for Edit<'_> {
    fn default() -> Self {
        Self::KEEP
    }
}

/// Of the same operations in the same order.
impl PartialEq for Edit<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.ops().eq(other.ops())
    }
}

impl<'a> Edit<'a> {
    /// Keep every bit.
    ///
    /// ```
    /// use steadygrad::{Edit, TensorMut};
    /// let mut w = vec![1.0_f32, f32::INFINITY];
    /// w.edit(&Edit::KEEP)?;
    /// assert_eq!(w, [1.0, f32::INFINITY]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub const KEEP: Self = Self {
        ops: &[],
        arena: &[],
    };

    /// Whether nothing is to be done.
    ///
    /// ```
    /// use steadygrad::Edits;
    /// let mut edits = Edits::for_count(2);
    /// edits.zero(1);
    /// assert!(edits.get(0).is_keep() && !edits.get(1).is_keep());
    /// ```
    #[must_use]
    #[inline]
    pub fn is_keep(&self) -> bool {
        self.ops.is_empty()
    }

    /// The operations in order.
    ///
    /// ```
    /// use steadygrad::{Edits, Factor, Op};
    /// let mut edits = Edits::for_count(1);
    /// edits.scale(0, Factor::new(0.5)?);
    /// edits.clamp(0, -1.0, 1.0);
    /// assert!(edits.get(0).ops().any(|op| matches!(op, Op::Clamp { max: 1.0, .. })));
    /// assert_eq!(edits.get(0).ops().next(), Some(Op::Scale(Factor::new(0.5)?)));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[inline]
    pub fn ops(&self) -> impl Iterator<Item = Op<'a>> + use<'a> {
        let arena = self.arena;
        self.ops.iter().map(move |op| match *op {
            Stored::Scale(factor) => Op::Scale(factor),
            Stored::Clamp { min, max } => Op::Clamp { min, max },
            Stored::ScaleUnits { axis, start, len } => Op::ScaleUnits {
                axis,
                factors: &arena[start..start + len],
            },
            Stored::Zero => Op::Zero,
        })
    }

    /// The one factor that the whole edit comes to: 1 for keep, `None` if it does more than scale.
    ///
    /// ```
    /// use steadygrad::{Edit, Edits, Factor};
    /// let mut edits = Edits::for_count(1);
    /// edits.scale(0, Factor::new(0.5)?);
    /// edits.scale(0, Factor::new(0.25)?);
    /// assert_eq!(edits.get(0).factor(), Some(Factor::new(0.125)?));
    /// edits.clamp(0, -1.0, 1.0);
    /// assert_eq!((edits.get(0).factor(), Edit::KEEP.factor()), (None, Some(Factor::ONE)));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn factor(&self) -> Option<Factor> {
        self.ops
            .iter()
            .try_fold(Factor::ONE, |product, op| match *op {
                Stored::Scale(factor) => Some(product.then(factor)),
                _ => None,
            })
    }

    /// The smallest factor on an element: 0 once it is zeroed. Clamps are passed over.
    fn least_factor(&self) -> f64 {
        let product = self.ops().fold(Wide::ONE, |product, op| match op {
            Op::Scale(factor) => product * factor.to_wide(),
            Op::ScaleUnits { factors, .. } => {
                let sizes = factors.iter().map(|factor| factor.abs());
                product * Wide::from(sizes.reduce(f64::min).unwrap_or(1.0))
            }
            Op::Clamp { .. } => product,
            Op::Zero => Wide::ZERO,
        });
        product.to_f64()
    }

    /// What the edit makes of `stats` by arithmetic; `None` if it does more than scale and zero.
    pub(crate) fn follow(&self, stats: &Stats) -> Option<Stats> {
        self.ops.iter().try_fold(*stats, |stats, op| match *op {
            Stored::Scale(factor) => Some(stats.scaled(factor)),
            Stored::Zero => Some(stats.zeroed()),
            // A clamp that does not bite.
            // NaN stays, but its finite neighbours count.
            Stored::Clamp { min, max } if stats.lies_within(min, max) => Some(stats),
            _ => None,
        })
    }

    /// The axis of the first operation that needs units.
    #[cfg(feature = "ndarray")]
    pub(crate) fn unit_axes(&self) -> impl Iterator<Item = usize> + use<'a> {
        self.ops.iter().filter_map(|op| {
            if let Stored::ScaleUnits { axis, .. } = *op {
                Some(axis)
            } else {
                None
            }
        })
    }

    /// Checks that every list of factors fits a tensor of this shape, given as `units(axis)`.
    pub(crate) fn check_units(&self, units: impl Fn(usize) -> Result<usize>) -> Result<()> {
        for op in self.ops {
            if let Stored::ScaleUnits {
                axis, len: found, ..
            } = *op
            {
                let expected = units(axis)?;
                if found != expected {
                    return Err(Error::Count {
                        what: "factors for the units",
                        expected,
                        found,
                    });
                }
            }
        }
        Ok(())
    }
}

/// One [`Edit`] for each tensor of a set: where rules write what they want done.
///
/// The space is reused from step to step. Rules come in the order of the chain, and what one pushes
/// acts on what those before it left.
///
/// # Examples
///
/// ```
/// use steadygrad::{Edits, Factor, TensorSetMut};
///
/// let mut grads = vec![vec![1.0_f32, 2.0], vec![3.0]];
/// let mut edits = Edits::for_count(2);
/// edits.scale_all(Factor::new(2.0)?);
/// edits.zero(1);
/// grads.apply(&edits)?;
/// assert_eq!(grads, [vec![2.0, 4.0], vec![0.0]]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Edits {
    /// What is done to every tensor that has no list of its own.
    all: List,
    /// What is done to each of the first `apart` tensors. What follows is kept for later.
    lists: Vec<List>,
    apart: usize,
    count: usize,
    arena: Vec<f64>,
    names: Option<Arc<Names>>,
    pushed: u64,
    grows: bool,
    /// Norms that rules have seen to.
    held: Vec<Held>,
    abstained: bool,
    /// How many operations a new list has room for.
    room: usize,
}

/// What a rule has seen to: that the norm of the whole, or of each tensor, is at most `max`. Elements that are
/// rounded to their type, and norms that follow by arithmetic, may come out a little above; that is no news to
/// the rules behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) each: bool,
    pub(crate) norm: Norm,
    pub(crate) max: f64,
}

impl Held {
    /// In a set of so many tensors.
    fn applies_to_whole(self, count: usize) -> bool {
        !self.each || count == 1
    }
}

/// Of as many tensors and the same [`Edit`] for each.
impl PartialEq for Edits {
    fn eq(&self, other: &Self) -> bool {
        let different = self.different().max(other.different());
        self.count == other.count && (0..different).all(|i| self.get(i) == other.get(i))
    }
}

impl Edits {
    /// Keep everything in a set of `count` tensors of any names.
    ///
    /// ```
    /// use steadygrad::{Edits, TensorSetMut};
    /// let mut grads = vec![vec![1.0_f32], vec![2.0]];
    /// assert!(grads.apply(&Edits::for_count(2)).is_ok());
    /// assert!(grads.apply(&Edits::for_count(3)).is_err());   // meant for another set
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn for_count(count: usize) -> Self {
        let mut edits = Self::default();
        edits.reset(count, None);
        edits
    }

    /// Makes new lists large enough for so many operations more.
    pub(crate) fn make_room(&mut self, operations: usize) {
        self.room += operations;
        self.held.reserve(self.room);
    }

    pub(crate) fn reset(&mut self, count: usize, names: Option<&Arc<Names>>) {
        self.lists[..self.apart].iter_mut().for_each(List::clear);
        self.apart = 0;
        self.all.clear();
        if self.room > 0 {
            self.all.reserve(self.room);
            // All at once, so that no later step allocates.
            self.make_lists(count);
        }
        self.arena.clear();
        self.held.clear();
        (self.count, self.pushed, self.abstained) = (count, 0, false);
        self.grows = false;
        if !matches!((&self.names, names), (Some(mine), Some(theirs)) if Arc::ptr_eq(mine, theirs))
        {
            self.names = names.cloned();
        }
    }

    /// Makes lists for the first `count` tensors, if there is memory for so many.
    fn make_lists(&mut self, count: usize) -> bool {
        let (room, made) = (self.room, self.lists.len());
        if made < count {
            if self.lists.try_reserve(count - made).is_err() {
                return false;
            }
            self.lists.resize_with(count, || List::with_room(room));
        }
        true
    }

    /// How many tensors tell of all: those that have a list of their own, and the first behind them.
    fn different(&self) -> usize {
        self.count.min(self.apart + 1)
    }

    /// The number of tensors.
    ///
    /// ```
    /// use steadygrad::Edits;
    /// assert_eq!(Edits::for_count(3).len(), 3);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no tensor.
    ///
    /// ```
    /// use steadygrad::Edits;
    /// assert!(Edits::default().is_empty());
    /// assert!(!Edits::for_count(1).is_empty());   // one tensor, even if it is kept
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether nothing is to be done to any tensor.
    ///
    /// ```
    /// use steadygrad::Edits;
    /// let mut edits = Edits::for_count(2);
    /// assert!(edits.is_keep());
    /// edits.zero(1);
    /// assert!(!edits.is_keep());
    /// ```
    #[must_use]
    pub fn is_keep(&self) -> bool {
        self.pushed == 0
    }

    /// The edit of tensor `index`; [`Edit::KEEP`] beyond the last.
    ///
    /// ```
    /// use steadygrad::{Edits, Op};
    /// let mut edits = Edits::for_count(1);
    /// edits.zero_all();
    /// assert_eq!(edits.get(0).ops().collect::<Vec<_>>(), [Op::Zero]);
    /// assert!(edits.get(7).is_keep());
    /// ```
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> Edit<'_> {
        if index >= self.count {
            return Edit::KEEP;
        }
        let list = self.lists[..self.apart].get(index).unwrap_or(&self.all);
        Edit {
            ops: list.as_slice(),
            arena: &self.arena,
        }
    }

    /// Scales tensor `index`.
    ///
    /// ```
    /// use steadygrad::{Edits, Factor, TensorSetMut};
    /// let mut grads = vec![vec![4.0_f32], vec![8.0]];
    /// let mut edits = Edits::for_count(2);
    /// edits.scale(1, Factor::new(0.5)?);
    /// grads.apply(&edits)?;
    /// assert_eq!(grads, [[4.0], [4.0]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn scale(&mut self, index: usize, factor: Factor) {
        self.push(index, Stored::Scale(factor));
    }

    /// Scales every tensor.
    ///
    /// ```
    /// use steadygrad::{Edits, Factor, TensorSetMut};
    /// let mut grads = vec![vec![4.0_f32], vec![8.0]];
    /// let mut edits = Edits::for_count(2);
    /// edits.scale_all(Factor::new(0.5)?);
    /// grads.apply(&edits)?;
    /// assert_eq!(grads, [[2.0], [4.0]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn scale_all(&mut self, factor: Factor) {
        self.push_all(Stored::Scale(factor));
    }

    /// Clamps tensor `index` into `[min, max]`. A NaN bounds nothing; if `min` is above `max`, every number
    /// becomes `max`.
    ///
    /// ```
    /// use steadygrad::{Edits, TensorSetMut};
    /// let mut grads = vec![vec![0.5_f32, f32::NEG_INFINITY, 7.0]; 3];
    /// let mut edits = Edits::for_count(3);
    /// edits.clamp(0, -1.0, 2.0);
    /// edits.clamp(1, -1.0, f64::NAN);
    /// edits.clamp(2, 3.0, 2.0);
    /// grads.apply(&edits)?;
    /// assert_eq!(grads, [[0.5, -1.0, 2.0], [0.5, -1.0, 7.0], [2.0, 2.0, 2.0]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn clamp(&mut self, index: usize, min: f64, max: f64) {
        let (min, max) = in_order(min, max);
        self.push(index, Stored::Clamp { min, max });
    }

    /// Scales each unit of tensor `index` along `axis` by its own factor. The factors are taken as they are: a
    /// negative one turns the signs, NaN makes its unit NaN, and so does an infinite one of zeros. If there are
    /// not as many as units, applying the edits is an error.
    ///
    /// ```
    /// # #[cfg(feature = "ndarray")] {
    /// use ndarray::array;
    /// use steadygrad::{Edits, TensorSetMut};
    ///
    /// let mut w = array![[1.0_f32, 2.0], [3.0, 4.0]];
    /// let mut edits = Edits::for_count(1);
    /// edits.scale_units(0, 0, &[1.0, 0.5]);   // along axis 0, so a factor for each row
    /// w.apply(&edits)?;
    /// assert_eq!(w, array![[1.0, 2.0], [1.5, 2.0]]);
    /// # }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn scale_units(&mut self, index: usize, axis: usize, factors: &[f64]) {
        let start = self.arena.len();
        self.arena.extend_from_slice(factors);
        self.push(
            index,
            Stored::ScaleUnits {
                axis,
                start,
                len: factors.len(),
            },
        );
    }

    /// Makes every element of tensor `index` +0.0.
    ///
    /// ```
    /// use steadygrad::{Edits, TensorSetMut};
    /// let mut grads = vec![vec![1.0_f32], vec![f32::NAN, -3.0]];
    /// let mut edits = Edits::for_count(2);
    /// edits.zero(1);
    /// grads.apply(&edits)?;
    /// assert_eq!(grads, [vec![1.0], vec![0.0, 0.0]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn zero(&mut self, index: usize) {
        self.push(index, Stored::Zero);
    }

    /// Makes every element of every tensor +0.0.
    ///
    /// ```
    /// use steadygrad::{Edits, TensorSetMut};
    /// let mut grads = vec![vec![1.0_f32], vec![f32::NAN, -3.0]];
    /// let mut edits = Edits::for_count(2);
    /// edits.zero_all();
    /// grads.apply(&edits)?;
    /// assert_eq!(grads, [vec![0.0], vec![0.0, 0.0]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn zero_all(&mut self) {
        self.push_all(Stored::Zero);
    }

    /// Says that the rule could not decide, for lack of finite numbers, and leaves things as they are.
    ///
    /// ```
    /// # use steadygrad::{clip::Clipper, detect::StepView, Edits, Guard, OnNonFinite};
    /// # #[derive(Debug)]
    /// # struct Careful;
    /// impl Clipper for Careful {
    ///     fn plan(&mut self, step: &StepView<'_>, edits: &mut Edits) {
    ///         if !step.grads.total().is_finite() { edits.abstain() }
    ///     }
    /// }
    /// let mut guard = Guard::new().clip(Careful).on_non_finite(OnNonFinite::Propagate);
    /// assert_eq!(guard.step(&mut [f32::NAN])?.abstained(), ["clipper"]);   // under the rule's name
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn abstain(&mut self) {
        self.abstained = true;
    }

    pub(crate) fn take_abstained(&mut self) -> bool {
        core::mem::take(&mut self.abstained)
    }

    /// How many operations were pushed so far.
    pub(crate) fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Notes that a rule has seen to a norm.
    pub(crate) fn hold(&mut self, held: Held) {
        self.held.push(held);
    }

    /// Whether what was measured lies a little above a norm that rules have seen to.
    pub(crate) fn settles(&self, total: &Stats, tensors: &[Stats]) -> bool {
        self.held.iter().any(|held| {
            let above = |stats: &Stats| stats.norm(held.norm) > Wide::from(held.max);
            held.applies_to_whole(self.count) && above(total)
                || held.each && tensors.iter().any(above)
        })
    }

    /// Takes the norm of the whole, measured or followed by arithmetic, for what the rules have made of it.
    pub(crate) fn settle_total(&self, total: &mut Stats) {
        for held in &self.held {
            if held.applies_to_whole(self.count) {
                total.hold(held.norm, held.max);
            }
        }
    }

    /// The same for each tensor.
    pub(crate) fn settle_tensors(&self, tensors: &mut [Stats]) {
        for held in self.held.iter().filter(|held| held.each) {
            for stats in &mut *tensors {
                stats.hold(held.norm, held.max);
            }
        }
    }

    /// Whether an operation may make an element larger than it was.
    fn note_growth(&mut self, op: Stored) {
        let grows = match op {
            Stored::Scale(factor) => factor > Factor::ONE,
            Stored::Clamp { min, max } => min > 0.0 || max < 0.0,
            Stored::ScaleUnits { start, len, .. } => {
                let mut factors = self.arena[start..start + len].iter();
                !factors.all(|factor| factor.abs() <= 1.0)
            }
            Stored::Zero => false,
        };
        if grows {
            self.held.clear();
            self.grows = true;
        }
    }

    /// Whether any operation may.
    pub(crate) fn may_grow(&self) -> bool {
        self.grows
    }

    /// The names of the tensors these edits were planned for.
    pub(crate) fn name(&self, index: usize) -> Option<&str> {
        self.names.as_ref().and_then(|names| names.get(index))
    }

    /// The one factor that everything is scaled by; `None` if tensors differ or are not only scaled.
    ///
    /// ```
    /// use steadygrad::{Edits, Factor};
    /// let mut edits = Edits::for_count(2);
    /// edits.scale_all(Factor::new(0.5)?);
    /// assert_eq!(edits.common_factor(), Some(Factor::new(0.5)?));
    /// edits.scale(0, Factor::new(0.5)?);
    /// assert_eq!(edits.common_factor(), None);   // 0.25 for the one, 0.5 for the other
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn common_factor(&self) -> Option<Factor> {
        if self.is_keep() {
            return Some(Factor::ONE);
        }
        let first = self.get(0);
        let alike = (1..self.different()).all(|i| self.get(i).ops == first.ops);
        if alike { first.factor() } else { None }
    }

    /// The smallest factor by which a tensor is scaled; 1 for those that are kept or only clamped.
    pub(crate) fn least_factor(&self) -> f64 {
        let factors = (0..self.different()).map(|i| self.get(i).least_factor());
        factors.reduce(f64::min).unwrap_or(1.0)
    }

    fn push(&mut self, index: usize, op: Stored) {
        if index >= self.count {
            return;
        }
        if index >= self.apart {
            // No set has more tensors than there is memory for lists, so that nobody misses an edit.
            if !self.make_lists(index + 1) {
                return;
            }
            for list in &mut self.lists[self.apart..=index] {
                list.copy(&self.all);
            }
            self.apart = index + 1;
        }
        self.note_growth(op);
        self.lists[index].push(op);
        self.pushed = self.pushed.saturating_add(1);
    }

    fn push_all(&mut self, op: Stored) {
        self.note_growth(op);
        for list in &mut self.lists[..self.apart] {
            list.push(op);
        }
        self.all.push(op);
        self.pushed = self.pushed.saturating_add(self.count as u64);
    }
}
