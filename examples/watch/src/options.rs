//! What the user may set.

use std::ops::RangeInclusive;
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
Trains hundreds of recurrent nets that nobody tuned, says which detectors saw in time that one was being lost, and how
many of those a guard saves.

Usage: watch [OPTIONS]

Options:
  --quick        A tenth of the nets, and short ones
  --seed <SEED>  Seed of all nets [default: 1]
  --nets <NETS>  How many nets, at most 100000 [default: 900]
  --rows <FILE>  Write the rows of every net to a CSV file
  --help         Print this
";

pub(crate) struct Options {
    pub(crate) is_quick: bool,
    pub(crate) seed: u64,
    pub(crate) nets: u64,
    pub(crate) rows: Option<PathBuf>,
}

impl Options {
    /// Nothing where help is asked for.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let (mut is_quick, mut seed, mut nets, mut rows) = (false, 1, None, None);
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
                "--quick" if is_flag => is_quick = true,
                "--seed" => seed = number(&value()?, 0..=u64::MAX)?,
                "--nets" => nets = Some(number(&value()?, 1..=100_000)?),
                "--rows" => rows = Some(value()?.into()),
                "--help" | "-h" if is_flag => return Ok(None),
                _ => return Err(format!("unexpected option '{word}'; --help lists them all")),
            }
        }
        let nets = nets.unwrap_or(if is_quick { 90 } else { 900 });
        Ok(Some(Self {
            is_quick,
            seed,
            nets,
            rows,
        }))
    }
}

fn number(text: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    let (least, most) = range.into_inner();
    number.ok_or_else(|| format!("expected a whole number from {least} to {most}, found '{text}'"))
}
