//! A run that goes wrong in the middle, recorded: in memory, as CSV, as JSON lines and for TensorBoard.
//!
//! `cargo run --example record --features csv,json,tensorboard`, and the name of a folder for it, if it is not to be a new
//! one below `target/record`. Then, with TensorBoard: `tensorboard --logdir target/record`.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{self, ExitCode};

use steadygrad::record::{Phase, Recorder, csv, json, tensorboard};
use steadygrad::{Guard, Step, clip, detect};
use tell::{Told, tell};

mod tell;

fn main() -> ExitCode {
    tell(program)
}

fn program(out: &mut dyn Write) -> Told {
    let folder = match std::env::args_os().nth(1) {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from("target/record").join(process::id().to_string()),
    };
    let unwritten = |why: io::Error| format!("cannot write to {}: {why}", folder.display());
    let mut as_events = tensorboard::Writer::create(&folder).map_err(unwritten)?;
    let file = |name: &str| File::create(folder.join(name)).map_err(unwritten);
    let mut as_json = json::Writer::new(file("run.jsonl")?);

    // y = 3·x + 1, from batches of which some are broken.
    let mut guard = Guard::new()
        .detect(detect::NormThreshold::new(40.0)?)
        .clip(clip::GlobalNorm::new(20.0)?);
    let mut recorder = Recorder::new().whole_run(100).last(20);
    let mut params = [("a", [0.0_f64]), ("b", [0.0])];
    let mut updates = params;
    for step in 1..=500 {
        let [(_, [a]), (_, [b])] = params;
        let (mut grads, mut loss) = ([("a", [0.0]), ("b", [0.0])], 0.0);
        for x in (-10..=10).map(f64::from) {
            let mut y = 3.0 * x + 1.0;
            match step {
                200..=203 => y *= -20.0,
                320 => y = f64::NAN,
                _ => (),
            }
            let miss = a * x + b - y;
            grads[0].1[0] += 2.0 * miss * x / 21.0;
            grads[1].1[0] += 2.0 * miss / 21.0;
            loss += miss * miss / 21.0;
        }
        let report = guard.step(
            Step::new(&mut grads)
                .params(&params)
                .updates(&updates)
                .loss(loss),
        )?;
        recorder.record(&report);
        as_events.report(&report).map_err(unwritten)?;
        as_json.report(&report).map_err(unwritten)?;
        let rate = if report.verdict().is_apply() {
            0.01
        } else {
            0.0
        };
        for ((param, update), grad) in params.iter_mut().zip(&mut updates).zip(grads) {
            update.1[0] = if rate > 0.0 { -rate * grad.1[0] } else { 0.0 };
            param.1[0] += update.1[0];
        }
    }

    let log = recorder.log();
    csv::write(file("kept.csv")?, &log).map_err(unwritten)?;
    for row in &log.rows {
        for alarm in row
            .alarms
            .iter()
            .filter(|alarm| alarm.phase != Phase::GoesOn)
        {
            writeln!(out, "step {}: {}: {}", row.step, alarm.phase, alarm.said)?;
        }
    }
    writeln!(
        out,
        "{} of 500 steps kept, all of them written",
        log.rows.len()
    )?;
    writeln!(out, "{}", folder.display())?;
    Ok(())
}
