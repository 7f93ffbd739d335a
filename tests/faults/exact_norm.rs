//! Kind 4: a bound of exactly the norm changes nothing.

use steadygrad::clip::Clipper;
use steadygrad::{
    Guard, Norm, TensorSetMut, Verdict,
    clip::{GlobalNorm, TensorNorm},
};

use crate::random::{Random, Watch};

/// A clip to `max` leaves every bit, and a detector at `max` says nothing.
fn untouched<G: TensorSetMut + Clone + PartialEq + std::fmt::Debug>(
    grads: &G,
    norm: Norm,
    max: f64,
) {
    let mut clipped = grads.clone();
    let said = GlobalNorm::new(max)
        .unwrap()
        .norm(norm)
        .unwrap()
        .apply(&mut clipped)
        .unwrap();
    assert!(!said.is_clipped(), "{grads:?} by {norm:?} to {max:e}");
    assert_eq!(clipped, *grads, "{grads:?} by {norm:?} to {max:e}");
    let said = TensorNorm::new(max)
        .unwrap()
        .norm(norm)
        .unwrap()
        .apply(&mut clipped)
        .unwrap();
    assert!(!said.is_clipped(), "{grads:?} by {norm:?} to {max:e}");
    let mut guard = Guard::new().detect_with(
        Verdict::Stop,
        Watch {
            norm,
            max,
            each: false,
        },
    );
    let verdict = guard.step(&mut clipped).unwrap().verdict();
    assert_eq!(verdict, Verdict::Apply, "{grads:?} by {norm:?} to {max:e}");
}

#[test]
fn the_cases_that_were_reported() {
    untouched(
        &[3.292_455_169_062_822_3],
        Norm::P(3.0),
        3.292_455_169_062_822_3,
    );
    untouched(
        &[297_465_991_715_360.0, 6_811_995_668_044_392.0],
        Norm::L2,
        6_818_487_442_071_208.0,
    );
}

#[test]
fn one_element_is_its_own_norm_for_every_p() {
    let mut random = Random::new(4);
    let ps = [
        1.0,
        1.1,
        1.5,
        2.0,
        2.5,
        3.0,
        core::f64::consts::PI,
        7.3,
        100.0,
        5000.5,
        1e6 + 0.1,
        1e10,
        1e16,
    ];
    for p in ps {
        let norm = Norm::P(p).checked().unwrap();
        for _ in 0..3000 {
            let x = random.any();
            untouched(&[x], norm, x.abs());
            let near = random.unit() * 10.0;
            untouched(&[-near], norm, near);
            let narrow = f32::from_bits(random.bits() as u32);
            if narrow.is_finite() {
                untouched(&[narrow], norm, f64::from(narrow.abs()));
                // Zeros beside it add nothing.
                untouched(&[0.0, narrow, 0.0], norm, f64::from(narrow.abs()));
            }
        }
    }
}

#[test]
fn whole_numbers_with_a_whole_norm() {
    // (m² − n², 2mn, m² + n²), scaled: exact in f64, though their squares are not.
    let mut random = Random::new(5);
    for _ in 0..20_000 {
        let (m, n) = (
            1.0 + random.below(60_000_000) as f64,
            1.0 + random.below(60_000_000) as f64,
        );
        let (a, b, c) = ((m * m - n * n).abs(), 2.0 * m * n, m * m + n * n);
        if c < 9e15 {
            untouched(&[a, b], Norm::L2, c);
            untouched(
                &[a * 2e-300, b * 2e-300].map(|x| x / 2.0),
                Norm::Max,
                a.max(b) * 1e-300,
            );
        }
    }
}

#[test]
fn what_is_above_is_clipped() {
    // The room for rounding is far below what an element can resolve.
    for max in [0.999_999_9_f32, 0.5, 1e-20] {
        let mut grads = [max * (1.0 + f32::EPSILON)];
        let said = GlobalNorm::new(f64::from(max))
            .unwrap()
            .apply(&mut grads)
            .unwrap();
        assert!(said.is_clipped());
        assert_eq!(grads, [max]);
    }
    let mut grads = [1.0 + 16.0 * f64::EPSILON];
    assert!(
        GlobalNorm::new(1.0)
            .unwrap()
            .apply(&mut grads)
            .unwrap()
            .is_clipped()
    );
    assert_eq!(grads, [1.0]);
}
