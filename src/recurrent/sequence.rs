//! A batch of sequences.

use core::ops::Range;

use ndarray::{ArrayView3, Axis, Slice};

use super::linear::check;
use crate::{Error, Result};

/// A batch of sequences, `[time, batch, features]`, and how long each of them is.
///
/// Where a layer takes one, the view of an array will do: then each sequence is as long as the array.
/// Shorter ones are padded at their end, and what the padding holds does not matter.
///
/// # Examples
///
/// ```
/// use ndarray::Array3;
/// use steadygrad::recurrent::Sequence;
///
/// let xs = Array3::<f32>::zeros((6, 2, 3));
/// let padded = Sequence::new(xs.view()).lengths(&[6, 4])?;   // two steps of padding behind the second
/// assert_eq!((padded.length(0), padded.length(1)), (6, 4));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sequence<'a, A> {
    xs: ArrayView3<'a, A>,
    lengths: Option<&'a [usize]>,
    /// How many steps of the sequences that the lengths speak of lie before the first of these.
    start: usize,
}

impl<'a, A> Sequence<'a, A> {
    /// Sequences that are all as long as the array.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::Sequence;
    ///
    /// let xs = Array3::<f32>::zeros((6, 2, 3));
    /// assert_eq!(Sequence::new(xs.view()).length(1), 6);
    /// ```
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "a view is kept as it is")]
    pub fn new(xs: ArrayView3<'a, A>) -> Self {
        Self {
            xs,
            lengths: None,
            start: 0,
        }
    }

    /// How many steps each sequence of the batch has.
    ///
    /// What a layer then does is what PyTorch does with packed sequences (`enforce_sorted=False`): past the end of a
    /// sequence its outputs are zero and its state stays; the final state is that of each sequence's own last step. On the
    /// way back, output gradients past the end are ignored, input gradients there are zero, and the gradient of the
    /// final state comes in at each sequence's own end. A sequence of no steps hands its state on as it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::Sequence;
    ///
    /// let xs = Array3::<f32>::zeros((6, 2, 3));
    /// assert_eq!(Sequence::new(xs.view()).lengths(&[0, 6])?.length(0), 0);
    /// let error = Sequence::new(xs.view()).lengths(&[7, 6]).unwrap_err();
    /// assert_eq!(error.to_string(), "length of a sequence: expected at most the steps of the array, found 7");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Count`] if there is not one length for each sequence, [`Error::Setting`] if one of them is more than
    /// the array has steps.
    pub fn lengths(self, lengths: &'a [usize]) -> Result<Self> {
        let (time, batch, _) = self.xs.dim();
        if lengths.len() != batch {
            return Err(Error::Count {
                what: "lengths of sequences",
                expected: batch,
                found: lengths.len(),
            });
        }
        match lengths.iter().find(|&&length| length > time) {
            None => Ok(Self {
                lengths: Some(lengths),
                start: 0,
                ..self
            }),
            Some(&length) => Err(Error::Setting {
                what: "length of a sequence",
                expected: "at most the steps of the array",
                found: length as f64,
            }),
        }
    }

    /// How many steps sequence `b` of the batch has.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::Sequence;
    ///
    /// let xs = Array3::<f32>::zeros((6, 2, 3));
    /// assert_eq!(Sequence::new(xs.view()).lengths(&[6, 4])?.length(1), 4);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn length(&self, b: usize) -> usize {
        let given = self.lengths.and_then(|lengths| lengths.get(b));
        let time = self.xs.dim().0;
        given.map_or(time, |&length| length.saturating_sub(self.start).min(time))
    }

    /// Whether a sequence is shorter than the array.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::Sequence;
    ///
    /// let xs = Array3::<f32>::zeros((6, 2, 3));
    /// assert!(Sequence::new(xs.view()).lengths(&[6, 4])?.is_padded());
    /// assert!(!Sequence::new(xs.view()).lengths(&[6, 6])?.is_padded());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn is_padded(&self) -> bool {
        self.first_padded().is_some()
    }

    /// Some of the steps, as far as there are such; each sequence has what then is left of it.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::Sequence;
    ///
    /// let xs = Array3::<f32>::zeros((6, 2, 3));
    /// let whole = Sequence::new(xs.view()).lengths(&[6, 3])?;
    /// let (first, second) = (whole.steps(0..4), whole.steps(4..8));
    /// assert_eq!((first.xs().dim(), second.xs().dim()), ((4, 2, 3), (2, 2, 3)));
    /// assert_eq!((first.length(0), second.length(0)), (4, 2));
    /// assert_eq!((first.length(1), second.length(1)), (3, 0));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn steps(&self, steps: Range<usize>) -> Self {
        let end = steps.end.min(self.xs.dim().0);
        let start = steps.start.min(end);
        let mut xs = self.xs;
        xs.slice_axis_inplace(Axis(0), Slice::from(start..end));
        Self {
            xs,
            lengths: self.lengths,
            start: self.start + start,
        }
    }

    /// Other features of the same steps, with the same lengths: what a layer made of them.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::Sequence;
    ///
    /// let (xs, hidden) = (Array3::<f32>::zeros((6, 2, 3)), Array3::<f32>::zeros((6, 2, 50)));
    /// let padded = Sequence::new(xs.view()).lengths(&[6, 4])?;
    /// assert_eq!(padded.with_xs(hidden.view())?.length(1), 4);
    /// let error = padded.with_xs(Array3::<f32>::zeros((5, 2, 50)).view()).unwrap_err();
    /// assert_eq!(error.to_string(), "features of the same steps: expected shape [6, 2, 50], found [5, 2, 50]");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if these are not as many steps of as many sequences.
    #[expect(clippy::needless_pass_by_value, reason = "a view is kept as it is")]
    pub fn with_xs<'b, B>(&self, xs: ArrayView3<'b, B>) -> Result<Sequence<'b, B>>
    where
        'a: 'b,
    {
        let ((time, batch, _), features) = (self.xs.dim(), xs.dim().2);
        check(
            "features of the same steps",
            xs.shape(),
            &[time, batch, features],
        )?;
        Ok(Sequence {
            xs,
            lengths: self.lengths,
            start: self.start,
        })
    }

    /// The same for a shorter time: views of arrays do not shorten it by themselves.
    pub(super) fn reborrow<'b>(self) -> Sequence<'b, A>
    where
        'a: 'b,
    {
        Sequence {
            xs: self.xs.reborrow(),
            lengths: self.lengths,
            start: self.start,
        }
    }

    /// The length of the first sequence that is shorter than the array.
    fn first_padded(&self) -> Option<usize> {
        let batch = self.lengths.map_or(0, <[usize]>::len);
        let mut lengths = (0..batch).map(|b| self.length(b));
        lengths.find(|&length| length < self.xs.dim().0)
    }

    /// The inputs with their padding.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::Sequence;
    ///
    /// let xs = Array3::<f32>::zeros((6, 2, 3));
    /// assert_eq!(Sequence::new(xs.view()).lengths(&[6, 4])?.xs(), xs);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn xs(&self) -> ArrayView3<'a, A> {
        self.xs
    }

    /// The inputs, if none of them is padding: for a layer that does not tell one from the other.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::Sequence;
    ///
    /// let xs = Array3::<f32>::zeros((6, 2, 3));
    /// assert_eq!(Sequence::new(xs.view()).lengths(&[6, 6])?.unpadded()?, xs);
    /// let error = Sequence::new(xs.view()).lengths(&[6, 4])?.unpadded().unwrap_err();
    /// assert_eq!(error.to_string(), "length of a sequence, in a layer that takes no padding: expected 6, found 4");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Count`] if a sequence is shorter than the array.
    pub fn unpadded(&self) -> Result<ArrayView3<'a, A>> {
        match self.first_padded() {
            None => Ok(self.xs),
            Some(found) => Err(Error::Count {
                what: "length of a sequence, in a layer that takes no padding",
                expected: self.xs.dim().0,
                found,
            }),
        }
    }
}

impl<'a, A> From<ArrayView3<'a, A>> for Sequence<'a, A> {
    fn from(xs: ArrayView3<'a, A>) -> Self {
        Self::new(xs)
    }
}
