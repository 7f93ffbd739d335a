//! A learning rate that waits for steps that are taken, and takes the guard through checkpoints.

use std::fmt;

use burn::lr_scheduler::module_lr_scheduler::{ModuleLrScheduler, ModuleLrSchedulerConfig};
use burn::lr_scheduler::{LrScheduler, LrSchedulerConfig, LrSchedulerRecord};
use steadygrad::GuardState;

use crate::SharedGuard;

/// A learning-rate scheduler that stands still where a step was not taken, and keeps what the guard remembers in its
/// record.
///
/// burn's trainer moves its scheduler before each step of the optimizer, whatever becomes of the step: a warm-up would
/// go on while NaN is skipped. This one gives the rate of a step that was not taken to the next one.
///
/// burn's checkpoints hold the records of the model, of the optimizer and of the scheduler, and of nothing else. So the
/// guard's [state](steadygrad::GuardState) goes with the scheduler's, and a training continued by
/// `SupervisedTraining::checkpoint` has the guard continued too: every later decision is the same. The scheduler's own
/// part is as it would be alone: a checkpoint written without a guard can be continued with one, whose rules then begin
/// anew, and the other way round. A state of other rules stops the training before it takes a step.
///
/// Groups of parameters with rates of their own have one each:
/// `ModuleLrScheduler::new(GuardedLr::new(a, &guard)?).with_group(group, GuardedLr::new(b, &guard)?)`.
///
/// # Examples
///
/// ```
/// use burn::lr_scheduler::{LrScheduler, linear::LinearLrSchedulerConfig};
/// use burn::{nn::LinearConfig, optim::{GradientsParams, SgdConfig}, tensor::{Device, Tensor}};
/// use steadygrad::Guard;
/// use steadygrad_burn_train::{GuardedLr, SharedGuard};
///
/// let device = Device::flex().autodiff();
/// let (mut model, mut optim) = (LinearConfig::new(2, 1).init(&device), SgdConfig::new().init());
/// let guard = SharedGuard::new(Guard::new(), |why| eprintln!("{why}"));
/// // For burn's trainer: Learner::new(model, optim, GuardedLr::new(..)?)
/// let mut scheduler = GuardedLr::new(LinearLrSchedulerConfig::new(0.25, 1.0, 3), &guard)?;
///
/// let mut rates = vec![];
/// for x in [1.0, f32::NAN, 1.0, 1.0] {
///     let loss = model.forward(Tensor::<2>::full([1, 2], x, &device)).sum();
///     let grads = GradientsParams::from_grads(loss.backward(), &model);
///     let rate = scheduler.step();
///     model = guard.optimize(model, &mut optim, rate, grads);
///     rates.push(rate);
/// }
/// assert_eq!(rates, [0.25, 0.5, 0.5, 0.75]);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone)]
pub struct GuardedLr {
    /// Of one group.
    scheduler: ModuleLrScheduler,
    guard: SharedGuard,
    rate: Option<f64>,
}

impl GuardedLr {
    /// A scheduler of burn's, by its configuration or a constant rate, as far as the guard's steps are taken.
    ///
    /// # Errors
    ///
    /// What the configuration's `init` says.
    pub fn new(config: impl Into<LrSchedulerConfig>, guard: &SharedGuard) -> Result<Self, String> {
        let scheduler = ModuleLrSchedulerConfig::new(config.into()).init()?;
        Ok(Self::over(scheduler, guard))
    }

    /// A scheduler of one's own, as far as the guard's steps are taken.
    #[must_use]
    pub fn of(scheduler: impl LrScheduler + 'static, guard: &SharedGuard) -> Self {
        Self::over(ModuleLrScheduler::new(scheduler), guard)
    }

    fn over(scheduler: ModuleLrScheduler, guard: &SharedGuard) -> Self {
        Self {
            scheduler,
            guard: guard.clone(),
            rate: None,
        }
    }
}

impl LrScheduler for GuardedLr {
    fn step(&mut self) -> f64 {
        let waits = self.rate.filter(|_| !self.guard.is_taken());
        let rate = waits.unwrap_or_else(|| self.scheduler.step().base());
        self.rate = Some(rate);
        rate
    }

    fn to_record(&self) -> LrSchedulerRecord {
        let mut own = LrSchedulerRecord::new();
        if let Some(rate) = self.rate {
            own = own.with_scalar("rate", rate);
        }
        // Integers and names alone: nothing of it fails.
        let text = serde_json::to_vec(&self.guard.state()).unwrap_or_default();
        own = own.with_scalar("bytes", text.len() as u64);
        for (index, word) in text.chunks(8).enumerate() {
            let mut bytes = [0; 8];
            bytes[..word.len()].copy_from_slice(word);
            own = own.with_scalar(&index.to_string(), u64::from_le_bytes(bytes));
        }
        let alone = self.scheduler.to_record().record(FIRST);
        alone.with_record(OWN, own)
    }

    fn load_record(&mut self, record: LrSchedulerRecord) {
        let own = record.record(OWN);
        let alone = LrSchedulerRecord::new().with_record(FIRST, record);
        self.scheduler = self.scheduler.clone().load_record(alone);
        self.rate = own.scalar("rate");
        if let Some(len) = own.scalar("bytes") {
            let restored = state(&own, len).and_then(|state| {
                let restored = self.guard.restore(&state);
                restored.map_err(|error| error.to_string())
            });
            if let Err(why) = restored {
                self.guard.refuse(&why);
            }
        }
    }
}

/// Under which the record of all groups holds that of the first.
const FIRST: &str = "0";
/// Under which the scheduler's record holds ours.
const OWN: &str = "steadygrad";

/// A record holds numbers and no text, so the state is there as the bytes of its JSON, eight to a number.
fn state(own: &LrSchedulerRecord, len: u64) -> Result<GuardState, String> {
    let words = (0..len.div_ceil(8)).map_while(|index| own.scalar::<u64>(&index.to_string()));
    let mut text: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    text.truncate(len as usize);
    serde_json::from_slice(&text)
        .map_err(|error| format!("record: expected the state of a guard, found {error}"))
}

impl fmt::Debug for GuardedLr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedLr")
            .field("rate", &self.rate)
            .field("guard", &self.guard)
            .finish_non_exhaustive()
    }
}
