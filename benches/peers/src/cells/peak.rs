//! How many multiplications and additions the processor can do at all.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use pulp::{Arch, Simd, WithSimd};

/// Fused multiply-adds that depend on none of the others: more than the processor has under way at a time, and few
/// enough for the 16 registers of AVX2.
const CHAINS: usize = 12;

struct MultiplyAdd {
    rounds: usize,
}

impl WithSimd for MultiplyAdd {
    /// The operations done.
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        // They stay near 1, so that nothing becomes subnormal.
        let factor = simd.splat_f32s(black_box(0.75));
        let term = simd.splat_f32s(black_box(0.25));
        let mut sums = [simd.splat_f32s(black_box(1.0)); CHAINS];
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = simd.mul_add_f32s(*sum, factor, term);
            }
        }
        for sum in sums {
            black_box(simd.reduce_sum_f32s(sum));
        }
        (2 * CHAINS * S::F32_LANES * self.rounds) as f64
    }
}

/// Operations a nanosecond, of all threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peak {
    /// With the widest registers.
    pub(crate) widest: f64,
    /// With those of 256 bits; NaN where there are none.
    pub(crate) avx2: f64,
}

impl Peak {
    pub(crate) fn measure(threads: usize) -> Self {
        Self {
            widest: best(threads, |rounds| {
                Arch::new().dispatch(MultiplyAdd { rounds })
            }),
            avx2: best(threads, on_avx2),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn on_avx2(rounds: usize) -> f64 {
    match pulp::x86::V3::try_new() {
        Some(simd) => Simd::vectorize(simd, MultiplyAdd { rounds }),
        None => f64::NAN,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn on_avx2(_rounds: usize) -> f64 {
    f64::NAN
}

/// The best of a few short runs.
fn best(threads: usize, run: impl Fn(usize) -> f64 + Sync) -> f64 {
    const ROUNDS: usize = 500_000;
    (0..5)
        .map(|_| {
            let (start, end) = (Barrier::new(threads), Barrier::new(threads));
            let work = || {
                start.wait();
                let now = Instant::now();
                let operations = black_box(run(black_box(ROUNDS)));
                end.wait();
                operations * threads as f64 / now.elapsed().as_secs_f64() / 1e9
            };
            std::thread::scope(|scope| {
                for _ in 1..threads {
                    scope.spawn(work);
                }
                work()
            })
        })
        .fold(f64::NAN, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_counted() {
        // A multiplication and an addition in each lane of each chain.
        let done = Arch::new().dispatch(MultiplyAdd { rounds: 3 });
        let lanes = done / (2 * CHAINS * 3) as f64;
        assert!([1.0, 2.0, 4.0, 8.0, 16.0].contains(&lanes), "{lanes}");
    }
}
