//! Penalties: the value, and the gradient added in the same pass.
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use steadygrad::penalty::{L1, L2, Penalty};

fn one(c: &mut Criterion, name: &str, penalty: &impl Penalty, len: usize) {
    let weights: Vec<f32> = (0..len)
        .map(|i| ((i * 7919) % 10_007) as f32 / 5e3 - 1.0)
        .collect();
    let mut grads = weights.clone();
    let mut group = c.benchmark_group(format!("penalty/{name}"));
    // The weights are read, the gradients read and written.
    group.throughput(Throughput::Bytes(3 * size_of_val(&weights[..]) as u64));
    group.bench_function(BenchmarkId::from_parameter(len), |b| {
        b.iter(|| penalty.apply(black_box(&weights), black_box(&mut grads)));
    });
    group.finish();
}

fn penalties(c: &mut Criterion) {
    for len in [10_000, 1_300_000, 30_000_000] {
        one(c, "L2", &L2::new(1e-9).expect("a strength"), len);
        one(c, "L1", &L1::new(1e-9).expect("a strength"), len);
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
    targets = penalties
}
criterion_main!(benches);
