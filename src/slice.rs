//! Memory lent as what it holds.

/// Contiguous host memory in logical (row-major) order, by element type.
///
/// # Examples
///
/// ```
/// use steadygrad::{SliceRef, Tensor};
/// assert!(matches!(vec![1.0_f32].as_slice_ref(), Some(SliceRef::F32([x])) if *x == 1.0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the variants are the types they name")]
pub enum SliceRef<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    #[cfg(feature = "half")]
    F16(&'a [half::f16]),
    #[cfg(feature = "half")]
    BF16(&'a [half::bf16]),
}

/// Contiguous host memory in logical (row-major) order, by element type, to write to.
///
/// # Examples
///
/// ```
/// use steadygrad::{SliceMut, TensorMut};
/// let mut w = vec![1.0_f64];
/// if let Some(SliceMut::F64(xs)) = w.as_slice_mut_ref() {
///     xs[0] = 2.0;
/// }
/// assert_eq!(w, [2.0]);
/// ```
#[derive(Debug, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the variants are the types they name")]
pub enum SliceMut<'a> {
    F32(&'a mut [f32]),
    F64(&'a mut [f64]),
    #[cfg(feature = "half")]
    F16(&'a mut [half::f16]),
    #[cfg(feature = "half")]
    BF16(&'a mut [half::bf16]),
}

/// Does the same for a slice of each element type.
macro_rules! each_slice {
    ($slice:expr, $kind:ident, $xs:ident => $body:expr) => {
        match $slice {
            $kind::F32($xs) => $body,
            $kind::F64($xs) => $body,
            #[cfg(feature = "half")]
            $kind::F16($xs) => $body,
            #[cfg(feature = "half")]
            $kind::BF16($xs) => $body,
        }
    };
}

pub(crate) use each_slice;

#[cfg(feature = "rayon")]
impl SliceMut<'_> {
    pub(crate) fn len(&self) -> usize {
        each_slice!(self, SliceMut, xs => xs.len())
    }
}
