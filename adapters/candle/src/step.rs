//! A guarded step of an optimiser.

use candle_core::{DType, Tensor};
use candle_nn::Optimizer;
use steadygrad::{Guard, Report, Result, Step};

use crate::{CandleGrads, Vars};

/// Guarded steps for every optimiser of candle's.
///
/// # Examples
///
/// ```
/// use candle_core::{Device, Var};
/// use candle_nn::{Optimizer, SGD};
/// use steadygrad::{clip, Guard};
/// use steadygrad_candle::GuardedStep;
///
/// let w = Var::new(&[30f32, 40.0], &Device::Cpu)?;
/// let mut sgd = SGD::new(vec![w.clone()], 1.0)?;
/// let mut guard = Guard::new().clip(clip::GlobalNorm::new(5.0)?);
///
/// let loss = (w.sqr()? * 0.5)?.sum_all()?;
/// let report = sgd.guarded_backward_step(&loss, &mut guard, &[("w", w.clone())])?;
/// assert_eq!((report.before(), report.after()), (50.0, 5.0));
/// assert_eq!(w.to_vec1::<f32>()?, [27.0, 36.0]);
///
/// // A loss that is not a number moves nothing.
/// let report = sgd.guarded_backward_step(&(loss * f64::NAN)?, &mut guard, &[("w", w.clone())])?;
/// assert!(!report.verdict().is_apply());
/// assert_eq!(w.to_vec1::<f32>()?, [27.0, 36.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait GuardedStep: Optimizer {
    /// `backward_step` with a guard between the backward pass and the step: the guard sees the
    /// gradients of `vars` and the loss, and only a verdict of `Apply` lets the optimiser move. So the report may
    /// be dropped, where nothing stops a run or rolls it back.
    ///
    /// # Errors
    ///
    /// What candle gives, and what [`Guard::step`] gives; the variables are untouched then.
    fn guarded_backward_step<'g>(
        &mut self,
        loss: &Tensor,
        guard: &'g mut Guard,
        vars: &(impl Vars + ?Sized),
    ) -> Result<&'g Report> {
        let mut grads = loss.backward().map_err(crate::storage)?;
        let value = loss
            .to_device(&candle_core::Device::Cpu)
            .and_then(|loss| loss.to_dtype(DType::F64));
        let value = value
            .and_then(|loss| loss.to_scalar::<f64>())
            .map_err(crate::storage)?;
        let report = guard
            .step(Step::new(&mut CandleGrads::new(&mut grads, vars)).loss(value))?
            .report();
        if report.verdict().is_apply() {
            self.step(&grads).map_err(crate::storage)?;
        }
        Ok(report)
    }
}

impl<O: Optimizer> GuardedStep for O {}
