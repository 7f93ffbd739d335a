//! Which tensor of one set belongs to which of another.

use core::ops::Range;

use crate::names::Names;
use crate::{Error, Result};

/// A tensor that asks for its partner.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) name: &'a str,
    pub(crate) dims: Option<&'a [usize]>,
    pub(crate) len: usize,
}

/// A set to whose tensors those of another are paired, in order: by name, number and size, and by dims where
/// both tell them, so that a flat tensor fits any dims of its length.
#[derive(Debug)]
pub(crate) struct Pairing<'n, L> {
    names: &'n Names,
    /// How many elements each tensor has.
    len: L,
    /// Whether a tensor without elements stands for any of its name, and for all below that name.
    may_miss: bool,
    next: usize,
}

impl<'n, L: Fn(usize) -> usize> Pairing<'n, L> {
    /// With a set of the same tensors, of which none may be missing.
    pub(crate) fn same(names: &'n Names, len: L) -> Self {
        Self {
            names,
            len,
            may_miss: false,
            next: 0,
        }
    }

    /// Of parameters with their gradients, some of which may be missing.
    pub(crate) fn with_gradients(names: &'n Names, len: L) -> Self {
        Self {
            may_miss: true,
            ..Self::same(names, len)
        }
    }

    /// The partners of the next tensor: one, unless a set is missing as a whole. None once there are no more,
    /// of which [`Pairing::finish`] tells.
    pub(crate) fn take(&mut self, found: Found<'_>) -> Result<Range<usize>> {
        let start = self.next;
        let Some(expected) = self.names.get(start) else {
            self.next += 1;
            return Ok(start..start);
        };
        if self.may_miss && found.len == 0 {
            let below = |name| is_below(name, found.name);
            while self.names.get(self.next).is_some_and(below) {
                self.next += 1;
            }
            if self.next > start {
                return Ok(start..self.next);
            }
        }
        if found.name != expected {
            return Err(Error::Name {
                index: start,
                expected: expected.into(),
                found: found.name.into(),
            });
        }
        match (self.names.dims(start), found.dims) {
            (Some(expected), Some(found)) if expected != found => {
                return Err(Error::Shape {
                    what: "gradient",
                    expected: expected.into(),
                    found: found.into(),
                });
            }
            _ => (),
        }
        let expected = (self.len)(start);
        if found.len != expected {
            return Err(Error::Count {
                what: "elements of a gradient",
                expected,
                found: found.len,
            });
        }
        self.next += 1;
        Ok(start..self.next)
    }

    /// Whether every tensor found its partner.
    pub(crate) fn finish(self) -> Result<()> {
        if self.next == self.names.len() {
            Ok(())
        } else {
            Err(Error::Count {
                what: if self.may_miss {
                    "gradient tensors"
                } else {
                    "tensors of the set"
                },
                expected: self.names.len(),
                found: self.next,
            })
        }
    }
}

/// Whether `name` is `set`, or lies below it.
fn is_below(name: &str, set: &str) -> bool {
    name.strip_prefix(set)
        .is_some_and(|rest| set.is_empty() || rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn names(all: &[&str]) -> Names {
        let mut names = Names::default();
        all.iter().for_each(|name| names.push(name, None));
        names
    }

    fn gradient(name: &str, len: usize) -> Found<'_> {
        Found {
            name,
            dims: None,
            len,
        }
    }

    #[test]
    fn a_missing_set_stands_for_all_below_its_name() {
        let names = names(&["head", "head.b", "header.w", "out"]);
        let mut pairing = Pairing::with_gradients(&names, |_| 2);
        assert_eq!(pairing.take(gradient("head", 0)), Ok(0..2));
        assert_eq!(pairing.take(gradient("header", 0)), Ok(2..3));
        assert_eq!(pairing.take(gradient("out", 2)), Ok(3..4));
        assert_eq!(pairing.finish(), Ok(()));
        let mut all = Pairing::with_gradients(&names, |_| 2);
        assert_eq!(all.take(gradient("", 0)), Ok(0..4));
        let mut plan = Pairing::same(&names, |_| 2);
        assert!(plan.take(gradient("head", 0)).is_err());
    }

    #[test]
    fn nothing_stands_for_a_name_of_its_own() {
        let names = names(&["head.w"]);
        let error = Pairing::with_gradients(&names, |_| 2)
            .take(gradient("he", 0))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "tensor 0: expected the name \"head.w\", found \"he\""
        );
    }
}
