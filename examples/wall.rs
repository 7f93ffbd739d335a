//! The wall: plain gradient descent jumps off it, clipped descent stays and finds its way down.
//!
//! One unit run for 50 steps, `x_t = w·σ(x_{t−1}) + b` from `x_0 = 0.5`, with the error `(σ(x_50) − 0.7)²`. Over
//! the plane of (w, b) the error is flat, but for a wall that rises where the unit's two resting states part
//! (Pascanu, Mikolov and Bengio, 2013, arXiv:1211.5063, figure 6).

use std::io::Write;
use std::process::ExitCode;

use steadygrad::clip;
use tell::{Told, tell};

mod tell;

/// The error at (w, b), and its gradient by backpropagation through time.
fn error([w, b]: [f64; 2]) -> (f64, [f64; 2]) {
    let squash = |x: f64| 1.0 / (1.0 + (-x).exp());
    let mut squashed = vec![squash(0.5)]; // σ(x_0), …, σ(x_50)
    for t in 0..50 {
        squashed.push(squash(w * squashed[t] + b));
    }
    let miss = squashed[50] - 0.7;
    let (mut d_squashed, mut grad) = (2.0 * miss, [0.0; 2]);
    for t in (1..=50).rev() {
        let d_x = d_squashed * squashed[t] * (1.0 - squashed[t]);
        grad[0] += d_x * squashed[t - 1];
        grad[1] += d_x;
        d_squashed = d_x * w;
    }
    (miss * miss, grad)
}

const RATE: f64 = 0.01;

/// A descent that starts on the wall.
fn descend(out: &mut dyn Write, title: &str, max_norm: f64) -> Told {
    writeln!(out, "{title}")?;
    let mut at = [4.69, -2.42];
    for step in 0..=40 {
        let (error, mut grad) = error(at);
        let clipped = clip::global_norm(&mut grad, max_norm)?;
        let [w, b] = at;
        if step < 3 || step % 10 == 0 {
            writeln!(
                out,
                "  step {step:2}: w {w:8.4}, b {b:8.4}, error {error:.6}, gradient {clipped}"
            )?;
        }
        at = [w - RATE * grad[0], b - RATE * grad[1]];
    }
    Ok(())
}

fn main() -> ExitCode {
    tell(program)
}

fn program(out: &mut dyn Write) -> Told {
    for (at, digits) in [([4.69, -2.42], 3), ([5.0, -2.0], 7)] {
        let norm = clip::global_norm(&mut error(at).1, f64::INFINITY)?.before();
        writeln!(
            out,
            "at w = {}, b = {} the gradient has norm {norm:.digits$}",
            at[0], at[1]
        )?;
    }
    descend(out, "plain", f64::INFINITY)?;
    descend(out, "clipped to norm 0.03", 0.03)
}
