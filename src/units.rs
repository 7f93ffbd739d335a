//! The units of a tensor: its rows, columns or planes along an axis.

use alloc::sync::Arc;
use core::fmt;

use crate::{Error, Result};

/// Which parts of a tensor are its units: the weights into one neuron, or the gradients of one example.
///
/// A tensor of at most one axis (a bias, a gain) is one unit as a whole, but for [`Units::Examples`]; so units of
/// matrices and biases of the same set go together.
///
/// # Examples
///
/// ```
/// use steadygrad::Units;
///
/// // A weight as PyTorch and candle keep it, [out, in], and as JAX and burn do, [in, out].
/// assert_eq!(Units::First.axis("w", &[8, 3])?, Some(0));
/// assert_eq!(Units::Last.axis("w", &[3, 8])?, Some(1));
/// assert_eq!(Units::First.axis("b", &[8])?, None);   // one unit
///
/// let by_name = Units::from(|name: &str, _dims: &[usize]| name.ends_with("kernel").then_some(3));
/// assert_eq!(by_name.axis("conv.kernel", &[3, 3, 16, 32])?, Some(3));
/// assert!(Units::Axis(2).axis("w", &[8, 3]).is_err());
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Units {
    /// Along the first axis: rows, one for each output where weights are `[out, in]`.
    First,
    /// Along the last axis: columns, one for each output where weights are `[in, out]`.
    Last,
    /// Along this axis.
    Axis(usize),
    /// Along the first axis, which counts the examples of a batch, in tensors of any number of axes.
    Examples,
    /// As a function of name and dims says; one unit where it gives no axis.
    By(UnitsBy),
}

/// A function that names the axis of a tensor's units. Two are equal if one is a clone of the other.
#[derive(Clone)]
pub struct UnitsBy(Arc<AxisOf>);

/// The axis whose indices are the units of the tensor with this name and these dims.
type AxisOf = dyn Fn(&str, &[usize]) -> Option<usize> + Send + Sync;

impl fmt::Debug for UnitsBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnitsBy(..)")
    }
}

impl PartialEq for UnitsBy {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<F: Fn(&str, &[usize]) -> Option<usize> + Send + Sync + 'static> From<F> for Units {
    fn from(axis_of: F) -> Self {
        Self::By(UnitsBy(Arc::new(axis_of)))
    }
}

impl Units {
    /// The axis whose indices are the units of a tensor; `None` if it is one unit as a whole.
    ///
    /// ```
    /// use steadygrad::Units;
    /// assert_eq!(Units::Examples.axis("loss", &[32])?, Some(0));
    /// assert_eq!(Units::Axis(1).axis("w", &[8, 3])?, Some(1));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Axis`] if a tensor of several axes does not have that one, or if there is no axis of examples.
    pub fn axis(&self, name: &str, dims: &[usize]) -> Result<Option<usize>> {
        let axes = dims.len();
        let axis = match self {
            Self::Examples => 0,
            _ if axes < 2 => return Ok(None),
            Self::First => 0,
            Self::Last => axes - 1,
            Self::Axis(axis) => *axis,
            Self::By(UnitsBy(axis_of)) => match axis_of(name, dims) {
                Some(axis) => axis,
                None => return Ok(None),
            },
        };
        if axis < axes {
            Ok(Some(axis))
        } else {
            Err(Error::Axis { axes, axis })
        }
    }
}

/// The number of units along `axis`.
pub(crate) fn units(dims: &[usize], axis: usize) -> Result<usize> {
    dims.get(axis).copied().ok_or(Error::Axis {
        axes: dims.len(),
        axis,
    })
}
