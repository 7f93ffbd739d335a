//! A batch of sequences.

use ndarray::ArrayView3;

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
        Self { xs, lengths: None }
    }

    /// How many steps each sequence of the batch has.
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
        given.copied().unwrap_or(self.xs.dim().0)
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
        let time = self.xs.dim().0;
        let mut lengths = self.lengths.unwrap_or_default().iter();
        match lengths.find(|&&length| length != time) {
            None => Ok(self.xs),
            Some(&found) => Err(Error::Count {
                what: "length of a sequence, in a layer that takes no padding",
                expected: time,
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
