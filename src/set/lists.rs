//! Lists, numbers, references, boxes and what may be missing: what passes its tensors on.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{TensorSet, TensorSetMut, Visitor, VisitorMut};
use crate::edits::Edits;
use crate::measurement::Measurement;
use crate::number::Number;
use crate::tensor::{Tensor, TensorMut, TensorRef};
use crate::{Result, Total};

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
        }

        impl TensorSetMut for $t {
            fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
                Self::visit_list_mut(core::slice::from_mut(self), f)
            }

            fn visit_list_mut(mut list: &mut [Self], f: &mut VisitorMut<'_>) -> Result<()> {
                f("", &mut list)
            }
        }
    )*};
}

element_sets!(f32, f64);
#[cfg(feature = "half")]
element_sets!(half::f16, half::bf16);

/// A list is what its members make of it.
macro_rules! list_sets {
    ($([$($g:tt)*] $t:ty),*) => {$(
        impl<T: TensorSet, $($g)*> TensorSet for $t {
            fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
                T::visit_list(self, f)
            }
        }

        impl<T: TensorSetMut, $($g)*> TensorSetMut for $t {
            fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
                T::visit_list_mut(self, f)
            }
        }
    )*};
}

list_sets!([] [T], [] Vec<T>, [const N: usize] [T; N]);

/// A set that passes everything on to another.
macro_rules! forward_set {
    ($t:ty) => {
        impl<T: TensorSet + ?Sized> TensorSet for $t {
            fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
                (**self).visit(f)
            }

            fn measure(&self, after: &Edits, into: &mut Measurement) -> Result<()> {
                (**self).measure(after, into)
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
    };
}

forward_set!(&T);
forward_set!(&mut T);
forward_set_mut!(&mut T);
forward_set!(Box<T>);
forward_set_mut!(Box<T>);

/// What is not there: no elements, but a place in the order.
type Missing = Option<[f64; 0]>;

/// A missing tensor, or a missing set of them, keeps its place in the order: one tensor without elements.
impl<T: TensorSet> TensorSet for Option<T> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        const MISSING: &Missing = &None;
        match self {
            Some(set) => set.visit(f),
            None => f("", TensorRef::Other(MISSING)),
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
