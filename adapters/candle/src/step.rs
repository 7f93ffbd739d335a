//! A guarded step of an optimiser.

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor};
use candle_nn::Optimizer;
use steadygrad::{Guard, Step, Stepped};

use crate::loss::Loss;
use crate::{CandleGrads, CandleParams, Guarded, IntoCandle, Vars};

/// Has the guard see the gradients and what they belong to, and edit them where they lie.
pub(crate) fn guard_in_place<'g, V: Vars>(
    grads: &mut GradStore,
    loss: Loss,
    guard: &'g mut Guard,
    params: &CandleParams<V>,
) -> Result<Stepped<'g>> {
    let mut set = CandleGrads::new(grads, params.vars());
    let step = Step::new(&mut set).params(params);
    guard.step(loss.tell(step)).candle()
}

/// The backward pass, the guard, and, if it lets the step pass, whatever takes it: for several optimisers that
/// share one norm.
///
/// The guard is given the gradients and the values of `vars`, and the loss.
///
/// # The loss
///
/// It may have any shape, as for `backward`, which differentiates the *sum* of its elements: that sum is the
/// loss that the guard is given. An `f16` loss past 65,504 is infinite because of its type: beside finite
/// gradients nothing is wrong with the training. So its value is not given, rules that go by a loss
/// abstain, and the report has it under [signals](steadygrad::Report::signals) as "loss past f16"; the gradients decide. To have it
/// watched, sum it up in F32. NaN, and an infinity of any other type, are met by the guard's policy.
///
/// # Examples
///
/// ```
/// use candle_core::{Device, Var};
/// use candle_nn::{AdamW, Optimizer, SGD};
/// use steadygrad::{Guard, Verdict, clip};
/// use steadygrad_candle::guarded_backward;
///
/// let (policy, value) = (Var::new(&[3f32], &Device::Cpu)?, Var::new(&[4f32], &Device::Cpu)?);
/// let mut policy_opt = SGD::new(vec![policy.clone()], 1.0)?;
/// let mut value_opt = AdamW::new_lr(vec![value.clone()], 0.01)?;
/// let mut guard = Guard::new().clip(clip::GlobalNorm::new(0.5)?);
///
/// let loss = ((policy.sqr()? + value.sqr()?)? * 0.5)?.sum_all()?;
/// let vars = [("policy", &policy), ("value", &value)];
/// let report = guarded_backward(&loss, &mut guard, &vars, |grads| {
///     policy_opt.step(grads)?;
///     value_opt.step(grads)
/// })?;
/// assert_eq!((report.before(), report.loss()), (5.0, Some(12.5)));
/// match report.verdict() {
///     Verdict::Apply => assert_eq!(policy.to_vec1::<f32>()?, [2.7]),   // 3 − 0.5·3/5
///     Verdict::Skip => (),
///     Verdict::Rollback | Verdict::Stop => panic!("{report}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// What candle gives, and what [`Guard::step`] gives; `apply` is not called then.
pub fn guarded_backward<'g>(
    loss: &Tensor,
    guard: &'g mut Guard,
    vars: &(impl Vars + ?Sized),
    apply: impl FnOnce(&GradStore) -> Result<()>,
) -> Result<Stepped<'g>> {
    let mut grads = loss.backward()?;
    let value = Loss::of(loss)?;
    let report = guard_in_place(&mut grads, value, guard, &CandleParams::new(vars))?;
    if report.verdict().is_apply() {
        apply(&grads)?;
    }
    Ok(report)
}

/// Guarded steps for every optimiser of candle's.
pub trait GuardedStep: Optimizer {
    /// An optimiser that guards its own steps, for code that takes one and knows of no guard.
    ///
    /// ```
    /// use candle_core::{Device, Var};
    /// use candle_nn::{Optimizer, SGD};
    /// use steadygrad::{Guard, clip};
    /// use steadygrad_candle::GuardedStep;
    ///
    /// let w = Var::new(&[30f32, 40.0], &Device::Cpu)?;
    /// let guard = Guard::new().clip(clip::GlobalNorm::new(5.0)?);
    /// let mut sgd = SGD::new(vec![w.clone()], 1.0)?.guarded(guard, &[("w", &w)]);
    /// sgd.backward_step(&(w.sqr()? * 0.5)?)?;
    /// assert_eq!(w.to_vec1::<f32>()?, [27.0, 36.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    fn guarded(self, guard: Guard, vars: &(impl Vars + ?Sized)) -> Guarded<Self> {
        Guarded::of(self, guard, vars)
    }

    /// `backward_step` with a guard between the backward pass and the step: only a verdict of `Apply` lets the
    /// optimiser move. What the guard is given, and which losses may come, [`guarded_backward`] says.
    ///
    /// ```
    /// use candle_core::{Device, Var};
    /// use candle_nn::{Optimizer, SGD};
    /// use steadygrad::{Guard, Verdict, clip};
    /// use steadygrad_candle::GuardedStep;
    ///
    /// let w = Var::new(&[30f32, 40.0], &Device::Cpu)?;
    /// let mut sgd = SGD::new(vec![w.clone()], 1.0)?;
    /// let mut guard = Guard::new().clip(clip::GlobalNorm::new(5.0)?);
    /// for scale in [0.5, f64::NAN] {
    ///     let loss = (w.sqr()? * scale)?.sum_all()?;
    ///     match sgd.guarded_backward_step(&loss, &mut guard, &[("w", &w)])?.verdict() {
    ///         Verdict::Apply | Verdict::Skip => (),   // a skip has moved nothing
    ///         Verdict::Rollback | Verdict::Stop => break,
    ///     }
    /// }
    /// assert_eq!(w.to_vec1::<f32>()?, [27.0, 36.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`guarded_backward`]; the variables are untouched then.
    fn guarded_backward_step<'g>(
        &mut self,
        loss: &Tensor,
        guard: &'g mut Guard,
        vars: &(impl Vars + ?Sized),
    ) -> Result<Stepped<'g>> {
        guarded_backward(loss, guard, vars, |grads| self.step(grads))
    }
}

impl<O: Optimizer> GuardedStep for O {}
