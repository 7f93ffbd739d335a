//! Many arguments, and the worst of them.

use std::ops::Range;

use steadygrad::recurrent::{self, Real};

use crate::double::{Double, Exact, F32, F64, Format, Function, Reference};
use crate::exact;

/// Arguments worked on together: what one call is given.
const BLOCK: usize = 4096;

/// The worst arguments that are kept, to be decided by many digits.
const KEPT: usize = 1000;

/// An argument and what is wrong with the value there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) x: f64,
    pub(crate) found: f64,
    pub(crate) ulps: f64,
}

/// What many arguments came to.
#[derive(Debug, Default)]
pub(crate) struct Worst {
    pub(crate) cases: Vec<Case>,
    pub(crate) arguments: u64,
    /// Of which the value is not the nearest number.
    pub(crate) not_nearest: u64,
    /// The largest value, to be held to its bound.
    pub(crate) largest: f64,
}

impl Worst {
    fn see(&mut self, case: Case) {
        self.arguments += 1;
        self.not_nearest += u64::from(case.ulps > 0.5);
        self.largest = self.largest.max(case.found.abs());
        if self.cases.len() < KEPT || case.ulps > self.cases[KEPT - 1].ulps {
            self.cases.push(case);
            if self.cases.len() >= 2 * KEPT {
                self.sort();
            }
        }
    }

    /// The worst first, and of equals the one that came first.
    fn sort(&mut self) {
        self.cases.sort_by(|a, b| b.ulps.total_cmp(&a.ulps));
        self.cases.truncate(KEPT);
    }

    /// Both, as one after the other.
    pub(crate) fn merge(&mut self, other: Self) {
        self.arguments += other.arguments;
        self.not_nearest += other.not_nearest;
        self.largest = self.largest.max(other.largest);
        self.cases.extend(other.cases);
        self.sort();
    }

    /// The worst by many digits, and how far the reference was from them.
    pub(crate) fn decide(&mut self, function: Function, format: Format) -> f64 {
        let (reference, mut apart) = (Reference::new(), 0.0_f64);
        for case in &mut self.cases {
            let about = reference.of(function, case.x);
            let ulps = exact::ulps(function, case.x, case.found, &about, format);
            apart = apart.max((ulps - case.ulps).abs());
            case.ulps = ulps;
        }
        self.sort();
        apart
    }
}

/// In place, by the public functions, which choose the processor's code.
fn apply<A: Real>(function: Function, xs: &mut [A]) {
    match function {
        Function::Exp => recurrent::exp(xs),
        Function::Tanh => recurrent::tanh(xs),
        Function::Sigmoid => recurrent::sigmoid(xs),
    }
}

/// `of` makes blocks of arguments from their numbers; infinities and NaN are left out. `near` is the reference.
fn blocks<A: Real>(
    function: Function,
    format: Format,
    numbers: Range<u64>,
    mut argument: impl FnMut(u64) -> A,
    near: impl Fn(f64) -> Exact,
) -> Worst {
    let mut worst = Worst::default();
    let (mut xs, mut ys) = (Vec::with_capacity(BLOCK), Vec::with_capacity(BLOCK));
    let mut start = numbers.start;
    while start < numbers.end {
        let end = numbers.end.min(start + BLOCK as u64);
        xs.clear();
        xs.extend((start..end).map(&mut argument).filter(|x| x.is_finite()));
        ys.clear();
        ys.extend_from_slice(&xs);
        apply(function, &mut ys);
        for (x, y) in xs.iter().zip(&ys) {
            let (x, found) = (x.widen(), y.widen());
            let ulps = near(x).ulps(found, format);
            // A NaN where none belongs is the worst there is.
            let ulps = if ulps.is_nan() { f64::INFINITY } else { ulps };
            worst.see(Case { x, found, ulps });
        }
        start = end;
    }
    worst.sort();
    worst
}

/// Every `stride`-th f32 by its bits, of those whose numbers are given. The standard library's functions of f64 are
/// exact enough to find the worst: their own errors are below 2^−26 units in the last place of an f32.
pub(crate) fn singles(function: Function, stride: u64, numbers: Range<u64>) -> Worst {
    let near = |x: f64| {
        let e = (-x.abs()).exp();
        let value = match function {
            Function::Exp => x.exp(),
            Function::Tanh => x.tanh(),
            Function::Sigmoid if x < 0.0 => e / (1.0 + e),
            Function::Sigmoid => 1.0 / (1.0 + e),
        };
        Exact::new(Double(value.min(1e300), 0.0), 0)
    };
    let argument = |number: u64| f32::from_bits((number * stride) as u32);
    blocks(function, F32, numbers, argument, near)
}

/// Random f64 of five kinds in turn, drawn anew from each block's number.
pub(crate) fn doubles(function: Function, numbers: Range<u64>) -> Worst {
    let reference = Reference::new();
    // Where the function changes at all, and the arguments that lie between two reductions.
    let (range, halfway) = match function {
        Function::Exp => (-746.0..710.0, 0.5_f64),
        Function::Tanh => (-20.0..20.0, 0.25),
        Function::Sigmoid => (-746.0..40.0, 0.5),
    };
    let argument = |number: u64| {
        let mut state = number.wrapping_mul(4) ^ ((function as u64) << 60);
        let bits = random(&mut state);
        let uniform = unit(random(&mut state));
        let sign = if bits & 1 == 0 { 1.0 } else { -1.0 };
        match number % 5 {
            0 => range.start + (range.end - range.start) * uniform,
            1 => sign * uniform,
            // Of sizes from 2^−60 to 2^10.
            2 => sign * (70.0 * unit(bits) - 60.0).exp2() * (1.0 + uniform),
            3 => f64::from_bits(bits),
            // A little beside an odd multiple of half of ln 2, where n changes.
            _ => {
                let n = (bits % 2200) as f64 - 1080.0;
                (2.0 * n + 1.0) * halfway * std::f64::consts::LN_2 * (1.0 + (uniform - 0.5) * 1e-9)
            }
        }
    };
    blocks(function, F64, numbers, argument, |x| {
        reference.of(function, x)
    })
}

/// In [0, 1).
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// `SplitMix64`.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
