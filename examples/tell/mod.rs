//! How an example speaks: a reader who has left ends it quietly, anything else that goes wrong with one sentence
//! and exit code 2. `println!` would panic in both cases.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

/// What a program comes to: any error, told by its message.
pub(crate) type Told = Result<(), Box<dyn Error>>;

/// Runs a program that writes to standard output. Errors of input and output that it returns as they are must come
/// from there; of a file a sentence says more.
pub(crate) fn tell(program: impl FnOnce(&mut dyn Write) -> Told) -> ExitCode {
    let mut out = io::stdout().lock();
    let done = program(&mut out).and_then(|()| Ok(out.flush()?));
    let Err(error) = done else {
        return ExitCode::SUCCESS;
    };
    let sentence = match error.downcast_ref::<io::Error>() {
        Some(why) if why.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        Some(why) => format!("cannot write to standard output: {why}"),
        None => error.to_string(),
    };
    // Standard error may be closed as well, and then there is nobody left to tell.
    let _ = writeln!(io::stderr(), "error: {sentence}");
    ExitCode::from(2)
}
