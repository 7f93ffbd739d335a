//! Lists, references and boxes: what passes its tensors on, and what can stand in a list.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{TensorRef, TensorSet, TensorSetMut, Visitor, VisitorMut};
use crate::edit::Edits;
use crate::element::Element;
use crate::measurement::Measurement;
use crate::tensor::{Tensor, TensorMut};
use crate::{Result, Total};

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
    /// ```
    /// use steadygrad::{Member, Tensor, Visitor};
    /// let mut seen = vec![];
    /// let note: &mut Visitor<'_, '_> = &mut |name, tensor| Ok(seen.push((name.to_string(), tensor.len())));
    /// f32::visit_list(&[1.0, 2.0], note)?;                   // numbers: one tensor without a name
    /// Vec::visit_list(&[vec![1.0_f32], vec![2.0]], note)?;   // lists: one tensor each, counted
    /// assert_eq!(seen, [("".into(), 2), ("0".into(), 1), ("1".into(), 1)]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
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
    /// ```
    /// use steadygrad::MemberMut;
    /// let mut list = [vec![1.0_f32], vec![2.0]];
    /// Vec::visit_list_mut(&mut list, &mut |name, tensor| tensor.add(0, &[if name == "1" { 0.5 } else { 0.0 }]))?;
    /// assert_eq!(list, [[1.0], [2.5]]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first error that `f` gives.
    fn visit_list_mut(list: &mut [Self], f: &mut VisitorMut<'_>) -> Result<()>;
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

pub(crate) use {member, member_mut};
#[cfg(feature = "ndarray")]
pub(crate) use {set_of_one, set_of_one_mut};

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

            fn clamp_and_total(&mut self, min: f64, max: f64) -> Result<[Total; 2]> {
                (**self).clamp_and_total(min, max)
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
