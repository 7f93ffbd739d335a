//! Lists, numbers, references, boxes and what may be missing: what passes its tensors on.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{TensorSet, TensorSetMut, Visitor, VisitorMut};
use crate::Result;
#[cfg(feature = "rayon")]
use crate::batch::Writes;
#[cfg(feature = "rayon")]
use crate::kernel;
use crate::number::Number;
use crate::reading::Reading;
use crate::slice::SliceMut;
use crate::tensor::{Tensor, TensorMut, TensorRef};
use crate::writing::Writing;

/// A number is a tensor of one, and a list of numbers one tensor.
macro_rules! element_sets {
    ($($t:ty),*) => {$(
        impl TensorSet for $t {
            fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
                Self::visit_list(core::slice::from_ref(self), f)
            }

            fn visit_list<'a>(list: &'a [Self], f: &mut Visitor<'_, 'a>) -> Result<()> {
                f("", TensorRef::Slice(<$t>::slice_ref(list)))
            }

            fn measure_list<'a>(list: &'a [Self], reading: &mut Reading<'_, 'a>) -> Result<()> {
                reading.tensor("", TensorRef::Slice(<$t>::slice_ref(list)))
            }
        }

        impl TensorSetMut for $t {
            fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
                Self::visit_list_mut(core::slice::from_mut(self), f)
            }

            fn visit_list_mut(mut list: &mut [Self], f: &mut VisitorMut<'_>) -> Result<()> {
                f("", &mut list)
            }

            fn carry_out_list(list: &mut [Self], writing: &mut Writing<'_>) -> Result<()> {
                writing.slice(list)
            }

            fn lent_list(list: &mut [Self]) -> Option<SliceMut<'_>> {
                Some(<$t>::slice_mut(list))
            }
        }
    )*};
}

element_sets!(f32, f64);
#[cfg(feature = "half")]
element_sets!(half::f16, half::bf16);

/// A list is what its members make of it.
macro_rules! list_sets {
    ($([$($g:tt)*] $t:ty { $($lent:tt)* }),*) => {$(
        impl<T: TensorSet, $($g)*> TensorSet for $t {
            fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
                T::visit_list(self, f)
            }

            fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
                T::measure_list(self, reading)
            }
        }

        impl<T: TensorSetMut, $($g)*> TensorSetMut for $t {
            fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
                T::visit_list_mut(self, f)
            }

            fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
                T::carry_out_list(self, writing)
            }

            $($lent)*
        }
    )*};
}

list_sets!(
    [] [T] {},
    [] Vec<T> {
        fn lent(&mut self) -> Option<SliceMut<'_>> {
            T::lent_list(self)
        }
    },
    [const N: usize] [T; N] {
        fn lent(&mut self) -> Option<SliceMut<'_>> {
            T::lent_list(self)
        }
    }
);

/// Whether the members of a list are so large, and so simple, that threads share their edits.
#[cfg(feature = "rayon")]
pub(super) fn share<T: TensorSetMut>(list: &mut [T], writing: &Writing<'_>) -> bool {
    if list.len() < 2 || !writing.may_wait() {
        return false;
    }
    let slices = list.iter_mut().filter_map(T::lent);
    kernel::share(slices.map(|slice| slice.len()).sum())
}

/// Carries out the edits of a list's members, several at once.
#[cfg(feature = "rayon")]
pub(super) fn carry_out_side_by_side<T: TensorSetMut>(
    list: &mut [T],
    writing: &mut Writing<'_>,
) -> Result<()> {
    let mut waiting = Writes::new();
    let mut done = Ok(());
    for (i, set) in list.iter_mut().enumerate() {
        // Asked twice, since what is lent cannot be taken back where there is nothing.
        if set.lent().is_none() {
            waiting.carry_out(writing.clamped());
            done = writing.under_number(i, |writing| set.carry_out(writing));
        } else if let Some(slice) = set.lent() {
            done = writing.later(i, slice, &mut waiting);
        }
        if done.is_err() {
            break;
        }
    }
    // Also when one did not fit, since those before it did.
    waiting.carry_out(writing.clamped());
    done
}

/// A set that passes everything on to another.
macro_rules! forward_set {
    ($t:ty) => {
        impl<T: TensorSet + ?Sized> TensorSet for $t {
            fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
                (**self).visit(f)
            }

            fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
                (**self).measure(reading)
            }
        }
    };
}

macro_rules! forward_set_mut {
    ($t:ty) => {
        impl<T: TensorSetMut + ?Sized> TensorSetMut for $t {
            fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
                (**self).visit_mut(f)
            }

            fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
                (**self).carry_out(writing)
            }
        }
    };
}

forward_set!(&T);
forward_set!(&mut T);
forward_set_mut!(&mut T);
forward_set!(Box<T>);
forward_set_mut!(Box<T>);

/// What is not there: no elements, but a place in the order.
type Missing = Option<[f64; 0]>;

const MISSING: &Missing = &None;

/// A missing tensor, or a missing set of them, keeps its place in the order: one tensor without elements.
impl<T: TensorSet> TensorSet for Option<T> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        match self {
            Some(set) => set.visit(f),
            None => f("", TensorRef::Other(MISSING)),
        }
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        match self {
            Some(set) => set.measure(reading),
            None => reading.tensor("", TensorRef::Other(MISSING)),
        }
    }
}

impl<T: TensorSetMut> TensorSetMut for Option<T> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        match self {
            Some(set) => set.visit_mut(f),
            None => f("", &mut Missing::None),
        }
    }

    fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        match self {
            Some(set) => set.carry_out(writing),
            None => writing.tensor("", &mut Missing::None),
        }
    }
}

impl TensorSet for dyn TensorMut + '_ {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        f("", TensorRef::Other(self))
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
