//! Names: joined by dots where sets are nested, counted in lists, given in pairs and maps.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use super::lists::{member, member_mut};
use super::{Member, MemberMut, TensorSet, TensorSetMut, Visitor, VisitorMut};
use crate::Result;

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
    ///
    /// ```
    /// use steadygrad::{Measurement, Name};
    /// enum Gate { Forget, Input }
    /// impl Name for Gate {
    ///     fn name(&self) -> &str { match self { Gate::Forget => "forget", Gate::Input => "input" } }
    /// }
    /// let seen = Measurement::of(&[(Gate::Forget, [1.0]), (Gate::Input, [2.0])])?;
    /// assert_eq!((seen.name(0), seen.name(1)), ("forget", "input"));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
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
