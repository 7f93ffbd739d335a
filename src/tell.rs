//! What a write is to tell of what it did.

use crate::Stats;
use crate::bound::ZEROED;

/// What is to be told of an edit while it is carried out.
///
/// # Examples
///
/// ```
/// use steadygrad::{Edits, Stats, Tell, TensorMut};
///
/// let mut edits = Edits::for_count(1);
/// edits.clamp(0, -2.0, 2.0);
/// let (mut w, mut left) = ([1.0_f32, -9.0], Stats::EMPTY);
/// w.edit(&edits.get(0), Tell::after(&mut left))?;
/// assert_eq!((w, left.max_abs()), ([1.0, -2.0], 2.0));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Tell<'t> {
    /// What the tensor is afterwards.
    pub after: Option<&'t mut Stats>,
    /// Σ|x| of what it is afterwards, too.
    pub magnitudes: bool,
    /// The largest magnitude of what it is afterwards, too, which memory of the host tells unasked.
    pub largest: bool,
    /// Σ|x|^p of what it is afterwards, too.
    pub power: Option<f64>,
    /// How many elements were clamped, and what was not finite, is added to this. Of an edit that does more than
    /// clamp once it tells nothing.
    pub clamped: Option<&'t mut Clamped>,
}

impl<'t> Tell<'t> {
    /// Nothing.
    ///
    /// ```
    /// use steadygrad::{Edits, Tell, TensorMut};
    /// let mut edits = Edits::for_count(1);
    /// edits.zero(0);
    /// let mut w = [1.0_f32];
    /// w.edit(&edits.get(0), Tell::nothing())?;
    /// assert_eq!(w, [0.0]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// What the tensor is afterwards: the counts, the L2 norm and the largest magnitude.
    ///
    /// ```
    /// use steadygrad::{Edit, Stats, Tell, TensorMut};
    /// let (mut w, mut left) = ([3.0_f32, 4.0], Stats::EMPTY);
    /// w.edit(&Edit::KEEP, Tell::after(&mut left))?;
    /// assert_eq!(left.l2(), 5.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn after(stats: &'t mut Stats) -> Self {
        Self {
            after: Some(stats),
            ..Self::default()
        }
    }

    /// How many elements a clamp changed.
    ///
    /// ```
    /// use steadygrad::{Clamped, Edits, Tell, TensorMut};
    /// let mut edits = Edits::for_count(1);
    /// edits.clamp(0, -2.0, 2.0);
    /// let (mut w, mut clamped) = ([1.0_f32, -9.0, f32::INFINITY], Clamped::default());
    /// w.edit(&edits.get(0), Tell::clamped(&mut clamped))?;
    /// assert_eq!((w, clamped.clipped(), clamped.inf()), ([1.0, -2.0, 2.0], 2, 1));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn clamped(counts: &'t mut Clamped) -> Self {
        Self {
            clamped: Some(counts),
            ..Self::default()
        }
    }
}

/// What a clip by value did.
///
/// # Examples
///
/// ```
/// use steadygrad::clip;
///
/// let mut grads = [0.5_f32, -7.0, f32::INFINITY, f32::NAN];
/// let clamped = clip::value(&mut grads, 1.0)?;
/// assert_eq!((clamped.clipped(), clamped.len()), (2, 4));
/// assert_eq!((clamped.nan(), clamped.inf()), (1, 1));
/// assert_eq!(clamped.to_string(), "2 of 4 elements clipped, found 1 NaN and 1 infinite");
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Clamped {
    pub(crate) len: u64,
    pub(crate) clipped: u64,
    pub(crate) nan: u64,
    pub(crate) inf: u64,
    /// Whether they were clipped to nothing, by a bound of 0.
    pub(crate) zeroed: bool,
}

/// Of the same counts, by whatever bounds.
impl PartialEq for Clamped {
    fn eq(&self, other: &Self) -> bool {
        let counts = |of: &Self| [of.len, of.clipped, of.nan, of.inf];
        counts(self) == counts(other)
    }
}

impl Eq for Clamped {}

impl Clamped {
    /// Of so many elements, so many of which were clipped, are NaN, and were infinite; for tensors of one's own.
    ///
    /// ```
    /// use steadygrad::Clamped;
    /// assert_eq!(Clamped::of(10, 2, 0, 1).clipped(), 2);
    /// ```
    #[must_use]
    pub fn of(len: u64, clipped: u64, nan: u64, inf: u64) -> Self {
        Self {
            len,
            clipped,
            nan,
            inf,
            zeroed: false,
        }
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there was nothing to be seen: no tensor, or none that has a gradient.
    ///
    /// ```
    /// use steadygrad::clip;
    /// assert!(clip::value(&mut None::<Vec<f32>>, 1.0)?.is_empty());
    /// assert!(!clip::value(&mut [0.0_f32], 1.0)?.is_empty());   // a zero is something
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many elements lay outside the bounds.
    #[must_use]
    pub fn clipped(&self) -> u64 {
        self.clipped
    }

    /// Whether any element did.
    ///
    /// ```
    /// use steadygrad::clip;
    /// let mut grads = [3.0_f32, -4.0];
    /// assert!(!clip::value(&mut grads, 4.0)?.is_clipped());   // equality is not outside
    /// assert!(clip::value(&mut grads, 3.5)?.is_clipped());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn is_clipped(&self) -> bool {
        self.clipped > 0
    }

    /// How many elements are NaN, which a clamp leaves as they are.
    #[must_use]
    pub fn nan(&self) -> u64 {
        self.nan
    }

    /// How many elements were infinite.
    #[must_use]
    pub fn inf(&self) -> u64 {
        self.inf
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.len = self.len.saturating_add(other.len);
        self.clipped = self.clipped.saturating_add(other.clipped);
        self.nan = self.nan.saturating_add(other.nan);
        self.inf = self.inf.saturating_add(other.inf);
        self.zeroed |= other.zeroed;
    }
}

impl core::ops::AddAssign for Clamped {
    fn add_assign(&mut self, other: Self) {
        self.add(other);
    }
}

impl core::fmt::Display for Clamped {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            len,
            clipped,
            nan,
            inf,
            zeroed,
        } = self;
        write!(f, "{clipped} of {len} elements clipped")?;
        if nan + inf > 0 {
            write!(f, ", found {nan} NaN and {inf} infinite")?;
        }
        if *zeroed {
            write!(f, ", {ZEROED}")?;
        }
        Ok(())
    }
}
