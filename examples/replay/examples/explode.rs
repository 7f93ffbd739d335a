//! Trains a recurrent net whose rate is raised in mid-run until it explodes, and prints its log.
//!
//! ```text
//! cargo run -p replay --example explode
//! ```
//!
//! The net learns the adding problem (the sum of the two numbers of a sequence that are marked) by plain gradient descent
//! without clipping, well enough until its rate is too high. Then its loss grows until no number holds it, and the loop
//! goes on, as loops do. What it printed is `tests/data/exploded.csv`.

use std::error::Error;
use std::io::{self, Write};

use ndarray::{Array2, Array3};
use steadygrad::recurrent::loss::{Counted, squared_error};
use steadygrad::recurrent::{Init, Layer, ReadOut, Rnn};
use steadygrad::set::Two;
use steadygrad::{Measurement, set};

const TIME: usize = 20;
const BATCH: usize = 16;
const HIDDEN: usize = 16;
const STEPS: u32 = 760;
const RATE: f64 = 0.02;
/// From this step on the rate is raised by a hundredth at each.
const RAISED: u32 = 300;

fn main() -> Result<(), Box<dyn Error>> {
    print(&mut io::stdout().lock())
}

pub(crate) fn print(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let mut random = random();
    let rnn = Rnn::<f64>::builder(2, HIDDEN).w_rec(Init::Orthogonal);
    let read_out = ReadOut::builder(HIDDEN, 1);
    let mut net = Two(rnn.build(&mut random)?, read_out.build(&mut random)?);
    let mut rate = RATE;
    writeln!(out, "step,loss,grad_norm,weight_norm,rate")?;
    for step in 1..=STEPS {
        if step > RAISED {
            rate *= 1.01;
        }
        let (xs, targets) = batch(&mut random);
        let pass = net.0.forward(xs.view(), &net.0.zero_state(BATCH))?;
        let outputs = net.1.forward(pass.outputs())?;
        let last =
            Array2::from_shape_fn((TIME, BATCH), |(t, _)| f64::from(u8::from(t + 1 == TIME)));
        let counted = Counted::new(outputs.view()).weights(last.view())?;
        let (loss, d_outputs) = squared_error(counted, targets.view())?;
        let top = net.1.backward(pass.outputs(), d_outputs.view())?;
        let grads = Two(net.0.backward(&pass, top.d_inputs.view())?.grads, top.grads);
        let norms = [
            Measurement::of(&grads)?.total().l2(),
            Measurement::of(&net)?.total().l2(),
        ];
        writeln!(
            out,
            "{step},{loss:.5e},{:.5e},{:.5e},{rate:.5e}",
            norms[0], norms[1]
        )?;
        set::axpy(-rate, &grads, &mut net)?;
    }
    Ok(())
}

/// Numbers and their marks, two in each sequence; the target of the last step is the sum of the marked ones.
fn batch(random: &mut impl FnMut() -> f64) -> (Array3<f64>, Array3<f64>) {
    let mut xs = Array3::from_shape_fn((TIME, BATCH, 2), |(_, _, feature)| match feature {
        0 => random(),
        _ => 0.0,
    });
    let mut targets = Array3::zeros((TIME, BATCH, 1));
    for sequence in 0..BATCH {
        let half = TIME / 2;
        for begin in [0, half] {
            let marked = begin + (random() * half as f64) as usize;
            xs[[marked, sequence, 1]] = 1.0;
            targets[[TIME - 1, sequence, 0]] += xs[[marked, sequence, 0]];
        }
    }
    (xs, targets)
}

fn random() -> impl FnMut() -> f64 {
    let mut seed = 1_u64;
    move || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 11) as f64 / (1_u64 << 53) as f64
    }
}
