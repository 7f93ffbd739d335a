//! Sets with names of their own: pairs and maps.

use alloc::collections::BTreeMap;

use super::names::join;
use super::{TensorSet, TensorSetMut, Visitor, VisitorMut};
use crate::Result;

/// A pair of a name and a set is a set whose names begin with that name. In a list, pairs go by their names.
impl<N: AsRef<str>, T: TensorSet> TensorSet for (N, T) {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        visit_under(self.0.as_ref(), &self.1, f)
    }

    fn visit_list<'a>(list: &'a [Self], f: &mut Visitor<'_, 'a>) -> Result<()> {
        list.iter().try_for_each(|pair| pair.visit(f))
    }
}

impl<N: AsRef<str>, T: TensorSetMut> TensorSetMut for (N, T) {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        visit_under_mut(self.0.as_ref(), &mut self.1, f)
    }

    fn visit_list_mut(list: &mut [Self], f: &mut VisitorMut<'_>) -> Result<()> {
        list.iter_mut().try_for_each(|pair| pair.visit_mut(f))
    }
}

impl<N: AsRef<str>, T: TensorSet> TensorSet for BTreeMap<N, T> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.iter()
            .try_for_each(|(name, set)| visit_under(name.as_ref(), set, f))
    }
}

impl<N: AsRef<str>, T: TensorSetMut> TensorSetMut for BTreeMap<N, T> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        self.iter_mut()
            .try_for_each(|(name, set)| visit_under_mut(name.as_ref(), set, f))
    }
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
