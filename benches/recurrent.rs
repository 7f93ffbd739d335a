//! Recurrent cells, forwards, backwards and both; the rate is that of the operations of their products.
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array3;
use steadygrad::recurrent::{Backward, Gru, Layer, Lstm, Rnn, Upstream};

/// Numbers uniform in [0, 1).
fn uniform() -> impl FnMut() -> f64 {
    let mut state = 1_u64;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn array(dim: (usize, usize, usize)) -> Array3<f32> {
    let mut draw = uniform();
    Array3::from_shape_simple_fn(dim, || (2.0 * draw() - 1.0) as f32)
}

fn forward<L: Layer<Elem = f32>>(layer: &L, xs: &Array3<f32>, pass: &mut Option<L::Pass>) {
    let state = layer.zero_state(xs.dim().1);
    layer
        .forward_into(black_box(xs).view(), &state, pass)
        .expect("a forward pass");
}

fn backward<L: Layer<Elem = f32>>(
    layer: &L,
    pass: Option<&L::Pass>,
    d_outputs: &Array3<f32>,
    back: &mut Option<Backward<L>>,
) {
    let pass = pass.expect("a forward pass before it");
    let d = Upstream::outputs(black_box(d_outputs).view());
    layer
        .backward_into(pass, d, None, back)
        .expect("a backward pass");
}

/// How long, how many, how wide.
#[derive(Clone, Copy)]
struct Size {
    time: usize,
    batch: usize,
    inputs: usize,
    hidden: usize,
}

/// A cell that has `gates` rows of weights for each hidden unit.
fn cell<L: Layer<Elem = f32>>(
    c: &mut Criterion,
    name: &str,
    gates: usize,
    size: Size,
    layer: steadygrad::Result<L>,
) {
    let Size {
        time,
        batch,
        inputs,
        hidden,
    } = size;
    let layer = layer.expect("a cell");
    // `cargo bench -- --test` only asks whether they run.
    let is_test = std::env::args().any(|word| word == "--test");
    let steps = if is_test { 2 } else { time };
    let (xs, d_outputs) = (array((steps, batch, inputs)), array((steps, batch, hidden)));
    let flops = (2 * steps * batch * gates * hidden * (inputs + hidden)) as u64;
    let (mut pass, mut back) = (None, None);

    let title = format!("recurrent/{name}, T{time} B{batch} I{inputs} H{hidden}");
    let mut group = c.benchmark_group(title);
    group.throughput(Throughput::Elements(flops));
    group.bench_function("forward", |b| b.iter(|| forward(&layer, &xs, &mut pass)));
    // If only what follows was asked for, there has been none.
    forward(&layer, &xs, &mut pass);
    group.throughput(Throughput::Elements(2 * flops));
    group.bench_function("backward", |b| {
        b.iter(|| backward(&layer, pass.as_ref(), &d_outputs, &mut back));
    });
    group.throughput(Throughput::Elements(3 * flops));
    group.bench_function("both", |b| {
        b.iter(|| {
            forward(&layer, &xs, &mut pass);
            backward(&layer, pass.as_ref(), &d_outputs, &mut back);
        });
    });
    group.finish();
}

fn cells(c: &mut Criterion) {
    for (time, batch, inputs, hidden) in [
        (100, 32, 64, 128),
        (35, 20, 650, 650),
        (200, 1, 2, 50),
        (1000, 16, 32, 256),
    ] {
        let size = Size {
            time,
            batch,
            inputs,
            hidden,
        };
        let draw = &mut uniform();
        cell(c, "Rnn", 1, size, Rnn::builder(inputs, hidden).build(draw));
        cell(
            c,
            "Lstm",
            4,
            size,
            Lstm::builder(inputs, hidden).build(draw),
        );
        cell(c, "Gru", 3, size, Gru::builder(inputs, hidden).build(draw));
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
    targets = cells
}
criterion_main!(benches);
