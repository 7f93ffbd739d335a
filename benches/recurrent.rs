//! Recurrent cells, forwards, backwards and both; the rate is that of the operations of their products.
#![allow(missing_docs)]

use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array3;
use steadygrad::recurrent::{Backward, Layer, Lstm, Rnn, Upstream};

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
    let onwards = &mut |_, _: L::At<'_>| Ok(ControlFlow::Continue(()));
    layer
        .backward_into(pass, d, onwards, back)
        .expect("a backward pass");
}

/// `flops` are those of a forward pass.
fn one<L: Layer<Elem = f32>>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    layer: &L,
    xs: &Array3<f32>,
    d_outputs: &Array3<f32>,
    flops: usize,
) {
    let (mut pass, mut back) = (None, None);
    group.throughput(Throughput::Elements(flops as u64));
    group.bench_function("forward", |b| b.iter(|| forward(layer, xs, &mut pass)));
    // With a filter of names, the forward pass has not run yet.
    forward(layer, xs, &mut pass);
    group.throughput(Throughput::Elements(2 * flops as u64));
    group.bench_function("backward", |b| {
        b.iter(|| backward(layer, pass.as_ref(), d_outputs, &mut back));
    });
    group.throughput(Throughput::Elements(3 * flops as u64));
    group.bench_function("both", |b| {
        b.iter(|| {
            forward(layer, xs, &mut pass);
            backward(layer, pass.as_ref(), d_outputs, &mut back);
        });
    });
}

fn cells(c: &mut Criterion) {
    // `cargo bench -- --test` only asks whether they run.
    let is_test = std::env::args().any(|word| word == "--test");
    for (time, batch, inputs, hidden) in [
        (100, 32, 64, 128),
        (35, 20, 650, 650),
        (200, 1, 2, 50),
        (1000, 16, 32, 256),
    ] {
        let steps = if is_test { 2 } else { time };
        let xs = array((steps, batch, inputs));
        let d_outputs = array((steps, batch, hidden));
        let flops = |gates| 2 * steps * batch * gates * hidden * (inputs + hidden);
        let group = |name| format!("recurrent/{name}, T{time} B{batch} I{inputs} H{hidden}");

        let rnn = Rnn::builder(inputs, hidden).build(&mut uniform());
        let rnn = rnn.expect("a cell");
        let mut rnns = c.benchmark_group(group("Rnn"));
        one(&mut rnns, &rnn, &xs, &d_outputs, flops(1));
        rnns.finish();

        let lstm = Lstm::builder(inputs, hidden).build(&mut uniform());
        let lstm = lstm.expect("a cell");
        let mut lstms = c.benchmark_group(group("Lstm"));
        one(&mut lstms, &lstm, &xs, &d_outputs, flops(4));
        lstms.finish();
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
