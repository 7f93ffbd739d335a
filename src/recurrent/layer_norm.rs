//! Rows of mean 0 and variance 1, and gradients through them.

use ndarray::{Array1, Array2, ArrayRef1, ArrayRef2, ArrayView1, Axis, Zip};

use super::Real;

/// Rows of a matrix after normalisation, and what the way back needs of them.
///
/// ```text
/// y = (a − μ)·ρ    ρ = 1/√(v + ε)    μ = Σ_j a_j/n    v = Σ_j (a_j − μ)²/n
/// ```
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Normalised<A> {
    /// y, row by row.
    rows: Array2<A>,
    /// ρ of each row.
    inverse: Array1<A>,
}

impl<A: Real> Normalised<A> {
    /// Normalises each row by itself.
    pub(super) fn of(mut rows: Array2<A>, epsilon: A) -> Self {
        let len = A::narrow(rows.ncols() as f64);
        let mut inverse = Array1::zeros(rows.nrows());
        for (mut row, inverse) in rows.rows_mut().into_iter().zip(&mut inverse) {
            let mean = row.sum() / len;
            row.mapv_inplace(|a| a - mean);
            let variance = row.fold(A::zero(), |sum, &a| sum + a * a) / len;
            *inverse = A::one() / (variance + epsilon).sqrt();
            row *= *inverse;
        }
        Self { rows, inverse }
    }

    pub(super) fn dim(&self) -> (usize, usize) {
        self.rows.dim()
    }

    pub(super) fn rows(&self) -> &Array2<A> {
        &self.rows
    }

    /// y and ρ of a row.
    pub(super) fn row(&self, b: usize) -> (ArrayView1<'_, A>, A) {
        (self.rows.row(b), self.inverse[b])
    }

    /// z ← z + gain ⊙ y.
    pub(super) fn add_to(&self, gain: &ArrayRef1<A>, z: &mut ArrayRef2<A>) {
        for (mut z, y) in z.rows_mut().into_iter().zip(self.rows.rows()) {
            Zip::from(&mut z)
                .and(gain)
                .and(&y)
                .for_each(|z, &gain, &y| *z += gain * y);
        }
    }

    /// From dL/dz, z = gain ⊙ y, to dL/da in place, and to the gain's gradient, which is added to.
    ///
    /// ```text
    /// dL/dgain = Σ_rows dz ⊙ y    dy = gain ⊙ dz    da = ρ·(dy − mean(dy) − y·mean(dy ⊙ y))
    /// ```
    pub(super) fn pull_back(
        &self,
        gain: &ArrayRef1<A>,
        d: &mut ArrayRef2<A>,
        d_gain: &mut ArrayRef1<A>,
    ) {
        let len = A::narrow(self.rows.ncols() as f64);
        let rows = d.rows_mut().into_iter().zip(self.rows.rows());
        for ((mut d, y), &inverse) in rows.zip(&self.inverse) {
            let (mut sum, mut along) = (A::zero(), A::zero());
            Zip::from(&mut d)
                .and(&y)
                .and(gain)
                .and(&mut *d_gain)
                .for_each(|d, &y, &gain, d_gain| {
                    *d_gain += *d * y;
                    *d *= gain;
                    sum += *d;
                    along += *d * y;
                });
            let (mean, along) = (sum / len, along / len);
            Zip::from(&mut d)
                .and(&y)
                .for_each(|d, &y| *d = inverse * (*d - mean - y * along));
        }
    }
}

/// The sum of all rows, added.
pub(super) fn add_rows<A: Real>(matrix: &ArrayRef2<A>, sum: &mut ArrayRef1<A>) {
    for row in matrix.axis_iter(Axis(0)) {
        *sum += &*row;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{array, aview1};

    #[test]
    fn rows_have_mean_0_and_variance_1() {
        let y = Normalised::of(array![[1.0, 3.0, 5.0], [-7.0, -7.0, -7.0]], 0.0_f64);
        let third = (1.5_f64).sqrt();
        for (found, expected) in y.rows.row(0).iter().zip([-third, 0.0, third]) {
            assert!((found - expected).abs() < 1e-15);
        }
        assert!(y.rows.row(1).iter().all(|y| y.is_nan())); // 0/0: what ε is for
        let y = Normalised::of(array![[-7.0, -7.0, -7.0]], 1e-5);
        assert_eq!(y.rows, array![[0.0, 0.0, 0.0]]);
        assert!((y.inverse[0] - 1e5_f64.sqrt()).abs() < 1e-10);
    }

    #[test]
    fn what_normalisation_takes_away_has_no_gradient() {
        // A shift of the row moves nothing; nor does its length, but for ε.
        let a = array![[0.3_f64, -1.2, 2.5, 0.1]];
        let y = Normalised::of(a.clone(), 0.0);
        let (mut d, mut d_gain) = (array![[0.7, -0.2, 0.5, 1.1]], Array1::zeros(4));
        y.pull_back(&aview1(&[1.0, 2.0, -0.5, 1.5]), &mut d, &mut d_gain);
        assert!(d.sum().abs() < 1e-15);
        assert!((&d * &a).sum().abs() < 1e-15);
        assert!(d.iter().all(|d| d.abs() > 1e-3));
        assert_eq!(d_gain, array![0.7, -0.2, 0.5, 1.1] * y.rows.row(0));
    }
}
