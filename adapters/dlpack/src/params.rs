//! Parameters that came by DLPack.

use steadygrad::{Reading, Result, TensorSet, Visitor};

use crate::DlpackTensor;
use crate::places::{self, Places};

/// Parameters in memory that another framework owns, as a set that steadygrad watches and never writes.
///
/// Read-only tensors will do; all else is as in [`DlpackGrads`](crate::DlpackGrads).
///
/// # Examples
///
/// ```
/// use dlpark::{allocation::dynamic, versioned};
/// use ndarray::arr2;
/// use steadygrad::{Guard, Step, detect};
/// use steadygrad_dlpack::{DlpackGrads, DlpackParams};
///
/// let made = |x: f32| -> Result<versioned::Dlpack, Box<dyn std::error::Error>> {
///     let made: dynamic::Initialized<_> = Box::new(arr2(&[[x, x]])).try_into()?;
///     // SAFETY: an array in a box is what it says.
///     Ok(unsafe { made.finish() })
/// };
/// let mut guard = Guard::new().detect(detect::WeightGrowth::new(10.0)?);
/// let mut alarms = 0;
/// for weight in [1.0, 20.0] {
///     let (w, grad) = (made(weight)?, made(0.1)?);
///     // SAFETY: nobody else knows of the arrays.
///     let (params, mut grads) = unsafe { (DlpackParams::new([("w", &w)])?, DlpackGrads::new([("w", &grad)])?) };
///     alarms = guard.step(Step::new(&mut grads).params(&params))?.alarms().len();
/// }
/// assert_eq!(alarms, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DlpackParams<'t>(Places<'t>);

impl<'t> DlpackParams<'t> {
    /// The tensors under their names, in this order.
    ///
    /// # Safety
    ///
    /// Of each tensor, for as long as the set lives: all elements that shape, strides and byte offset lead to are
    /// initialised and alive, in one allocation, and nobody writes them.
    ///
    /// # Errors
    ///
    /// Those of [`DlpackGrads::new`](crate::DlpackGrads::new), but for that of read-only tensors.
    #[expect(unsafe_code, reason = "what memory holds, only the caller knows")]
    pub unsafe fn new<N: Into<String>, T: Into<DlpackTensor<'t>>>(
        tensors: impl IntoIterator<Item = (N, T)>,
    ) -> Result<Self> {
        // SAFETY: what is asked of the caller; this set gives no mutable access.
        unsafe { places::lend(tensors, false) }.map(Self)
    }
}

impl TensorSet for DlpackParams<'_> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.0.visit(f)
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        self.0.measure(reading)
    }
}
