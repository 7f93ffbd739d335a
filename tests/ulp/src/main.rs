//! The largest errors of `recurrent::{exp, tanh, sigmoid}`, measured. See README.md.

#[path = "../../recurrent/double.rs"]
mod double;
mod exact;
mod sweep;
#[path = "../../../examples/tell/mod.rs"]
mod tell;

use std::ops::Range;
use std::process::ExitCode;
use std::thread;

use double::{F32, F64, Format, Function};
use sweep::Worst;
use tell::{Told, tell};

const USAGE: &str = "\
ulp [OPTIONS]

  --stride N       every N-th f32 by its bits (default 1: all of them)
  --random N       so many random f64 (default 100000000)
  --threads N      by so many threads (default: one for each processor)";

/// No function may be further off, in units in the last place.
const BOUND: f64 = 2.0;

/// The pieces into which arguments are cut, which threads share.
const PIECES: u64 = 256;

const FUNCTIONS: [(Function, &str); 3] = [
    (Function::Exp, "exp"),
    (Function::Tanh, "tanh"),
    (Function::Sigmoid, "sigmoid"),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    tell(|out| {
        if words.iter().any(|word| word == "--help" || word == "-h") {
            return Ok(writeln!(out, "{USAGE}")?);
        }
        let mut options = Options::parse(&words)?;
        options.threads = options.threads.max(1);
        table(&options, out)
    })
}

struct Options {
    stride: u64,
    random: u64,
    threads: u64,
}

impl Options {
    fn parse(words: &[String]) -> Result<Self, String> {
        let processors = thread::available_parallelism().map_or(1, |n| n.get() as u64);
        let mut options = Self {
            stride: 1,
            random: 100_000_000,
            threads: processors,
        };
        for pair in words.chunks(2) {
            let [word, value] = pair else {
                return Err(format!("expected a value after {}", pair[0]));
            };
            let place = match word.as_str() {
                "--stride" => &mut options.stride,
                "--random" => &mut options.random,
                "--threads" => &mut options.threads,
                _ => return Err(format!("expected an option, found {word}\n\n{USAGE}")),
            };
            *place = match value.parse() {
                Ok(n) if n > 0 => n,
                _ => return Err(format!("{word}: expected a positive number, found {value}")),
            };
        }
        Ok(options)
    }
}

/// Prints it row by row, and fails if a function is further off than it may be.
fn table(options: &Options, out: &mut dyn std::io::Write) -> Told {
    writeln!(
        out,
        "| function | type | arguments | largest error, ulp | at | not the nearest number | largest value |\n\
         |---|---|--:|--:|--:|--:|--:|"
    )?;
    let mut apart = 0.0_f64;
    for (function, name) in FUNCTIONS {
        for (format, element) in [(F32, "f32"), (F64, "f64")] {
            let mut worst = measure(options, function, format);
            apart = apart.max(worst.decide(function, format));
            let case = worst.cases[0];
            let share = 100.0 * worst.not_nearest as f64 / worst.arguments as f64;
            writeln!(
                out,
                "| `{name}` | {element} | {} | {:.3} | {:e} | {share:.2} % | {:e} |",
                worst.arguments, case.ulps, case.x, worst.largest
            )?;
            out.flush()?;
            if case.ulps > BOUND {
                return Err(format!(
                    "{name} of {element}: at {:e} it is {:e}, {} units in the last place off",
                    case.x, case.found, case.ulps
                )
                .into());
            }
        }
    }
    writeln!(
        out,
        "\nOf the thousand worst of each row the reference was off by at most {apart:.1e} ulp."
    )?;
    Ok(())
}

/// By threads which take the pieces in turn; what they come to is put together in order.
fn measure(options: &Options, function: Function, format: Format) -> Worst {
    let (single, stride) = (format.digits == F32.digits, options.stride);
    let numbers = if single {
        (1_u64 << 32).div_ceil(stride)
    } else {
        options.random
    };
    let piece = |k: u64| -> Range<u64> { numbers * k / PIECES..numbers * (k + 1) / PIECES };
    let of = |numbers: Range<u64>| {
        if single {
            sweep::singles(function, stride, numbers)
        } else {
            sweep::doubles(function, numbers)
        }
    };
    let mut parts: Vec<(u64, Worst)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..options.threads)
            .map(|worker| {
                let mine = (worker..PIECES).step_by(options.threads as usize);
                scope.spawn(move || mine.map(|k| (k, of(piece(k)))).collect::<Vec<_>>())
            })
            .collect();
        let done = workers.into_iter().map(|worker| worker.join());
        done.flat_map(|parts| parts.expect("a sweep does not panic"))
            .collect()
    });
    parts.sort_by_key(|&(k, _)| k);
    let mut worst = Worst::default();
    parts.into_iter().for_each(|(_, part)| worst.merge(part));
    worst
}

#[cfg(test)]
mod tests {
    use super::*;
    use double::Reference;

    /// Pairs of `f64` against many digits, over the whole range and where values are tiny.
    #[test]
    fn the_reference_holds_beside_many_digits() {
        let reference = Reference::new();
        for (function, _) in FUNCTIONS {
            let mut xs: Vec<f64> = (-300..300).map(|k| f64::from(k) * 2.497_3).collect();
            xs.extend((-1000..10).step_by(5).map(|k| 1.37 * f64::from(k).exp2()));
            for x in xs.iter().flat_map(|&x| [x, -x]) {
                let exact = reference.of(function, x);
                // Of what the pair says itself, in the units of numbers of 100 digits.
                let apart = exact::relative(function, x, &exact);
                assert!(apart < 2_f64.powi(-95), "{function:?} at {x}: {apart:e}");
            }
        }
    }
}
