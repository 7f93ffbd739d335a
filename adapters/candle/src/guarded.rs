//! An optimiser with a guard in it.

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};
use candle_nn::Optimizer;
use steadygrad::{Guard, Report, Step, Verdict};

use crate::loss::Loss;
use crate::step::guard_in_place;
use crate::{CandleGrads, CandleParams, IntoCandle, Vars};

/// An optimiser that guards its own steps, and is one to candle: training code that takes an [`Optimizer`] needs no
/// change. Made by [`GuardedStep::guarded`](crate::GuardedStep::guarded).
///
/// What becomes of a step, and what [`Guarded::verdict`] says of it:
///
/// | verdict | the optimiser | the call gives |
/// |---|---|---|
/// | apply | moves, by the gradients as the guard leaves them | `Ok` |
/// | skip | does not move: no moment and no count of steps changes | `Ok` |
/// | roll back | does not move; going back is up to the loop. Where it does not, the guard soon says stop | `Ok` |
/// | stop | does not move | an error that says why, since a loop that knows of no guard would go on |
///
/// `backward_step` gives the guard the gradients, the values of the variables and the loss
/// ([how](crate::guarded_backward#the-loss)); `step` has no loss to give.
///
/// # What is lent
///
/// `step` leaves the gradients that it is lent as they are: where the guard edits them, it does so on copies.
/// [`Guarded::step_in_place`] and `backward_step` make none. Gradients in the store of variables that the guard
/// does not watch go to the optimiser unseen.
///
/// # Examples
///
/// ```
/// use candle_core::{Device, Result, Tensor, Var};
/// use candle_nn::{AdamW, Optimizer};
/// use steadygrad::{Guard, Verdict, clip};
/// use steadygrad_candle::GuardedStep;
///
/// /// Knows of no guard.
/// fn train(opt: &mut impl Optimizer, losses: impl Iterator<Item = Result<Tensor>>) -> Result<()> {
///     for loss in losses {
///         opt.backward_step(&loss?)?;
///     }
///     Ok(())
/// }
///
/// let w = Var::new(&[3f32, 4.0], &Device::Cpu)?;
/// let guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?).max_skips(2);
/// let mut opt = AdamW::new_lr(vec![w.clone()], 0.1)?.guarded(guard, &[("w", &w)]);
/// train(&mut opt, (0..3).map(|_| w.sqr()))?;
/// assert_eq!(opt.verdict(), Verdict::Apply);
///
/// // Two may be skipped in a row; then the training ends.
/// let error = train(&mut opt, (0..9).map(|_| w.sqr()? * f64::NAN)).unwrap_err();
/// assert!(error.to_string().starts_with("the guard stops the training: step 6: "));
/// assert_eq!((opt.verdict(), opt.report().step()), (Verdict::Stop, 6));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The loop that handles every verdict, with a copy to go back to:
///
/// ```
/// # use candle_core::{DType, Device, Module, Tensor};
/// # use candle_nn::{AdamW, Optimizer, VarBuilder, VarMap};
/// # use steadygrad::{Guard, Verdict, clip, detect};
/// # use steadygrad_candle::GuardedStep;
/// # let mut vars = VarMap::new();
/// # let model = candle_nn::linear(4, 1, VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu))?;
/// # let last_good = std::env::temp_dir().join(format!("guarded-{}.safetensors", std::process::id()));
/// let guard = Guard::new()
///     .detect_with(Verdict::Rollback, detect::NormThreshold::new(1e6)?)
///     .clip(clip::GlobalNorm::new(1.0)?);
/// let mut opt = AdamW::new_lr(vars.all_vars(), 1e-3)?.guarded(guard, &vars);
/// for step in 0..100 {
/// #   let x = Tensor::randn(0f32, 1.0, (8, 4), &Device::Cpu)?;
///     if step % 50 == 0 {
///         vars.save(&last_good)?;
///     }
///     let moved = opt.backward_step(&model.forward(&x)?.sqr()?.mean_all()?);
///     match opt.verdict() {
///         Verdict::Stop => { eprintln!("{}", opt.report()); break }
///         Verdict::Rollback => vars.load(&last_good)?,
///         Verdict::Skip | Verdict::Apply => (),
///     }
///     moved?;   // anything else that went wrong
/// }
/// # std::fs::remove_file(&last_good)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Guarded<O> {
    optimizer: O,
    guard: Guard,
    params: CandleParams<Vec<(String, Var)>>,
}

impl<O: Optimizer> Guarded<O> {
    pub(crate) fn of(optimizer: O, guard: Guard, vars: &(impl Vars + ?Sized)) -> Self {
        let mut list = vec![];
        vars.each(&mut |name, var| list.push((name.to_owned(), var.clone())));
        Self {
            optimizer,
            guard,
            params: CandleParams::new(list),
        }
    }

    /// A step that edits the gradients where they lie, with a loss if there is one to be watched.
    ///
    /// ```
    /// use candle_core::{Device, Var};
    /// use candle_nn::{Optimizer, SGD};
    /// use steadygrad::{Guard, clip};
    /// use steadygrad_candle::GuardedStep;
    ///
    /// let w = Var::new(&[3f32, 4.0], &Device::Cpu)?;
    /// let guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
    /// let mut sgd = SGD::new(vec![w.clone()], 0.5)?.guarded(guard, &w);
    /// let loss = (w.sqr()? * 0.5)?.sum_all()?;
    /// let mut grads = loss.backward()?;
    /// sgd.step_in_place(&mut grads, f64::from(loss.to_scalar::<f32>()?))?;
    /// assert_eq!(grads.get(&w).unwrap().to_vec1::<f32>()?, [0.6, 0.8]);
    /// assert_eq!(sgd.report().loss(), Some(12.5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What candle gives, what [`Guard::step`] gives, and a verdict to stop.
    pub fn step_in_place(
        &mut self,
        grads: &mut GradStore,
        loss: impl Into<Option<f64>>,
    ) -> Result<()> {
        self.guard_and_move(grads, loss.into().into())
    }

    /// What the guard said of the last step.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.report().verdict()
    }

    /// All that the guard tells of the last step.
    #[must_use]
    pub fn report(&self) -> &Report {
        self.guard.report()
    }

    /// The guard, to save its [state](Guard::state), to restore or to reset it.
    pub fn guard_mut(&mut self) -> &mut Guard {
        &mut self.guard
    }

    /// The optimiser that is guarded.
    #[must_use]
    pub fn optimizer(&self) -> &O {
        &self.optimizer
    }

    /// The optimiser that is guarded. What is done with it here the guard does not see.
    pub fn optimizer_mut(&mut self) -> &mut O {
        &mut self.optimizer
    }

    /// The two apart.
    #[must_use]
    pub fn into_parts(self) -> (O, Guard) {
        (self.optimizer, self.guard)
    }

    fn guard_and_move(&mut self, grads: &mut GradStore, loss: Loss) -> Result<()> {
        let verdict = guard_in_place(grads, loss, &mut self.guard, &self.params)?.verdict();
        self.heed(verdict, grads)
    }

    fn heed(&mut self, verdict: Verdict, grads: &GradStore) -> Result<()> {
        match verdict {
            Verdict::Apply => self.optimizer.step(grads),
            Verdict::Skip | Verdict::Rollback => Ok(()),
            Verdict::Stop => {
                candle_core::bail!("the guard stops the training: {}", self.report())
            }
        }
    }
}

impl<O: Optimizer> Optimizer for Guarded<O> {
    /// The optimiser's own, and the guard.
    type Config = (O::Config, Guard);

    /// The variables go by the names "0", "1", …, in the order in which they come: of `VarMap::all_vars` that is
    /// another one in every run, so where names or saved states count, [`GuardedStep::guarded`](crate::GuardedStep::guarded)
    /// is to be preferred.
    fn new(vars: Vec<Var>, (config, guard): Self::Config) -> Result<Self> {
        let optimizer = O::new(vars.clone(), config)?;
        Ok(Self::of(optimizer, guard, &vars))
    }

    fn step(&mut self, grads: &GradStore) -> Result<()> {
        let mut own = GradStore::default();
        for &id in grads.get_ids() {
            if let Some(grad) = grads.get_id(id) {
                own.insert_id(id, grad.clone());
            }
        }
        let vars = self.params.vars();
        let set = CandleGrads::new(&mut own, vars);
        let plan = self
            .guard
            .plan(Step::new(&set).params(&self.params))
            .candle()?;
        let verdict = if plan.verdict().is_apply() && !plan.report().edits().is_keep() {
            // What was lent to be read is not written to.
            for (_, var) in vars {
                if let Some(grad) = own.remove(var) {
                    own.insert(var, grad.force_contiguous()?);
                }
            }
            let report = plan.apply(&mut CandleGrads::new(&mut own, vars)).candle()?;
            report.verdict()
        } else {
            plan.taken().verdict()
        };
        self.heed(verdict, &own)
    }

    fn backward_step(&mut self, loss: &Tensor) -> Result<()> {
        let mut grads = loss.backward()?;
        self.guard_and_move(&mut grads, Loss::of(loss)?)
    }

    fn learning_rate(&self) -> f64 {
        self.optimizer.learning_rate()
    }

    fn set_learning_rate(&mut self, lr: f64) {
        self.optimizer.set_learning_rate(lr);
    }
}
