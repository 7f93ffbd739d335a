//! One read: every element type, in every cache, and inputs that need a second pass.
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use steadygrad::{Ask, Element, Tensor};

fn wave<E: Element>(len: usize, size: f64) -> Vec<E> {
    (0..len)
        .map(|i| E::narrow(size * (((i * 7919) % 10_007) as f64 / 5e3 - 1.0)))
        .collect()
}

fn one<E: Element>(c: &mut Criterion, name: &str, len: usize, size: f64) {
    let xs = wave::<E>(len, size);
    let mut group = c.benchmark_group(format!("measure/{name}"));
    group.throughput(Throughput::Bytes(size_of_val(&xs[..]) as u64));
    group.bench_with_input(BenchmarkId::from_parameter(len), &xs, |b, xs| {
        b.iter(|| black_box(xs).stats(&mut Ask::default()));
    });
    group.finish();
}

fn measure(c: &mut Criterion) {
    for len in [100, 10_000, 65_536, 1_300_000, 30_000_000] {
        one::<f32>(c, "f32", len, 1.0);
        one::<f64>(c, "f64", len, 1.0);
    }
    one::<f64>(c, "f64 rescaled", 1_300_000, 1e200);
    one::<f32>(c, "f32 all NaN", 1_300_000, f64::NAN);
    #[cfg(feature = "half")]
    {
        one::<half::f16>(c, "f16", 1_300_000, 1.0);
        one::<half::bf16>(c, "bf16", 1_300_000, 1.0);
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
    targets = measure
}
criterion_main!(benches);
