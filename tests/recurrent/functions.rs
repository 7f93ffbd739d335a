//! e^x, tanh x and 1/(1 + e^−x) over slices. `tests/ulp` measures them over every `f32`.

use steadygrad::recurrent::{self, Activation, Real};

use crate::common::uniform;
use crate::double::{F32, F64, Format, Function, Reference};

/// What the documentation promises, in units in the last place.
const BOUNDS: [(Function, f64); 3] = [
    (Function::Exp, 0.8),
    (Function::Tanh, 1.35),
    (Function::Sigmoid, 1.15),
];

fn apply<A: Real>(function: Function, xs: &mut [A]) {
    match function {
        Function::Exp => recurrent::exp(xs),
        Function::Tanh => recurrent::tanh(xs),
        Function::Sigmoid => recurrent::sigmoid(xs),
    }
}

/// The worst of the arguments is within the bound, and no value is past 1 that may not be.
fn within<A: Real>(function: Function, bound: f64, format: Format, xs: &[A]) {
    let reference = Reference::new();
    let mut ys = xs.to_vec();
    apply(function, &mut ys);
    for (x, y) in xs.iter().zip(&ys).filter(|(x, _)| x.is_finite()) {
        let (x, y) = (x.widen(), y.widen());
        let ulps = reference.of(function, x).ulps(y, format);
        assert!(ulps <= bound, "{function:?} at {x:e} is {y:e}: {ulps} off");
        assert!(
            function == Function::Exp || y.abs() <= 1.0,
            "{function:?} at {x:e} is {y:e}"
        );
    }
}

#[test]
fn every_997th_f32() {
    let xs: Vec<f32> = (0..=u32::MAX).step_by(997).map(f32::from_bits).collect();
    for (function, bound) in BOUNDS {
        within(function, bound, F32, &xs);
    }
}

#[test]
fn many_f64() {
    let mut draw = uniform(12);
    // Uniform where values change, at two scales, and of all sizes down to 2^−60.
    let xs: Vec<f64> = (0..100_000)
        .map(|i| match i % 4 {
            0 => 1460.0 * draw() - 750.0,
            1 => 40.0 * draw() - 20.0,
            2 => 2.0 * draw() - 1.0,
            _ => (2.0 * draw() - 1.0) * (-60.0 * draw()).exp2(),
        })
        .collect();
    for (function, bound) in BOUNDS {
        within(function, bound, F64, &xs);
    }
}

/// Arguments over the whole range, with the ends of it among them.
fn arguments<A: Real>() -> Vec<A> {
    let mut draw = uniform(3);
    let ends = [
        A::zero(),
        A::infinity(),
        A::nan(),
        A::max_value(),
        A::min_positive_value(),
    ];
    let mut xs: Vec<A> = ends.into_iter().flat_map(|x| [x, -x]).collect();
    xs.extend((0..190).map(|i| A::narrow((draw() - 0.5) * 2_f64.powi(i % 20 - 8))));
    xs
}

fn bits<A: Real>(xs: &[A]) -> Vec<u64> {
    // Which NaN comes of a NaN is the processor's own.
    let bits = |x: &A| {
        if x.is_nan() {
            u64::MAX
        } else {
            x.widen().to_bits()
        }
    };
    xs.iter().map(bits).collect()
}

fn alone_or_together<A: Real>() {
    let xs = arguments::<A>();
    for (function, _) in BOUNDS {
        let mut alone = xs.clone();
        alone.chunks_mut(1).for_each(|x| apply(function, x));
        for start in 0..33 {
            for end in (start..start + 70).chain([xs.len()]) {
                let mut ys = xs.clone();
                apply(function, &mut ys[start..end]);
                let expected = [&xs[..start], &alone[start..end], &xs[end..]].concat();
                assert_eq!(bits(&ys), bits(&expected), "{function:?} of {start}..{end}");
            }
        }
    }
}

/// Whatever vectors the processor has: an element has the same bits wherever it stands.
#[test]
fn an_element_alone_or_in_a_slice_is_the_same() {
    alone_or_together::<f32>();
    alone_or_together::<f64>();
}

fn odd<A: Real>() {
    let mut xs = arguments::<A>();
    let mut negated: Vec<A> = xs.iter().map(|&x| -x).collect();
    recurrent::tanh(&mut xs);
    recurrent::tanh(&mut negated);
    xs.iter_mut().for_each(|x| *x = -*x);
    assert_eq!(bits(&xs), bits(&negated));
}

#[test]
fn tanh_is_odd_to_the_bit() {
    odd::<f32>();
    odd::<f64>();
}

fn activations<A: Real>() {
    for (activation, function) in [
        (Activation::Tanh, Function::Tanh),
        (Activation::Sigmoid, Function::Sigmoid),
    ] {
        let mut xs = arguments::<A>();
        let each: Vec<A> = xs.iter().map(|&x| activation.apply(x)).collect();
        apply(function, &mut xs);
        assert_eq!(bits(&xs), bits(&each), "{activation:?}");
    }
}

#[test]
fn activations_are_the_same_functions() {
    activations::<f32>();
    activations::<f64>();
}
