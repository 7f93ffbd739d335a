//! Terms added to the loss that keep weights small, and their gradients.
//!
//! A penalty reads the weights once, returns its value, and adds its gradient in place in the same
//! pass. It comes before the guard, so that what is clipped is the gradient of the whole loss.
//!
//! A word of warning from Pascanu, Mikolov and Bengio (2013, arXiv:1211.5063): L1 or L2 on a recurrent
//! matrix does keep gradients from exploding, by making its eigenvalues smaller than 1. Then nothing is remembered
//! for long, and gradients vanish instead. Watch the spectral radius when you use one there.
//!
//! # Examples
//!
//! ```
//! use steadygrad::{clip, penalty::{L2, Penalty}, Guard, Step};
//!
//! let (weights, mut grads, mut loss) = ([6.0_f64, -8.0], [3.0_f64, -4.0], 1.0);
//! loss += L2::new(0.5)?.apply(&weights, &mut grads)?;
//! assert_eq!((loss, grads), (26.0, [6.0, -8.0]));
//!
//! let mut guard = Guard::new().clip(clip::GlobalNorm::new(5.0)?);
//! assert_eq!(guard.step(Step::new(&mut grads).loss(loss))?.before(), 10.0);
//! assert_eq!(grads, [3.0, -4.0]);
//! # Ok::<(), steadygrad::Error>(())
//! ```

mod elastic_net;
mod l1;
mod l2;

pub use elastic_net::ElasticNet;
pub use l1::L1;
pub use l2::L2;

pub use crate::biases::all_but_biases;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::biases::Choice;
use crate::kernel::{self, Pair};
use crate::names::Names;
use crate::set::{Found, Pairing};
use crate::slice::{SliceMut, SliceRef, each_slice};
use crate::tensor::{BLOCK, Tensor, TensorMut, TensorRef};
use crate::{Error, Result, TensorSet, TensorSetMut};

/// A sum over weights of a term of each, and its gradient.
///
/// # Examples
///
/// A penalty of your own says what one weight costs and how that changes:
///
/// ```
/// use steadygrad::penalty::Penalty;
///
/// /// Σ log(1 + w²), which hardly minds large weights.
/// struct Cauchy;
///
/// impl Penalty for Cauchy {
///     fn at(&self, w: f64) -> (f64, f64) {
///         ((w * w).ln_1p(), 2.0 * w / (1.0 + w * w))
///     }
/// }
///
/// let (weights, mut grads) = (vec![1.0_f32, 0.0], vec![0.5_f32, 0.5]);
/// assert_eq!(Cauchy.apply(&weights, &mut grads)?, 2_f64.ln());
/// assert_eq!(grads, [1.5, 0.5]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait Penalty: Sync {
    /// What a weight adds to the penalty, and the derivative of that. Mark it `#[inline]`.
    ///
    /// ```
    /// use steadygrad::penalty::{L1, L2, Penalty};
    /// assert_eq!(L2::new(0.5)?.at(-4.0), (4.0, -2.0));
    /// assert_eq!(L1::new(0.5)?.at(0.0), (0.0, 0.0));   // of the slopes at the corner, the one that rests
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn at(&self, w: f64) -> (f64, f64);

    /// Whether the tensor with this name, and with these dims if it tells them, is penalised: weights are, biases,
    /// gains and shifts are not, unless you say otherwise.
    ///
    /// ```
    /// use steadygrad::penalty::{L2, Penalty};
    /// assert!(!L2::new(1.0)?.covers("layers.0.bias", None));
    /// assert!(!L2::new(1.0)?.covers("layers.0.scale", Some(&[8])));
    /// assert!(L2::new(1.0)?.on(|_: &str| true).covers("layers.0.bias", None));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn covers(&self, name: &str, dims: Option<&[usize]>) -> bool {
        all_but_biases(name, dims)
    }

    /// The value alone.
    ///
    /// ```
    /// use steadygrad::penalty::{L1, Penalty};
    /// let weights = [("w", vec![1.0_f32, -2.0]), ("bias", vec![100.0])];
    /// assert_eq!(L1::new(0.5)?.value(&weights)?, 1.5);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the tensors give.
    fn value<W: TensorSet + ?Sized>(&self, weights: &W) -> Result<f64>
    where
        Self: Sized,
    {
        let mut sum = Pair::ZERO;
        weights.visit(&mut |name, tensor| {
            if self.covers(name, tensor.dims()) {
                in_blocks(&tensor, &mut |_, ws| {
                    // The gradient goes to a place that nobody reads.
                    sum.add(kernel::pair(ws, &mut [0.0; BLOCK][..ws.len()], |w| {
                        self.at(w)
                    }));
                    Ok(())
                })?;
            }
            Ok(())
        })?;
        Ok(sum.round())
    }

    /// The value; its gradient is added to `grads` in the same pass.
    ///
    /// The sets are paired by position, and names, sizes and, where both tell them, shapes must agree. A gradient
    /// without elements is a missing one, and a missing set stands for all weights below its name: they
    /// count, and nothing is added. Element types and memory layouts may differ; equal layouts run at full speed.
    ///
    /// ```
    /// use steadygrad::{penalty::{L2, Penalty}, Error};
    /// let (weights, mut grads) = (vec![Some(vec![2.0_f32]), Some(vec![4.0])], vec![Some(vec![1.0_f64]), None]);
    /// assert_eq!(L2::new(1.0)?.apply(&weights, &mut grads)?, 10.0);
    /// assert_eq!(grads, [Some(vec![3.0]), None]);
    /// let error = L2::new(1.0)?.apply(&[("w", [2.0])], &mut [("v", [0.0])]).unwrap_err();
    /// assert!(matches!(error, Error::Name { index: 0, .. }));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Name`], [`Error::Count`] or [`Error::Shape`] if the sets do not fit together; nothing is changed
    /// then. And what the tensors give.
    fn apply<W: TensorSet + ?Sized, G: TensorSetMut + ?Sized>(
        &self,
        weights: &W,
        grads: &mut G,
    ) -> Result<f64>
    where
        Self: Sized,
    {
        let mut sum = Pair::ZERO;
        let weights = Paired::new(weights, &*grads)?;
        let (mut ends, mut start) = (weights.ends.iter(), 0);
        grads.visit_mut(&mut |_, grad| {
            let end = *ends.next().unwrap_or(&start);
            for (index, weight) in (start..end).zip(&weights.tensors[start..end]) {
                let name = weights.names.get(index).unwrap_or_default();
                if self.covers(name, weight.dims()) {
                    sum.add(both(self, weight, grad)?);
                }
            }
            start = end;
            Ok(())
        })?;
        Ok(sum.round())
    }
}

/// A boxed penalty is the penalty, though one term at a time is asked for through the box.
///
/// ```
/// use steadygrad::penalty::{L1, L2, Penalty};
/// let all: Vec<Box<dyn Penalty>> = vec![Box::new(L1::new(0.5)?), Box::new(L2::new(1.0)?)];
/// let values = all.iter().map(|penalty| penalty.value(&[2.0_f32])).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(values, [1.0, 2.0]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
impl<P: Penalty + ?Sized> Penalty for Box<P> {
    fn at(&self, w: f64) -> (f64, f64) {
        (**self).at(w)
    }

    fn covers(&self, name: &str, dims: Option<&[usize]>) -> bool {
        (**self).covers(name, dims)
    }
}

/// The weights of a model, checked to fit its gradients.
struct Paired<'w> {
    names: Names,
    tensors: Vec<TensorRef<'w>>,
    /// Where the weights of each gradient end.
    ends: Vec<usize>,
}

impl<'w> Paired<'w> {
    fn new<W: TensorSet + ?Sized, G: TensorSet + ?Sized>(
        weights: &'w W,
        grads: &G,
    ) -> Result<Self> {
        let (mut names, mut tensors, mut ends) = (Names::default(), Vec::new(), Vec::new());
        weights.visit(&mut |name, tensor| {
            names.push(name, tensor.dims());
            tensors.push(tensor);
            Ok(())
        })?;
        let mut pairing = Pairing::with_gradients(&names, |index| tensors[index].len());
        grads.visit(&mut |name, grad| {
            let (dims, len) = (grad.dims(), grad.len());
            ends.push(pairing.take(Found { name, dims, len })?.end);
            Ok(())
        })?;
        pairing.finish()?;
        Ok(Self {
            names,
            tensors,
            ends,
        })
    }
}

/// Hands out the elements of a tensor as `f64`, and where each block starts.
fn in_blocks(tensor: &TensorRef<'_>, f: &mut dyn FnMut(usize, &[f64]) -> Result<()>) -> Result<()> {
    let mut block = [0.0; BLOCK];
    for start in (0..tensor.len()).step_by(BLOCK) {
        let block = &mut block[..BLOCK.min(tensor.len() - start)];
        tensor.read(start, block)?;
        f(start, block)?;
    }
    Ok(())
}

/// Value and gradient for one tensor.
fn both<P: Penalty>(penalty: &P, weight: &TensorRef<'_>, grad: &mut dyn TensorMut) -> Result<Pair> {
    let missing = grad.is_empty();
    if let (Some(ws), Some(gs), false) = (weight.as_slice_ref(), grad.as_slice_mut_ref(), missing) {
        return Ok(
            each_slice!(ws, SliceRef, ws => each_slice!(gs, SliceMut, gs => {
                kernel::pair(ws, gs, |w| penalty.at(w))
            })),
        );
    }
    let mut sum = Pair::ZERO;
    in_blocks(weight, &mut |start, ws| {
        let mut slopes = [0.0; BLOCK];
        let slopes = &mut slopes[..ws.len()];
        sum.add(kernel::pair(ws, slopes, |w| penalty.at(w)));
        if missing {
            Ok(())
        } else {
            grad.add(start, slopes)
        }
    })?;
    Ok(sum)
}

/// Checks a strength.
fn strength(what: &'static str, found: f64) -> Result<f64> {
    if found >= 0.0 && found.is_finite() {
        Ok(found)
    } else {
        Err(Error::Setting {
            what,
            expected: "a finite number ≥ 0",
            found,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn sets_that_do_not_fit_change_nothing() {
        let weights = vec![("w", vec![1.0_f32, 2.0]), ("v", vec![3.0])];
        let l2 = L2::new(1.0).unwrap();
        let mut other_name = vec![("w", vec![0.0_f32, 0.0]), ("u", vec![0.0])];
        let error = l2.apply(&weights, &mut other_name).unwrap_err();
        assert_eq!(
            error,
            Error::Name {
                index: 1,
                expected: "v".into(),
                found: "u".into()
            }
        );
        assert_eq!(other_name[0].1, [0.0, 0.0]);
        let mut other_size = vec![("w", vec![0.0_f32, 0.0]), ("v", vec![0.0, 0.0])];
        let error = l2.apply(&weights, &mut other_size).unwrap_err();
        assert_eq!(
            error,
            Error::Count {
                what: "elements of a gradient",
                expected: 1,
                found: 2
            }
        );
        assert_eq!(other_size[0].1, [0.0, 0.0]);
        let mut too_few = vec![("w", vec![0.0_f32, 0.0])];
        let error = l2.apply(&weights, &mut too_few).unwrap_err();
        assert_eq!(
            error,
            Error::Count {
                what: "gradient tensors",
                expected: 2,
                found: 1
            }
        );
        let mut too_many = vec![
            ("w", vec![0.0_f32, 0.0]),
            ("v", vec![0.0]),
            ("x", vec![0.0]),
        ];
        let error = l2.apply(&weights, &mut too_many).unwrap_err();
        assert_eq!(
            error,
            Error::Count {
                what: "gradient tensors",
                expected: 2,
                found: 3
            }
        );
        assert_eq!(too_many[0].1, [0.0, 0.0]);
    }

    #[test]
    fn a_missing_gradient_is_no_error() {
        let weights = vec![vec![1.0_f32], vec![2.0]];
        let mut grads = vec![Some(vec![0.0_f32]), None];
        assert_eq!(L2::new(2.0).unwrap().apply(&weights, &mut grads), Ok(5.0));
        assert_eq!(grads, [Some(vec![2.0]), None]);
    }

    #[test]
    fn any_types_in_any_combination() {
        let w64: Vec<f64> = (0..3000).map(|i| f64::from(i % 7) - 3.0).collect();
        let w32: Vec<f32> = w64.iter().map(|&w| w as f32).collect();
        let l2 = L2::new(0.5).unwrap();
        let expected: f64 = w64.iter().map(|w| 0.25 * w * w).sum();
        let (mut g32, mut g64) = (vec![1.0_f32; 3000], vec![1.0_f64; 3000]);
        assert_eq!(l2.apply(&w64, &mut g32), Ok(expected));
        assert_eq!(l2.apply(&w32, &mut g64), Ok(expected));
        assert_eq!(l2.value(&w32), Ok(expected));
        for ((w, a), b) in w64.iter().zip(&g32).zip(&g64) {
            assert_eq!((f64::from(*a), *b), (1.0 + 0.5 * w, 1.0 + 0.5 * w));
        }
    }

    #[cfg(feature = "ndarray")]
    #[test]
    fn any_layouts_in_any_combination() {
        use ndarray::Array2;
        let w = Array2::from_shape_fn((37, 41), |(i, j)| (i as f64 - j as f64) / 8.0);
        let l2 = L2::new(1.0).unwrap();
        let mut plain = Array2::<f32>::zeros((37, 41));
        let value = l2.apply(&w, &mut plain).unwrap();
        let mut turned = Array2::<f32>::zeros((41, 37)).reversed_axes();
        assert_eq!(l2.apply(&w, &mut turned).unwrap(), value);
        assert_eq!(plain, turned);
        let mut strided = Array2::<f32>::zeros((37, 82));
        let mut every_second = strided.view_mut();
        every_second.slice_axis_inplace(ndarray::Axis(1), ndarray::Slice::new(0, None, 2));
        assert_eq!(
            l2.apply(&w.t().to_owned().reversed_axes(), &mut every_second)
                .unwrap(),
            value
        );
        assert_eq!(every_second, plain);
    }
}
