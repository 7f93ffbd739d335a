//! Gradients that came by DLPack.

use steadygrad::{Reading, Result, TensorSet, TensorSetMut, Visitor, VisitorMut, Writing};

use crate::DlpackTensor;
use crate::places::{self, Places};

/// Gradients in memory that another framework owns, as a set that steadygrad measures and edits in place.
///
/// Tensors of `f32`, `f64`, `f16` and `bf16` may be mixed, contiguous or strided; nothing is copied. One that is `None`
/// keeps its place with no elements.
///
/// # Shared memory
///
/// A tensor that comes twice (the same address, type, shape and strides: tied weights) is counted and scaled once,
/// under its first name. Any other two that share an element are refused; two that only interleave, like columns of one
/// matrix, are not.
///
/// # Examples
///
/// ```
/// use dlpark::{allocation::dynamic, versioned};
/// use ndarray::arr2;
/// use steadygrad::{Guard, clip};
/// use steadygrad_dlpack::DlpackGrads;
///
/// // Another framework makes it.
/// let made: dynamic::Initialized<_> = Box::new(arr2(&[[3.0_f32, 0.0], [0.0, 4.0]])).try_into()?;
/// // SAFETY: an array in a box is what it says.
/// let w: versioned::Dlpack = unsafe { made.finish() };
///
/// let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
/// // SAFETY: nobody else touches the array while the set lives.
/// let mut grads = unsafe { DlpackGrads::new([("w", &w)]) }?;
/// assert!(guard.step(&mut grads)?.verdict().is_apply());
/// drop(grads);
/// // SAFETY: the array has four elements, and nobody writes them.
/// assert_eq!(unsafe { w.validate()?.cpu_slice::<f32>() }?, [0.6, 0.0, 0.0, 0.8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DlpackGrads<'t>(Places<'t>);

impl<'t> DlpackGrads<'t> {
    /// The tensors under their names, in this order.
    ///
    /// ```
    /// use dlpark::{DlpackFlags, allocation::dynamic, versioned};
    /// use ndarray::arr1;
    /// use steadygrad_dlpack::DlpackGrads;
    ///
    /// let mut made: dynamic::Initialized<_> = Box::new(arr1(&[3.0_f32, 4.0])).try_into()?;
    /// made.set_flags(DlpackFlags::READ_ONLY)?;
    /// // SAFETY: an array in a box is what it says.
    /// let w: versioned::Dlpack = unsafe { made.finish() };
    /// // SAFETY: nobody else knows of the array.
    /// let error = unsafe { DlpackGrads::new([("layer.w", &w)]) }.unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "tensor storage: layer.w: expected a tensor to write to, found a read-only one",
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    ///
    /// Of each tensor, for as long as the set lives:
    ///
    /// - All elements that shape, strides and byte offset lead to are initialised and alive, in one allocation. DLPack
    ///   tells no size of it, so this cannot be checked.
    /// - Nobody else reads or writes them: no other thread, no work on a device that is not done, no reference of
    ///   Rust's, no other set. Tensors of one set may share elements, which is checked.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`](steadygrad::Error::Storage), which names the tensor, if one
    ///
    /// - is not in memory of the CPU (pinned memory is), has another element type or vectors as elements, or is
    ///   read-only;
    /// - has a null pointer though it has elements, an address that is no multiple of the size of an element, or a byte
    ///   offset out of memory;
    /// - has negative strides, the same element at two indices (as after `expand`), or lengths that fit into no memory;
    /// - shares an element with another and is not the same tensor once more;
    /// - is nothing that DLPack allows: a negative number of axes, no shape.
    #[expect(unsafe_code, reason = "what memory holds, only the caller knows")]
    pub unsafe fn new<N: Into<String>, T: Into<DlpackTensor<'t>>>(
        tensors: impl IntoIterator<Item = (N, T)>,
    ) -> Result<Self> {
        // SAFETY: what is asked of the caller.
        unsafe { places::lend(tensors, true) }.map(Self)
    }
}

impl TensorSet for DlpackGrads<'_> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.0.visit(f)
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        self.0.measure(reading)
    }
}

impl TensorSetMut for DlpackGrads<'_> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        self.0.visit_mut(f)
    }

    fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        self.0.carry_out(writing)
    }
}
