//! Tensors with names, always in the same order.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::edit::{Edit, Edits};
use crate::element::Element;
use crate::measurement::Measurement;
use crate::tensor::{Ask, SliceRef, Tensor, TensorMut};
use crate::{Error, Result, Stats};

/// A tensor on loan from a [`TensorSet`]: a slice, or anything else that is a [`Tensor`].
///
/// # Examples
///
/// ```
/// use steadygrad::{Tensor, TensorRef, TensorSet};
///
/// let grads = vec![vec![1.0_f32, 2.0], vec![3.0]];
/// let mut all: Vec<TensorRef<'_>> = vec![];
/// grads.visit(&mut |_name, tensor| Ok(all.push(tensor)))?;
/// assert_eq!(all[1].len(), 1);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy)]
pub enum TensorRef<'a> {
    /// A slice, which has no size of its own and so cannot stand behind `dyn`.
    Slice(SliceRef<'a>),
    /// Anything else.
    Other(&'a dyn Tensor),
}

impl core::fmt::Debug for TensorRef<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TensorRef")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl<'a> TensorRef<'a> {
    fn inner(&self) -> &(dyn Tensor + 'a) {
        match self {
            Self::Slice(slice) => slice,
            Self::Other(tensor) => *tensor,
        }
    }
}

impl Tensor for TensorRef<'_> {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        self.inner().stats(ask)
    }

    fn len(&self) -> usize {
        self.inner().len()
    }

    fn as_slice_ref(&self) -> Option<SliceRef<'_>> {
        self.inner().as_slice_ref()
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        self.inner().read(start, out)
    }
}

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
/// Every tensor is a set of one, without a name. Lists (slices, `Vec`, arrays) of tensors or of sets
/// name their parts "0", "1", …; lists of pairs, maps and structs ([`tensor_set!`](crate::tensor_set))
/// give names of their own. Names of nested sets are joined by dots: `layers.0.w_rec`.
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
pub trait TensorSet {
    /// Hands each tensor to `f` under its name.
    ///
    /// # Errors
    ///
    /// The first error that `f` gives.
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()>;

    /// Reads every tensor once, as `after` would leave it, into `into`. A set whose tensors live on a
    /// device can do so with one transfer for all.
    ///
    /// # Errors
    ///
    /// What the tensors give.
    fn measure(&self, after: &Edits, into: &mut Measurement) -> Result<()> {
        let mut index = 0;
        self.visit(&mut |name, tensor| {
            let edit = after.get(index);
            index += 1;
            into.measure(name, &tensor, edit)
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
pub trait TensorSetMut: TensorSet {
    /// Hands each tensor to `f` under its name, in the order of [`TensorSet::visit`].
    ///
    /// # Errors
    ///
    /// The first error that `f` gives.
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()>;

    /// Carries out the edit of each tensor; those that keep everything are not touched.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] or [`Error::Count`] if the edits were planned for other tensors, and what the
    /// tensors give.
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

/// What can stand in a list: a list of numbers is one tensor, a list of sets is a set.
///
/// Implemented for the element types, the tensors and sets of this crate, and every struct of
/// [`tensor_set!`](crate::tensor_set). A set of your own passes its list on, tensor by tensor:
///
/// # Examples
///
/// ```
/// use steadygrad::{Measurement, Member, Result, TensorSet, Visitor};
///
/// struct Pair([f32; 2]);
///
/// impl TensorSet for Pair {
///     fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
///         self.0.visit(f)
///     }
/// }
///
/// impl Member for Pair {
///     fn visit_list<'a>(list: &'a [Self], f: &mut Visitor<'_, 'a>) -> Result<()> {
///         list.iter().try_for_each(|pair| pair.visit(f))
///     }
/// }
///
/// assert_eq!(Measurement::of(&vec![Pair([3.0, 4.0]), Pair([12.0, 0.0])])?.total().l2(), 13.0);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait Member: Sized {
    /// Hands the tensors of a list to `f`.
    ///
    /// # Errors
    ///
    /// The first error that `f` gives.
    fn visit_list<'a>(list: &'a [Self], f: &mut Visitor<'_, 'a>) -> Result<()>;
}

/// What can stand in a list that is edited.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, MemberMut};
///
/// fn clip_all<T: MemberMut>(grads: &mut [T]) -> steadygrad::Result<bool> {
///     Ok(clip::global_norm(grads, 1.0)?.is_clipped())
/// }
///
/// assert!(clip_all(&mut [3.0_f32, 4.0])?);           // one tensor
/// assert!(clip_all(&mut [vec![3.0], vec![4.0]])?);   // two
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait MemberMut: Member {
    /// Hands the tensors of a list to `f`.
    ///
    /// # Errors
    ///
    /// The first error that `f` gives.
    fn visit_list_mut(list: &mut [Self], f: &mut VisitorMut<'_>) -> Result<()>;
}

/// Longer names are joined on the heap.
const STACK_NAME: usize = 128;

/// Calls `f` with `outer.inner`, or with one of them if the other is empty.
fn join<R>(outer: &str, inner: &str, f: impl FnOnce(&str) -> R) -> R {
    if outer.is_empty() || inner.is_empty() {
        return f(if outer.is_empty() { inner } else { outer });
    }
    let mut buffer = [0; STACK_NAME];
    let len = outer.len() + 1 + inner.len();
    if let Some(place) = buffer.get_mut(..len) {
        place[..outer.len()].copy_from_slice(outer.as_bytes());
        place[outer.len()] = b'.';
        place[outer.len() + 1..].copy_from_slice(inner.as_bytes());
        if let Ok(name) = core::str::from_utf8(place) {
            return f(name);
        }
    }
    f(&format!("{outer}.{inner}"))
}

/// Calls `f` with the decimal digits of `index`.
fn with_digits<R>(mut index: usize, f: impl FnOnce(&str) -> R) -> R {
    let mut digits = [b'0'; 20];
    let mut start = digits.len() - 1;
    loop {
        digits[start] = b'0' + (index % 10) as u8;
        index /= 10;
        if index == 0 {
            break;
        }
        start -= 1;
    }
    f(core::str::from_utf8(&digits[start..]).unwrap_or_default())
}

/// Visits `set` under the name `outer`.
#[doc(hidden)]
pub fn visit_under<'a, S: TensorSet + ?Sized>(
    outer: &str,
    set: &'a S,
    f: &mut Visitor<'_, 'a>,
) -> Result<()> {
    set.visit(&mut |inner, tensor| join(outer, inner, |name| f(name, tensor)))
}

/// Visits `set` under the name `outer`.
#[doc(hidden)]
pub fn visit_under_mut<S: TensorSetMut + ?Sized>(
    outer: &str,
    set: &mut S,
    f: &mut VisitorMut<'_>,
) -> Result<()> {
    set.visit_mut(&mut |inner, tensor| join(outer, inner, |name| f(name, tensor)))
}

/// Visits a list of sets under the names "0", "1", ….
#[doc(hidden)]
pub fn visit_numbered<'a, S: TensorSet>(list: &'a [S], f: &mut Visitor<'_, 'a>) -> Result<()> {
    list.iter()
        .enumerate()
        .try_for_each(|(i, set)| with_digits(i, |name| visit_under(name, set, f)))
}

/// Visits a list of sets under the names "0", "1", ….
#[doc(hidden)]
pub fn visit_numbered_mut<S: TensorSetMut>(list: &mut [S], f: &mut VisitorMut<'_>) -> Result<()> {
    list.iter_mut()
        .enumerate()
        .try_for_each(|(i, set)| with_digits(i, |name| visit_under_mut(name, set, f)))
}

/// Makes sets members of lists.
macro_rules! member {
    ([$($g:tt)*] $t:ty) => {
        impl<$($g)*> $crate::set::Member for $t {
            fn visit_list<'a>(list: &'a [Self], f: &mut $crate::set::Visitor<'_, 'a>) -> $crate::Result<()> {
                $crate::set::visit_numbered(list, f)
            }
        }
    };
}

macro_rules! member_mut {
    ([$($g:tt)*] $t:ty) => {
        impl<$($g)*> $crate::set::MemberMut for $t {
            fn visit_list_mut(list: &mut [Self], f: &mut $crate::set::VisitorMut<'_>) -> $crate::Result<()> {
                $crate::set::visit_numbered_mut(list, f)
            }
        }
    };
}

/// Makes a tensor a set of one.
macro_rules! set_of_one {
    ([$($g:tt)*] $t:ty) => {
        impl<$($g)*> $crate::set::TensorSet for $t {
            fn visit<'a>(&'a self, f: &mut $crate::set::Visitor<'_, 'a>) -> $crate::Result<()> {
                f("", $crate::set::TensorRef::Other(self))
            }
        }
    };
}

macro_rules! set_of_one_mut {
    ([$($g:tt)*] $t:ty) => {
        impl<$($g)*> $crate::set::TensorSetMut for $t {
            fn visit_mut(&mut self, f: &mut $crate::set::VisitorMut<'_>) -> $crate::Result<()> {
                f("", self)
            }
        }
    };
}

#[cfg(feature = "ndarray")]
pub(crate) use {member, member_mut, set_of_one, set_of_one_mut};

/// Lists of an element type are tensors.
macro_rules! element_lists {
    ($($t:ty),*) => {$(
        impl Member for $t {
            fn visit_list<'a>(list: &'a [Self], f: &mut Visitor<'_, 'a>) -> Result<()> {
                f("", TensorRef::Slice(<$t>::slice_ref(list)))
            }
        }

        impl MemberMut for $t {
            fn visit_list_mut(mut list: &mut [Self], f: &mut VisitorMut<'_>) -> Result<()> {
                f("", &mut list)
            }
        }
    )*};
}

element_lists!(f32, f64);
#[cfg(feature = "half")]
element_lists!(half::f16, half::bf16);

impl<T: Member> TensorSet for [T] {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        T::visit_list(self, f)
    }
}

impl<T: MemberMut> TensorSetMut for [T] {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        T::visit_list_mut(self, f)
    }
}

/// A set that passes everything on to another.
macro_rules! forward_set {
    ([$($g:tt)*] $t:ty, [$($gm:tt)*]) => {
        impl<$($g)*> TensorSet for $t {
            fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
                (**self).visit(f)
            }

            fn measure(&self, after: &Edits, into: &mut Measurement) -> Result<()> {
                (**self).measure(after, into)
            }
        }

        member!([$($g)*] $t);

        impl<$($gm)*> TensorSetMut for $t {
            fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
                (**self).visit_mut(f)
            }

            fn apply(&mut self, edits: &Edits) -> Result<()> {
                (**self).apply(edits)
            }

            fn apply_and_measure(
                &mut self,
                edits: &Edits,
                before: &Measurement,
                into: &mut Measurement,
            ) -> Result<()> {
                (**self).apply_and_measure(edits, before, into)
            }
        }

        member_mut!([$($gm)*] $t);
    };
}

forward_set!([T: TensorSet + ?Sized] &mut T, [T: TensorSetMut + ?Sized]);
forward_set!([T: TensorSet + ?Sized] Box<T>, [T: TensorSetMut + ?Sized]);

impl<T: TensorSet + ?Sized> TensorSet for &T {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        (**self).visit(f)
    }

    fn measure(&self, after: &Edits, into: &mut Measurement) -> Result<()> {
        (**self).measure(after, into)
    }
}

member!([T: TensorSet + ?Sized] &T);

impl<T: Member> TensorSet for Vec<T> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        T::visit_list(self, f)
    }
}

impl<T: MemberMut> TensorSetMut for Vec<T> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        T::visit_list_mut(self, f)
    }
}

member!([T: Member] Vec<T>);
member_mut!([T: MemberMut] Vec<T>);

impl<T: Member, const N: usize> TensorSet for [T; N] {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        T::visit_list(self, f)
    }
}

impl<T: MemberMut, const N: usize> TensorSetMut for [T; N] {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        T::visit_list_mut(self, f)
    }
}

member!([T: Member, const N: usize] [T; N]);
member_mut!([T: MemberMut, const N: usize] [T; N]);

// A missing tensor keeps its place in the order, with no elements.
set_of_one!([T: Tensor] Option<T>);
set_of_one_mut!([T: TensorMut] Option<T>);
member!([T: Tensor] Option<T>);
member_mut!([T: TensorMut] Option<T>);

impl TensorSet for dyn TensorMut + '_ {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        f("", self.lend())
    }
}

impl TensorSetMut for dyn TensorMut + '_ {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        let mut tensor = self;
        f("", &mut tensor)
    }
}

impl TensorSet for dyn Tensor + '_ {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        f("", TensorRef::Other(self))
    }
}

impl TensorSet for TensorRef<'_> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        f("", *self)
    }
}

/// What can name a tensor in a list of pairs or a map.
///
/// # Examples
///
/// ```
/// use std::borrow::Cow;
/// use steadygrad::{Measurement, Name};
///
/// let grads = [(Cow::Borrowed("w"), [1.0]), (Cow::Owned(format!("b{}", 1)), [2.0])];
/// assert_eq!(grads[1].0.name(), "b1");
/// assert_eq!(Measurement::of(&grads)?.name(1), "b1");
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait Name {
    /// The name.
    fn name(&self) -> &str;
}

impl Name for &str {
    fn name(&self) -> &str {
        self
    }
}

impl Name for String {
    fn name(&self) -> &str {
        self
    }
}

impl Name for Cow<'_, str> {
    fn name(&self) -> &str {
        self
    }
}

impl<N: Name, T: TensorSet> Member for (N, T) {
    fn visit_list<'a>(list: &'a [Self], f: &mut Visitor<'_, 'a>) -> Result<()> {
        list.iter()
            .try_for_each(|(name, set)| visit_under(name.name(), set, f))
    }
}

impl<N: Name, T: TensorSetMut> MemberMut for (N, T) {
    fn visit_list_mut(list: &mut [Self], f: &mut VisitorMut<'_>) -> Result<()> {
        list.iter_mut()
            .try_for_each(|(name, set)| visit_under_mut(name.name(), set, f))
    }
}

impl<N: Name, T: TensorSet> TensorSet for BTreeMap<N, T> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.iter()
            .try_for_each(|(name, set)| visit_under(name.name(), set, f))
    }
}

impl<N: Name, T: TensorSetMut> TensorSetMut for BTreeMap<N, T> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        self.iter_mut()
            .try_for_each(|(name, set)| visit_under_mut(name.name(), set, f))
    }
}

member!([N: Name, T: TensorSet] BTreeMap<N, T>);
member_mut!([N: Name, T: TensorSetMut] BTreeMap<N, T>);

/// Makes a struct of tensors (or of sets) a [`TensorSet`], its fields' names the tensors' names.
///
/// Generic parameters go in front, in `impl[..]`.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, tensor_set, Element};
///
/// struct Layer<E> { w: Vec<E>, b: [E; 1] }
/// tensor_set!(impl[E: Element] Layer<E> { w, b });
///
/// struct Model { layers: Vec<Layer<f32>>, head: Option<Vec<f64>> }
/// tensor_set!(Model { layers, head });
///
/// let mut grads = Model {
///     layers: vec![Layer { w: vec![3.0, f32::NAN], b: [4.0] }],
///     head: None,
/// };
/// let error = clip::global_norm(&mut grads, 1.0).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "layers.0.w: expected finite numbers, found 1 NaN and 0 infinite, the first at index 1",
/// );
/// ```
#[macro_export]
macro_rules! tensor_set {
    (impl[$($g:tt)*] $t:ty { $($field:ident),+ $(,)? }) => {
        impl<$($g)*> $crate::TensorSet for $t {
            fn visit<'a>(&'a self, f: &mut $crate::set::Visitor<'_, 'a>) -> $crate::Result<()> {
                $($crate::set::visit_under(::core::stringify!($field), &self.$field, f)?;)+
                ::core::result::Result::Ok(())
            }
        }

        impl<$($g)*> $crate::TensorSetMut for $t {
            fn visit_mut(&mut self, f: &mut $crate::set::VisitorMut<'_>) -> $crate::Result<()> {
                $($crate::set::visit_under_mut(::core::stringify!($field), &mut self.$field, f)?;)+
                ::core::result::Result::Ok(())
            }
        }

        impl<$($g)*> $crate::set::Member for $t {
            fn visit_list<'a>(list: &'a [Self], f: &mut $crate::set::Visitor<'_, 'a>) -> $crate::Result<()> {
                $crate::set::visit_numbered(list, f)
            }
        }

        impl<$($g)*> $crate::set::MemberMut for $t {
            fn visit_list_mut(list: &mut [Self], f: &mut $crate::set::VisitorMut<'_>) -> $crate::Result<()> {
                $crate::set::visit_numbered_mut(list, f)
            }
        }
    };
    ($t:ty { $($field:ident),+ $(,)? }) => {
        $crate::tensor_set!(impl[] $t { $($field),+ });
    };
}
