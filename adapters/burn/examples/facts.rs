//! What burn's own gradient clipping does when gradients explode, beside steadygrad.
//!
//! `cargo run --release -p steadygrad-burn --example facts`

use std::io::Write;
use std::process::ExitCode;

use burn::grad_clipping::GradientClippingConfig;
use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Element, Tensor, TensorData, f16};
use steadygrad::clip;
use steadygrad_burn::BurnGrads;

#[path = "../../../examples/tell/mod.rs"]
mod tell;

use tell::{Told, tell};

#[derive(Module, Debug)]
struct Two {
    a: Param<Tensor<1>>,
    b: Param<Tensor<1>>,
}

fn tensor<E: Element>(values: &[E]) -> Tensor<1> {
    let data = TensorData::new(values.to_vec(), [values.len()]);
    Tensor::from_data(data, (&Device::flex(), E::dtype()))
}

fn short(tensor: Tensor<1>) -> String {
    let values: Vec<f64> = tensor.into_data().iter::<f64>().collect();
    let plain = |x: &f64| *x == 0.0 || (1e-3..1e4).contains(&x.abs()) || !x.is_finite();
    let show = |x: &f64| {
        if plain(x) {
            format!("{x:.5}")
        } else {
            format!("{x:.5e}")
        }
    };
    format!(
        "[{}]",
        values.iter().map(show).collect::<Vec<_>>().join(", ")
    )
}

/// The gradients `a` and `b` clipped to `max` by either.
fn row(out: &mut dyn Write, what: &str, a: &Tensor<1>, b: &Tensor<1>, max: f32) -> Told {
    let burns = GradientClippingConfig::Norm(max).init();
    let [x, y] = [a, b].map(|grad| short(burns.clip_gradient(grad.clone())));
    let burns = format!("{x} {y}");

    let model = Two {
        a: Param::from_tensor(a.zeros_like()),
        b: Param::from_tensor(b.zeros_like()),
    };
    let mut grads = GradientsParams::new();
    grads.register(model.a.id, a.clone());
    grads.register(model.b.id, b.clone());
    let clipped = clip::global_norm(&mut BurnGrads::new(&mut grads, &model), f64::from(max));
    let ours = match clipped {
        Ok(clipped) => {
            let [x, y] = [model.a.id, model.b.id]
                .map(|id| grads.remove::<1>(id).map_or(String::new(), short));
            format!("{x} {y}   ({clipped})")
        }
        Err(error) => format!("error, untouched: {error}"),
    };
    writeln!(
        out,
        "{what}, max {max:?}\n    burn        {burns}\n    steadygrad  {ours}"
    )?;
    Ok(())
}

fn main() -> ExitCode {
    tell(program)
}

fn program(out: &mut dyn Write) -> Told {
    writeln!(
        out,
        "Gradients of two parameters; burn's GradientClipping::Norm takes each by itself.\n"
    )?;
    row(
        out,
        "f32 [3] [4]",
        &tensor(&[3.0_f32]),
        &tensor(&[4.0_f32]),
        1.0,
    )?;
    let small = tensor(&[0.0_f32]);
    row(
        out,
        "f32 [1e25, 1e25, 1] [0]",
        &tensor(&[1e25_f32, 1e25, 1.0]),
        &small,
        1.0,
    )?;
    row(out, "f32 [3e38] [0]", &tensor(&[3e38_f32]), &small, 1.0)?;
    row(
        out,
        "f32 [1e-25, 1e-25] [0]",
        &tensor(&[1e-25_f32, 1e-25]),
        &small,
        1e-26,
    )?;
    row(
        out,
        "f32 [1, NaN, 2] [0.5]",
        &tensor(&[1.0, f32::NAN, 2.0]),
        &tensor(&[0.5_f32]),
        1.0,
    )?;
    row(
        out,
        "f32 [1, inf, 2] [0.5]",
        &tensor(&[1.0, f32::INFINITY, 2.0]),
        &tensor(&[0.5_f32]),
        1.0,
    )?;
    let half = |x: f32| f16::from_f32(x);
    row(
        out,
        "f16 [300] [0]",
        &tensor(&[half(300.0)]),
        &tensor(&[half(0.0)]),
        1.0,
    )?;
    let wide = tensor(&[1e200_f64, 1e200]);
    assert_eq!(wide.dtype(), DType::F64);
    row(
        out,
        "f64 [1e200, 1e200] [0]",
        &wide,
        &tensor(&[0.0_f64]),
        1.0,
    )?;
    row(
        out,
        "f32 [3] [4]",
        &tensor(&[3.0_f32]),
        &tensor(&[4.0_f32]),
        -1.0,
    )
}
