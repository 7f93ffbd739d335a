//! What one read says of a set: named [`Stats`] and their exact total.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::edit::Edit;
use crate::edits::Edits;
use crate::names::Names;
use crate::needs::{Look, Needs};
use crate::tensor::{Ask, Tensor};
use crate::total::Total;
use crate::{Result, Stats};

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
    pub(crate) names: Arc<Names>,
    /// The names of the set that is being measured, from where they differ from those of the last.
    new_names: Option<Names>,
    /// Whether nobody will ask for names.
    pub(crate) nameless: bool,
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
    /// Space for a set whose names nobody will ask for.
    pub(crate) fn nameless() -> Self {
        Self {
            nameless: true,
            ..Self::default()
        }
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

    pub(crate) fn begin(&mut self, needs: Needs) {
        self.needs = needs;
        self.new_names = None;
        self.count = 0;
        self.units.clear();
        self.unit_ends.clear();
        self.exact.clear();
    }

    pub(crate) fn finish(&mut self) {
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
