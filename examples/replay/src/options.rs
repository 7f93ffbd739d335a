//! What the user may set.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};
use steadygrad::detect::Detector;

use crate::detectors;
use crate::output::Form;

/// What stands in the help before the detectors.
const HELP: &str = "\
Reads the log of a training run, and says what steadygrad's detectors would have said and when.

Usage: replay [OPTIONS] FILE

FILE is CSV (separated by commas, semicolons or tabs), JSON lines, or a trainer's state with its log_history; - is
standard input. Of its columns step, loss, grad_norm and weight_norm are read, under any usual name, in any order, and
whichever there are.

The exit code is 0 of a quiet run, 1 if anything grave happened or the run diverged, and 2 if the log could not be read.

Options:
  --columns <NAMES>      Names of a CSV file's columns, in place of its header: step,loss,,grad_norm
  --detectors <LIST>     Detectors out of those below, as in non-finite,norm-threshold=10 [default: all]
  --json                 Print an object on a line for each thing that is said, and the summary as the last
  --help                 Print this

Detectors, and their settings:
";

pub(crate) fn help() -> String {
    [HELP, &detectors::help()].concat()
}

#[derive(Debug)]
pub(crate) struct Options {
    /// Standard input if there is none.
    pub(crate) file: Option<PathBuf>,
    pub(crate) columns: Option<String>,
    pub(crate) detectors: Vec<Box<dyn Detector>>,
    pub(crate) form: Form,
}

impl Options {
    /// Nothing where help is asked for.
    pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Result<Option<Self>, String> {
        let mut file = None;
        let mut options = Self {
            file: None,
            columns: None,
            detectors: detectors::all(),
            form: Form::Lines,
        };
        let mut parser = Parser::from_args(words.collect::<Vec<_>>());
        while let Some(word) = parser.next().map_err(|why| why.to_string())? {
            match word {
                Arg::Long("columns") => options.columns = Some(value(&mut parser)?),
                Arg::Long("detectors") => {
                    options.detectors = detectors::listed(&value(&mut parser)?)?;
                }
                Arg::Long("json") => options.form = Form::Json,
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                Arg::Value(word) if file.is_none() => file = Some(word),
                Arg::Value(word) => {
                    return Err(format!(
                        "expected one file, found '{}' as well",
                        word.display()
                    ));
                }
                Arg::Long(name) => {
                    return Err(format!(
                        "unexpected option '--{name}'; --help lists them all"
                    ));
                }
                Arg::Short(name) => {
                    return Err(format!(
                        "unexpected option '-{name}'; --help lists them all"
                    ));
                }
            }
        }
        let file = file.ok_or("expected a file, or - for standard input; --help tells more")?;
        options.file = (file != "-").then(|| file.into());
        Ok(Some(options))
    }
}

fn value(parser: &mut Parser) -> Result<String, String> {
    let value = parser.value().map_err(|why| why.to_string())?;
    value.string().map_err(|why| why.to_string())
}
