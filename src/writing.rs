//! The handle with which a set is edited.

#[cfg(feature = "rayon")]
use crate::batch::Writes;
use crate::edit::Edit;
use crate::edits::Edits;
use crate::measurement::Measurement;
use crate::names::Path;
use crate::number::Number;
use crate::reading::Reading;
#[cfg(feature = "rayon")]
use crate::slice::SliceMut;
use crate::stats::Stats;
use crate::tell::{Clamped, Tell};
use crate::tensor::TensorMut;
use crate::{Error, Result};

/// What hands a set the edits of its tensors, one after the other.
///
/// It knows how far it is and under which name, so sets nest, and whether these are the tensors that the edits were
/// planned for.
///
/// # Examples
///
/// ```
/// use steadygrad::{Edits, Result, TensorRef, TensorSet, TensorSetMut, Visitor, VisitorMut, Writing};
///
/// struct Model { w: Vec<f32> }
/// # impl TensorSet for Model {
/// #     fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> { f("w", TensorRef::Other(&self.w)) }
/// # }
///
/// impl TensorSetMut for Model {
/// #   fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> { f("w", &mut self.w) }
///     fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
///         writing.under("w", |writing| self.w.carry_out(writing))
///     }
/// }
/// let (mut edits, mut model) = (Edits::for_count(1), Model { w: vec![3.0, -4.0] });
/// edits.clamp(0, -3.5, 3.5);
/// edits.apply(&mut model)?;
/// assert_eq!(model.w, [3.0, -3.5]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Debug)]
pub struct Writing<'w> {
    edits: Source<'w>,
    next: usize,
    path: Path,
    told: Told<'w>,
}

/// To leave all as it is.
const KEEP: &Edits = &Edits::NONE;

/// Where the edits come from.
#[derive(Debug)]
enum Source<'w> {
    Each(&'w Edits),
    /// The same for as many tensors as there are.
    All(Edit<'w>),
}

/// What is to be told of them.
#[derive(Debug)]
enum Told<'w> {
    Nothing,
    /// What the tensors are afterwards; of those that are kept, `before` tells.
    After {
        before: &'w Measurement,
        after: &'w mut Measurement,
    },
    Clamped(&'w mut Clamped),
}

impl<'w> Writing<'w> {
    pub(crate) fn of(edits: &'w Edits) -> Self {
        Self::new(Source::Each(edits), Told::Nothing)
    }

    /// Tells in `after` what is left of the tensors of `before`.
    pub(crate) fn telling(
        edits: &'w Edits,
        before: &'w Measurement,
        after: &'w mut Measurement,
    ) -> Self {
        after.begin(before.needs());
        after.needs.units = None;
        // Nobody asks for their names again.
        after.be_of_the_tensors_of(before);
        Self::new(Source::Each(edits), Told::After { before, after })
    }

    /// The same clamp everywhere.
    pub(crate) fn clamping(clamp: Edit<'w>, counts: &'w mut Clamped) -> Self {
        Self::new(Source::All(clamp), Told::Clamped(counts))
    }

    fn new(edits: Source<'w>, told: Told<'w>) -> Self {
        Self {
            edits,
            next: 0,
            path: Path::ROOT,
            told,
        }
    }

    /// Whether there were as many tensors as edits.
    pub(crate) fn finish(self) -> Result<()> {
        if let Told::After { after, .. } = self.told {
            after.finish(None);
        }
        match self.edits {
            Source::Each(edits) if edits.len() != self.next => Err(Error::Count {
                what: "tensors of the set",
                expected: edits.len(),
                found: self.next,
            }),
            _ => Ok(()),
        }
    }

    /// Has `f` edit a set whose names lie below `name`.
    ///
    /// ```
    /// # use steadygrad::{Edits, Result, TensorSet, TensorSetMut, Visitor, VisitorMut, Writing, set};
    /// # struct Model { layers: Vec<[f32; 1]> }
    /// # impl TensorSet for Model {
    /// #     fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> { set::visit_under("layers", &self.layers, f) }
    /// # }
    /// # impl TensorSetMut for Model {
    /// # fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> { set::visit_under_mut("layers", &mut self.layers, f) }
    /// fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
    ///     writing.under("layers", |writing| self.layers.carry_out(writing))
    /// }
    /// # }
    /// # let (mut edits, mut model) = (Edits::for_count(2), Model { layers: vec![[1.0]; 2] });
    /// # edits.zero(1);
    /// # edits.apply(&mut model)?;
    /// # assert_eq!(model.layers, [[1.0], [0.0]]);
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
            Ok(written) => {
                self.path.leave(back);
                Ok(written)
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
        if self.is_nameless() {
            return f(self);
        }
        let back = self.path.enter_number(number);
        let written = f(self);
        self.path.leave(back);
        written
    }

    fn is_nameless(&self) -> bool {
        match (&self.edits, &self.told) {
            (Source::All(_), _) => true,
            (Source::Each(edits), Told::Nothing) => edits.are_nameless(),
            (Source::Each(_), _) => false,
        }
    }

    /// Whether slices may wait for others, to be edited beside them.
    #[cfg(feature = "rayon")]
    pub(crate) fn may_wait(&self) -> bool {
        let by_units = match self.edits {
            Source::Each(edits) => edits.have_units(),
            Source::All(edit) => edit.scales_units(),
        };
        !by_units && !matches!(self.told, Told::After { .. })
    }

    /// Takes in the next tensor, of this number in a list, which [may wait](Self::may_wait).
    #[cfg(feature = "rayon")]
    pub(crate) fn later<'s>(
        &mut self,
        number: usize,
        slice: SliceMut<'s>,
        waiting: &mut Writes<'s, 'w>,
    ) -> Result<()> {
        let mut edit = Edit::KEEP;
        self.under_number(number, |writing| {
            edit = writing.next("")?;
            Ok(())
        })?;
        if waiting.push(slice, edit) {
            waiting.carry_out(self.clamped());
        }
        Ok(())
    }

    /// The edit of the next tensor, for a set that carries out the edits of all its tensors together.
    /// [`Writing::left`] comes after it.
    ///
    /// ```
    /// # use steadygrad::{Edits, Result, Tell, TensorMut, TensorRef, TensorSet, TensorSetMut};
    /// # use steadygrad::{Visitor, VisitorMut, Writing};
    /// # struct OnDevice(Vec<f32>);
    /// # impl TensorSet for OnDevice {
    /// #     fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> { f("w", TensorRef::Other(&self.0)) }
    /// # }
    /// # impl TensorSetMut for OnDevice {
    /// # fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> { f("w", &mut self.0) }
    /// fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
    ///     let edit = writing.next("w")?;
    ///     self.0.edit(&edit, Tell::nothing())?;
    ///     writing.left(|reading| self.measure(reading))
    /// }
    /// # }
    /// # let (mut edits, mut set) = (Edits::for_count(1), OnDevice(vec![1.0]));
    /// # edits.zero(0);
    /// # edits.apply(&mut set)?;
    /// # assert_eq!(set.0, [0.0]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if the edit was planned for a tensor of another name.
    #[inline]
    pub fn next(&mut self, name: &str) -> Result<Edit<'w>> {
        let (index, edits) = match self.edits {
            Source::Each(edits) => (self.next, edits),
            Source::All(edit) => {
                self.next += 1;
                return Ok(edit);
            }
        };
        if !edits.are_nameless() {
            self.check_name(edits, name)?;
        }
        self.next += 1;
        Ok(edits.get(index))
    }

    /// Whether the next tensor has the name for which its edit was planned.
    fn check_name(&mut self, edits: &Edits, name: &str) -> Result<()> {
        let index = self.next;
        let Some(expected) = edits.name(index) else {
            return Ok(());
        };
        let back = self.path.enter(name);
        let is_other = self.path.bytes() != expected.as_bytes();
        let error = is_other.then(|| Error::Name {
            index,
            expected: expected.into(),
            found: self.path.as_str().into(),
        });
        self.path.leave(back);
        error.map_or(Ok(()), Err)
    }

    /// Edits the next tensor.
    ///
    /// ```
    /// # use steadygrad::{Edits, Result, TensorRef, TensorSet, TensorSetMut, Visitor, VisitorMut, Writing};
    /// # struct Model { w: Vec<f32> }
    /// # impl TensorSet for Model {
    /// #     fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> { f("w", TensorRef::Other(&self.w)) }
    /// # }
    /// # impl TensorSetMut for Model {
    /// # fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> { f("w", &mut self.w) }
    /// fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
    ///     writing.tensor("w", &mut self.w)
    /// }
    /// # }
    /// # let (mut edits, mut model) = (Edits::for_count(1), Model { w: vec![1.0] });
    /// # edits.zero(0);
    /// # edits.apply(&mut model)?;
    /// # assert_eq!(model.w, [0.0]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Writing::next`], and what the tensor gives.
    #[inline]
    pub fn tensor(&mut self, name: &str, tensor: &mut dyn TensorMut) -> Result<()> {
        let index = self.next;
        let edit = self.next(name)?;
        match &mut self.told {
            Told::Nothing if edit.is_keep() => Ok(()),
            Told::Nothing => tensor.edit(&edit, Tell::nothing()),
            Told::Clamped(counts) => tensor.edit(&edit, Tell::clamped(counts)),
            Told::After { before, after } if edit.is_keep() => {
                after.record(*before.tensor(index));
                Ok(())
            }
            Told::After { after, .. } => {
                let mut left = Stats::EMPTY;
                tensor.edit(
                    &edit,
                    Tell {
                        magnitudes: after.needs.magnitudes,
                        largest: after.needs.largest,
                        power: after.needs.power,
                        ..Tell::after(&mut left)
                    },
                )?;
                after.record(left);
                Ok(())
            }
        }
    }

    /// Edits the next tensor of a list, which is a slice.
    #[inline]
    pub(crate) fn slice<E: Number>(&mut self, mut xs: &mut [E]) -> Result<()> {
        if let Told::After { .. } = self.told {
            return self.tensor("", &mut xs);
        }
        let edit = self.next("")?;
        match &mut self.told {
            Told::Clamped(counts) => xs.edit(&edit, Tell::clamped(counts)),
            _ if edit.is_keep() => Ok(()),
            _ => xs.edit(&edit, Tell::nothing()),
        }
    }

    /// Has `f` read what is left of the tensors for which [`Writing::next`] gave the edits, if somebody asks.
    ///
    /// # Errors
    ///
    /// What `f` gives.
    pub fn left<'a>(&mut self, f: impl FnOnce(&mut Reading<'_, 'a>) -> Result<()>) -> Result<()> {
        let Told::After { after, .. } = &mut self.told else {
            return Ok(());
        };
        let nameless = core::mem::replace(&mut after.nameless, true);
        let mut reading = Reading::new(after, KEEP, self.path.clone());
        let read = f(&mut reading);
        reading.close();
        after.nameless = nameless;
        read
    }

    /// Whether each tensor has an edit of its own, made after a reading of the set; else all have the same, and nobody has
    /// looked yet whether these are the tensors that are meant.
    #[must_use]
    pub fn is_planned(&self) -> bool {
        matches!(self.edits, Source::Each(_))
    }

    /// The counts to which a set adds what a clamp did, if that is what is to be told; it looks for
    /// itself, beside the [edits](Writing::next).
    ///
    /// ```
    /// # use steadygrad::{Clamped, Result, TensorRef, TensorSet, TensorSetMut, Visitor, VisitorMut, Writing, clip};
    /// # struct OnDevice(Vec<f32>);
    /// # impl TensorSet for OnDevice {
    /// #     fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> { f("w", TensorRef::Other(&self.0)) }
    /// # }
    /// # impl TensorSetMut for OnDevice {
    /// # fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> { f("w", &mut self.0) }
    /// fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
    ///     let clamp = writing.next("w")?;
    ///     if let Some(counts) = writing.clamped() {
    ///         *counts += Clamped::of(3, 2, 0, 0);   // as the device says
    ///     }
    /// #   let _ = clamp;
    ///     Ok(())
    /// }
    /// # }
    /// # assert_eq!(clip::value(&mut OnDevice(vec![1.0]), 0.5)?.clipped(), 2);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn clamped(&mut self) -> Option<&mut Clamped> {
        match &mut self.told {
            Told::Clamped(counts) => Some(counts),
            _ => None,
        }
    }
}
