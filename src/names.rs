//! What a set's tensors are called, and how they are shaped.

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
    pub(crate) fn is(&self, index: usize, name: &str, dims: Option<&[usize]>) -> bool {
        self.ends.get(index).is_some_and(|&end| {
            let start = self.end_of(index);
            // Bytes, so that no one asks whether characters begin and end here.
            self.text.as_bytes()[start.text..end.text] == *name.as_bytes()
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
