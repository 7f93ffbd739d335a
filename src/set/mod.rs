//! Tensors with names, always in the same order.

mod batch;
mod lists;
mod measured;
mod named;
mod names;
mod pairing;
mod structs;

#[doc(hidden)]
pub use named::{visit_under, visit_under_mut};
#[doc(hidden)]
pub use names::field_name;
pub(crate) use pairing::{Found, Pairing};

use self::batch::Batch;
use self::names::{join, with_digits};
use crate::edit::Edit;
use crate::edits::Edits;
use crate::measurement::Measurement;
use crate::needs::Needs;
use crate::tensor::{Tensor, TensorMut, TensorRef};
use crate::{Error, Result, Total};

/// What a set hands its tensors to.
///
/// # Examples
///
/// ```
/// use steadygrad::{Tensor, TensorSet, Visitor};
///
/// let mut elements = 0;
/// let count: &mut Visitor<'_, '_> = &mut |_name, tensor| Ok(elements += tensor.len());
/// [("w", vec![1.0, 2.0]), ("b", vec![3.0])].visit(count)?;
/// assert_eq!(elements, 3);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub type Visitor<'v, 'a> = dyn FnMut(&str, TensorRef<'a>) -> Result<()> + 'v;

/// What a set hands its tensors to, one after the other, to be changed.
///
/// # Examples
///
/// ```
/// use steadygrad::{TensorSetMut, VisitorMut};
///
/// let mut grads = [("w", vec![1.0]), ("b", vec![3.0])];
/// let add_to_biases: &mut VisitorMut<'_> = &mut |name, tensor| {
///     if name == "b" { tensor.add(0, &[0.5]) } else { Ok(()) }
/// };
/// grads.visit_mut(add_to_biases)?;
/// assert_eq!(grads[1].1, [3.5]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub type VisitorMut<'v> = dyn FnMut(&str, &mut dyn TensorMut) -> Result<()> + 'v;

/// Named tensors, always in the same order.
///
/// Every tensor is a set of one, without a name; so is a single number. Lists (slices, `Vec`, arrays) of numbers
/// are one tensor; lists of tensors or of sets name their parts "0", "1", …. Pairs `(name, set)`, lists of them,
/// maps and structs ([`tensor_set!`](crate::tensor_set)) give names of their own. Names of nested sets are joined
/// by dots: `layers.0.w_rec`. An `Option` that is `None` is one tensor without elements.
///
/// # Examples
///
/// ```
/// use std::collections::BTreeMap;
/// use steadygrad::TensorSet;
///
/// let layers = BTreeMap::from([("encoder".to_string(), vec![[1.0, 2.0], [3.0, 4.0]])]);
/// let mut names = vec![];
/// layers.visit(&mut |name, _tensor| Ok(names.push(name.to_string())))?;
/// assert_eq!(names, ["encoder.0", "encoder.1"]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// A `HashMap` has no order, so it is no set; the `BTreeMap` above is one.
///
/// ```compile_fail,E0277
/// use std::collections::HashMap;
/// use steadygrad::TensorSet;
///
/// let layers = HashMap::from([("encoder".to_string(), vec![[1.0, 2.0], [3.0, 4.0]])]);
/// TensorSet::visit(&layers, &mut |_name, _tensor| Ok(()))?;
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no set of tensors",
    label = "neither a tensor, nor tensors in an order that stays",
    note = "for a struct: `steadygrad::tensor_set!(Grads {{ w, b }});` with its fields' names",
    note = "a `HashMap` has no order: use a `BTreeMap`, or a list of pairs `(name, tensor)`"
)]
pub trait TensorSet {
    /// Hands each tensor to `f` under its name.
    ///
    /// ```
    /// use steadygrad::{Tensor, TensorSet};
    /// let layers = [("encoder", vec![[1.0_f32, 2.0], [3.0, 4.0]]), ("head", vec![[5.0, 6.0]])];
    /// let mut elements = vec![];
    /// layers.visit(&mut |name, tensor| Ok(elements.push((name.to_string(), tensor.len()))))?;
    /// assert_eq!(elements[1], ("encoder.1".to_string(), 2));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first error that `f` gives.
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()>;

    /// Reads every tensor once, as `after` would leave it, into `into`. A set whose tensors live on a
    /// device can do so with one transfer for all.
    ///
    /// ```
    /// use steadygrad::{Edits, Measurement, TensorSet};
    /// let grads = vec![vec![3.0_f32, 4.0], vec![12.0]];
    /// let mut edits = Edits::for_count(2);
    /// edits.zero(1);
    /// let mut into = Measurement::default();
    /// grads.measure(&edits, &mut into)?;
    /// assert_eq!((into.tensor(0).l2(), into.tensor(1).l2()), (5.0, 0.0));
    /// assert_eq!(grads[1], [12.0]);   // read only
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the tensors give.
    fn measure(&self, after: &Edits, into: &mut Measurement) -> Result<()> {
        let mut batch = Batch::new();
        let in_batch = after.is_keep() && into.needs().units.is_none();
        let mut index = 0;
        let seen = self.visit(&mut |name, tensor| {
            let edit = after.get(index);
            index += 1;
            match tensor.lent_slice() {
                Some(slice) if in_batch => {
                    batch.push(name, tensor.dims(), slice, into);
                    Ok(())
                }
                _ => {
                    batch.measure(into);
                    into.measure(name, &tensor, edit)
                }
            }
        });
        // Also when the set fails, since each that waits has its place already.
        batch.measure(into);
        seen
    }

    /// What a list of such sets hands on: each set under its number, unless the sets know better.
    #[doc(hidden)]
    fn visit_list<'a>(list: &'a [Self], f: &mut Visitor<'_, 'a>) -> Result<()>
    where
        Self: Sized,
    {
        list.iter().enumerate().try_for_each(|(i, set)| {
            with_digits(i, |number| {
                set.visit(&mut |inner, tensor| join(number, inner, |name| f(name, tensor)))
            })
        })
    }
}

/// Named tensors that can be edited in place.
///
/// # Examples
///
/// ```
/// use steadygrad::TensorSetMut;
///
/// let mut grads = [("w", vec![1.0_f32]), ("b", vec![2.0])];
/// grads.visit_mut(&mut |_name, tensor| tensor.add(0, &[1.0]))?;
/// assert_eq!(grads, [("w", vec![2.0]), ("b", vec![3.0])]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no set of tensors that can be edited",
    label = "neither a tensor, nor tensors in an order that stays, or only lent for reading",
    note = "for a struct: `steadygrad::tensor_set!(Grads {{ w, b }});` with its fields' names",
    note = "a `HashMap` has no order: use a `BTreeMap`, or a list of pairs `(name, tensor)`"
)]
pub trait TensorSetMut: TensorSet {
    /// Hands each tensor to `f` under its name, in the order of [`TensorSet::visit`].
    ///
    /// ```
    /// use steadygrad::{Error, TensorSetMut};
    /// let mut grads = [("w", vec![1.0_f32]), ("b", vec![]), ("c", vec![3.0])];
    /// let error = grads.visit_mut(&mut |_name, tensor| tensor.add(0, &[1.0])).unwrap_err();
    /// assert!(matches!(error, Error::Count { expected: 1, found: 0, .. }));
    /// assert_eq!((&grads[0].1[..], &grads[2].1[..]), (&[2.0][..], &[3.0][..]));   // it ends with the first error
    /// ```
    ///
    /// # Errors
    ///
    /// The first error that `f` gives.
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()>;

    /// Carries out the edit of each tensor; those that keep everything are not touched.
    ///
    /// ```
    /// use steadygrad::{Edits, Factor, TensorSetMut};
    /// let mut grads = [("w", [1.0_f32]), ("b", [f32::NAN])];
    /// let mut edits = Edits::for_count(2);
    /// edits.scale(0, Factor::new(3.0)?);
    /// edits.zero(1);
    /// grads.apply(&edits)?;
    /// assert_eq!(grads, [("w", [3.0]), ("b", [0.0])]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Name`] or [`Error::Count`] if the edits were planned for other tensors, found on the way: what
    /// comes before the first that does not fit is edited by then. And what the tensors give.
    fn apply(&mut self, edits: &Edits) -> Result<()> {
        visit_edits(self, edits, |_, _, tensor, edit| {
            if edit.is_keep() {
                Ok(())
            } else {
                tensor.edit(edit)
            }
        })
    }

    /// Carries out the edit of each tensor and reads what it leaves, in the same pass where a tensor
    /// can. Of tensors that keep everything, `before` tells.
    ///
    /// ```
    /// use steadygrad::{Edits, Measurement, TensorSetMut};
    /// let mut grads = vec![vec![3.0_f32, -9.0], vec![4.0]];
    /// let (before, mut after) = (Measurement::of(&grads)?, Measurement::default());
    /// let mut edits = Edits::for_count(2);
    /// edits.clamp(0, -1.0, 1.0);
    /// grads.apply_and_measure(&edits, &before, &mut after)?;
    /// assert_eq!((after.tensor(0).l1(), after.tensor(1).l1()), (2.0, 4.0));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`TensorSetMut::apply`].
    fn apply_and_measure(
        &mut self,
        edits: &Edits,
        before: &Measurement,
        into: &mut Measurement,
    ) -> Result<()> {
        visit_edits(self, edits, |index, name, tensor, edit| {
            let stats = if edit.is_keep() {
                *before.tensor(index)
            } else {
                tensor.edit_and_measure(edit, into.needs().p)?
            };
            into.push(name, stats);
            Ok(())
        })
    }

    /// Clamps every element into `[min, max]` and says what all were and what they are, in one pass where a
    /// tensor can. Tensors without an element outside are not written.
    ///
    /// ```
    /// use steadygrad::TensorSetMut;
    /// let mut grads = vec![vec![3.0_f32, -4.0], vec![0.5]];
    /// let [before, after] = grads.clamp_and_total(-3.0, 3.0)?;
    /// assert_eq!((before.stats().max_abs(), after.stats().max_abs()), (4.0, 3.0));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the tensors give; those before the one that failed are clamped by then.
    fn clamp_and_total(&mut self, min: f64, max: f64) -> Result<[Total; 2]> {
        let mut totals = [Total::default(), Total::default()];
        self.visit_mut(&mut |_, tensor| tensor.clamp_and_measure(min, max, &mut totals))?;
        Ok(totals)
    }

    /// As [`TensorSet::visit_list`].
    #[doc(hidden)]
    fn visit_list_mut(list: &mut [Self], f: &mut VisitorMut<'_>) -> Result<()>
    where
        Self: Sized,
    {
        list.iter_mut().enumerate().try_for_each(|(i, set)| {
            with_digits(i, |number| {
                set.visit_mut(&mut |inner, tensor| join(number, inner, |name| f(name, tensor)))
            })
        })
    }
}

/// What a set that reads all its tensors together does for [`TensorSetMut::clamp_and_total`].
///
/// # Errors
///
/// What the tensors give.
#[doc(hidden)]
pub fn clamp_apart<S>(set: &mut S, min: f64, max: f64) -> Result<[Total; 2]>
where
    S: TensorSetMut + ?Sized,
{
    let needs = Needs {
        range: min != -max,
        ..Needs::LEAST
    };
    let before = Measurement::with_needs(set, needs)?;
    let mut edits = Edits::for_count(before.len());
    for (i, stats) in before.tensors().iter().enumerate() {
        if !stats.lies_within(min, max) {
            edits.clamp(i, min, max);
        }
    }
    let mut after = before.clone();
    if !edits.is_keep() {
        after.apply(set, &before, &edits)?;
    }
    Ok([before, after].map(|seen| seen.exact().clone()))
}

/// Pairs each tensor with its edit, names and count checked.
fn visit_edits<S: TensorSetMut + ?Sized>(
    set: &mut S,
    edits: &Edits,
    mut f: impl FnMut(usize, &str, &mut dyn TensorMut, &Edit<'_>) -> Result<()>,
) -> Result<()> {
    let mut index = 0;
    set.visit_mut(&mut |name, tensor| {
        if let Some(expected) = edits.name(index).filter(|&expected| expected != name) {
            return Err(Error::Name {
                index,
                expected: expected.into(),
                found: name.into(),
            });
        }
        f(index, name, tensor, &edits.get(index))?;
        index += 1;
        Ok(())
    })?;
    if index == edits.len() {
        Ok(())
    } else {
        Err(Error::Count {
            what: "tensors of the set",
            expected: edits.len(),
            found: index,
        })
    }
}
