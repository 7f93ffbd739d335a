//! Plain buffers and any loop: one function to clip them once, one guard to watch every step.
//!
//! Needs no feature: `cargo run --example slices --no-default-features`.

use std::io::Write;
use std::process::ExitCode;

use steadygrad::{Guard, OnNonFinite, Step, TensorMut, Verdict, clip, detect};
use tell::{Told, tell};

mod tell;

fn main() -> ExitCode {
    tell(program)
}

fn program(out: &mut dyn Write) -> Told {
    // Squares of these overflow in f32; the direction is kept nevertheless.
    let mut huge = [1e25_f32, 1e25, 1.0];
    let clipped = clip::global_norm(&mut huge, 1.0)?;
    writeln!(out, "{huge:?}: {clipped}")?;

    // Fit y = a·x + b in two buffers of different types, with a rate and data that would explode.
    let data: Vec<(f64, f64)> = (-10_i32..=10)
        .map(f64::from)
        .map(|x| (x, 3.0 * x + 1.0))
        .collect();
    let count = data.len() as f64;
    let (mut a, mut b) = (vec![0.0_f32], [0.0_f64]);
    let mut guard = Guard::new()
        .detect(detect::NormThreshold::new(100.0)?)
        .clip(clip::GlobalNorm::new(1.0)?)
        .on_non_finite(OnNonFinite::Skip);
    for step in 1..=400 {
        let (mut da, mut db, mut loss) = (vec![0.0_f32], [0.0_f64], 0.0);
        for &(x, y) in &data {
            let miss = f64::from(a[0]) * x + b[0] - y;
            da[0] += (2.0 * miss * x / count) as f32;
            db[0] += 2.0 * miss / count;
            loss += miss * miss / count;
        }
        if step == 200 {
            db[0] = f64::NAN; // a bad batch
        }
        let mut grads: [(&str, &mut dyn TensorMut); 2] = [("a", &mut da), ("b", &mut db)];
        let report = guard.step(Step::new(&mut grads).loss(loss))?;
        if [1, 100, 200, 400].contains(&step) {
            writeln!(out, "{report}")?;
        }
        if report.verdict() == Verdict::Apply {
            let rate = 0.1 / f64::from(step).sqrt();
            a[0] -= (rate * f64::from(da[0])) as f32;
            b[0] -= rate * db[0];
        }
    }
    writeln!(out, "a = {:.2}, b = {:.2}", a[0], b[0])?;
    Ok(())
}
