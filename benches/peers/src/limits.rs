//! The machine's limits: plain passes over one buffer for each thread.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use multiversion::multiversion;

use crate::child::{Peer, median};
use crate::facts::Fact;
use crate::sets::{Role, Set, filled};
use crate::work::Work;

/// Passes over a buffer of the set's size, split evenly over the threads.
#[derive(Debug)]
pub(crate) struct Limits {
    threads: usize,
    buffers: Vec<Vec<f32>>,
}

impl Limits {
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            threads,
            buffers: Vec::new(),
        }
    }

    /// Milliseconds of one pass of all threads, from many in a row: a limit has no start-up cost.
    fn pass(&mut self, pass: fn(&mut [f32]) -> f32) -> f64 {
        const MS: f64 = 4.0;
        let bytes: usize = self.buffers.iter().map(|buffer| 4 * buffer.len()).sum();
        let passes = ((MS * 50e6 / bytes as f64) as usize).max(1);
        let (start, end) = (Barrier::new(self.threads), Barrier::new(self.threads));
        let work = |buffer: &mut [f32]| {
            start.wait();
            let now = Instant::now();
            for _ in 0..passes {
                std::hint::black_box(pass(std::hint::black_box(&mut *buffer)));
            }
            end.wait();
            now.elapsed().as_secs_f64() * 1e3 / passes as f64
        };
        let (first, rest) = self.buffers.split_first_mut().expect("a loaded set");
        std::thread::scope(|scope| {
            for buffer in rest {
                let work = &work;
                scope.spawn(move || work(buffer));
            }
            work(first)
        })
    }
}

impl Peer for Limits {
    fn about(&self) -> String {
        "limits".to_owned()
    }

    fn load(&mut self, set: &Set) {
        self.buffers.clear();
        let len = set.elements() / self.threads;
        self.buffers = (0..self.threads)
            .map(|index| filled(len, Role::Gradient, index))
            .collect();
    }

    fn refill(&mut self) {}

    fn loaded_norm(&self) -> f64 {
        1.0
    }

    fn run(&mut self, _work: Work, _bound: f64) -> Option<f64> {
        None
    }

    fn time(&mut self, work: Work, budget: Duration) -> Option<(f64, f64)> {
        let pass = match work {
            Work::Read => |x: &mut [f32]| sum(x),
            Work::Rewrite => |x: &mut [f32]| negate(x),
            Work::SumOfSquares => |x: &mut [f32]| sum_of_squares(x),
            _ => return None,
        };
        let start = Instant::now();
        let mut samples = Vec::new();
        while samples.len() < 3 || start.elapsed() < budget {
            samples.push(self.pass(pass));
        }
        Some((median(&mut samples), 0.0))
    }

    fn fact(&mut self, _fact: &Fact) -> String {
        String::new()
    }
}

const LANES: usize = 64;

#[inline(always)]
fn in_lanes(values: &[f32], step: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (blocks, rest) = values.as_chunks::<LANES>();
    for block in blocks {
        for (lane, &x) in lanes.iter_mut().zip(block) {
            *lane = step(*lane, x);
        }
    }
    rest.iter().fold(lanes.iter().sum(), |sum, &x| step(sum, x))
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2", "aarch64+neon"))]
fn sum(values: &[f32]) -> f32 {
    in_lanes(values, |sum, x| sum + x)
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2", "aarch64+neon"))]
fn sum_of_squares(values: &[f32]) -> f32 {
    in_lanes(values, |sum, x| sum + x * x)
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2", "aarch64+neon"))]
fn negate(values: &mut [f32]) -> f32 {
    for x in &mut *values {
        *x *= -1.0;
    }
    values[0]
}
