//! One guard for all copies of a model.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use steadygrad::{Guard, GuardState, Report, Step, Verdict};
use steadygrad_burn::{BurnGrads, BurnParams};

use crate::merged::Merged;

/// What one step came to, in numbers.
///
/// # Examples
///
/// ```
/// use burn::{nn::LinearConfig, optim::{GradientsParams, SgdConfig}, tensor::{Device, Tensor}};
/// use steadygrad::{clip, Guard, Verdict};
/// use steadygrad_burn_train::SharedGuard;
///
/// let device = Device::flex().autodiff();
/// let (model, mut optim) = (LinearConfig::new(2, 1).with_bias(false).init(&device), SgdConfig::new().init());
/// let loss = model.forward(Tensor::<2>::from_floats([[3.0, 4.0]], &device)).sum();
/// let grads = GradientsParams::from_grads(loss.backward(), &model);
///
/// let guard = SharedGuard::new(Guard::new().clip(clip::GlobalNorm::new(1.0)?), |why| eprintln!("{why}"));
/// let model = guard.optimize(model, &mut optim, 0.1, grads);
/// let last = guard.last().unwrap();
/// assert_eq!((last.step, last.verdict, last.before, last.after), (1, Verdict::Apply, 5.0, 1.0));
/// assert!(last.clipped);
/// # drop(model);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct StepSummary {
    /// The number of the step, from 1.
    pub step: u64,
    /// What became of it. A step that ended in an error is to [stop](Verdict::Stop).
    pub verdict: Verdict,
    /// The mean of the losses it was given.
    pub loss: Option<f64>,
    /// The norm of the gradients as they came; NaN if nobody could tell.
    pub before: f64,
    /// The norm of the gradients as they were left.
    pub after: f64,
    /// The smallest factor of a tensor.
    pub factor: f64,
    /// Whether any gradient was changed.
    pub clipped: bool,
}

impl StepSummary {
    fn of(report: &Report) -> Self {
        Self {
            step: report.step(),
            verdict: report.verdict(),
            loss: report.loss(),
            before: report.before(),
            after: report.after(),
            factor: report.factor(),
            clipped: report.is_clipped(),
        }
    }

    fn of_an_error(step: u64, loss: Option<f64>) -> Self {
        Self {
            step,
            verdict: Verdict::Stop,
            loss,
            before: f64::NAN,
            after: f64::NAN,
            factor: 1.0,
            clipped: false,
        }
    }
}

/// One [`Guard`] for all copies of a model, with the optimizer's step in its care.
///
/// burn's trainer clones models, sends them to other threads, and hands the gradients to
/// `TrainStep::optimize`, which returns a model and can say nothing else. A `SharedGuard` is a handle that such a model
/// can hold (`#[module(skip)]`): its clones are the same guard. [`optimize`](Self::optimize) stands where
/// `optim.step` stood and carries every verdict out:
///
/// | the guard says | model and optimizer | told |
/// |---|---|---|
/// | apply | a step of the optimizer, with the edited gradients | [`last`](Self::last) |
/// | skip | neither moves; gradients are dropped | [`last`](Self::last) |
/// | rollback | neither moves; going back is the caller's, who keeps what to go back to | [`last`](Self::last); a run that goes on all the same is stopped after [`Guard::max_rollbacks`] in a row |
/// | stop | neither moves | `on_stop`, with a sentence; [`stopped`](Self::stopped) |
/// | an error | neither moves | as stop |
///
/// The guard is given the parameters, and the mean of the losses [noted](Self::note_loss) since its last step.
///
/// A lock that a panic left poisoned is taken all the same: the guard counts a step that was not finished as one that
/// was not taken.
///
/// # Examples
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::optim::{GradientsParams, SgdConfig};
/// use burn::tensor::{Device, Tensor};
/// use steadygrad::{clip, Guard, Verdict};
/// use steadygrad_burn_train::SharedGuard;
///
/// #[derive(Module, Debug)]
/// struct Model {
///     layer: Linear,
///     #[module(skip)]
///     guard: SharedGuard,
/// }
///
/// let device = Device::flex().autodiff();
/// let guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?).max_skips(1);
/// let guard = SharedGuard::new(guard, |why| eprintln!("{why}"));
/// let mut model = Model { layer: LinearConfig::new(2, 1).init(&device), guard: guard.clone() };
/// let mut optim = SgdConfig::new().init();
///
/// let mut verdicts = vec![];
/// for x in [1.0, f32::NAN, f32::NAN, 1.0] {
///     let loss = model.layer.forward(Tensor::<2>::full([1, 2], x, &device)).sum();
///     model.guard.note_loss(loss.clone().into_scalar::<f32>());
///     let grads = GradientsParams::from_grads(loss.backward(), &model);
///     model = model.guard.clone().optimize(model, &mut optim, 0.1, grads);
///     verdicts.extend(guard.last().map(|last| last.verdict));
///     if guard.stopped().is_some() {
///         break;
///     }
/// }
/// assert_eq!(verdicts, [Verdict::Apply, Verdict::Skip, Verdict::Stop]);
/// assert!(model.layer.weight.val().into_data().iter::<f32>().all(f32::is_finite));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone)]
pub struct SharedGuard(Arc<Shared>);

struct Shared {
    inner: Mutex<Inner>,
    on_stop: Box<dyn Fn(&str) + Send + Sync>,
}

struct Inner {
    guard: Guard,
    averaging: bool,
    losses: Losses,
    /// Whether the last step moved the weights.
    taken: bool,
    stopped: Option<String>,
    /// Why the state of another run was not taken over: no step is taken then.
    unrestored: Option<String>,
    /// The last steps, and how many there were in all.
    steps: VecDeque<StepSummary>,
    count: u64,
}

/// More than a metric is ever behind the training.
const REMEMBERED: usize = 256;

#[derive(Default)]
struct Losses {
    sum: f64,
    count: u32,
}

impl SharedGuard {
    /// A handle on `guard`. When it says stop, `on_stop` is told why, in one sentence: by the trainer's
    /// `Interrupter::stop`, or however else a loop ends.
    ///
    /// ```
    /// use std::sync::{Arc, atomic::{AtomicBool, Ordering}};
    /// use steadygrad::Guard;
    /// use steadygrad_burn_train::SharedGuard;
    ///
    /// let over = Arc::new(AtomicBool::new(false));
    /// let tell = Arc::clone(&over);
    /// let guard = SharedGuard::new(Guard::new(), move |_why| tell.store(true, Ordering::Relaxed));
    /// assert!(guard.last().is_none() && !over.load(Ordering::Relaxed));
    /// ```
    #[must_use]
    pub fn new(guard: Guard, on_stop: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            inner: Mutex::new(Inner {
                guard,
                averaging: false,
                losses: Losses::default(),
                taken: true,
                stopped: None,
                unrestored: None,
                steps: VecDeque::new(),
                count: 0,
            }),
            on_stop: Box::new(on_stop),
        }))
    }

    /// A handle on `guard` that stops burn's trainer: give it to `SupervisedTraining::with_interrupter` too. The
    /// sentence is the `reason` in `LearningResult::interrupted`.
    ///
    /// ```
    /// use burn::train::Interrupter;
    /// use steadygrad::Guard;
    /// use steadygrad_burn_train::SharedGuard;
    ///
    /// let interrupter = Interrupter::new();
    /// let guard = SharedGuard::interrupting(Guard::new(), &interrupter);
    /// assert!(guard.stopped().is_none() && !interrupter.should_stop());
    /// ```
    #[must_use]
    pub fn interrupting(guard: Guard, interrupter: &burn::train::Interrupter) -> Self {
        let interrupter = interrupter.clone();
        Self::new(guard, move |why| interrupter.stop(Some(why)))
    }

    /// Takes the gradients for the sum of as many as there were losses noted, and makes a mean of them, in the same
    /// edit as the clip.
    ///
    /// burn's accumulator sums, over micro-batches and over devices: of 4 micro-batches whose mean has norm 3 the sum
    /// has norm 12. Without this the bound is one for the sum, and the step grows with the number of parts. With it
    /// bound, norms and step are those of one large batch, also where the last part of an epoch is shorter. A
    /// step before which no loss was noted is an error.
    ///
    /// ```
    /// use burn::optim::{GradientsAccumulator, GradientsParams, SgdConfig};
    /// use burn::{nn::LinearConfig, tensor::{Device, Tensor}};
    /// use steadygrad::{clip, Guard};
    /// use steadygrad_burn_train::SharedGuard;
    ///
    /// let device = Device::flex().autodiff();
    /// let (mut model, mut optim) = (LinearConfig::new(2, 1).with_bias(false).init(&device), SgdConfig::new().init());
    /// let guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
    /// let guard = SharedGuard::new(guard, |why| eprintln!("{why}")).averaging();
    ///
    /// let mut sum = GradientsAccumulator::new();
    /// for _ in 0..4 {
    ///     let loss = model.forward(Tensor::<2>::from_floats([[0.0, 3.0]], &device)).mean();
    ///     guard.note_loss(loss.clone().into_scalar::<f32>());
    ///     sum.accumulate(&model, GradientsParams::from_grads(loss.backward(), &model));
    /// }
    /// model = guard.optimize(model, &mut optim, 0.1, sum.grads());
    /// let last = guard.last().unwrap();
    /// assert_eq!((last.before, last.after), (3.0, 1.0));
    /// # drop(model);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn averaging(self) -> Self {
        self.lock().averaging = true;
        self
    }

    /// Notes the loss of one batch or micro-batch, for the next step: its guard is given the mean of those noted
    /// since the last one. `TrainStep::step` is the place.
    ///
    /// ```
    /// # use burn::{nn::LinearConfig, optim::{GradientsParams, SgdConfig}, tensor::{Device, Tensor}};
    /// # use steadygrad::{Guard, Verdict};
    /// # use steadygrad_burn_train::SharedGuard;
    /// # let device = Device::flex().autodiff();
    /// # let (model, mut optim) = (LinearConfig::new(2, 1).init(&device), SgdConfig::new().init());
    /// # let loss = model.forward(Tensor::<2>::ones([1, 2], &device)).sum();
    /// # let grads = GradientsParams::from_grads(loss.backward(), &model);
    /// let guard = SharedGuard::new(Guard::new(), |why| eprintln!("{why}"));
    /// guard.note_loss(0.5_f32);
    /// guard.note_loss(f64::NAN);   // of another device, whose part of the gradients may look well
    /// let model = guard.optimize(model, &mut optim, 0.1, grads);
    /// assert_eq!(guard.last().unwrap().verdict, Verdict::Skip);
    /// # drop(model);
    /// ```
    pub fn note_loss(&self, loss: impl Into<f64>) {
        let losses = &mut self.lock().losses;
        losses.sum += loss.into();
        losses.count = losses.count.saturating_add(1);
    }

    /// A guarded step of `optim`, in place of `optim.step(lr, model, grads)`.
    ///
    /// In burn's trainer this is all of `TrainStep::optimize`: `self.guard.clone().optimize(self, optim, lr, grads)`.
    ///
    /// A [rollback](Verdict::Rollback) is the caller's, who knows what to go back to:
    ///
    /// ```
    /// use burn::{nn::LinearConfig, optim::{GradientsParams, SgdConfig}, tensor::{Device, Tensor}};
    /// use steadygrad::{detect, Guard, Verdict};
    /// use steadygrad_burn_train::SharedGuard;
    ///
    /// let device = Device::flex().autodiff();
    /// let (mut model, mut optim) = (LinearConfig::new(2, 1).init(&device), SgdConfig::new().init());
    /// let guard = Guard::new().detect_with(Verdict::Rollback, detect::NormThreshold::new(10.0)?);
    /// let guard = SharedGuard::new(guard, |why| eprintln!("{why}"));
    /// let mut good = (model.clone(), optim.clone());
    /// for (step, x) in [1.0_f32, 2.0, 100.0, 1.0].into_iter().enumerate() {
    ///     let loss = model.forward(Tensor::<2>::full([1, 2], x, &device)).sum();
    ///     let grads = GradientsParams::from_grads(loss.backward(), &model);
    ///     model = guard.optimize(model, &mut optim, 0.1, grads);
    ///     match guard.last().map(|last| last.verdict) {
    ///         Some(Verdict::Rollback) => (model, optim) = good.clone(),
    ///         Some(Verdict::Apply) if step % 2 == 0 => good = (model.clone(), optim.clone()),
    ///         _ => (),
    ///     }
    /// }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn optimize<M: Module>(
        &self,
        model: M,
        optim: &mut ModuleOptimizer,
        lr: impl Into<ModuleLearningRate>,
        mut grads: GradientsParams,
    ) -> M {
        if self.guarded(&model, &mut grads) {
            optim.step(lr, model, grads)
        } else {
            model
        }
    }

    /// [`optimize`](Self::optimize) for gradients from several devices, in place of `optim.step_multi`.
    ///
    /// They are summed first, each on the device where the optimizer would have summed it: what the guard measures is
    /// the norm of the sum.
    ///
    /// Not for burn's `DistributedDataParallel`: there every worker is a trainer of its own, and the copies of one guard
    /// would see every step as often as there are workers.
    #[must_use]
    pub fn optimize_multi<M: Module>(
        &self,
        model: M,
        optim: &mut ModuleOptimizer,
        lr: impl Into<ModuleLearningRate>,
        grads: MultiGradientsParams,
    ) -> M {
        let mut merged = Merged::new(grads, &model);
        if self.guarded(&model, merged.grads()) {
            optim.step_multi(lr, model, merged.into_multi())
        } else {
            model
        }
    }

    /// Whether the step is to be taken.
    fn guarded<M: Module>(&self, model: &M, grads: &mut GradientsParams) -> bool {
        // The lock is given back before anybody is told: he may want to look at the guard.
        let (taken, stop) = self.lock().step(model, grads);
        if let Some(why) = stop {
            (self.0.on_stop)(&why);
        }
        taken
    }

    /// The last step in numbers; `None` before the first.
    #[must_use]
    pub fn last(&self) -> Option<StepSummary> {
        self.lock().steps.back().copied()
    }

    /// Why the guard last said stop, if it ever did.
    #[must_use]
    pub fn stopped(&self) -> Option<String> {
        self.lock().stopped.clone()
    }

    /// Lets `f` look at the guard and its [report](Guard::report). Other calls of this handle wait, so `f` may make none.
    ///
    /// ```
    /// use steadygrad::Guard;
    /// use steadygrad_burn_train::SharedGuard;
    /// let guard = SharedGuard::new(Guard::new(), |why| eprintln!("{why}"));
    /// assert_eq!(guard.with(|guard| guard.report().alarms().len()), 0);
    /// ```
    pub fn with<R>(&self, f: impl FnOnce(&Guard) -> R) -> R {
        f(&self.lock().guard)
    }

    /// What the guard remembers, to be written beside the weights; see [`Guard::state`]. In burn's trainer
    /// [`GuardedLr`](crate::GuardedLr) does it.
    #[must_use]
    pub fn state(&self) -> GuardState {
        self.lock().guard.state()
    }

    /// Goes on from where another guard of the same rules was; see [`Guard::restore`].
    ///
    /// # Errors
    ///
    /// As [`Guard::restore`].
    pub fn restore(&self, state: &GuardState) -> steadygrad::Result<()> {
        let mut inner = self.lock();
        inner.guard.restore(state)?;
        inner.taken = (state.skips, state.rollbacks) == (0, 0);
        inner.unrestored = None;
        Ok(())
    }

    /// Has every later step refused, since the state it was to go on from could not be taken over.
    pub(crate) fn refuse(&self, why: &str) {
        {
            let mut inner = self.lock();
            inner.unrestored = Some(why.into());
            inner.stopped = Some(why.into());
        }
        (self.0.on_stop)(why);
    }

    /// Whether the weights moved in the last step, or there was none.
    pub(crate) fn is_taken(&self) -> bool {
        self.lock().taken
    }

    /// How many steps there were.
    pub(crate) fn count(&self) -> u64 {
        self.lock().count
    }

    /// Calls `f` with each step behind the first `seen`, of which a few hundred are remembered.
    pub(crate) fn since(&self, seen: &mut u64, f: impl FnMut(&StepSummary)) {
        let inner = self.lock();
        let unseen = usize::try_from(inner.count - *seen).unwrap_or(usize::MAX);
        let known = inner.steps.len().saturating_sub(unseen);
        inner.steps.iter().skip(known).for_each(f);
        *seen = inner.count;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether the step is to be taken, and why it is the last one.
    fn step<M: Module>(
        &mut self,
        model: &M,
        grads: &mut GradientsParams,
    ) -> (bool, Option<String>) {
        let Losses { sum, count } = mem::take(&mut self.losses);
        let loss = (count > 0).then(|| sum / f64::from(count));
        let judged = self.judge(model, grads, loss, f64::from(count));
        let (summary, stop) = match judged {
            Ok(summary) => {
                let stop = summary.verdict == Verdict::Stop;
                (summary, stop.then(|| self.guard.report().to_string()))
            }
            Err(why) => {
                let step = self.guard.report().step();
                (StepSummary::of_an_error(step, loss), Some(why))
            }
        };
        self.taken = summary.verdict.is_apply();
        if self.steps.len() == REMEMBERED {
            self.steps.pop_front();
        }
        self.steps.push_back(summary);
        self.count += 1;
        if stop.is_some() {
            self.stopped.clone_from(&stop);
        }
        (self.taken, stop)
    }

    fn judge<M: Module>(
        &mut self,
        model: &M,
        grads: &mut GradientsParams,
        loss: Option<f64>,
        parts: f64,
    ) -> Result<StepSummary, String> {
        if let Some(why) = &self.unrestored {
            return Err(why.clone());
        }
        let mut set = BurnGrads::new(grads, model);
        let params = BurnParams::new(model);
        let mut step = Step::new(&mut set).params(&params);
        if let Some(loss) = loss {
            step = step.loss(loss);
        }
        if self.averaging {
            if loss.is_none() {
                return Err("mean of gradients: expected a loss noted for each, found none".into());
            }
            step = step.scaled_by(parts);
        }
        match self.guard.step(step) {
            Ok(report) => Ok(StepSummary::of(&report)),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Short, since every model that holds one prints it: the last step, and nothing while the guard is being used.
impl fmt::Debug for SharedGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = match self.0.inner.try_lock() {
            Ok(inner) => inner.steps.back().copied(),
            Err(TryLockError::Poisoned(inner)) => inner.into_inner().steps.back().copied(),
            Err(TryLockError::WouldBlock) => return f.write_str("SharedGuard(in use)"),
        };
        match last {
            None => f.write_str("SharedGuard(no step yet)"),
            Some(last) => write!(
                f,
                "SharedGuard(step {}: norm {} -> {}; {})",
                last.step, last.before, last.after, last.verdict
            ),
        }
    }
}
