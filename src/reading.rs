//! The handle with which a set is read into a measurement.

use crate::batch::Batch;
use crate::edit::Edit;
use crate::edits::Edits;
use crate::measurement::Measurement;
use crate::names::{Names, Path};
use crate::needs::Needs;
use crate::tensor::{Ask, Tensor, TensorRef};
use crate::units::Units;
use crate::{Result, Stats, kernel};

/// What a set tells its tensors to, one after the other, while it is measured.
///
/// It knows how far it is and under which name, so sets nest. Small slices wait until there are several, also over
/// the borders of nested sets, and are measured together.
///
/// # Examples
///
/// ```
/// use steadygrad::{Measurement, Reading, Result, TensorRef, TensorSet, Visitor};
///
/// struct Model { w: Vec<f32>, b: f32 }
///
/// impl TensorSet for Model {
///     fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
///         f("w", TensorRef::Other(&self.w))?;
///         self.b.visit(&mut |_, tensor| f("b", tensor))
///     }
///     fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
///         reading.under("w", |reading| self.w.measure(reading))?;
///         reading.under("b", |reading| self.b.measure(reading))
///     }
/// }
/// let seen = Measurement::of(&[("net", Model { w: vec![3.0, 4.0], b: 12.0 })])?;
/// assert_eq!((seen.name(1), seen.total().l2()), ("net.b", 13.0));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Debug)]
pub struct Reading<'m, 'a> {
    into: &'m mut Measurement,
    after: &'m Edits,
    path: Path,
    /// The names of the set, from where they differ from those of the last.
    new_names: Option<Names>,
    batch: Batch<'a>,
    /// Whether slices may wait.
    may_wait: bool,
}

impl Measurement {
    /// Has `f` read a set into this space, as `after` would leave it.
    ///
    /// ```
    /// use steadygrad::{Edits, Measurement, Needs, TensorSet};
    /// let grads = vec![vec![3.0_f32, 4.0], vec![12.0]];
    /// let mut edits = Edits::for_count(2);
    /// edits.zero(1);
    /// let mut seen = Measurement::default();
    /// seen.fill(&Needs::norms(), &edits, |reading| grads.measure(reading))?;
    /// assert_eq!((seen.tensor(0).l2(), seen.tensor(1).l2(), seen.total().l2()), (5.0, 0.0, 5.0));
    /// assert_eq!(grads[1], [12.0]);   // read only
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What `f` gives; the measurement is of what was read before.
    pub fn fill<'a>(
        &mut self,
        needs: &Needs,
        after: &Edits,
        f: impl FnOnce(&mut Reading<'_, 'a>) -> Result<()>,
    ) -> Result<()> {
        self.begin(needs);
        let mut reading = Reading::new(self, after, Path::ROOT);
        let read = f(&mut reading);
        let new_names = reading.close();
        self.finish(new_names);
        read
    }
}

impl<'m, 'a> Reading<'m, 'a> {
    /// Goes on behind the tensors that were read already.
    #[inline(always)] // Thousands of bytes that should not be moved.
    pub(crate) fn new(into: &'m mut Measurement, after: &'m Edits, path: Path) -> Self {
        Self {
            may_wait: after.is_keep() && into.needs.units.is_none(),
            into,
            after,
            path,
            new_names: None,
            batch: Batch::new(),
        }
    }

    /// The names if they are not those of the last time.
    pub(crate) fn close(&mut self) -> Option<Names> {
        // Also when the set failed, since each slice that waits has its place already.
        self.measure_what_waits();
        let count = self.into.count;
        if self.new_names.is_none() && self.into.names.len() > count && !self.into.nameless {
            self.new_names = Some(self.into.names.first(count));
        }
        self.new_names.take()
    }

    /// What is to be measured.
    ///
    /// ```
    /// use steadygrad::{Edits, Measurement, Needs};
    /// let cubes = Needs::norms().of_power(3.0);
    /// Measurement::default().fill(&cubes, &Edits::default(), |reading| {
    ///     assert_eq!(*reading.needs(), cubes);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn needs(&self) -> &Needs {
        &self.into.needs
    }

    /// The edit as which the tensor that comes after `tensors` more is to be read.
    ///
    /// ```
    /// use steadygrad::{Edits, Measurement, Needs};
    /// let mut edits = Edits::for_count(2);
    /// edits.zero(1);
    /// Measurement::default().fill(&Needs::norms(), &edits, |reading| {
    ///     assert!(reading.edit(0).is_keep() && !reading.edit(1).is_keep());
    ///     Ok(())
    /// })?;
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn edit(&self, tensors: usize) -> Edit<'m> {
        self.after.get(self.into.count + tensors)
    }

    /// The axis of the units that are asked for of a tensor, `None` if none are or if it is one as a whole.
    ///
    /// ```
    /// use steadygrad::{Edits, Measurement, Needs, Units};
    /// let columns = Needs::norms().of_units(Units::Last);
    /// Measurement::default().fill(&columns, &Edits::default(), |reading| {
    ///     assert_eq!((reading.unit_axis("w", &[2, 3])?, reading.unit_axis("b", &[3])?), (Some(1), None));
    ///     Ok(())
    /// })?;
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Units::axis`].
    pub fn unit_axis(&mut self, name: &str, dims: &[usize]) -> Result<Option<usize>> {
        let back = self.path.enter(name);
        let axis = axis_of(self.into.needs.units.as_ref(), &self.path, dims);
        self.path.leave(back);
        axis
    }

    /// Has `f` read a set whose names lie below `name`.
    ///
    /// ```
    /// use steadygrad::{Edits, Measurement, Needs, TensorSet};
    /// let mut seen = Measurement::default();
    /// let (encoder, head) = (vec![[1.0, 2.0]], [3.0]);
    /// seen.fill(&Needs::norms(), &Edits::default(), |reading| {
    ///     reading.under("encoder", |reading| encoder.measure(reading))?;
    ///     reading.under("head", |reading| head.measure(reading))
    /// })?;
    /// assert_eq!((seen.name(0), seen.name(1)), ("encoder.0", "head"));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What `f` gives.
    #[inline]
    pub fn under<R>(&mut self, name: &str, f: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        let back = self.path.enter(name);
        // Taken apart, so that in the usual case nothing large is moved.
        match f(self) {
            Ok(read) => {
                self.path.leave(back);
                Ok(read)
            }
            Err(error) => {
                self.path.leave(back);
                Err(error)
            }
        }
    }

    /// The same below a number, which is only written out if somebody might ask.
    #[inline]
    pub(crate) fn under_number(
        &mut self,
        number: usize,
        f: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        if self.into.nameless && self.into.needs.units.is_none() {
            return f(self);
        }
        let back = self.path.enter_number(number);
        let read = f(self);
        self.path.leave(back);
        read
    }

    /// Makes room for so many sets more, as if each were a tensor.
    #[inline]
    pub(crate) fn make_room(&mut self, sets: usize) {
        let Measurement { tensors, count, .. } = &mut *self.into;
        tensors.reserve((*count + sets).saturating_sub(tensors.len()));
    }

    /// Reads the next tensor.
    ///
    /// ```
    /// use steadygrad::{Edits, Measurement, Needs, TensorRef};
    /// let (mut seen, w) = (Measurement::default(), vec![3.0_f32, 4.0]);
    /// seen.fill(&Needs::norms(), &Edits::default(), |reading| reading.tensor("w", TensorRef::Other(&w)))?;
    /// assert_eq!((seen.name(0), seen.tensor(0).l2()), ("w", 5.0));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the tensor gives.
    // A slice that has been taken apart on its way here is slow to be read as a whole again.
    #[inline(always)]
    pub fn tensor(&mut self, name: &str, tensor: TensorRef<'a>) -> Result<()> {
        match tensor.lent_slice() {
            Some(slice) if self.may_wait => {
                let back = self.path.enter(name);
                self.take_name(tensor.dims());
                // It has its place, which is written when it is its turn.
                self.into.count += 1;
                if self.batch.push(slice, slice.len()) {
                    self.measure_what_waits();
                }
                self.path.leave(back);
                Ok(())
            }
            _ => self.under(name, |reading| reading.measure(&tensor)),
        }
    }

    /// Reads the next tensor at once, on loan for no longer than this.
    ///
    /// ```
    /// use steadygrad::{Edits, Measurement, Needs};
    /// let mut seen = Measurement::default();
    /// seen.fill(&Needs::norms(), &Edits::default(), |reading| reading.now("w", &vec![3.0_f32, 4.0]))?;
    /// assert_eq!(seen.total().l2(), 5.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the tensor gives.
    pub fn now(&mut self, name: &str, tensor: &(impl Tensor + ?Sized)) -> Result<()> {
        self.under(name, |reading| reading.measure(tensor))
    }

    /// Takes in the next tensor, read elsewhere: with others in one transfer from a device, for one. A tensor that
    /// has [units](Reading::unit_axis) brings what is to be said of each.
    ///
    /// ```
    /// use steadygrad::{Edits, Measurement, Needs, Stats, Wide};
    /// let mut seen = Measurement::default();
    /// seen.fill(&Needs::norms(), &Edits::default(), |reading| {
    ///     let stats = Stats::from_sums(2, 4.0, Wide::from(7.0), Wide::from(25.0));   // three numbers to transfer
    ///     reading.push("w", Some(&[1, 2]), stats, &[])
    /// })?;
    /// assert_eq!((seen.name(0), seen.total().l2()), ("w", 5.0));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Units::axis`].
    pub fn push(
        &mut self,
        name: &str,
        dims: Option<&[usize]>,
        stats: Stats,
        units: &[Stats],
    ) -> Result<()> {
        self.under(name, |reading| {
            let flat = [stats.len() as usize];
            let asked = reading.into.needs.units.as_ref();
            let axis = axis_of(asked, &reading.path, dims.unwrap_or(&flat))?;
            reading.measure_what_waits();
            if axis.is_some() {
                reading.into.units.extend_from_slice(units);
            }
            reading.record(dims, axis, stats);
            Ok(())
        })
    }

    /// Says that so many gradients were found which belong to none of the set's tensors, for a set that looks its
    /// gradients up in a store. Nested sets add up. The report [tells](crate::Report::unmatched); where gradients were
    /// found and none of them belongs to the set, as when those of one model are given with the variables of another,
    /// the step and every clip by norm is an [error](crate::Error::Unmatched).
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use steadygrad::{Error, Guard, Reading, Result, TensorRef, TensorSet, Visitor};
    ///
    /// /// The gradients of some variables, in a store of all that a backward pass came by.
    /// struct Of<'s> { vars: &'s [u32], store: &'s BTreeMap<u32, Vec<f32>> }
    ///
    /// impl TensorSet for Of<'_> {
    ///     fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
    ///         self.vars.iter().try_for_each(|id| match self.store.get(id) {
    ///             Some(grad) => f(&id.to_string(), TensorRef::Other(grad)),
    ///             None => f(&id.to_string(), TensorRef::Other(&[0.0_f32; 0])),   // it has none
    ///         })
    ///     }
    ///     fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
    ///         let others = self.store.keys().filter(|id| !self.vars.contains(id));
    ///         reading.unmatched(others.count());
    ///         self.visit(&mut |name, tensor| reading.tensor(name, tensor))
    ///     }
    /// }
    ///
    /// let store = BTreeMap::from([(1, vec![3.0, 4.0]), (2, vec![0.5]), (3, vec![9.0])]);
    /// let mut guard = Guard::new();
    /// let plan = guard.plan(&Of { vars: &[1, 7], store: &store })?;
    /// assert_eq!(plan.report().unmatched(), 2);
    /// assert_eq!(plan.report().to_string(), "step 1: norm 5.000; apply; 2 gradients belong to no tensor of the set");
    /// // The variables of another model:
    /// let error = guard.plan(&Of { vars: &[7, 8], store: &store }).map(drop).unwrap_err();
    /// assert_eq!(error, Error::Unmatched { found: 3 });
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn unmatched(&mut self, gradients: usize) {
        let into = &mut *self.into;
        into.unmatched = into.unmatched.saturating_add(gradients);
    }

    fn measure(&mut self, tensor: &(impl Tensor + ?Sized)) -> Result<()> {
        self.measure_what_waits();
        let after = self.edit(0);
        let into = &mut *self.into;
        let axis = match &into.needs.units {
            None => None,
            asked => {
                let flat = [tensor.len()];
                axis_of(asked.as_ref(), &self.path, tensor.dims().unwrap_or(&flat))?
            }
        };
        let stats = tensor.stats(&mut Ask {
            after,
            magnitudes: into.needs.magnitudes,
            largest: into.needs.largest,
            power: into.needs.power,
            range: into.needs.range,
            units: axis.map(|axis| (axis, &mut into.units)),
        })?;
        self.record(tensor.dims(), axis, stats);
        Ok(())
    }

    fn record(&mut self, dims: Option<&[usize]>, axis: Option<usize>, stats: Stats) {
        self.take_name(dims);
        self.into.record(stats);
        if self.into.needs.units.is_some() {
            self.into.unit_ends.push((axis, self.into.units.len()));
        }
    }

    /// Notes what the next tensor is called.
    #[inline]
    fn take_name(&mut self, dims: Option<&[usize]>) {
        if self.into.nameless {
            return;
        }
        let index = self.into.count;
        match &mut self.new_names {
            None if self.into.names.is(index, self.path.bytes(), dims) => (),
            None => {
                let names = self.new_names.insert(self.into.names.first(index));
                names.push(self.path.as_str(), dims);
            }
            Some(names) => names.push(self.path.as_str(), dims),
        }
    }

    /// Measures what waits, in whatever order, since each has its place.
    fn measure_what_waits(&mut self) {
        let (slices, elements) = self.batch.take();
        if slices.is_empty() {
            return;
        }
        let Measurement {
            tensors,
            count,
            needs,
            exact,
            ..
        } = &mut *self.into;
        if tensors.len() < *count {
            tensors.resize(*count, Stats::EMPTY);
        }
        let places = &mut tensors[*count - slices.len()..*count];
        kernel::stats_of_slices(slices, elements, needs.look(), places);
        for stats in places {
            exact.add(stats);
        }
    }
}

fn axis_of(units: Option<&Units>, path: &Path, dims: &[usize]) -> Result<Option<usize>> {
    units.map_or(Ok(None), |units| units.axis(path.as_str(), dims))
}
