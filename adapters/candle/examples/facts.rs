//! What candle does with overflow and NaN, beside what a guard does.
//!
//! ```text
//! cargo run --release -p steadygrad-candle --example facts
//! ```

use std::io::Write;
use std::process::ExitCode;

use candle_core::backprop::GradStore;
use candle_core::{Context, DType, Device, Result, Tensor, Var};
use steadygrad::{Guard, clip};
use steadygrad_candle::CandleGrads;

#[path = "../../../examples/tell/mod.rs"]
mod tell;

use tell::{Told, tell};

/// The loop that users paste, since candle has no clipping: its issue 2962.
fn by_hand(grads: &mut GradStore, var: &Var, max: f64) -> Result<f64> {
    let mut sum = None::<Tensor>;
    if let Some(grad) = grads.get(var) {
        let square = grad.sqr()?.sum_all()?;
        sum = Some(square);
    }
    let Some(sum) = sum else { return Ok(0.0) };
    let norm = sum.sqrt()?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
    let factor = max / (norm + 1e-6);
    if factor < 1.0
        && let Some(grad) = grads.remove(var)
    {
        grads.insert(var, (grad * factor)?);
    }
    Ok(norm)
}

fn show(values: &[f64]) -> String {
    let value = |x: &f64| match x.abs() {
        size if size == 0.0 || !size.is_finite() || (1e-3..1e5).contains(&size) => {
            let digits = format!("{x:.7}");
            if digits.contains('.') {
                digits
                    .trim_end_matches('0')
                    .trim_end_matches('.')
                    .to_owned()
            } else {
                digits
            }
        }
        _ => format!("{x:.3e}"),
    };
    format!(
        "[{}]",
        values.iter().map(value).collect::<Vec<_>>().join(", ")
    )
}

fn main() -> ExitCode {
    tell(program)
}

fn program(out: &mut dyn Write) -> Told {
    let cases: [(&str, &[f64], DType, f64); 8] = [
        ("f32 [1e25, 1e25, 1]", &[1e25, 1e25, 1.0], DType::F32, 1.0),
        ("f16 [300]", &[300.0], DType::F16, 1.0),
        ("f16 [600, 800]", &[600.0, 800.0], DType::F16, 1.0),
        ("f64 [1e200, 1e200]", &[1e200, 1e200], DType::F64, 1.0),
        (
            "f32 [3e-25, 4e-25], max 1e-25",
            &[3e-25, 4e-25],
            DType::F32,
            1e-25,
        ),
        (
            "f32 [3, 4], max 5 (= the norm)",
            &[3.0, 4.0],
            DType::F32,
            5.0,
        ),
        ("f32 [1, NaN]", &[1.0, f64::NAN], DType::F32, 0.5),
        ("f32 [1, inf]", &[1.0, f64::INFINITY], DType::F32, 0.5),
    ];
    writeln!(
        out,
        "| gradient (max 1 unless told) | by hand: norm | becomes | guard: norm | becomes | verdict |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    for (title, values, dtype, max) in cases {
        let var = Var::zeros(values.len(), dtype, &Device::Cpu)?;
        let fresh = || -> Result<GradStore> {
            let mut grads = GradStore::default();
            grads.insert(&var, Tensor::new(values, &Device::Cpu)?.to_dtype(dtype)?);
            Ok(grads)
        };
        let left = |grads: &GradStore| -> Result<String> {
            let grad = grads.get(&var).map_or_else(
                || Tensor::zeros(0, dtype, &Device::Cpu),
                |grad| Ok(grad.clone()),
            )?;
            Ok(show(&grad.to_dtype(DType::F64)?.to_vec1::<f64>()?))
        };
        let mut grads = fresh()?;
        let norm = by_hand(&mut grads, &var, max)?;
        let becomes = left(&grads)?;
        let mut grads = fresh()?;
        let mut guard = Guard::new().clip(clip::GlobalNorm::new(max)?);
        let report = guard.step(&mut CandleGrads::new(
            &mut grads,
            std::slice::from_ref(&var),
        ))?;
        writeln!(
            out,
            "| {title} | {} | {becomes} | {} | {} | {} |",
            show(&[norm]).trim_matches(['[', ']']),
            show(&[report.before()]).trim_matches(['[', ']']),
            left(&grads)?,
            report.verdict(),
        )?;
    }

    let long = Tensor::ones((1, 20_000_000), DType::F32, &Device::Cpu)?.affine(0.1, 0.0)?;
    let var = Var::from_tensor(&long)?;
    let exact = 20e6 * f64::from(0.1f32).powi(2);
    let candle = f64::from(var.sqr()?.sum_all()?.to_scalar::<f32>()?);
    let ours = f64::from(steadygrad_candle::l2(&[var], 2.0)?.to_scalar::<f32>()?);
    writeln!(
        out,
        "\nΣw² of 20 million f32 of 0.1: candle is off by {:.1e}, steadygrad_candle::l2 by {:.1e}",
        (candle / exact - 1.0).abs(),
        (ours / exact - 1.0).abs()
    )?;

    let zero = Var::zeros((1, 1), DType::F32, &Device::Cpu)?;
    let gradient = |penalty: Tensor| -> Result<f32> {
        let grads = penalty.backward()?;
        let grad = grads.get(&zero).context("expected a gradient")?;
        grad.sum_all()?.to_scalar()
    };
    writeln!(
        out,
        "gradient of |w| at w = 0: candle {:+}, steadygrad_candle::l1 {:+}",
        gradient(zero.abs()?.sum_all()?)?,
        gradient(steadygrad_candle::l1(std::slice::from_ref(&zero), 1.0)?)?
    )?;
    Ok(())
}
