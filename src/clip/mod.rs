//! Rules that shrink gradients: by value, by the norm of each tensor, by the norm of all together.
//!
//! A rule sees a [`Measurement`](crate::Measurement), never a tensor, and pushes edits. So a rule of
//! your own is a few lines, runs on every kind of tensor, and is tested without any.
//!
//! The functions [`value()`], [`tensor_norm()`] and [`global_norm()`] do one such thing at once. They have no
//! policy for NaN and infinities: a norm clip of non-finite gradients is an error that leaves them
//! untouched. For policies, chains and reports there is the [`Guard`](crate::Guard).
//!
//! A bound is an `f64`, an `f32`, or an `Option` of one as configurations have it ([`Bound`]): `None` and
//! +∞ never clip, and **0 zeroes every gradient**. The report says so, since in many a configuration 0 means *off*.
//!
//! # Examples
//!
//! ```
//! use steadygrad::clip;
//!
//! let grads = [[6.0_f64, 8.0], [0.0, 24.0]];
//! let (mut by_value, mut by_tensor, mut together) = (grads, grads, grads);
//! clip::value(&mut by_value, 5.0)?;
//! clip::tensor_norm(&mut by_tensor, 5.0)?;
//! assert_eq!(by_value, [[5.0, 5.0], [0.0, 5.0]]);
//! assert_eq!(by_tensor, [[3.0, 4.0], [0.0, 5.0]]);
//! let clipped = clip::global_norm(&mut together, 13.0)?;
//! assert_eq!((clipped.factor(), together), (0.5, [[3.0, 4.0], [0.0, 12.0]]));   // the direction stays
//! # Ok::<(), steadygrad::Error>(())
//! ```

mod global_norm;
pub(crate) mod once;
mod tensor_norm;
mod value;

pub use global_norm::{GlobalNorm, global_norm};
pub use once::Clipped;
pub use tensor_norm::{TensorNorm, tensor_norm};
pub use value::{Value, value};

pub use crate::rule::Clipper;

use crate::factor::Factor;
use crate::needs::Needs;
use crate::pen::Pen;
use crate::stats::{Norm, Stats};
use crate::{Bound, Result, Wide};

/// At most so large, by this norm.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Limit {
    max: f64,
    norm: Norm,
}

/// Why a norm rule abstains.
const NO_NORM: &str = "the norm is not finite";

/// What brings elements within a bound.
enum Shrink {
    Keep,
    Zero,
    Scale(Factor),
    /// There is no norm to speak of.
    Unknown,
}

impl Limit {
    fn l2(max: Bound) -> Result<Self> {
        Ok(Self {
            max: max.of_size("max norm")?,
            norm: Norm::L2,
        })
    }

    fn by(self, norm: Norm) -> Result<Self> {
        Ok(Self {
            norm: norm.checked()?,
            ..self
        })
    }

    fn needs(self) -> Needs {
        match self.norm {
            Norm::L2 => Needs::norms(),
            Norm::Max => Needs::norms().of_largest(),
            Norm::L1 => Needs::norms().of_magnitudes(),
            Norm::P(p) => Needs::norms().of_power(p),
        }
    }

    /// Tells the rules behind that this bound is kept, by the whole or by each tensor.
    fn hold(self, each: bool, pen: &mut Pen<'_>) {
        pen.hold(each, self.norm, self.max);
    }

    fn shrink(self, stats: &Stats) -> Shrink {
        let size = stats.norm(self.norm);
        if !size.is_finite() {
            Shrink::Unknown
        } else if !stats.exceeds(self.norm, self.max) {
            Shrink::Keep
        } else if self.max == 0.0 {
            Shrink::Zero
        } else {
            Shrink::Scale(Factor::ratio(Wide::from(self.max), size))
        }
    }
}
