//! How the weights of a cell are drawn.

use alloc::vec::Vec;
use core::f64::consts::TAU;

use ndarray::{Array1, Array2, Axis};
use num_traits::Float;

use super::orthogonal::orthonormal;
use super::{Real, linear};
use crate::spectral::spectral_radius;
use crate::{Error, Result};

/// How a weight matrix `[units, fan_in]` is drawn.
///
/// ```text
/// Uniform           U(−b, b), b = 1/√units: PyTorch's rule for recurrent cells
/// Xavier            U(−b, b), b = √(6/(fan_in + units)): keeps the variance of signals and gradients
/// Kaiming           U(−b, b), b = √(6/fan_in): keeps the mean square of signals through a ReLU
/// Orthogonal        orthonormal columns (or rows, if there are fewer), every such matrix equally likely
/// ScaledOrthogonal  the same times `gain`
/// Identity          ones on the main diagonal; with ReLU this is the IRNN
/// ScaledIdentity    `scale` on the main diagonal
/// Sparse            `nonzeros` Gaussian weights into each unit, then scaled to the spectral radius
/// Scaled            Gaussian weights, then scaled to the spectral radius
/// ```
///
/// The spectral radius of `w_rec` is the mean factor per step by which a linear net's state and gradient
/// grow in the long run: below one they vanish, above one they explode.
///
/// In a gated cell each gate has a block of its own, drawn as if it were the whole matrix: `Orthogonal` makes each
/// gate's block orthogonal by itself, and `Xavier` counts the units of one gate. (Keras draws the four gates of an
/// LSTM as one matrix, so there the fan-out of Glorot's rule is four times as large.) How the biases of the gates
/// begin is another matter: [`LstmBuilder::forget_bias`](super::LstmBuilder::forget_bias) and
/// [`LstmBuilder::chrono`](super::LstmBuilder::chrono).
///
/// # Examples
///
/// ```
/// use ndarray::Array2;
/// use steadygrad::{recurrent::Init, spectral::spectral_radius};
///
/// let mut bits = 7_u64;
/// let mut uniform = || {
///     bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
///     (bits >> 11) as f64 / (1_u64 << 53) as f64
/// };
/// let w: Array2<f64> = Init::Scaled { radius: 1.5 }.matrix(20, 20, &mut uniform)?;
/// assert!((spectral_radius(&w)? - 1.5).abs() < 1e-9);
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// - `Xavier`: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
/// - `Kaiming`: He, Zhang, Ren and Sun, "Delving deep into rectifiers: surpassing human-level performance on
///   `ImageNet` classification", 2015, arXiv:1502.01852.
/// - `Orthogonal`: Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in
///   deep linear neural networks", 2013, arXiv:1312.6120.
/// - `Identity`: Le, Jaitly and Hinton, "A simple way to initialize recurrent networks of rectified linear
///   units", 2015, arXiv:1504.00941, which also tries the scale 0.01.
/// - `Sparse`, `Scaled`: Jaeger, "The echo state approach to analysing and training recurrent neural networks", 2001;
///   Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum in deep learning", 2013.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Init {
    /// Uniform within ±1/√units.
    #[default]
    Uniform,
    /// Uniform within ±√(6/(`fan_in` + units)); Glorot's rule.
    #[doc(alias = "Glorot")]
    Xavier,
    /// Uniform within ±√(6/`fan_in`); He's rule.
    #[doc(alias = "He")]
    Kaiming,
    /// Orthonormal columns, or rows if there are fewer rows.
    Orthogonal,
    /// Orthogonal columns, or rows if there are fewer rows, all of one length.
    ScaledOrthogonal {
        /// The length: above 0 and finite. Of a square matrix, every eigenvalue has this magnitude.
        gain: f64,
    },
    /// Ones on the main diagonal, zeros elsewhere.
    Identity,
    /// One number on the main diagonal, zeros elsewhere.
    ScaledIdentity {
        /// The number: above 0 and finite.
        scale: f64,
    },
    /// A few Gaussian weights into each unit. Square matrices only.
    Sparse {
        /// How many weights into each unit: from 1 to the number of units.
        nonzeros: usize,
        /// The spectral radius: above 0 and finite.
        radius: f64,
    },
    /// Gaussian weights. Square matrices only.
    Scaled {
        /// The spectral radius: above 0 and finite.
        radius: f64,
    },
}

impl Init {
    /// Draws a matrix of so many rows (units) and columns (fan-in) with numbers uniform in [0, 1).
    ///
    /// The same numbers give the same matrix.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::Init;
    ///
    /// let w = Init::Identity.matrix::<f32>(2, 3, &mut || 0.5)?;
    /// assert_eq!(w, array![[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
    /// let error = Init::Scaled { radius: -1.0 }.matrix::<f32>(2, 2, &mut || 0.5).unwrap_err();
    /// assert_eq!(error.to_string(), "spectral radius: expected a finite number > 0, found -1");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a radius, a gain, a scale or a number of nonzeros that is out of range, for a draw outside
    /// [0, 1), for draws so poor that the matrix has spectral radius 0 and cannot be scaled, and for weights
    /// that the element type cannot hold; [`Error::Shape`] for a spectral radius of a matrix that is not square;
    /// [`Error::TooLarge`] for a matrix that does not fit into memory.
    pub fn matrix<A: Real>(
        self,
        rows: usize,
        cols: usize,
        uniform: &mut impl FnMut() -> f64,
    ) -> Result<Array2<A>> {
        self.stacked(1, rows, cols, &mut Draws(uniform))
    }

    /// `blocks` matrices drawn one after the other and stacked: the gates of a cell.
    pub(super) fn stacked<A: Real>(
        self,
        blocks: usize,
        rows: usize,
        cols: usize,
        draws: &mut Draws<'_>,
    ) -> Result<Array2<A>> {
        let shape = [blocks.saturating_mul(rows), cols];
        // Whatever the elements, they are drawn as f64.
        linear::fits::<f64>("weights", &shape)?;
        let mut stack = Array2::zeros(shape);
        for mut block in stack.axis_chunks_iter_mut(Axis(0), rows.max(1)) {
            let drawn = self.block(rows, cols, draws)?;
            // A matrix may be drawn as zeros, but not become them.
            match largest(&drawn) {
                0.0 => (),
                largest => check_size::<A>(largest)?,
            }
            block.assign(&drawn.mapv(A::narrow));
        }
        match stack.iter().find(|w| !w.is_finite()) {
            None => Ok(stack),
            Some(w) => Err(Error::Setting {
                what: "weight",
                expected: "a number the element type can hold",
                found: w.widen(),
            }),
        }
    }

    fn block(self, rows: usize, cols: usize, draws: &mut Draws<'_>) -> Result<Array2<f64>> {
        match self {
            Self::Uniform => draws.uniform_matrix(rows, cols, 1.0 / Float::sqrt(rows as f64)),
            Self::Xavier => {
                draws.uniform_matrix(rows, cols, Float::sqrt(6.0 / (rows as f64 + cols as f64)))
            }
            Self::Kaiming => draws.uniform_matrix(rows, cols, Float::sqrt(6.0 / cols as f64)),
            Self::Orthogonal if rows < cols => {
                Ok(orthonormal(draws.gaussian_matrix(cols, rows)?).reversed_axes())
            }
            Self::Orthogonal => Ok(orthonormal(draws.gaussian_matrix(rows, cols)?)),
            Self::ScaledOrthogonal { gain } => {
                check_positive("gain", gain)?;
                Ok(Self::Orthogonal.block(rows, cols, draws)? * gain)
            }
            Self::Identity => Ok(diagonal(rows, cols, 1.0)),
            Self::ScaledIdentity { scale } => {
                check_positive("scale", scale)?;
                Ok(diagonal(rows, cols, scale))
            }
            Self::Sparse { nonzeros, radius } => {
                check_square(rows, cols, radius)?;
                let weights = draws.sparse_matrix(rows, nonzeros)?;
                scaled(weights, radius)
            }
            Self::Scaled { radius } => {
                check_square(rows, cols, radius)?;
                scaled(draws.gaussian_matrix(rows, cols)?, radius)
            }
        }
    }
}

/// Refuses weights that are all too small for the element type: what is left of them would have another spectral
/// radius, or none.
fn check_size<A: Real>(largest: f64) -> Result<()> {
    if A::narrow(largest) >= A::min_positive_value() {
        return Ok(());
    }
    Err(Error::Setting {
        what: "largest weight",
        expected: "a normal number of the element type",
        found: largest,
    })
}

fn largest(weights: &Array2<f64>) -> f64 {
    weights
        .iter()
        .fold(0.0, |max, w| Float::max(max, Float::abs(*w)))
}

fn diagonal(rows: usize, cols: usize, value: f64) -> Array2<f64> {
    let mut matrix = Array2::zeros((rows, cols));
    matrix.diag_mut().fill(value);
    matrix
}

fn check_square(rows: usize, cols: usize, radius: f64) -> Result<()> {
    linear::check(
        "matrix with a spectral radius",
        &[rows, cols],
        &[rows, rows],
    )?;
    // The only matrix that scaling can bring to 0 is the zero matrix, which is no start for training.
    check_positive("spectral radius", radius)
}

fn check_positive(what: &'static str, found: f64) -> Result<()> {
    if found > 0.0 && found.is_finite() {
        Ok(())
    } else {
        Err(Error::Setting {
            what,
            expected: "a finite number > 0",
            found,
        })
    }
}

fn scaled(weights: Array2<f64>, radius: f64) -> Result<Array2<f64>> {
    if weights.is_empty() {
        return Ok(weights);
    }
    let drawn = spectral_radius(&weights)?;
    check_positive("spectral radius of the drawn matrix", drawn)?;
    let weights = weights / drawn * radius;
    check_size::<f64>(largest(&weights))?;
    Ok(weights)
}

/// The caller's uniform numbers, checked, and what is made of them.
pub(super) struct Draws<'a>(pub(super) &'a mut dyn FnMut() -> f64);

impl Draws<'_> {
    fn uniform(&mut self) -> Result<f64> {
        let found = (self.0)();
        if (0.0..1.0).contains(&found) {
            Ok(found)
        } else {
            Err(Error::Setting {
                what: "uniform draw",
                expected: "a number in [0, 1)",
                found,
            })
        }
    }

    /// Box and Muller, "A note on the generation of random normal deviates", 1958.
    fn gaussian(&mut self) -> Result<f64> {
        // 1 − u lies in (0, 1], where the logarithm is finite.
        let radius = Float::sqrt(-2.0 * Float::ln(1.0 - self.uniform()?));
        Ok(radius * Float::cos(TAU * self.uniform()?))
    }

    /// `len` biases for gates that keep a state: b = log u, u uniform between 1 and `longest` − 1.
    ///
    /// With f = σ(b) a state lasts about 1/(1 − f) = 1 + u steps.
    ///
    /// Source: Tallec and Ollivier, "Can recurrent neural networks warp time?", 2018, arXiv:1804.11188.
    pub(super) fn chrono<A: Real>(&mut self, len: usize, longest: usize) -> Result<Array1<A>> {
        if longest < 2 {
            return Err(Error::Setting {
                what: "longest dependency",
                expected: "at least 2 steps",
                found: longest as f64,
            });
        }
        let span = (longest - 2) as f64;
        let mut bias = Array1::zeros(len);
        for b in &mut bias {
            *b = A::narrow(Float::ln(1.0 + span * self.uniform()?));
        }
        Ok(bias)
    }

    fn fill(
        rows: usize,
        cols: usize,
        mut draw: impl FnMut() -> Result<f64>,
    ) -> Result<Array2<f64>> {
        let mut matrix = Array2::zeros((rows, cols));
        for w in &mut matrix {
            *w = draw()?;
        }
        Ok(matrix)
    }

    fn uniform_matrix(&mut self, rows: usize, cols: usize, bound: f64) -> Result<Array2<f64>> {
        Self::fill(rows, cols, || Ok((2.0 * self.uniform()? - 1.0) * bound))
    }

    fn gaussian_matrix(&mut self, rows: usize, cols: usize) -> Result<Array2<f64>> {
        Self::fill(rows, cols, || self.gaussian())
    }

    /// In each row, `nonzeros` places chosen without replacement (Fisher and Yates).
    fn sparse_matrix(&mut self, units: usize, nonzeros: usize) -> Result<Array2<f64>> {
        if nonzeros == 0 || nonzeros > units {
            let expected = "a number from 1 to the number of units";
            return Err(Error::Setting {
                what: "nonzeros",
                expected,
                found: nonzeros as f64,
            });
        }
        let mut matrix = Array2::zeros((units, units));
        let mut places: Vec<usize> = (0..units).collect();
        for mut row in matrix.rows_mut() {
            for k in 0..nonzeros {
                let left = units - k;
                // The product can round up to `left` itself.
                let step = (self.uniform()? * left as f64) as usize;
                places.swap(k, k + step.min(left - 1));
                row[places[k]] = self.gaussian()?;
            }
        }
        Ok(matrix)
    }
}
