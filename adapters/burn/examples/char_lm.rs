//! A character-level language model on any text, trained twice with the same seed, batches and
//! learning rate: once without a guard, where it diverges, and once with one, where it learns.
//!
//! ```sh
//! cargo run --release -p steadygrad-burn --example char_lm
//! cargo run --release -p steadygrad-burn --example char_lm -- --text my.txt --steps 500
//! ```
//!
//! An embedding, burn's LSTM with 128 hidden units and a linear layer; plain SGD with momentum. The default text is
//! the sources of steadygrad itself.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig, Lstm, LstmConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use steadygrad::{Guard, Measurement, Step, Verdict, clip};
use steadygrad_burn::BurnGrads;

#[path = "../../../examples/tell/curves.rs"]
mod curves;
#[path = "../../../examples/tell/mod.rs"]
mod tell;

use curves::Course;
use tell::{Told, tell};

const EMBEDDED: usize = 32;
const HIDDEN: usize = 128;
const BATCH: usize = 16;
const TIME: usize = 48;
/// The last steps, over which a loss is averaged.
const TAIL: u64 = 20;
/// Held-out sequences.
const HELD_OUT: usize = 64;

/// Trains a character-level LSTM with and without a gradient guard, and draws what happens.
#[derive(Parser)]
struct Args {
    /// Training steps of each run
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// UTF-8 text to learn; steadygrad's own sources if left out
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// Seed of the weights and of the batches
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the picture goes
    #[arg(long, value_name = "DIR", default_value = "target/char_lm")]
    out: PathBuf,
    /// Learning rate
    #[arg(long, default_value_t = 14.0, value_parser = positive)]
    rate: f64,
    /// Global norm that the guard clips to
    #[arg(long, default_value_t = 0.05, value_parser = positive)]
    max_norm: f64,
}

fn positive(text: &str) -> Result<f64> {
    let number = text.parse().ok();
    number
        .filter(|number: &f64| *number > 0.0 && number.is_finite())
        .ok_or("expected a finite number above 0".into())
}

/// Anything that ends the program: one sentence.
type Result<T> = std::result::Result<T, String>;

/// Text as numbers.
struct Corpus {
    letters: Vec<char>,
    train: Vec<i32>,
    held_out: Vec<i32>,
}

impl Corpus {
    fn read(path: Option<&Path>) -> Result<Self> {
        let text = match path {
            Some(path) => fs::read_to_string(path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?,
            None => own_sources()?,
        };
        let mut letters: Vec<char> = text.chars().collect();
        let needed = 20 * (TIME + 1);
        if letters.len() < needed {
            let found = letters.len();
            return Err(format!(
                "the text is too short: expected {needed} characters, found {found}"
            ));
        }
        letters.sort_unstable();
        letters.dedup();
        if letters.len() < 2 {
            return Err("the text has no two different characters".into());
        }
        let number = |letter| letters.binary_search(&letter).unwrap_or_default() as i32;
        let mut train: Vec<i32> = text.chars().map(number).collect();
        let held_out = train.split_off(train.len() - train.len() / 10);
        Ok(Self {
            letters,
            train,
            held_out,
        })
    }
}

/// The Rust files of the core and of this adapter, in the order of their paths.
fn own_sources() -> Result<String> {
    fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                collect(&path, files)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
        Ok(())
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut files, mut text) = (vec![], String::new());
    for dir in [here.join("src"), here.join("../../src")] {
        let cannot = |error| format!("cannot read {}: {error}", dir.display());
        collect(&dir, &mut files).map_err(cannot)?;
    }
    files.sort();
    for file in files {
        text += &fs::read_to_string(&file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    }
    Ok(text)
}

/// Where batches start: the same for every run of a seed (splitmix64).
struct Starts(u64);

impl Starts {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % below as u64) as usize
    }
}

/// Inputs `[batch, time]` and for each of them the next letter, in one list.
fn batch(text: &[i32], starts: &[usize], device: &Device) -> (Tensor<2, Int>, Tensor<1, Int>) {
    let cut = |shift: usize| -> Vec<i32> {
        let lines = starts
            .iter()
            .flat_map(|start| &text[start + shift..start + shift + TIME]);
        lines.copied().collect()
    };
    let inputs = TensorData::new(cut(0), [starts.len(), TIME]);
    let targets = TensorData::new(cut(1), [starts.len() * TIME]);
    (
        Tensor::from_data(inputs, device),
        Tensor::from_data(targets, device),
    )
}

#[derive(Module, Debug)]
struct Model {
    embedding: Embedding,
    lstm: Lstm,
    output: Linear,
}

impl Model {
    fn new(letters: usize, device: &Device) -> Self {
        Self {
            embedding: EmbeddingConfig::new(letters, EMBEDDED).init(device),
            lstm: LstmConfig::new(EMBEDDED, HIDDEN, true).init(device),
            output: LinearConfig::new(HIDDEN, letters).init(device),
        }
    }

    /// The mean cross entropy per letter, in nats.
    fn loss(&self, inputs: Tensor<2, Int>, targets: Tensor<1, Int>) -> Tensor<1> {
        let (states, _last) = self.lstm.forward(self.embedding.forward(inputs), None);
        let states: Tensor<2> = states.reshape([targets.dims()[0], HIDDEN]);
        let device = states.device();
        CrossEntropyLossConfig::new()
            .init(&device)
            .forward(self.output.forward(states), targets)
    }
}

/// What one run did.
struct Run {
    name: &'static str,
    losses: Vec<f64>,
    norms: Vec<f64>,
    held_out: f64,
    clipped: usize,
    skipped: usize,
    seconds: f64,
}

fn train(
    name: &'static str,
    corpus: &Corpus,
    args: &Args,
    guarded: bool,
) -> std::result::Result<Run, Box<dyn Error>> {
    let device = Device::flex().autodiff();
    device.seed(args.seed);
    let mut model = Model::new(corpus.letters.len(), &device);
    let mut optimizer = SgdConfig::new()
        .with_momentum(Some(MomentumConfig::new()))
        .init();
    let mut guard = Guard::new().clip(clip::GlobalNorm::new(args.max_norm)?);
    let mut starts = Starts(args.seed);
    let mut run = Run {
        name,
        losses: vec![],
        norms: vec![],
        held_out: f64::NAN,
        clipped: 0,
        skipped: 0,
        seconds: 0.0,
    };
    let style = "{prefix:>14} {bar:30} {pos}/{len}, {elapsed}, {msg}";
    let bar = ProgressBar::new(args.steps).with_prefix(name);
    bar.set_style(
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let begin = Instant::now();
    for _step in 0..args.steps {
        let places: Vec<usize> = (0..BATCH)
            .map(|_| starts.next(corpus.train.len() - TIME))
            .collect();
        let (inputs, targets) = batch(&corpus.train, &places, &device);
        let loss = model.loss(inputs, targets);
        let value = f64::from(loss.clone().into_scalar::<f32>());
        let mut grads = GradientsParams::from_grads(loss.backward(), &model);
        let mut apply = true;
        if guarded {
            let mut set = BurnGrads::new(&mut grads, &model);
            let report = guard.step(Step::new(&mut set).loss(value))?;
            run.norms.push(report.before());
            run.clipped += usize::from(report.is_clipped());
            match report.verdict() {
                Verdict::Apply => (),
                Verdict::Skip => apply = false,
                Verdict::Rollback | Verdict::Stop => return Err(report.to_string().into()),
            }
            run.skipped += usize::from(!apply);
        } else {
            let seen = Measurement::of(&BurnGrads::new(&mut grads, &model))?;
            run.norms.push(seen.total().l2());
        }
        if apply {
            model = optimizer.step(args.rate, model, grads);
        }
        run.losses.push(value);
        bar.set_message(format!("loss {value:.3}"));
        bar.inc(1);
        if !guarded && !value.is_finite() {
            break; // Nothing comes back from NaN weights.
        }
    }
    bar.finish_and_clear();
    let model = model.valid();
    let device = device.inner();
    let gap = (corpus.held_out.len() - TIME - 1) / HELD_OUT;
    let places: Vec<usize> = (0..HELD_OUT).map(|i| i * gap).collect();
    let (inputs, targets) = batch(&corpus.held_out, &places, &device);
    run.held_out = f64::from(model.loss(inputs, targets).into_scalar::<f32>());
    run.seconds = begin.elapsed().as_secs_f64();
    Ok(run)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn print_table(out: &mut dyn Write, runs: &[Run], letters: usize, steps: u64) -> Told {
    writeln!(
        out,
        "\nLosses in nats per letter; a model that knows nothing has ln {letters} = {:.2}.\n",
        (letters as f64).ln()
    )?;
    let last = match steps {
        1 => "last step".into(),
        steps => format!("last {} steps", steps.min(TAIL)),
    };
    writeln!(
        out,
        "| run | first loss | highest loss | {last} | held out | largest gradient norm | clipped | skipped | steps | seconds |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|---|")?;
    for run in runs {
        let last = &run.losses[run.losses.len().saturating_sub(TAIL as usize)..];
        let [highest, largest] = [&run.losses, &run.norms].map(|values| {
            let larger = |a: f64, &b: &f64| if b > a || b.is_nan() { b } else { a };
            values.iter().fold(0.0, larger)
        });
        writeln!(
            out,
            "| {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.3} | {} | {} | {} | {:.0} |",
            run.name,
            run.losses[0],
            highest,
            mean(last),
            run.held_out,
            largest,
            run.clipped,
            run.skipped,
            run.losses.len(),
            run.seconds
        )?;
    }
    Ok(())
}

fn program(args: &Args, out: &mut dyn Write) -> Told {
    let corpus = Corpus::read(args.text.as_deref())?;
    let path = curves::prepare(&args.out, "char_lm.svg")?;
    let letters = corpus.letters.len();
    writeln!(
        out,
        "{} letters of text, {letters} different ones; learning rate {}, guard clips to {}",
        corpus.train.len() + corpus.held_out.len(),
        args.rate,
        args.max_norm
    )?;
    let runs = [
        train("without guard", &corpus, args, false)?,
        train("with guard", &corpus, args, true)?,
    ];
    print_table(out, &runs, letters, args.steps)?;
    let bound = format!("the guard clips to {}", args.max_norm);
    curves::draw(
        &path,
        "Character LSTM of burn's, SGD with momentum: without and with a guard",
        &runs.each_ref().map(|run| Course {
            name: run.name,
            losses: &run.losses,
            norms: &run.norms,
        }),
        &[((letters as f64).ln(), "knowing nothing")],
        &[(args.max_norm, &bound)],
    )?;
    writeln!(out, "\npicture: {}", path.display())?;
    Ok(())
}

fn main() -> ExitCode {
    let args = Args::parse();
    tell(|out| program(&args, out))
}
