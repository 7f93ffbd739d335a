//! burn's `SupervisedTraining` with a guard in its model.

use std::path::Path;
use std::sync::{Arc, Mutex};

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::lr_scheduler::linear::LinearLrSchedulerConfig;
use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, Param};
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::logger::{InMemoryMetricLogger, MetricLogger};
use burn::train::metric::store::{EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{LossMetric, MetricDefinition, NumericEntry};
use burn::train::{
    ExecutionStrategy, InferenceStep, Interrupter, Learner, LearningResult, MultiDeviceOptim,
    RegressionOutput, SupervisedTraining, TrainOutput, TrainStep, TrainingStrategy,
};
use steadygrad::{Guard, Verdict, clip, detect};
use steadygrad_burn_train::{GradNormMetric, GuardedLr, SharedGuard};

use crate::{folder, momentum};

#[derive(Clone, Debug)]
struct Factors(Tensor<2>);

struct InOrder;

impl Batcher<[f32; 2], Factors> for InOrder {
    fn batch(&self, items: Vec<[f32; 2]>, device: &Device) -> Factors {
        let count = items.len();
        let values: Vec<f32> = items.into_iter().flatten().collect();
        Factors(Tensor::from_data(
            TensorData::new(values, [count, 2]),
            device,
        ))
    }
}

/// Its loss is the mean of `w·x`, so that its gradient is the mean of the batch.
#[derive(Module, Debug)]
struct Model {
    w: Param<Tensor<2>>,
    #[module(skip)]
    guard: SharedGuard,
}

impl Model {
    fn new(guard: &SharedGuard) -> Self {
        let w = Tensor::from_floats([[1.0, -2.0]], &Device::flex().autodiff());
        Self {
            w: Param::from_tensor(w),
            guard: guard.clone(),
        }
    }

    fn forward(&self, Factors(factors): Factors) -> RegressionOutput {
        let output = (self.w.val() * factors.clone()).sum_dim(1);
        let loss = output.clone().mean();
        RegressionOutput::new(loss, output.clone(), output)
    }

    fn weights(&self) -> Vec<f32> {
        self.w.val().into_data().iter::<f32>().collect()
    }
}

impl TrainStep for Model {
    type Input = Factors;
    type Output = RegressionOutput;

    fn step(&self, item: Factors) -> TrainOutput<RegressionOutput> {
        let told = self.forward(item);
        self.guard.note_loss(told.loss.clone().into_scalar::<f32>());
        TrainOutput::new(self, told.loss.backward(), told)
    }

    fn optimize(
        self,
        optim: &mut ModuleOptimizer,
        lr: ModuleLearningRate,
        grads: GradientsParams,
    ) -> Self {
        self.guard.clone().optimize(self, optim, lr, grads)
    }

    fn optimize_multi(
        self,
        optim: &mut ModuleOptimizer,
        lr: ModuleLearningRate,
        grads: MultiGradientsParams,
    ) -> Self {
        self.guard.clone().optimize_multi(self, optim, lr, grads)
    }
}

impl InferenceStep for Model {
    type Input = Factors;
    type Output = RegressionOutput;

    fn step(&self, item: Factors) -> RegressionOutput {
        self.forward(item)
    }
}

fn loader(items: &[[f32; 2]]) -> Arc<dyn DataLoader<Factors>> {
    DataLoaderBuilder::new(InOrder)
        .batch_size(1)
        .build(InMemDataset::new(items.to_vec()))
}

/// What was logged of the training split, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<(Vec<MetricDefinition>, Vec<Entry>)>>);

/// The epoch, the metric, and the value.
type Entry = (usize, String, NumericEntry);

impl MetricLogger for Log {
    fn log(&mut self, update: MetricsUpdate, epoch: usize, split: &Split) {
        let (definitions, log) = &mut *self.0.lock().unwrap();
        for update in update.entries_numeric {
            let mut definitions = definitions.iter();
            let of = |known: &&MetricDefinition| known.metric_id == update.entry.metric_id;
            let name = definitions.find(of).unwrap().name.to_string();
            if let (Split::Train, Some(value)) = (split, update.numeric_entry) {
                log.push((epoch, name, value));
            }
        }
    }

    fn read_numeric(&mut self, _: &str, _: usize, _: &Split) -> Result<Vec<NumericEntry>, String> {
        Err("not read".into())
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.0.lock().unwrap().0.push(definition);
    }

    fn log_epoch_summary(&mut self, _: EpochSummary) {}
}

impl Log {
    /// The mean of an epoch, as the metric tells it at its end.
    fn mean(&self, name: &str, epoch: usize) -> f64 {
        let log = self.0.lock().unwrap();
        let mut means = log.1.iter().filter_map(|(when, what, value)| match value {
            NumericEntry::Final(mean) if (*when, what.as_str()) == (epoch, name) => Some(*mean),
            _ => None,
        });
        means.next().unwrap()
    }

    /// How many steps the values of an epoch tell of.
    fn count(&self, name: &str, epoch: usize) -> usize {
        let log = self.0.lock().unwrap();
        let counts = log.1.iter().map(|(when, what, value)| match value {
            NumericEntry::Aggregated { count, .. } if (*when, what.as_str()) == (epoch, name) => {
                *count
            }
            _ => 0,
        });
        counts.sum()
    }
}

struct Setting<'s> {
    guard: &'s SharedGuard,
    interrupter: Interrupter,
    dir: &'s Path,
    items: &'s [[f32; 2]],
    epochs: usize,
}

impl Setting<'_> {
    fn launch(
        &self,
        log: &Log,
        more: impl FnOnce(SupervisedTraining<Model>) -> SupervisedTraining<Model>,
    ) -> LearningResult<Model> {
        let training = SupervisedTraining::new(self.dir, loader(self.items), loader(&[[1.0, 1.0]]))
            .num_epochs(self.epochs)
            .with_interrupter(self.interrupter.clone())
            .with_application_logger(None)
            .with_metric_logger(log.clone())
            .with_metric_logger(InMemoryMetricLogger::new())
            .metrics((LossMetric::new(),))
            .metric_train_numeric(GradNormMetric::before(self.guard))
            .metric_train_numeric(GradNormMetric::after(self.guard))
            .metric_train_numeric(GradNormMetric::clipped(self.guard))
            .metric_train_numeric(GradNormMetric::skipped(self.guard));
        let falling = LinearLrSchedulerConfig::new(0.5, 0.25, 8);
        let scheduler = GuardedLr::new(falling, self.guard).unwrap();
        let learner = Learner::new(Model::new(self.guard), momentum(), scheduler);
        more(training).launch(learner)
    }
}

fn interrupting(guard: Guard) -> (SharedGuard, Interrupter) {
    let interrupter = Interrupter::new();
    (SharedGuard::interrupting(guard, &interrupter), interrupter)
}

fn clipping() -> Guard {
    Guard::new().clip(clip::GlobalNorm::new(1.0).unwrap())
}

#[test]
fn stop_reaches_the_interrupter() {
    let (guard, interrupter) = interrupting(clipping().max_skips(1));
    let setting = Setting {
        guard: &guard,
        interrupter,
        dir: &folder("stop"),
        items: &[[3.0, 4.0], [f32::NAN, 0.0], [0.0, f32::NAN], [1.0, 1.0]],
        epochs: 5,
    };
    let done = setting.launch(&Log::default(), |training| training);
    let reason = done.interrupted.unwrap().reason.unwrap();
    assert_eq!(Some(&reason), guard.stopped().as_ref());
    assert!(
        reason.starts_with("step 3: ") && reason.contains("stop"),
        "{reason}"
    );
    assert!(done.error.is_none());
    // One step of 0.5 with the gradient [0.6, 0.8].
    let moved: Vec<f32> = done.model.weights();
    assert!(
        (moved[0] - 0.7).abs() < 1e-6 && (moved[1] + 2.4).abs() < 1e-6,
        "{moved:?}"
    );
}

#[test]
fn metrics_tell_of_every_step_and_leave_nan_out() {
    let (guard, interrupter) = interrupting(clipping());
    let items = [
        [3.0, 4.0],
        [f32::NAN, 0.0],
        [0.0, 0.5],
        [f32::INFINITY, 1.0],
        [6.0, 8.0],
    ];
    let setting = Setting {
        guard: &guard,
        interrupter,
        dir: &folder("metrics"),
        items: &items,
        epochs: 2,
    };
    let log = Log::default();
    let done = setting.launch(&log, |training| training);
    assert!(done.interrupted.is_none() && done.error.is_none());
    for epoch in [1, 2] {
        let mean = |name| log.mean(name, epoch);
        assert!((mean("Gradient Norm") - 15.5 / 3.0).abs() < 1e-6);
        assert!((mean("Gradient Norm Clipped") - 2.5 / 3.0).abs() < 1e-6);
        assert!((mean("Clipped Steps") - 200.0 / 3.0).abs() < 1e-9);
        assert!((mean("Skipped Steps") - 40.0).abs() < 1e-9);
        assert_eq!(log.count("Gradient Norm", epoch), 3);
        assert_eq!(log.count("Skipped Steps", epoch), 5);
        // burn's own does not leave it out, which is why ours has to.
        assert!(mean("Loss").is_nan());
    }
}

#[test]
fn parts_of_an_accumulated_step_are_averaged_and_have_one_value() {
    let (guard, interrupter) = interrupting(clipping());
    let guard = guard.averaging();
    let setting = Setting {
        guard: &guard,
        interrupter,
        dir: &folder("accumulated"),
        items: &[[3.0, 0.0], [3.0, 8.0], [0.3, 0.4]],
        epochs: 1,
    };
    let log = Log::default();
    let done = setting.launch(&log, |training| training.grads_accumulation(2));
    assert!(done.error.is_none());
    // Of the mean of two, and of the one that is left.
    assert!((log.mean("Gradient Norm", 1) - 2.75).abs() < 1e-6);
    assert_eq!(log.count("Gradient Norm", 1), 2);
    assert_eq!(log.count("Loss", 1), 3);
}

#[test]
fn several_devices_are_one_step() {
    for optim in [
        MultiDeviceOptim::OptimMainDevice,
        MultiDeviceOptim::OptimSharded,
    ] {
        let (guard, interrupter) = interrupting(clipping());
        let guard = guard.averaging();
        let items = [[3.0, 4.0]; 6];
        let setting = Setting {
            guard: &guard,
            interrupter,
            dir: &folder("devices"),
            items: &items,
            epochs: 1,
        };
        let log = Log::default();
        let done = setting.launch(&log, |training| {
            let devices = vec![Device::flex().autodiff(); 2];
            let strategy = ExecutionStrategy::multi(devices, optim);
            training.with_training_strategy(TrainingStrategy::Default(strategy))
        });
        assert!(done.error.is_none() && done.interrupted.is_none());
        assert_eq!(guard.with(|guard| guard.report().step()), 3, "{optim:?}");
        assert_eq!(log.count("Gradient Norm", 1), 3);
        assert!((log.mean("Gradient Norm", 1) - 5.0).abs() < 1e-6);
    }
}

/// Rules that remember: weights are judged by the norm they had at first.
fn remembering() -> Guard {
    Guard::new()
        .detect_with(Verdict::Skip, detect::WeightGrowth::new(1.5).unwrap())
        .clip(clip::GlobalNorm::new(1.0).unwrap())
        .max_skips(100)
}

#[test]
fn a_training_continued_from_burns_checkpoint_makes_the_same_decisions() {
    // Weights grow in every step, but for the skips.
    let items = [[-3.0, 4.0], [f32::NAN, 0.0], [-1.0, 0.0], [-2.0, 1.0]];
    let run = |dir: &Path, epochs: usize, from: Option<usize>| {
        let (guard, interrupter) = interrupting(remembering());
        let setting = Setting {
            guard: &guard,
            interrupter,
            dir,
            items: &items,
            epochs,
        };
        let log = Log::default();
        let done = setting.launch(&log, |training| {
            let training = training
                .with_default_checkpointers()
                .with_checkpointing_strategy(KeepLastNCheckpoints::new(9));
            match from {
                Some(epoch) => training.checkpoint(epoch),
                None => training,
            }
        });
        assert!(done.error.is_none() && done.interrupted.is_none());
        let skipped = log.mean("Skipped Steps", epochs);
        (done.model.weights(), guard.state(), guard.last(), skipped)
    };
    let whole = run(&folder("whole"), 4, None);
    // The rule had its say: more than the NaN alone.
    assert!(whole.3 > 25.0, "{whole:?}");
    for cut in 1..4 {
        let dir = folder("resumed");
        run(&dir, cut, None);
        assert_eq!(
            run(&dir, 4, Some(cut)),
            whole,
            "continued behind epoch {cut}"
        );
    }
    // Begun anew, the rule would take the grown weights for the first.
    let dir = folder("forgetful");
    run(&dir, 3, None);
    let file = dir.join("checkpoint/scheduler-3.bpk");
    let record = burn::lr_scheduler::LrSchedulerRecord::load(&file).unwrap();
    let alone = record.record("0").scalar::<u64>("remaining_iters").unwrap();
    burn::lr_scheduler::LrSchedulerRecord::new()
        .with_scalar("0.remaining_iters", alone)
        .save(&file)
        .unwrap();
    assert!(run(&dir, 4, Some(3)).3 < whole.3);
}
