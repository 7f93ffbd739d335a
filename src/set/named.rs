//! Sets with names of their own: pairs and maps.

use alloc::collections::BTreeMap;

use super::names::join;
use super::{TensorSet, TensorSetMut, Visitor, VisitorMut};
use crate::Result;
use crate::reading::Reading;
use crate::writing::Writing;

/// A pair of a name and a set is a set whose names begin with that name. In a list, pairs go by their names.
impl<N: AsRef<str>, T: TensorSet> TensorSet for (N, T) {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        visit_under(self.0.as_ref(), &self.1, f)
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        reading.under(self.0.as_ref(), |reading| self.1.measure(reading))
    }

    fn visit_list<'a>(list: &'a [Self], f: &mut Visitor<'_, 'a>) -> Result<()> {
        list.iter().try_for_each(|pair| pair.visit(f))
    }

    fn measure_list<'a>(list: &'a [Self], reading: &mut Reading<'_, 'a>) -> Result<()> {
        list.iter().try_for_each(|pair| pair.measure(reading))
    }
}

impl<N: AsRef<str>, T: TensorSetMut> TensorSetMut for (N, T) {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        visit_under_mut(self.0.as_ref(), &mut self.1, f)
    }

    fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        let (name, set) = self;
        writing.under(name.as_ref(), |writing| set.carry_out(writing))
    }

    fn visit_list_mut(list: &mut [Self], f: &mut VisitorMut<'_>) -> Result<()> {
        list.iter_mut().try_for_each(|pair| pair.visit_mut(f))
    }

    fn carry_out_list(list: &mut [Self], writing: &mut Writing<'_>) -> Result<()> {
        list.iter_mut().try_for_each(|pair| pair.carry_out(writing))
    }
}

impl<N: AsRef<str>, T: TensorSet> TensorSet for BTreeMap<N, T> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.iter()
            .try_for_each(|(name, set)| visit_under(name.as_ref(), set, f))
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        let mut sets = self.iter();
        sets.try_for_each(|(name, set)| {
            reading.under(name.as_ref(), |reading| set.measure(reading))
        })
    }
}

impl<N: AsRef<str>, T: TensorSetMut> TensorSetMut for BTreeMap<N, T> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        self.iter_mut()
            .try_for_each(|(name, set)| visit_under_mut(name.as_ref(), set, f))
    }

    fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        let mut sets = self.iter_mut();
        sets.try_for_each(|(name, set)| {
            writing.under(name.as_ref(), |writing| set.carry_out(writing))
        })
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
