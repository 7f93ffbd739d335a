//! Spectral radius and spectral norm of a matrix.
//!
//! What a matrix does to a vector that it is applied to over and over: how fast it grows or fades in the long run
//! ([`spectral_radius`]), and how much it can grow in one go ([`spectral_norm`]).

use alloc::string::String;
use alloc::vec::Vec;

use ndarray::{Array2, ArrayRef2, Axis};
use num_traits::Float;

use crate::{Element, Error, Result};

/// Squarings of the matrix, after which it stands at the power 2^50: what a norm then differs from
/// the spectral radius by, a factor κ^(2^−50), is below rounding for any κ that matters.
const SQUARINGS: i32 = 50;

/// The spectral radius ρ: the largest |eigenvalue|, complex pairs included.
///
/// ```text
/// ρ(M) = lim ‖Mⁿ‖^(1/n)                                                   (Gelfand)
/// ```
///
/// The power is reached by repeated squaring, with exact scaling by powers of two, so that neither
/// large nor small entries overflow or underflow. Before that the matrix is cut into its strongly
/// connected blocks, whose radii are exact to find one by one (a triangular matrix gives the largest
/// |diagonal entry|, a nilpotent one in any order of its rows gives exactly 0), and each block is balanced.
///
/// For an n by n matrix the relative error is about n·10⁻¹⁵·κ·(σ/ρ)², where κ is the condition number of the
/// eigenvalue and σ the [`spectral_norm`]: near rounding for matrices near normal, which random ones
/// are, and a factor (σ/ρ)² behind a QR algorithm for others. The cost is 50 matrix products.
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use steadygrad::spectral::spectral_radius;
///
/// // A turn by a right angle that doubles lengths: eigenvalues ±2i.
/// let rho = spectral_radius(&array![[0.0, -2.0], [2.0, 0.0]])?;
/// assert!((rho - 2.0).abs() < 1e-14);
/// // Whatever the entry, the square is zero.
/// assert_eq!(spectral_radius(&array![[0.0, 1e300], [0.0, 0.0]])?, 0.0);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Shape`] if the matrix is not square; [`Error::NonFinite`] if it holds NaN or an infinity.
///
/// # References
///
/// - Gelfand, "Normierte Ringe", 1941.
/// - Parlett and Reinsch, "Balancing a matrix for calculation of eigenvalues and eigenvectors", 1969.
pub fn spectral_radius<A: Element>(matrix: &ArrayRef2<A>) -> Result<f64> {
    let (rows, cols) = matrix.dim();
    if rows != cols {
        return Err(Error::Shape {
            what: "matrix",
            expected: Vec::from([rows, rows]),
            found: Vec::from([rows, cols]),
        });
    }
    let matrix = finite(matrix)?;
    let mut radius = 0.0;
    for block in connected_blocks(&matrix) {
        let mut part = matrix.select(Axis(0), &block).select(Axis(1), &block);
        balance(&mut part);
        radius = f64::max(radius, radius_of_block(part));
    }
    Ok(radius)
}

/// The spectral norm σ: the largest singular value, by how much the matrix can stretch a vector.
///
/// ```text
/// σ(W)² = ρ(WᵀW)
/// ```
///
/// ρ ≤ σ: a spectral radius below one says that gradients vanish in the end, a norm below one that
/// they shrink in every step. The relative error is about n·10⁻¹⁵.
///
/// # Examples
///
/// ```
/// use ndarray::array;
/// use steadygrad::spectral::{spectral_norm, spectral_radius};
///
/// // Shrinks in the long run, but grows eightfold first.
/// let w = array![[0.5_f32, 8.0], [0.0, 0.5]];
/// assert_eq!(spectral_radius(&w)?, 0.5);
/// assert!((spectral_norm(&w)? - 8.03).abs() < 0.01);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::NonFinite`] if the matrix holds NaN or an infinity.
pub fn spectral_norm<A: Element>(matrix: &ArrayRef2<A>) -> Result<f64> {
    let mut w = finite(matrix)?;
    let exponent = rescale(&mut w);
    let gram = if w.nrows() < w.ncols() {
        w.dot(&w.t())
    } else {
        w.t().dot(&w)
    };
    Ok(times_power_of_two(
        Float::sqrt(radius_of_block(gram)),
        exponent,
    ))
}

/// The matrix in `f64`, if all of it is finite.
fn finite<A: Element>(matrix: &ArrayRef2<A>) -> Result<Array2<f64>> {
    let matrix = matrix.map(|x| x.widen());
    let count = |bad: fn(&f64) -> bool| matrix.iter().filter(|x| bad(x)).count() as u64;
    match matrix.iter().position(|x| !x.is_finite()) {
        None => Ok(matrix),
        Some(index) => Err(Error::NonFinite {
            what: String::from("matrix"),
            nan: count(|x| x.is_nan()),
            inf: count(|x| x.is_infinite()),
            index: index as u64,
        }),
    }
}

/// The sets of indices that reach one another through nonzero entries. Reordered by them the matrix is
/// block triangular, so its eigenvalues are those of the blocks.
fn connected_blocks(matrix: &Array2<f64>) -> Vec<Vec<usize>> {
    let n = matrix.nrows();
    if matrix.iter().all(|&x| x != 0.0) {
        return if n == 0 {
            Vec::new()
        } else {
            Vec::from([(0..n).collect()])
        };
    }
    let (words, word, bit) = (
        n.div_ceil(64),
        |j: usize| j / 64,
        |j: usize| 1_u64 << (j % 64),
    );
    let mut reach: Vec<Vec<u64>> = Vec::with_capacity(n);
    for row in matrix.rows() {
        let mut bits = alloc::vec![0; words];
        for (j, _) in row.iter().enumerate().filter(|(_, x)| **x != 0.0) {
            bits[word(j)] |= bit(j);
        }
        reach.push(bits);
    }
    for via in 0..n {
        let onward = reach[via].clone();
        for row in &mut reach {
            if row[word(via)] & bit(via) != 0 {
                for (a, b) in row.iter_mut().zip(&onward) {
                    *a |= b;
                }
            }
        }
    }
    let both =
        |i: usize, j: usize| reach[i][word(j)] & bit(j) != 0 && reach[j][word(i)] & bit(i) != 0;
    let mut blocks: Vec<Vec<usize>> = Vec::new();
    for j in 0..n {
        match blocks.iter_mut().find(|block| both(block[0], j)) {
            Some(block) => block.push(j),
            None => blocks.push(Vec::from([j])),
        }
    }
    blocks
}

/// Scales row i by 2^−e and column i by 2^e, exactly and without moving an eigenvalue, until the largest
/// entries of each row and column are about alike.
fn balance(matrix: &mut Array2<f64>) {
    // Each sweep that changes something halves the imbalance at least; f64 spans 2^±1074.
    for _ in 0..64 {
        let mut changed = false;
        for i in 0..matrix.nrows() {
            let largest = |entries: ndarray::ArrayView1<'_, f64>| {
                let others = entries.iter().enumerate().filter(|(j, _)| *j != i);
                others.fold(0.0, |largest, (_, x)| f64::max(largest, x.abs()))
            };
            let (row, column) = (largest(matrix.row(i)), largest(matrix.column(i)));
            if row == 0.0 || column == 0.0 {
                continue;
            }
            let half = ((Float::log2(row) - Float::log2(column)) / 2.0) as i32;
            if half != 0 {
                changed = true;
                let keep = matrix[[i, i]];
                matrix
                    .row_mut(i)
                    .mapv_inplace(|x| times_power_of_two(x, -half));
                matrix
                    .column_mut(i)
                    .mapv_inplace(|x| times_power_of_two(x, half));
                matrix[[i, i]] = keep;
            }
        }
        if !changed {
            break;
        }
    }
}

/// ρ of a matrix that is one block. Each squaring is followed by a division by a power of two, so
///
/// ```text
/// M^(2^k) = S_k·2^(E_k)    E_{k+1} = 2·E_k + e_{k+1}    log₂ρ ≈ Σ_k e_k/2^k + log₂‖S_K‖/2^K
/// ```
fn radius_of_block(mut matrix: Array2<f64>) -> f64 {
    if let [only] = matrix.as_slice().unwrap_or_default() {
        return only.abs();
    }
    let exponent = rescale(&mut matrix);
    let mut log = 0.0;
    let mut weight = 1.0;
    for _ in 0..SQUARINGS {
        matrix = matrix.dot(&matrix);
        weight *= 0.5;
        log += f64::from(rescale(&mut matrix)) * weight;
    }
    let squares = matrix.iter().fold(0.0, |sum, x| sum + x * x);
    if squares == 0.0 {
        return 0.0;
    }
    log += 0.5 * Float::log2(squares) * weight;
    times_power_of_two(Float::exp2(log), exponent)
}

/// Brings the largest entry into [1, 2) and says by which power of two it was divided.
fn rescale(matrix: &mut Array2<f64>) -> i32 {
    let largest = matrix
        .iter()
        .fold(0.0, |largest, x| f64::max(largest, x.abs()));
    if largest == 0.0 {
        return 0;
    }
    let exponent = Float::floor(Float::log2(largest)) as i32;
    matrix.mapv_inplace(|x| times_power_of_two(x, -exponent));
    exponent
}

/// x·2^e in two steps, each of a power that f64 can hold.
fn times_power_of_two(x: f64, exponent: i32) -> f64 {
    let power = |e: i32| f64::from_bits(((1023 + e) as u64) << 52);
    let half = exponent / 2;
    x * power(half) * power(exponent - half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn blocks_are_the_cycles() {
        // 0 → 2 → 0, 1 alone, 1 → 0.
        let m = array![[0.0, 0.0, 1.0], [5.0, 0.0, 0.0], [1.0, 0.0, 0.0]];
        assert_eq!(connected_blocks(&m), [Vec::from([0, 2]), Vec::from([1])]);
        let ring =
            Array2::from_shape_fn((130, 130), |(i, j)| f64::from(u8::from(j == (i + 1) % 130)));
        assert_eq!(connected_blocks(&ring).len(), 1);
    }

    #[test]
    fn powers_of_two_reach_the_ends() {
        assert_eq!(times_power_of_two(1.0, -1074), 5e-324);
        assert_eq!(times_power_of_two(5e-324, 1074), 1.0);
        assert_eq!(times_power_of_two(1.5, 1023), 1.5 * 2f64.powi(1023));
        assert_eq!(times_power_of_two(1.0, 1100), f64::INFINITY);
    }
}
