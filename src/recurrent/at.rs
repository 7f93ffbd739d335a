//! Where on its way back a pass is.

/// A place on the way back: a step of a layer.
///
/// # Examples
///
/// ```
/// use steadygrad::recurrent::At;
///
/// let at = At::time(9);
/// assert_eq!((at.time, at.layer, at.reverse), (9, 0, false));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct At {
    /// The step, counted along the sequence.
    pub time: usize,
    /// Which of the layers that lie on each other, counted from the inputs.
    pub layer: usize,
    /// Whether the layer runs from the end of the sequence to its start.
    pub reverse: bool,
}

impl At {
    /// A step of a single layer that runs forwards.
    ///
    /// # Examples
    ///
    /// A layer that wraps another puts its steps where they are:
    ///
    /// ```
    /// use steadygrad::recurrent::At;
    ///
    /// let below = 2;
    /// let mut at = At::time(9);
    /// at.layer += below;
    /// assert_ne!(at, At::time(9));
    /// ```
    #[must_use]
    pub fn time(time: usize) -> Self {
        Self {
            time,
            layer: 0,
            reverse: false,
        }
    }
}
