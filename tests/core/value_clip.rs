//! A clip by value looks, counts and clamps block by block: what it says must be what a plain walk says,
//! wherever the odd element stands.

use crate::numbers::Random;
use steadygrad::{Clamped, Edits, Tell, TensorMut, clip};

/// More than two chunks of the kernel, and an end that fills no block.
const LEN: usize = 150_077;

fn check(grads: Vec<f64>, bound: f64) {
    let mut expected = grads.clone();
    let mut edits = Edits::for_count(1);
    edits.clamp(0, -bound, bound);
    expected.edit(&edits.get(0), Tell::nothing()).unwrap();
    let count = |f: &dyn Fn(&f64) -> bool| grads.iter().filter(|x| f(x)).count() as u64;
    let counts = Clamped::of(
        LEN as u64,
        count(&|x| x.abs() > bound),
        count(&|x| x.is_nan()),
        count(&|x| x.is_infinite()),
    );
    let changed = grads
        .iter()
        .zip(&expected)
        .any(|(a, b)| a.to_bits() != b.to_bits());

    let mut found = grads;
    let clipped = clip::value(&mut found, bound).unwrap();
    assert!(
        found
            .iter()
            .zip(&expected)
            .all(|(a, b)| a.to_bits() == b.to_bits())
    );
    assert_eq!(clipped, counts);
    assert_eq!(clipped.is_clipped(), changed);
}

#[test]
fn wherever_the_odd_element_stands() {
    let mut random = Random(11);
    let calm: Vec<f64> = (0..LEN).map(|_| random.unit() * 0.5).collect();
    check(calm.clone(), 0.5);
    check(calm.clone(), 0.1);
    for odd in [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        1e300,
        -1e200,
        0.0,
    ] {
        for at in [0, 1, 2047, 2048, 65_535, 65_536, 70_000, LEN - 1] {
            let mut grads = calm.clone();
            grads[at] = odd;
            check(grads, 0.1);
        }
    }
}

#[test]
fn over_the_whole_range() {
    let mut random = Random(12);
    let calm: Vec<f64> = (0..LEN).map(|_| random.unit() * 0.5).collect();
    for scale in [1e-320, 1e-300, 1e-160, 1e160, 1e300] {
        let grads: Vec<f64> = calm.iter().map(|x| x * scale).collect();
        check(grads.clone(), 0.2 * scale);
        check(grads, 2.0 * scale);
    }
    // The lower bound bites on what is too small to be squared, the upper one on nothing.
    let mut grads = vec![-1e-200, 1e-210, 3e-201];
    let clipped = clip::Value::between(-1e-300, 1.0)
        .unwrap()
        .apply(&mut grads)
        .unwrap();
    assert_eq!(grads, [-1e-300, 1e-210, 3e-201]);
    assert_eq!(clipped, Clamped::of(3, 1, 0, 0));
}
