//! What is to be measured.

use alloc::vec::Vec;

use crate::Covers;
use crate::units::Units;

/// What a rule wants measured.
///
/// Every read gives the counts and the L2 norm, so that is what the default asks for. The rest is asked for by name.
///
/// # Examples
///
/// ```
/// use steadygrad::{Needs, Units};
///
/// let rows = Needs::norms().of_units(Units::First);
/// assert!(rows.covers(&Needs::default()) && !Needs::default().covers(&rows));
/// let both = rows.clone().or(&Needs::norms().of_magnitudes());
/// assert!(both.magnitudes && both.covers(&rows));
/// ```
#[derive(Debug, Default, PartialEq)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a thing of its own to be asked for"
)]
pub struct Needs {
    /// Σ|x|, for the L1 norm.
    pub magnitudes: bool,
    /// The largest magnitude. Memory of the host tells it unasked; on a device it takes as long as the norm.
    pub largest: bool,
    /// Σ|x|^p for this p, for a norm of a general `p`.
    pub power: Option<f64>,
    /// The smallest and the largest element, for bounds that are not alike on both sides.
    pub range: bool,
    /// Statistics of each unit of each tensor.
    pub units: Option<Units>,
    /// The exact total of each of these groups of tensors.
    pub groups: Vec<Covers>,
    /// Whether the tensors are looked at one by one, and not their total alone. It matters where each of them is
    /// [cut](crate::reduce::Shards::elements) over ranks: a rule that does not ask for it sees this rank's parts.
    pub tensors: bool,
    /// The parameters: a rule that is given none has nothing to say.
    pub params: bool,
    /// The loss: a rule that is given none has nothing to say.
    pub loss: bool,
}

impl Clone for Needs {
    fn clone(&self) -> Self {
        let mut needs = Self::default();
        needs.clone_from(self);
        needs
    }

    /// Into the room there is: a measurement takes in what is needed at every step.
    fn clone_from(&mut self, source: &Self) {
        let mut groups = core::mem::take(&mut self.groups);
        groups.clone_from(&source.groups);
        *self = Self {
            groups,
            units: source.units.clone(),
            ..*source
        };
    }
}

impl Needs {
    /// Of the same tensors' parameters or updates.
    pub(crate) fn beside(&self) -> Self {
        Self {
            units: self.units.clone(),
            groups: self.groups.clone(),
            tensors: self.tensors,
            ..Self::default()
        }
    }

    /// Counts and the L2 norm: what every read gives. Of memory of the host also the largest magnitude.
    ///
    /// ```
    /// use steadygrad::{Measurement, Needs};
    /// let seen = Measurement::with_needs(&vec![3.0, -4.0], &Needs::norms())?;
    /// assert_eq!((seen.total().l2(), seen.total().max_abs()), (5.0, 4.0));
    /// assert!(seen.total().l1().is_nan());   // nobody asked
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn norms() -> Self {
        Self::default()
    }

    /// And Σ|x|.
    ///
    /// ```
    /// use steadygrad::{Measurement, Needs};
    /// let seen = Measurement::with_needs(&vec![3.0, -4.0], &Needs::norms().of_magnitudes())?;
    /// assert_eq!(seen.total().l1(), 7.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn of_magnitudes(self) -> Self {
        Self {
            magnitudes: true,
            ..self
        }
    }

    /// And the largest magnitude.
    ///
    /// ```
    /// use steadygrad::{Measurement, Needs};
    /// let seen = Measurement::with_needs(&vec![3.0, -4.0], &Needs::norms().of_largest())?;
    /// assert_eq!(seen.total().max_abs(), 4.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn of_largest(self) -> Self {
        Self {
            largest: true,
            ..self
        }
    }

    /// And Σ|x|^p.
    ///
    /// ```
    /// use steadygrad::{Measurement, Needs, Norm};
    /// let seen = Measurement::with_needs(&vec![3.0, 4.0, 5.0], &Needs::norms().of_power(3.0))?;
    /// assert!((seen.total().norm(Norm::P(3.0)).to_f64() - 6.0).abs() < 1e-14);   // 27 + 64 + 125 = 216
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn of_power(self, p: f64) -> Self {
        Self {
            power: Some(p),
            ..self
        }
    }

    /// And the smallest and the largest element.
    ///
    /// ```
    /// use steadygrad::{Measurement, Needs};
    /// let seen = Measurement::with_needs(&vec![3.0, -4.0], &Needs::norms().of_range())?;
    /// assert_eq!(seen.total().range(), (-4.0, 3.0));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn of_range(self) -> Self {
        Self {
            range: true,
            ..self
        }
    }

    /// And of each unit apart.
    ///
    /// ```
    /// # #[cfg(feature = "ndarray")] {
    /// use ndarray::array;
    /// use steadygrad::{Measurement, Needs, Units};
    /// let columns = Needs::norms().of_units(Units::Last);
    /// let seen = Measurement::with_needs(&array![[3.0, 0.0], [4.0, 2.0]], &columns)?;
    /// assert_eq!((seen.units(0)[0].l2(), seen.units(0)[1].l2()), (5.0, 2.0));
    /// # }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn of_units(self, units: impl Into<Units>) -> Self {
        Self {
            units: Some(units.into()),
            ..self
        }
    }

    /// And the exact total of a group of tensors.
    ///
    /// ```
    /// use steadygrad::{Covers, Measurement, Needs};
    /// let (encoder, grads) = (Covers::from("encoder."), [("encoder.w", [3.0, 4.0]), ("head.w", [9.0, 9.0])]);
    /// let seen = Measurement::with_needs(&grads, &Needs::norms().of_group(encoder.clone()))?;
    /// assert_eq!(seen.group(&encoder).map(|total| total.l2()), Some(5.0));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn of_group(mut self, covers: Covers) -> Self {
        if !self.groups.contains(&covers) {
            self.groups.push(covers);
        }
        self
    }

    /// Of each tensor, and not of their total alone.
    ///
    /// ```
    /// use steadygrad::Needs;
    /// assert!(Needs::norms().of_tensors().tensors);
    /// ```
    #[must_use]
    pub fn of_tensors(self) -> Self {
        Self {
            tensors: true,
            ..self
        }
    }

    /// And the parameters.
    ///
    /// ```
    /// use steadygrad::Needs;
    /// assert!(Needs::norms().of_params().params);
    /// ```
    #[must_use]
    pub fn of_params(self) -> Self {
        Self {
            params: true,
            ..self
        }
    }

    /// And the loss.
    ///
    /// ```
    /// use steadygrad::Needs;
    /// assert!(Needs::norms().of_loss().loss);
    /// ```
    #[must_use]
    pub fn of_loss(self) -> Self {
        Self { loss: true, ..self }
    }

    /// What serves both, field by field. One read sums one power and the units of one kind: where two differ, the
    /// first stays, and [`Needs::covers`] says that the other has to be read apart.
    ///
    /// ```
    /// use steadygrad::Needs;
    /// let (cubes, fourths) = (Needs::norms().of_power(3.0), Needs::norms().of_power(4.0));
    /// assert_eq!(cubes.clone().or(&fourths), cubes);
    /// assert!(!cubes.or(&fourths).covers(&fourths));
    /// ```
    #[must_use]
    pub fn or(mut self, other: &Self) -> Self {
        self.magnitudes |= other.magnitudes;
        self.power = self.power.or(other.power);
        self.largest |= other.largest;
        self.range |= other.range;
        if self.units.is_none() {
            self.units.clone_from(&other.units);
        }
        self.tensors |= other.tensors;
        self.params |= other.params;
        self.loss |= other.loss;
        other
            .groups
            .iter()
            .fold(self, |all, group| all.of_group(group.clone()))
    }

    /// Whether a measurement of gradients made for `self` serves `other`.
    ///
    /// ```
    /// use steadygrad::Needs;
    /// let (cubes, fourths) = (Needs::norms().of_power(3.0), Needs::norms().of_power(4.0));
    /// assert!(cubes.covers(&cubes) && cubes.covers(&Needs::default()));
    /// assert!(!cubes.covers(&fourths));
    /// ```
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        (self.magnitudes || !other.magnitudes)
            && (other.power.is_none() || other.power == self.power)
            && (self.largest || !other.largest)
            && (self.range || !other.range)
            && (other.units.is_none() || other.units == self.units)
            && other.groups.iter().all(|group| self.groups.contains(group))
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
