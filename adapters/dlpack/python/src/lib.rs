//! steadygrad's clip of a global norm as a function of Python's, for whatever tensors speak DLPack: the bridge that
//! `tests/torch_clip.py` tests, and a pattern for one of your own.

use pyo3::prelude::*;

/// Gradients of PyTorch's, NumPy's and others, clipped by steadygrad where they lie.
#[pymodule]
mod steadygrad_python {
    use dlpark::python::{ImportedDlpack, from_dlpack};
    use pyo3::exceptions::PyValueError;
    use pyo3::prelude::*;
    use steadygrad::clip;
    use steadygrad_dlpack::{DlpackGrads, DlpackTensor};

    /// `clip_global_norm_(tensors, max_norm)` scales the tensors in place so that the norm of all together is at most
    /// `max_norm`, and returns the norm before. `None` stands for a gradient that has not come.
    ///
    /// No other thread may touch the tensors meanwhile.
    #[pyfunction]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "it is what arguments are extracted to"
    )]
    fn clip_global_norm_(tensors: Vec<Option<Bound<'_, PyAny>>>, max_norm: f64) -> PyResult<f64> {
        // No copies: what is clipped is the caller's own memory, or there is an error.
        let import =
            |tensor: &Bound<'_, PyAny>| from_dlpack(tensor.as_borrowed(), None, Some(false));
        let tensors = tensors
            .iter()
            .map(|tensor| tensor.as_ref().map(import).transpose());
        let tensors = tensors.collect::<PyResult<Vec<_>>>()?;
        let lent = tensors.iter().map(|tensor| match tensor {
            Some(ImportedDlpack::Versioned(tensor)) => DlpackTensor::from(tensor),
            Some(ImportedDlpack::Legacy(tensor)) => tensor.into(),
            None => None::<DlpackTensor<'_>>.into(),
        });
        let named = lent
            .enumerate()
            .map(|(index, tensor)| (index.to_string(), tensor));
        // SAFETY: whoever exports a tensor vouches for its memory, which is alive until `tensors` is dropped. This
        // thread holds the interpreter, so no code of Python's runs beside it, and the caller keeps others away.
        let mut grads = unsafe { DlpackGrads::new(named) }.map_err(refused)?;
        let clipped = clip::global_norm(&mut grads, max_norm).map_err(refused)?;
        Ok(clipped.before())
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` passes")]
    fn refused(error: steadygrad::Error) -> PyErr {
        PyValueError::new_err(error.to_string())
    }
}
