//! burn's own trainer, `SupervisedTraining`, run twice on the same data with the same weights to begin with: once with a
//! guard that only watches, where NaN and a growing loss go on to the weights, and once with one that clips and skips.
//!
//! ```sh
//! cargo run --release -p steadygrad-burn-train --example supervised
//! ```
//!
//! An LSTM reads a sequence of readings and is to tell their sum. Now and then a reading is broken: NaN. With
//! `--dashboard` burn shows its own renderer, which is its dashboard if it was compiled with `burn/tui` too.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::lr_scheduler::linear::LinearLrSchedulerConfig;
use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig, Lstm, LstmConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor, TensorData};
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::logger::{
    EvaluationProgressLogger, FileMetricLogger, MetricLogger, TrainingProgressLogger,
};
use burn::train::metric::store::{EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{LossMetric, MetricDefinition, MetricId, NumericEntry};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining,
};
use burn::train::{
    InferenceStep, Interrupter, Learner, RegressionOutput, SupervisedTraining, TrainOutput,
    TrainStep,
};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use steadygrad::{Guard, OnNonFinite, clip};
use steadygrad_burn_train::{GradNormMetric, GuardedLr, SharedGuard};

#[path = "../../../examples/tell/mod.rs"]
mod tell;

use tell::{Told, tell};

const HIDDEN: usize = 32;
const BATCH: usize = 16;
const TIME: usize = 32;
/// Batches of held-out sequences.
const HELD_OUT: usize = 8;

/// Trains an LSTM by burn's own trainer, with and without a gradient guard.
#[derive(Parser)]
struct Args {
    /// Epochs of each run
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    epochs: u64,
    /// Batches of an epoch
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    batches: u64,
    /// Seed of the weights and of the data
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Learning rate, reached after a warm-up of 20 steps
    #[arg(long, default_value_t = 0.5, value_parser = rate)]
    rate: f64,
    /// Global norm that the guard clips to
    #[arg(long, default_value_t = 0.1, value_parser = positive)]
    max_norm: f64,
    /// Sequences of which one has a broken reading; 0 for none
    #[arg(long, default_value_t = 1000)]
    broken: u64,
    /// Where logs and checkpoints go
    #[arg(long, value_name = "DIR", default_value = "target/supervised")]
    out: PathBuf,
    /// Shows burn's own renderer instead of a bar
    #[arg(long)]
    dashboard: bool,
}

fn positive(text: &str) -> Result<f64> {
    let number = text.parse().ok();
    number
        .filter(|number: &f64| *number > 0.0 && number.is_finite())
        .ok_or("expected a finite number above 0".into())
}

fn rate(text: &str) -> Result<f64> {
    let number = text.parse().ok();
    number
        .filter(|number: &f64| *number > 0.0 && *number <= 1.0)
        .ok_or("expected a number above 0 and at most 1".into())
}

/// Anything that ends the program: one sentence.
type Result<T> = std::result::Result<T, String>;

/// What is the same for every run of a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below
    }

    /// From −√3 to √3, so that the variance is 1.
    fn reading(&mut self) -> f32 {
        (self.below(1 << 24) as f32 / (1 << 23) as f32 - 1.0) * 3.0_f32.sqrt()
    }
}

/// Readings, and their sum over the root of their number: its variance is 1, which is what a model loses that knows
/// nothing.
#[derive(Clone, Debug)]
struct Sequence {
    readings: Vec<f32>,
    sum: f32,
}

fn sequences(count: u64, broken: u64, random: &mut Random) -> Vec<Sequence> {
    let sequence = |_| {
        let mut readings: Vec<f32> = (0..TIME).map(|_| random.reading()).collect();
        let sum = readings.iter().sum::<f32>() / (TIME as f32).sqrt();
        if broken > 0 && random.below(broken) == 0 {
            readings[random.below(TIME as u64) as usize] = f32::NAN;
        }
        Sequence { readings, sum }
    };
    (0..count).map(sequence).collect()
}

/// `[batch, time, 1]` and `[batch, 1]`.
#[derive(Clone, Debug)]
struct Batch {
    readings: Tensor<3>,
    sums: Tensor<2>,
}

struct Sequences;

impl Batcher<Sequence, Batch> for Sequences {
    fn batch(&self, items: Vec<Sequence>, device: &Device) -> Batch {
        let count = items.len();
        let sums: Vec<f32> = items.iter().map(|item| item.sum).collect();
        let readings: Vec<f32> = items.into_iter().flat_map(|item| item.readings).collect();
        Batch {
            readings: Tensor::from_data(TensorData::new(readings, [count, TIME, 1]), device),
            sums: Tensor::from_data(TensorData::new(sums, [count, 1]), device),
        }
    }
}

#[derive(Module, Debug)]
struct Model {
    lstm: Lstm,
    output: Linear,
    #[module(skip)]
    guard: SharedGuard,
}

impl Model {
    fn new(device: &Device, guard: &SharedGuard) -> Self {
        Self {
            lstm: LstmConfig::new(1, HIDDEN, true).init(device),
            output: LinearConfig::new(HIDDEN, 1).init(device),
            guard: guard.clone(),
        }
    }

    fn forward(&self, batch: Batch) -> RegressionOutput {
        let (_, last) = self.lstm.forward(batch.readings, None);
        let output = self.output.forward(last.hidden);
        let loss = MseLoss::new().forward(output.clone(), batch.sums.clone(), Reduction::Mean);
        RegressionOutput::new(loss, output, batch.sums)
    }
}

impl TrainStep for Model {
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, batch: Batch) -> TrainOutput<RegressionOutput> {
        let told = self.forward(batch);
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
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, batch: Batch) -> RegressionOutput {
        self.forward(batch)
    }
}

/// What burn logs: for each metric of the training its values with their weights, and of the validation the last mean.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Numbers>>);

#[derive(Default)]
struct Numbers {
    names: HashMap<MetricId, String>,
    training: HashMap<String, Vec<(f64, usize)>>,
    held_out: Option<f64>,
}

impl Seen {
    /// The finite values of a metric.
    fn values(&self, name: &str) -> Vec<(f64, usize)> {
        let numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let values = numbers.training.get(name).into_iter().flatten();
        values
            .copied()
            .filter(|(value, _)| value.is_finite())
            .collect()
    }

    fn mean(&self, name: &str) -> f64 {
        let values = self.values(name);
        let sum: f64 = values
            .iter()
            .map(|(value, count)| value * *count as f64)
            .sum();
        sum / values.iter().map(|(_, count)| count).sum::<usize>() as f64
    }

    fn largest(&self, name: &str) -> f64 {
        let values = self.values(name).into_iter().map(|(value, _)| value);
        values.fold(f64::NAN, f64::max)
    }

    fn held_out(&self) -> f64 {
        let numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.held_out.unwrap_or(f64::NAN)
    }
}

impl MetricLogger for Seen {
    fn log(&mut self, update: MetricsUpdate, _epoch: usize, split: &Split) {
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for update in update.entries_numeric {
            let Some(name) = numbers.names.get(&update.entry.metric_id).cloned() else {
                continue;
            };
            match (split, update.numeric_entry) {
                (
                    Split::Train,
                    Some(NumericEntry::Aggregated {
                        aggregated_value,
                        count,
                    }),
                ) => {
                    let values = numbers.training.entry(name).or_default();
                    values.push((aggregated_value, count));
                }
                (Split::Valid, Some(NumericEntry::Final(mean))) => numbers.held_out = Some(mean),
                _ => (),
            }
        }
    }

    fn read_numeric(
        &mut self,
        _name: &str,
        _epoch: usize,
        _split: &Split,
    ) -> Result<Vec<NumericEntry>> {
        Err("not kept by epoch".into())
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        numbers
            .names
            .insert(definition.metric_id, definition.name.to_string());
    }

    fn log_epoch_summary(&mut self, _summary: EpochSummary) {}
}

/// In place of the dashboard: a bar on standard error, where it is a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new(name: &'static str) -> Self {
        let bar = ProgressBar::new(0).with_prefix(name);
        let style = "{prefix:>14} {bar:30} {pos}/{len}, {elapsed}, {msg}";
        bar.set_style(
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Self(bar)
    }
}

impl MetricsRenderer for Bar {
    fn manual_close(&mut self) {}
    fn register_metric(&mut self, _definition: MetricDefinition) {}
}

impl MetricsRendererTraining for Bar {
    fn update_train(&mut self, _state: MetricState) {}
    fn update_valid(&mut self, _state: MetricState) {}
}

impl MetricsRendererEvaluation for Bar {
    fn update_test(&mut self, _name: EvaluationName, _state: MetricState) {}
}

impl TrainingProgressLogger for Bar {
    fn start(
        &mut self,
        _epochs: usize,
        _first: usize,
        _items: Option<usize>,
        _label: Option<&str>,
    ) {
    }

    fn start_split(&mut self, split: &str, items: usize) {
        self.0.set_length(items as u64);
        self.0.set_message(split.to_owned());
    }

    fn update_split(&mut self, items: usize) {
        self.0.set_position(items as u64);
    }

    fn update_epoch(&mut self, _epoch: usize) {}
    fn end_split(&mut self) {}
    fn end(&mut self) {
        self.0.finish_and_clear();
    }
    fn log_event_training(&mut self, _event: String) {}
}

impl EvaluationProgressLogger for Bar {
    fn start_global_progress(&mut self, _tests: usize) {}
    fn start_test(&mut self, _name: &str, _items: usize) {}
    fn update_test_progress(&mut self, _items: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _event: String) {}
}

/// What one run did.
struct Run {
    name: &'static str,
    seen: Seen,
    ended: String,
}

fn train(name: &'static str, args: &Args, guard: Guard) -> Result<Run> {
    let device = Device::flex().autodiff();
    device.seed(args.seed);
    let interrupter = Interrupter::new();
    let guard = SharedGuard::interrupting(guard, &interrupter);
    let model = Model::new(&device, &guard);
    let optimizer = SgdConfig::new()
        .with_momentum(Some(MomentumConfig::new()))
        .init();
    let warm_up = LinearLrSchedulerConfig::new(args.rate / 20.0, args.rate, 20);
    let scheduler = GuardedLr::new(warm_up, &guard)?;

    let mut random = Random(args.seed);
    let mut loader = |batches: u64, broken: u64| -> Arc<dyn DataLoader<Batch>> {
        let items = sequences(batches * BATCH as u64, broken, &mut random);
        DataLoaderBuilder::new(Sequences)
            .batch_size(BATCH)
            .shuffle(args.seed)
            .build(InMemDataset::new(items))
    };
    let (training, held_out) = (
        loader(args.batches, args.broken),
        loader(HELD_OUT as u64, 0),
    );

    let dir = args.out.join(name.replace(' ', "-"));
    fs::create_dir_all(&dir).map_err(|why| format!("cannot write to {}: {why}", dir.display()))?;
    let seen = Seen::default();
    let mut training = SupervisedTraining::new(&dir, training, held_out)
        .num_epochs(args.epochs as usize)
        .with_interrupter(interrupter)
        .with_default_checkpointers()
        .with_checkpointing_strategy(KeepLastNCheckpoints::new(1))
        .with_application_logger(None)
        .with_metric_logger(FileMetricLogger::new(&dir))
        .with_metric_logger(seen.clone())
        .metrics((LossMetric::new(),))
        .metric_train_numeric(GradNormMetric::before(&guard))
        .metric_train_numeric(GradNormMetric::after(&guard))
        .metric_train_numeric(GradNormMetric::clipped(&guard))
        .metric_train_numeric(GradNormMetric::skipped(&guard));
    if !args.dashboard {
        training = training.renderer(Box::new(Bar::new(name)));
    }
    let done = training.launch(Learner::new(model, optimizer, scheduler));
    if let Some(error) = done.error {
        return Err(error.to_string());
    }
    let stopped = done.interrupted.and_then(|stop| stop.reason);
    Ok(Run {
        name,
        seen,
        ended: stopped.unwrap_or_else(|| "the last epoch".into()),
    })
}

fn print_table(out: &mut dyn Write, runs: &[Run]) -> Told {
    writeln!(
        out,
        "| run | first loss | highest loss | last 20 steps | held out | largest norm | mean norm clipped | clipped % | skipped % | ended by |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|---|")?;
    for Run { name, seen, ended } in runs {
        let losses = seen.values("Loss");
        let last = &losses[losses.len().saturating_sub(20)..];
        let last = last.iter().map(|(loss, _)| loss).sum::<f64>() / last.len() as f64;
        writeln!(
            out,
            "| {name} | {:.2} | {:.2} | {last:.4} | {:.4} | {:.2} | {:.4} | {:.1} | {:.2} | {ended} |",
            losses.first().map_or(f64::NAN, |(loss, _)| *loss),
            seen.largest("Loss"),
            seen.held_out(),
            seen.largest("Gradient Norm"),
            seen.mean("Gradient Norm Clipped"),
            seen.mean("Clipped Steps"),
            seen.mean("Skipped Steps"),
        )?;
    }
    Ok(())
}

fn both(args: &Args) -> Result<[Run; 2]> {
    // It lets everything through, and is there to be looked at.
    let watching = Guard::new().on_non_finite(OnNonFinite::Propagate);
    let clip = clip::GlobalNorm::new(args.max_norm).map_err(|error| error.to_string())?;
    Ok([
        train("without guard", args, watching)?,
        train("with guard", args, Guard::new().clip(clip))?,
    ])
}

fn main() -> ExitCode {
    let args = Args::parse();
    // Before standard output is taken, which burn's own renderer writes to from another thread.
    let runs = both(&args);
    tell(|out| {
        let runs = runs?;
        writeln!(
            out,
            "Mean squared errors of the sum of {TIME} readings; a model that knows nothing loses 1.\n\
             Losses that are not finite are left out of the first three columns.\n"
        )?;
        print_table(out, &runs)?;
        writeln!(out, "\nlogs and checkpoints: {}", args.out.display())?;
        Ok(())
    })
}
