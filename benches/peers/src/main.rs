//! Measures steadygrad beside the code people use today, and beside the machine's limits. See README.md.

mod cells;
mod child;
mod facts;
mod guarded;
mod limits;
mod naive;
mod options;
mod orchestra;
mod ours;
mod process;
mod sets;
mod table;
#[path = "../../../examples/tell/mod.rs"]
mod tell;
mod work;

#[cfg(feature = "burn")]
mod burn;
#[cfg(feature = "candle")]
mod candle;
#[cfg(feature = "burn")]
mod guarded_burn;
#[cfg(feature = "candle")]
mod guarded_candle;

use std::process::ExitCode;

use child::Peer;
use options::{Job, Options, USAGE};
use tell::tell;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    tell(|out| match words[..] {
        ["child", name, threads] => match peer(name, threads.parse().unwrap_or(1)) {
            Ok(mut peer) => Ok(child::serve(&mut *peer, out)?),
            Err(missing) => Ok(writeln!(out, "missing {missing}")?),
        },
        ["cell-child", name, _] => match cells::peer(name) {
            Ok(peer) => cells::child::serve(&peer, out),
            Err(missing) => Ok(writeln!(out, "missing {missing}")?),
        },
        ["--help" | "-h"] => Ok(writeln!(out, "{USAGE}")?),
        _ => {
            let options = Options::parse(&words)?;
            match options.job {
                Job::Recurrent => cells::play(&options, out),
                Job::Gradients | Job::Facts => orchestra::play(&options, out),
            }
        }
    })
}

fn peer(name: &str, threads: usize) -> Result<Box<dyn Peer>, String> {
    match name {
        "limits" => Ok(Box::new(limits::Limits::new(threads))),
        "ours" => Ok(Box::new(ours::Ours::new(threads))),
        "guard" => Ok(Box::new(guarded::Guarded::new())),
        "ndarray" => Ok(Box::new(naive::Naive::default())),
        #[cfg(feature = "candle")]
        "candle" => Ok(Box::new(candle::Candle::default())),
        #[cfg(feature = "burn")]
        "burn" => Ok(Box::new(burn::Burn::new())),
        #[cfg(feature = "candle")]
        "steadygrad-candle" => Ok(Box::new(guarded_candle::GuardedCandle::new())),
        #[cfg(feature = "burn")]
        "steadygrad-burn" => Ok(Box::new(guarded_burn::GuardedBurn::new())),
        _ => Err(format!("{name}: build with --features candle,burn")),
    }
}
