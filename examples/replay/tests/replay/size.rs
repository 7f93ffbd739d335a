//! Logs that are long.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{PROGRAM, file, piped, said};

/// Programs that are not optimised get a tenth.
const ROWS: u32 = if cfg!(debug_assertions) {
    100_000
} else {
    1_000_000
};

/// Rows of a healthy run, with a spike now and then.
fn rows(steps: std::ops::Range<u32>) -> String {
    let mut text = String::new();
    for step in steps {
        // Fractions that look random and are the same on each run.
        let noise = f64::from(step.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24);
        let loss = if step % 5003 == 5002 {
            40.0
        } else {
            2.0 + noise
        };
        let _ = writeln!(
            text,
            "{step},{loss:.5},{:.5},{:.4}",
            0.5 + noise,
            40.0 + noise
        );
    }
    text
}

const HEADER: &str = "step,loss,grad_norm,weight_norm\n";

fn begin() -> (Child, ChildStdin) {
    let mut child = Command::new(PROGRAM)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let input = child.stdin.take().unwrap();
    (child, input)
}

#[test]
fn a_million_rows_take_two_seconds() {
    let log = file("long.csv", format!("{HEADER}{}", rows(0..ROWS)));
    let begin = Instant::now();
    let (out, error, code) = said(crate::run(&[log.to_str().unwrap()]));
    let took = begin.elapsed();
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert!(
        out.contains(&format!("\n{ROWS} rows, steps 0 to {}: ", ROWS - 1)),
        "{out}"
    );
    // Machines that tests run on are slow, and busy; so many times what is aimed at is allowed.
    assert!(took < Duration::from_secs(2 * 10), "{took:?}");
    std::fs::remove_file(log).unwrap();
}

/// The most memory that a process ever held, in kB.
#[cfg(target_os = "linux")]
fn peak(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_log() {
    let (mut child, mut input) = begin();
    input.write_all(HEADER.as_bytes()).unwrap();
    let mut peaks = Vec::new();
    for part in 0..10 {
        let rows = rows(part * (ROWS / 10)..(part + 1) * (ROWS / 10));
        input.write_all(rows.as_bytes()).unwrap();
        peaks.push(peak(&child));
    }
    drop(input);
    child.wait().unwrap();
    // By then it has all it needs.
    assert!(peaks[9] <= peaks[2] + 1024, "{peaks:?}");
    assert!(peaks[9] < 50 * 1024, "{peaks:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_line_without_an_end_takes_little_memory() {
    for head in [
        "loss\n",
        "loss\n\"",
        "{\"loss\": 1, \"",
        "{\"loss\": 1, \"x\": \"",
        "",
    ] {
        let (mut child, mut input) = begin();
        input.write_all(head.as_bytes()).unwrap();
        let mut most = 0;
        let block = vec![b'1'; 1 << 20];
        for _ in 0..200 {
            if input.write_all(&block).is_err() {
                break;
            }
            most = peak(&child).max(most);
        }
        drop(input);
        assert_eq!(child.wait().unwrap().code(), Some(2), "{head}");
        assert!(most < 50 * 1024, "{head}: {most} kB");
    }
}

/// Somebody who is still writing is read as far as there are rows.
#[test]
fn a_log_that_is_being_written_is_followed() {
    use std::io::{BufRead, BufReader};
    use std::sync::mpsc;
    for (head, row) in [("gnorm\n", "500\n"), ("", "{\"gnorm\": 500}\n")] {
        let mut child = Command::new(PROGRAM)
            .args(["-", "--detectors", "norm-threshold=100"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut input, out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, first) = mpsc::channel();
        std::thread::spawn(move || sender.send(BufReader::new(out).lines().next()));
        input.write_all(format!("{head}{row}").as_bytes()).unwrap();
        let said = first.recv_timeout(Duration::from_secs(20));
        drop(input);
        child.wait().unwrap();
        assert!(said.unwrap().unwrap().unwrap().starts_with("step 1: "));
    }
}

#[test]
fn a_long_state_of_a_trainer_on_one_line() {
    let rows: Vec<_> = (0..ROWS / 10)
        .map(|i| format!("{{\"loss\": 1.5, \"step\": {i}}}"))
        .collect();
    let state = format!(
        "{{\"epoch\": 1, \"log_history\": [{}], \"max_steps\": 1}}",
        rows.join(", ")
    );
    let (out, error, code) = said(piped(state.as_bytes(), &["-"]));
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert!(
        out.contains(&format!(
            "{} rows, steps 0 to {}: ",
            ROWS / 10,
            ROWS / 10 - 1
        )),
        "{out}"
    );
}
