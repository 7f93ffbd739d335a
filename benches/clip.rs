//! Clips, needed and not needed, of a few large tensors and of many small ones.
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use steadygrad::{Guard, clip};

/// `count` tensors of `len` elements each.
fn set(count: usize, len: usize) -> Vec<Vec<f32>> {
    (0..count)
        .map(|t| {
            (0..len)
                .map(|i| ((i * 7919 + t) % 10_007) as f32 / 5e3 - 1.0)
                .collect()
        })
        .collect()
}

fn clips(c: &mut Criterion) {
    for (name, count, len) in [
        ("tiny", 8, 1_250),
        ("lstm", 8, 162_500),
        ("many", 10_000, 100),
        ("large", 4, 8_000_000),
    ] {
        let mut group = c.benchmark_group(format!("clip/{name}"));
        let mut grads = set(count, len);
        group.bench_function("global norm, not needed", |b| {
            b.iter(|| clip::global_norm(black_box(&mut grads), 1e9));
        });
        let mut guard = Guard::new().clip(clip::GlobalNorm::new(1e9).expect("a bound"));
        group.bench_function("guard, not needed", |b| {
            b.iter(|| {
                guard
                    .step(black_box(&mut grads))
                    .map(|report| report.verdict())
            });
        });
        // One large element keeps the clip needed, whatever came before.
        let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0).expect("a bound"));
        group.bench_function("guard, needed", |b| {
            b.iter(|| {
                grads[0][0] = 3.0;
                guard
                    .step(black_box(&mut grads))
                    .map(|report| report.verdict())
            });
        });
        let mut grads = set(count, len);
        group.bench_function("global norm, needed", |b| {
            b.iter(|| {
                grads[0][0] = 3.0;
                clip::global_norm(black_box(&mut grads), 1.0)
            });
        });
        let mut grads = set(count, len);
        group.bench_function("value, needed", |b| {
            b.iter(|| {
                grads[0][0] = 3.0;
                clip::value(black_box(&mut grads), 0.5)
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
    targets = clips
}
criterion_main!(benches);
