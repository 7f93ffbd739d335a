//! Spectral radius and norm against matrices whose eigenvalues are known.

use ndarray::{Array2, array};
use steadygrad::recurrent::Init;
use steadygrad::spectral::{spectral_norm, spectral_radius};

use crate::common::uniform;

fn close(found: f64, expected: f64, bound: f64) {
    let off = (found / expected - 1.0).abs();
    assert!(
        off < bound,
        "expected {expected:e}, found {found:e}, off by {off:e}"
    );
}

fn radius(m: &Array2<f64>) -> f64 {
    spectral_radius(m).unwrap()
}

/// The companion matrix of `xⁿ + a_{n−1}·xⁿ⁻¹ + … + a_0`: its eigenvalues are the roots.
fn companion(coefficients: &[f64]) -> Array2<f64> {
    let n = coefficients.len();
    Array2::from_shape_fn((n, n), |(i, j)| {
        if j == n - 1 {
            -coefficients[i]
        } else {
            f64::from(u8::from(i == j + 1))
        }
    })
}

fn orthogonal(n: usize, seed: u64) -> Array2<f64> {
    Init::Orthogonal.matrix(n, n, &mut uniform(seed)).unwrap()
}

#[test]
fn a_turn_has_a_complex_pair() {
    for degrees in [0.0, 1.0, 30.0, 90.0, 179.0_f64] {
        let (sin, cos) = degrees.to_radians().sin_cos();
        for scale in [0.3, 1.0, 7.0] {
            close(
                radius(&(array![[cos, -sin], [sin, cos]] * scale)),
                scale,
                1e-14,
            );
        }
    }
    close(radius(&orthogonal(50, 1)), 1.0, 1e-13);
}

#[test]
fn companion_matrices_have_their_roots() {
    // (x − 1)(x − 2)(x − 3)
    close(radius(&companion(&[-6.0, 11.0, -6.0])), 3.0, 1e-13);
    // x³ − 8: three roots of magnitude 2.
    close(radius(&companion(&[-8.0, 0.0, 0.0])), 2.0, 1e-14);
    // x² + 2x + 5: −1 ± 2i.
    close(radius(&companion(&[5.0, 2.0])), 5.0_f64.sqrt(), 1e-14);
    // (x − 1)(x + 1): a tie between two real ones.
    close(radius(&companion(&[-1.0, 0.0])), 1.0, 1e-14);
    // x² − x − 1
    close(
        radius(&companion(&[-1.0, -1.0])),
        f64::midpoint(1.0, 5.0_f64.sqrt()),
        1e-14,
    );
}

#[test]
fn triangular_matrices_give_their_diagonal_exactly() {
    assert_eq!(
        radius(&array![
            [0.5, 1e200, -3.0],
            [0.0, -0.75, 1e200],
            [0.0, 0.0, 0.1]
        ]),
        0.75
    );
    assert_eq!(
        radius(&Array2::from_diag(&array![1e-300, -1e300, 5.0])),
        1e300
    );
    // A Jordan block, and one with a coupling that dwarfs the eigenvalue.
    let jordan = |n: usize, value: f64, coupling: f64| {
        Array2::from_shape_fn((n, n), |(i, j)| {
            if i == j {
                value
            } else if j == i + 1 {
                coupling
            } else {
                0.0
            }
        })
    };
    assert_eq!(radius(&jordan(40, 0.9, 1.0)), 0.9);
    assert_eq!(radius(&jordan(40, 1e-200, 1e200)), 1e-200);
    assert_eq!(radius(&jordan(40, 0.0, 1.0)), 0.0);
}

#[test]
fn nilpotent_in_any_order_is_zero() {
    let n = 20;
    let mut draw = uniform(3);
    let upper = Array2::from_shape_fn((n, n), |(i, j)| if j > i { draw() + 0.1 } else { 0.0 });
    let order: Vec<usize> = (0..n).map(|i| (i * 7 + 3) % n).collect();
    let shuffled = Array2::from_shape_fn((n, n), |(i, j)| upper[[order[i], order[j]]]);
    assert_eq!(radius(&shuffled), 0.0);
    // Dense and nilpotent: [[1, −1], [1, −1]]² = 0, in exact arithmetic too.
    assert_eq!(radius(&array![[1.0, -1.0], [1.0, -1.0]]), 0.0);
    assert_eq!(radius(&Array2::zeros((4, 4))), 0.0);
    assert_eq!(radius(&Array2::zeros((0, 0))), 0.0);
    assert_eq!(radius(&array![[-3.5]]), 3.5);
}

#[test]
fn similar_matrices_have_the_same_radius() {
    // Q·T·Qᵀ with T quasi-triangular: eigenvalues ±2i, 1.5, −1. At a coupling of 100 the pair has condition
    // number 1763 and σ/ρ is 140, so the documented error is 1e-7.
    for (coupling, bound) in [(0.0, 1e-14), (1.0, 5e-14), (10.0, 1e-12), (100.0, 1e-6)] {
        let t = array![
            [0.0, -2.0, coupling, coupling],
            [2.0, 0.0, coupling, coupling],
            [0.0, 0.0, 1.5, coupling],
            [0.0, 0.0, 0.0, -1.0]
        ];
        let q = orthogonal(4, 9);
        close(radius(&q.dot(&t).dot(&q.t())), 2.0, bound);
    }
    // A defective eigenvalue under a rotation is as ill-conditioned as it is: the square root of rounding.
    let q = orthogonal(2, 5);
    close(
        radius(&q.dot(&array![[1.0, 1.0], [0.0, 1.0]]).dot(&q.t())),
        1.0,
        1e-7,
    );
}

#[test]
fn the_whole_range_of_f64_is_covered() {
    let turn = array![[0.6, -0.8], [0.8, 0.6]];
    for scale in [1e-300, 1e-160, 1e160, 1e300] {
        close(radius(&(&turn * scale)), scale, 1e-14);
        close(spectral_norm(&(&turn * scale)).unwrap(), scale, 1e-14);
    }
    // Badly balanced but harmless: eigenvalues ±1 though the entries span 400 decades.
    close(radius(&array![[0.0, 1e200], [1e-200, 0.0]]), 1.0, 1e-13);
    close(
        radius(&array![
            [0.0, 1e200, 0.0],
            [0.0, 0.0, 1e100],
            [1e-300, 0.0, 0.0]
        ]),
        1.0,
        1e-12,
    );
    close(
        radius(&array![[5e-324, 5e-324], [5e-324, 5e-324]]),
        1e-323,
        1e-14,
    );
    // Twice the largest f64 is no f64.
    assert_eq!(radius(&Array2::from_elem((2, 2), f64::MAX)), f64::INFINITY);
}

#[test]
fn the_norm_is_the_largest_stretch() {
    let singular = Array2::from_shape_fn(
        (5, 3),
        |(i, j)| if i == j { [3.0, 1.0, 0.5][i] } else { 0.0 },
    );
    let w = orthogonal(5, 1).dot(&singular).dot(&orthogonal(3, 2));
    close(spectral_norm(&w).unwrap(), 3.0, 1e-14);
    close(spectral_norm(&w.t()).unwrap(), 3.0, 1e-14);
    assert_eq!(
        spectral_norm(&array![[0.0, -4.0], [0.0, 0.0]]).unwrap(),
        4.0
    );
    assert_eq!(spectral_norm(&Array2::<f64>::zeros((0, 3))).unwrap(), 0.0);
    assert_eq!(spectral_norm(&Array2::<f64>::zeros((2, 3))).unwrap(), 0.0);
    close(
        spectral_norm(&Array2::<f32>::ones((4, 9))).unwrap(),
        6.0,
        1e-14,
    );
    // The norm is never below the radius.
    for seed in 0..20 {
        let w: Array2<f64> = Init::Uniform.matrix(10, 10, &mut uniform(seed)).unwrap();
        assert!(spectral_norm(&w).unwrap() >= radius(&w) * (1.0 - 1e-13));
    }
}

#[test]
fn non_finite_matrices_are_refused() {
    let m = array![[1.0, f64::NAN], [f64::INFINITY, f64::NAN]];
    let error = spectral_radius(&m).unwrap_err().to_string();
    assert_eq!(
        error,
        "matrix: expected finite numbers, found 2 NaN and 1 infinite, the first at index 1"
    );
}
