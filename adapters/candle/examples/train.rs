//! A small classifier trained the way candle's MNIST example does, guarded: the three lines that
//! differ from the loop without a guard are numbered.
//!
//! ```text
//! cargo run --release -p steadygrad-candle --example train
//! ```

use std::io::Write;
use std::process::ExitCode;

use candle_core::{D, DType, Device, Tensor};
use candle_nn::{Linear, Module, Optimizer, SGD, VarBuilder, VarMap, loss, ops};
use steadygrad_candle::GuardedStep; // 1

#[path = "../../../examples/tell/mod.rs"]
mod tell;

use tell::{Told, tell};

const CLASSES: usize = 10;
const PIXELS: usize = 64;
const EPOCHS: usize = 20;
const BATCH: usize = 50;

struct Mlp {
    first: Linear,
    second: Linear,
}

impl Mlp {
    fn new(vs: &VarBuilder) -> candle_core::Result<Self> {
        let first = candle_nn::linear(PIXELS, 100, vs.pp("first"))?;
        let second = candle_nn::linear(100, CLASSES, vs.pp("second"))?;
        Ok(Self { first, second })
    }

    fn forward(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        self.second.forward(&self.first.forward(images)?.relu()?)
    }
}

/// Images that are a pattern of their class with noise, and the classes.
fn images(patterns: &Tensor, count: usize) -> candle_core::Result<(Tensor, Tensor)> {
    let labels: Vec<u32> = (0..count).map(|i| (i % CLASSES) as u32).collect();
    let labels = Tensor::new(labels, &Device::Cpu)?;
    let noise = Tensor::randn(0f32, 1.0, (count, PIXELS), &Device::Cpu)?;
    Ok(((patterns.index_select(&labels, 0)? + noise)?, labels))
}

fn main() -> ExitCode {
    tell(program)
}

fn program(out: &mut dyn Write) -> Told {
    let patterns = Tensor::randn(0f32, 1.0, (CLASSES, PIXELS), &Device::Cpu)?;
    let (train_images, train_labels) = images(&patterns, 2000)?;
    let (test_images, test_labels) = images(&patterns, 500)?;

    let varmap = VarMap::new();
    let vs = VarBuilder::from_varmap(&varmap, DType::F32, &Device::Cpu);
    let model = Mlp::new(&vs)?;
    let guard = steadygrad::Guard::new().clip(steadygrad::clip::GlobalNorm::new(1.0)?); // 2
    let mut sgd = SGD::new(varmap.all_vars(), 0.05)?.guarded(guard, &varmap); // 3, was without .guarded(..)
    for epoch in 1..=EPOCHS {
        let mut sum = 0.0;
        for batch in 0..train_images.dim(0)? / BATCH {
            let images = train_images.narrow(0, batch * BATCH, BATCH)?;
            let labels = train_labels.narrow(0, batch * BATCH, BATCH)?;
            let log_sm = ops::log_softmax(&model.forward(&images)?, D::Minus1)?;
            let loss = loss::nll(&log_sm, &labels)?;
            sgd.backward_step(&loss)?;
            sum += loss.to_scalar::<f32>()?;
        }
        let guesses = model.forward(&test_images)?.argmax(D::Minus1)?;
        let right = guesses
            .eq(&test_labels)?
            .to_dtype(DType::F32)?
            .mean_all()?
            .to_scalar::<f32>()?;
        writeln!(
            out,
            "{epoch:4} train loss {:8.5} test acc: {:5.2}%",
            sum / 40.0,
            100.0 * right
        )?;
    }
    writeln!(out, "{}", sgd.report())?;
    Ok(())
}
