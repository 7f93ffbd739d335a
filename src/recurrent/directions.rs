//! What comes once for each direction.

use crate::{TensorSetMut, tensor_set};

/// What a [`Bidirectional`](super::Bidirectional) layer has of everything, one for each direction.
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use steadygrad::recurrent::{Activation, Bidirectional, Directions, Layer, Rnn};
///
/// let rnn = Rnn::new(array![[1.0]], array![[0.5]], array![0.0], Activation::Identity)?;
/// let net = Bidirectional::new(rnn.clone(), rnn);
/// let xs = array![[[1.0]], [[2.0]], [[4.0]]];
/// let Directions { forwards, reverse } = net.forward(xs.view(), &net.zero_state(1))?.final_state();
/// assert_eq!((forwards.h, reverse.h), (array![[5.25]], array![[3.0]]));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Directions<T> {
    /// From the start of a sequence to its end.
    pub forwards: T,
    /// From its end to its start.
    pub reverse: T,
}

tensor_set!(impl[T: TensorSetMut] Directions<T> { forwards, reverse });
