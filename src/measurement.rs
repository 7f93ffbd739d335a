//! What one read says of a set: named [`Stats`] and their exact total.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::edits::Edits;
use crate::factor::Factor;
use crate::names::Names;
use crate::needs::Needs;
use crate::stats::Stats;
use crate::total::Total;
use crate::{Covers, Error, Result};

/// What one read of a set says: the [`Stats`] of each tensor under its name, and the exact total.
///
/// This is all that rules and detectors ever see of a gradient. It is always finished: only
/// [`Measurement::fill`] opens it, and closes it whatever happens. The space is reused when a set of the same
/// names is measured again. Measurements are equal if all they say is; NaN, as ever, is not equal to NaN.
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
    pub(crate) names: Arc<Names>,
    /// Whether nobody will ask for names.
    pub(crate) nameless: bool,
    /// While it is read, what follows the first `count` is of the read before, to be written over.
    pub(crate) tensors: Vec<Stats>,
    pub(crate) count: usize,
    /// Gradients that were found and belong to none of the tensors.
    pub(crate) unmatched: usize,
    pub(crate) units: Vec<Stats>,
    /// If units were asked for, the axis of those of each tensor, and where they end in `units`.
    pub(crate) unit_ends: Vec<(Option<usize>, usize)>,
    pub(crate) needs: Needs,
    pub(crate) exact: Total,
    total: Stats,
    groups: Vec<Group>,
    /// Which group of the whole set this is, if it is not all of it.
    pub(crate) of: Option<u32>,
}

/// Some of the tensors taken together.
#[derive(Clone, Debug, Default, PartialEq)]
struct Group {
    /// Whose members these are, under the names of the measurement.
    covers: Option<Covers>,
    members: Vec<u32>,
    exact: Total,
    total: Stats,
    /// Which group of the whole set this is, where it is one of some of its tensors.
    whole: Option<u32>,
}

impl Measurement {
    /// Space for a set whose names nobody will ask for.
    pub(crate) fn nameless() -> Self {
        Self {
            nameless: true,
            ..Self::default()
        }
    }

    /// What `before` becomes by edits that only scale or zero; `None` if one does more.
    pub(crate) fn follow(&mut self, before: &Self, edits: &Edits) -> Option<()> {
        self.begin(&before.needs);
        self.unmatched = before.unmatched;
        self.needs.units = None;
        self.be_of_the_tensors_of(before);
        for (i, stats) in before.tensors.iter().enumerate() {
            let Some(stats) = edits.get(i).follow(stats) else {
                self.close();
                return None;
            };
            self.record(stats);
        }
        self.close();
        Some(())
    }

    /// Has what `before` becomes of the tensors that edits only scale or zero.
    pub(crate) fn follow_where_told(&mut self, before: &Self, edits: &Edits) {
        for (i, stats) in self.tensors.iter_mut().enumerate() {
            if let Some(told) = edits.get(i).follow(before.tensor(i)) {
                *stats = told;
            }
        }
    }

    /// Takes norms for what the rules have made of them.
    pub(crate) fn settle(&mut self, edits: &Edits) {
        edits.settle_total(&mut self.total);
        edits.settle_tensors(&mut self.tensors);
        for group in &mut self.groups {
            edits.settle_group(&group.members, &mut group.total);
        }
    }

    /// Makes this large enough for all that `like` holds, so that a later read into it allocates nothing.
    pub(crate) fn make_room(&mut self, like: &Self) {
        fn reserve<T>(space: &mut Vec<T>, len: usize) {
            space.reserve(len.saturating_sub(space.len()));
        }
        self.be_of_the_tensors_of(like);
        self.needs.groups.clone_from(&like.needs.groups);
        reserve(&mut self.tensors, like.tensors.len());
        reserve(&mut self.unit_ends, like.unit_ends.len());
        reserve(&mut self.units, like.units.len());
    }

    /// Has the names and groups of another measurement of the same tensors.
    pub(crate) fn be_of_the_tensors_of(&mut self, other: &Self) {
        if !Arc::ptr_eq(&self.names, &other.names) {
            self.names = Arc::clone(&other.names);
            // Whose members were those of other names.
            self.groups.clear();
        }
        self.groups.resize_with(other.groups.len(), Group::default);
        for (mine, theirs) in self.groups.iter_mut().zip(&other.groups) {
            if mine.covers != theirs.covers {
                mine.covers.clone_from(&theirs.covers);
                mine.members.clone_from(&theirs.members);
            }
        }
    }

    /// Opens it for tensors to come.
    pub(crate) fn begin(&mut self, needs: &Needs) {
        self.needs.clone_from(needs);
        (self.count, self.unmatched) = (0, 0);
        self.units.clear();
        self.unit_ends.clear();
        self.exact.clear();
    }

    /// Takes in the next tensor.
    #[inline]
    pub(crate) fn record(&mut self, stats: Stats) {
        self.exact.add(&stats);
        match self.tensors.get_mut(self.count) {
            Some(place) => *place = stats,
            None => self.tensors.push(stats),
        }
        self.count += 1;
    }

    /// Closes it under these names, if they are new.
    pub(crate) fn finish(&mut self, new_names: Option<Names>) {
        let renamed = new_names.is_some();
        if let Some(names) = new_names {
            self.names = Arc::new(names);
        }
        let (names, count) = (&self.names, self.count);
        let groups = &self.needs.groups;
        self.groups.resize_with(groups.len(), Group::default);
        for (group, covers) in self.groups.iter_mut().zip(groups) {
            if renamed || group.covers.as_ref() != Some(covers) {
                let covered = |&i: &usize| covers.covers(names.get(i).unwrap_or_default());
                group.members.clear();
                let members = (0..count).filter(covered).map(|i| i as u32);
                group.members.extend(members);
                group.covers = Some(covers.clone());
            }
        }
        self.close();
    }

    /// Rounds the totals.
    fn close(&mut self) {
        self.tensors.truncate(self.count);
        self.total = self.exact.stats();
        for group in &mut self.groups {
            group.exact.clear();
            let tensors = group.members.iter();
            for stats in tensors.filter_map(|&i| self.tensors.get(i as usize)) {
                group.exact.add(stats);
            }
            group.total = group.exact.stats();
        }
    }

    /// The unrounded totals: of the whole, then of each group.
    pub(crate) fn totals(&self) -> impl Iterator<Item = &Total> {
        core::iter::once(&self.exact).chain(self.groups.iter().map(|group| &group.exact))
    }

    pub(crate) fn totals_mut(&mut self) -> impl Iterator<Item = &mut Total> {
        let groups = self.groups.iter_mut().map(|group| &mut group.exact);
        core::iter::once(&mut self.exact).chain(groups)
    }

    /// The same, rounded.
    pub(crate) fn rounded_mut(&mut self) -> impl Iterator<Item = &mut Stats> {
        let groups = self.groups.iter_mut().map(|group| &mut group.total);
        core::iter::once(&mut self.total).chain(groups)
    }

    /// Rounds the totals anew.
    pub(crate) fn round(&mut self) {
        self.total = self.exact.stats();
        for group in &mut self.groups {
            group.total = group.exact.stats();
        }
    }

    /// Totals the tensors that count and no others.
    pub(crate) fn recount(&mut self, counts: impl Fn(usize) -> bool) {
        let Self {
            tensors,
            exact,
            groups,
            ..
        } = self;
        exact.clear();
        let counted = tensors.iter().enumerate().filter(|(i, _)| counts(*i));
        counted.for_each(|(_, stats)| exact.add(stats));
        for group in groups {
            group.exact.clear();
            let members = group.members.iter().map(|&i| i as usize);
            for stats in members
                .filter(|&i| counts(i))
                .filter_map(|i| tensors.get(i))
            {
                group.exact.add(stats);
            }
        }
    }

    /// Adds what tensor `index` comes to, to the totals of which it is a part.
    pub(crate) fn add_to_totals(&mut self, index: usize, total: &Total) {
        self.exact.merge(total);
        for group in &mut self.groups {
            if group.members.binary_search(&(index as u32)).is_ok() {
                group.exact.merge(total);
            }
        }
    }

    /// Has the totals of another measurement of the same tensors, times a factor.
    pub(crate) fn take_totals_of(&mut self, other: &Self, factor: Factor) {
        let theirs = core::iter::once(&other.total).chain(other.groups.iter().map(|g| &g.total));
        for (mine, theirs) in self.rounded_mut().zip(theirs) {
            *mine = theirs.scaled(factor);
        }
        for i in 0..=self.groups.len() {
            let stats = i
                .checked_sub(1)
                .map_or(self.total, |i| self.groups[i].total);
            if let Some(exact) = self.totals_mut().nth(i) {
                exact.clear();
                exact.add(&stats);
            }
        }
    }

    /// The tensors of a group, unless it is the whole: that is the first, then come the groups.
    pub(crate) fn members(&self, total: usize) -> Option<&[u32]> {
        let group = self.groups.get(total.checked_sub(1)?)?;
        Some(&group.members)
    }

    /// What was measured.
    ///
    /// ```
    /// use steadygrad::{Measurement, Needs};
    /// let cubes = Needs::norms().of_power(3.0);
    /// assert_eq!(*Measurement::with_needs(&vec![1.0, 2.0], &cubes)?.needs(), cubes);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn needs(&self) -> &Needs {
        &self.needs
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
        self.tensors.len()
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
        self.tensors.is_empty()
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
        &self.tensors
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

    /// The units of tensor `index`, if units were asked for; one that is a unit as a whole is its own. Else, and
    /// beyond the last tensor, there are none.
    ///
    /// ```
    /// # #[cfg(feature = "ndarray")] {
    /// use ndarray::array;
    /// use steadygrad::{Measurement, Needs, Units};
    ///
    /// let by_rows = Needs::norms().of_units(Units::First);
    /// let seen = Measurement::with_needs(&array![[3.0_f32, 4.0], [0.0, 2.0]], &by_rows)?;
    /// let norms: Vec<f64> = seen.units(0).iter().map(|row| row.l2()).collect();
    /// assert_eq!(norms, [5.0, 2.0]);
    /// let bias = Measurement::with_needs(&array![3.0_f32, 4.0], &by_rows)?;
    /// assert_eq!(bias.units(0), [*bias.tensor(0)]);
    /// # }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn units(&self, index: usize) -> &[Stats] {
        match self.unit_ends.get(index) {
            None => &[],
            Some((None, _)) => self.tensors.get(index..=index).unwrap_or_default(),
            Some(&(Some(_), end)) => {
                let before = index.checked_sub(1).map(|before| self.unit_ends[before].1);
                &self.units[before.unwrap_or(0)..end]
            }
        }
    }

    /// The axis whose indices are the units of tensor `index`; `None` if units were not asked for, or if it is one
    /// as a whole.
    ///
    /// ```
    /// # #[cfg(feature = "ndarray")] {
    /// use ndarray::Array2;
    /// use steadygrad::{Measurement, Needs, Units};
    /// let seen = Measurement::with_needs(&Array2::<f32>::zeros((2, 3)), &Needs::norms().of_units(Units::Last))?;
    /// assert_eq!((seen.unit_axis(0), seen.units(0).len()), (Some(1), 3));
    /// # }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn unit_axis(&self, index: usize) -> Option<usize> {
        self.unit_ends.get(index)?.0
    }

    /// The tensors of a group that was asked for, taken together, each sum rounded once.
    ///
    /// ```
    /// use steadygrad::{Covers, Measurement, Needs};
    /// let (policy, grads) = (Covers::from("policy."), [("policy.w", [3.0, 4.0]), ("value.w", [9.0, 9.0])]);
    /// let seen = Measurement::with_needs(&grads, &Needs::norms().of_group(policy.clone()))?;
    /// assert_eq!(seen.group(&policy).map(|total| total.l2()), Some(5.0));
    /// assert_eq!(seen.group(&Covers::from("policy.")), None);   // another, though it covers the same
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn group(&self, covers: &Covers) -> Option<&Stats> {
        Some(&self.group_of(covers)?.total)
    }

    fn group_of(&self, covers: &Covers) -> Option<&Group> {
        let index = self.needs.groups.iter().position(|group| group == covers)?;
        self.groups.get(index)
    }

    /// Which group of the whole set this one is.
    fn place_of(&self, covers: &Covers) -> Option<u32> {
        let index = self.needs.groups.iter().position(|group| group == covers)?;
        Some(self.groups.get(index)?.whole.unwrap_or(index as u32))
    }

    /// Puts some of the tensors into `into`, which has had those of another set before if they are `new`; and of the
    /// groups, those that are asked for by the first under the name of the second.
    pub(crate) fn select(
        &self,
        members: &[u32],
        into: &mut Self,
        new: bool,
        groups: &[(Covers, Covers)],
    ) {
        into.needs.clone_from(&self.needs);
        into.tensors.clear();
        into.units.clear();
        into.unit_ends.clear();
        for index in members.iter().map(|&index| index as usize) {
            into.tensors.push(*self.tensor(index));
            if let Some((axis, _)) = self.unit_ends.get(index) {
                if axis.is_some() {
                    into.units.extend_from_slice(self.units(index));
                }
                into.unit_ends.push((*axis, into.units.len()));
            }
        }
        (into.count, into.unmatched) = (into.tensors.len(), 0);
        if new {
            let mut names = Names::default();
            for index in members.iter().map(|&index| index as usize) {
                names.push(self.name(index), self.names.dims(index));
            }
            into.names = Arc::new(names);
        }
        into.needs.groups.clear();
        into.groups.resize_with(groups.len(), Group::default);
        for (group, (asked, made)) in into.groups.iter_mut().zip(groups) {
            into.needs.groups.push(asked.clone());
            group.covers = Some(asked.clone());
            if let Some(theirs) = self.group_of(made) {
                let index = |place: &u32| members.binary_search(place).ok();
                group.members.clear();
                let indices = theirs.members.iter().filter_map(index);
                group.members.extend(indices.map(|index| index as u32));
                group.exact.clone_from(&theirs.exact);
                group.total = theirs.total;
                group.whole = self.place_of(made);
            }
        }
    }

    /// Makes the total of a group that of `of`.
    pub(crate) fn total_of_group(&self, covers: &Covers, of: &mut Self) {
        if let Some(group) = self.group_of(covers) {
            of.exact.clone_from(&group.exact);
            of.total = group.total;
            of.of = self.place_of(covers);
        }
    }

    pub(crate) fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// How many gradients were found that belong to none of the tensors, as far as the set
    /// [tells](crate::Reading::unmatched).
    ///
    /// ```
    /// use steadygrad::Measurement;
    /// assert_eq!(Measurement::of(&[("w", [3.0])])?.unmatched(), 0);   // what is there is the set
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn unmatched(&self) -> usize {
        self.unmatched
    }

    /// Whether any of the gradients that were found belongs to the set.
    pub(crate) fn matched(&self) -> Result<()> {
        if self.unmatched > 0 && self.total.is_empty() {
            return Err(Error::Unmatched {
                found: self.unmatched,
            });
        }
        Ok(())
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
