//! Orthonormal columns from any columns.

use alloc::vec::Vec;

use ndarray::{Array1, Array2, ArrayRef1, ArrayViewMut1, Axis, Slice};
use num_traits::Float;

/// The factor Q of A = Q·R with R's diagonal ≥ 0, for an A with at least as many rows as columns.
///
/// If A is Gaussian, that choice of signs makes Q uniform over all matrices with orthonormal columns.
/// Householder reflections keep Q orthonormal to rounding whatever A is, singular ones included.
///
/// Source: Mezzadri, "How to generate random matrices from the classical compact groups", 2007,
/// arXiv:math-ph/0609050.
pub(super) fn orthonormal(mut a: Array2<f64>) -> Array2<f64> {
    let (rows, cols) = a.dim();
    let mut mirrors = Vec::with_capacity(cols);
    let mut signs = Vec::with_capacity(cols);
    for j in 0..cols {
        let below = Slice::from(j..);
        let mut v = a.column(j).slice_axis(Axis(0), below).to_owned();
        // Reflecting to the far side avoids cancellation; it makes R's diagonal −sign·‖v‖.
        let sign = if v[0] < 0.0 { -1.0 } else { 1.0 };
        v[0] += sign * norm(&v);
        let length = norm(&v);
        // A column of zeros needs no reflection, and has no sign to mend.
        let degenerate = length == 0.0;
        if !degenerate {
            v /= length;
        }
        for mut column in a.columns_mut() {
            reflect(&v, column.slice_axis_mut(Axis(0), below));
        }
        mirrors.push(v);
        signs.push(if degenerate { 1.0 } else { -sign });
    }

    let mut q = Array2::zeros((rows, cols));
    q.diag_mut().fill(1.0);
    for (j, v) in mirrors.iter().enumerate().rev() {
        for mut column in q.columns_mut() {
            reflect(v, column.slice_axis_mut(Axis(0), Slice::from(j..)));
        }
    }
    for (mut column, sign) in q.columns_mut().into_iter().zip(signs) {
        column *= sign;
    }
    q
}

fn norm(v: &Array1<f64>) -> f64 {
    Float::sqrt(v.dot(v))
}

/// x ← x − 2·v·(vᵀx).
fn reflect(v: &ArrayRef1<f64>, mut x: ArrayViewMut1<'_, f64>) {
    let along = 2.0 * v.dot(&x);
    x.scaled_add(-along, v);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn error_of(q: &Array2<f64>) -> f64 {
        let gram = q.t().dot(q) - Array2::<f64>::eye(q.ncols());
        gram.iter().fold(0.0, |worst, x| f64::max(worst, x.abs()))
    }

    #[test]
    fn q_times_a_positive_triangle_gives_the_matrix_back() {
        let a = array![[3.0, -1.0], [4.0, 2.0], [0.0, 5.0]];
        let q = orthonormal(a.clone());
        assert!(error_of(&q) < 1e-15);
        let r = q.t().dot(&a);
        assert!((r[[0, 0]] - 5.0).abs() < 1e-14 && r[[1, 1]] > 0.0 && r[[1, 0]].abs() < 1e-14);
        assert!((q.dot(&r) - &a).iter().all(|x| x.abs() < 1e-14));
    }

    #[test]
    fn singular_columns_are_completed() {
        for a in [
            Array2::zeros((4, 4)),
            Array2::ones((4, 3)),
            array![[0.0, 1.0], [0.0, 2.0]],
        ] {
            assert!(error_of(&orthonormal(a)) < 1e-14);
        }
        assert_eq!(orthonormal(Array2::zeros((3, 0))).dim(), (3, 0));
        assert_eq!(orthonormal(Array2::zeros((0, 0))).dim(), (0, 0));
    }
}
