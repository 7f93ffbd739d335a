//! The working memory of layers that wrap others.

use core::fmt;

/// The working memory of a wrapper's backward pass: its own, and that of the layers it wraps.
///
/// What it holds between two calls means nothing, so a copy holds nothing and any two are equal.
///
/// # Examples
///
/// ```
/// use ndarray::Array3;
/// use steadygrad::recurrent::{Layer, Rnn, Stacked, Working};
///
/// let rnn = |inputs| Rnn::<f32>::builder(inputs, 5).build(&mut || 0.75);
/// let stack = Stacked(vec![rnn(2)?, rnn(5)?]);
/// let pass = stack.forward(Array3::ones((9, 3, 2)).view(), &stack.zero_state(3))?;
/// let mut back = stack.backward(&pass, pass.outputs())?;
/// let whole = back.d_inputs.clone();
/// *back.space() = Working::default();   // who keeps gradients for long may let go of it
/// assert_eq!(back.d_inputs, whole);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Default)]
pub struct Working<T>(pub(super) T);

impl<T: Default> Clone for Working<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T> PartialEq for Working<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> fmt::Debug for Working<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Working").finish_non_exhaustive()
    }
}
