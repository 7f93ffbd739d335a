//! Tensors with names, always in the same order, and arithmetic over them.

mod arithmetic;
mod lists;
mod measured;
mod named;
mod names;
mod pairing;
mod structs;
mod two;

pub use arithmetic::{accumulate, axpy, copy, scale, zero};
#[doc(hidden)]
pub use named::{visit_under, visit_under_mut};
#[doc(hidden)]
pub use names::field_name;
pub(crate) use pairing::{Found, Pairing};
pub use two::Two;

use self::names::{join, with_digits};
use crate::Result;
use crate::reading::Reading;
use crate::slice::SliceMut;
use crate::tensor::{TensorMut, TensorRef};
use crate::writing::Writing;

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

    /// Reads every tensor once. A set whose tensors live on a device can do so with one transfer for all.
    ///
    /// ```
    /// use steadygrad::{Edits, Measurement, Needs, TensorSet};
    /// let (mut seen, grads) = (Measurement::default(), vec![vec![3.0_f32, 4.0], vec![12.0]]);
    /// seen.fill(&Needs::norms(), &Edits::default(), |reading| grads.measure(reading))?;
    /// assert_eq!((seen.tensor(0).l2(), seen.tensor(1).l2()), (5.0, 12.0));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the tensors give.
    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        self.visit(&mut |name, tensor| reading.tensor(name, tensor))
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

    /// As [`TensorSet::visit_list`].
    #[doc(hidden)]
    fn measure_list<'a>(list: &'a [Self], reading: &mut Reading<'_, 'a>) -> Result<()>
    where
        Self: Sized,
    {
        reading.make_room(list.len());
        let mut sets = list.iter().enumerate();
        sets.try_for_each(|(i, set)| reading.under_number(i, |reading| set.measure(reading)))
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

    /// Carries out the edit of each tensor. [`Edits::apply`](crate::Edits::apply) calls it.
    ///
    /// # Errors
    ///
    /// [`Error::Name`](crate::Error::Name) if the edits were planned for other tensors, found on the way: what comes
    /// before the first that does not fit is edited by then. And what the tensors give.
    fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        self.visit_mut(&mut |name, tensor| writing.tensor(name, tensor))
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

    /// As [`TensorSet::visit_list`].
    #[doc(hidden)]
    fn carry_out_list(list: &mut [Self], writing: &mut Writing<'_>) -> Result<()>
    where
        Self: Sized,
    {
        #[cfg(feature = "rayon")]
        if lists::share(list, writing) {
            return lists::carry_out_side_by_side(list, writing);
        }
        let mut sets = list.iter_mut().enumerate();
        sets.try_for_each(|(i, set)| writing.under_number(i, |writing| set.carry_out(writing)))
    }

    /// All that the set is, if that is one slice whose elements may be edited in any order.
    #[doc(hidden)]
    fn lent(&mut self) -> Option<SliceMut<'_>>
    where
        Self: Sized,
    {
        None
    }

    /// As [`TensorSet::visit_list`].
    #[doc(hidden)]
    fn lent_list(list: &mut [Self]) -> Option<SliceMut<'_>>
    where
        Self: Sized,
    {
        let _ = list;
        None
    }
}
