//! A character-level language model, an LSTM of candle-nn's with 128 cells, trained twice from the same
//! weights on the same batches: without and with a guard.
//!
//! ```text
//! cargo run --release -p steadygrad-candle --example char_lm
//! cargo run --release -p steadygrad-candle --example char_lm -- --text FILE --steps 500
//! ```
//!
//! Learning rate and bound are those of a well-known language model (Merity and others, 2017,
//! arXiv:1708.02182: SGD at 30, the norm clipped to 0.25): with the guard it learns, without it the loss
//! ends above that of blind guessing.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use candle_core::{D, DType, Device, IndexOp, Tensor};
use candle_nn::rnn::{LSTM, RNN};
use candle_nn::{Embedding, LSTMConfig, Linear, Module, Optimizer, SGD, VarBuilder, VarMap};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use steadygrad::{Guard, Measurement, Step, Verdict, Wide, clip};
use steadygrad_candle::{CandleGrads, CandleParams, Vars};

#[path = "../../../examples/tell/curves.rs"]
mod curves;
#[path = "../../../examples/tell/mod.rs"]
mod tell;

use curves::Course as Curves;
use tell::{Told, tell};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const HIDDEN: usize = 128;
const EMBEDDED: usize = 32;
const BATCH: usize = 16;
const TIME: usize = 48;

#[derive(Parser)]
#[command(
    about = "Trains a character-level LSTM without and with a guard",
    version
)]
struct Options {
    /// The text to learn [default: the sources of this package]
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// Steps of each training
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Picks the weights and the batches
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The learning rate of SGD
    #[arg(long, default_value_t = 30.0, value_parser = positive)]
    rate: f64,
    /// The bound of the guard on the global norm
    #[arg(long, default_value_t = 0.25, value_parser = positive)]
    max_norm: f64,
    /// Where the picture goes
    #[arg(long, value_name = "DIR", default_value = "target")]
    out: PathBuf,
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    number
        .filter(|number: &f64| *number > 0.0 && number.is_finite())
        .ok_or("expected a finite number above 0".into())
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// In [0, 1).
    fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * 2f64.powi(-53)
    }
}

/// The text as numbers of its characters.
struct Corpus {
    letters: Vec<char>,
    train: Vec<u32>,
    valid: Vec<u32>,
}

impl Corpus {
    fn read(file: Option<&Path>) -> Result<Self, String> {
        let text = match file {
            Some(file) => std::fs::read(file)
                .map_err(|error| format!("cannot read {}: {error}", file.display()))
                .and_then(|bytes| {
                    String::from_utf8(bytes)
                        .map_err(|_| format!("{} is not UTF-8 text", file.display()))
                })?,
            None => own_sources()
                .map_err(|error| format!("cannot read the sources of this package: {error}"))?,
        };
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters.dedup();
        if letters.len() < 2 {
            return Err("the text has no two different characters".into());
        }
        let number = |letter| letters.binary_search(&letter).unwrap_or_default() as u32;
        let all: Vec<u32> = text.chars().map(number).collect();
        let least = 20 * (TIME + 1);
        if all.len() < least {
            return Err(format!(
                "the text has {} characters, and at least {least} are needed",
                all.len()
            ));
        }
        let (train, valid) = all.split_at(all.len() - all.len() / 10);
        let (train, valid) = (train.to_vec(), valid.to_vec());
        Ok(Self {
            letters,
            train,
            valid,
        })
    }

    /// The loss of guessing by how common each letter is.
    fn unigram(&self) -> f64 {
        let mut counts = vec![0.0_f64; self.letters.len()];
        for &letter in &self.train {
            counts[letter as usize] += 1.0;
        }
        let all = self.train.len() as f64;
        counts
            .iter()
            .filter(|&&count| count > 0.0)
            .map(|count| -count / all * (count / all).ln())
            .sum()
    }

    fn batch(text: &[u32], starts: &[usize]) -> candle_core::Result<(Tensor, Tensor)> {
        let rows = |offset: usize| {
            let letters = starts
                .iter()
                .flat_map(|start| &text[start + offset..start + offset + TIME]);
            Tensor::from_vec(
                letters.copied().collect(),
                (starts.len(), TIME),
                &Device::Cpu,
            )
        };
        Ok((rows(0)?, rows(1)?))
    }
}

/// The Rust files of this package, in the order of their paths.
fn own_sources() -> std::io::Result<String> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                collect(&path, files)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
        Ok(())
    }
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![];
    for folder in ["src", "examples", "tests"] {
        collect(&package.join(folder), &mut files)?;
    }
    files.sort();
    files.iter().map(std::fs::read_to_string).collect()
}

struct Model {
    vars: VarMap,
    embedding: Embedding,
    lstm: LSTM,
    head: Linear,
}

impl Model {
    /// Weights of PyTorch's kind, uniform within ±1/√hidden.
    fn new(letters: usize, seed: u64) -> candle_core::Result<Self> {
        let vars = VarMap::new();
        let builder = VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu);
        let model = Self {
            embedding: candle_nn::embedding(letters, EMBEDDED, builder.pp("embedding"))?,
            lstm: candle_nn::lstm(EMBEDDED, HIDDEN, LSTMConfig::default(), builder.pp("lstm"))?,
            head: candle_nn::linear(HIDDEN, letters, builder.pp("head"))?,
            vars,
        };
        let mut random = Random(seed);
        let bound = 1.0 / (HIDDEN as f64).sqrt();
        let mut result = Ok(());
        model.vars.each(&mut |_, var| {
            let weight = |_| (bound * (2.0 * random.uniform() - 1.0)) as f32;
            let weights = (0..var.elem_count()).map(weight).collect();
            let set = Tensor::from_vec(weights, var.shape(), &Device::Cpu)
                .and_then(|weights| var.set(&weights));
            result = std::mem::replace(&mut result, Ok(())).and(set);
        });
        result.map(|()| model)
    }

    fn loss(&self, (letters, next): &(Tensor, Tensor)) -> candle_core::Result<Tensor> {
        let states = self.lstm.seq(&self.embedding.forward(letters)?)?;
        let hidden = self.lstm.states_to_tensor(&states)?.flatten_to(1)?;
        candle_nn::loss::cross_entropy(&self.head.forward(&hidden)?, &next.flatten_all()?)
    }

    /// What the model writes, letter by letter.
    fn write(
        &self,
        corpus: &Corpus,
        count: usize,
        random: &mut Random,
    ) -> candle_core::Result<String> {
        let mut state = self.lstm.zero_state(1)?;
        let mut letter = corpus.valid[0];
        let mut text = String::new();
        for _ in 0..count {
            let input = self
                .embedding
                .forward(&Tensor::new(&[letter], &Device::Cpu)?)?;
            state = self.lstm.step(&input, &state)?;
            let scores = (self.head.forward(state.h())? / 0.7)?;
            let shares = candle_nn::ops::softmax(&scores, D::Minus1)?
                .i(0)?
                .to_vec1::<f32>()?;
            let mut left = random.uniform() as f32;
            letter = shares
                .iter()
                .position(|share| {
                    left -= share;
                    left < 0.0
                })
                .unwrap_or(0) as u32;
            text.push(corpus.letters[letter as usize]);
        }
        Ok(text)
    }
}

/// What a training came to.
struct Course {
    losses: Vec<f64>,
    norms: Vec<f64>,
    clipped: usize,
    valid: f64,
    seconds: f64,
    sample: String,
}

/// The last steps, over which a loss is averaged.
const TAIL: usize = 20;

impl Course {
    fn last(&self) -> f64 {
        let tail = &self.losses[self.losses.len().saturating_sub(TAIL)..];
        tail.iter().sum::<f64>() / tail.len() as f64
    }

    /// Measured by guessing letters blindly and by how common they are.
    fn outcome(&self, blind: f64, unigram: f64) -> &'static str {
        let below = |bound: f64| self.last() < bound && self.valid < bound;
        if below(unigram) {
            "yes"
        } else if self.losses.len() < TAIL && self.last().is_finite() {
            "too few steps to tell"
        } else if below(blind) {
            "hardly"
        } else {
            "no: it diverged"
        }
    }

    fn largest_norm(&self) -> f64 {
        self.norms.iter().fold(0.0, |max, &norm| {
            if norm > max || norm.is_nan() {
                norm
            } else {
                max
            }
        })
    }
}

fn train(corpus: &Corpus, options: &Options, mut guard: Option<Guard>) -> Outcome<Course> {
    let model = Model::new(corpus.letters.len(), options.seed)?;
    let params = CandleParams::new(&model.vars);
    let mut optimizer = SGD::new(model.vars.all_vars(), options.rate)?;
    let mut random = Random(options.seed ^ 0x5eed);
    let bar = ProgressBar::new(u64::from(options.steps));
    bar.set_style(ProgressStyle::with_template(
        "{msg:>14} {bar:40} {pos}/{len}  {prefix}  {eta} left",
    )?);
    bar.set_message(if guard.is_some() {
        "with guard"
    } else {
        "without guard"
    });
    let start = Instant::now();
    let (mut losses, mut norms, mut clipped) = (vec![], vec![], 0);
    for _ in 0..options.steps {
        let places = corpus.train.len() - TIME - 1;
        let starts: Vec<usize> = (0..BATCH).map(|_| random.below(places)).collect();
        let loss = model.loss(&Corpus::batch(&corpus.train, &starts)?)?;
        let value = loss.to_scalar::<f32>()?;
        let mut grads = loss.backward()?;
        if let Some(guard) = &mut guard {
            let mut set = CandleGrads::new(&mut grads, &model.vars);
            let report = guard.step(Step::new(&mut set).params(&params).loss(value))?;
            norms.push(report.before());
            clipped += usize::from(report.is_clipped());
            match report.verdict() {
                Verdict::Apply => optimizer.step(&grads)?,
                Verdict::Skip => (),
                Verdict::Rollback | Verdict::Stop => return Err(report.to_string().into()),
            }
        } else {
            let seen = Measurement::of(&CandleGrads::new(&mut grads, &model.vars))?;
            norms.push(seen.total().l2());
            optimizer.step(&grads)?;
        }
        losses.push(f64::from(value));
        bar.set_prefix(format!("loss {value:.3}"));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    let step = ((corpus.valid.len() - TIME - 1) / 64).max(1);
    let starts: Vec<usize> = (0..corpus.valid.len() - TIME - 1).step_by(step).collect();
    let valid = model
        .loss(&Corpus::batch(&corpus.valid, &starts)?)?
        .to_scalar::<f32>()?;
    let sample = model.write(corpus, 160, &mut random)?;
    Ok(Course {
        losses,
        norms,
        clipped,
        valid: f64::from(valid),
        seconds,
        sample,
    })
}

fn program(options: &Options, out: &mut dyn Write) -> Told {
    let corpus = Corpus::read(options.text.as_deref())?;
    let path = curves::prepare(&options.out, "char_lm.svg")?;
    let (blind, unigram) = ((corpus.letters.len() as f64).ln(), corpus.unigram());
    writeln!(
        out,
        "{} characters to learn, {} different; LSTM of {HIDDEN}, SGD at {}, {} steps of {BATCH} x {TIME}",
        corpus.train.len(),
        corpus.letters.len(),
        options.rate,
        options.steps,
    )?;
    let guard = Guard::new()
        .clip(clip::GlobalNorm::new(options.max_norm)?)
        .max_skips(100);
    let without = train(&corpus, options, None)?;
    let with = train(&corpus, options, Some(guard))?;
    let courses = [("without", &without), ("with guard", &with)];
    writeln!(
        out,
        "\nnats per character; blind guessing {blind:.3}, letter frequencies {unigram:.3}\n"
    )?;
    writeln!(
        out,
        "|  | first loss | last {} | held-out text | largest norm | clipped | learns |",
        match options.steps {
            1 => "step".into(),
            steps => format!("{} steps", steps.min(TAIL as u32)),
        }
    )?;
    writeln!(out, "|---|---:|---:|---:|---:|---:|---|")?;
    for (name, course) in courses {
        writeln!(
            out,
            "| {name} | {:.3} | {:.3} | {:.3} | {} | {} of {} | {} |",
            course.losses[0],
            course.last(),
            course.valid,
            Wide::from(course.largest_norm()),
            course.clipped,
            course.losses.len(),
            course.outcome(blind, unigram),
        )?;
    }
    writeln!(
        out,
        "\ntrained for {:.0} s and {:.0} s",
        without.seconds, with.seconds
    )?;
    writeln!(
        out,
        "\nwith the guard it writes:\n{}\n\nwithout:\n{}\n",
        with.sample,
        without.sample.escape_debug()
    )?;
    let bound = format!("the guard clips to {}", options.max_norm);
    curves::draw(
        &path,
        "Character LSTM of candle's, plain SGD: without and with a guard",
        &courses.map(|(name, course)| Curves {
            name,
            losses: &course.losses,
            norms: &course.norms,
        }),
        &[(blind, "blind guessing"), (unigram, "letter frequencies")],
        &[(options.max_norm, &bound)],
    )?;
    writeln!(out, "the picture is {}", path.display())?;
    Ok(())
}

fn main() -> ExitCode {
    let options = Options::parse();
    tell(|out| program(&options, out))
}
