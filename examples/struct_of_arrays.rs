//! Gradients in a struct: one line makes it a set of named tensors, and the names reach the report.

use std::io::Write;
use std::process::ExitCode;

use ndarray::{Array1, Array2, array};
use steadygrad::{Guard, OnNonFinite, clip, detect, tensor_set};
use tell::{Told, tell};

mod tell;

struct Layer {
    w: Array2<f32>,
    b: Array1<f32>,
}
tensor_set!(Layer { w, b });

/// Sets nest, and names are joined with a dot.
struct Model {
    layers: Vec<Layer>,
    scale: [f64; 1],
}
tensor_set!(Model { layers, scale });

fn main() -> ExitCode {
    tell(program)
}

fn program(out: &mut dyn Write) -> Told {
    let mut grads = Model {
        layers: vec![
            Layer {
                w: array![[3.0, 0.0], [0.0, 4.0]],
                b: array![0.0, 0.0],
            },
            Layer {
                w: array![[12.0], [0.0]],
                b: array![0.0],
            },
        ],
        scale: [84.0],
    };
    let mut guard = Guard::new()
        .detect(detect::NormThreshold::new(50.0)?.per_tensor())
        .clip(clip::TensorNorm::new(8.5)?)
        .clip(clip::GlobalNorm::new(6.5)?)
        .on_non_finite(OnNonFinite::ZeroTensor);

    let report = guard.step(&mut grads)?;
    writeln!(out, "{report}")?;
    for tensor in report.tensors() {
        let after = tensor.after.map_or(f64::NAN, |stats| stats.l2());
        writeln!(
            out,
            "  {:12} {:7.4} -> {after:.4}",
            tensor.name,
            tensor.before.l2()
        )?;
    }

    grads.layers[1].w[[1, 0]] = f32::INFINITY;
    writeln!(out, "{}", guard.step(&mut grads)?)?;
    writeln!(out, "layers.1.w is now {}", grads.layers[1].w)?;
    Ok(())
}
