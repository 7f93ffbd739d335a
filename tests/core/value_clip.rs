//! A clip by value reads, clamps and reads again block by block: what it says must be what two separate
//! reads say, wherever the odd element stands.

use crate::numbers::Random;
use approx::assert_relative_eq;
use steadygrad::{Edits, Measurement, TensorMut, clip};

/// More than two chunks of the kernel, and an end that fills no block.
const LEN: usize = 150_077;

fn check(grads: Vec<f64>, bound: f64) {
    let mut expected = grads.clone();
    let mut edits = Edits::for_count(1);
    edits.clamp(0, -bound, bound);
    expected.edit(&edits.get(0)).unwrap();
    let l2 = |xs: &Vec<f64>| Measurement::of(xs).unwrap().total().l2();
    let (before, after) = (l2(&grads), l2(&expected));
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
    assert_eq!(clipped.is_clipped(), changed);
    for (found, expected) in [(clipped.before(), before), (clipped.after(), after)] {
        if expected.is_nan() {
            assert!(found.is_nan());
        } else {
            assert_relative_eq!(found, expected, max_relative = 4.0 * f64::EPSILON);
        }
    }
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
    assert_relative_eq!(
        clipped.before(),
        1.044_030_650_891_055e-200,
        max_relative = 1e-14
    );
    assert_relative_eq!(clipped.after(), 3e-201, max_relative = 1e-12);
}
