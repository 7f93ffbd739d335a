//! What the user may set; read by hand, since this program is the first thing that many compile.

use std::ops::RangeInclusive;
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
Trains next-month predictors of sunspots with and without steady gradients, and compares them.

Usage: sunspots [OPTIONS]

Options:
  --seed <SEED>      Seed of the weights and of the order of the data [default: 1]
  --steps <STEPS>    Training steps of each run, at most a million [default: 250]
  --hidden <HIDDEN>  Hidden units of each network, at most 4096 [default: 32]
  --data <FILE>      CSV file with another series, one value a line (of several columns the last counts)
  --out <DIR>        Where to write the pictures [default: target/sunspots]
  --validate         Predict the validation months in place of the test months, as when the settings were chosen
  --json             Print JSON, and nothing else, on standard output
  --help             Print this
";

pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) steps: u64,
    pub(crate) hidden: usize,
    pub(crate) data: Option<PathBuf>,
    pub(crate) out: PathBuf,
    pub(crate) validate: bool,
    pub(crate) json: bool,
}

impl Options {
    /// Nothing where help is asked for.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options = Self {
            seed: 1,
            steps: 250,
            hidden: 32,
            data: None,
            out: "target/sunspots".into(),
            validate: false,
            json: false,
        };
        while let Some(word) = words.next() {
            let (name, mut given) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (&*word, None),
            };
            let is_flag = given.is_none();
            let mut value = || {
                let value = given.take().or_else(|| words.next());
                value.ok_or_else(|| format!("expected a value after '{name}'"))
            };
            match name {
                "--seed" => options.seed = number(&value()?, 0..=u64::MAX)?,
                "--steps" => options.steps = number(&value()?, 1..=1_000_000)?,
                "--hidden" => options.hidden = number(&value()?, 1..=4096)? as usize,
                "--data" => options.data = Some(value()?.into()),
                "--out" => options.out = value()?.into(),
                "--validate" if is_flag => options.validate = true,
                "--json" if is_flag => options.json = true,
                "--help" | "-h" if is_flag => return Ok(None),
                _ => return Err(format!("unexpected option '{word}'; --help lists them all")),
            }
        }
        Ok(Some(options))
    }
}

fn number(text: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    let (least, most) = range.into_inner();
    number.ok_or_else(|| format!("expected a whole number from {least} to {most}, found '{text}'"))
}
