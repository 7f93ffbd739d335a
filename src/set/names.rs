//! Names: joined by dots where sets are nested, counted in lists, given in pairs and maps.

use alloc::collections::BTreeMap;
use alloc::format;

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

/// The name that the source gives a field: `in` for `r#in`.
#[doc(hidden)]
#[must_use]
pub fn field_name(source: &'static str) -> &'static str {
    source.strip_prefix("r#").unwrap_or(source)
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
pub(super) fn visit_numbered<'a, S: TensorSet>(
    list: &'a [S],
    f: &mut Visitor<'_, 'a>,
) -> Result<()> {
    list.iter()
        .enumerate()
        .try_for_each(|(i, set)| with_digits(i, |name| visit_under(name, set, f)))
}

/// Visits a list of sets under the names "0", "1", ….
pub(super) fn visit_numbered_mut<S: TensorSetMut>(
    list: &mut [S],
    f: &mut VisitorMut<'_>,
) -> Result<()> {
    list.iter_mut()
        .enumerate()
        .try_for_each(|(i, set)| with_digits(i, |name| visit_under_mut(name, set, f)))
}
