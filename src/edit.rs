//! What a rule wants done to the tensors.

use crate::factor::Factor;
use crate::{Error, Result, Stats, Wide};

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
    /// Each unit along `axis` times a factor of its own. A flat tensor has one axis, along which each element is a
    /// unit.
    ScaleUnits {
        /// The axis whose indices are the units.
        axis: usize,
        /// One factor for each unit.
        factors: &'a [Factor],
    },
    /// +0.0, also in place of NaN and infinities.
    Zero,
}

/// An [`Op`] at rest: its factors lie in the arena.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stored {
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
pub(crate) fn in_order(min: f64, max: f64) -> (f64, f64) {
    let max = if max.is_nan() { f64::INFINITY } else { max };
    let min = if min.is_nan() {
        f64::NEG_INFINITY
    } else {
        min.min(max)
    };
    (min, max)
}

/// One operation alone.
pub(crate) struct Alone([Stored; 1]);

impl Alone {
    pub(crate) fn clamp(min: f64, max: f64) -> Self {
        let (min, max) = in_order(min, max);
        Self([Stored::Clamp { min, max }])
    }

    pub(crate) fn scale(factor: Factor) -> Self {
        Self([Stored::Scale(factor)])
    }

    pub(crate) fn zero() -> Self {
        Self([Stored::Zero])
    }

    pub(crate) fn edit(&self) -> Edit<'_> {
        Edit {
            ops: &self.0,
            arena: &[],
        }
    }
}

/// What to do to one tensor: operations applied in order, per element, as if in `f64` and rounded once at the end. Empty
/// means: keep every bit.
///
/// `f64` elements are treated so. Of the others each comes out within 1/2 + 2^-12 units in the last place of that, `f32`
/// within 1/2 + 2^-20, and with the same bits on every processor.
///
/// # Examples
///
/// ```
/// use steadygrad::{Edit, Edits, Factor, Tell, TensorMut};
///
/// let mut edits = Edits::for_count(1);
/// edits.scale(0, Factor::new(10.0)?);
/// edits.clamp(0, -5.0, 5.0);
/// let mut w = vec![0.25_f32, -3.0];
/// w.edit(&edits.get(0), Tell::nothing())?;
/// assert_eq!(w, [2.5, -5.0]);
/// w.edit(&Edit::KEEP, Tell::nothing())?;
/// assert_eq!(w, [2.5, -5.0]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Edit<'a> {
    pub(crate) ops: &'a [Stored],
    pub(crate) arena: &'a [Factor],
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
    /// use steadygrad::{Edit, Tell, TensorMut};
    /// let mut w = vec![1.0_f32, f32::INFINITY];
    /// w.edit(&Edit::KEEP, Tell::nothing())?;
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
    pub(crate) fn least_factor(&self) -> f64 {
        let product = self.ops().fold(Wide::ONE, |product, op| match op {
            Op::Scale(factor) => product * factor.to_wide(),
            Op::ScaleUnits { factors, .. } => {
                let least = factors.iter().copied().reduce(Factor::min);
                product * least.unwrap_or(Factor::ONE).to_wide()
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

    /// The bounds, if it clamps once and does nothing else.
    ///
    /// ```
    /// use steadygrad::Edits;
    /// let mut edits = Edits::for_count(1);
    /// edits.clamp(0, -1.0, 2.0);
    /// assert_eq!(edits.get(0).clamp(), Some((-1.0, 2.0)));
    /// edits.zero(0);
    /// assert_eq!(edits.get(0).clamp(), None);
    /// ```
    #[must_use]
    pub fn clamp(&self) -> Option<(f64, f64)> {
        match *self.ops {
            [Stored::Clamp { min, max }] => Some((min, max)),
            _ => None,
        }
    }

    /// Whether elements of different units are treated differently.
    pub(crate) fn scales_units(&self) -> bool {
        self.ops
            .iter()
            .any(|op| matches!(op, Stored::ScaleUnits { .. }))
    }

    /// The axes along which units are scaled.
    #[cfg(feature = "ndarray")]
    pub(crate) fn unit_axes(&self) -> impl Iterator<Item = usize> + use<'a> {
        self.ops.iter().filter_map(|op| match *op {
            Stored::ScaleUnits { axis, .. } => Some(axis),
            _ => None,
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
