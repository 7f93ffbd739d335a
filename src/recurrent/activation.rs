//! The nonlinearity φ of a vanilla recurrent cell.

use ndarray::{ArrayRef2, Zip};

use super::{Real, sigmoid, tanh};

/// The nonlinearity φ of an [`Rnn`](super::Rnn).
///
/// ```text
/// Tanh      φ(z) = tanh z            φ' = 1 − h²
/// Relu      φ(z) = max(0, z)         φ' = 1 if h > 0, else 0
/// Sigmoid   φ(z) = 1/(1 + e^−z)      φ' = h·(1 − h)
/// Identity  φ(z) = z                 φ' = 1
/// ```
///
/// The derivative is written in terms of the output h = φ(z), which is all that a pass keeps. NaN
/// stays NaN under each of them.
///
/// # Examples
///
/// ```
/// use steadygrad::recurrent::Activation;
///
/// let h = Activation::Sigmoid.apply(0.0_f64);
/// assert_eq!(h, 0.5);
/// assert_eq!(Activation::Sigmoid.derivative(h), 0.25);
/// // A step through the sigmoid shrinks a gradient to a quarter at best: it vanishes.
/// assert_eq!(Activation::default(), Activation::Tanh);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Activation {
    /// The hyperbolic tangent, PyTorch's default.
    #[default]
    Tanh,
    /// The positive part.
    Relu,
    /// The logistic function.
    Sigmoid,
    /// No nonlinearity: a linear dynamical system.
    Identity,
}

impl Activation {
    /// φ(z).
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::Activation;
    ///
    /// assert_eq!(Activation::Relu.apply(-2.0_f32), 0.0);
    /// assert!(Activation::Relu.apply(f32::NAN).is_nan());
    /// ```
    #[inline]
    pub fn apply<A: Real>(self, z: A) -> A {
        match self {
            Self::Tanh => z.tanh_(),
            Self::Relu => relu(z),
            Self::Sigmoid => z.sigmoid_(),
            Self::Identity => z,
        }
    }

    /// φ′ at the point where φ(z) = h. At the corner of [`Relu`](Self::Relu) it is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::Activation;
    ///
    /// assert_eq!(Activation::Tanh.derivative(0.5_f64), 0.75);
    /// assert_eq!(Activation::Relu.derivative(0.0_f64), 0.0);
    /// ```
    #[inline]
    pub fn derivative<A: Real>(self, h: A) -> A {
        match self {
            Self::Tanh => A::one() - h * h,
            Self::Relu => corner(h),
            Self::Sigmoid => h * (A::one() - h),
            Self::Identity => A::one(),
        }
    }

    /// φ over a whole array: the choice is made once, outside the loop.
    pub(super) fn apply_all<A: Real>(self, z: &mut ArrayRef2<A>) {
        match self {
            Self::Tanh => over(z, tanh, A::tanh_),
            Self::Relu => z.mapv_inplace(relu),
            Self::Sigmoid => over(z, sigmoid, A::sigmoid_),
            Self::Identity => {}
        }
    }

    /// dL/dz = dL/dh ⊙ φ′(h).
    pub(super) fn pull_back<A: Real>(
        self,
        h: &ArrayRef2<A>,
        d_h: &ArrayRef2<A>,
        d_z: &mut ArrayRef2<A>,
    ) {
        let zip = Zip::from(d_z).and(d_h).and(h);
        match self {
            Self::Tanh => zip.for_each(|z, &d, &h| *z = d * (A::one() - h * h)),
            Self::Relu => zip.for_each(|z, &d, &h| *z = d * corner(h)),
            Self::Sigmoid => zip.for_each(|z, &d, &h| *z = d * (h * (A::one() - h))),
            Self::Identity => zip.for_each(|z, &d, _| *z = d),
        }
    }
}

/// One function twice: of a slice, which an array mostly is, and of an element.
fn over<A: Real>(z: &mut ArrayRef2<A>, all: fn(&mut [A]), each: fn(A) -> A) {
    match z.as_slice_memory_order_mut() {
        Some(z) => all(z),
        None => z.mapv_inplace(each),
    }
}

/// Not `max`, which takes the number when the other is NaN and so hides it.
#[inline]
fn relu<A: Real>(z: A) -> A {
    if z <= A::zero() { A::zero() } else { z }
}

#[inline]
fn corner<A: Real>(h: A) -> A {
    if h <= A::zero() { A::zero() } else { A::one() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Activation; 4] = [
        Activation::Tanh,
        Activation::Relu,
        Activation::Sigmoid,
        Activation::Identity,
    ];

    #[test]
    fn the_derivative_is_the_slope() {
        for phi in ALL {
            for z in [-3.0_f64, -0.7, 0.2, 1.9] {
                let eps = 1e-6;
                let slope = (phi.apply(z + eps) - phi.apply(z - eps)) / (2.0 * eps);
                let h = phi.apply(z);
                assert!((phi.derivative(h) - slope).abs() < 1e-9, "{phi:?} at {z}");
            }
        }
    }

    #[test]
    fn extremes_saturate_and_nan_stays() {
        assert_eq!(Activation::Sigmoid.apply(-1e4_f32), 0.0);
        assert_eq!(Activation::Sigmoid.apply(1e4_f32), 1.0);
        assert_eq!(Activation::Tanh.apply(f64::NEG_INFINITY), -1.0);
        for phi in ALL {
            assert!(phi.apply(f64::NAN).is_nan(), "{phi:?}");
        }
    }
}
