//! What a set's tensors are called, and how they are shaped.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The names of a set's tensors, in the set's order, end to end in one text, and the dims of those that
/// tell them. Two are equal if the names are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    text: String,
    dims: Vec<usize>,
    ends: Vec<End>,
}

/// Where a tensor's name ends in the text, and its dims among all dims.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    text: usize,
    dims: usize,
    is_flat: bool,
}

impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
            && self
                .ends
                .iter()
                .map(|end| end.text)
                .eq(other.ends.iter().map(|end| end.text))
    }
}

impl Names {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether this is what tensor `index` is called, and these are its dims.
    #[inline]
    pub(crate) fn is(&self, index: usize, name: &[u8], dims: Option<&[usize]>) -> bool {
        self.ends.get(index).is_some_and(|&end| {
            let start = self.end_of(index);
            // Bytes, so that no one asks whether characters begin and end here.
            self.text.as_bytes()[start.text..end.text] == *name
                && match dims {
                    None => end.is_flat,
                    Some(dims) => !end.is_flat && self.dims[start.dims..end.dims] == *dims,
                }
        })
    }

    /// Whether another tensor has the name of this one.
    pub(crate) fn share(&self, index: usize) -> bool {
        let Some(name) = self.get(index) else {
            return false;
        };
        (0..self.len()).any(|other| other != index && self.get(other) == Some(name))
    }

    pub(crate) fn get(&self, index: usize) -> Option<&str> {
        let end = self.ends.get(index)?.text;
        self.text.get(self.end_of(index).text..end)
    }

    /// The dims of tensor `index`; none of one that is flat.
    pub(crate) fn dims(&self, index: usize) -> Option<&[usize]> {
        let end = self.ends.get(index).filter(|end| !end.is_flat)?.dims;
        self.dims.get(self.end_of(index).dims..end)
    }

    /// Where the first `count` tensors end.
    fn end_of(&self, count: usize) -> End {
        let last = count.checked_sub(1).and_then(|last| self.ends.get(last));
        last.copied().unwrap_or_default()
    }

    pub(crate) fn push(&mut self, name: &str, dims: Option<&[usize]>) {
        self.text.push_str(name);
        self.dims.extend_from_slice(dims.unwrap_or_default());
        self.ends.push(End {
            text: self.text.len(),
            dims: self.dims.len(),
            is_flat: dims.is_none(),
        });
    }

    /// The first `count` names, of which there are at least as many.
    pub(crate) fn first(&self, count: usize) -> Self {
        let end = self.end_of(count);
        Self {
            text: self.text[..end.text].into(),
            dims: self.dims[..end.dims].into(),
            ends: self.ends[..count].into(),
        }
    }
}

/// Bytes of a name that need no heap.
const INLINE: usize = 128;

/// The name of the set that is being walked, to which those of its parts are joined by dots.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    inline: [u8; INLINE],
    len: usize,
    /// All of it, once it is longer than `inline`.
    long: String,
}

impl Path {
    pub(crate) const ROOT: Self = Self {
        inline: [0; INLINE],
        len: 0,
        long: String::new(),
    };

    /// Goes down to a part; what is returned leads back.
    #[inline]
    pub(crate) fn enter(&mut self, name: &str) -> usize {
        let back = self.len;
        if name.is_empty() {
            return back;
        }
        let dot = usize::from(back > 0);
        let end = back + dot + name.len();
        if end <= INLINE {
            if dot > 0 {
                self.inline[back] = b'.';
            }
            self.inline[back + dot..end].copy_from_slice(name.as_bytes());
        } else {
            if back <= INLINE {
                self.long.clear();
                let so_far = core::str::from_utf8(&self.inline[..back]);
                self.long.push_str(so_far.unwrap_or_default());
            }
            if dot > 0 {
                self.long.push('.');
            }
            self.long.push_str(name);
        }
        self.len = end;
        back
    }

    /// Goes down to the part of this number.
    #[inline]
    pub(crate) fn enter_number(&mut self, number: usize) -> usize {
        let (back, dot) = (self.len, usize::from(self.len > 0));
        let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
        let end = back + dot + digits;
        let Some(place) = self.inline.get_mut(back..end) else {
            return self.enter(&format!("{number}"));
        };
        if let Some(first) = place.first_mut() {
            *first = b'.';
        }
        let mut rest = number;
        for digit in place[dot..].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.len = end;
        back
    }

    #[inline]
    pub(crate) fn leave(&mut self, back: usize) {
        if self.len > INLINE {
            self.long.truncate(back);
        }
        self.len = back;
    }

    /// The bytes of the name, which are faster to compare.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.len > INLINE {
            self.long.as_bytes()
        } else {
            &self.inline[..self.len]
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        core::str::from_utf8(self.bytes()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_path_is_its_names_joined_by_dots_however_long() {
        let long = "x".repeat(INLINE - 4);
        let names = ["", "a", "", "bc", &long, "d", "é", "", "e"];
        let (mut path, mut parts, mut backs) = (Path::ROOT, vec![], vec![]);
        for name in names {
            backs.push((path.enter(name), parts.clone()));
            parts.extend(Some(name).filter(|name| !name.is_empty()));
            assert_eq!(path.as_str(), parts.join("."));
        }
        // Numbers are names like others, wherever they come.
        for number in [0, 9, 10, 99, 12_345, 2_000_000_000] {
            for depth in [0, 3, parts.len()] {
                let mut path = Path::ROOT;
                parts[..depth].iter().for_each(|name| _ = path.enter(name));
                let (so_far, back) = (path.as_str().len(), path.enter_number(number));
                let expected = [&parts[..depth], &[&*format!("{number}")]]
                    .concat()
                    .join(".");
                assert_eq!((path.as_str(), back), (&*expected, so_far));
            }
        }
        // There and back again, across the border and within.
        for (back, parts) in backs.into_iter().rev() {
            path.leave(back);
            assert_eq!(path.as_str(), parts.join("."));
            let again = path.enter("again");
            assert_eq!(path.as_str(), [&parts[..], &["again"]].concat().join("."));
            path.leave(again);
        }
    }
}
