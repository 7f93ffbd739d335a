//! What is asked of a tensor.

use alloc::vec::Vec;

use crate::Stats;
use crate::edit::Edit;
use crate::needs::Look;

/// What to measure of one tensor.
///
/// The default asks for the counts, the norms L1 and L2 and the largest magnitude.
///
/// # Examples
///
/// ```
/// use steadygrad::{Ask, Norm, Tensor};
///
/// let stats = [3.0, 4.0, 5.0].stats(&mut Ask::default().power(3.0))?;
/// assert_eq!(stats.l1(), 12.0);
/// assert!((stats.norm(Norm::P(3.0)).to_f64() - 6.0).abs() < 1e-14);   // 27 + 64 + 125 = 216
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Ask<'a> {
    /// Measure the values as this edit would leave them; nothing is written.
    pub after: Edit<'a>,
    /// Σ|x|.
    pub magnitudes: bool,
    /// The largest magnitude, which memory of the host tells unasked.
    pub largest: bool,
    /// Σ|x|^p for this p, for [`Norm::P`](crate::Norm::P).
    pub power: Option<f64>,
    /// The smallest and the largest element, not only the largest magnitude.
    pub range: bool,
    /// Append the [`Stats`] of each unit along an axis that the tensor has. A flat tensor has one, along which each
    /// element is a unit.
    pub units: Option<(usize, &'a mut Vec<Stats>)>,
}

impl Default for Ask<'_> {
    fn default() -> Self {
        Self {
            magnitudes: true,
            largest: true,
            ..Self::least()
        }
    }
}

impl<'a> Ask<'a> {
    /// The counts and the L2 norm, which every read gives, as of memory of the host the largest magnitude. In cache this takes a third less
    /// time than Σ|x| beside them.
    ///
    /// ```
    /// use steadygrad::{Ask, Tensor};
    /// let stats = [3.0, -4.0].stats(&mut Ask::least())?;
    /// assert_eq!((stats.l2(), stats.max_abs()), (5.0, 4.0));
    /// assert!(stats.l1().is_nan());   // nobody asked
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn least() -> Self {
        Self {
            after: Edit::KEEP,
            magnitudes: false,
            largest: false,
            power: None,
            range: false,
            units: None,
        }
    }

    /// As this edit would leave the values.
    ///
    /// ```
    /// use steadygrad::{Ask, Edits, Factor, Tensor};
    /// let mut edits = Edits::for_count(1);
    /// edits.scale(0, Factor::new(2.0)?);
    /// assert_eq!(vec![3.0_f32, 4.0].stats(&mut Ask::default().after(edits.get(0)))?.l2(), 10.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn after(self, edit: Edit<'a>) -> Self {
        Self {
            after: edit,
            ..self
        }
    }

    /// And Σ|x|^p.
    #[must_use]
    pub fn power(self, p: f64) -> Self {
        Self {
            power: Some(p),
            ..self
        }
    }

    /// And the smallest and the largest element.
    ///
    /// ```
    /// use steadygrad::{Ask, Tensor};
    /// assert_eq!([3.0, -4.0].stats(&mut Ask::default().range())?.range(), (-4.0, 3.0));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn range(self) -> Self {
        Self {
            range: true,
            ..self
        }
    }

    /// And each unit along `axis`.
    ///
    /// ```
    /// # #[cfg(feature = "ndarray")] {
    /// use steadygrad::{Ask, Tensor};
    /// let mut rows = vec![];
    /// ndarray::array![[3.0, 4.0], [0.0, 2.0]].stats(&mut Ask::default().units(0, &mut rows))?;
    /// assert_eq!((rows[0].l2(), rows[1].l2()), (5.0, 2.0));
    /// # }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn units(self, axis: usize, to: &'a mut Vec<Stats>) -> Self {
        Self {
            units: Some((axis, to)),
            ..self
        }
    }

    #[inline]
    pub(crate) fn look(&self) -> Look {
        Look {
            l1: self.magnitudes,
            power: self.power,
            range: self.range,
        }
    }
}
