//! steadygrad's errors where candle's are returned.

/// `?` in functions that return [`candle_core::Result`].
///
/// Neither crate may teach the other's error about its own, so a result of steadygrad's needs one more word. What
/// this crate returns by itself ([`guarded_backward`](crate::guarded_backward), [`Guarded`](crate::Guarded), the penalties) is a
/// `candle_core::Result` already. candle keeps the message alone; after a refused step the
/// [report](steadygrad::Guard::report) still tells what was wrong.
///
/// # Examples
///
/// ```
/// use candle_core::{Device, Result, Var};
/// use steadygrad::{Guard, clip};
/// use steadygrad_candle::{CandleGrads, IntoCandle};
///
/// fn clipped(w: &Var, max: f64) -> Result<f64> {
///     let mut grads = w.sqr()?.sum_all()?.backward()?;
///     let mut guard = Guard::new().clip(clip::GlobalNorm::new(max).candle()?);
///     Ok(guard.step(&mut CandleGrads::new(&mut grads, w)).candle()?.after())
/// }
///
/// let w = Var::new(&[30f32, 40.0], &Device::Cpu)?;
/// assert_eq!(clipped(&w, 1.0)?, 1.0);
/// let error = clipped(&w, -1.0).unwrap_err();
/// assert!(error.to_string().starts_with("max norm: expected a number ≥ 0, found -1"));
/// # Ok::<(), candle_core::Error>(())
/// ```
pub trait IntoCandle<T> {
    /// The same result, with candle's error.
    ///
    /// # Errors
    ///
    /// The one there was, by its message.
    fn candle(self) -> candle_core::Result<T>;
}

impl<T> IntoCandle<T> for steadygrad::Result<T> {
    fn candle(self) -> candle_core::Result<T> {
        self.map_err(candle_core::Error::wrap)
    }
}

/// What candle could not do, as an error of steadygrad's, without candle's backtrace.
pub(crate) fn storage(mut error: candle_core::Error) -> steadygrad::Error {
    while let candle_core::Error::WithBacktrace { inner, .. } = error {
        error = *inner;
    }
    steadygrad::Error::Storage(error.to_string())
}
