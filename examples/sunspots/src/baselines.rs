//! What a prediction has to beat: persistence, and a linear autoregression.

use crate::data::Series;

/// The order of the autoregression.
const ORDER: usize = 9;

/// Next month is like this month. One prediction for each month that is judged.
pub(crate) fn persistence(series: &Series) -> Vec<f64> {
    series
        .judged
        .clone()
        .map(|month| series.values[month - 1])
        .collect()
}

/// AR(9): a constant and the last nine months, fitted to the training months by least squares.
pub(crate) fn autoregression(series: &Series) -> Vec<f64> {
    let mut normal = [[0.0; ORDER + 2]; ORDER + 1];
    for month in ORDER..series.train.end {
        let (x, y) = (regressors(series, month), series.scaled(month));
        for (row, a) in normal.iter_mut().zip(x) {
            for (cell, b) in row.iter_mut().zip(x.into_iter().chain([y])) {
                *cell += a * b;
            }
        }
    }
    let weights = solve(normal);
    let predict = |month| {
        let terms = regressors(series, month).into_iter().zip(weights);
        series.unscale(terms.map(|(x, w)| x * w).sum())
    };
    series.judged.clone().map(predict).collect()
}

/// 1 and the months before this one, scaled so that the normal equations are well conditioned.
fn regressors(series: &Series, month: usize) -> [f64; ORDER + 1] {
    std::array::from_fn(|lag| {
        if lag == 0 {
            1.0
        } else {
            series.scaled(month - lag)
        }
    })
}

/// Solves the normal equations `[XᵀX | Xᵀy]` by Gauss-Jordan elimination. The matrix is positive
/// semidefinite, so the largest diagonal entry is a safe pivot, and a tiny ridge keeps it from being zero.
fn solve<const N: usize, const M: usize>(mut rows: [[f64; M]; N]) -> [f64; N] {
    let ridge = 1e-12 * rows[0][0];
    (0..N).for_each(|i| rows[i][i] += ridge);
    for pivot in 0..N {
        let scale = rows[pivot][pivot];
        rows[pivot].iter_mut().for_each(|x| *x /= scale);
        let reference = rows[pivot];
        for (_, row) in rows.iter_mut().enumerate().filter(|(i, _)| *i != pivot) {
            let factor = row[pivot];
            row.iter_mut()
                .zip(reference)
                .for_each(|(x, r)| *x -= factor * r);
        }
    }
    rows.map(|row| row[N])
}
